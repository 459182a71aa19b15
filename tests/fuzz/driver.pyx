"""What every file of targets includes: libFuzzer's entrance, and how a broken property is told."""
from libc.stddef cimport size_t
from libc.stdint cimport uint8_t
from libc.stdlib cimport abort
from libc.stdio cimport fprintf, stderr

ctypedef int (*target_function)(const uint8_t* data, size_t size) noexcept nogil

cdef extern from *:
    """
    int LLVMFuzzerRunDriver(int* argc, char*** argv, int (*target)(const uint8_t* data, size_t size));
    """
    int LLVMFuzzerRunDriver(int* argc, char*** argv, target_function target) nogil

TARGETS = {}                        # by name: address of a target_function


cdef void broken(const char* sentence) noexcept nogil:
    """A property does not hold: libFuzzer keeps the input and says the sentence."""
    fprintf(stderr, b"BROKEN: %s\n", sentence)
    abort()


def run(name: str, itself: str, arguments: list[str]) -> int:
    """Give the target `name` to libFuzzer with its own command line; it ends the process when it is done.

    itself: the shell words that start this target, with which libFuzzer begins processes of its own when it merges.
    """
    cdef target_function target = <target_function><size_t>TARGETS[name]
    words = [itself.encode(), *(argument.encode() for argument in arguments)]
    cdef char* argv[64]
    cdef char** at = argv
    cdef int argc = len(words)
    for i, word in enumerate(words):
        argv[i] = word
    argv[argc] = NULL
    with nogil:
        argc = LLVMFuzzerRunDriver(&argc, &at, target)
    return argc
