/* Masking (RFC 6455 section 5.3), plain frames (section 5.2), and text frames of the Hixie drafts, in C:
 * the code that runs for each message.
 *
 * mask.py, hybi_batch.py and hixie_batch.py have the same functions in Python, with the same results
 * byte for byte, for installations without this module. For a frame of 128 bytes Python takes 0.7 us
 * to read it and 0.2 us to write it; this module takes a tenth of that. Frames that are not plain, not
 * complete, or break a rule are left to hybi.py and hixie.py.
 * Limited API: one build works with every Python from 3.11 on.
 */
#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030b0000
#include <Python.h>
#include <stdint.h>
#include <string.h>

#define MOST_FRAMES 64 /* of one batch; hybi_batch.py has the reason */

static void
apply(unsigned char *out, const unsigned char *in, Py_ssize_t size, const unsigned char *key)
{
    uint64_t wide;
    Py_ssize_t i = 0;
    memcpy(&wide, key, 4);
    memcpy((unsigned char *)&wide + 4, key, 4);
    /* memcpy, since neither buffer has to be aligned. Compilers make one instruction of each call,
     * and vectorise the loop. */
    for (; i + 8 <= size; i += 8) {
        uint64_t word;
        memcpy(&word, in + i, 8);
        word ^= wide;
        memcpy(out + i, &word, 8);
    }
    for (; i < size; i++)
        out[i] = in[i] ^ key[i & 3];
}

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

/* Return the offset of the payload of the plain frame at `at`; 0 if the frame is not plain or not
 * complete. */
static Py_ssize_t
find(const unsigned char *at, Py_ssize_t have, int masked, Py_ssize_t *size)
{
    Py_ssize_t start = masked ? 6 : 2;
    if (have < start || at[0] & 0x70 || (at[0] & 0x0F) > 2 || (at[1] & 0x80) != (masked ? 0x80 : 0))
        return 0;
    *size = at[1] & 0x7F;
    if (*size == 127)
        return 0;
    if (*size == 126) {
        start += 2;
        if (have < start || (*size = at[2] << 8 | at[3]) < 126)
            return 0;
    }
    return *size <= have - start ? start : 0;
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
    position = PyLong_AsSsize_t(args[1]);
    limit = PyLong_AsSsize_t(args[2]);
    masked = PyObject_IsTrue(args[3]);
    if (PyErr_Occurred())
        return NULL;
    size = PyBytes_Size(args[0]);
    if (position < 0 || position > size) {
        PyErr_SetString(PyExc_ValueError, "position outside the data");
        return NULL;
    }
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
    position = PyLong_AsSsize_t(args[1]);
    limit = PyLong_AsSsize_t(args[2]);
    if (PyErr_Occurred())
        return NULL;
    size = PyBytes_Size(args[0]);
    if (position < 0 || position > size) {
        PyErr_SetString(PyExc_ValueError, "position outside the data");
        return NULL;
    }
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

static PyObject *
write_plain(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    long first, reserved = 0;
    int final = 1;
    Py_buffer payload;
    PyObject *frame;
    Py_ssize_t start;
    (void)module;
    if (count < 2 || count > 4) {
        PyErr_SetString(PyExc_TypeError, "write_plain takes an opcode, a payload, final and reserved bits");
        return NULL;
    }
    first = PyLong_AsLong(args[0]);
    if (count > 2)
        final = PyObject_IsTrue(args[2]);
    if (count > 3)
        reserved = PyLong_AsLong(args[3]);
    if (PyErr_Occurred() || PyObject_GetBuffer(args[1], &payload, PyBUF_SIMPLE) < 0)
        return NULL;
    start = payload.len < 126 ? 2 : payload.len < 65536 ? 4 : 10;
    frame = PyBytes_FromStringAndSize(NULL, start + payload.len);
    if (frame != NULL) {
        unsigned char *out = (unsigned char *)PyBytes_AsString(frame);
        uint64_t rest = (uint64_t)payload.len;
        Py_ssize_t i;
        out[0] = (unsigned char)(first | reserved | (final ? 0x80 : 0));
        out[1] = start == 2 ? (unsigned char)rest : start == 4 ? 126 : 127;
        for (i = start - 1; i > 1; i--, rest >>= 8)
            out[i] = (unsigned char)rest;
        memcpy(out + start, payload.buf, payload.len);
    }
    PyBuffer_Release(&payload);
    return frame;
}

static PyMethodDef methods[] = {
    {"read_plain", (PyCFunction)(void (*)(void))read_plain, METH_FASTCALL,
     "read_plain(data, position, limit, masked): read plain frames; return them and their end."},
    {"write_plain", (PyCFunction)(void (*)(void))write_plain, METH_FASTCALL,
     "write_plain(opcode, payload, final=True, reserved=0): return the bytes of an unmasked frame."},
    {"read_texts", (PyCFunction)(void (*)(void))read_texts, METH_FASTCALL,
     "read_texts(data, position, limit): read text frames of Hixie dialects; return them and their end."},
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
