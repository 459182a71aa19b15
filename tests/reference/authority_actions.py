"""Actions as docs/authority.md says them: a purse and a dictionary of times, one action at a time."""
import math
from dataclasses import dataclass, field

from tests.reference.authority_map import HIGHEST, Area, Point

(DONE, UNKNOWN, BAD_PLACE, STATE, COOLDOWN, RESOURCES, RANGE, SIGHT) = range(8)


@dataclass
class ActionRule:
    cooldown_us: int = 0
    grace_us: int = 0
    charges: int = 1
    range: float | None = None
    needs_sight: bool = False
    eye: float = 1.6
    cost: int = 0
    forbidden: int = 0
    needed: int = 0


@dataclass
class Actions:
    """`full` is when all charges are there again, by (slot, action); `purse` what each row has."""

    area: Area
    rules: list[ActionRule]
    purse: list[int]
    full: dict[tuple[int, int], int] = field(default_factory=dict)

    def do(self, kind: int, slot: int, time_us: int, flags: int, source: Point, target: Point, row: int) -> int:
        if not 0 <= kind < len(self.rules):
            return UNKNOWN
        rule, places = self.rules[kind], [*source, *target]
        if not all(math.isfinite(one) and abs(one) <= HIGHEST for one in places):
            return BAD_PLACE
        if flags & rule.forbidden or flags & rule.needed != rule.needed:
            return STATE
        full = max(self.full.get((slot, kind), 0), time_us)
        if full - time_us > (rule.charges - 1) * rule.cooldown_us + rule.grace_us:
            return COOLDOWN
        if self.purse[row] < rule.cost:
            return RESOURCES
        apart2 = sum((t - s) * (t - s) for s, t in zip(source, target, strict=True))
        if rule.range is not None and apart2 > rule.range * rule.range:
            return RANGE
        if rule.needs_sight:
            ends = []
            for place in (source, target):
                end = [*place, 0.0][:3]
                self.area.clamp(end, 3, 0)
                height = end[2] if len(place) == 3 else self.area.ground_at(end)
                ends.append([end[0], end[1], height + rule.eye])
            if not self.area.line(255, False, *ends):
                return SIGHT
        self.full[slot, kind] = full + rule.cooldown_us
        self.purse[row] -= rule.cost
        return DONE
