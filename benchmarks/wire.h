/*
 * Functions of RFC 6455 for client and server: SHA-1, base64, Sec-WebSocket-Accept, the header of a
 * frame.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef uint8_t u8;
typedef uint32_t u32;
typedef uint64_t u64;

static u32 rol(u32 x, int n) { return (x << n) | (x >> (32 - n)); }

static void sha1(const u8 *msg, size_t len, u8 out[20])
{
	u32 h[5] = {0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0};
	u8 buf[256];
	if (len > 180)
		abort();
	memset(buf, 0, sizeof buf);
	memcpy(buf, msg, len);
	buf[len] = 0x80;
	size_t n = (len + 9 + 63) / 64 * 64;
	for (int i = 0; i < 8; i++)
		buf[n - 1 - i] = (u8)(((u64)len * 8) >> (8 * i));
	for (size_t b = 0; b < n; b += 64) {
		u32 w[80], a = h[0], bb = h[1], c = h[2], d = h[3], e = h[4];
		for (int i = 0; i < 16; i++)
			w[i] = (u32)buf[b + i * 4] << 24 | (u32)buf[b + i * 4 + 1] << 16 |
			       (u32)buf[b + i * 4 + 2] << 8 | buf[b + i * 4 + 3];
		for (int i = 16; i < 80; i++)
			w[i] = rol(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
		for (int i = 0; i < 80; i++) {
			u32 f, k;
			if (i < 20)
				f = (bb & c) | (~bb & d), k = 0x5A827999;
			else if (i < 40)
				f = bb ^ c ^ d, k = 0x6ED9EBA1;
			else if (i < 60)
				f = (bb & c) | (bb & d) | (c & d), k = 0x8F1BBCDC;
			else
				f = bb ^ c ^ d, k = 0xCA62C1D6;
			u32 t = rol(a, 5) + f + e + k + w[i];
			e = d;
			d = c;
			c = rol(bb, 30);
			bb = a;
			a = t;
		}
		h[0] += a;
		h[1] += bb;
		h[2] += c;
		h[3] += d;
		h[4] += e;
	}
	for (int i = 0; i < 20; i++)
		out[i] = (u8)(h[i / 4] >> (24 - 8 * (i % 4)));
}

static void b64(const u8 *in, int n, char *out)
{
	static const char t[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	int j = 0;
	for (int i = 0; i < n; i += 3) {
		u32 v = (u32)in[i] << 16 | (i + 1 < n ? in[i + 1] << 8 : 0) |
			(i + 2 < n ? in[i + 2] : 0);
		out[j++] = t[v >> 18];
		out[j++] = t[(v >> 12) & 63];
		out[j++] = i + 1 < n ? t[(v >> 6) & 63] : '=';
		out[j++] = i + 2 < n ? t[v & 63] : '=';
	}
	out[j] = 0;
}

/* Sec-WebSocket-Accept for a key (RFC 6455 section 4.2.2); out has room for 29 bytes. */
static void accept_key(const char *key, char *out)
{
	u8 digest[20];
	char text[128];

	snprintf(text, sizeof text, "%.80s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key);
	sha1((u8 *)text, strlen(text), digest);
	b64(digest, 20, out);
}

static size_t put_hdr(u8 *p, int b0, u64 len, int masked, const u8 *key)
{
	size_t i = 0;
	p[i++] = (u8)b0;
	u8 m = masked ? 0x80 : 0;
	if (len < 126)
		p[i++] = (u8)(m | len);
	else if (len < 65536) {
		p[i++] = m | 126;
		p[i++] = (u8)(len >> 8);
		p[i++] = (u8)len;
	} else {
		p[i++] = m | 127;
		for (int k = 7; k >= 0; k--)
			p[i++] = (u8)(len >> (8 * k));
	}
	if (masked) {
		memcpy(p + i, key, 4);
		i += 4;
	}
	return i;
}
