"""Fuzz targets of the kernels that read what a peer wrote, one function each, with the property it must keep.

`run` gives one of them to libFuzzer, which mutates inputs toward code that was not reached yet; a property that does
not hold aborts, as an access out of bounds or an undefined operation does under the sanitizers.
"""
from libc.stddef cimport size_t
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcmp, memcpy, memset

from shadowland._core.base.slab cimport Slab, slab_blocks, slab_init
from shadowland._core.compress.lz4 cimport Workspace, open_packed, pack_message, packed_declared
from shadowland._core.session.ack cimport (
    ACK_BLOCK_MAX, ACK_POSITIONS, AckBlock, AckState, ack_confirm, ack_note, ack_pack, ack_parse, ack_withdraw,
)
from shadowland._core.session.fragment cimport (
    FRAGMENT_COMPLETE, FRAGMENT_PARTS, FRAGMENT_SETS, FRAGMENT_SIZE, Fragments, FragmentSet, fragment_add,
    fragment_drop, fragment_length, fragment_read, fragments_forget, fragments_sweep,
)
from shadowland._core.session.replay cimport REPLAY_LEAST, ReplayWindow, replay_commit, replay_seen
from shadowland._core.wire.bits cimport (
    BITS_MAX, BitReader, BitWriter, bit_reader_init, bit_writer_init, bits_bytes, class_bits, read_bits, read_class,
    read_padding, write_bits, write_class, write_padding,
)
from shadowland._core.wire.cursor cimport (
    Reader, Writer, read_bytes, read_f32, read_f64, read_u8, read_u16, read_u32, read_u64, read_uvarint, read_varint,
    reader_init, reader_left, writer_init,
)
from shadowland._core.wire.header cimport HEADER_SIZE, Header, header_pack, header_parse
from shadowland._core.wire.message cimport Frame, frame_elicits, frame_next, frame_pack, frame_violates
from shadowland._core.wire.varint cimport uvarint_decode, uvarint_encode, uvarint_size
from shadowland._core.world.codec cimport *                 # for codec.pyx, whose contract it is
from shadowland._core.world.view cimport VIEW_OK, Seat, Views, view_apply, view_seat, view_state

include "../../_core/world/codec.pyx"                       # its MessageCodec, whose tables only it can reach
include "driver.pyx"

from tests.fuzz.classes import kind_table, packings

cdef enum:
    LIMIT = 65536
    SEATS = 8

cdef uint8_t room[LIMIT]
cdef uint8_t other_room[LIMIT]


cdef int varints(const uint8_t* data, size_t size) noexcept nogil:
    """What is read is written again as it stood: a number has one form."""
    cdef uint64_t value = 0
    cdef size_t used, at = 0
    while at < size:
        used = uvarint_decode(data + at, size - at, &value)
        if used == 0:
            at += 1
            continue
        if used != uvarint_size(value) or uvarint_encode(value, room) != used or memcmp(room, data + at, used) != 0:
            broken("a varint has two forms")
        at += used
    return 0


cdef int bits(const uint8_t* data, size_t size) noexcept nogil:
    """The first byte of each pair says how wide; what was read is written again to the same bits, until the end."""
    cdef BitReader reader
    cdef BitWriter writer
    cdef size_t half = size // 2, i
    cdef uint64_t value
    cdef int32_t number
    cdef uint32_t small, medium
    bit_reader_init(&reader, data + half, size - half)
    bit_writer_init(&writer, room, LIMIT)
    for i in range(half):
        if data[i] & 0x80:
            small = 1 + (data[i] & 7)
            medium = small + 1 + (data[i] >> 3 & 15)
            number = read_class(&reader, small, medium)
            if reader.failed:
                break
            write_class(&writer, number, small, medium)
            if class_bits(number, small, medium) > 34:
                broken("a class is wider than its widest")
        else:
            value = read_bits(&reader, data[i])
            if reader.failed:
                break
            if data[i] > BITS_MAX or value >> data[i] != 0:
                broken("more bits were read than asked for")
            write_bits(&writer, value, data[i])
        if reader.position != writer.position or reader.position > 8 * (size - half):
            broken("reader and writer disagree where they stand")
    if not reader.failed and read_padding(&reader):
        write_padding(&writer)
        if writer.failed or memcmp(room, data + half, bits_bytes(writer.position)) != 0:
            broken("bits differ when they are written again")
    return 0


