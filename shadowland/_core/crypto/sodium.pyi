from typing import Final

FIX: Final[str]
LIBRARY: Final[str]

def probe(path: str) -> None: ...
def has_aes() -> bool: ...
