"""Map: bounds, blocked cells and heights, from arrays or from a file."""
import os
import tomllib
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from shadowland._core.world import authority_map as _core
from shadowland.errors import ConfigError, UsageError
from shadowland.schema.annotations import Quadrants, Quantized

KEYS: Final = ("cell", "low", "high", "blocked", "heights", "opaque", "step", "quadrant", "quadrant_bits")
FARTHEST: Final = 1e6                           # metres from the middle that a map may reach
ALL: Final = 255


def number(value: object, low: float, high: float) -> bool:
    """Whether `value` is a number of low..high; NaN and bool are not."""
    return isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high


class Map:
    """Where one can be. Without `blocked` and `heights` it is a box, or everywhere.

    low, high   corners, (x, y) or (x, y, z) in metres. With a grid, `low` is the outer corner of its first cell and
                `high` says only how high one may fly.
    cell        edge of a grid cell, 0.01 to 10,000 metres.
    blocked     bits of each cell, whole numbers 0 to 255, shape (cells along y, cells along x): 0 is free. A blocked
                cell reaches to the sky.
    heights     height of the ground of each cell in metres, same shape. Without them the ground is at 0.
    opaque      the bits of `blocked` that no line of sight goes through.
    step        quantum of positions on this map in metres: `quantized` is the word for a class body, else None.
    quadrant    edge of a quadrant in metres, one number or one for each axis, and `quadrant_bits` the width of their
                numbers: `quadrants` is the word, else None.

    ConfigError names the key, its value and what it may be.
    """

    def __init__(self, *, low: Sequence[float] | None = None, high: Sequence[float] | None = None, cell: float = 1.0,
                 blocked: ArrayLike | None = None, heights: ArrayLike | None = None, opaque: int = ALL,
                 step: float | None = None, quadrant: float | Sequence[float] | None = None, quadrant_bits: int = 32,
                 where: str = "Map") -> None:
        if not number(cell, 0.01, 10_000):
            raise ConfigError(f"{where}: cell is {cell!r}; give the edge of a cell in metres, 0.01 to 10,000")
        if not number(opaque, 0, ALL) or not isinstance(opaque, int):
            raise ConfigError(f"{where}: opaque is {opaque!r}; give bits, a whole number, 0 to {ALL}")
        self.quantized, self.quadrants = _words(step, quadrant, quadrant_bits, where)
        cells = None if blocked is None else _blocked(np.asarray(blocked), where)
        ground = None if heights is None else _heights(np.asarray(heights), where)
        grid = cells if cells is not None else ground
        if cells is not None and ground is not None and cells.shape != ground.shape:
            raise ConfigError(f"{where}: blocked has shape {cells.shape} and heights {ground.shape}; "
                              "they must be the same")
        if grid is None and (low is None) != (high is None):
            raise ConfigError(f"{where}: {'high' if high is None else 'low'} is missing; a box needs both corners")
        if grid is not None and low is None:
            raise ConfigError(f"{where}: low is missing; give the outer corner of the first cell, (x, y)")
        self.cell, self.opaque = float(cell), opaque
        first = _corner("low", low, where)
        last = _corner("high", high, where)
        rows, columns = grid.shape if grid is not None else (0, 0)
        if grid is not None:
            last = (first[0] + columns * self.cell, first[1] + rows * self.cell, last[2])
        self.low: tuple[float, float, float] = (first[0], first[1], first[2] if len(low or ()) == 3 else -np.inf)
        self.high: tuple[float, float, float] = (last[0], last[1], last[2] if len(high or ()) == 3 else np.inf)
        for axis, small, large in zip("xyz", self.low, self.high, strict=True):
            if not small < large:
                raise ConfigError(f"{where}: low is {small} and high {large} along {axis}; low must be below high")
        self.shape: tuple[int, int] = (rows, columns)
        self.core = _core.AreaMap(self.low, self.high, self.cell, columns, rows, cells, ground, opaque)

    @staticmethod
    def load(path: str | os.PathLike[str]) -> "Map":
        """The map of a TOML file: keys as above, `blocked` and `heights` name .npy files beside it (or one .npz file,
        as "town.npz:walls"). ConfigError for what cannot be read or is out of range."""
        try:
            table = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        except OSError as error:
            raise ConfigError(f"map {path}: {error.strerror}; name a file that can be read") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f"map {path}: {error}; correct the TOML there") from None
        where = f"map {path}"
        for key in table:
            if key not in KEYS:
                raise ConfigError(f"{where}: there is no key {key!r}; the keys are {', '.join(KEYS)}")
        for key in ("blocked", "heights"):
            if key in table:
                table[key] = _array(Path(path).parent, key, table[key], where)
        return Map(**table, where=where)

    def walkable(self, a: ArrayLike, b: ArrayLike, *, step_height: float = 0.5,
                 blocked_by: int = ALL) -> NDArray[np.bool_]:
        """For each pair of places (n, 2 or 3) whether one can walk straight from one to the other."""
        first, second = _places(a, b)
        out = np.zeros(len(first), np.uint8)
        self.core.walks(first, second, blocked_by, step_height, out)
        return out.astype(np.bool_)

    def sees(self, a: ArrayLike, b: ArrayLike, *, eye: float = 0.0) -> NDArray[np.bool_]:
        """For each pair of places (n, 2 or 3), each raised by `eye` metres, whether the straight line between them
        is free: of opaque cells, those of the two ends left out, and of ground. The same both ways. Places without a
        height stand on the ground."""
        first, second = (self._raised(places, eye) for places in _places(a, b))
        out = np.zeros(len(first), np.uint8)
        self.core.lines(first, second, self.opaque, False, out)
        return out.astype(np.bool_)

    def reaches(self, a: ArrayLike, b: ArrayLike) -> NDArray[np.bool_]:
        """For each pair of places (n, 2 or 3) whether what flies straight from a comes to b: as `sees`, but the first
        opaque cell that it enters stops it, also that of b. What stands against a wall from within is not reached."""
        first, second = (self._raised(places, 0.0) for places in _places(a, b))
        out = np.zeros(len(first), np.uint8)
        self.core.lines(first, second, self.opaque, True, out)
        return out.astype(np.bool_)

    def ground(self, places: ArrayLike) -> NDArray[np.float64]:
        """Height of the ground at each place (n, 2 or 3); at its border the map goes on as it is there."""
        where, _ = _places(places, places)
        out = np.zeros(len(where))
        self.core.grounds(where, out)
        return out

    def _raised(self, places: NDArray[np.float64], eye: float) -> NDArray[np.float64]:
        height = places[:, 2] if places.shape[1] == 3 else self.ground(places)
        return np.column_stack((places[:, :2], height + eye))

    def __repr__(self) -> str:
        return f"<Map of {self.shape[1]} x {self.shape[0]} cells, {self.low} to {self.high}>"


