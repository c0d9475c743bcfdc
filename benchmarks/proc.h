/*
 * CPU time and memory of a server, as Linux counts them: of a process and all processes that it has
 * forked. Some servers have a process for each connection.
 */
#include <dirent.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Nanoseconds on a core, and waiting for a core; user and sys in clock ticks. */
struct cpu {
	uint64_t run, wait, user, sys;
};

typedef void (*visit)(int pid, void *sum);

/* Read a small file of /proc; an empty string if the process has ended. */
static void proc_read(char *text, size_t room, int pid, const char *file)
{
	char path[128];
	size_t n = 0;

	snprintf(path, sizeof path, "/proc/%d/%s", pid, file);
	FILE *f = fopen(path, "r");
	if (f) {
		n = fread(text, 1, room - 1, f);
		fclose(f);
	}
	text[n] = 0;
}

/* Call f for each thread of a process, in /proc/PID/task, and of its children. */
static void each_process(int pid, visit f, void *sum)
{
	char path[64];

	f(pid, sum);
	snprintf(path, sizeof path, "/proc/%d/task", pid);
	DIR *tasks = opendir(path);
	if (!tasks)
		return;
	for (struct dirent *task; (task = readdir(tasks));) {
		char file[300];
		int child;
		if (task->d_name[0] == '.')
			continue;
		snprintf(file, sizeof file, "/proc/%d/task/%s/children", pid, task->d_name);
		FILE *children = fopen(file, "r");
		if (!children)
			continue;
		while (fscanf(children, "%d", &child) == 1)
			each_process(child, f, sum);
		fclose(children);
	}
	closedir(tasks);
}

static void add_cpu(int pid, void *sum)
{
	struct cpu *cpu = sum;
	char path[64], text[1024];
	uint64_t run, wait, user, sys, gone_user, gone_sys;

	snprintf(path, sizeof path, "/proc/%d/task", pid);
	DIR *tasks = opendir(path);
	for (struct dirent *task; tasks && (task = readdir(tasks));) {
		char file[300];
		if (task->d_name[0] == '.')
			continue;
		snprintf(file, sizeof file, "task/%s/schedstat", task->d_name);
		proc_read(text, sizeof text, pid, file);
		if (sscanf(text, "%" SCNu64 " %" SCNu64, &run, &wait) == 2)
			cpu->run += run, cpu->wait += wait;
	}
	if (tasks)
		closedir(tasks);
	proc_read(text, sizeof text, pid, "stat");
	char *rest = strrchr(text, ')');
	if (!rest || sscanf(rest + 1,
			     " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %" SCNu64 " %" SCNu64
			     " %" SCNu64 " %" SCNu64,
			     &user, &sys, &gone_user, &gone_sys) != 4)
		return;
	cpu->user += user + gone_user;
	cpu->sys += sys + gone_sys;
	/* The kernel keeps the time of ended children in ticks of 10 ms only. */
	cpu->run += (gone_user + gone_sys) * (1000000000u / (uint64_t)sysconf(_SC_CLK_TCK));
}

/* Pss: memory that processes share is divided by their number. */
static void add_pss(int pid, void *sum)
{
	char text[2048];

	proc_read(text, sizeof text, pid, "smaps_rollup");
	char *line = strstr(text, "\nPss:");
	if (line)
		*(long *)sum += atol(line + 5);
}

static struct cpu tree_cpu(int pid)
{
	struct cpu sum = {0, 0, 0, 0};

	if (pid)
		each_process(pid, add_cpu, &sum);
	return sum;
}

/* Memory in kilobytes. */
static long tree_pss(int pid)
{
	long sum = 0;

	if (pid)
		each_process(pid, add_pss, &sum);
	return sum;
}
