/*
 * Single-threaded epoll TCP echo: the limit of the kernel and of wsload itself.
 *
 * usage: c_raw PORT
 */
#include <arpa/inet.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static char buffer[1 << 20];
static int ep;

static int listen_on(uint16_t port)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (bind(fd, (void *)&address, sizeof address) || listen(fd, 1024))
		exit(1);
	return fd;
}

static void watch(int fd)
{
	struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

	if (fd >= 0)
		epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event);
}

static void echo(int fd)
{
	ssize_t size = read(fd, buffer, sizeof buffer), done = 0;

	if (size <= 0)
		close(fd);
	while (done < size) {
		ssize_t n = write(fd, buffer + done, (size_t)(size - done));

		if (n < 0)
			break;
		done += n;
	}
}

int main(int argc, char **argv)
{
	struct epoll_event events[256];
	int listener;

	if (argc != 2)
		return 2;
	ep = epoll_create1(0);
	listener = listen_on((uint16_t)atoi(argv[1]));
	watch(listener);
	for (;;) {
		int n = epoll_wait(ep, events, 256, -1);

		for (int i = 0; i < n; i++) {
			int fd = events[i].data.fd;

			if (fd == listener)
				watch(accept(listener, NULL, NULL));
			else
				echo(fd);
		}
	}
}
