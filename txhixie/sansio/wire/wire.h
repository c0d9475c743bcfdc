/* What the C files of this folder share: the header of a plain frame. */
#ifndef TXHIXIE_WIRE_H
#define TXHIXIE_WIRE_H

#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030b0000
#include <Python.h>

#include "mask.h"

#define MOST_FRAMES 64 /* of one batch; hybi_batch.py has the reason */

/* Return the offset of the payload of the plain frame at `at`; 0 if the frame is not plain or not
 * complete. */
static inline Py_ssize_t
find(const unsigned char *at, Py_ssize_t have, int masked, Py_ssize_t *size)
{
    Py_ssize_t start = masked ? 6 : 2;
    int i;
    if (have < start || at[0] & 0x70 || (at[0] & 0x0F) > 2 || (at[1] & 0x80) != (masked ? 0x80 : 0))
        return 0;
    *size = at[1] & 0x7F;
    if (*size == 126) {
        start += 2;
        if (have < start || (*size = at[2] << 8 | at[3]) < 126)
            return 0;
    }
    else if (*size == 127) {
        uint64_t length = 0;
        start += 8;
        if (have < start)
            return 0;
        for (i = 2; i < 10; i++)
            length = length << 8 | at[i];
        if (length < 65536 || length > (uint64_t)(have - start))
            return 0; /* compared before it is a Py_ssize_t, which may have fewer bits */
        *size = (Py_ssize_t)length;
    }
    return *size <= have - start ? start : 0;
}

/* Return a new frame; `key` is NULL for a frame without a mask. In _wire.c. */
PyObject *make_frame(unsigned char first, const void *payload, Py_ssize_t size, const unsigned char *key);

/* Read the arguments data, position and limit, which all readers have; return whether they are
 * right. In _wire.c. */
int get_read(PyObject *const *args, Py_ssize_t *position, Py_ssize_t *limit, Py_ssize_t *size);

/* The functions of messages.c. */
PyObject *read_messages(PyObject *module, PyObject *const *args, Py_ssize_t count);
PyObject *read_text_messages(PyObject *module, PyObject *const *args, Py_ssize_t count);
PyObject *write_text(PyObject *module, PyObject *const *args, Py_ssize_t count);
PyObject *write_hixie_text(PyObject *module, PyObject *text);

#endif
