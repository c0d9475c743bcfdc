/*
 * wsload: a single-threaded epoll load generator for WebSocket echo servers.
 *
 * Dialects: raw (TCP echo, messages of a known length), hixie75, hixie76,
 *           hybi07, hybi08, rfc6455.
 * Modes:    window    keep W messages in flight on each of N connections
 *                     (W=1 is ping-pong)
 *           storm     connect + opening handshake + close, as fast as it goes
 *           idle      open N connections and hold them (memory per connection)
 *           broadcast N receivers; connection 0 sends, the server is expected
 *                     to deliver each message to all N, or with --others to all
 *                     but the sender
 *
 * One JSON object is printed on stdout. The order, opcode and length of every received frame are
 * checked, and Sec-WebSocket-Accept of every handshake; --check also compares each byte of payloads.
 * With --stream bytes are counted instead of frames: a gateway to a byte stream may cut frames
 * anywhere. With --tls all connections use TLS, in every mode and dialect.
 * wsload connects to loopback addresses only, and runs for at most 120 s.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>
#ifndef NO_ZLIB
#include <zlib.h>
#endif

#include "proc.h"
#ifndef NO_TLS
#include "tls.h"
#endif
#include "wire.h"

enum dialect { D_RAW, D_HIXIE75, D_HIXIE76, D_HYBI07, D_HYBI08, D_RFC6455 };
static const char *dialect_names[] = {"raw", "hixie75", "hixie76", "hybi07", "hybi08", "rfc6455"};
enum mode { M_WINDOW, M_STORM, M_IDLE, M_BROADCAST };
static const char *mode_names[] = {"window", "storm", "idle", "broadcast"};

/* ---------------------------------------------------------------- options */
static struct {
	const char *host, *path;
	int port, conns, window, check, deflate, text, utf8, pid, touch, inflight, frag, stream,
		others, tls;
	size_t size;
	double warmup, time;
	enum dialect dialect;
	enum mode mode;
} o = {.host = "127.0.0.1",
	.path = "/",
	.port = 0,
	.conns = 1,
	.window = 1,
	.size = 32,
	.warmup = 0.5,
	.time = 3,
	.dialect = D_RFC6455,
	.mode = M_WINDOW,
	.text = 1,
	.inflight = 32};

static void die(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	fprintf(stderr, "wsload: ");
	vfprintf(stderr, fmt, ap);
	fprintf(stderr, "\n");
	va_end(ap);
	exit(2);
}

static u64 now_ns(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (u64)ts.tv_sec * 1000000000ull + (u64)ts.tv_nsec;
}

static u64 rng_s = 0x9E3779B97F4A7C15ull;
static u64 rng(void)
{
	rng_s ^= rng_s << 13;
	rng_s ^= rng_s >> 7;
	rng_s ^= rng_s << 17;
	return rng_s;
}

/* -------------------------------------------------------------------- MD5 */
static void md5_16(const u8 msg[16], u8 out[16])
{
	static const u8 s[64] = {7, 12, 17, 22, 7, 12, 17, 22, 7, 12, 17, 22, 7, 12, 17, 22, 5, 9,
		14, 20, 5, 9, 14, 20, 5, 9, 14, 20, 5, 9, 14, 20, 4, 11, 16, 23, 4, 11, 16, 23, 4,
		11, 16, 23, 4, 11, 16, 23, 6, 10, 15, 21, 6, 10, 15, 21, 6, 10, 15, 21, 6, 10, 15,
		21};
	static const u32 K[64] = {0xd76aa478, 0xe8c7b756, 0x242070db, 0xc1bdceee, 0xf57c0faf,
		0x4787c62a, 0xa8304613, 0xfd469501, 0x698098d8, 0x8b44f7af, 0xffff5bb1, 0x895cd7be,
		0x6b901122, 0xfd987193, 0xa679438e, 0x49b40821, 0xf61e2562, 0xc040b340, 0x265e5a51,
		0xe9b6c7aa, 0xd62f105d, 0x02441453, 0xd8a1e681, 0xe7d3fbc8, 0x21e1cde6, 0xc33707d6,
		0xf4d50d87, 0x455a14ed, 0xa9e3e905, 0xfcefa3f8, 0x676f02d9, 0x8d2a4c8a, 0xfffa3942,
		0x8771f681, 0x6d9d6122, 0xfde5380c, 0xa4beea44, 0x4bdecfa9, 0xf6bb4b60, 0xbebfbc70,
		0x289b7ec6, 0xeaa127fa, 0xd4ef3085, 0x04881d05, 0xd9d4d039, 0xe6db99e5, 0x1fa27cf8,
		0xc4ac5665, 0xf4292244, 0x432aff97, 0xab9423a7, 0xfc93a039, 0x655b59c3, 0x8f0ccc92,
		0xffeff47d, 0x85845dd1, 0x6fa87e4f, 0xfe2ce6e0, 0xa3014314, 0x4e0811a1, 0xf7537e82,
		0xbd3af235, 0x2ad7d2bb, 0xeb86d391};
	u32 h[4] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476}, m[16];
	u8 b[64] = {0};
	memcpy(b, msg, 16);
	b[16] = 0x80;
	b[56] = 128;
	for (int i = 0; i < 16; i++)
		m[i] = (u32)b[i * 4] | (u32)b[i * 4 + 1] << 8 | (u32)b[i * 4 + 2] << 16 |
		       (u32)b[i * 4 + 3] << 24;
	u32 A = h[0], B = h[1], C = h[2], D = h[3];
	for (int i = 0; i < 64; i++) {
		u32 F;
		int g;
		if (i < 16)
			F = (B & C) | (~B & D), g = i;
		else if (i < 32)
			F = (D & B) | (~D & C), g = (5 * i + 1) & 15;
		else if (i < 48)
			F = B ^ C ^ D, g = (3 * i + 5) & 15;
		else
			F = C ^ (B | ~D), g = (7 * i) & 15;
		F += A + K[i] + m[g];
		A = D;
		D = C;
		C = B;
		B += rol(F, s[i]);
	}
	h[0] += A;
	h[1] += B;
	h[2] += C;
	h[3] += D;
	for (int i = 0; i < 16; i++)
		out[i] = (u8)(h[i / 4] >> (8 * (i % 4)));
}

/* -------------------------------------------------------------- histogram */
#define SUB 64
static u64 hist[64 * SUB];
static u64 hist_n, hist_max;
static void hist_add(u64 v)
{
	int idx;
	if (v < SUB)
		idx = (int)v;
	else {
		int e = 63 - __builtin_clzll(v);
		idx = (e - 5) * SUB + (int)((v >> (e - 6)) & (SUB - 1));
	}
	hist[idx]++;
	hist_n++;
	if (v > hist_max)
		hist_max = v;
}
static double hist_q(double q)
{
	if (!hist_n)
		return 0;
	u64 want = (u64)(q * (double)hist_n), acc = 0;
	if (want >= hist_n)
		want = hist_n - 1;
	for (int i = 0; i < 64 * SUB; i++) {
		acc += hist[i];
		if (acc > want) {
			if (i < SUB)
				return i;
			int e = i / SUB + 5;
			return (double)(1ull << e) +
			       ((double)(i % SUB) + 0.5) * (double)(1ull << (e - 6));
		}
	}
	return (double)hist_max;
}

