"""The slow model of congestion control: one object, plain integers, a page of rules (docs/states.md, "The rate").

Rates are bytes a second, times microseconds. `credit` is what may leave now, in millionths of a byte: rate × elapsed
microseconds then needs no division and loses nothing.
"""
from dataclasses import dataclass, field

MILLION = 1_000_000

FLOOR = 2_000                       # 16 kbit/s
MOST = 1 << 30
FIRST = 125_000                     # 1 Mbit/s, as long as nothing is known
FIRST_BURST = 12_000                # about ten packets (RFC 6928)
LEAST_BURST = 1_500
DEBT = 20_000
FORGIVEN_US = 250_000

ROUND_LEAST_US = 50_000
ROUND_MOST_US = 500_000
ROUND_LONGEST_US = 60_000_000
ROUND_SAMPLES = 5
SAMPLES_LEAST = 3
BASE_US = 10_000_000                # two of these is how far back the least round trip is looked for
HIGH_US = 20_000                    # a queue above it is too long
LOW_US = 5_000                      # one below it is none
BRAKE_US = 10_000                   # one above it, while the rate doubles, brakes before the round is over
NOISE = 2                           # the jitter by this is no queue
DRAIN_MOST_US = 500_000
LOSS_US = 1_000_000                 # two of these, or rounds, is how far back losses are counted
LOSS_LEAST = 3                      # fewer say nothing,
LOSS_PACKETS = 20                   # nor do they among fewer packets
FUTILE = 4
OWN_LOSS_MOST = 150
MODEST = 31_250                     # 250 kbit/s
STEP = 12_000                       # bytes a second, every second
STEP_DOUBLES_US = 500_000
STEP_ROUNDS = 8
VELOCITY_MOST = 1024
STUBBORN = 6
ONE_PACKET = 1_200


def fresh(window: list[int], since_us: int, length_us: int, now_us: int) -> tuple[list[int], int]:
    """Two windows, the running one first, as they are at `now_us`."""
    if now_us >= since_us + 2 * length_us:
        return [0, 0], now_us
    if now_us >= since_us + length_us:
        return [0, window[0]], now_us
    return window, since_us