cdef int cursors(const uint8_t* data, size_t size) noexcept nogil:
    """Any reads in any order stay within; once failed, a reader stays where it is."""
    cdef Reader reader
    cdef Header header
    cdef size_t half = size // 4, i, before
    cdef bint failed
    cdef const uint8_t* found
    reader_init(&reader, data + half, size - half)
    for i in range(half):
        before, failed = reader.position, reader.failed
        if data[i] < 32:
            read_u8(&reader)
        elif data[i] < 64:
            read_u16(&reader)
        elif data[i] < 96:
            read_u32(&reader)
        elif data[i] < 112:
            read_u64(&reader)
        elif data[i] < 120:
            read_f32(&reader)
        elif data[i] < 128:
            read_f64(&reader)
        elif data[i] < 144:
            read_uvarint(&reader)
        elif data[i] < 160:
            read_varint(&reader)
        elif data[i] < 250:
            found = read_bytes(&reader, data[i] - 160)
            if (found == NULL) != reader.failed:
                broken("bytes without failure, or a failure with bytes")
        else:
            read_bytes(&reader, <size_t>0 - data[i])
        if reader.position < before or reader_left(&reader) > size - half or (failed and reader.position != before):
            broken("a reader left its bytes, or moved after it had failed")
    if header_parse(data, size, &header):
        header_pack(room, &header)
        if memcmp(room, data, HEADER_SIZE) != 0:
            broken("a header has two forms")
    return 0


cdef int acks(const uint8_t* data, size_t size) noexcept nogil:
    """A block lies within the body and names nothing below zero; what a receiver says of its own is read again."""
    cdef AckBlock block
    cdef AckState state
    cdef int used
    cdef uint64_t largest = 0, sequence = 0, own = 0
    cdef size_t i
    if size < 8:
        return 0
    memcpy(&largest, data, 8)
    used = ack_parse(data + 8, <uint32_t>(size - 8), largest, &block)
    if used >= 0:
        if <size_t>used > size - 8 or block.bytes > ACK_POSITIONS // 8 or (
                block.bytes and block.bits + block.bytes > data + 8 + used):
            broken("an ack block reaches beyond its end")
        for i in range(8 * block.bytes):
            if block.bits[i >> 3] >> (i & 7) & 1 and i + 1 > block.newest:
                broken("a sequence below zero is acknowledged")
    memset(&state, 0, sizeof(state))
    for i in range(size):
        if data[i] < 0xE0:                                  # a packet some way behind or ahead
            sequence += data[i]
            if sequence < 100:
                sequence += 100
            sequence -= 100
            ack_note(&state, sequence, i * 1000, data[i] & 1, 25000, own)
        elif data[i] < 0xE8:
            ack_withdraw(&state, sequence)
        elif data[i] < 0xF0 and state.some:
            ack_confirm(&state, own, state.newest)
        else:
            own += 1
            used = <int>ack_pack(&state, room, i * 1000)
            if used > ACK_BLOCK_MAX or ack_parse(room, <uint32_t>used, state.confirmed, &block) != used:
                broken("an ack block of ours cannot be read")
            if block.some and block.newest != state.newest:
                broken("an ack block of ours names another newest")
    return 0


cdef int replays(const uint8_t* data, size_t size) noexcept nogil:
    """A sequence is taken once; one that was taken, or is a window old, is seen."""
    cdef ReplayWindow window
    cdef uint64_t sequence
    cdef size_t at
    memset(&window, 0, sizeof(window))
    if size == 0:
        return 0
    window.positions = REPLAY_LEAST + 15 * <uint64_t>data[0]
    for at in range(1, size - (size - 1) % 8, 8):
        memcpy(&sequence, data + at, 8)
        if data[at] & 1:                                    # most mutations of a u64 are far away: stay near, too
            sequence = window.newest + (sequence >> 56) - 128
        seen = replay_seen(&window, sequence)
        if replay_commit(&window, sequence) == seen or not replay_seen(&window, sequence) or window.newest < sequence:
            broken("a sequence was taken twice, or is not known to have been taken")
        if window.newest >= window.positions and not replay_seen(&window, window.newest - window.positions):
            broken("what is too old to tell passes for new")
    return 0