/* ------------------------------------------------------------ connections */
enum cst { C_FREE, C_CONNECTING, C_TLS, C_HANDSHAKE, C_OPEN, C_CLOSING, C_DEAD };
struct conn {
	int fd;
	u8 st, hlen, opcode, fin, inmsg, msg_op, msg_comp, hix_in, want_out, got_close, inpay;
	u8 hdr[14];
	u8 ctl[126];
	u8 ctllen;
	u64 rem, mlen;
	u32 tosend;
	size_t off;
	u32 send_idx, recv_idx, qidx;
	u64 *ts;
	u8 pend[320];
	int pendlen, pendoff;
	char *hs;
	int hslen;
	u8 expect[32];
	u64 t0;
#ifndef NO_ZLIB
	z_stream *zin;
#endif
#ifndef NO_TLS
	SSL *tls;
	u8 again; /* what OpenSSL has to be given again, after EAGAIN */
#endif
};
enum again { A_NOTHING, A_FRAMES, A_CONTROL };
static struct conn *conns;
static int ep;

/* frame pool */
static int npool;
static struct frame {
	u8 *pay;
	u8 *wire;
	size_t wlen;
} *pool;

/* statistics */
static u64 n_msgs, n_bytes, n_err, n_connect_err, n_hs_err, n_len_err, n_content_err, n_eof,
	n_timeout, n_hs, n_proto_err, n_pings;
static u64 n_reads;
static int measuring, running = 1;
static int n_open;
static u64 tnow;
static char first_error[200];
static int src_rot;

static void err_note(const char *fmt, ...)
{
	n_err++;
	if (first_error[0])
		return;
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(first_error, sizeof first_error, fmt, ap);
	va_end(ap);
	for (char *p = first_error; *p; p++)
		if (*p == '"' || *p == '\\' || (u8)*p < 32 || (u8)*p > 126)
			*p = '.';
}

