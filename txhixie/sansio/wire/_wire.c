/* Masking (RFC 6455 section 5.3), frames (section 5.2), text frames of the Hixie drafts, and whole messages, in C:
 * the code that runs for each frame and each message.
 *
 * A peer decides over every byte that these functions read. They stop before a frame that is not plain, is not
 * complete or breaks a rule, and before text that is not UTF-8: hybi.py and hixie.py judge it, and word the error.
 * mask.py, hybi_batch.py, hixie_batch.py, message_batch.py and joined_texts.py have the same functions in Python, with
 * the same results byte for byte. For a frame of 128 bytes Python takes 0.7 us to read it and 0.2 us to write it; this
 * module takes a tenth of that.
 */
#include "../compiled.h"
#include "mask.h"

#define MOST_FRAMES 64     /* of one batch; hybi_batch.py has the reason */
#define MOST_SCRATCH 16384 /* bytes on the stack for unmasked text; longer text is allocated */

static PyObject *
mask(PyObject *module, PyObject *args)
{
    Py_buffer data, key;
    PyObject *result = NULL;
    if (!PyArg_ParseTuple(args, "y*y*", &data, &key))
        return NULL;
    if (key.len != 4)
        PyErr_SetString(PyExc_ValueError, "a masking key has 4 bytes");
    else if ((result = PyBytes_FromStringAndSize(NULL, data.len)) != NULL)
        apply((unsigned char *)PyBytes_AsString(result), data.buf, data.len, key.buf);
    PyBuffer_Release(&key);
    PyBuffer_Release(&data);
    return result;
}

/* Return the offset of the payload of the plain frame at `at`; 0 if the frame is not plain or not complete. */
static Py_ssize_t
find(const unsigned char *at, Py_ssize_t have, int masked, Py_ssize_t *size)
{
    Py_ssize_t start = masked ? 6 : 2;
    if (have < start || at[0] & 0x70 || (at[0] & 0x0F) > 2 || (at[1] & 0x80) != (masked ? 0x80 : 0))
        return 0;
    *size = at[1] & 0x7F;
    if (*size > 125) {
        int i, count = *size == 126 ? 2 : 8;
        uint64_t length = 0;
        start += count;
        if (have < start)
            return 0;
        for (i = 0; i < count; i++)
            length = length << 8 | at[2 + i];
        if (length < (count == 2 ? 126 : 65536) || length > (uint64_t)(have - start))
            return 0; /* compared before it is a Py_ssize_t, which may have fewer bits */
        *size = (Py_ssize_t)length;
    }
    return *size <= have - start ? start : 0;
}

/* The same for a text frame of the Hixie drafts, which ends with a byte behind its payload. */
static Py_ssize_t
find_text(const unsigned char *at, Py_ssize_t have, Py_ssize_t *size)
{
    const unsigned char *last = have > 0 && at[0] == 0x00 ? memchr(at, 0xFF, have) : NULL;
    *size = last == NULL ? 0 : last - at - 1;
    return last != NULL;
}

/* Return a payload as bytes. A masked payload has its key directly before it. */
static PyObject *
bytes_of(const unsigned char *payload, Py_ssize_t size, int masked)
{
    PyObject *plain = PyBytes_FromStringAndSize(masked ? NULL : (const char *)payload, size);
    if (masked && plain != NULL)
        apply((unsigned char *)PyBytes_AsString(plain), payload, size, payload - 4);
    return plain;
}

/* Return a payload as text; NULL without an exception if it is not UTF-8. */
static PyObject *
text_of(const unsigned char *payload, Py_ssize_t size, int masked)
{
    unsigned char scratch[MOST_SCRATCH];
    PyObject *plain = NULL, *text;
    if (masked && size <= MOST_SCRATCH) {
        apply(scratch, payload, size, payload - 4);
        payload = scratch;
    }
    else if (masked) {
        if ((plain = bytes_of(payload, size, masked)) == NULL)
            return NULL;
        payload = (unsigned char *)PyBytes_AsString(plain);
    }
    text = PyUnicode_DecodeUTF8((const char *)payload, size, NULL);
    Py_XDECREF(plain);
    if (text == NULL && PyErr_ExceptionMatches(PyExc_UnicodeDecodeError))
        PyErr_Clear();
    return text;
}

/* Return a frame as a tuple, as hybi.py does: (opcode, payload, final, 0, True). */
static PyObject *
frame_of(int first, PyObject *payload)
{
    PyObject *frame = payload == NULL ? NULL : PyTuple_New(5); /* Py_BuildValue would take 0.2 us */
    if (frame == NULL) {
        Py_XDECREF(payload);
        return NULL;
    }
    PyTuple_SetItem(frame, 0, PyLong_FromLong(first & 0x0F)); /* a small int, which is cached */
    PyTuple_SetItem(frame, 1, payload);
    PyTuple_SetItem(frame, 2, PyBool_FromLong(first & 0x80));
    PyTuple_SetItem(frame, 3, PyLong_FromLong(0));
    PyTuple_SetItem(frame, 4, PyBool_FromLong(1));
    return frame;
}

