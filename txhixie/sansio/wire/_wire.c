/* Masking (RFC 6455 section 5.3), plain frames (section 5.2), and text frames of the Hixie drafts, in C:
 * the code that runs for each frame. messages.c has the code that runs for each message.
 *
 * mask.py, hybi_batch.py and hixie_batch.py have the same functions in Python, with the same results
 * byte for byte, for installations without this module. For a frame of 128 bytes Python takes 0.7 us
 * to read it and 0.2 us to write it; this module takes a tenth of that. Frames that are not plain, not
 * complete, or break a rule are left to hybi.py and hixie.py.
 * Limited API: one build works with every Python from 3.11 on.
 */
#include "wire.h"

static PyObject *
mask(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    Py_buffer data, key;
    PyObject *result = NULL;
    (void)module;
    if (count != 2) {
        PyErr_SetString(PyExc_TypeError, "mask takes data and a key");
        return NULL;
    }
    if (PyObject_GetBuffer(args[0], &data, PyBUF_SIMPLE) < 0)
        return NULL;
    if (PyObject_GetBuffer(args[1], &key, PyBUF_SIMPLE) == 0) {
        if (key.len != 4)
            PyErr_SetString(PyExc_ValueError, "a masking key has 4 bytes");
        else if ((result = PyBytes_FromStringAndSize(NULL, data.len)) != NULL)
            apply((unsigned char *)PyBytes_AsString(result), data.buf, data.len, key.buf);
        PyBuffer_Release(&key);
    }
    PyBuffer_Release(&data);
    return result;
}

static PyObject *
unmask(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    Py_ssize_t start, end, size;
    const unsigned char *data;
    PyObject *result;
    (void)module;
    if (count != 3 || !PyBytes_Check(args[0])) {
        PyErr_SetString(PyExc_TypeError, "unmask takes bytes, a start and an end");
        return NULL;
    }
    start = PyLong_AsSsize_t(args[1]);
    end = PyLong_AsSsize_t(args[2]);
    if (PyErr_Occurred())
        return NULL;
    size = PyBytes_Size(args[0]);
    if (start < 4 || start > end || end > size) {
        PyErr_SetString(PyExc_ValueError, "no masking key and payload at this position");
        return NULL;
    }
    data = (const unsigned char *)PyBytes_AsString(args[0]);
    result = PyBytes_FromStringAndSize(NULL, end - start);
    if (result != NULL)
        apply((unsigned char *)PyBytes_AsString(result), data + start, end - start,
              data + start - 4);
    return result;
}