/* --------------------------------------------------------------- payloads */
static void fill_text(u8 *p, size_t n, int utf8)
{
	static const char *w[] = {"\"id\":", "\"user\":\"", "\"name\":\"", "price", "symbol",
		"update", "channel", "\",", "true,", "null,", "{\"a\":[", "],", "},", "timestamp",
		"quantity", "bid", "ask", "message", "hello world", ", "};
	static const char *mb[] = {
		"\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "\xd0\xb6", "\xe6\x97\xa5"};
	size_t i = 0;
	char t[64];
	while (i < n) {
		size_t l;
		u64 r = rng();
		const char *s;
		if (utf8 && r % 3 == 0)
			s = mb[(r >> 8) % 5], l = strlen(s);
		else if (r % 5 == 0) {
			snprintf(t, sizeof t, "%u,", (unsigned)((r >> 10) % 100000));
			s = t;
			l = strlen(s);
		} else
			s = w[(r >> 8) % 20], l = strlen(s);
		if (i + l > n) {
			if ((u8)s[0] >= 0x80) {
				p[i++] = 'x';
				continue;
			}
			l = n - i;
		}
		memcpy(p + i, s, l);
		i += l;
	}
}

static void build_pool(void)
{
	size_t S = o.size;
	npool = S ? (int)((4u << 20) / S) : 16;
	if (npool > 16)
		npool = 16;
	if (npool < 2)
		npool = 2;
	pool = calloc((size_t)npool, sizeof *pool);
	for (int k = 0; k < npool; k++) {
		struct frame *f = &pool[k];
		f->pay = malloc(S + 1);
		if (o.text)
			fill_text(f->pay, S, o.utf8);
		else
			for (size_t i = 0; i < S; i++)
				f->pay[i] = (u8)(rng() >> 24);
		u8 key[4];
		u64 r = rng();
		memcpy(key, &r, 4);
		if (o.dialect == D_RAW) {
			f->wire = f->pay;
			f->wlen = S;
		} else if (o.dialect <= D_HIXIE76) {
			f->wire = malloc(S + 2);
			f->wire[0] = 0;
			memcpy(f->wire + 1, f->pay, S);
			f->wire[S + 1] = 0xff;
			f->wlen = S + 2;
		} else {
			const u8 *body = f->pay;
			size_t bl = S;
			int b0 = 0x80 | (o.text ? 1 : 2);
			u8 *tmp = NULL;
#ifndef NO_ZLIB
			if (o.deflate) {
				z_stream z = {0};
				if (deflateInit2(&z, 6, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY) !=
					Z_OK)
					die("deflateInit2");
				size_t cap = deflateBound(&z, S) + 64;
				tmp = malloc(cap);
				z.next_in = f->pay;
				z.avail_in = (uInt)S;
				z.next_out = tmp;
				z.avail_out = (uInt)cap;
				if (deflate(&z, Z_SYNC_FLUSH) != Z_OK)
					die("deflate");
				bl = cap - z.avail_out - 4;
				deflateEnd(&z);
				body = tmp;
				b0 |= 0x40;
			}
#endif
			int nfrag = o.frag > 1 && bl >= (size_t)o.frag ? o.frag : 1;
			f->wire = malloc(bl + 14 * (size_t)nfrag);
			size_t w = 0, done = 0;
			for (int i = 0; i < nfrag; i++) {
				size_t part = i == nfrag - 1 ? bl - done : bl / (size_t)nfrag;
				int b = (i == 0 ? (b0 & 0x7f) : 0) | (i == nfrag - 1 ? 0x80 : 0);
				w += put_hdr(f->wire + w, b, part, 1, key);
				for (size_t j = 0; j < part; j++)
					f->wire[w + j] = body[done + j] ^ key[j & 3];
				w += part;
				done += part;
			}
			f->wlen = w;
			free(tmp);
		}
	}
}

/* ----------------------------------------------------------------- output */
static void ep_mod(struct conn *c, int out)
{
	if (c->want_out == out)
		return;
	c->want_out = (u8)out;
	struct epoll_event ev = {.events = EPOLLIN | (out ? (u32)EPOLLOUT : 0), .data.ptr = c};
	epoll_ctl(ep, EPOLL_CTL_MOD, c->fd, &ev);
}

static char tls_name[100]; /* version and cipher suite of the last connection */
#ifndef NO_TLS
static SSL_CTX *tls_ctx;
#endif

static ssize_t conn_read(struct conn *c, void *data, size_t room)
{
#ifndef NO_TLS
	if (c->tls)
		return tls_read(c->tls, data, room);
#endif
	return read(c->fd, data, room);
}

static ssize_t conn_writev(struct conn *c, const struct iovec *iov, int n, enum again what)
{
#ifndef NO_TLS
	if (c->tls) {
		ssize_t sent = tls_writev(c->tls, iov, n);
		c->again = sent < 0 && errno == EAGAIN ? what : A_NOTHING;
		return sent;
	}
#endif
	(void)what;
	return writev(c->fd, iov, n);
}

static ssize_t conn_write(struct conn *c, const void *data, size_t n)
{
	struct iovec iov = {.iov_base = (void *)data, .iov_len = n};
	return conn_writev(c, &iov, 1, A_CONTROL);
}

static enum again to_repeat(const struct conn *c)
{
#ifndef NO_TLS
	return c->again;
#else
	(void)c;
	return A_NOTHING;
#endif
}

static void conn_done(struct conn *c)
{
#ifndef NO_TLS
	if (c->tls)
		tls_end(c->tls);
	c->tls = NULL;
#endif
	if (c->fd >= 0) {
		close(c->fd);
	}
	c->fd = -1;
	if (c->st == C_OPEN)
		n_open--;
	c->st = C_DEAD;
	free(c->hs);
	c->hs = NULL;
#ifndef NO_ZLIB
	if (c->zin) {
		inflateEnd(c->zin);
		free(c->zin);
		c->zin = NULL;
	}
#endif
}

static void flush_out(struct conn *c)
{
	if (c->fd < 0)
		return;
	for (;;) {
		enum again again = to_repeat(c);
		if (c->pendlen > c->pendoff && c->off == 0 && again != A_FRAMES) {
			ssize_t n = conn_write(
				c, c->pend + c->pendoff, (size_t)(c->pendlen - c->pendoff));
			if (n < 0) {
				if (errno == EAGAIN) {
					ep_mod(c, 1);
					return;
				}
				if (running)
					err_note("write: %s", strerror(errno));
				conn_done(c);
				return;
			}
			c->pendoff += (int)n;
			if (c->pendoff == c->pendlen)
				c->pendoff = c->pendlen = 0;
			continue;
		}
		if (!c->tosend)
			break;
		struct iovec iov[64];
		u32 k = c->tosend < 64 ? c->tosend : 64;
		if (c->pendlen > c->pendoff && again != A_FRAMES)
			k = 1; /* finish this frame first */
		size_t tot = 0;
		for (u32 i = 0; i < k; i++) {
			struct frame *f = &pool[(c->send_idx + i) % (u32)npool];
			size_t off = i == 0 ? c->off : 0;
			iov[i].iov_base = f->wire + off;
			iov[i].iov_len = f->wlen - off;
			tot += f->wlen - off;
		}
		ssize_t n = conn_writev(c, iov, (int)k, A_FRAMES);
		if (n < 0) {
			if (errno == EAGAIN) {
				ep_mod(c, 1);
				return;
			}
			if (running)
				err_note("writev: %s", strerror(errno));
			conn_done(c);
			return;
		}
		size_t left = (size_t)n;
		for (u32 i = 0; i < k && left; i++) {
			if (left >= iov[i].iov_len) {
				left -= iov[i].iov_len;
				c->off = 0;
				c->send_idx++;
				c->tosend--;
			} else {
				c->off += left;
				left = 0;
			}
		}
		if ((size_t)n < tot && !o.tls) { /* a record is rarely all */
			ep_mod(c, 1);
			return;
		}
	}
	ep_mod(c, 0);
}

static void queue_ctl(struct conn *c, int op, const u8 *p, size_t n)
{
	if (c->pendlen + (int)n + 6 > (int)sizeof c->pend)
		return;
	u8 key[4];
	u64 r = rng();
	memcpy(key, &r, 4);
	c->pendlen += (int)put_hdr(c->pend + c->pendlen, 0x80 | op, n, 1, key);
	for (size_t i = 0; i < n; i++)
		c->pend[c->pendlen++] = p[i] ^ key[i & 3];
}

static void queue_msg(struct conn *c)
{
	if (c->ts)
		c->ts[c->qidx % (u32)o.window] = tnow;
	c->qidx++;
	c->tosend++;
}

/* ------------------------------------------------------------------ input */
static u64 bcast_total, bcast_sent;

static u64 receivers(void) { return (u64)(o.conns - o.others); }

static void on_message(struct conn *c)
{
	u64 want = o.size;
	if (c->mlen != want) {
		n_len_err++;
		err_note("length %" PRIu64 " expected %" PRIu64, c->mlen, want);
	}
	if (o.mode == M_BROADCAST) {
		if (o.others && c == &conns[0]) {
			n_proto_err++;
			err_note("the sender got its own message");
			return;
		}
		bcast_total++;
		c->recv_idx++;
		if (measuring) {
			n_msgs++;
			n_bytes += want;
			hist_add(tnow - conns[0].ts[(c->recv_idx - 1) % (u32)o.window]);
		}
		if (running && bcast_total % receivers() == 0) {
			queue_msg(&conns[0]);
			bcast_sent++;
		}
		return;
	}
	if (measuring) {
		n_msgs++;
		n_bytes += want;
		hist_add(tnow - c->ts[c->recv_idx % (u32)o.window]);
	}
	c->recv_idx++;
	if (running && o.mode == M_WINDOW)
		queue_msg(c);
}

static void payload(struct conn *c, const u8 *p, size_t n)
{
#ifndef NO_ZLIB
	if (c->msg_comp) {
		static u8 zout[1 << 16];
		c->zin->next_in = (u8 *)p;
		c->zin->avail_in = (uInt)n;
		do {
			c->zin->next_out = zout;
			c->zin->avail_out = sizeof zout;
			int r = inflate(c->zin, Z_SYNC_FLUSH);
			if (r != Z_OK && r != Z_BUF_ERROR && r != Z_STREAM_END) {
				n_proto_err++;
				err_note("inflate %d", r);
				return;
			}
			size_t got = sizeof zout - c->zin->avail_out;
			if (o.check && c->mlen + got <= o.size &&
				memcmp(zout, pool[c->recv_idx % (u32)npool].pay + c->mlen, got)) {
				n_content_err++;
				err_note("content");
			}
			c->mlen += got;
			if (r == Z_BUF_ERROR)
				break;
		} while (c->zin->avail_in || c->zin->avail_out == 0);
		return;
	}
#endif
	if (o.check) {
		const u8 *e = pool[c->recv_idx % (u32)npool].pay;
		if (c->mlen + n > o.size || memcmp(p, e + c->mlen, n)) {
			n_content_err++;
			err_note("content differs at message %u", c->recv_idx);
		}
	}
	c->mlen += n;
}

static void on_frame_end(struct conn *c)
{
	if (c->opcode >= 8) {
		if (c->opcode == 9) {
			n_pings++;
			queue_ctl(c, 10, c->ctl, c->ctllen);
		} else if (c->opcode == 8) {
			c->got_close = 1;
			if (running && o.mode != M_STORM && c->st == C_OPEN)
				err_note("server sent close %d %.*s",
					c->ctllen >= 2 ? c->ctl[0] << 8 | c->ctl[1] : 0,
					c->ctllen > 2 ? c->ctllen - 2 : 0, c->ctl + 2);
		}
		return;
	}
	if (c->fin) {
#ifndef NO_ZLIB
		if (c->msg_comp) {
			static const u8 tail[4] = {0, 0, 0xff, 0xff};
			payload(c, tail, 4);
		}
#endif
		if (c->msg_op != (o.text ? 1 : 2)) {
			n_proto_err++;
			err_note("opcode %d", c->msg_op);
		}
		c->inmsg = 0;
		c->msg_comp = 0;
		if (o.stream)
			return;
		on_message(c);
		c->mlen = 0;
	}
}

/* receive n bytes of a stream, in which each message is o.size bytes */
static void stream(struct conn *c, const u8 *p, size_t n)
{
	while (n) {
		size_t need = o.size - c->mlen, k = n < need ? n : need;
		payload(c, p, k);
		p += k;
		n -= k;
		if (c->mlen == o.size) {
			on_message(c);
			c->mlen = 0;
		}
	}
}

/* feed n bytes of post-handshake data */
static void feed(struct conn *c, const u8 *p, size_t n)
{
	const u8 *end = p + n;
	if (o.dialect == D_RAW) {
		stream(c, p, n);
		return;
	}
	if (o.dialect <= D_HIXIE76) {
		while (p < end) {
			if (!c->hix_in) {
				if (*p == 0x00)
					c->hix_in = 1, c->mlen = 0;
				else if (*p == 0xff)
					c->hix_in = 2; /* closing FF 00 */
				else {
					n_proto_err++;
					err_note("hixie frame type 0x%02x", *p);
				}
				p++;
				continue;
			}
			if (c->hix_in == 2) {
				c->got_close = 1;
				c->hix_in = 0;
				p++;
				continue;
			}
			const u8 *e = memchr(p, 0xff, (size_t)(end - p));
			size_t k = (size_t)((e ? e : end) - p);
			if (k)
				payload(c, p, k);
			p += k;
			if (e) {
				p++;
				c->hix_in = 0;
				on_message(c);
				c->mlen = 0;
			}
		}
		return;
	}
	while (p < end) {
		if (!c->inpay) {
			u8 need = 2;
			if (c->hlen >= 2) {
				u8 l = c->hdr[1] & 0x7f;
				need = l == 126 ? 4 : l == 127 ? 10 : 2;
			}
			while (c->hlen < need && p < end) {
				c->hdr[c->hlen++] = *p++;
				if (c->hlen == 2) {
					u8 l = c->hdr[1] & 0x7f;
					need = l == 126 ? 4 : l == 127 ? 10 : 2;
				}
			}
			if (c->hlen < need)
				return;
			u8 l = c->hdr[1] & 0x7f;
			if (c->hdr[1] & 0x80) {
				n_proto_err++;
				err_note("masked server frame");
			}
			c->rem = l < 126 ? l : 0;
			if (l >= 126)
				for (int i = 2; i < need; i++)
					c->rem = c->rem << 8 | c->hdr[i];
			c->fin = c->hdr[0] >> 7;
			c->opcode = c->hdr[0] & 15;
			c->hlen = 0;
			c->inpay = 1;
			if (c->opcode >= 8) {
				c->ctllen = 0;
				if (c->rem > 125) {
					n_proto_err++;
					err_note("long control frame");
					c->rem = 0;
				}
			} else {
				if (c->opcode) {
					if (c->inmsg) {
						n_proto_err++;
						err_note("interleaved data frame");
					}
					c->inmsg = 1;
					c->msg_op = c->opcode;
					if (!o.stream)
						c->mlen = 0;
					c->msg_comp = (c->hdr[0] >> 6) & 1;
					if (c->msg_comp && !o.deflate) {
						n_proto_err++;
						err_note("unexpected RSV1");
						c->msg_comp = 0;
					}
				} else if (!c->inmsg) {
					n_proto_err++;
					err_note("continuation outside message");
				}
			}
			if (c->rem == 0) {
				c->inpay = 0;
				on_frame_end(c);
			}
			continue;
		}
		size_t k = (u64)(end - p) < c->rem ? (size_t)(end - p) : (size_t)c->rem;
		if (c->opcode >= 8) {
			memcpy(c->ctl + c->ctllen, p, k);
			c->ctllen += (u8)k;
		} else if (o.stream)
			stream(c, p, k);
		else
			payload(c, p, k);
		p += k;
		c->rem -= k;
		if (c->rem == 0) {
			c->inpay = 0;
			on_frame_end(c);
		}
	}
}

/* -------------------------------------------------------------- handshake */
static void hixie_key(char *out, u32 *num)
{
	/* section 4.1 of hixie-76 */
	int spaces = 1 + (int)(rng() % 12);
	u32 maxn = 4294967295u / (u32)spaces;
	u32 n = (u32)(rng() % ((u64)maxn + 1));
	*num = n;
	char s[96];
	snprintf(s, sizeof s, "%" PRIu64, (u64)n * (u64)spaces);
	size_t L = strlen(s);
	int junk = 1 + (int)(rng() % 12);
	for (int i = 0; i < junk; i++) {
		u32 r = (u32)(rng() % 84); /* 0x21-0x2F (15) 0x3A-0x7E (69) */
		char ch = r < 15 ? (char)(0x21 + r) : (char)(0x3a + r - 15);
		size_t pos = rng() % (L + 1);
		memmove(s + pos + 1, s + pos, L - pos + 1);
		s[pos] = ch;
		L++;
	}
	for (int i = 0; i < spaces; i++) { /* not first or last */
		size_t pos = 1 + rng() % (L - 1);
		memmove(s + pos + 1, s + pos, L - pos + 1);
		s[pos] = ' ';
		L++;
	}
	strcpy(out, s);
}

static int conn_setup_hs(struct conn *c, char *req)
{
	const char *web = o.tls ? "https" : "http"; /* the scheme of the origin */
	int n = 0;
	if (o.dialect >= D_HYBI07) {
		u8 k[16];
		char key[32];
		u64 a = rng(), b = rng();
		memcpy(k, &a, 8);
		memcpy(k + 8, &b, 8);
		b64(k, 16, key);
		accept_key(key, (char *)c->expect);
		n = sprintf(req,
			"GET %s HTTP/1.1\r\nHost: %s:%d\r\nUpgrade: websocket\r\nConnection: "
			"Upgrade\r\n"
			"Sec-WebSocket-Key: %s\r\nSec-WebSocket-Version: %d\r\n%s: "
			"%s://%s:%d\r\n%s\r\n",
			o.path, o.host, o.port, key,
			o.dialect == D_HYBI07   ? 7
			: o.dialect == D_HYBI08 ? 8
						: 13,
			o.dialect == D_RFC6455 ? "Origin" : "Sec-WebSocket-Origin", web, o.host, o.port,
			o.deflate ? "Sec-WebSocket-Extensions: permessage-deflate\r\n" : "");
	} else if (o.dialect == D_HIXIE76) {
		char k1[128], k2[128];
		u32 n1, n2;
		u8 ch[16];
		hixie_key(k1, &n1);
		hixie_key(k2, &n2);
		for (int i = 0; i < 4; i++)
			ch[i] = (u8)(n1 >> (24 - 8 * i)), ch[4 + i] = (u8)(n2 >> (24 - 8 * i));
		u64 r = rng();
		memcpy(ch + 8, &r, 8);
		md5_16(ch, c->expect);
		n = sprintf(req,
			"GET %s HTTP/1.1\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\nHost: "
			"%s:%d\r\nOrigin: %s://%s:%d\r\n"
			"Sec-WebSocket-Key1: %s\r\nSec-WebSocket-Key2: %s\r\n\r\n",
			o.path, o.host, o.port, web, o.host, o.port, k1, k2);
		memcpy(req + n, ch + 8, 8);
		n += 8;
	} else if (o.dialect == D_HIXIE75) {
		n = sprintf(req,
			"GET %s HTTP/1.1\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\nHost: "
			"%s:%d\r\nOrigin: %s://%s:%d\r\n\r\n",
			o.path, o.host, o.port, web, o.host, o.port);
	}
	return n;
}

static int find_header(const char *h, const char *name, char *out, size_t cap)
{
	size_t k = strlen(name);
	for (const char *l = strstr(h, "\r\n"); l; l = strstr(l + 2, "\r\n")) {
		const char *p = l + 2;
		if (!strncasecmp(p, name, k) && p[k] == ':') {
			p += k + 1;
			while (*p == ' ' || *p == '\t')
				p++;
			const char *e = strstr(p, "\r\n");
			size_t n = e ? (size_t)(e - p) : strlen(p);
			if (n >= cap)
				n = cap - 1;
			memcpy(out, p, n);
			out[n] = 0;
			return 1;
		}
	}
	return 0;
}

static void on_open(struct conn *c)
{
	c->st = C_OPEN;
	n_open++;
	n_hs++;
#ifndef NO_ZLIB
	if (o.deflate) {
		c->zin = calloc(1, sizeof *c->zin);
		inflateInit2(c->zin, -15);
	}
#endif
}

/* returns bytes consumed from buf, 0 when more is needed, -1 on error */
static int hs_parse(struct conn *c)
{
	c->hs[c->hslen] = 0;
	char *e = memmem(c->hs, (size_t)c->hslen, "\r\n\r\n", 4);
	if (!e)
		return c->hslen >= 4000 ? -1 : 0;
	int n = (int)(e - c->hs) + 4;
	char v[256];
	if (strncmp(c->hs, "HTTP/1.1 101", 12)) {
		e[0] = 0;
		err_note("handshake: %.60s", c->hs);
		return -1;
	}
	if (o.dialect >= D_HYBI07) {
		char save = e[2];
		e[2] = 0;
		int ok = find_header(c->hs, "Sec-WebSocket-Accept", v, sizeof v) &&
			 !strcmp(v, (char *)c->expect);
		int pmd = find_header(c->hs, "Sec-WebSocket-Extensions", v, sizeof v) &&
			  strstr(v, "permessage-deflate");
		e[2] = save;
		if (!ok) {
			err_note("bad Sec-WebSocket-Accept");
			return -1;
		}
		if (o.deflate && !pmd) {
			err_note("server did not accept permessage-deflate");
			return -1;
		}
	} else if (o.dialect == D_HIXIE76) {
		if (c->hslen < n + 16)
			return 0;
		if (memcmp(c->hs + n, c->expect, 16)) {
			err_note("bad hixie-76 challenge response");
			return -1;
		}
		n += 16;
	}
	return n;
}

static int start_conn(struct conn *c)
{
	u64 *ts = c->ts;
	memset(c, 0, sizeof *c);
	c->ts = ts;
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->fd < 0)
		die("socket: %s (raise ulimit -n)", strerror(errno));
	int one = 1;
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	if (o.mode == M_STORM || o.conns > 20000) {
		/* rotate loopback source addresses so that TIME_WAIT does not eat the port range */
		struct sockaddr_in sa = {.sin_family = AF_INET,
			.sin_addr.s_addr = htonl(0x7f000002u + (u32)(src_rot++ % 200))};
		setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
		if (bind(c->fd, (struct sockaddr *)&sa, sizeof sa))
			die("bind: %s", strerror(errno));
	}
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)o.port)};
	inet_pton(AF_INET, o.host, &a.sin_addr);
	c->t0 = now_ns();
	c->st = C_CONNECTING;
	if (connect(c->fd, (struct sockaddr *)&a, sizeof a) && errno != EINPROGRESS) {
		n_connect_err++;
		err_note("connect: %s", strerror(errno));
		conn_done(c);
		return -1;
	}
	struct epoll_event ev = {.events = EPOLLIN | EPOLLOUT, .data.ptr = c};
	c->want_out = 1;
	if (epoll_ctl(ep, EPOLL_CTL_ADD, c->fd, &ev))
		die("epoll_ctl");
	return 0;
}