/* Read frames or whole messages. The arguments for frames are data, position, limit and masked; those for messages are
 * limit, masked, data, position and their number; `masked` is missing in the Hixie dialects. Return what was read, the
 * position after it, and for messages the bytes of their payloads. */
static PyObject *
read_all(PyObject *const *args, Py_ssize_t count, int hixie, int frames)
{
    Py_ssize_t wanted = 5 - hixie - frames, first_arg = frames ? 0 : 2 - hixie; /* the index of the data */
    Py_ssize_t position, limit, most, size, bytes = 0;
    const unsigned char *data, *end;
    PyObject *all, *one, *result;
    int masked;
    if (count != wanted || !PyBytes_Check(args[first_arg])) {
        PyErr_SetString(PyExc_TypeError, "expected bytes, a position, a limit and what the name of the function asks for");
        return NULL;
    }
    position = PyLong_AsSsize_t(args[first_arg + 1]);
    limit = PyLong_AsSsize_t(args[frames ? 2 : 0]);
    masked = hixie ? 0 : PyObject_IsTrue(args[frames ? 3 : 1]);
    most = frames ? MOST_FRAMES : PyLong_AsSsize_t(args[wanted - 1]);
    if (PyErr_Occurred())
        return NULL;
    data = (const unsigned char *)PyBytes_AsString(args[first_arg]);
    end = data + PyBytes_Size(args[first_arg]);
    if (position < 0 || position > end - data) {
        PyErr_SetString(PyExc_ValueError, "position outside the data");
        return NULL;
    }
    all = PyList_New(0);
    while (all != NULL && most-- > 0) {
        const unsigned char *at = data + position;
        Py_ssize_t start = hixie ? find_text(at, end - at, &size) : find(at, end - at, masked, &size);
        int first = start == 0 ? 0 : hixie ? 0x81 : at[0];
        if (start == 0 || size > limit || (first != 0x81 && first != 0x82 && !frames))
            break;
        if (frames)
            one = frame_of(first, bytes_of(at + start, size, masked));
        else
            one = first == 0x81 ? text_of(at + start, size, masked) : bytes_of(at + start, size, masked);
        if (one == NULL && !PyErr_Occurred())
            break;
        if (one == NULL || PyList_Append(all, one) < 0)
            Py_CLEAR(all);
        Py_XDECREF(one);
        position += start + size + hixie;
        bytes += size;
    }
    result = all == NULL ? NULL : PyTuple_New(3 - frames);
    if (result == NULL) {
        Py_XDECREF(all);
        return NULL;
    }
    PyTuple_SetItem(result, 0, all);
    PyTuple_SetItem(result, 1, PyLong_FromSsize_t(position));
    if (!frames)
        PyTuple_SetItem(result, 2, PyLong_FromSsize_t(bytes));
    if (PyErr_Occurred())
        Py_CLEAR(result);
    return result;
}

#define DEFINE(name, call)                                                                                             \
    static PyObject *name(PyObject *module, PyObject *const *args, Py_ssize_t count)                                   \
    {                                                                                                                  \
        return call;                                                                                                   \
    }
DEFINE(read_plain, read_all(args, count, 0, 1))
DEFINE(read_texts, read_all(args, count, 1, 1))
DEFINE(read_messages, read_all(args, count, 0, 0))
DEFINE(read_text_messages, read_all(args, count, 1, 0))

static PyObject *
write_plain(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    PyObject *frame, *key = count > 4 ? args[4] : NULL;
    Py_ssize_t start, i;
    Py_buffer payload;
    long first, reserved;
    int final;
    if (count < 2 || count > 5) {
        PyErr_SetString(PyExc_TypeError, "expected an opcode, a payload, final, reserved bits and a masking key");
        return NULL;
    }
    first = PyLong_AsLong(args[0]);
    final = count > 2 ? PyObject_IsTrue(args[2]) : 1;
    reserved = count > 3 ? PyLong_AsLong(args[3]) : 0;
    if (!PyErr_Occurred() && key != NULL && (!PyBytes_Check(key) || PyBytes_Size(key) != 4))
        PyErr_SetString(PyBytes_Check(key) ? PyExc_ValueError : PyExc_TypeError, "a masking key has 4 bytes");
    if (PyErr_Occurred() || PyObject_GetBuffer(args[1], &payload, PyBUF_SIMPLE) < 0)
        return NULL;
    start = payload.len < 126 ? 2 : payload.len < 65536 ? 4 : 10;
    frame = PyBytes_FromStringAndSize(NULL, start + (key == NULL ? 0 : 4) + payload.len);
    if (frame != NULL) {
        unsigned char *out = (unsigned char *)PyBytes_AsString(frame);
        uint64_t rest = (uint64_t)payload.len;
        out[0] = (unsigned char)(first | reserved | (final ? 0x80 : 0));
        out[1] = start == 2 ? (unsigned char)rest : start == 4 ? 126 : 127;
        for (i = start - 1; i > 1; i--, rest >>= 8)
            out[i] = (unsigned char)rest;
        if (key == NULL)
            memcpy(out + start, payload.buf, payload.len);
        else {
            out[1] |= 0x80;
            memcpy(out + start, PyBytes_AsString(key), 4);
            apply(out + start + 4, payload.buf, payload.len, out + start);
        }
    }
    PyBuffer_Release(&payload);
    return frame;
}

