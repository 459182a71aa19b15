"""Congestion: how fast a session may send, from the delay and the loss that it measures (docs/states.md, "The rate").

Owner    A Congestion lies inside the connection; nothing here allocates.
Limit    The rate lies between RATE_FLOOR and RATE_MOST; credit between a debt of one second and a burst.
Threads  One at a time per connection.

A rate in bytes a second fills `credit`; what leaves spends it, and waits while there is none. Once a round (a round
trip, ROUND_LEAST_US at least) the rate is decided upon: the least round trip of the round less the least of the last
10 to 20 s is the queue that stands on the path. Above HIGH_US the rate becomes nine tenths of what was delivered and
the queue is drained, so that whoever comes later measures the path empty too; else it grows by as much for all.

    rate       ╱│    ╱│    ╱│         lower: nine tenths of what the path delivers
             ╱  │  ╱  │  ╱  │         raise: by RATE_STEP a second, faster beyond what was once too much
    queue  ___.╱╲___.╱╲___.╱╲__       drained at half the rate, for twice its length
"""
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memset

cdef enum:
    RATE_FLOOR = 2000                               # 16 kbit/s
    RATE_MOST = 1 << 30
    RATE_FIRST = 125000                             # 1 Mbit/s, as long as nothing is known
    RATE_STEP = 12000                               # bytes a second, every second
    FIRST_BURST = 12000                             # about ten packets (RFC 6928)
    LEAST_BURST = 1500
    ONE_PACKET = 1200
    CREDIT_DEBT = 20000                             # beside one second at the rate
    FORGIVEN_US = 250000                            # of the rate is all that a lower one leaves of it

    ROUND_LEAST_US = 50000
    ROUND_MOST_US = 500000                          # and then fewer have to do
    ROUND_LONGEST_US = 60000000                     # a longer silence counts as this
    SAMPLES_LEAST = 3                               # one or two say nothing at all
    ROUND_SAMPLES = 5                               # fewer would take a jitter for a queue
    BASE_WINDOW_US = 10000000                       # two of these is how far back the least round trip is looked for
    HIGH_US = 20000                                 # a queue above it is too long
    LOW_US = 5000                                   # one below it is none
    BRAKE_US = 10000                                # at the beginning, where it doubles, one above it brakes at once
    NOISE = 2                                       # the jitter by this is no queue
    DRAIN_MOST_US = 500000
    LOSS_WINDOW_US = 1000000                        # two of these, or rounds, is how far back losses are counted
    LOSS_LEAST = 3                                  # fewer say nothing,
    LOSS_PACKETS = 20                               # nor do they among fewer packets
    LOSS_KNOWN = 10000                              # packets times per mille: ten should have been lost
    FUTILE_DECISIONS = 4                            # a loss that this many of them do not lessen is not ours,
    OWN_LOSS_MOST = 150                             # and up to this, per mille, the rate grows on,
    RATE_MODEST = 31250                             # or, whatever the path loses by itself, up to 250 kbit/s
    STEP_DOUBLES_US = 500000
    STEP_ROUNDS = 8
    VELOCITY_MOST = 1024
    STUBBORN_DECISIONS = 6                          # a queue that this many of them do not drain is not ours

    CREDIT_UNIT = 1000000                           # rate times microseconds: no division, and no rest is lost

cdef struct Congestion:
    uint64_t rate               # bytes a second
    int64_t credit              # bytes that may leave now, times CREDIT_UNIT
    uint64_t refilled_us
    uint64_t drain_until_us     # 0: no queue is being drained
    uint64_t burst_us
    uint64_t round_sequence     # the round ends when this packet or a later one is acknowledged
    uint64_t round_started_us
    uint64_t round_sent
    uint64_t round_acked
    uint64_t standing_us        # least sample of the round, 0 none
    uint64_t group_us           # least of its last few, 0 none
    uint64_t crest_us           # greatest group_us of whole groups of ROUND_SAMPLES
    uint64_t delivered          # bytes a second, in the round before
    uint64_t knee               # what the path carried when it was last too much
    uint64_t clean_us           # grown so long without a queue
    uint64_t queue_us           # at the last decision
    uint64_t base_us[2]         # least sample of the running window and of the one before, 0 none
    uint64_t base_since_us
    uint64_t loss_since_us
    uint32_t lost[2]            # packets, as base_us
    uint32_t acked[2]
    uint64_t jitter16_us        # RFC 3550's estimate over round trips, times 16
    uint64_t last_sample_us
    uint32_t samples            # of the round
    uint32_t velocity
    uint32_t stubborn           # decisions in a row that found a queue
    uint32_t futile             # ... that lowered the rate for loss alone
    uint32_t futile_loss        # per mille, when they began
    bint startup
    bint braked                 # ... in this round
    bint wary                   # it braked in vain: from then on by half, and no more brakes
    bint warned                 # the last round had a queue that was too long
    bint settling               # packets from before the last decision are still under way

