/* Receiving from and sending to sockets that do not block, in C: the calls that run for each message.
 *
 * They save what Python's own calls cost beside the system call: an object of 64 KiB for each read, which is then
 * shrunk, one object of all parts of a write, and twice releasing the interpreter's lock. The lock is held: neither
 * call waits, and the buffer below belongs to the thread that holds the lock.
 * socket_calls.py has the twins in Python. Nothing here judges a byte: see sansio/wire.
 * Limited API: one build works with every Python from 3.11 on.
 */
#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030b0000
#include <Python.h>
#include <errno.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "../sansio/wire/mask.h"

#define READ_SIZE 65536 /* bufferSize of Twisted's transports */
#define WIDE_READ 263168 /* as in socket_calls.py */
#define MOST_PARTS 64   /* of one system call; POSIX guarantees 16, Linux and the BSDs have 1024 */

#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0 /* Python ignores SIGPIPE */
#endif

static char buffer[READ_SIZE];

/* Return the descriptor of a socket; -1 for a closed socket, and for an object without a descriptor. The system
 * call then fails as with a lost connection. */
static int
descriptor(PyObject *socket)
{
    int fd = PyObject_AsFileDescriptor(socket);
    if (fd < 0)
        PyErr_Clear();
    return fd;
}

static ssize_t
take(int fd, void *into, size_t most)
{
    ssize_t got;
    do
        got = recv(fd, into, most, MSG_DONTWAIT);
    while (got < 0 && errno == EINTR);
    return got;
}

/* Return what stands for a read without bytes: no bytes at the end, None if nothing has arrived, False for an error. */
static PyObject *
nothing(ssize_t got)
{
    if (got == 0)
        return PyBytes_FromStringAndSize(NULL, 0);
    if (errno == EAGAIN || errno == EWOULDBLOCK)
        Py_RETURN_NONE;
    Py_RETURN_FALSE;
}

static PyObject *
receive(PyObject *module, PyObject *socket)
{
    ssize_t got = take(descriptor(socket), buffer, READ_SIZE);
    (void)module;
    return got > 0 ? PyBytes_FromStringAndSize(buffer, got) : nothing(got);
}

/* Receive behind the first `start` bytes of a payload, and unmask what was received. A payload without room is copied to
 * a new one of `size` bytes. Room is what only this function has written to, so that no other owner of an object sees a
 * change. */
static PyObject *
receive_payload(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    Py_ssize_t start, size, have, room;
    PyObject *payload, *result;
    unsigned char *into;
    ssize_t got;
    int masked;
    (void)module;
    if (count != 5 || !PyBytes_Check(args[1]) || !PyBytes_Check(args[4])) {
        PyErr_SetString(PyExc_TypeError, "receive_payload takes a socket, bytes, a start, a size and a masking key");
        return NULL;
    }
    start = PyLong_AsSsize_t(args[2]);
    size = PyLong_AsSsize_t(args[3]);
    if (PyErr_Occurred())
        return NULL;
    have = PyBytes_Size(args[1]);
    masked = PyBytes_Size(args[4]) > 0;
    if (start < 1 || start > have || (start == have && size <= start) || (masked && PyBytes_Size(args[4]) != 4)) {
        PyErr_SetString(PyExc_ValueError, "no room in the payload, or no masking key");
        return NULL;
    }
    payload = start < have ? Py_NewRef(args[1]) : PyBytes_FromStringAndSize(NULL, size);
    if (payload == NULL)
        return NULL;
    into = (unsigned char *)PyBytes_AsString(payload);
    if (start == have)
        memcpy(into, PyBytes_AsString(args[1]), start);
    room = PyBytes_Size(payload) - start;
    got = take(descriptor(args[0]), into + start, room < WIDE_READ ? room : WIDE_READ);
    if (got > 0 && masked)
        apply(into + start, into + start, got, (unsigned char *)PyBytes_AsString(args[4]));
    result = got > 0 ? Py_BuildValue("(On)", payload, (Py_ssize_t)got) : nothing(got);
    Py_DECREF(payload);
    return result;
}

/* Return the number of bytes that the kernel has taken; 0 for an error too. */
static size_t
give(int fd, struct iovec *parts, size_t count)
{
    struct msghdr message = {0};
    ssize_t sent;
    message.msg_iov = parts;
    message.msg_iovlen = count;
    do
        sent = count == 1 ? send(fd, parts->iov_base, parts->iov_len, MSG_DONTWAIT | MSG_NOSIGNAL)
                          : sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent < 0 ? 0 : (size_t)sent;
}

static int
set_part(struct iovec *part, PyObject *object)
{
    if (object == NULL || !PyBytes_Check(object)) {
        PyErr_SetString(PyExc_TypeError, "a part is bytes");
        return 0;
    }
    part->iov_base = PyBytes_AsString(object);
    part->iov_len = (size_t)PyBytes_Size(object);
    return 1;
}

static PyObject *
send_parts(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    struct iovec parts[MOST_PARTS];
    size_t total = 0, wanted, sent;
    Py_ssize_t size, i = 0;
    int fd;
    (void)module;
    if (count != 2) {
        PyErr_SetString(PyExc_TypeError, "send_parts takes a socket and parts");
        return NULL;
    }
    fd = descriptor(args[0]);
    if (!PyList_Check(args[1])) {
        if (!set_part(parts, args[1]))
            return NULL;
        return PyLong_FromSize_t(give(fd, parts, 1));
    }
    size = PyList_Size(args[1]);
    do { /* no Python code runs here, so the list stays as it is */
        size_t number = 0;
        for (wanted = 0; i < size && number < MOST_PARTS; i++, number++) {
            if (!set_part(parts + number, PyList_GetItem(args[1], i)))
                return NULL;
            wanted += parts[number].iov_len;
        }
        total += sent = number == 0 ? 0 : give(fd, parts, number);
    } while (sent == wanted && i < size);
    return PyLong_FromSize_t(total);
}

static PyMethodDef methods[] = {
    {"receive", receive, METH_O,
     "receive(socket): return received bytes, none at the end; None if nothing has arrived; False for an error."},
    {"receive_payload", (PyCFunction)(void (*)(void))receive_payload, METH_FASTCALL,
     "receive_payload(socket, payload, start, size, key): receive into a payload; return it and the number of bytes."},
    {"send_parts", (PyCFunction)(void (*)(void))send_parts, METH_FASTCALL,
     "send_parts(socket, parts): send bytes or a list of bytes; return the number of bytes that were sent."},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot slots[] = {{0, NULL}};

static struct PyModuleDef module = {
    .m_base = PyModuleDef_HEAD_INIT,
    .m_name = "txhixie.sockets._sockets",
    .m_size = 0,
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC
PyInit__sockets(void)
{
    return PyModuleDef_Init(&module);
}
