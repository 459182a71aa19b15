"""Python door to the message codec: one MessageCodec for each message class."""
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cython cimport final
from libc.string cimport memset

from typing import Any

import numpy as np

MAX_COMPONENTS = CODEC_COMPONENTS
MAX_TEXTS = CODEC_TEXTS
MAX_LIST = CODEC_LIST
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
    text_limits: for each text its most characters. lists: for each list (component, most elements, most characters of
    each, 0 if they are numbers), the component as above, with the lanes of an element. ValueError if a table is too
    long or a number is out of bounds: a codec made here never shifts or reads out of bounds, whatever it is given.
    """
    cdef MessageCode code

    def __cinit__(self, components, text_limits, lists=()):
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
        if len(lists) > CODEC_TEXTS:
            raise ValueError(f"a message has at most {CODEC_TEXTS} lists")
        for i, ((kind, low, high, bits, lanes, unit_squared, members), most, limit) in enumerate(lists):
            if not 1 <= most <= CODEC_LIST or not 0 <= 4 * limit < ONE_MESSAGE or not 1 <= lanes <= CODEC_LANES:
                raise ValueError(f"list {i} has at most {most} elements of {lanes} lanes and {limit} characters")
            if not 1 <= bits <= 32 or not 0 <= kind <= 3 or low > high or (high - low) >> bits:
                raise ValueError(f"list {i} has bits {bits}, kind {kind}, range {low} to {high}")
            if (kind == CODE_ENUM and high - low > 63) or (kind == CODE_FLOAT32 and bits != 32):
                raise ValueError(f"list {i} does not fit {bits} bits")
            component = &self.code.lists[i].element
            component.kind, component.low, component.high, component.bits = kind, low, high, bits
            component.lanes, component.unit_squared, component.members = lanes, unit_squared, members
            self.code.lists[i].most, self.code.lists[i].text_limit = most, limit
        self.code.list_count = len(lists)
        self.code.tail_count = len(text_limits) + len(lists)
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

        matrix: n * components numbers; a refused payload leaves zeros. spans: n * (texts + lists) * 2, offset and
        length of each text in the arena, and offset and count of each list: see `list_at`. ok: n, 1 or 0. All flat.
        ValueError if the sizes disagree; nothing in the arena raises.
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
        if self.code.list_count:
            raise ValueError("a message with lists is encoded by encode_one")
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
        if numbers != count * self.code.component_count or spans != count * self.code.tail_count * 2:
            raise ValueError(f"{count} messages need {count * self.code.component_count} numbers and "
                             f"{count * self.code.tail_count * 2} span entries, not {numbers} and {spans}")
        return 0

    def decode_one(self, bytes payload not None) -> tuple[list[int], list[Any]] | None:
        """The numbers and the texts of one payload, then its lists (int32 numbers, or texts); None if it is not a
        message of this class."""
        cdef int32_t row[CODEC_COMPONENTS]
        cdef TextSpan spans[2 * CODEC_TEXTS]
        cdef const uint8_t* data = <const uint8_t*>PyBytes_AS_STRING(payload)
        cdef uint32_t i
        if not message_decode(&self.code, data, PyBytes_GET_SIZE(payload), row, spans):
            return None
        numbers = [row[i] for i in range(self.code.component_count)]
        tails = []
        for i in range(self.code.text_count):
            tails.append(data[spans[i].offset:spans[i].offset + spans[i].length].decode("utf-8"))
        for i in range(self.code.list_count):
            tails.append(self._list(i, data + spans[self.code.text_count + i].offset,
                                    spans[self.code.text_count + i].length))
        return numbers, tails

    cdef object _list(self, uint32_t i, const uint8_t* data, uint32_t count):
        """The elements of a list that a kernel has found and looked at."""
        cdef const ListCode* code = &self.code.lists[i]
        cdef Reader reader
        cdef uint64_t size
        cdef int32_t[::1] numbers
        if code.text_limit:
            texts = []
            reader_init(&reader, data, ONE_MESSAGE)     # all of it was read before, so nothing beyond it is
            for _ in range(count):
                size = read_uvarint(&reader)
                texts.append((<const char*>read_bytes(&reader, size))[:size].decode("utf-8"))
            return texts
        found = np.empty(count * code.element.lanes, np.int32)
        if count:
            numbers = found
            list_unpack(code, data, count, &numbers[0])
        return found

    def list_at(self, index: int, const uint8_t[::1] arena, offset: int, count: int):
        """The elements of list `index` where `decode` found it: int32 numbers, lane after lane, or a list of texts.

        ValueError for what does not lie in the arena as a list of this class.
        """
        cdef Reader reader
        cdef TextSpan span
        cdef uint32_t i, size
        cdef size_t start
        if not 0 <= index < self.code.list_count or not 0 <= offset <= arena.shape[0] or not 0 <= count <= CODEC_LIST:
            raise ValueError("no such list")
        i = index
        if count == 0:
            return [] if self.code.lists[i].text_limit else np.empty(0, np.int32)
        # The count stands right before, in its one encoding: the list is found anew, whatever was said of it.
        size = uvarint_size(count)
        if offset < size:
            raise ValueError("no such list")
        start = offset - size
        reader_init(&reader, &arena[start], arena.shape[0] - start)
        if not list_find(&self.code.lists[i], &reader, &arena[start], &span) or span.length != <uint32_t>count:
            raise ValueError("no such list")
        return self._list(i, &arena[start + size], count)

    def encode_one(self, list numbers not None, list texts not None, lists=()) -> bytes | None:
        """The payload of one message from its numbers, its texts as UTF-8, and its lists: of numbers, lane after lane,
        or of texts as UTF-8; None if one of them does not fit."""
        cdef int32_t row[CODEC_COMPONENTS]
        cdef TextSpan spans[CODEC_TEXTS]
        cdef uint8_t data[ONE_MESSAGE]
        cdef uint32_t i
        cdef int64_t size
        if <uint32_t>len(numbers) != self.code.component_count or <uint32_t>len(texts) != self.code.text_count \
                or <uint32_t>len(lists) != self.code.list_count:
            raise ValueError(f"{self.code.component_count} numbers, {self.code.text_count} texts and "
                             f"{self.code.list_count} lists are needed")
        for i in range(self.code.component_count):
            row[i] = numbers[i]
        cdef bytes joined = b"".join(texts)
        cdef uint32_t offset = 0
        for i in range(self.code.text_count):
            spans[i].offset, spans[i].length = offset, <uint32_t>len(texts[i])
            offset += spans[i].length
        size = message_encode(&self.code, row, <const uint8_t*>PyBytes_AS_STRING(joined), PyBytes_GET_SIZE(joined),
                              spans, data, ONE_MESSAGE)
        for i in range(self.code.list_count):
            if size >= 0:
                size = self._write_list(i, lists[i], data, size)
        return PyBytes_FromStringAndSize(<char*>data, size) if size >= 0 else None

    cdef int64_t _write_list(self, uint32_t i, object elements, uint8_t* data, int64_t position) except -2:
        """Append list i at `position` of ONE_MESSAGE bytes; where it ends, or -1 if it does not fit."""
        cdef const ListCode* code = &self.code.lists[i]
        cdef Writer writer
        cdef int32_t[::1] numbers
        cdef uint32_t lanes = code.element.lanes, j
        cdef uint64_t count = len(elements)
        cdef int64_t characters
        cdef bytes text
        if not code.text_limit and count % lanes:
            return -1
        count = count if code.text_limit else count // lanes
        if count > code.most:
            return -1
        writer_init(&writer, data, ONE_MESSAGE)
        writer.position = position
        write_uvarint(&writer, count)
        if code.text_limit:
            for text in elements:
                characters = utf8_characters(<const uint8_t*>PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text))
                if characters < 0 or characters > code.text_limit:
                    return -1
                write_uvarint(&writer, PyBytes_GET_SIZE(text))
                write_bytes(&writer, <const uint8_t*>PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text))
        elif count:
            numbers = np.array(elements, np.int32)
            for j in range(<uint32_t>count):
                if not element_valid(code, &numbers[j * lanes]):
                    return -1
            if writer.failed or list_bytes(code, count) > ONE_MESSAGE - writer.position:
                return -1
            list_pack(code, &numbers[0], <uint32_t>count, data + writer.position)
            writer.position += list_bytes(code, count)
        return -1 if writer.failed else <int64_t>writer.position
