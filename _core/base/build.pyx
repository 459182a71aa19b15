"""What these modules were built with, for `python -m shadowland` and for reports of bugs."""

cdef extern from *:
    """
    #ifdef SHADOWLAND_DEBUG
    #define SHADOWLAND_IS_DEBUG 1
    #else
    #define SHADOWLAND_IS_DEBUG 0
    #endif
    """
    const int CYTHON_HEX_VERSION
    const char* COMPILER_TEXT "__VERSION__"
    const bint IS_DEBUG "SHADOWLAND_IS_DEBUG"


def _version(number):
    """Cython's version out of its number, which is laid out as Python's own (0x030300F0 is 3.3.0)."""
    level = {0xA: "a", 0xB: "b", 0xC: "rc", 0xF: ""}[number >> 4 & 0xF]
    release = f"{number >> 24}.{number >> 16 & 0xFF}.{number >> 8 & 0xFF}"
    return f"{release}{level}{number & 0xF}" if level else release


CYTHON = _version(CYTHON_HEX_VERSION)
COMPILER = COMPILER_TEXT.decode()
DEBUG = bool(IS_DEBUG)
