"""Effects on entities (buffs, debuffs, damage over time): apply, stack, refresh, tick, end, dispel, in batches.

Owner    The Effects class (effects.pyx) allocates everything at start-up.
Limit    `capacity` live effects in all, EFFECT_KINDS kinds, `slots` entities, `happenings` rows a step; what finds no
         room is refused with a code (apply) or waits for the next step (happenings), never lost.
Threads  One at a time.

An entity's live effects are a chain through `next`; its flags are the union over that chain, made anew whenever one of
them goes: two effects on one flag never clear each other.

    heads[slot] ─▶ effect ─next▶ effect ─next▶ NONE         free ─next▶ free ─next▶ NONE
    wake[i]     =  the earlier of when effect i ends and when its next period is due; NEVER for free places

A step looks at `wake` alone (8 bytes a place, in order) and at an effect only when it is due.
"""
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t

cdef enum:
    EFFECT_KINDS = 256
    EFFECT_NONE = 0xFFFFFFFF

    STACK_REFRESH = 0               # one is live; applied again it starts anew, and the greater intensity stays
    STACK_COUNT = 1                 # one is live and counts up to `most`; applied again it starts anew
    STACK_APART = 2                 # up to `most` are live, each with its own time; the next to end gives way
    STACK_LONGEST = 3               # one is live; the one that ends later stays

    APPLY_REFUSED = 0               # the target's flags block this kind
    APPLY_NEW = 1
    APPLY_REFRESHED = 2
    APPLY_STACKED = 3
    APPLY_REPLACED = 4
    APPLY_IGNORED = 5               # STACK_LONGEST: what is there lasts longer
    APPLY_NO_ROOM = 6

    HAPPENED_PERIOD = 1
    HAPPENED_END = 2

cdef extern from *:
    """
    #define EFFECT_NEVER UINT64_MAX
    """
    const uint64_t EFFECT_NEVER

cdef struct EffectKind:
    uint32_t flags                  # what it sets on its target while it lives
    uint32_t blocked_by             # flags of a target on which it cannot be put
    uint32_t duration               # ticks; 0: until it is dispelled
    uint32_t period                 # ticks between happenings; 0: none
    int32_t amount                  # of each, times intensity and stacks
    uint16_t most                   # live at once on one target (of one source, if per_source)
    uint8_t stacking
    uint8_t group                   # dispel group, 0 to 31
    uint8_t per_source              # effects of two sources do not stack with each other
    uint8_t known

cdef struct Effect:
    uint64_t target                 # entity handle
    uint64_t source                 # entity handle, 0 none
    uint64_t ends                   # tick; EFFECT_NEVER: when dispelled
    uint64_t due                    # tick of the next period; EFFECT_NEVER: none
    uint32_t next
    int32_t intensity
    uint16_t stacks
    uint8_t kind

cdef struct Happening:              # 32 bytes, seen by Python as HAPPENING_DTYPE
    uint64_t target
    uint64_t source
    int64_t amount
    uint32_t tick                   # low 32 bits of the tick for which it was due
    uint8_t kind
    uint8_t what                    # HAPPENED_
    uint16_t stacks

cdef struct EffectsState:
    uint32_t capacity
    uint32_t slots
    uint32_t live
    uint32_t high_water             # places that were ever used; a step ends there
    uint32_t free_head
    uint32_t happenings_limit
    uint32_t happened
    uint32_t resume                 # where a step goes on that found no room for happenings
    uint32_t* heads
    uint32_t* flags                 # per slot, union of its live effects
    uint32_t* generations           # per slot, of the entity its chain belongs to
    uint64_t* wake
    Effect* effects
    Happening* happenings
    EffectKind kinds[EFFECT_KINDS]

cdef inline void effect_wake(EffectsState* state, uint32_t i) noexcept nogil:
    cdef Effect* effect = &state.effects[i]
    state.wake[i] = effect.due if effect.due < effect.ends else effect.ends

cdef inline void effects_union(EffectsState* state, uint32_t slot) noexcept nogil:
    cdef uint32_t at = state.heads[slot], flags = 0
    while at != <uint32_t>EFFECT_NONE:
        flags |= state.kinds[state.effects[at].kind].flags
        at = state.effects[at].next
    state.flags[slot] = flags

