"""Effects as docs/effects.md says them: lists of dictionaries, looked through from end to end."""
from dataclasses import dataclass, field

REFRESH, COUNT, APART, LONGEST = 0, 1, 2, 3
REFUSED, NEW, REFRESHED, STACKED, REPLACED, IGNORED, NO_ROOM = range(7)
PERIOD, END = 1, 2
FOREVER = 1 << 64


@dataclass
class Kind:
    flags: int = 0
    blocked_by: int = 0
    duration: int = 0
    period: int = 0
    amount: int = 0
    most: int = 1
    stacking: int = REFRESH
    group: int = 0
    per_source: bool = False


@dataclass
class Effect:
    kind: int
    source: int
    intensity: int
    ends: int
    due: int
    stacks: int = 1


@dataclass
class Effects:
    """Entities are numbers; each has a list of effects, newest first."""

    kinds: list[Kind]
    capacity: int
    on: dict[int, list[Effect]] = field(default_factory=dict)

    def live(self) -> int:
        return sum(map(len, self.on.values()))

    def flags(self, target: int) -> int:
        union = 0
        for effect in self.on.get(target, []):
            union |= self.kinds[effect.kind].flags
        return union

    def apply(self, number: int, target: int, source: int, intensity: int, duration: int, tick: int) -> int:
        kind = self.kinds[number]
        if self.flags(target) & kind.blocked_by:
            return REFUSED
        mine = self.on.setdefault(target, [])
        same = [effect for effect in mine
                if effect.kind == number and (effect.source == source or not kind.per_source)]
        ends = tick + duration if duration else FOREVER
        if same and kind.stacking != APART:
            effect = same[0]
            if kind.stacking == LONGEST and ends <= effect.ends:
                return IGNORED
            stacked = kind.stacking == COUNT and effect.stacks < kind.most
            effect.stacks += stacked
            effect.intensity = intensity if kind.stacking == LONGEST else max(intensity, effect.intensity)
            effect.source, effect.ends = source, ends
            return REPLACED if kind.stacking == LONGEST else STACKED if stacked else REFRESHED
        result = STACKED if same else NEW
        if len(same) >= kind.most:
            first = min(effect.ends for effect in same)
            mine.remove(next(effect for effect in same if effect.ends == first))
            result = REPLACED
        if self.live() >= self.capacity:
            return NO_ROOM
        mine.insert(0, Effect(number, source, intensity, ends, tick + kind.period if kind.period else FOREVER))
        return result

    def step(self, tick: int) -> list[tuple[int, int, int, int, int, int, int]]:
        """(target, source, amount, due tick, kind, what, stacks), in no order."""
        happened = []
        for target, mine in self.on.items():
            for effect in list(mine):
                kind = self.kinds[effect.kind]
                while effect.due <= min(tick, effect.ends):
                    amount = kind.amount * effect.intensity * effect.stacks
                    happened.append((target, effect.source, amount, effect.due, effect.kind, PERIOD, effect.stacks))
                    effect.due += kind.period
                if effect.ends <= tick:
                    happened.append((target, effect.source, 0, effect.ends, effect.kind, END, effect.stacks))
                    mine.remove(effect)
        return happened

    def dispel(self, target: int, groups: int, most: int) -> int:
        mine = self.on.get(target, [])
        chosen = [effect for effect in mine if groups >> self.kinds[effect.kind].group & 1][:most]
        self.on[target] = [effect for effect in mine if not any(effect is other for other in chosen)]
        return len(chosen)

    def forget(self, target: int) -> None:
        self.on.pop(target, None)
