from collections.abc import Iterable
from typing import Final

from shadowland._core.endpoint.endpoint import Endpoint

LEAST: Final[int]

def configure(endpoint: Endpoint, least: int = ..., plain: Iterable[int] = ...) -> None: ...
