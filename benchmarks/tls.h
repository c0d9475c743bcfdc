/*
 * TLS of a client by OpenSSL, with the results and the errno of read(2) and writev(2). A client does
 * not verify the certificate, and makes a full handshake for each connection, without resumption.
 */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>
#include <sys/uio.h>

/* Most bytes of a record (RFC 8446 section 5.1). */
#define RECORD (1 << 14)

/* NULL if OpenSSL fails. */
static SSL_CTX *tls_context(void)
{
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());

	if (!context)
		return NULL;
	SSL_CTX_set_verify(context, SSL_VERIFY_NONE, NULL);
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_options(context, SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE |
					  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
					  SSL_MODE_RELEASE_BUFFERS);
	return context;
}

/* NULL if OpenSSL fails. */
static SSL *tls_start(SSL_CTX *context, int fd)
{
	SSL *tls = SSL_new(context);

	if (tls && SSL_set_fd(tls, fd) == 1)
		SSL_set_connect_state(tls);
	return tls;
}

/* The return value and errno for a failed call of OpenSSL. */
static ssize_t tls_failed(SSL *tls, int result)
{
	int error = SSL_get_error(tls, result), number = errno;

	ERR_clear_error();
	if (error == SSL_ERROR_ZERO_RETURN)
		return 0;
	if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE)
		errno = EAGAIN;
	else
		errno = error == SSL_ERROR_SYSCALL && number ? number : EPROTO;
	return -1;
}

/* Read all records that the socket has, as far as they have room in the buffer: what is left is in
   the socket, so that epoll reports it, and not in OpenSSL. */
static ssize_t tls_read(SSL *tls, uint8_t *data, size_t room)
{
	size_t got = 0, n = 0;

	do {
		int result = SSL_read_ex(tls, data + got, room - got, &n);
		if (result != 1) {
			ssize_t failed = tls_failed(tls, result);
			return got ? (ssize_t)got : failed;
		}
		got += n;
	} while (room - got >= RECORD);
	return (ssize_t)got;
}

/* Write one record: the beginning of these buffers. After EAGAIN the same bytes have to follow. */
static ssize_t tls_writev(SSL *tls, const struct iovec *buffers, int count)
{
	static uint8_t joined[RECORD];
	const void *data = buffers[0].iov_base;
	size_t length = buffers[0].iov_len, n = 0;

	if (length < RECORD) {
		length = 0;
		for (int i = 0; i < count && length < RECORD; i++) {
			size_t part = buffers[i].iov_len, room = RECORD - length;
			if (part > room)
				part = room;
			memcpy(joined + length, buffers[i].iov_base, part);
			length += part;
		}
		data = joined;
	}
	int result = SSL_write_ex(tls, data, length, &n);
	return result == 1 ? (ssize_t)n : tls_failed(tls, result);
}

/* Send a close_notify alert (RFC 8446 section 6.1), and free the connection's memory. */
static void tls_end(SSL *tls)
{
	if (SSL_is_init_finished(tls))
		SSL_shutdown(tls);
	ERR_clear_error();
	SSL_free(tls);
}
