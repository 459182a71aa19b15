"""Truth: a world's own state, kept apart from replication, for another process to hold views against.

A server that is being tested writes it every tick into a memory-mapped ring of 64 ticks; whoever has the views, a swarm
in another process for example, compares.
"""
from shadowland._core.world.truth import Truth
from shadowland._core.world.view import Views
from shadowland.errors import ConfigError
from shadowland.swarm import Swarm
from shadowland.world import World

__all__ = ["TruthReader", "TruthWriter"]


class TruthWriter:
    """Makes the file `path` and writes the truth of `world` into it, once a tick."""

    def __init__(self, path: str, world: World) -> None:
        self._truth = Truth(path, world.table, world.core)

    def write(self, tick: int) -> None:
        """The columns as they are now are the truth of `tick`. Call it when the last system has run."""
        self._truth.write(tick)


class TruthReader:
    """Compares the views of `swarm` with the truth in `path`. ConfigError if that is no truth of the same world.

    The swarm needs the server's `aoi`: what must be in view depends on it.
    """

    def __init__(self, path: str, swarm: Swarm) -> None:
        self._views: Views = swarm.views
        try:
            self._truth = Truth(path, swarm.table)
        except (OSError, ValueError) as error:
            raise ConfigError(f"truth {path}: {error}; give the file that a server of the same world writes") from None

    def verify(self, first: int = 0, count: int = -1) -> int:
        """Compare `count` views from `first` on (-1: all); mismatches so far.

        An entity counts once when for over half a second a view had it off by more than its tolerance, missed it within
        radius - hysteresis or, if it is seen at any distance, anywhere, or kept it beyond radius + hysteresis or after
        its end; and each time that a view has it although its masks (World.set_visible_to, set_sees) say otherwise.
        """
        return self._truth.verify(self._views, first, count)

    @property
    def stats(self) -> dict[str, int]:
        """checked, hidden and leaked (by masks), mismatches, unchecked (views) so far; off, missing, ghosts of the last
        call."""
        return self._truth.stats