cdef int frames(const uint8_t* data, size_t size) noexcept nogil:
    """Each frame lies within the body; one that is as prescribed is written again as it stood."""
    cdef Reader reader
    cdef Writer writer
    cdef Frame frame
    cdef size_t before
    reader_init(&reader, data, size)
    while True:
        before = reader.position
        if not frame_next(&reader, &frame):
            break
        frame_violates(&frame)
        frame_elicits(&frame)
        if reader.failed:
            if frame.status == 0:
                broken("a frame without an end passes for good")
            break
        if reader.position <= before or reader.position > size:
            broken("a frame ends where it does not")
        if frame.status == 0 and frame.length:
            if frame.payload < data or frame.payload + frame.length > data + size:
                broken("a payload lies beyond the body")
        if frame.status == 0:
            writer_init(&writer, room, LIMIT)
            if not frame_pack(&writer, &frame) or memcmp(
                    room, data + reader.position - writer.position, writer.position) != 0:
                broken("a frame has two forms")
    return 0


cdef Fragments* fragments_state
cdef Slab fragments_slab


cdef int fragments(const uint8_t* data, size_t size) noexcept nogil:
    """Parts in any order: sets are bounded, a whole is as long as its parts, and when all is over no block is held."""
    cdef FragmentSet* whole
    cdef uint64_t now = 1
    cdef uint32_t length
    cdef size_t at = 0
    while at + 4 <= size:
        length = FRAGMENT_SIZE if data[at + 3] & 1 else data[at + 3] * 4
        now += <uint64_t>(data[at + 3] >> 5) << 20
        if data[at] >= 0xF8:
            fragments_forget(fragments_state, &fragments_slab, 1 + (data[at] & 7))
        elif fragment_add(fragments_state, &fragments_slab, 1 + (data[at] & 7), data[at + 1], data[at + 2] & 31,
                          data[at + 2] >> 5 | (data[at] & 0x18), data[at + 3] & 0x10, room, length, now,
                          &whole) == FRAGMENT_COMPLETE:
            if fragment_length(whole) > FRAGMENT_PARTS * FRAGMENT_SIZE:
                broken("a set is longer than all its parts")
            fragment_read(whole, &fragments_slab, other_room)
            fragment_drop(fragments_state, &fragments_slab, whole)
        if fragments_state.live > FRAGMENT_SETS or fragments_slab.used > fragments_slab.capacity:
            broken("more sets or blocks than there are")
        at += 4
    fragments_sweep(fragments_state, &fragments_slab, now + 11_000_000)
    if fragments_state.live != 0 or fragments_slab.used != 0:
        broken("blocks are held when all sets are gone")
    return 0


cdef Workspace workspace


cdef int lz4_open(const uint8_t* data, size_t size) noexcept nogil:
    """Whatever a block says, nothing is written beyond the declared size, which the limit bounds."""
    cdef uint32_t head, declared = packed_declared(data, <uint32_t>size, LIMIT, &head)
    cdef uint8_t* out
    if declared == 0:
        return 0
    if declared > LIMIT or head > size:
        broken("a declared size beyond the limit")
    out = <uint8_t*>malloc(declared)                        # exactly so long, so that the sanitizer sees one byte more
    open_packed(data, <uint32_t>size, head, out, declared)
    free(out)
    return 0


cdef int lz4_pack(const uint8_t* data, size_t size) noexcept nogil:
    """What was packed is shorter and is opened to what it was."""
    cdef uint32_t length, head, declared
    cdef uint8_t* packed
    if size > LIMIT:
        return 0
    packed = <uint8_t*>malloc(size)
    length = pack_message(&workspace, packed, data, <uint32_t>size)
    if length >= size and size > 0:
        broken("what is packed is no shorter")
    if length:
        declared = packed_declared(packed, length, LIMIT, &head)
        if declared != size or not open_packed(packed, length, head, room, declared) or memcmp(room, data, size) != 0:
            broken("what was packed is not opened to what it was")
    free(packed)
    return 0


