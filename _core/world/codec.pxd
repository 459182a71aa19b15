"""Message codec: rows of quanta to payload bytes and back, many messages of one class in one call.

Owner    A MessageCode is filled by the door class MessageCodec and read by whoever it lends it to; rows, spans and
         arenas are the caller's. Nothing here allocates.
Limit    CODEC_COMPONENTS numbers, CODEC_TEXTS texts and CODEC_TEXTS lists a message; texts and lists are bounded by
         their class.
Threads  Pure functions of their arguments.

    payload    bits of component 0, 1, ... (value - low), lowest bit first | zeros to a byte | texts | lists
    text       length in bytes (canonical LEB128) | UTF-8
    list       count (canonical LEB128) | bits of its elements, as above | zeros to a byte;   of texts: count | texts

One message has exactly one encoding: padding bits are zero, lengths are canonical, nothing follows the last text.
"""
from libc.stddef cimport size_t
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memset

from shadowland._core.wire.cursor cimport (
    Reader, Writer, read_bytes, read_uvarint, reader_init, reader_left, write_bytes, write_uvarint, writer_init
)
from shadowland._core.wire.varint cimport uvarint_size

cdef enum:
    CODEC_COMPONENTS = 64
    CODEC_TEXTS = 16
    CODEC_LANES = 3                     # of an element of a list
    CODEC_LIST = 65535                  # elements of a list

cdef enum:                              # ComponentCode.kind
    CODE_RANGE = 0                      # low to high
    CODE_FLOAT32 = 1                    # the bits of a float; infinities and NaN are refused
    CODE_ENUM = 2                       # low + i for every bit i of `members`
    CODE_FLAGS = 3                      # any set of the bits of `members`

cdef struct ComponentCode:
    uint64_t members
    int64_t unit_squared                # above 0 on the first lane of a Unit vector: the greatest sum of squares
    int32_t low
    int32_t high
    uint8_t bits                        # 1 to 32
    uint8_t kind
    uint8_t lanes                       # of the vector that begins here
    uint8_t reserved

cdef struct ListCode:
    ComponentCode element               # of each lane; unit_squared bounds the whole element
    uint32_t most                       # elements
    uint32_t text_limit                 # characters of each, in a list of texts; 0: a list of numbers

cdef struct MessageCode:
    ComponentCode components[CODEC_COMPONENTS]
    uint32_t text_limits[CODEC_TEXTS]   # characters
    uint32_t component_count
    uint32_t text_count
    ListCode lists[CODEC_TEXTS]
    uint32_t list_count
    uint32_t tail_count                 # texts and lists: a message has so many spans, those of the texts first
    uint32_t fixed_bytes                # of the bit-packed part

cdef struct TextSpan:
    uint32_t offset                     # decoded: from the beginning of the arena; to encode: in the texts' own arena
    uint32_t length                     # bytes; of a list its elements, and then offset is that of the first one

cdef inline int64_t utf8_characters(const uint8_t* data, size_t length) noexcept nogil:
    """Code points of a UTF-8 text; -1 if it is not well-formed (RFC 3629: no surrogates, nothing over-long, at most
    U+10FFFF)."""
    cdef size_t i = 0, extra, j
    cdef int64_t characters = 0
    cdef uint8_t byte, low, high
    while i < length:
        byte = data[i]
        low, high = 0x80, 0xBF          # bounds of the second byte; the first byte narrows them
        if byte < 0x80:
            extra = 0
        elif byte < 0xC2:
            return -1                   # a continuation, or C0 and C1, which could only begin over-long forms
        elif byte < 0xE0:
            extra = 1
        elif byte < 0xF0:
            extra = 2
            if byte == 0xE0:
                low = 0xA0
            elif byte == 0xED:
                high = 0x9F             # surrogates
        elif byte < 0xF5:
            extra = 3
            if byte == 0xF0:
                low = 0x90
            elif byte == 0xF4:
                high = 0x8F
        else:
            return -1
        if extra > length - i - 1:
            return -1
        for j in range(1, extra + 1):
            if not low <= data[i + j] <= high:
                return -1
            low, high = 0x80, 0xBF
        i += extra + 1
        characters += 1
    return characters

cdef inline bint number_valid(const ComponentCode* component, int32_t number) noexcept nogil:
    """True if `number` is one that the component can hold; the length of a Unit is not looked at."""
    if component.kind == CODE_FLOAT32:
        return (<uint32_t>number & 0x7F800000) != 0x7F800000
    if number < component.low or number > component.high:
        return False
    if component.kind == CODE_ENUM:
        return ((component.members >> <uint32_t>(number - component.low)) & 1) != 0
    if component.kind == CODE_FLAGS:
        return (<uint64_t><uint32_t>number & ~component.members) == 0
    return True

cdef inline bint row_valid(const MessageCode* code, const int32_t* row) noexcept nogil:
    """True if every number of the row is one that its field can hold."""
    cdef uint32_t i, lane
    cdef int64_t squares
    cdef const ComponentCode* component
    for i in range(code.component_count):
        component = &code.components[i]
        if not number_valid(component, row[i]):
            return False
        if component.unit_squared > 0:
            squares = 0
            for lane in range(component.lanes):
                squares += <int64_t>row[i + lane] * row[i + lane]
            if squares > component.unit_squared:
                return False
    return True

