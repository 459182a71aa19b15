"""What has happened in the demo's world, counted."""
import msgspec


class Deeds(msgspec.Struct):
    """Counts since the server began. Its fields are keys of the result (docs/demo.md)."""

    shots: int = 0              # arrows
    hits: int = 0               # arrows that hit somebody
    bolts: int = 0              # that were shot
    bolt_hits: int = 0          # monsters and players that they hit
    rewound: int = 0            # of them, where somebody else, or nobody, stands by now: only rewind makes them hits
    kills: int = 0              # monsters
    bites: int = 0              # of players by monsters
    falls: int = 0              # players whose health was gone
    effects: int = 0            # applied: stunned, poisoned, mending, hidden
    hidden: int = 0             # players who became invisible to the other side
    items: int = 0              # picked up
    parties: int = 0            # joined
    duels: int = 0              # begun
    chats: int = 0              # lines that were said
    heard: int = 0              # lines that reached somebody
    standings: int = 0          # words about relations sent to players

    def minus(self, before: "Deeds") -> "Deeds":
        """What was counted after `before`."""
        return Deeds(*(getattr(self, name) - getattr(before, name) for name in self.__struct_fields__))

    def copy(self) -> "Deeds":
        """As it stands now."""
        return Deeds(*(getattr(self, name) for name in self.__struct_fields__))