cdef inline void congestion_init(Congestion* c, uint64_t burst_us, uint64_t now_us) noexcept nogil:
    memset(c, 0, sizeof(Congestion))
    c.rate = RATE_FIRST
    c.credit = <int64_t>FIRST_BURST * CREDIT_UNIT
    c.burst_us = burst_us
    c.velocity = 1
    c.startup = True
    c.refilled_us = c.round_started_us = c.base_since_us = c.loss_since_us = now_us

cdef inline uint64_t congestion_pace(const Congestion* c, uint64_t now_us) noexcept nogil:
    """Bytes a second that may leave now."""
    if now_us >= c.drain_until_us:
        return c.rate
    return c.rate // 2 if c.rate // 2 > RATE_FLOOR else RATE_FLOOR

cdef inline void congestion_refill(Congestion* c, uint64_t now_us) noexcept nogil:
    """Credit for the time since the last refill."""
    cdef uint64_t elapsed
    cdef int64_t most
    if now_us <= c.refilled_us:
        return
    elapsed = now_us - c.refilled_us
    if elapsed > CREDIT_UNIT:
        elapsed = CREDIT_UNIT
    most = <int64_t>(c.rate * c.burst_us)
    if most < <int64_t>LEAST_BURST * CREDIT_UNIT:
        most = <int64_t>LEAST_BURST * CREDIT_UNIT
    if c.credit < most:
        c.credit += <int64_t>(congestion_pace(c, now_us) * elapsed)
        if c.credit > most:
            c.credit = most
    c.refilled_us = now_us

cdef inline void congestion_spend(Congestion* c, uint32_t size) noexcept nogil:
    """A packet of `size` bytes leaves. What may not wait goes into debt, so that what can waits for it."""
    cdef int64_t least = -<int64_t>(c.rate + CREDIT_DEBT) * CREDIT_UNIT
    c.round_sent += size
    c.credit -= <int64_t>size * CREDIT_UNIT
    if c.credit < least:
        c.credit = least

cdef inline void congestion_probe(Congestion* c, uint32_t size) noexcept nogil:
    """A probe of `size` bytes leaves. At the floor they cost more than there is; FORGIVEN_US is their most debt."""
    cdef int64_t least = -<int64_t>(c.rate * FORGIVEN_US)
    c.round_sent += size
    if c.credit > least:
        c.credit -= <int64_t>size * CREDIT_UNIT
        if c.credit < least:
            c.credit = least

cdef inline uint64_t congestion_due(const Congestion* c, uint64_t now_us) noexcept nogil:
    """When there will be credit, if nothing is spent meanwhile."""
    if c.credit > 0:
        return now_us
    return c.refilled_us + <uint64_t>(-c.credit) // congestion_pace(c, now_us) + 1

cdef inline void congestion_acked(Congestion* c, uint32_t size) noexcept nogil:
    c.round_acked += size
    c.acked[0] += 1

cdef inline void congestion_lost(Congestion* c) noexcept nogil:
    c.lost[0] += 1

cdef inline void congestion_late(Congestion* c) noexcept nogil:
    """A packet that counted as lost was acknowledged after all: it was only overtaken."""
    cdef int i = 0 if c.lost[0] else 1
    if c.lost[i]:
        c.lost[i] -= 1
        c.acked[i] += 1