cdef inline bint components_unpack(const MessageCode* code, const uint8_t* data, int32_t* row) noexcept nogil:
    """Read `fixed_bytes` bytes, whose presence the caller has checked; False if a padding bit is set."""
    # Not read_bits of wire/bits: the length is known to suffice, and a look at it per field would double the time.
    cdef uint64_t waiting = 0           # bits read and not yet used, lowest first; never more than 31 + 8
    cdef uint32_t held = 0, bits, i
    for i in range(code.component_count):
        bits = code.components[i].bits
        while held < bits:
            waiting |= <uint64_t>data[0] << held
            data += 1
            held += 8
        # Unsigned, so that low + value wraps and is not undefined. row_valid catches a value beyond high: the sum is
        # then above high, or it has wrapped to below low.
        row[i] = <int32_t>(<uint32_t>code.components[i].low + <uint32_t>(waiting & ((<uint64_t>1 << bits) - 1)))
        waiting >>= bits
        held -= bits
    return waiting == 0

cdef inline void components_pack(const MessageCode* code, const int32_t* row, uint8_t* data) noexcept nogil:
    """Write `fixed_bytes` bytes of a valid row."""
    cdef uint64_t waiting = 0
    cdef uint32_t held = 0, i
    for i in range(code.component_count):
        waiting |= <uint64_t>(<uint32_t>row[i] - <uint32_t>code.components[i].low) << held
        held += code.components[i].bits
        while held >= 8:
            data[0] = <uint8_t>waiting
            data += 1
            waiting >>= 8
            held -= 8
    if held:
        data[0] = <uint8_t>waiting

cdef inline bint element_valid(const ListCode* code, const int32_t* element) noexcept nogil:
    """True if every lane of an element of a list of numbers can stand there."""
    cdef uint32_t lane
    cdef int64_t squares = 0
    for lane in range(code.element.lanes):
        if not number_valid(&code.element, element[lane]):
            return False
        squares += <int64_t>element[lane] * element[lane] if code.element.unit_squared > 0 else 0
    return squares <= code.element.unit_squared

cdef inline uint64_t list_bytes(const ListCode* code, uint64_t count) noexcept nogil:
    """Bytes of the elements of a list of numbers; `count` is at most `most`, so this is far from overflow."""
    return (count * code.element.lanes * code.element.bits + 7) // 8

cdef inline bint list_unpack(const ListCode* code, const uint8_t* data, uint32_t count, int32_t* out) noexcept nogil:
    """Read the elements of a list of numbers, whose bytes are there; False if one is wrong or a padding bit is set.
    out: count * lanes numbers, or NULL to look only."""
    cdef uint64_t waiting = 0
    cdef uint32_t held = 0, bits = code.element.bits, i, lane
    cdef int32_t element[CODEC_LANES]
    for i in range(count):
        for lane in range(code.element.lanes):
            while held < bits:
                waiting |= <uint64_t>data[0] << held
                data += 1
                held += 8
            element[lane] = <int32_t>(<uint32_t>code.element.low + <uint32_t>(waiting & ((<uint64_t>1 << bits) - 1)))
            waiting >>= bits
            held -= bits
            if out != NULL:
                out[i * code.element.lanes + lane] = element[lane]
        if not element_valid(code, element):
            return False
    return waiting == 0

cdef inline void list_pack(const ListCode* code, const int32_t* numbers, uint32_t count, uint8_t* data) noexcept nogil:
    """Write list_bytes bytes of valid elements."""
    cdef uint64_t waiting = 0
    cdef uint32_t held = 0, i
    for i in range(count * code.element.lanes):
        waiting |= <uint64_t>(<uint32_t>numbers[i] - <uint32_t>code.element.low) << held
        held += code.element.bits
        while held >= 8:
            data[0] = <uint8_t>waiting
            data += 1
            waiting >>= 8
            held -= 8
    if held:
        data[0] = <uint8_t>waiting

cdef inline bint list_find(const ListCode* code, Reader* reader, const uint8_t* data, TextSpan* span) noexcept nogil:
    """Read over one list, and look at all of it; the span counts from `data`."""
    cdef uint64_t count = read_uvarint(reader), size, _i
    cdef const uint8_t* found
    cdef int64_t characters
    if reader.failed or count > code.most:
        return False
    span.offset, span.length = <uint32_t>reader.position, <uint32_t>count
    if not code.text_limit:
        found = read_bytes(reader, list_bytes(code, count))
        return not reader.failed and list_unpack(code, found, <uint32_t>count, NULL)
    for _i in range(count):
        size = read_uvarint(reader)
        found = read_bytes(reader, size)
        if reader.failed:
            return False
        characters = utf8_characters(found, size)
        if characters < 0 or characters > code.text_limit:
            return False
    return True