def _words(step: object, quadrant: object, bits: object, where: str) -> tuple[Quantized | None, Quadrants | None]:
    """What the map says of positions, as words of a class body; the class looks whether they fit each other."""
    if step is not None and not number(step, 1e-6, 1e6):
        raise ConfigError(f"{where}: step is {step!r}; give the quantum of positions in metres, 1e-06 to 1e+06")
    edges = quadrant if isinstance(quadrant, list | tuple) else (quadrant,)
    if quadrant is not None and (len(edges) not in (1, 2, 3) or not all(number(edge, 1e-6, 1e12) for edge in edges)):
        raise ConfigError(f"{where}: quadrant is {quadrant!r}; give the edge in metres, one number or one for each "
                          "axis, 1e-06 to 1e+12")
    if not number(bits, 1, 32) or not isinstance(bits, int):
        raise ConfigError(f"{where}: quadrant_bits is {bits!r}; give a whole number, 1 to 32")
    if quadrant is not None and step is None:
        raise ConfigError(f"{where}: step is missing; a quadrant is cut into steps")
    edge = tuple(float(one) for one in edges if isinstance(one, int | float))
    return (None if not isinstance(step, int | float) else Quantized(float(step)),
            Quadrants(edge if len(edge) > 1 else edge[0], bits) if edge else None)