static u8 *rbuf;
static size_t rbufsz;

static void storm_finish(struct conn *c, int ok)
{
	if (ok && measuring) {
		n_msgs++;
		hist_add(now_ns() - c->t0);
	}
	conn_done(c);
	if (running)
		start_conn(c);
}

/* why: NULL if the error was noted before. */
static void hs_failed(struct conn *c, const char *why)
{
	n_hs_err++;
	if (why)
		err_note("handshake: %s", why);
	conn_done(c);
	if (o.mode == M_STORM && running && n_hs_err < 1000)
		start_conn(c);
}

static void begin_close(struct conn *c)
{
	c->st = C_CLOSING;
	n_open--;
	if (o.dialect >= D_HYBI07) {
		u8 code[2] = {0x03, 0xe8};
		queue_ctl(c, 8, code, 2);
		flush_out(c);
	} else {
		conn_done(c);
	}
}

/* Connected: send the request of the handshake; in the raw dialect the first message of a storm. */
static void greet(struct conn *c)
{
	if (o.dialect == D_RAW) {
		if (o.mode == M_STORM) {
			c->st = C_HANDSHAKE;
			ssize_t r = conn_write(c, pool[0].wire, pool[0].wlen);
			if (r != (ssize_t)pool[0].wlen)
				err_note("short write");
			return;
		}
		on_open(c);
		return;
	}
	char req[2048];
	int n = conn_setup_hs(c, req);
	ssize_t r = conn_write(c, req, (size_t)n);
	if (r != n) {
		hs_failed(c, strerror(errno));
		return;
	}
	c->hs = malloc(4200);
	c->hslen = 0;
	c->st = C_HANDSHAKE;
}