cdef inline bint tails_unpack(const MessageCode* code, const uint8_t* data, size_t length,
                              TextSpan* spans) noexcept nogil:
    """Find the texts and lists, which fill exactly `length` bytes; the spans count from `data`."""
    cdef Reader reader
    cdef const uint8_t* text
    cdef uint64_t size
    cdef uint32_t i
    cdef int64_t characters
    reader_init(&reader, data, length)
    for i in range(code.text_count):
        size = read_uvarint(&reader)
        text = read_bytes(&reader, size)
        if reader.failed:
            return False
        characters = utf8_characters(text, size)
        if characters < 0 or characters > code.text_limits[i]:
            return False
        spans[i].offset = <uint32_t>(text - data)
        spans[i].length = <uint32_t>size
    for i in range(code.list_count):
        if not list_find(&code.lists[i], &reader, data, &spans[code.text_count + i]):
            return False
    return reader_left(&reader) == 0

cdef inline void clear_message(const MessageCode* code, int32_t* row, TextSpan* spans) noexcept nogil:
    """A refused payload leaves zeros. A class may have no numbers or no tails, and memset takes no NULL."""
    if code.component_count:
        memset(row, 0, code.component_count * sizeof(int32_t))
    if code.tail_count:
        memset(spans, 0, code.tail_count * sizeof(TextSpan))

cdef inline bint message_decode(const MessageCode* code, const uint8_t* data, size_t length, int32_t* row,
                                TextSpan* spans) noexcept nogil:
    """Decode one payload; False if it is not exactly one message of this class, and then row and spans are zeros."""
    cdef uint32_t i
    if length >= code.fixed_bytes:
        if (components_unpack(code, data, row) and row_valid(code, row)
                and tails_unpack(code, data + code.fixed_bytes, length - code.fixed_bytes, spans)):
            for i in range(code.tail_count):
                spans[i].offset += code.fixed_bytes
            return True
    clear_message(code, row, spans)
    return False

cdef inline size_t message_size(const MessageCode* code, const TextSpan* spans) noexcept nogil:
    """Bytes of the encoding of a message with these texts."""
    cdef size_t total = code.fixed_bytes
    cdef uint32_t i
    for i in range(code.text_count):
        total += uvarint_size(spans[i].length) + spans[i].length
    return total

cdef inline int64_t message_encode(const MessageCode* code, const int32_t* row, const uint8_t* texts, size_t texts_size,
                                   const TextSpan* spans, uint8_t* data, size_t capacity) noexcept nogil:
    """Bytes of numbers and texts written to `data`; -1 if the row or a text does not fit its field, or the whole does
    not fit `capacity`. Lists follow, if the class has some: they are the caller's."""
    cdef Writer writer
    cdef uint32_t i
    cdef int64_t characters
    if not row_valid(code, row):
        return -1
    for i in range(code.text_count):
        if spans[i].offset > texts_size or spans[i].length > texts_size - spans[i].offset:
            return -1
        characters = utf8_characters(texts + spans[i].offset, spans[i].length)
        if characters < 0 or characters > code.text_limits[i]:
            return -1
    if message_size(code, spans) > capacity:
        return -1
    components_pack(code, row, data)
    writer_init(&writer, data, capacity)
    writer.position = code.fixed_bytes
    for i in range(code.text_count):
        write_uvarint(&writer, spans[i].length)
        write_bytes(&writer, texts + spans[i].offset, spans[i].length)
    return <int64_t>writer.position

cdef inline size_t messages_decode(const MessageCode* code, const uint8_t* arena, size_t arena_size,
                                   const uint32_t* offsets, const uint32_t* lengths, size_t count, int32_t* matrix,
                                   TextSpan* spans, uint8_t* ok) noexcept nogil:
    """Decode `count` payloads; ok[i] is 1 for each that was one message. Returns how many were.

    Row i of `matrix` has component_count numbers and of `spans` tail_count spans, counted from the arena's beginning.
    """
    cdef size_t i, accepted = 0
    cdef uint32_t j
    cdef int32_t* row
    cdef TextSpan* span
    for i in range(count):
        row = matrix + i * code.component_count
        span = spans + i * code.tail_count
        ok[i] = 0
        if offsets[i] > arena_size or lengths[i] > arena_size - offsets[i]:
            clear_message(code, row, span)
        elif message_decode(code, arena + offsets[i], lengths[i], row, span):
            for j in range(code.tail_count):
                span[j].offset += offsets[i]
            ok[i] = 1
            accepted += 1
    return accepted

cdef inline int64_t messages_encode(const MessageCode* code, const int32_t* matrix, size_t count, const uint8_t* texts,
                                    size_t texts_size, const TextSpan* spans, uint8_t* arena, size_t capacity,
                                    uint32_t* offsets, uint32_t* lengths) noexcept nogil:
    """Encode `count` rows of a class without lists one after the other; bytes used, or -1 - i if row i does not fit its
    class or the arena."""
    cdef size_t i, used = 0
    cdef int64_t size
    for i in range(count):
        size = message_encode(code, matrix + i * code.component_count, texts, texts_size,
                              spans + i * code.text_count, arena + used, capacity - used)
        if size < 0:
            return -1 - <int64_t>i
        offsets[i] = <uint32_t>used
        lengths[i] = <uint32_t>size
        used += <size_t>size
    return <int64_t>used
