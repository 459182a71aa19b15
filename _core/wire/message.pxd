"""Frames of a session body: one parse for every frame that the protocol has (docs/protocol.md, 5.2 and 5.3).

Owner    The caller owns the body; a Frame points into it.
Limit    A frame ends where its length says, the body where the datagram ends; FRAGMENTS_MAX, INPUTS_MAX.
Threads  Any.

    body     ack block ‖ frame ‖ frame ‖ ...                 the ack block is read by session/ack
    frame    length uvarint ‖ head u8 ‖ fields ‖ payload     length counts from the head; a length of 0 is padding
    head     bits 0-2 channel, 0x08 fragment, 0x10 compressed, the others 0

The length alone says where the next frame begins, so one bad frame never harms the next. Only the form is judged here:
whether a number is expected, a kind is in the schema or a set of fragments agrees with itself is for the floors above.
"""
from libc.stdint cimport uint8_t, uint16_t, uint64_t

from shadowland._core.base.status cimport (
    DROP_BAD_FRAGMENT, DROP_BAD_FRAME, DROP_NONE, DROP_UNKNOWN_CHANNEL, DROP_UNKNOWN_MESSAGE
)
from shadowland._core.wire.cursor cimport (
    Reader, Writer, read_bytes, read_u8, read_u16, read_uvarint, reader_init, reader_left, write_bytes, write_u8,
    write_uvarint, writer_left
)
from shadowland._core.wire.endian cimport store_u16
from shadowland._core.wire.varint cimport uvarint_size

cdef enum:
    FRAME_UNRELIABLE = 0
    FRAME_RELIABLE = 1
    FRAME_UNORDERED = 2
    FRAME_LATEST = 3
    FRAME_INPUT = 4
    FRAME_SNAPSHOT = 5
    FRAME_CONTROL = 7

    FRAME_STREAM_CONTROL = 8

    FRAME_CHANNEL_MASK = 0x07
    FRAME_FRAGMENT = 0x08
    FRAME_COMPRESSED = 0x10

    CODE_CONFIRM = 0
    CODE_PING = 1
    CODE_PONG = 2
    CODE_CLOSE = 3
    CODE_PATH_CHALLENGE = 4
    CODE_PATH_RESPONSE = 5

    MESSAGE_KIND_MAX = 200
    FRAGMENTS_MAX = 16                              # of an unreliable message
    INPUTS_MAX = 8
    FRAME_FIELDS_MAX = 9                            # bytes of fields after the head, at most

cdef struct Frame:
    uint8_t status                                  # DROP_NONE, or why the frame cannot be used
    uint8_t channel
    bint fragment
    uint8_t kind                                    # of the message or the inputs; control: the code; fragments: 0
    uint8_t stream                                  # reliable
    uint16_t number                                 # reliable: low bits of the unit's; unreliable fragment: its id
    uint16_t message                                # reliable: low bits of the message's number in its stream
    uint16_t index                                  # fragment
    uint16_t count                                  # fragment, or how many inputs
    uint16_t newest                                 # input: low bits of the last one's number
    const uint8_t* payload                          # message less its kind, part, inputs, snapshot, control's arguments
    size_t length
    bint compressed                                 # then `payload` is a declared size and a block, or a part of it


cdef inline uint8_t _message_kind(Reader* fields, Frame* frame) noexcept nogil:
    frame.kind = read_u8(fields)
    if fields.failed:
        return DROP_BAD_FRAME
    return DROP_NONE if 1 <= frame.kind <= MESSAGE_KIND_MAX else DROP_UNKNOWN_MESSAGE


cdef inline uint8_t _unreliable(Reader* fields, Frame* frame) noexcept nogil:
    if not frame.fragment:
        return _message_kind(fields, frame)
    frame.number = read_u16(fields)
    frame.index = read_u8(fields)
    frame.count = read_u8(fields)
    if fields.failed or not 2 <= frame.count <= FRAGMENTS_MAX or frame.index >= frame.count:
        return DROP_BAD_FRAGMENT
    return DROP_NONE