cdef inline void effect_remove(EffectsState* state, uint32_t slot, uint32_t i) noexcept nogil:
    """Take effect `i` out of its target's chain. The caller makes the flags anew."""
    cdef uint32_t at = state.heads[slot]
    if at == i:
        state.heads[slot] = state.effects[i].next
    else:
        while state.effects[at].next != i:
            at = state.effects[at].next
        state.effects[at].next = state.effects[i].next
    state.wake[i] = EFFECT_NEVER
    state.effects[i].target = 0
    state.effects[i].next = state.free_head
    state.free_head = i
    state.live -= 1

cdef inline void effects_forget(EffectsState* state, uint32_t slot) noexcept nogil:
    """The entity of `slot` is gone: its effects end without a word."""
    while state.heads[slot] != <uint32_t>EFFECT_NONE:
        effect_remove(state, slot, state.heads[slot])
    state.flags[slot] = 0

cdef inline bint effects_own(EffectsState* state, uint64_t target, bint claim) noexcept nogil:
    """Whether the chain of the slot is this entity's; with `claim` it becomes so, and what a predecessor left goes."""
    cdef uint32_t slot = <uint32_t>target, generation = <uint32_t>(target >> 32)
    if slot >= state.slots or target == 0:
        return False
    if state.generations[slot] == generation:
        return True
    if not claim:
        return False
    effects_forget(state, slot)
    state.generations[slot] = generation
    return True

cdef inline void effect_start(EffectsState* state, Effect* effect, const EffectKind* kind, uint32_t duration,
                              uint64_t tick, bint keep_period) noexcept nogil:
    """Its time begins. A refreshed one keeps the rhythm of its periods: refreshing must not put damage off for ever."""
    effect.ends = tick + duration if duration > 0 else EFFECT_NEVER
    if not keep_period:
        effect.due = tick + kind.period if kind.period > 0 else EFFECT_NEVER

cdef inline uint32_t effect_find(const EffectsState* state, uint32_t slot, uint8_t kind, uint64_t source,
                                 uint32_t* count, uint32_t* soonest) noexcept nogil:
    """The first live effect of a kind on a slot (of one source, if that matters), how many there are, and which of them
    ends first."""
    cdef uint32_t at = state.heads[slot], found = <uint32_t>EFFECT_NONE
    cdef const Effect* effect
    count[0] = 0
    soonest[0] = <uint32_t>EFFECT_NONE
    while at != <uint32_t>EFFECT_NONE:
        effect = &state.effects[at]
        if effect.kind == kind and (not state.kinds[kind].per_source or effect.source == source):
            if found == <uint32_t>EFFECT_NONE:
                found = at
            if soonest[0] == <uint32_t>EFFECT_NONE or effect.ends < state.effects[soonest[0]].ends:
                soonest[0] = at
            count[0] += 1
        at = effect.next
    return found

cdef inline uint8_t effect_again(EffectsState* state, uint32_t i, uint64_t source, int32_t intensity, uint32_t duration,
                                 uint64_t tick) noexcept nogil:
    """Apply a kind to a target that has it as effect `i`; returns an APPLY_ code."""
    cdef Effect* effect = &state.effects[i]
    cdef const EffectKind* kind = &state.kinds[effect.kind]
    cdef uint64_t ends = tick + duration if duration > 0 else EFFECT_NEVER
    cdef uint8_t result = APPLY_REFRESHED
    if kind.stacking == STACK_LONGEST and ends <= effect.ends:
        return APPLY_IGNORED
    if kind.stacking == STACK_COUNT and effect.stacks < kind.most:
        effect.stacks += 1
        result = APPLY_STACKED
    if kind.stacking == STACK_LONGEST:
        effect.intensity = intensity
        result = APPLY_REPLACED
    elif intensity > effect.intensity:
        effect.intensity = intensity
    effect.source = source
    effect_start(state, effect, kind, duration, tick, True)
    effect_wake(state, i)
    return result

