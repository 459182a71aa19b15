"""Python door to the message codec: one MessageCodec for each message class."""
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cython cimport final
from libc.string cimport memset

MAX_COMPONENTS = CODEC_COMPONENTS
MAX_TEXTS = CODEC_TEXTS
RANGE = CODE_RANGE
FLOAT32 = CODE_FLOAT32
ENUM = CODE_ENUM
FLAGS = CODE_FLAGS

cdef enum:
    ONE_MESSAGE = 262144                # bytes on the stack for encode_one; no message class is allowed to be longer


@final
cdef class MessageCodec:
    """Encodes and decodes the messages of one class, one or many.

    components: for each number (kind, low, high, bits, lanes, unit_squared, members), see ComponentCode in codec.pxd.
    text_limits: for each text its most characters. ValueError if a table is too long or a number is out of bounds: a
    codec made here never shifts or reads out of bounds, whatever it is given.
    """
    cdef MessageCode code

    def __cinit__(self, components, text_limits):
        cdef uint32_t i = 0, total = 0
        cdef ComponentCode* component
        memset(&self.code, 0, sizeof(self.code))
        if len(components) > CODEC_COMPONENTS or len(text_limits) > CODEC_TEXTS:
            raise ValueError(f"a message has at most {CODEC_COMPONENTS} numbers and {CODEC_TEXTS} texts")
        for i, (kind, low, high, bits, lanes, unit_squared, members) in enumerate(components):
            if not 1 <= bits <= 32 or not 1 <= lanes <= len(components) - i or not 0 <= kind <= 3 or low > high:
                raise ValueError(f"component {i} has bits {bits}, lanes {lanes}, kind {kind}, range {low} to {high}")
            if (high - low) >> bits or (kind == CODE_ENUM and high - low > 63) or (kind == CODE_FLOAT32 and bits != 32):
                raise ValueError(f"component {i} does not fit {bits} bits")
            component = &self.code.components[i]
            component.kind, component.low, component.high, component.bits = kind, low, high, bits
            component.lanes, component.unit_squared, component.members = lanes, unit_squared, members
            total += bits
        for i, limit in enumerate(text_limits):
            if not 1 <= 4 * limit < ONE_MESSAGE:
                raise ValueError(f"text {i} has a limit of {limit} characters")
            self.code.text_limits[i] = limit
        self.code.component_count = len(components)
        self.code.text_count = len(text_limits)
        self.code.fixed_bytes = (total + 7) // 8

    @property
    def fixed_bytes(self) -> int:
        """Bytes of the bit-packed part."""
        return self.code.fixed_bytes

    def decode(self, const uint8_t[::1] arena, const uint32_t[::1] offsets, const uint32_t[::1] lengths,
               int32_t[::1] matrix, uint32_t[::1] spans, uint8_t[::1] ok) -> int:
        """Decode payload i at arena[offsets[i]:][:lengths[i]] for every i; how many were messages of this class.

        matrix: n * components numbers; a refused payload leaves zeros. spans: n * texts * 2, offset and length of each
        text in the arena. ok: n, 1 or 0. All flat. ValueError if the sizes disagree; nothing in the arena raises.
        """
        cdef size_t count = offsets.shape[0], accepted
        self._check_sizes(count, matrix.shape[0], spans.shape[0], arena.shape[0])
        if <size_t>lengths.shape[0] != count or <size_t>ok.shape[0] != count:
            raise ValueError("offsets, lengths and ok differ in length")
        if not count:
            return 0
        with nogil:
            accepted = messages_decode(
                &self.code, &arena[0] if arena.shape[0] else NULL, arena.shape[0], &offsets[0], &lengths[0], count,
                &matrix[0] if matrix.shape[0] else NULL, <TextSpan*>&spans[0] if spans.shape[0] else NULL, &ok[0])
        return accepted

    def encode(self, const int32_t[::1] matrix, const uint8_t[::1] texts, const uint32_t[::1] spans,
               uint8_t[::1] arena, uint32_t[::1] offsets, uint32_t[::1] lengths) -> int:
        """Encode len(offsets) messages one after the other into `arena`; the bytes used, or -1 - i if row i is wrong.

        matrix, spans: as decode leaves them, with the spans counting in `texts`. An arena of
        n * fixed_bytes + 3 * n * texts + all bytes of text is large enough. ValueError if the sizes disagree.
        """
        cdef size_t count = offsets.shape[0]
        cdef int64_t used
        self._check_sizes(count, matrix.shape[0], spans.shape[0], arena.shape[0])
        if <size_t>lengths.shape[0] != count:
            raise ValueError("offsets and lengths differ in length")
        if not count:
            return 0
        with nogil:
            used = messages_encode(
                &self.code, &matrix[0] if matrix.shape[0] else NULL, count, &texts[0] if texts.shape[0] else NULL,
                texts.shape[0], <const TextSpan*>&spans[0] if spans.shape[0] else NULL,
                &arena[0] if arena.shape[0] else NULL, arena.shape[0], &offsets[0], &lengths[0])
        return used

    cdef int _check_sizes(self, size_t count, size_t numbers, size_t spans, size_t arena) except -1:
        if arena >> 32:
            raise ValueError("the arena is 4 GiB or longer, beyond what 32-bit offsets reach")
        if numbers != count * self.code.component_count or spans != count * self.code.text_count * 2:
            raise ValueError(f"{count} messages need {count * self.code.component_count} numbers and "
                             f"{count * self.code.text_count * 2} span entries, not {numbers} and {spans}")
        return 0

    def decode_one(self, bytes payload not None) -> tuple[list[int], list[str]] | None:
        """The numbers and the texts of one payload; None if it is not a message of this class."""
        cdef int32_t row[CODEC_COMPONENTS]
        cdef TextSpan spans[CODEC_TEXTS]
        cdef const uint8_t* data = <const uint8_t*>PyBytes_AS_STRING(payload)
        cdef uint32_t i
        if not message_decode(&self.code, data, PyBytes_GET_SIZE(payload), row, spans):
            return None
        numbers = [row[i] for i in range(self.code.component_count)]
        texts = []
        for i in range(self.code.text_count):
            texts.append(data[spans[i].offset:spans[i].offset + spans[i].length].decode("utf-8"))
        return numbers, texts

    def encode_one(self, list numbers not None, list texts not None) -> bytes | None:
        """The payload of one message from its numbers and its texts as UTF-8; None if one of them does not fit."""
        cdef int32_t row[CODEC_COMPONENTS]
        cdef TextSpan spans[CODEC_TEXTS]
        cdef uint8_t data[ONE_MESSAGE]
        cdef uint32_t i
        cdef int64_t size
        if <uint32_t>len(numbers) != self.code.component_count or <uint32_t>len(texts) != self.code.text_count:
            raise ValueError(f"{self.code.component_count} numbers and {self.code.text_count} texts are needed")
        for i in range(self.code.component_count):
            row[i] = numbers[i]
        cdef bytes joined = b"".join(texts)
        cdef uint32_t offset = 0
        for i in range(self.code.text_count):
            spans[i].offset, spans[i].length = offset, <uint32_t>len(texts[i])
            offset += spans[i].length
        size = message_encode(&self.code, row, <const uint8_t*>PyBytes_AS_STRING(joined), PyBytes_GET_SIZE(joined),
                              spans, data, ONE_MESSAGE)
        return PyBytes_FromStringAndSize(<char*>data, size) if size >= 0 else None
