"""Python door to CRC32C, and the choice of its arm: SSE4.2 or ARMv8 instructions where the processor has them.

`SHADOWLAND_CPU=generic` in the environment takes the arm that runs everywhere; tests use it to try the other one.
"""
import os

from libc.stdint cimport uint8_t, uint32_t

from shadowland._core.base.errors import ConfigError, UsageError

cdef extern from "wire/crc32c_arms.h" nogil:
    ctypedef uint32_t (*crc32c_arm)(uint32_t remainder, const uint8_t* data, size_t length) noexcept nogil
    const char* CRC32C_FAST_NAME
    void crc32c_fill_table() noexcept
    bint crc32c_fast_here() noexcept
    uint32_t crc32c_generic(uint32_t remainder, const uint8_t* data, size_t length) noexcept
    uint32_t crc32c_fast(uint32_t remainder, const uint8_t* data, size_t length) noexcept

cdef crc32c_arm _arm = crc32c_generic


cdef uint32_t crc32c(const uint8_t* data, size_t length) noexcept nogil:
    return ~_arm(<uint32_t>0xFFFFFFFF, data, length)


def _choose():
    global _arm
    crc32c_fill_table()
    wanted = os.environ.get("SHADOWLAND_CPU", "")
    if wanted not in ("", "generic"):
        raise ConfigError(f"environment: SHADOWLAND_CPU={wanted} is unknown; leave it unset, or set it to generic")
    if not crc32c_fast_here():
        return ("generic",), "generic"
    fast = CRC32C_FAST_NAME.decode()
    if wanted == "generic":
        return ("generic", fast), "generic"
    _arm = crc32c_fast
    return ("generic", fast), fast


ARMS, ARM = _choose()


def checksum(const uint8_t[::1] data not None, arm: str | None = None) -> int:
    """CRC32C of the bytes, 0 to 2**32 - 1, by the arm in use (ARM) or by the one named (of ARMS).

    UsageError if this processor has no such arm.

    >>> hex(checksum(b"123456789"))
    '0xe3069283'
    """
    cdef const uint8_t* start = &data[0] if data.shape[0] else NULL
    if arm is None:
        return crc32c(start, data.shape[0])
    if arm not in ARMS:
        raise UsageError(f"no CRC32C arm named {arm!r} on this processor; it has {', '.join(ARMS)}")
    if arm == "generic":
        return ~crc32c_generic(<uint32_t>0xFFFFFFFF, start, data.shape[0])
    return ~crc32c_fast(<uint32_t>0xFFFFFFFF, start, data.shape[0])