#ifndef NO_TLS
static void continue_tls(struct conn *c)
{
	int r = SSL_do_handshake(c->tls);
	if (r == 1) {
		ep_mod(c, 0);
		snprintf(tls_name, sizeof tls_name, "%s %s", SSL_get_version(c->tls),
			SSL_get_cipher(c->tls));
		greet(c);
		return;
	}
	int want = SSL_get_error(c->tls, r);
	if (want == SSL_ERROR_WANT_READ || want == SSL_ERROR_WANT_WRITE) {
		ep_mod(c, want == SSL_ERROR_WANT_WRITE);
		return;
	}
	const char *why = ERR_reason_error_string(ERR_peek_error());
	hs_failed(c, why ? why : "TLS handshake: EOF");
	ERR_clear_error();
}
#endif

static void on_event(struct conn *c, u32 ev)
{
	if (c->fd < 0)
		return;
	if (c->st == C_CONNECTING) {
		int e = 0;
		socklen_t l = sizeof e;
		getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &e, &l);
		if (e) {
			n_connect_err++;
			err_note("connect: %s", strerror(e));
			conn_done(c);
			if (o.mode == M_STORM && running && n_connect_err < 1000)
				start_conn(c);
			return;
		}
		if (!(ev & EPOLLOUT))
			return;
		ep_mod(c, 0);
#ifndef NO_TLS
		if (o.tls) {
			c->tls = tls_start(tls_ctx, c->fd);
			if (!c->tls)
				die("OpenSSL has no memory");
			c->st = C_TLS;
			continue_tls(c);
			return;
		}
#endif
		greet(c);
		return;
	}
