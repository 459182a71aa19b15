"""Python door to the effects: arrays in, arrays out, one call a batch."""
import numpy as np

from cython cimport final
from libc.stdlib cimport calloc, free
from libc.string cimport memset

HAPPENING_DTYPE = np.dtype([
    ("target", np.uint64), ("source", np.uint64), ("amount", np.int64), ("tick", np.uint32), ("kind", np.uint8),
    ("what", np.uint8), ("stacks", np.uint16),
])
KINDS = EFFECT_KINDS
PERIOD, END = HAPPENED_PERIOD, HAPPENED_END
REFRESH, COUNT, APART, LONGEST = STACK_REFRESH, STACK_COUNT, STACK_APART, STACK_LONGEST
REFUSED, NEW, REFRESHED, STACKED = APPLY_REFUSED, APPLY_NEW, APPLY_REFRESHED, APPLY_STACKED
REPLACED, IGNORED, NO_ROOM = APPLY_REPLACED, APPLY_IGNORED, APPLY_NO_ROOM

if HAPPENING_DTYPE.itemsize != sizeof(Happening):
    raise ImportError(f"HAPPENING_DTYPE has {HAPPENING_DTYPE.itemsize} bytes and Happening {sizeof(Happening)}")


@final
cdef class Effects:
    """All live effects of a world of `slots` entities; at most `capacity` at once and `happenings` a step."""
    cdef EffectsState state
    cdef object _happenings

    def __init__(self, capacity: int, slots: int, happenings: int) -> None:
        cdef EffectsState* state = &self.state
        cdef Happening[::1] rows
        cdef uint32_t i
        if state.effects != NULL:
            raise ValueError("Effects is initialised once")
        for name, value in (("capacity", capacity), ("slots", slots), ("happenings", happenings)):
            if not 1 <= value <= 1 << 24:
                raise ValueError(f"{name} is {value}; it must be 1 to {1 << 24}")
        self._happenings = np.zeros(happenings, HAPPENING_DTYPE)
        rows = self._happenings
        state.happenings, state.happenings_limit = &rows[0], happenings
        state.capacity, state.slots = capacity, slots
        state.heads = <uint32_t*>calloc(slots, sizeof(uint32_t))
        state.flags = <uint32_t*>calloc(slots, sizeof(uint32_t))
        state.generations = <uint32_t*>calloc(slots, sizeof(uint32_t))
        state.wake = <uint64_t*>calloc(capacity, sizeof(uint64_t))
        state.effects = <Effect*>calloc(capacity, sizeof(Effect))
        if (state.heads == NULL or state.flags == NULL or state.generations == NULL or state.wake == NULL
                or state.effects == NULL):
            raise MemoryError(f"Effects: no memory for {capacity} effects on {slots} entities")
        memset(state.heads, 0xFF, <size_t>state.slots * sizeof(uint32_t))
        memset(state.wake, 0xFF, <size_t>state.capacity * sizeof(uint64_t))
        for i in range(state.capacity):
            state.effects[i].next = i + 1 if i + 1 < state.capacity else <uint32_t>EFFECT_NONE

    def __dealloc__(self):
        free(self.state.heads)
        free(self.state.flags)
        free(self.state.generations)
        free(self.state.wake)
        free(self.state.effects)

    @property
    def live(self) -> int:
        """Effects that are live."""
        return self.state.live

    def define(self, number: int, *, flags: int, blocked_by: int, duration: int, period: int, amount: int, most: int,
               stacking: int, group: int, per_source: bool) -> None:
        """Say what kind `number` (0 to 255) is, before it is first applied; times are ticks."""
        cdef EffectKind* kind
        if not 0 <= number < EFFECT_KINDS or not 0 <= group < 32 or not 1 <= most <= 65535:
            raise ValueError("number must be 0 to 255, group 0 to 31, most 1 to 65535")
        kind = &self.state.kinds[number]
        if kind.known:
            raise ValueError(f"kind {number} is defined already")
        kind.flags, kind.blocked_by, kind.duration, kind.period = flags, blocked_by, duration, period
        kind.amount, kind.most, kind.stacking, kind.group = amount, most, stacking, group
        kind.per_source, kind.known = per_source, True

    def apply(self, number: int, const uint64_t[::1] targets, const uint64_t[::1] sources,
              const int32_t[::1] intensities, const uint32_t[::1] durations, tick: int, uint8_t[::1] results) -> None:
        """Put kind `number` on each target, in order; `results` takes what became of each. All arrays are of one
        length."""
        cdef Py_ssize_t i, count = targets.shape[0]
        cdef uint8_t kind
        cdef uint64_t now = tick
        if not 0 <= number < EFFECT_KINDS or not self.state.kinds[number].known:
            raise ValueError(f"there is no kind {number}")
        if not count == sources.shape[0] == intensities.shape[0] == durations.shape[0] == results.shape[0]:
            raise ValueError("targets, sources, intensities, durations and results differ in length")
        kind = <uint8_t>number
        with nogil:
            for i in range(count):
                results[i] = effect_apply(&self.state, kind, targets[i], sources[i], intensities[i], durations[i], now)

    def step(self, tick: int) -> bool:
        """What is due by `tick` stands in `happenings`; False when they are full: take them and call again."""
        cdef uint64_t now = tick
        cdef bint done
        with nogil:
            done = effects_step(&self.state, now)
        return bool(done)

    @property
    def happenings(self):
        """Rows of the last step: a view, dtype HAPPENING_DTYPE."""
        return self._happenings[:self.state.happened]

    def dispel(self, const uint64_t[::1] targets, groups: int, most: int) -> int:
        """End up to `most` effects of these groups (bits) on each target, newest first; returns how many in all."""
        cdef Py_ssize_t i
        cdef uint32_t wanted = groups, each = most, done = 0
        with nogil:
            for i in range(targets.shape[0]):
                done += effects_dispel(&self.state, targets[i], wanted, each)
        return done

    def forget(self, const uint64_t[::1] targets) -> None:
        """These entities are gone: their effects go without a happening."""
        cdef Py_ssize_t i
        for i in range(targets.shape[0]):
            if effects_own(&self.state, targets[i], False):
                effects_forget(&self.state, <uint32_t>targets[i])

    def flags(self, const uint64_t[::1] targets, uint32_t[::1] out) -> None:
        """The union of the flags of each target's live effects; 0 for one that has none or is gone."""
        cdef Py_ssize_t i
        if targets.shape[0] != out.shape[0]:
            raise ValueError("targets and out differ in length")
        with nogil:
            for i in range(targets.shape[0]):
                out[i] = self.state.flags[<uint32_t>targets[i]] if effects_own(&self.state, targets[i], False) else 0

    def of(self, target: int) -> list[tuple[int, int, int, int, int]]:
        """(kind, source, ends, stacks, intensity) of each live effect of an entity, newest first; ends is -1 for
        those that last until they are dispelled."""
        cdef uint32_t at
        found = []
        if not effects_own(&self.state, target, False):
            return found
        at = self.state.heads[<uint32_t>(<uint64_t>target)]
        while at != <uint32_t>EFFECT_NONE:
            effect = &self.state.effects[at]
            ends = -1 if effect.ends == EFFECT_NEVER else int(effect.ends)
            found.append((int(effect.kind), int(effect.source), ends, int(effect.stacks), int(effect.intensity)))
            at = effect.next
        return found