cdef list codecs = [MessageCodec(*packing) for packing in packings()]
cdef const MessageCode* codes[16]
cdef uint32_t code_count = 0


cdef int messages(const uint8_t* data, size_t size) noexcept nogil:
    """A payload that is a message of its class is encoded again as it stood: one message has one encoding."""
    cdef const MessageCode* code
    cdef int32_t row[CODEC_COMPONENTS]
    cdef TextSpan spans[2 * CODEC_TEXTS]
    cdef int32_t elements[64]
    cdef int64_t used
    cdef size_t part
    cdef uint32_t i
    if size < 1 or size > LIMIT:
        return 0
    code = codes[data[0] % code_count]
    if message_decode(code, data + 1, size - 1, row, spans):
        used = message_encode(code, row, data + 1, size - 1, spans, room, LIMIT)
        if used < 0 or <size_t>used > size - 1 or (not code.list_count and <size_t>used != size - 1) or memcmp(
                room, data + 1, <size_t>used) != 0:
            broken("a message has two encodings")
        for i in range(code.list_count):
            if code.lists[i].text_limit:
                continue
            list_unpack(&code.lists[i], data + 1 + spans[code.text_count + i].offset,
                        spans[code.text_count + i].length, elements)
            list_pack(&code.lists[i], elements, spans[code.text_count + i].length, room)
            part = list_bytes(&code.lists[i], spans[code.text_count + i].length)
            if part and memcmp(room, data + 1 + spans[code.text_count + i].offset, part) != 0:
                broken("a list has two encodings")
    return 0


cdef Views views
cdef Seat seats_before[SEATS]


cdef int snapshots(const uint8_t* data, size_t size) noexcept nogil:
    """Payloads one after the other into one view: what is refused changes nothing, and no seat is beyond the last."""
    cdef size_t at = 0, length
    cdef uint32_t newest, seat
    cdef int32_t state[64]
    memset(view_seat(&views.v, 0, 0), 0, SEATS * sizeof(Seat))
    views.v.newest[0] = 0
    while at < size:
        length = data[at]
        at += 1
        if length > size - at:
            length = size - at
        memcpy(seats_before, view_seat(&views.v, 0, 0), sizeof(seats_before))
        newest = views.v.newest[0]
        if length and view_apply(&views.v, 0, data + at, length, 70000) != VIEW_OK:
            if newest != views.v.newest[0] or memcmp(seats_before, view_seat(&views.v, 0, 0), sizeof(seats_before)):
                broken("a refused snapshot changed the view")
        for seat in range(SEATS):
            if view_seat(&views.v, 0, seat).count > views.v.depth:
                broken("more states than there is room for")
            view_state(&views.v, 0, seat, views.v.newest[0] + 1, state)
        at += length
    return 0


cdef int prepare() except -1:
    global fragments_state, views, code_count
    fragments_state = <Fragments*>calloc(1, sizeof(Fragments))
    if fragments_state == NULL or not slab_init(&fragments_slab, 512):
        raise MemoryError
    for codec in codecs:
        codes[code_count] = &(<MessageCodec>codec).code
        code_count += 1
    views = Views(kind_table(), 1, SEATS, 4)
    return 0


prepare()
TARGETS["varints"] = <size_t>varints
TARGETS["bits"] = <size_t>bits
TARGETS["cursors"] = <size_t>cursors
TARGETS["acks"] = <size_t>acks
TARGETS["replays"] = <size_t>replays
TARGETS["frames"] = <size_t>frames
TARGETS["fragments"] = <size_t>fragments
TARGETS["lz4_open"] = <size_t>lz4_open
TARGETS["lz4_pack"] = <size_t>lz4_pack
TARGETS["messages"] = <size_t>messages
TARGETS["snapshots"] = <size_t>snapshots