#ifndef NO_TLS
	if (c->st == C_TLS) {
		continue_tls(c);
		return;
	}
#endif
	if (ev & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
		if (c->st == C_HANDSHAKE && o.dialect != D_RAW) {
			ssize_t n = conn_read(c, c->hs + c->hslen, (size_t)(4096 - c->hslen));
			if (n <= 0) {
				if (n < 0 && errno == EAGAIN)
					return;
				hs_failed(c, n ? strerror(errno) : "EOF");
				return;
			}
			c->hslen += (int)n;
			int k = hs_parse(c);
			if (k == 0)
				return;
			if (k < 0) {
				hs_failed(c, NULL);
				return;
			}
			on_open(c);
			int left = c->hslen - k;
			if (left)
				feed(c, (u8 *)c->hs + k, (size_t)left);
			free(c->hs);
			c->hs = NULL;
			if (o.mode == M_STORM) {
				begin_close(c);
				if (c->fd < 0)
					storm_finish(c, 1);
			}
			return;
		}
		ssize_t n = conn_read(c, rbuf, rbufsz);
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0) {
			if (c->st == C_CLOSING) {
				if (o.mode == M_STORM)
					storm_finish(c, 1);
				else
					conn_done(c);
				return;
			}
			if (running || n < 0) {
				n_eof++;
				err_note("connection lost: %s", n ? strerror(errno) : "EOF");
			}
			conn_done(c);
			if (o.mode == M_STORM && running && n_eof < 1000)
				start_conn(c);
			return;
		}
		if (measuring)
			n_reads++;
		if (o.mode == M_STORM && o.dialect == D_RAW) {
			c->mlen += (u64)n;
			if (c->mlen >= o.size) {
				n_hs++;
				c->st = C_CLOSING;
				conn_done(c);
				storm_finish(c, 1);
			}
			return;
		}
		tnow = now_ns();
		feed(c, rbuf, (size_t)n);
		if (c->fd < 0)
			return;
		if (c->st == C_CLOSING && c->got_close && o.mode == M_STORM) {
			storm_finish(c, 1);
			return;
		}
		if (o.mode == M_BROADCAST && (conns[0].tosend || conns[0].pendlen))
			flush_out(&conns[0]);
	}
	if (c->tosend || c->pendlen || c->want_out)
		flush_out(c);
}

static void poll_once(int ms)
{
	struct epoll_event ev[512];
	int n = epoll_wait(ep, ev, 512, ms);
	if (n < 0 && errno != EINTR)
		die("epoll_wait");
	for (int i = 0; i < n; i++)
		on_event(ev[i].data.ptr, ev[i].events);
}

/* ---------------------------------------------------------------- options */
static void usage(void)
{
	fprintf(stderr, "wsload --port P [--host 127.0.0.1] [--path /] [--pid SERVERPID]\n"
			"  [--dialect rfc6455|hybi08|hybi07|hixie76|hixie75|raw]\n"
			"  [--mode window|storm|idle|broadcast] [-c CONNS] [-w WINDOW] [-s SIZE]\n"
			"  [--text|--utf8|--binary] [--deflate] [--frag N] [--check] [--touch]\n"
			"  [--stream] [--others] [--tls] [--inflight N] [--warmup S] [--time S]\n");
	exit(2);
}

static int one_of(const char *word, const char **names, int n)
{
	for (int i = 0; i < n; i++)
		if (!strcmp(word, names[i]))
			return i;
	usage();
	return -1;
}

static void read_options(int argc, char **argv)
{
	static struct option lo[] = {{"host", 1, 0, 'H'}, {"port", 1, 0, 'p'}, {"path", 1, 0, 'P'},
		{"dialect", 1, 0, 'd'}, {"mode", 1, 0, 'm'}, {"conns", 1, 0, 'c'},
		{"window", 1, 0, 'w'}, {"size", 1, 0, 's'}, {"binary", 0, 0, 'b'},
		{"text", 0, 0, 't'}, {"utf8", 0, 0, 'u'}, {"warmup", 1, 0, 'W'},
		{"time", 1, 0, 'T'}, {"check", 0, 0, 'k'}, {"deflate", 0, 0, 'z'},
		{"frag", 1, 0, 'f'}, {"pid", 1, 0, 'i'}, {"inflight", 1, 0, 'n'},
		{"touch", 0, 0, 'o'}, {"stream", 0, 0, 'S'}, {"others", 0, 0, 'O'},
		{"tls", 0, 0, 'L'}, {"help", 0, 0, 'h'}, {0, 0, 0, 0}};
	int ch;
	while ((ch = getopt_long(argc, argv, "c:w:s:p:T:h", lo, NULL)) != -1) {
		switch (ch) {
		case 'H':
			o.host = optarg;
			break;
		case 'p':
			o.port = atoi(optarg);
			break;
		case 'P':
			o.path = optarg;
			break;
		case 'd':
			o.dialect = (enum dialect)one_of(optarg, dialect_names, 6);
			break;
		case 'm':
			o.mode = (enum mode)one_of(optarg, mode_names, 4);
			break;
		case 'c':
			o.conns = atoi(optarg);
			break;
		case 'w':
			o.window = atoi(optarg);
			break;
		case 's':
			o.size = strtoull(optarg, 0, 0);
			break;
		case 'b':
			o.text = 0;
			break;
		case 't':
			o.text = 1;
			break;
		case 'u':
			o.text = 1;
			o.utf8 = 1;
			break;
		case 'W':
			o.warmup = atof(optarg);
			break;
		case 'T':
			o.time = atof(optarg);
			break;
		case 'k':
			o.check = 1;
			break;
		case 'z':
			o.deflate = 1;
			break;
		case 'f':
			o.frag = atoi(optarg);
			break;
		case 'i':
			o.pid = atoi(optarg);
			break;
		case 'n':
			o.inflight = atoi(optarg);
			break;
		case 'o':
			o.touch = 1;
			break;
		case 'S':
			o.stream = 1;
			break;
		case 'O':
			o.others = 1;
			break;
		case 'L':
			o.tls = 1;
			break;
		default:
			usage();
		}
	}
}