def _corner(key: str, corner: Sequence[float] | None, where: str) -> tuple[float, float, float]:
    away = -np.inf if key == "low" else np.inf
    if corner is None:
        return away, away, away
    given = list(corner) if isinstance(corner, list | tuple | np.ndarray) else []
    given = [float(one) if isinstance(one, np.number) else one for one in given]
    if len(given) not in (2, 3) or not all(number(one, -FARTHEST, FARTHEST) for one in given):
        raise ConfigError(f"{where}: {key} is {corner!r}; give 2 or 3 metres, each {-FARTHEST:,.0f} to {FARTHEST:,.0f}")
    x, y, z = [*map(float, given), 0.0][:3]
    return x, y, z


def _sides(grid: NDArray[Any], key: str, where: str) -> None:
    if grid.ndim != 2 or not 1 <= grid.shape[0] <= _core.SIDE or not 1 <= grid.shape[1] <= _core.SIDE:
        raise ConfigError(f"{where}: {key} has shape {grid.shape}; "
                          f"give rows along y of cells along x, 1 to {_core.SIDE:,}")


def _blocked(grid: NDArray[Any], where: str) -> NDArray[np.uint8]:
    _sides(grid, "blocked", where)
    if grid.dtype.kind not in "bui" or (grid.dtype.kind != "b" and (grid.min() < 0 or grid.max() > ALL)):
        raise ConfigError(f"{where}: blocked holds {grid.dtype}, or numbers out of range; "
                          f"give whole numbers, 0 to {ALL}")
    return np.ascontiguousarray(grid, np.uint8)


def _heights(grid: NDArray[Any], where: str) -> NDArray[np.int32]:
    _sides(grid, "heights", where)
    if grid.dtype.kind not in "uif" or not (np.abs(grid) <= _core.HIGHEST).all():       # NaN is not either
        raise ConfigError(f"{where}: heights holds {grid.dtype}, or numbers out of range; give metres, "
                          f"{-_core.HIGHEST:,} to {_core.HIGHEST:,}")
    steps = np.floor(grid.astype(np.float64) * _core.HEIGHTS + 0.5)
    return np.ascontiguousarray(steps.astype(np.int32))


def _array(folder: Path, key: str, name: object, where: str) -> NDArray[Any]:
    if not isinstance(name, str) or not name:
        raise ConfigError(f"{where}: {key} is {name!r}; name a .npy file, or an array as in \"town.npz:{key}\"")
    file, _, member = name.partition(":")
    try:
        loaded = np.load(folder / file, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return loaded
        with loaded:
            return np.asarray(loaded[member or key])
    except KeyError:
        raise ConfigError(f"{where}: {key} is {name!r}; there is no array {member or key!r} in that file") from None
    except OSError as error:
        raise ConfigError(f"{where}: {key} is {name!r}; {error.strerror or 'it cannot be read'}") from None
    except (ValueError, EOFError, zipfile.BadZipFile) as error:
        raise ConfigError(f"{where}: {key} is {name!r}, which is no array of numbers: {error}") from None


def _places(a: ArrayLike, b: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    first, second = (np.ascontiguousarray(np.atleast_2d(np.asarray(one, np.float64))) for one in (a, b))
    if first.shape != second.shape or first.shape[1] not in (2, 3):
        raise UsageError(f"places of shape {first.shape} and {second.shape}; "
                         "give two of the same shape, (n, 2) or (n, 3)")
    return first, second