cdef inline uint8_t _reliable(Reader* fields, Frame* frame) noexcept nogil:
    if frame.channel == FRAME_RELIABLE:
        frame.stream = read_u8(fields)
    frame.number = read_u16(fields)
    if frame.channel == FRAME_RELIABLE or frame.fragment:
        frame.message = read_u16(fields)
    if fields.failed or frame.stream > FRAME_STREAM_CONTROL:
        return DROP_BAD_FRAME
    if not frame.fragment:
        return _message_kind(fields, frame)
    frame.index = read_u16(fields)
    frame.count = read_u16(fields)
    if fields.failed or frame.count < 2 or frame.index >= frame.count:
        return DROP_BAD_FRAGMENT
    return DROP_NONE


cdef inline uint8_t _inputs(Reader* fields, Frame* frame) noexcept nogil:
    """The whole frame is checked, so that whoever walks the inputs meets no end too early and none too late."""
    cdef Reader each
    cdef size_t _i
    frame.kind = read_u8(fields)
    frame.newest = read_u16(fields)
    frame.count = read_u8(fields)
    if fields.failed or not 1 <= frame.count <= INPUTS_MAX:
        return DROP_BAD_FRAME
    if not 1 <= frame.kind <= MESSAGE_KIND_MAX:
        return DROP_UNKNOWN_MESSAGE
    reader_init(&each, fields.data + fields.position, reader_left(fields))
    for _i in range(frame.count):
        read_bytes(&each, read_u8(&each))
    return DROP_NONE if not each.failed and reader_left(&each) == 0 else DROP_BAD_FRAME


cdef inline uint8_t _control(Reader* fields, Frame* frame) noexcept nogil:
    cdef size_t left
    frame.kind = read_u8(fields)
    left = reader_left(fields)
    if fields.failed:
        return DROP_BAD_FRAME
    if frame.kind == CODE_CONFIRM:
        return DROP_NONE if left == 0 else DROP_BAD_FRAME
    if frame.kind == CODE_PING or frame.kind == CODE_PATH_CHALLENGE or frame.kind == CODE_PATH_RESPONSE:
        return DROP_NONE if left == 8 else DROP_BAD_FRAME
    if frame.kind == CODE_PONG:
        return DROP_NONE if left == 16 else DROP_BAD_FRAME
    if frame.kind == CODE_CLOSE:
        return DROP_NONE if left == 1 else DROP_BAD_FRAME
    return DROP_BAD_FRAME


cdef inline bint _may_be_compressed(uint8_t channel) noexcept nogil:
    return channel <= FRAME_LATEST


cdef inline uint8_t _frame_fields(Reader* fields, Frame* frame) noexcept nogil:
    """Judge the head and read what follows it, by channel; DROP_NONE or why not."""
    cdef uint8_t head = read_u8(fields)
    frame.channel = head & FRAME_CHANNEL_MASK
    frame.fragment = (head & FRAME_FRAGMENT) != 0
    frame.compressed = (head & FRAME_COMPRESSED) != 0
    if frame.channel == 6:
        return DROP_UNKNOWN_CHANNEL
    if frame.compressed and not _may_be_compressed(frame.channel):
        return DROP_BAD_FRAME
    head &= <uint8_t>~(FRAME_CHANNEL_MASK | FRAME_FRAGMENT | FRAME_COMPRESSED)
    if head or (frame.fragment and frame.channel > FRAME_UNORDERED):
        return DROP_BAD_FRAME
    if frame.channel == FRAME_UNRELIABLE:
        return _unreliable(fields, frame)
    if frame.channel == FRAME_RELIABLE or frame.channel == FRAME_UNORDERED:
        return _reliable(fields, frame)
    if frame.channel == FRAME_LATEST:
        return _message_kind(fields, frame)
    if frame.channel == FRAME_INPUT:
        return _inputs(fields, frame)
    if frame.channel == FRAME_CONTROL:
        return _control(fields, frame)
    return DROP_NONE                                # a snapshot is all payload


