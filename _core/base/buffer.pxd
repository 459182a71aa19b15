"""Where the bytes of an array lie.

Owner    The caller, of the array: the address is good as long as it lives.
Limit    Contiguous memory only; anything else is the BufferError of whoever made it.
Threads  With the GIL.
"""
from cpython.buffer cimport PyBUF_ANY_CONTIGUOUS, PyBuffer_Release, PyObject_GetBuffer

cdef inline void* pointer(object array) except NULL:
    """First byte of a contiguous array; valid as long as the array lives."""
    cdef Py_buffer view
    PyObject_GetBuffer(array, &view, PyBUF_ANY_CONTIGUOUS)
    try:
        return view.buf
    finally:
        PyBuffer_Release(&view)