/* Frames of text that are sent together: the replies to one read of one connection. joined_texts.py has the rules.
 * The memory is that of the process, also with several interpreters in it; only one of them may run a reactor. */
static unsigned char joined[65536]; /* JOINED_SIZE */
static Py_ssize_t joined_size;

/* Join a frame to these. The arguments are a text, and the most bytes of its UTF-8. Return whether the frame was
 * joined: not for a longer text, and not without room. */
static PyObject *
join(PyObject *const *args, Py_ssize_t count, int hixie)
{
    static PyObject *is_ascii; /* of an empty str; its C function is called, since a method call takes 0.04 us more */
    Py_ssize_t length = count == 2 ? PyUnicode_GetLength(args[0]) : -1, most, size = 0, start;
    PyObject *ascii, *encoded = NULL;
    unsigned char *out = joined + joined_size;
    const char *payload = NULL;
    int fits;
    if (length < 0) {
        PyErr_SetString(PyExc_TypeError, "expected a str and a number of bytes");
        return NULL;
    }
    most = PyLong_AsSsize_t(args[1]);
    if (length > most) /* so that no long text is encoded in vain; an error is -1 */
        return PyErr_Occurred() ? NULL : PyBool_FromLong(0);
    if (is_ascii == NULL && (is_ascii = PyObject_GetAttrString(PyUnicode_FromString(""), "isascii")) == NULL)
        return NULL;
    ascii = PyCFunction_GetFlags(is_ascii) == METH_NOARGS
                ? PyCFunction_GetFunction(is_ascii)(args[0], NULL)
                : (PyErr_Clear(), PyObject_CallMethod(args[0], "isascii", NULL)); /* an error about the flags */
    if (ascii == Py_True)
        /* In place. For other text CPython would keep the UTF-8 in the str as long as that lives. */
        payload = PyUnicode_AsUTF8AndSize(args[0], &size);
    else if (ascii != NULL && (encoded = PyUnicode_AsUTF8String(args[0])) != NULL) {
        payload = PyBytes_AsString(encoded);
        size = PyBytes_Size(encoded);
    }
    fits = payload != NULL && size <= most && size < (Py_ssize_t)sizeof joined - joined_size - 4;
    if (fits) {
        start = hixie ? 1 : size < 126 ? 2 : 4;
        out[0] = hixie ? 0x00 : 0x81;
        if (start == 2)
            out[1] = (unsigned char)size;
        else if (start == 4) {
            out[1] = 126;
            out[2] = (unsigned char)(size >> 8);
            out[3] = (unsigned char)size;
        }
        memcpy(out + start, payload, size);
        out[start + size] = 0xFF; /* the end of a frame of hixie; otherwise written over by the next one */
        joined_size += start + size + hixie;
    }
    Py_XDECREF(ascii);
    Py_XDECREF(encoded);
    return payload == NULL ? NULL : PyBool_FromLong(fits);
}

DEFINE(join_text, join(args, count, 0))
DEFINE(join_hixie_text, join(args, count, 1))

static PyObject *
take_joined(PyObject *module, PyObject *nothing)
{
    Py_ssize_t size = joined_size;
    joined_size = 0;
    return PyBytes_FromStringAndSize((const char *)joined, size);
}

static PyMethodDef methods[] = {
    FAST(read_plain, "(data, position, limit, masked): read plain frames; return them and their end."),
    FAST(write_plain, "(opcode, payload, final=True, reserved=0, key): return the bytes of a frame."),
    FAST(read_texts, "(data, position, limit): read text frames of Hixie dialects; return them and their end."),
    FAST(read_messages, "(limit, masked, data, position, most): read messages of plain frames."),
    FAST(read_text_messages, "(limit, data, position, most): read texts of Hixie dialects."),
    FAST(join_text, "(text, most): join an unmasked frame of a text of at most so many bytes; return whether it fits."),
    FAST(join_hixie_text, "(text, most): the same for a text frame of Hixie dialects."),
    {"mask", mask, METH_VARARGS, "mask(data, key): return data XOR the repeated masking key."},
    {"take_joined", take_joined, METH_NOARGS, "take_joined(): remove the joined frames, and return their bytes."},
    {NULL, NULL, 0, NULL},
};

MODULE("txhixie.sansio.wire._wire", PyInit__wire)