/* Return a frame as a tuple, as hybi.py does: (opcode, payload, final, 0, True). */
static PyObject *
made(unsigned char first, PyObject *payload)
{
    PyObject *frame = payload == NULL ? NULL : PyTuple_New(5);
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

int
get_read(PyObject *const *args, Py_ssize_t *position, Py_ssize_t *limit, Py_ssize_t *size)
{
    *position = PyLong_AsSsize_t(args[1]);
    *limit = PyLong_AsSsize_t(args[2]);
    if (PyErr_Occurred())
        return 0;
    *size = PyBytes_Size(args[0]);
    if (*position < 0 || *position > *size) {
        PyErr_SetString(PyExc_ValueError, "position outside the data");
        return 0;
    }
    return 1;
}

static PyObject *
read_plain(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    Py_ssize_t position, limit, size, number = 0;
    const unsigned char *data, *end;
    PyObject *frames, *result;
    int masked;
    (void)module;
    if (count != 4 || !PyBytes_Check(args[0])) {
        PyErr_SetString(PyExc_TypeError, "read_plain takes bytes, a position, a limit and a bool");
        return NULL;
    }
    masked = PyObject_IsTrue(args[3]);
    if (masked < 0 || !get_read(args, &position, &limit, &size))
        return NULL;
    data = (const unsigned char *)PyBytes_AsString(args[0]);
    end = data + size;
    frames = PyList_New(0);
    while (frames != NULL && number++ < MOST_FRAMES) {
        const unsigned char *at = data + position;
        Py_ssize_t start = find(at, end - at, masked, &size);
        PyObject *payload, *frame;
        if (start == 0 || size > limit)
            break;
        payload = PyBytes_FromStringAndSize(masked ? NULL : (const char *)at + start, size);
        if (masked && payload != NULL)
            apply((unsigned char *)PyBytes_AsString(payload), at + start, size, at + start - 4);
        frame = made(at[0], payload);
        if (frame == NULL || PyList_Append(frames, frame) < 0)
            Py_CLEAR(frames);
        Py_XDECREF(frame);
        position += start + size;
    }
    if (frames == NULL)
        return NULL;
    result = Py_BuildValue("(Nn)", frames, position);
    return result;
}

static PyObject *
read_texts(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    Py_ssize_t position, limit, size, number = 0;
    const unsigned char *data, *end;
    PyObject *frames;
    (void)module;
    if (count != 3 || !PyBytes_Check(args[0])) {
        PyErr_SetString(PyExc_TypeError, "read_texts takes bytes, a position and a limit");
        return NULL;
    }
    if (!get_read(args, &position, &limit, &size))
        return NULL;
    data = (const unsigned char *)PyBytes_AsString(args[0]);
    end = data + size;
    frames = PyList_New(0);
    while (frames != NULL && number++ < MOST_FRAMES) {
        const unsigned char *at = data + position, *last;
        PyObject *frame;
        if (at == end || *at != 0x00 || (last = memchr(at, 0xFF, end - at)) == NULL
            || last - at - 1 > limit)
            break;
        frame = made(0x81, PyBytes_FromStringAndSize((const char *)at + 1, last - at - 1));
        if (frame == NULL || PyList_Append(frames, frame) < 0)
            Py_CLEAR(frames);
        Py_XDECREF(frame);
        position = last + 1 - data;
    }
    return frames == NULL ? NULL : Py_BuildValue("(Nn)", frames, position);
}

PyObject *
make_frame(unsigned char first, const void *payload, Py_ssize_t size, const unsigned char *key)
{
    Py_ssize_t start = size < 126 ? 2 : size < 65536 ? 4 : 10, i;
    uint64_t rest = (uint64_t)size;
    PyObject *frame = PyBytes_FromStringAndSize(NULL, start + (key == NULL ? 0 : 4) + size);
    unsigned char *out;
    if (frame == NULL)
        return NULL;
    out = (unsigned char *)PyBytes_AsString(frame);
    out[0] = first;
    out[1] = start == 2 ? (unsigned char)rest : start == 4 ? 126 : 127;
    for (i = start - 1; i > 1; i--, rest >>= 8)
        out[i] = (unsigned char)rest;
    if (key == NULL)
        memcpy(out + start, payload, size);
    else {
        out[1] |= 0x80;
        memcpy(out + start, key, 4);
        apply(out + start + 4, payload, size, key);
    }
    return frame;
}

static PyObject *
write_plain(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    long first, reserved = 0;
    int final = 1;
    const unsigned char *key = NULL;
    Py_buffer payload;
    PyObject *frame;
    (void)module;
    if (count < 2 || count > 5 || (count == 5 && !PyBytes_Check(args[4]))) {
        PyErr_SetString(PyExc_TypeError, "write_plain takes an opcode, a payload, final, reserved bits "
                                         "and a masking key");
        return NULL;
    }
    first = PyLong_AsLong(args[0]);
    if (count > 2)
        final = PyObject_IsTrue(args[2]);
    if (count > 3)
        reserved = PyLong_AsLong(args[3]);
    if (PyErr_Occurred())
        return NULL;
    if (count == 5) {
        if (PyBytes_Size(args[4]) != 4) {
            PyErr_SetString(PyExc_ValueError, "a masking key has 4 bytes");
            return NULL;
        }
        key = (const unsigned char *)PyBytes_AsString(args[4]);
    }
    if (PyObject_GetBuffer(args[1], &payload, PyBUF_SIMPLE) < 0)
        return NULL;
    frame = make_frame((unsigned char)(first | reserved | (final ? 0x80 : 0)), payload.buf, payload.len,
                       key);
    PyBuffer_Release(&payload);
    return frame;
}

static PyMethodDef methods[] = {
    {"read_plain", (PyCFunction)(void (*)(void))read_plain, METH_FASTCALL,
     "read_plain(data, position, limit, masked): read plain frames; return them and their end."},
    {"write_plain", (PyCFunction)(void (*)(void))write_plain, METH_FASTCALL,
     "write_plain(opcode, payload, final=True, reserved=0, key): return the bytes of a frame."},
    {"read_texts", (PyCFunction)(void (*)(void))read_texts, METH_FASTCALL,
     "read_texts(data, position, limit): read text frames of Hixie dialects; return them and their end."},
    {"read_messages", (PyCFunction)(void (*)(void))read_messages, METH_FASTCALL,
     "read_messages(data, position, limit, masked, most): read messages of plain frames."},
    {"read_text_messages", (PyCFunction)(void (*)(void))read_text_messages, METH_FASTCALL,
     "read_text_messages(data, position, limit, most): read texts of Hixie dialects."},
    {"write_text", (PyCFunction)(void (*)(void))write_text, METH_FASTCALL,
     "write_text(text, key): return the bytes of a text frame; without a key, unmasked."},
    {"write_hixie_text", write_hixie_text, METH_O,
     "write_hixie_text(text): return the bytes of a text frame of Hixie dialects."},
    {"unmask", (PyCFunction)(void (*)(void))unmask, METH_FASTCALL,
     "unmask(data, start, end): unmask a payload with the masking key before it."},
    {"mask", (PyCFunction)(void (*)(void))mask, METH_FASTCALL,
     "mask(data, key): return data XOR the repeated masking key."},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot slots[] = {{0, NULL}};

static struct PyModuleDef module = {
    .m_base = PyModuleDef_HEAD_INIT,
    .m_name = "txhixie.sansio.wire._wire",
    .m_size = 0,
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC
PyInit__wire(void)
{
    return PyModuleDef_Init(&module);
}