static void check_options(void)
{
	if (!o.port || o.conns < 1 || o.window < 1)
		usage();
	if (o.others && (o.mode != M_BROADCAST || o.conns < 2))
		usage();
	if (!o.size && o.dialect == D_RAW)
		usage();
	if (strncmp(o.host, "127.", 4))
		die("loopback only");
	if (strlen(o.path) > 500)
		die("path too long");
	if (o.time > 120 || o.warmup > 120)
		die("time is bounded to 120 s");
	if (o.dialect <= D_HIXIE76 && o.dialect != D_RAW && !o.text)
		die("hixie has no binary messages");
	if (o.deflate && o.dialect < D_HYBI08)
		die("no deflate in this dialect");
	if (o.stream && (!o.size || o.deflate || (o.dialect <= D_HIXIE76 && o.dialect != D_RAW)))
		die("a stream is in frames of its own bytes");
#ifdef NO_ZLIB
	if (o.deflate)
		die("built without zlib");
#endif
#ifdef NO_TLS
	if (o.tls)
		die("built without OpenSSL");
#endif
	if (o.mode == M_IDLE)
		o.window = 1;
}

static void prepare(void)
{
	struct rlimit rl;
	static u64 nobody_reads[1];
	signal(SIGPIPE, SIG_IGN);
	getrlimit(RLIMIT_NOFILE, &rl);
	rl.rlim_cur = rl.rlim_max;
	setrlimit(RLIMIT_NOFILE, &rl);
	rng_s ^= now_ns() * 2654435761u;
	build_pool();
#ifndef NO_TLS
	if (o.tls && !(tls_ctx = tls_context()))
		die("OpenSSL: no context");
#endif
	rbufsz = o.size > (256u << 10) ? (1u << 20) : (256u << 10);
	rbuf = malloc(rbufsz);
	ep = epoll_create1(EPOLL_CLOEXEC);
	conns = calloc((size_t)o.conns, sizeof *conns);
	for (int i = 0; i < o.conns; i++) {
		conns[i].fd = -1;
		if (o.mode == M_WINDOW || o.mode == M_BROADCAST)
			conns[i].ts = calloc((size_t)o.window, sizeof(u64));
		if (o.mode == M_IDLE && o.touch)
			conns[i].ts = nobody_reads;
	}
}

/* ------------------------------------------------------ the measured span */
static struct {
	struct cpu server0, server1, client0, client1;
	u64 t0, t1, reads0, open_ns;
	long pss0, pss1;
} span = {.pss0 = -1, .pss1 = -1};

static u64 seconds(double s) { return (u64)(s * 1e9); }


static void begin_span(void)
{
	measuring = 1;
	span.reads0 = n_reads;
	span.server0 = tree_cpu(o.pid);
	span.client0 = tree_cpu(getpid());
	span.t0 = now_ns();
}

static void end_span(void)
{
	span.t1 = now_ns();
	span.server1 = tree_cpu(o.pid);
	span.client1 = tree_cpu(getpid());
	measuring = 0;
	running = 0;
}

static void poll_until(u64 t)
{
	while (now_ns() < t)
		poll_once(100);
}

static void await_closed(void)
{
	u64 give_up = now_ns() + seconds(1);
	for (;;) {
		int alive = 0;
		for (int i = 0; i < o.conns; i++)
			alive += conns[i].fd >= 0;
		if (!alive || now_ns() > give_up)
			return;
		poll_once(20);
	}
}

static void close_all(void)
{
	for (int i = 0; i < o.conns; i++)
		if (conns[i].st == C_OPEN)
			begin_close(&conns[i]);
	await_closed();
}

/* ------------------------------------------------------------------ modes */
static void run_storm(void)
{
	u64 begin = now_ns() + seconds(o.warmup), end = begin + seconds(o.time);
	for (int i = 0; i < o.conns; i++)
		start_conn(&conns[i]);
	for (;;) {
		poll_once(20);
		u64 t = now_ns();
		if (!measuring && t >= begin)
			begin_span();
		if (t >= end || n_hs_err >= 1000 || n_connect_err >= 1000 || n_eof >= 1000)
			break;
	}
	end_span();
	await_closed();
}

/* Connections [from, to) are opened, at most o.inflight handshakes at a time. */
static void open_conns(int from, int to, u64 give_up)
{
	int next = from;
	for (;;) {
		int pending = next - n_open - (int)(n_connect_err + n_hs_err + n_eof);
		while (next < to && pending < o.inflight) {
			start_conn(&conns[next++]);
			pending++;
		}
		if (next >= to && pending <= 0)
			return;
		if (now_ns() > give_up) {
			n_timeout += (u64)(pending > 0 ? pending : 0);
			err_note("timeout while opening");
			return;
		}
		poll_once(100);
	}
}

/* One echo on each of connections [from, to). */
static void touch_conns(int from, int to)
{
	u64 give_up = now_ns() + seconds(10);
	tnow = now_ns();
	for (int i = from; i < to; i++) {
		if (conns[i].st != C_OPEN)
			continue;
		queue_msg(&conns[i]);
		flush_out(&conns[i]);
		if (i % 64 == 63)
			poll_once(1);
	}
	for (;;) {
		int wait = 0;
		for (int i = from; i < to; i++)
			wait += conns[i].st == C_OPEN && conns[i].recv_idx < 1;
		if (!wait)
			return;
		if (now_ns() > give_up) {
			n_timeout += (u64)wait;
			err_note("%d connections were not answered", wait);
			return;
		}
		poll_once(50);
	}
}

