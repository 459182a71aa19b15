"""Entity and Message classes as their users meet them: plain objects, checked defaults, inherited fields."""
import enum
from typing import Annotated as A
from typing import ClassVar

import numpy as np
import pytest

import shadowland as sl
from shadowland.errors import ConfigError
from shadowland.schema.classes import MAX_RECORD_BYTES, MESSAGE_LIMITS, contract_of


class Stance(enum.IntEnum):
    STAND = 0
    SIT = 1
    LIE = 2


class Flags(enum.IntFlag):
    ALIVE = 1
    FALLING = 64


class Player(sl.Entity):
    position: A[sl.Vec3, sl.Quantized(step=0.01), sl.Predicted(by="velocity")] = (0, 0, 0)
    velocity: A[sl.Vec3, sl.Quantized(step=0.05)] = (0, 0, 0)
    yaw: sl.Angle = 0.0
    health: A[int, sl.Range(0, 100), sl.Rate(hz=5)] = 100
    gold: A[int, sl.OwnerOnly] = 0
    anger: A[float, sl.Local] = 0.0
    stance: Stance = Stance.STAND
    flags: Flags = Flags.ALIVE
    hidden: bool = False

    TEAM_SIZE: ClassVar[int] = 5

    def speed(self) -> float:
        return float(np.hypot(*self.velocity[:2]))


class Chat(sl.Message, channel="reliable", per_second=2):
    text: A[str, sl.MaxLen(200)] = ""


def test_instances_are_plain_objects_with_defaults() -> None:
    player = Player(health=7, velocity=(3, 4, 0))
    assert player.position == (0.0, 0.0, 0.0) and player.health == 7 and player.speed() == 5
    assert repr(Player(gold=3)).startswith("Player(position=(0.0, 0.0, 0.0), ") and "gold=3" in repr(Player(gold=3))
    player.health -= 1
    assert player.health == 6 and Player().health == 100


def test_instances_compare_by_value_and_arrays_are_vectors() -> None:
    assert Player() == Player(position=np.zeros(3)) and Player() != Player(gold=1)
    assert Player(position=np.array([1, 0, 0])) != Player() and Chat(text="a") != Player()
    with pytest.raises(TypeError):
        hash(Player())


def test_a_field_without_default_must_be_given() -> None:
    class Marker(sl.Message):
        where: A[sl.Vec2, sl.Quantized(step=1)]

    assert Marker(where=(1, 2)).where == (1, 2)
    with pytest.raises(TypeError, match="where"):
        Marker()  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="wear"):
        Chat(wear="hat")  # type: ignore[call-arg]


def test_fields_of_a_base_class_come_first_and_channel_is_inherited() -> None:
    class Whisper(Chat):
        to: A[int, sl.Range(0, 9)] = 0

    contract = contract_of(Whisper)
    assert list(contract.fields) == ["text", "to"]
    assert (contract.channel, contract.per_second) == ("reliable", 2.0)
    assert Whisper(to=3).text == ""


def test_defaults_are_kept_as_instances_hold_them() -> None:
    player = Player()
    assert type(player.yaw) is float and type(player.stance) is Stance and type(player.flags) is Flags
    assert isinstance(player.position, tuple) and all(type(lane) is float for lane in player.position)


def test_what_a_message_may_weigh() -> None:
    assert contract_of(Chat).max_bytes == 2 + 800 <= MAX_RECORD_BYTES

    class Jump(sl.Message, channel="input"):
        pass

    assert contract_of(Jump).max_bytes == 0

    def input_of(count: int) -> None:
        body = {f"number_{index}": int for index in range(count)}
        type("Numbers", (sl.Message,), {"__annotations__": body}, channel="input")

    input_of(MESSAGE_LIMITS["input"] // 4)
    with pytest.raises(ConfigError, match="Numbers: it may take 64 bytes, channel 'input' carries 60"):
        input_of(16)


def test_words_of_other_libraries_are_ignored() -> None:
    class Tagged(sl.Entity):
        health: A[int, "hit points", sl.Range(0, 9)] = 3

    assert contract_of(Tagged).fields["health"].high == 9


def test_what_is_no_class_of_ours_has_no_contract() -> None:
    for cls in (int, sl.Entity, sl.Message):
        with pytest.raises(ConfigError, match="derive it"):
            contract_of(cls)
