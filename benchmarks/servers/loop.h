/*
 * The event loop of the C servers: one thread, one epoll, one call for each read.
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

/* Answer the bytes of a read; a size of 0 is the end. Returns whether to go on. */
typedef int (*answer)(int fd, const uint8_t *data, size_t size);

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

static void watch(int ep, int fd)
{
	struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

	if (fd >= 0)
		epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event);
}

static int take(int listener)
{
	int fd = accept(listener, NULL, NULL), one = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	return fd;
}

static int write_all(int fd, const uint8_t *data, size_t size)
{
	for (size_t done = 0; done < size;) {
		ssize_t n = write(fd, data + done, size - done);

		if (n < 0)
			return 0;
		done += (size_t)n;
	}
	return 1;
}

static void serve(uint16_t port, answer reply)
{
	static uint8_t buffer[1 << 20];
	struct epoll_event events[256];
	int ep = epoll_create1(0), listener = listen_on(port);

	signal(SIGPIPE, SIG_IGN);
	watch(ep, listener);
	for (;;) {
		int n = epoll_wait(ep, events, 256, -1);

		for (int i = 0; i < n; i++) {
			int fd = events[i].data.fd;

			if (fd == listener) {
				watch(ep, take(listener));
				continue;
			}
			ssize_t size = read(fd, buffer, sizeof buffer);
			if (!reply(fd, buffer, size > 0 ? (size_t)size : 0) || size <= 0)
				close(fd);
		}
	}
}