cdef inline uint64_t congestion_base(const Congestion* c) noexcept nogil:
    """The least round trip of the last two windows, 0 if there was none."""
    if c.base_us[0] == 0 or (c.base_us[1] != 0 and c.base_us[1] < c.base_us[0]):
        return c.base_us[1]
    return c.base_us[0]

cdef inline void congestion_sample(Congestion* c, uint64_t path_us, uint64_t now_us) noexcept nogil:
    """A round trip was measured; the peer's delay is taken off."""
    if path_us == 0:
        path_us = 1
    if now_us >= c.base_since_us + BASE_WINDOW_US:
        c.base_us[1] = c.base_us[0] if now_us < c.base_since_us + 2 * BASE_WINDOW_US else 0
        c.base_us[0] = 0
        c.base_since_us = now_us
    if c.base_us[0] == 0 or path_us < c.base_us[0]:
        c.base_us[0] = path_us
    if c.standing_us == 0 or path_us < c.standing_us:
        c.standing_us = path_us
    if c.group_us == 0 or path_us < c.group_us:
        c.group_us = path_us
    c.samples += 1
    if c.samples % ROUND_SAMPLES == 0:              # a queue that others drained meanwhile was one
        if c.group_us > c.crest_us:
            c.crest_us = c.group_us
        c.group_us = 0
    if c.last_sample_us:
        c.jitter16_us -= c.jitter16_us // 16
        c.jitter16_us += path_us - c.last_sample_us if path_us > c.last_sample_us else c.last_sample_us - path_us
    c.last_sample_us = path_us

cdef inline uint64_t congestion_queue(const Congestion* c, uint64_t path_us) noexcept nogil:
    """How long `path_us` waited, beyond what the least of five samples lies above the base by itself."""
    cdef uint64_t base = congestion_base(c) + c.jitter16_us // (16 * NOISE)
    return path_us - base if path_us > base else 0

cdef inline void round_begin(Congestion* c, uint64_t next_sequence, uint64_t now_us) noexcept nogil:
    c.round_sequence = next_sequence
    c.round_started_us = now_us
    c.round_sent = c.round_acked = c.standing_us = c.group_us = c.crest_us = 0
    c.samples = 0

cdef inline void loss_windows(Congestion* c, uint64_t now_us) noexcept nogil:
    """After a look at them: a long round makes a long window."""
    if now_us < c.loss_since_us + LOSS_WINDOW_US:
        return
    c.lost[1], c.acked[1] = c.lost[0], c.acked[0]
    c.lost[0] = c.acked[0] = 0
    c.loss_since_us = now_us

cdef inline void rate_forgive(Congestion* c) noexcept nogil:
    """A debt that a higher rate allowed would take too long to pay."""
    if c.credit < -<int64_t>(c.rate * FORGIVEN_US):
        c.credit = -<int64_t>(c.rate * FORGIVEN_US)

cdef inline bint beyond_luck(uint64_t lost, uint64_t packets) noexcept nogil:
    """Whether a path that loses one in ten would lose so many of so few one time in forty: two deviations more."""
    return 10 * lost > packets and (10 * lost - packets) * (10 * lost - packets) > 36 * packets

cdef inline bint rate_in_vain(Congestion* c, uint32_t lost) noexcept nogil:
    """Whether lowering the rate has not lessened the loss, which then is not the rate's. `lost` per mille."""
    cdef bint other = (2 * lost < c.futile_loss or 2 * lost > 3 * c.futile_loss
                       or 2 * (1000 - lost) > 3 * (1000 - c.futile_loss))
    if c.futile < FUTILE_DECISIONS:
        c.futile_loss = lost if c.futile == 0 else c.futile_loss
        c.futile += 1
        return False
    # Few packets make a loss look like another one: it is one if the next decision finds so too.
    if not other:
        c.futile = FUTILE_DECISIONS
        c.futile_loss = (7 * c.futile_loss + lost) // 8
    elif c.futile == FUTILE_DECISIONS:
        c.futile += 1
    else:
        c.futile, c.futile_loss = 1, lost
        return False
    return True

cdef inline uint32_t rate_own(const Congestion* c) noexcept nogil:
    """Losses per mille that a path shows however slowly one sends, as far as that is known, and some for luck."""
    return c.futile_loss + c.futile_loss // 8 + 100 if c.futile >= FUTILE_DECISIONS else 100

