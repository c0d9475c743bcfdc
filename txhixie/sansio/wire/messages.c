/* Whole messages, in C: bytes to `str` and `bytes`, and text to a frame, without a step between.
 *
 * A peer decides over every byte that these functions read. They stop before all that is not the
 * whole message of one plain frame: a control frame, a fragment, a reserved bit, a wrong mask, a
 * payload over the limit, text that is not UTF-8, an incomplete frame. The Python code judges that
 * and words the error. message_batch.py has the same functions in Python, with the same results.
 */
#include "wire.h"

#define MOST_SCRATCH 16384 /* bytes on the stack for unmasked text; longer text is allocated */

/* Add a message and drop the reference to it; return 1, or -1 with an exception. */
static int
add(PyObject *messages, PyObject *message)
{
    int failed = message == NULL || PyList_Append(messages, message) < 0;
    Py_XDECREF(message);
    return failed ? -1 : 1;
}

/* Add text; return 1, 0 if it is not UTF-8, or -1 with an exception. */
static int
add_text(PyObject *messages, const unsigned char *payload, Py_ssize_t size)
{
    PyObject *text = PyUnicode_DecodeUTF8((const char *)payload, size, NULL);
    if (text == NULL && PyErr_ExceptionMatches(PyExc_UnicodeDecodeError)) {
        PyErr_Clear();
        return 0;
    }
    return add(messages, text);
}

/* Add the text of a masked payload, with the key directly before it; results as of add_text. */
static int
add_masked_text(PyObject *messages, const unsigned char *payload, Py_ssize_t size)
{
    unsigned char scratch[MOST_SCRATCH], *plain = scratch;
    int result;
    if (size > MOST_SCRATCH && (plain = PyMem_Malloc(size)) == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    apply(plain, payload, size, payload - 4);
    result = add_text(messages, plain, size);
    if (plain != scratch)
        PyMem_Free(plain);
    return result;
}

static PyObject *
masked_bytes(const unsigned char *payload, Py_ssize_t size)
{
    PyObject *plain = PyBytes_FromStringAndSize(NULL, size);
    if (plain != NULL)
        apply((unsigned char *)PyBytes_AsString(plain), payload, size, payload - 4);
    return plain;
}

/* Return (messages, position after them, bytes of their payloads). */
static PyObject *
batch(PyObject *messages, Py_ssize_t position, Py_ssize_t bytes)
{
    return messages == NULL ? NULL : Py_BuildValue("(Nnn)", messages, position, bytes);
}

PyObject *
read_messages(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    Py_ssize_t position, limit, have, most, size, bytes = 0;
    const unsigned char *data;
    PyObject *messages;
    int masked, added = 1;
    (void)module;
    if (count != 5 || !PyBytes_Check(args[0])) {
        PyErr_SetString(PyExc_TypeError,
                        "read_messages takes bytes, a position, a limit, a bool and a number");
        return NULL;
    }
    masked = PyObject_IsTrue(args[3]);
    most = PyLong_AsSsize_t(args[4]);
    if (PyErr_Occurred() || !get_read(args, &position, &limit, &have))
        return NULL;
    data = (const unsigned char *)PyBytes_AsString(args[0]);
    messages = PyList_New(0);
    while (messages != NULL && most-- > 0) {
        const unsigned char *at = data + position;
        Py_ssize_t start = find(at, have - position, masked, &size);
        if (start == 0 || size > limit)
            break;
        if (at[0] == 0x81)
            added = masked ? add_masked_text(messages, at + start, size)
                           : add_text(messages, at + start, size);
        else if (at[0] == 0x82)
            added = add(messages, masked ? masked_bytes(at + start, size)
                                         : PyBytes_FromStringAndSize((const char *)at + start, size));
        else
            break; /* a fragment */
        if (added == 0)
            break;
        if (added < 0)
            Py_CLEAR(messages);
        position += start + size;
        bytes += size;
    }
    return batch(messages, position, bytes);
}

PyObject *
read_text_messages(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    Py_ssize_t position, limit, have, most, bytes = 0;
    const unsigned char *data;
    PyObject *messages;
    (void)module;
    if (count != 4 || !PyBytes_Check(args[0])) {
        PyErr_SetString(PyExc_TypeError,
                        "read_text_messages takes bytes, a position, a limit and a number");
        return NULL;
    }
    most = PyLong_AsSsize_t(args[3]);
    if (PyErr_Occurred() || !get_read(args, &position, &limit, &have))
        return NULL;
    data = (const unsigned char *)PyBytes_AsString(args[0]);
    messages = PyList_New(0);
    while (messages != NULL && most-- > 0) {
        const unsigned char *text = data + position + 1, *last;
        int added;
        if (position == have || data[position] != 0x00
            || (last = memchr(text, 0xFF, have - position - 1)) == NULL || last - text > limit)
            break;
        added = add_text(messages, text, last - text);
        if (added == 0)
            break;
        if (added < 0)
            Py_CLEAR(messages);
        position = last + 1 - data;
        bytes += last - text;
    }
    return batch(messages, position, bytes);
}

/* Return the UTF-8 of a text. PyUnicode_AsUTF8AndSize would save a copy, but keeps the UTF-8 of text
 * that is not ASCII as long as the text lives: twice the memory for an application that keeps it. */
static PyObject *
utf8(PyObject *text)
{
    if (!PyUnicode_Check(text)) {
        PyErr_SetString(PyExc_TypeError, "expected a str");
        return NULL;
    }
    return PyUnicode_AsUTF8String(text);
}

PyObject *
write_text(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    PyObject *payload, *frame;
    const unsigned char *key = NULL;
    (void)module;
    if (count < 1 || count > 2 || (count == 2 && !PyBytes_Check(args[1]))) {
        PyErr_SetString(PyExc_TypeError, "write_text takes a str and a masking key");
        return NULL;
    }
    if (count == 2) {
        if (PyBytes_Size(args[1]) != 4) {
            PyErr_SetString(PyExc_ValueError, "a masking key has 4 bytes");
            return NULL;
        }
        key = (const unsigned char *)PyBytes_AsString(args[1]);
    }
    payload = utf8(args[0]);
    if (payload == NULL)
        return NULL;
    frame = make_frame(0x81, PyBytes_AsString(payload), PyBytes_Size(payload), key);
    Py_DECREF(payload);
    return frame;
}

PyObject *
write_hixie_text(PyObject *module, PyObject *text)
{
    PyObject *payload = utf8(text), *frame;
    Py_ssize_t size;
    (void)module;
    if (payload == NULL)
        return NULL;
    size = PyBytes_Size(payload);
    frame = PyBytes_FromStringAndSize(NULL, size + 2);
    if (frame != NULL) {
        char *out = PyBytes_AsString(frame);
        out[0] = 0x00;
        memcpy(out + 1, PyBytes_AsString(payload), size);
        out[size + 1] = (char)0xFF;
    }
    Py_DECREF(payload);
    return frame;
}
