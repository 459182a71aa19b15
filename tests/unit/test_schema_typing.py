"""Invariant: what the constructor refuses, the type checker refuses first, without a plug-in."""
import re
import subprocess
import sys
from pathlib import Path

# Each line that ends in a comment must draw exactly that error; every other line none.
PROGRAM = '''
from typing import Annotated as A
import numpy as np
import shadowland as sl
from shadowland.schema import MessageColumns, decode_columns, decode_one, layout

class Player(sl.Entity):
    position: A[sl.Vec3, sl.Quantized(step=0.01), sl.Predicted(by="velocity")] = (0, 0, 0)
    velocity: A[sl.Vec3, sl.Quantized(step=0.05)] = (0, 0, 0)
    yaw: sl.Angle = 0.0
    health: A[int, sl.Range(0, 100), sl.Rate(hz=5)] = 100
    gold: A[int, sl.OwnerOnly] = 0
    anger: A[float, sl.Local] = 0.0

class Move(sl.Message, channel="input"):
    direction: A[sl.Vec2, sl.Unit(bits=8)] = (0, 0)

class Chat(sl.Message, channel="reliable", per_second=2):
    text: A[str, sl.MaxLen(200)] = ""

class Creature(sl.Entity, abstract=True):
    health: A[int, sl.Range(0, 100)] = 100

class Orc(Creature):
    angry: bool = False

class Route(sl.Message, channel="reliable"):
    points: A[list[sl.Vec2], sl.Quantized(step=0.1), sl.MaxLen(8)] = []
    digits: A[list[int], sl.Range(0, 9), sl.MaxLen(16)] = []

class Misspelt(sl.Message, chanel="input"):  # call-arg
    pass

class Unknown(sl.Message, channel="relible"):  # arg-type
    pass

def steer(moves: MessageColumns[Move], velocity: "np.ndarray[tuple[int, ...], np.dtype[np.float64]]") -> None:
    velocity[:, :2] = 7 * moves.direction
    velocity += moves.direction.sum() * 0.5

player = Player(position=np.zeros(3), yaw=1)
x, y, z = player.position
player.health -= 5
Move(direction=(1, 0))
Player(helth=3)  # call-arg
Chat("hello")  # call-arg
Player(health="full")  # arg-type
Move(direction=(1, 2, 3))  # arg-type
Chat(text=5)  # arg-type
player.helth = 3  # attr-defined
player.health = "full"  # assignment
print(Orc(health=3, angry=True).health + 1)
Orc(health=3, hungry=True)  # call-arg
route = Route(points=[(1, 2), (3, 4)], digits=[1, 2])
route.digits.append(3)
Route(digits=["a"])  # list-item
chat = decode_one(Chat, b"")
print(chat.text)  # union-attr
if chat is not None:
    print(chat.text.upper())
columns, ok = decode_columns(Move, b"", [], [])
steer(columns, np.zeros((0, 3)))
print(layout(Player, 60).entity(gold=3).gold + 1, ok.sum())
layout(Chat, 60)  # type-var
'''


# What the checker says of each expression.
REVEALED = {
    "app.world[Player]": "shadowland.world.Columns[program.Player]",
    "app.world[Player].health": "numpy.ndarray[",
    "t[Move]": "shadowland.inbox.TickMessages[program.Move]",
    "t[Move].direction": "numpy.ndarray[",
    "t[Move].rows": "numpy.ndarray[",
    "player.position": "tuple[float, float, float] | numpy.ndarray[",
    "player.health": "int",
    "Move().direction": "tuple[float, float] | numpy.ndarray[",
    "decode_one(Chat, b'')": "program.Chat | None",
}


ASKING = "".join(["def ask(app: sl.Server, t: sl.Tick, player: Player) -> None:\n",
                  *(f"    reveal_type({expression})\n" for expression in REVEALED)])


def test_columns_are_typed(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM.split("class Misspelt")[0] + ASKING)
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", str(program)]
    output = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2]).stdout
    said = re.findall(r'note: Revealed type is "(.*)"', output)
    assert len(said) == len(REVEALED) and "error" not in output, output
    for (expression, expected), found in zip(REVEALED.items(), said, strict=True):
        assert found.replace("builtins.", "").startswith(expected), (expression, found)


def test_the_examples_type_check_and_mistakes_do_not(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    command = [sys.executable, "-m", "mypy", "--strict", "--hide-error-context", "--no-error-summary", str(program)]
    output = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2]).stdout
    found = {int(line): code for line, code in re.findall(r"program\.py:(\d+): error: .*\[([a-z-]+)\]", output)}
    lines = enumerate(PROGRAM.splitlines(), 1)
    expected = {number: comment[1] for number, line in lines if (comment := re.search(r"  # ([a-z-]+)$", line))}
    assert found == expected, output
