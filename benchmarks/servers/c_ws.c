/*
 * RFC 6455 echo: each received piece of a frame is sent back at once. The backend of gateways;
 * wsload compares the echoes, so this server checks nothing.
 *
 * usage: c_ws PORT
 */
#define _GNU_SOURCE
#include "../wire.h"
#include "loop.h"

enum { CLOSE = 8, PING = 9, PONG = 10, OPCODE = 15 };

/* head: the head of the handshake, then the header of a frame before its payload. */
struct conn {
	int open, closing;
	size_t have;
	u64 left;
	u8 key[4];
	u8 head[8192];
};

static struct conn *conns[1 << 16];

/* Unmask n bytes into out, and rotate the masking key for the byte after them. */
static void unmask(u8 *to, const u8 *from, size_t n, u8 key[4])
{
	u8 twice[8];
	u64 wide, word;
	size_t i = 0;

	memcpy(twice, key, 4);
	memcpy(twice + 4, key, 4);
	memcpy(&wide, twice, 8);
	for (; i + 8 <= n; i += 8) {
		memcpy(&word, from + i, 8);
		word ^= wide;
		memcpy(to + i, &word, 8);
	}
	for (; i < n; i++)
		to[i] = from[i] ^ key[i & 3];
	memcpy(key, twice + (n & 3), 4);
}

/* Answer a complete handshake; returns how many of the new bytes belong to the handshake. */
static size_t open_conn(struct conn *c, int fd, const u8 *p, size_t n)
{
	char key[64], proof[32], out[256];
	size_t before = c->have, room = sizeof c->head - 1 - before;

	memcpy(c->head + before, p, n < room ? n : room);
	c->have += n < room ? n : room;
	c->head[c->have] = 0;
	char *end = strstr((char *)c->head, "\r\n\r\n");
	if (!end)
		return n;
	char *field = strcasestr((char *)c->head, "\r\nSec-WebSocket-Key:");
	if (!field || sscanf(field + 20, " %60s", key) != 1)
		return n;
	accept_key(key, proof);
	int size = snprintf(out, sizeof out,
		"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
		"Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
		proof);
	write_all(fd, (u8 *)out, (size_t)size);
	c->open = 1;
	c->have = 0;
	return (size_t)(end + 4 - (char *)c->head) - before;
}

/* Read a byte of a frame header; after the last byte, begin the frame of the echo. */
static size_t begin_frame(struct conn *c, u8 byte, u8 *out)
{
	u8 *head = c->head;

	head[c->have++] = byte;
	size_t extended = c->have < 2			? 0
			  : (head[1] & 0x7f) == 126 ? 2
			  : (head[1] & 0x7f) == 127 ? 8
							 : 0;
	if (c->have < 6 + extended)
		return 0;
	c->left = extended ? 0 : head[1] & 0x7f;
	for (size_t i = 0; i < extended; i++)
		c->left = c->left << 8 | head[2 + i];
	memcpy(c->key, head + 2 + extended, 4);
	c->have = 0;
	c->closing = (head[0] & OPCODE) == CLOSE;
	int first = (head[0] & OPCODE) == PING ? 0x80 | PONG : head[0];
	return put_hdr(out, first, c->left, 0, NULL);
}

static int echo(int fd, const u8 *p, size_t n)
{
	static u8 out[2 << 20];
	size_t size = 0, used;

	if (!n) {
		free(conns[fd]);
		conns[fd] = NULL;
		return 0;
	}
	if (!conns[fd])
		conns[fd] = calloc(1, sizeof **conns);
	struct conn *c = conns[fd];
	if (!c->open) {
		used = open_conn(c, fd, p, n);
		p += used;
		n -= used;
	}
	for (; n; p += used, n -= used) {
		if (!c->left) {
			size += begin_frame(c, *p, out + size);
			used = 1;
		} else {
			used = n < c->left ? n : c->left;
			unmask(out + size, p, used, c->key);
			size += used;
			c->left -= used;
		}
	}
	if (!write_all(fd, out, size))
		return 1; /* the next read reports the end */
	if (c->closing && !c->left && !c->have)
		shutdown(fd, SHUT_WR);
	return 1;
}

int main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	serve((uint16_t)atoi(argv[1]), echo);
}