@dataclass
class Congestion:
    burst_us: int
    now_us: int
    rate: int = FIRST
    credit: int = FIRST_BURST * MILLION
    drain_until_us: int = 0
    startup: bool = True
    braked: bool = False            # ... in this round
    wary: bool = False              # it braked once: from then on by half, and no more brakes
    settling: bool = False
    warned: bool = False            # the last round had a queue that was too long
    velocity: int = 1
    clean_us: int = 0
    stubborn: int = 0
    futile: int = 0                 # decisions in a row that lowered the rate for loss alone
    futile_loss: int = 0            # per mille, when they began
    knee: int = 0                   # what the path carried when it was last too much
    queue_us: int = 0               # at the last decision
    delivered: int = 0              # in the round before
    # the round under way
    round_sequence: int = 0
    round_sent: int = 0
    round_acked: int = 0
    standing_us: int = 0            # least sample, 0 none
    group_us: int = 0               # least of the last few, 0 none
    crest_us: int = 0               # greatest group_us of whole groups
    samples: int = 0
    # windows
    base_us: list[int] = field(default_factory=lambda: [0, 0])
    lost: list[int] = field(default_factory=lambda: [0, 0])
    acked: list[int] = field(default_factory=lambda: [0, 0])
    # RFC 3550's estimate over round trips, sixteen times too large
    jitter16_us: int = 0
    last_us: int = 0

    def __post_init__(self) -> None:
        self.refilled_us = self.round_started_us = self.base_since_us = self.loss_since_us = self.now_us

    # What may leave ------------------------------------------------------------------------------------------------

    def pace(self, now_us: int) -> int:
        return max(self.rate // 2, FLOOR) if now_us < self.drain_until_us else self.rate

    def refill(self, now_us: int) -> None:
        if now_us <= self.refilled_us:
            return
        elapsed = min(now_us - self.refilled_us, MILLION)
        most = max(self.rate * self.burst_us, LEAST_BURST * MILLION)
        if self.credit < most:
            self.credit = min(self.credit + self.pace(now_us) * elapsed, most)
        self.refilled_us = now_us

    def spend(self, size: int) -> None:
        self.round_sent += size
        self.credit = max(self.credit - size * MILLION, -(self.rate + DEBT) * MILLION)

    def probe(self, size: int) -> None:
        """A probe makes at most 250 ms of debt, and no less of what there is."""
        self.round_sent += size
        self.credit = min(self.credit, max(self.credit - size * MILLION, -self.rate * FORGIVEN_US))

    def due_us(self, now_us: int) -> int:
        """When credit will be above zero."""
        if self.credit > 0:
            return now_us
        return self.refilled_us + -self.credit // self.pace(now_us) + 1

    # What is known of the path -------------------------------------------------------------------------------------

    def note_acked(self, size: int) -> None:
        self.round_acked += size
        self.acked[0] += 1

    def note_lost(self) -> None:
        self.lost[0] += 1

    def note_late(self) -> None:
        """A packet that counted as lost was acknowledged after all."""
        for i in (0, 1):
            if self.lost[i]:
                self.lost[i] -= 1
                self.acked[i] += 1
                return

    def sample(self, path_us: int, now_us: int) -> None:
        path_us = max(path_us, 1)
        self.base_us, self.base_since_us = fresh(self.base_us, self.base_since_us, BASE_US, now_us)
        if self.base_us[0] == 0 or path_us < self.base_us[0]:
            self.base_us[0] = path_us
        if self.standing_us == 0 or path_us < self.standing_us:
            self.standing_us = path_us
        if self.group_us == 0 or path_us < self.group_us:
            self.group_us = path_us
        self.samples += 1
        if self.samples % ROUND_SAMPLES == 0:           # a queue that others drained meanwhile was one
            self.crest_us = max(self.crest_us, self.group_us)
            self.group_us = 0
        if self.last_us:
            self.jitter16_us += abs(path_us - self.last_us) - self.jitter16_us // 16
        self.last_us = path_us

    def least_us(self) -> int:
        return min((some for some in self.base_us if some), default=0)

    def waited_us(self, path_us: int) -> int:
        """... beyond what the least of five samples lies above the base by itself."""
        return max(path_us - self.least_us() - self.jitter16_us // (16 * NOISE), 0)

    def losses(self) -> tuple[int, int]:
        """(lost, packets of which one knows what became of them)."""
        return sum(self.lost), sum(self.lost) + sum(self.acked)

    # What follows from it ------------------------------------------------------------------------------------------

    def begin(self, next_sequence: int, now_us: int) -> None:
        self.round_sequence, self.round_started_us = next_sequence, now_us
        self.round_sent = self.round_acked = self.standing_us = self.samples = self.group_us = self.crest_us = 0

    def look(self, newest: int, next_sequence: int, in_flight: int, now_us: int) -> None:
        """A packet was acknowledged that is newer than all before: `newest`; `in_flight` bytes are under way."""
        if self.startup and not self.braked and not self.wary and self.waited_us(self.crest_us) > BRAKE_US:
            self.braked, self.rate = True, max(self.rate // 4, FLOOR)
        if newest < self.round_sequence:
            return
        if self.drain_until_us:
            if now_us >= self.drain_until_us:
                self.drain_until_us = 0
                self.settling = True
                self.round_sequence = next_sequence
            return
        if self.settling:
            self.settling = False
            self.begin(next_sequence, now_us)
            return
        elapsed = max(now_us - self.round_started_us, 0)
        if (elapsed < ROUND_LEAST_US or (self.samples < ROUND_SAMPLES and elapsed < ROUND_MOST_US)
                or self.samples < SAMPLES_LEAST):
            return
        self.decide(min(elapsed, ROUND_LONGEST_US), in_flight, now_us)
        self.begin(next_sequence, now_us)

    def own(self) -> int:
        """Losses per mille that the path shows however slowly one sends, as far as that is known, and some for luck."""
        return self.futile_loss + self.futile_loss // 8 + 100 if self.futile >= FUTILE else 100

    def decide(self, elapsed: int, in_flight: int, now_us: int) -> None:
        gone, packets = self.losses()
        if now_us >= self.loss_since_us + LOSS_US:      # a long round makes a long window
            self.lost, self.acked, self.loss_since_us = [0, self.lost[0]], [0, self.acked[0]], now_us
        lost = gone * 1000 // packets if gone >= LOSS_LEAST and packets >= LOSS_PACKETS else 0     # per mille
        unlucky = (10 * gone - packets) ** 2 <= 36 * packets        # within two deviations of one in ten
        delivered = self.round_acked * MILLION // elapsed
        best = max(delivered, self.delivered)
        self.delivered = delivered
        queue = self.waited_us(self.crest_us or self.standing_us)
        rise = max(queue - self.queue_us, 0)            # what is measured is a round trip old
        self.queue_us = queue
        if self.braked:                                 # a quarter was sent: it has not risen any more
            self.rate, self.braked, self.wary, rise = 2 * self.rate, False, True, 0
        slow = queue > LOW_US and (self.warned or queue + rise > HIGH_US)
        warned, self.warned = self.warned, False
        if slow and not (warned or self.startup or queue > 2 * HIGH_US):
            self.warned = True                          # a round for all others to see it too: then all go down
            return
        lossy = (lost > 100 and not unlucky) or (lost > 50 and queue > LOW_US)
        if lossy:
            self.lost, self.acked = [0, 0], [0, 0]      # the same losses count once
        if slow or (lossy and queue > LOW_US and lost > self.own()):
            if lossy or queue > 3 * HIGH_US:
                best = delivered
            if self.futile < FUTILE:
                self.futile = 0
            # Who sent little was delivered little: at most half is taken at once.
            knee = min(self.rate, max(best, self.rate // 2))
            if self.startup:                            # the newest samples do not show all that it brought on its way
                queue = max(queue, in_flight * MILLION // knee - self.least_us())
            self.lower(knee, 100, queue, slow, now_us)
            return
        self.stubborn = 0
        if lossy and not self.in_vain(lost):
            if lost > 500:                              # far too much: not step by step
                self.lower(min(self.rate, 2 * delivered), 100, queue, slow, now_us)
            else:
                self.lower(self.rate, lost // 2, queue, slow, now_us)
            return
        expected = packets * self.futile_loss                       # per mille of a packet
        if expected >= 10_000 and gone * 2000 < expected:
            self.futile = 0
        used = (self.round_sent + ONE_PACKET) * MILLION * 4 >= 3 * self.rate * elapsed
        most = self.own() if self.futile_loss <= OWN_LOSS_MOST or self.rate < MODEST else 100
        wants = used or self.credit < -self.rate * FORGIVEN_US      # who pays a large debt wants more too
        if lost > most or not wants:
            return                                      # the application asks for less, or one cannot be sure
        self.raise_(elapsed, queue)

    def in_vain(self, lost: int) -> bool:
        """Whether lowering the rate has not lessened the loss, which then is not the rate's."""
        less_lost = 2 * lost < self.futile_loss or 2 * (1000 - lost) > 3 * (1000 - self.futile_loss)
        other = less_lost or 2 * lost > 3 * self.futile_loss
        if self.futile < FUTILE:
            if self.futile == 0:
                self.futile_loss = lost
            self.futile += 1
            return False
        if other and self.futile > FUTILE:              # for the second time: few packets may look like another loss
            self.futile, self.futile_loss = 1, lost
            return False
        self.futile = FUTILE + 1 if other else FUTILE
        if not other:
            self.futile_loss = (7 * self.futile_loss + lost) // 8
        return True

    def lower(self, knee: int, by: int, queue: int, slow: bool, now_us: int) -> None:
        self.knee = knee
        self.rate = max(knee - knee * by // 1000, FLOOR)
        self.forgive()
        self.startup, self.velocity, self.clean_us = False, 1, 0
        if queue > LOW_US:
            self.drain_until_us = now_us + min(2 * queue, DRAIN_MOST_US)
        else:
            self.settling = True
        self.stubborn = self.stubborn + 1 if slow else 0
        if self.stubborn >= STUBBORN or (slow and self.rate == FLOOR):      # not our queue, or the path became longer
            self.base_us, self.base_since_us, self.stubborn = [self.standing_us, 0], now_us, 0

    def forgive(self) -> None:
        """A debt that a higher rate allowed would take too long to pay: at most 250 ms of the new one are left."""
        self.credit = max(self.credit, -self.rate * FORGIVEN_US)

    def raise_(self, elapsed: int, queue: int) -> None:
        if self.startup:
            self.rate = min(self.rate + (self.rate // 2 if self.wary else self.rate), MOST)
            return
        self.rate = min(self.rate + min(STEP * self.velocity * elapsed // MILLION, self.rate // 2), MOST)
        if queue > LOW_US:
            self.velocity, self.clean_us = 1, 0
            return
        if self.rate > self.knee:
            self.clean_us += elapsed
        if self.clean_us >= max(STEP_DOUBLES_US, STEP_ROUNDS * self.least_us()):
            self.velocity, self.clean_us = min(2 * self.velocity, VELOCITY_MOST), 0

    def collapse(self, least: int, now_us: int) -> None:
        """Persistent congestion (RFC 9002 7.6): all packets of a long time were lost."""
        self.rate = max(min(self.rate, least), FLOOR)
        self.forgive()
        self.startup, self.velocity, self.clean_us, self.stubborn, self.futile = True, 1, 0, 0, 0
        self.drain_until_us, self.settling, self.warned, self.queue_us = 0, True, False, 0
        self.braked = self.wary = False
        self.base_us, self.base_since_us = [0, 0], now_us
        self.lost, self.acked = [0, 0], [0, 0]

    def restart(self, next_sequence: int, now_us: int) -> None:
        """The session moved to another path: nothing is known of it."""
        credit = self.credit
        self.__init__(self.burst_us, now_us)  # type: ignore[misc]
        self.credit = min(self.credit, credit)
        self.settling, self.round_sequence = True, next_sequence
