"""Functions of a shared library by name, at start-up: ImportError says which library, where it lies and the fix.

Owner    The process: a library that was filled from stays open for ever, since tables point into it.
Limit    None; it runs once for each library.
Threads  At import.
"""
from posix.dlfcn cimport RTLD_LOCAL, RTLD_NOW, dlerror, dlopen, dlsym

cdef inline void* library_open(str what, str path, bytes encoded, str fix) except NULL:
    """The library in the file `path`; `encoded` is the same as the file system has it."""
    cdef void* library = dlopen(encoded, RTLD_NOW | RTLD_LOCAL)
    if library is NULL:
        raise ImportError(f"cannot load {what} from {path}: {dlerror().decode(errors='replace')}; {fix}")
    return library

cdef inline void* library_symbol(void* library, str name, str what, str path, str fix) except NULL:
    """The function `name`."""
    cdef void* address = dlsym(library, name.encode())
    if address is NULL:
        raise ImportError(f"the {what} in {path} has no function {name}, which shadowland-net needs; {fix}")
    return address