cdef inline void rate_lower(Congestion* c, uint64_t knee, uint32_t per_mille, uint64_t queue_us, bint slow,
                            uint64_t now_us) noexcept nogil:
    """The knee is what the path carries; go below it, and to half of that until the queue is gone."""
    c.knee = knee
    c.rate = knee - knee * per_mille // 1000
    if c.rate < RATE_FLOOR:
        c.rate = RATE_FLOOR
    rate_forgive(c)
    c.startup, c.velocity, c.clean_us = False, 1, 0
    if queue_us > LOW_US:
        c.drain_until_us = now_us + (2 * queue_us if 2 * queue_us < DRAIN_MOST_US else DRAIN_MOST_US)
    else:
        c.settling = True
    c.stubborn = c.stubborn + 1 if slow else 0
    if c.stubborn >= STUBBORN_DECISIONS or (slow and c.rate == RATE_FLOOR):
        # It is not our queue, or the path has become longer.
        c.base_us[0], c.base_us[1], c.base_since_us, c.stubborn = c.standing_us, 0, now_us, 0

cdef inline void rate_raise(Congestion* c, uint64_t elapsed_us, uint64_t queue_us) noexcept nogil:
    """By half while the path is unknown; then by a step that is the same for all, or they would never be equal. The
    step doubles as long as no queue comes of it, beyond what was too much the last time."""
    cdef uint64_t step, patience = STEP_ROUNDS * congestion_base(c)
    if c.startup:
        c.rate += c.rate // 2 if c.wary else c.rate
    else:
        step = RATE_STEP * <uint64_t>c.velocity * elapsed_us // 1000000
        c.rate += step if step < c.rate // 2 else c.rate // 2
    if c.rate > RATE_MOST:
        c.rate = RATE_MOST
    if c.startup:
        return
    if queue_us > LOW_US:
        c.velocity, c.clean_us = 1, 0
        return
    if c.rate > c.knee:
        c.clean_us += elapsed_us
    if c.clean_us >= (patience if patience > STEP_DOUBLES_US else STEP_DOUBLES_US):
        c.velocity = 2 * c.velocity if 2 * c.velocity < VELOCITY_MOST else VELOCITY_MOST
        c.clean_us = 0

