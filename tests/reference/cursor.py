"""The cursors over plain bytes: what is left is sliced off, and the first thing that does not fit ends everything."""
import struct

from tests.reference import varint

LAYOUTS = {"u8": "<B", "u16": "<H", "u32": "<I", "u64": "<Q", "i64": "<q", "f32": "<f", "f64": "<d"}


class Reader:
    def __init__(self, data: bytes) -> None:
        self.left = data
        self.failed = False

    def read(self, kind: str, size: int = 0) -> int | float | bytes:
        """One value of a kind of LAYOUTS, or uvarint, varint, bytes of a size; 0 or b"" once failed."""
        nothing: int | bytes = b"" if kind == "bytes" else 0
        if self.failed:
            return nothing
        value: int | float | bytes
        if kind in ("uvarint", "varint"):
            found = (varint.decode if kind == "varint" else varint.decode_unsigned)(self.left)
            if found is None:
                self.failed = True
                return nothing
            value, size = found
        elif kind == "bytes":
            value = self.left[:size]
        else:
            size = struct.calcsize(LAYOUTS[kind])
            value = struct.unpack(LAYOUTS[kind], self.left[:size])[0] if size <= len(self.left) else 0
        if size > len(self.left):
            self.failed = True
            return nothing
        self.left = self.left[size:]
        return value


class Writer:
    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.written = b""
        self.failed = False

    def write(self, kind: str, value: int | float | bytes) -> None:
        if isinstance(value, bytes):
            data = value
        elif kind in ("uvarint", "varint"):
            data = (varint.encode if kind == "varint" else varint.encode_unsigned)(int(value))
        else:
            data = struct.pack(LAYOUTS[kind], value)
        self.failed = self.failed or len(self.written) + len(data) > self.capacity
        if not self.failed:
            self.written += data
