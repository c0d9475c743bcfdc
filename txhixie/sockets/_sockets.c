/* Receiving from and sending to sockets that do not block, in C: the calls that run for each message.
 *
 * They save what Python's own calls cost beside the system call: an object of 64 KiB for each read, which is then
 * shrunk, one object of all parts of a write, and twice releasing the interpreter's lock. The lock is held: no call
 * waits, and the buffer below belongs to the thread that holds the lock.
 * socket_calls.py has the twins in Python, except for receive_payload. Nothing here judges a byte: see sansio/wire.
 */
#include <errno.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "../sansio/compiled.h"
#include "../sansio/wire/mask.h"

#define READ_SIZE 65536  /* bufferSize of Twisted's transports */
#define PAYLOAD_READ 786432 /* as in socket_calls.py */
#define MOST_PARTS 64    /* of one system call; POSIX guarantees 16, Linux and the BSDs have 1024 */

#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0 /* Python ignores SIGPIPE */
#endif

static char buffer[READ_SIZE];

/* Return a descriptor, or that of a socket; -1 for a closed socket, and for an object without a descriptor. The
 * system call then fails as with a lost connection. */
static int
descriptor(PyObject *socket)
{
    int fd = PyObject_AsFileDescriptor(socket);
    if (fd < 0)
        PyErr_Clear();
    return fd;
}

/* Return the result of a read without bytes: no bytes at the end, None if nothing has arrived, False for an error. */
static PyObject *
nothing(ssize_t got)
{
    if (got == 0)
        return PyBytes_FromStringAndSize(NULL, 0);
    if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)
        Py_RETURN_NONE;
    Py_RETURN_FALSE;
}

static PyObject *
receive(PyObject *module, PyObject *socket)
{
    ssize_t got = recv(descriptor(socket), buffer, READ_SIZE, MSG_DONTWAIT);
    return got > 0 ? PyBytes_FromStringAndSize(buffer, got) : nothing(got);
}

/* Receive behind the first `start` bytes of a payload, and unmask what was received. A payload without room is copied
 * to a new one of `size` bytes. Only this function makes payloads with room and writes there, so that no other owner of
 * an object sees a change. */
static PyObject *
receive_payload(PyObject *module, PyObject *args)
{
    PyObject *socket, *payload, *result;
    Py_ssize_t start, size, key_size, room;
    const unsigned char *key;
    unsigned char *data;
    ssize_t got;
    if (!PyArg_ParseTuple(args, "OSnny#", &socket, &payload, &start, &size, &key, &key_size))
        return NULL;
    room = PyBytes_Size(payload) - start;
    if (start < 1 || room < 0 || (room == 0 && size <= start) || (key_size != 0 && key_size != 4)) {
        PyErr_SetString(PyExc_ValueError, "no room in the payload, or no masking key");
        return NULL;
    }
    if (room > 0)
        Py_INCREF(payload);
    else {
        const char *old = PyBytes_AsString(payload);
        if ((payload = PyBytes_FromStringAndSize(NULL, size)) == NULL)
            return NULL;
        memcpy(PyBytes_AsString(payload), old, start);
        room = size - start;
    }
    data = (unsigned char *)PyBytes_AsString(payload) + start;
    got = recv(descriptor(socket), data, room < PAYLOAD_READ ? room : PAYLOAD_READ, MSG_DONTWAIT);
    if (got > 0 && key_size > 0)
        apply(data, data, got, key);
    result = got > 0 ? Py_BuildValue("(On)", payload, (Py_ssize_t)got) : nothing(got);
    Py_DECREF(payload);
    return result;
}

static PyObject *
send_parts(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    struct iovec parts[MOST_PARTS];
    struct msghdr message = {.msg_iov = parts};
    Py_ssize_t size, i = 0;
    size_t total = 0, wanted;
    ssize_t sent;
    int fd, is_list;
    if (count != 2) {
        PyErr_SetString(PyExc_TypeError, "send_parts takes a socket and parts");
        return NULL;
    }
    fd = descriptor(args[0]);
    is_list = PyList_Check(args[1]);
    size = is_list ? PyList_Size(args[1]) : 1;
    do { /* no Python code runs here, so the list stays as it is */
        size_t number = 0;
        for (wanted = 0; i < size && number < MOST_PARTS; i++, number++) {
            PyObject *part = is_list ? PyList_GetItem(args[1], i) : args[1];
            if (part == NULL || !PyBytes_Check(part)) {
                PyErr_SetString(PyExc_TypeError, "a part is bytes");
                return NULL;
            }
            parts[number].iov_base = PyBytes_AsString(part);
            wanted += parts[number].iov_len = (size_t)PyBytes_Size(part);
        }
        message.msg_iovlen = number;
        sent = number == 1 ? send(fd, parts->iov_base, parts->iov_len, MSG_DONTWAIT | MSG_NOSIGNAL)
                           : sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
        total += sent > 0 ? (size_t)sent : 0; /* 0 for an error */
    } while (sent == (ssize_t)wanted && i < size);
    return PyLong_FromSize_t(total);
}

static PyMethodDef methods[] = {
    {"receive", receive, METH_O,
     "receive(fd): return received bytes, none at the end; None if nothing has arrived; False for an error."},
    {"receive_payload", receive_payload, METH_VARARGS,
     "receive_payload(socket, payload, start, size, key): receive into a payload; return it and the number of bytes."},
    FAST(send_parts, "(socket, parts): send bytes or a list of bytes; return the number of bytes that were sent."),
    {NULL, NULL, 0, NULL},
};

MODULE("txhixie.sockets._sockets", PyInit__sockets)