/* The first fifth is opened and touched before the first reading of memory, so that the
   server's free heap does not count: bytes per connection is a slope. */
static int idle_base(void) { return o.conns >= 50 ? o.conns / 5 : 0; }

static void run_idle(void)
{
	u64 start = now_ns(), give_up = start + seconds(60);
	int base = idle_base();
	span.pss0 = tree_pss(o.pid);
	if (base) {
		open_conns(0, base, give_up);
		if (o.touch)
			touch_conns(0, base);
		poll_until(now_ns() + seconds(0.5));
		span.pss0 = tree_pss(o.pid);
	}
	open_conns(base, o.conns, give_up);
	span.open_ns = now_ns() - start;
	if (o.touch)
		touch_conns(base, o.conns);
	begin_span();
	poll_until(span.t0 + seconds(o.time));
	span.pss1 = tree_pss(o.pid);
	end_span();
	close_all();
}

static void fill_windows(void)
{
	tnow = now_ns();
	if (o.mode == M_BROADCAST) {
		for (int w = 0; w < o.window; w++)
			queue_msg(&conns[0]);
		bcast_sent += (u64)o.window;
		flush_out(&conns[0]);
		return;
	}
	for (int w = 0; w < o.window; w++)
		for (int i = 0; i < o.conns; i++)
			queue_msg(&conns[i]);
	for (int i = 0; i < o.conns; i++)
		flush_out(&conns[i]);
}

static u64 received(void)
{
	u64 sum = 0;
	for (int i = 0; i < o.conns; i++)
		sum += conns[i].recv_idx;
	return sum;
}

/* Whether nothing was received for five seconds. */
static int stalled(u64 t)
{
	static u64 looked, count, changed;
	if (!changed)
		changed = t;
	if (t - looked < seconds(0.1))
		return 0;
	looked = t;
	u64 now = received();
	if (now != count)
		count = now, changed = t;
	return t - changed > seconds(5);
}

static u64 in_flight(void)
{
	u64 sum = 0;
	if (o.mode == M_BROADCAST)
		return bcast_sent * receivers() - bcast_total;
	for (int i = 0; i < o.conns; i++)
		if (conns[i].st == C_OPEN)
			sum += conns[i].qidx - conns[i].recv_idx;
	return sum;
}

static void drain(void)
{
	u64 give_up = now_ns() + seconds(3), lost;
	while ((lost = in_flight())) {
		if (now_ns() > give_up) {
			n_timeout += lost;
			err_note("%" PRIu64 " messages never came back", lost);
			return;
		}
		poll_once(20);
	}
}

static void run_messages(void)
{
	u64 start = now_ns();
	open_conns(0, o.conns, start + seconds(60));
	span.open_ns = now_ns() - start;
	if (n_open < o.conns) {
		n_err += !n_err;
		return;
	}
	fill_windows();
	u64 begin = now_ns() + seconds(o.warmup);
	while (n_open) {
		poll_once(20);
		u64 t = now_ns();
		if (!measuring && t >= begin)
			begin_span();
		if (measuring && t >= span.t0 + seconds(o.time))
			break;
		if (stalled(t)) {
			n_timeout++;
			err_note("no progress for 5 s");
			break;
		}
	}
	end_span();
	drain();
	close_all();
}

/* ----------------------------------------------------------------- report */
static void report_server(double elapsed)
{
	double run = (double)(span.server1.run - span.server0.run);
	double waited = (double)(span.server1.wait - span.server0.wait);
	double user = (double)(span.server1.user - span.server0.user);
	double both = user + (double)(span.server1.sys - span.server0.sys);
	printf("\"srv_cpu_us_per_msg\":%.3f,\"srv_util\":%.3f,\"srv_wait\":%.3f,\"srv_user_frac\":%"
	       ".2f,",
		n_msgs ? run / 1e3 / (double)n_msgs : 0.0, run / 1e9 / elapsed,
		waited / 1e9 / elapsed, both > 0 ? user / both : 0.0);
	printf("\"pss0_kb\":%ld,\"pss1_kb\":%ld,", span.pss0, span.pss1);
	if (o.mode == M_IDLE && n_hs > (u64)idle_base())
		printf("\"memory_per_conn\":%.0f,", 1024.0 * (double)(span.pss1 - span.pss0) /
							(double)(n_hs - (u64)idle_base()));
}

static void report(void)
{
	double elapsed = span.t1 > span.t0 ? (double)(span.t1 - span.t0) / 1e9 : 1e-9;
	u64 reads = n_reads - span.reads0;
	printf("{\"mode\":\"%s\",\"dialect\":\"%s\",\"conns\":%d,\"window\":%d,\"size\":%zu,"
	       "\"text\":%d,\"deflate\":%d,\"check\":%d,\"tls\":\"%s\",",
		mode_names[o.mode], dialect_names[o.dialect], o.conns, o.window, o.size, o.text,
		o.deflate, o.check, tls_name);
	printf("\"elapsed\":%.4f,\"open_s\":%.4f,\"opened\":%" PRIu64 ",\"msgs\":%" PRIu64
	       ",\"rate\":%.1f,\"mbps\":%.3f,",
		elapsed, (double)span.open_ns / 1e9, n_hs, n_msgs, (double)n_msgs / elapsed,
		(double)n_bytes / elapsed / 1e6);
	printf("\"p50_us\":%.2f,\"p99_us\":%.2f,\"p999_us\":%.2f,\"max_us\":%.2f,",
		hist_q(0.5) / 1e3, hist_q(0.99) / 1e3, hist_q(0.999) / 1e3, (double)hist_max / 1e3);
	printf("\"msgs_per_read\":%.2f,", reads ? (double)n_msgs / (double)reads : 0.0);
	if (o.pid)
		report_server(elapsed);
	printf("\"cli_util\":%.3f,\"cli_wait\":%.3f,",
		(double)(span.client1.run - span.client0.run) / 1e9 / elapsed,
		(double)(span.client1.wait - span.client0.wait) / 1e9 / elapsed);
	printf("\"errors\":%" PRIu64 ",\"connect_err\":%" PRIu64 ",\"hs_err\":%" PRIu64
	       ",\"len_err\":%" PRIu64 ",\"content_err\":%" PRIu64 ",\"proto_err\":%" PRIu64
	       ",\"eof\":%" PRIu64 ",\"timeout\":%" PRIu64 ",\"pings\":%" PRIu64
	       ",\"first_error\":\"%s\"}\n",
		n_err, n_connect_err, n_hs_err, n_len_err, n_content_err, n_proto_err, n_eof,
		n_timeout, n_pings, first_error);
}

int main(int argc, char **argv)
{
	read_options(argc, argv);
	check_options();
	prepare();
	if (o.mode == M_STORM)
		run_storm();
	else if (o.mode == M_IDLE)
		run_idle();
	else
		run_messages();
	report();
	return n_err ? 1 : 0;
}