cdef inline uint8_t effect_apply(EffectsState* state, uint8_t number, uint64_t target, uint64_t source,
                                 int32_t intensity, uint32_t duration, uint64_t tick) noexcept nogil:
    """Put one effect on one entity; returns an APPLY_ code."""
    cdef const EffectKind* kind = &state.kinds[number]
    cdef uint32_t slot = <uint32_t>target, count, soonest, i
    cdef Effect* effect
    cdef uint8_t result = APPLY_NEW
    if not effects_own(state, target, True) or state.flags[slot] & kind.blocked_by:
        return APPLY_REFUSED
    i = effect_find(state, slot, number, source, &count, &soonest)
    if count > 0 and kind.stacking != STACK_APART:
        return effect_again(state, i, source, intensity, duration, tick)
    if count >= kind.most:
        effect_remove(state, slot, soonest)
        result = APPLY_REPLACED
    elif count > 0:
        result = APPLY_STACKED
    i = state.free_head
    if i == <uint32_t>EFFECT_NONE:
        return APPLY_NO_ROOM
    state.free_head = state.effects[i].next
    if i >= state.high_water:
        state.high_water = i + 1
    state.live += 1
    effect = &state.effects[i]
    effect.target = target
    effect.source = source
    effect.intensity = intensity
    effect.stacks = 1
    effect.kind = number
    effect.next = state.heads[slot]
    state.heads[slot] = i
    effect_start(state, effect, kind, duration, tick, False)
    effect_wake(state, i)
    state.flags[slot] |= kind.flags
    return result

cdef inline void happening_push(EffectsState* state, const Effect* effect, uint8_t what, uint64_t tick) noexcept nogil:
    cdef Happening* out = &state.happenings[state.happened]
    out.target = effect.target
    out.source = effect.source
    out.amount = 0
    if what == HAPPENED_PERIOD:
        out.amount = <int64_t>state.kinds[effect.kind].amount * effect.intensity * effect.stacks
    out.tick = <uint32_t>tick
    out.kind = effect.kind
    out.what = what
    out.stacks = effect.stacks
    state.happened += 1

cdef inline bint effect_due(EffectsState* state, uint32_t i, uint64_t tick) noexcept nogil:
    """Everything of effect `i` that is due by `tick`; False when there was no room for all of it."""
    cdef Effect* effect = &state.effects[i]
    cdef uint32_t slot = <uint32_t>effect.target
    # A period that falls on the last tick still happens: "five seconds, every second" is five times.
    while effect.due <= tick and effect.due <= effect.ends:
        if state.happened >= state.happenings_limit:
            effect_wake(state, i)
            return False
        happening_push(state, effect, HAPPENED_PERIOD, effect.due)
        effect.due += state.kinds[effect.kind].period
    if effect.ends <= tick:
        if state.happened >= state.happenings_limit:
            effect_wake(state, i)
            return False
        happening_push(state, effect, HAPPENED_END, effect.ends)
        effect_remove(state, slot, i)
        effects_union(state, slot)
        return True
    effect_wake(state, i)
    return True

cdef inline bint effects_step(EffectsState* state, uint64_t tick) noexcept nogil:
    """Fill the happenings with what is due by `tick`; False when they are full and more waits: take them, call
    again."""
    cdef uint32_t i = state.resume
    state.happened = 0
    while i < state.high_water:
        if state.wake[i] <= tick and not effect_due(state, i, tick):
            state.resume = i
            return False
        i += 1
    state.resume = 0
    return True

cdef inline uint32_t effects_dispel(EffectsState* state, uint64_t target, uint32_t groups,
                                    uint32_t most) noexcept nogil:
    """End up to `most` effects of these groups (bits) on an entity, newest first; returns how many."""
    cdef uint32_t slot = <uint32_t>target, at, following, done = 0
    if not effects_own(state, target, False):
        return 0
    at = state.heads[slot]
    while at != <uint32_t>EFFECT_NONE and done < most:
        following = state.effects[at].next
        if groups >> state.kinds[state.effects[at].kind].group & 1:
            effect_remove(state, slot, at)
            done += 1
        at = following
    if done > 0:
        effects_union(state, slot)
    return done
