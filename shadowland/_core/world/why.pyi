from typing import Any, Final

from shadowland._core.world.replicate import World

ENTERING: Final[int]
KNOWN: Final[int]
LEAVING: Final[int]

def standing(world: World, observer: int, entity: int) -> dict[str, Any]: ...