cdef inline bint frame_next(Reader* body, Frame* frame) noexcept nogil:
    """Read the next frame of `body`, padding skipped; False at the end.

    A frame whose length is malformed or exceeds what is left has DROP_BAD_FRAME and makes `body` fail: it is the last.
    Any other bad frame has its reason in `status` and the next one can be read. frame_violates says if it must close.
    """
    cdef uint64_t length = 0
    cdef const uint8_t* start
    cdef Reader fields
    while length == 0:
        if body.failed or reader_left(body) == 0:
            return False
        length = read_uvarint(body)
        if body.failed:
            break
    frame[0] = Frame(DROP_BAD_FRAME, 0, False, 0, 0, 0, 0, 0, 0, 0, NULL, 0, False)
    start = read_bytes(body, length)
    if body.failed:
        return True
    reader_init(&fields, start, length)
    frame.status = _frame_fields(&fields, frame)
    frame.payload = start + fields.position
    frame.length = reader_left(&fields)
    return True


cdef inline bint frame_violates(const Frame* frame) noexcept nogil:
    """True for a bad frame of a reliable channel: its unit can neither be kept nor left out, so the session ends."""
    return frame.status != DROP_NONE and (frame.channel == FRAME_RELIABLE or frame.channel == FRAME_UNORDERED)


cdef inline bint frame_elicits(const Frame* frame) noexcept nogil:
    """True if the packet that holds this frame wants an acknowledgment (5.1)."""
    return not (frame.status == DROP_NONE and frame.channel == FRAME_CONTROL and frame.kind == CODE_CLOSE)


cdef inline bint frame_write(
    Writer* body, uint8_t head, const uint8_t* fields, size_t fields_length, const uint8_t* payload, size_t length
) noexcept nogil:
    """Append one frame; False and nothing written if it does not fit: no failure, it goes into the next packet."""
    cdef size_t inner = 1 + fields_length + length
    if body.failed or writer_left(body) < inner or writer_left(body) - inner < uvarint_size(inner):
        return False
    write_uvarint(body, inner)
    write_u8(body, head)
    write_bytes(body, fields, fields_length)
    write_bytes(body, payload, length)
    return True


cdef inline bint frame_pack(Writer* body, const Frame* frame) noexcept nogil:
    """Append `frame`, as frame_next gives it; False as in frame_write. The caller has filled it by the rules above."""
    cdef uint8_t fields[FRAME_FIELDS_MAX]
    cdef uint8_t head
    cdef size_t size = 0
    if frame.channel == FRAME_RELIABLE or frame.channel == FRAME_UNORDERED:
        if frame.channel == FRAME_RELIABLE:
            fields[0] = frame.stream
            size = 1
        store_u16(fields + size, frame.number)
        size += 2
        if frame.channel == FRAME_RELIABLE or frame.fragment:
            store_u16(fields + size, frame.message)
            size += 2
        if frame.fragment:
            store_u16(fields + size, frame.index)
            store_u16(fields + size + 2, frame.count)
            size += 4
    elif frame.channel == FRAME_UNRELIABLE and frame.fragment:
        store_u16(fields, frame.number)
        fields[2] = <uint8_t>frame.index
        fields[3] = <uint8_t>frame.count
        size = 4
    if frame.channel != FRAME_SNAPSHOT and not frame.fragment:
        fields[size] = frame.kind
        size += 1
    if frame.channel == FRAME_INPUT:
        store_u16(fields + size, frame.newest)
        fields[size + 2] = <uint8_t>frame.count
        size += 3
    head = frame.channel
    if frame.fragment:
        head |= FRAME_FRAGMENT
    if frame.compressed:
        head |= FRAME_COMPRESSED
    return frame_write(body, head, fields, size, frame.payload, frame.length)
