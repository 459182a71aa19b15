"""Invariant: every arm gives the remainder of the reference, whatever the length and the address."""
import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadowland._core.wire import crc32c
from shadowland.errors import UsageError
from tests.reference import crc32c as reference


@given(st.binary(max_size=100), st.integers(0, 8))
def test_every_arm_at_any_address(data: bytes, shift: int) -> None:
    moved = memoryview(bytes(shift) + data)[shift:]
    expected = reference.checksum(data)
    assert crc32c.checksum(moved) == expected
    for arm in crc32c.ARMS:
        assert crc32c.checksum(moved, arm) == expected


def arm_with(setting: str) -> subprocess.CompletedProcess[str]:
    code = "from shadowland._core.wire import crc32c as c; print(c.ARM, hex(c.checksum(b'123456789')))"
    return subprocess.run([sys.executable, "-c", code], env=os.environ | {"SHADOWLAND_CPU": setting},
                          capture_output=True, text=True)


def test_the_environment_chooses_the_generic_arm() -> None:
    assert arm_with("generic").stdout == "generic 0xe3069283\n"
    assert arm_with("").stdout == f"{crc32c.ARMS[-1]} 0xe3069283\n"


def test_an_unknown_choice_is_named() -> None:
    error = arm_with("sse9").stderr
    assert "SHADOWLAND_CPU=sse9" in error and "ConfigError" in error


def test_an_unknown_arm_is_named() -> None:
    with pytest.raises(UsageError, match="no CRC32C arm named 'sse9'"):
        crc32c.checksum(b"", "sse9")
