"""Python door to variable-length integers: single numbers for tools, whole arrays for batches."""
import numpy as np

MAX_SIZE = VARINT_MAX


def encode_unsigned(uint64_t value) -> bytes:
    """Canonical LEB128 of `value` (0 to 2**64 - 1; OverflowError beyond)."""
    cdef uint8_t out[VARINT_MAX]
    return out[:uvarint_encode(value, out)]


def encode(int64_t value) -> bytes:
    """ZigZag and canonical LEB128 of `value` (-2**63 to 2**63 - 1; OverflowError beyond).

    >>> encode(300).hex(), encode(-64).hex()
    ('d804', '7f')
    """
    return encode_unsigned(zigzag(value))


def decode_unsigned(const uint8_t[::1] data not None) -> tuple[int, int] | None:
    """(value, bytes it took) of the number that `data` begins with; None if cut off, over-long or beyond 64 bits."""
    cdef uint64_t value = 0
    cdef size_t size = uvarint_decode(&data[0] if data.shape[0] else NULL, data.shape[0], &value)
    return (value, size) if size else None


def decode(const uint8_t[::1] data not None) -> tuple[int, int] | None:
    """As decode_unsigned, with the ZigZag undone."""
    cdef uint64_t value = 0
    cdef size_t size = uvarint_decode(&data[0] if data.shape[0] else NULL, data.shape[0], &value)
    return (unzigzag(value), size) if size else None


def encode_array(const int64_t[::1] values not None) -> bytes:
    """The signed numbers of an int64 array, one after the other, in one call without the GIL."""
    out = np.empty(values.shape[0] * VARINT_MAX, dtype=np.uint8)
    return out[:encode_into(values, out)[1]].tobytes()


def encode_into(const int64_t[::1] values not None, uint8_t[::1] out not None) -> tuple[int, int]:
    """Write signed numbers into the caller's memory: how many of them fitted, each whole, and the bytes they took."""
    cdef size_t count = values.shape[0], capacity = out.shape[0], good = 0, used = 0
    if count and capacity:
        with nogil:
            good = varints_encode(&values[0], count, &out[0], capacity, &used)
    return good, used


def decode_array(const uint8_t[::1] data not None, size_t count):
    """Up to `count` signed numbers as an int64 array, and the bytes they took, in one call without the GIL.

    Fewer than `count` come back where the bytes end or the next number is malformed. `count` beyond the bytes costs no
    memory, so it may come from a peer.
    """
    cdef size_t length = data.shape[0], good = 0, used = 0
    count = min(count, length)                      # each takes a byte at least
    values = np.empty(count, dtype=np.int64)
    cdef int64_t[::1] room = values
    if count:
        with nogil:
            good = varints_decode(&data[0], length, &room[0], count, &used)
    return values[:good], used