cdef inline void rate_decide(Congestion* c, uint64_t elapsed_us, uint64_t in_flight, uint64_t now_us) noexcept nogil:
    """A round is over: is there a queue, is too much lost, was what is allowed used?"""
    cdef uint64_t delivered = c.round_acked * 1000000 // elapsed_us, best = delivered, queue, rise
    cdef uint32_t lost, gone, packets, most               # per mille; most: up to which the rate grows
    cdef bint slow, lossy, warned = c.warned
    lost = gone = c.lost[0] + c.lost[1]
    packets = lost + c.acked[0] + c.acked[1]
    loss_windows(c, now_us)
    lost = <uint32_t>(<uint64_t>lost * 1000 // packets) if lost >= LOSS_LEAST and packets >= LOSS_PACKETS else 0
    queue = congestion_queue(c, c.crest_us if c.crest_us else c.standing_us)
    rise = queue - c.queue_us if queue > c.queue_us else 0
    if c.braked:                                    # once, or jitter could keep it down; twice this was too much
        c.rate, c.braked, c.wary, rise = 2 * c.rate, False, True, 0
    # What is measured is a round trip old: it will have risen as much again.
    slow = queue > LOW_US and (warned or queue + rise > HIGH_US)
    lossy = (lost > 100 and beyond_luck(gone, packets)) or (lost > 50 and queue > LOW_US)
    # One round may have had bad luck with where its acknowledgments fell; where much is wrong, only the last counts.
    if c.delivered > best and not lossy and queue <= 3 * HIGH_US:
        best = c.delivered
    c.delivered, c.queue_us = delivered, queue
    c.warned = slow and not (warned or c.startup or queue > 2 * HIGH_US)
    if c.warned:
        return                                      # a round for all others to see it too: then all go down
    if lossy:                                       # the same losses count once
        c.lost[0] = c.lost[1] = c.acked[0] = c.acked[1] = 0
    if slow or (lossy and queue > LOW_US and lost > rate_own(c)):
        if c.futile < FUTILE_DECISIONS:
            c.futile = 0
        if best < c.rate // 2:                      # who sent little was delivered little
            best = c.rate // 2
        if best > c.rate:
            best = c.rate
        if c.startup and best and in_flight * 1000000 // best > congestion_base(c) + queue:
            queue = in_flight * 1000000 // best - congestion_base(c)    # what the newest samples do not show yet
        rate_lower(c, best, 100, queue, slow, now_us)
        return
    c.stubborn = 0
    if lossy and not rate_in_vain(c, lost):
        if lost > 500:                              # far too much: not step by step
            rate_lower(c, 2 * delivered if 2 * delivered < c.rate else c.rate, 100, queue, slow, now_us)
        else:
            rate_lower(c, c.rate, lost // 2, queue, slow, now_us)
        return
    if <uint64_t>packets * c.futile_loss >= LOSS_KNOWN and <uint64_t>gone * 2000 < <uint64_t>packets * c.futile_loss:
        c.futile = 0
    most = rate_own(c) if c.futile_loss <= OWN_LOSS_MOST or c.rate < RATE_MODEST else 100
    # Where a round holds few packets, one may fall into the next. Who pays a large debt sends little and wants more.
    if lost > most or ((c.round_sent + ONE_PACKET) * 4000000 < 3 * c.rate * elapsed_us
                     and c.credit >= -<int64_t>(c.rate * FORGIVEN_US)):
        return                                      # the application asks for less, or one cannot be sure
    rate_raise(c, elapsed_us, queue)

cdef inline void congestion_look(Congestion* c, uint64_t newest, uint64_t next_sequence, uint64_t in_flight,
                                 uint64_t now_us) noexcept nogil:
    """A packet was acknowledged that is newer than all before: `newest`. Ends the round if it is over."""
    cdef uint64_t elapsed
    if c.startup and not (c.braked or c.wary) and congestion_queue(c, c.crest_us) > BRAKE_US:
        c.braked = True                             # too much by twice is on its way: this much the path carried
        c.rate = c.rate // 4 if c.rate // 4 > RATE_FLOOR else RATE_FLOOR
    if newest < c.round_sequence:
        return
    if c.drain_until_us:
        if now_us >= c.drain_until_us:
            c.drain_until_us = 0
            c.settling = True
            c.round_sequence = next_sequence
        return
    if c.settling:
        c.settling = False
        round_begin(c, next_sequence, now_us)
        return
    elapsed = now_us - c.round_started_us if now_us > c.round_started_us else 0
    if elapsed < ROUND_LEAST_US or c.samples < SAMPLES_LEAST or (c.samples < ROUND_SAMPLES
                                                                 and elapsed < ROUND_MOST_US):
        return
    rate_decide(c, elapsed if elapsed < ROUND_LONGEST_US else ROUND_LONGEST_US, in_flight, now_us)
    round_begin(c, next_sequence, now_us)

cdef inline void congestion_collapse(Congestion* c, uint64_t least, uint64_t now_us) noexcept nogil:
    """Persistent congestion (RFC 9002 7.6): all packets of a long time were lost. Begin anew at `least` bytes/s."""
    if c.rate > least:
        c.rate = least
    if c.rate < RATE_FLOOR:
        c.rate = RATE_FLOOR
    rate_forgive(c)
    c.startup, c.settling, c.warned, c.velocity = True, True, False, 1
    c.braked = c.wary = False
    c.clean_us = c.queue_us = c.drain_until_us = 0
    c.stubborn = c.futile = 0
    c.base_us[0], c.base_us[1], c.base_since_us = 0, 0, now_us
    c.lost[0] = c.lost[1] = c.acked[0] = c.acked[1] = 0

cdef inline void congestion_restart(Congestion* c, uint64_t next_sequence, uint64_t now_us) noexcept nogil:
    """The session moved to another path (RFC 9000 9.4): nothing is known of it. Credit is not given twice."""
    cdef int64_t credit = c.credit
    congestion_init(c, c.burst_us, now_us)
    if credit < c.credit:
        c.credit = credit
    c.settling = True
    c.round_sequence = next_sequence
