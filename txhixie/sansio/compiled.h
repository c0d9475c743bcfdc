/* What each module in C begins and ends with; compiled.py imports the modules.
 * Limited API: one build works with every Python from 3.11 on that has the interpreter's lock. */
#pragma once
#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030b0000
#include <Python.h>
#include <string.h>
#pragma GCC diagnostic ignored "-Wunused-parameter" /* Python passes the module to each function */

/* An entry of the table `methods`: a function with an array of arguments, and its documentation after its name. */
#define FAST(name, doc) {#name, (PyCFunction)(void (*)(void))name, METH_FASTCALL, #name doc}

/* Define the module of the table `methods`; `function` is PyInit_ and the last part of its name. */
#define MODULE(name, function)                                                                                         \
    static PyModuleDef_Slot slots[] = {{0, NULL}};                                                                     \
    static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, name, NULL, 0, methods, slots, NULL, NULL, NULL};       \
    PyMODINIT_FUNC function(void) { return PyModuleDef_Init(&module); }
