from typing import Final

CYTHON: Final[str]
COMPILER: Final[str]
DEBUG: Final[bool]
