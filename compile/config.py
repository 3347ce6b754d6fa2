"""``phiz.toml`` becomes frozen dataclasses; sizes and decibels are written as people write them."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compile.errors import UserError
from compile.units import parse_size

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

NAME = "phiz.toml"
MAX_WINDOWS = 65_536


@dataclass(frozen=True)
class BuildConfig:
    """``[build.NAME]``: which targets, and what they may weigh.

    Attributes:
        name: of the build, and of its folder.
        targets: names.
        footprint: cap on resident weights + peak activations, bytes; None for none.
        file: cap on each artefact's file, bytes; None for none.
    """

    name: str
    targets: tuple[str, ...]
    footprint: int | None = None
    file: int | None = None


@dataclass(frozen=True)
class Config:
    """The whole file. Paths are as written, relative to the file's folder.

    Attributes:
        folder: where the file lies.
        model: what ``phiz compile`` takes; empty when not given.
        audio: calibration files and globs.
        windows: how many windows to calibrate on.
        ranges: the method that chooses ranges; see ``compile.quantize.ranges``.
        scheme: the recipe's name.
        rules: further rules, in order.
        min_sqnr: dB that every target must reach; None for no gate.
        bias_correction: whether biases take back what rounding shifts.
        max_steps: quantisation steps between targets; None for the built-in limits.
        builds: in the order of the file.
    """

    folder: Path
    model: str = ""
    audio: tuple[str, ...] = ()
    windows: int = 256
    ranges: str = "output"
    scheme: str = "int8"
    rules: tuple[str, ...] = ()
    min_sqnr: float | None = None
    bias_correction: bool = True
    max_steps: float | None = None
    builds: tuple[BuildConfig, ...] = ()


_TEXT, _LIST, _SWITCH = (str,), (list,), (bool,)
_KNOWN: Mapping[str, Mapping[str, tuple[type, ...]]] = {
    "model": {"path": _TEXT},
    "calibrate": {"audio": (str, list), "windows": (int,), "ranges": _TEXT},
    "quantize": {"scheme": _TEXT, "rules": _LIST, "min_sqnr": _TEXT, "bias_correction": _SWITCH},
    "parity": {"max_steps": (int, float)},
}
_BUILD: Mapping[str, tuple[type, ...]] = {"targets": _LIST, "footprint": _TEXT, "file": _TEXT}
_WORDS = {str: "text in quotes", list: "a list in []", int: "a whole number", float: "a number", bool: "true or false"}


def load(path: Path) -> Config:
    """Read a configuration file.

    Raises:
        UserError: unreadable, not TOML, an unknown table or key (lists the known), a value of the wrong kind.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot read: {error.strerror}", where=str(path)) from error
    except UnicodeDecodeError as error:
        raise UserError("is not UTF-8 text", where=str(path)) from error
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"is not TOML: {error}", where=str(path)) from error
    return _read(data, path)


def _read(data: Mapping[str, Any], path: Path) -> Config:
    for table in data:
        if table not in (*_KNOWN, "build"):
            raise UserError(
                f"unknown table [{table}]", where=str(path), fix=f"known are: {', '.join((*_KNOWN, 'build'))}"
            )
    tables = {name: _table(data.get(name, {}), known, f"{path}, [{name}]") for name, known in _KNOWN.items()}
    calibrate, quantize = tables["calibrate"], tables["quantize"]
    audio = calibrate.get("audio", [])
    windows = check_windows(calibrate.get("windows", Config.windows), f"{path}, [calibrate] windows")
    steps = tables["parity"].get("max_steps")
    builds = data.get("build", {})
    if not isinstance(builds, dict):
        raise UserError("[build] holds tables, one a build: [build.mobile]", where=str(path))
    where = f"{path}, [quantize] min_sqnr"
    return Config(
        folder=path.parent,
        model=tables["model"].get("path", ""),
        audio=(audio,) if isinstance(audio, str) else _strings(audio, f"{path}, [calibrate] audio"),
        windows=windows,
        ranges=calibrate.get("ranges", Config.ranges),
        scheme=quantize.get("scheme", Config.scheme),
        rules=_strings(quantize.get("rules", []), f"{path}, [quantize] rules"),
        min_sqnr=parse_decibel(quantize["min_sqnr"], where) if "min_sqnr" in quantize else None,
        bias_correction=quantize.get("bias_correction", Config.bias_correction),
        max_steps=None if steps is None else check_steps(steps, f"{path}, [parity] max_steps"),
        builds=tuple(_build(name, table, path) for name, table in builds.items()),
    )


def parse_decibel(text: str, where: str) -> float:
    """``"36 dB"`` as 36.0.

    Raises:
        UserError: not a number of decibels.
    """
    match = re.fullmatch(r"\s*(-?\d+(?:\.\d+)?)\s*dB\s*", text)
    if match is None:
        raise UserError(f"'{text}' is not a number of decibels", where=where, fix="write for example: 36 dB")
    return float(match.group(1))


def check_windows(count: int, where: str) -> int:
    """``count`` if one can calibrate on as many windows.

    Raises:
        UserError: it is not.
    """
    if not 1 <= count <= MAX_WINDOWS:
        raise UserError(f"{count} is not a number of windows from 1 to {MAX_WINDOWS}", where=where, fix="256 is plenty")
    return count


def check_steps(steps: float, where: str) -> float:
    """``steps`` if it can be a limit.

    Raises:
        UserError: it is negative, infinite or no number, and would let everything or nothing pass.
    """
    if not 0 <= steps < math.inf:  # also refuses NaN
        raise UserError(f"{steps} is not a number of steps", where=where, fix="write for example: 1")
    return steps


def _build(name: str, table: object, path: Path) -> BuildConfig:
    where = f"{path}, [build.{name}]"
    if not re.fullmatch(r"[\w][\w.-]*", name) or name.endswith(".rejected"):  # that is where rejected builds go
        raise UserError(f"'{name}' cannot name a folder", where=where)
    entries = _table(table, _BUILD, where)
    targets = _strings(entries.get("targets", []), f"{where} targets")
    if not targets:
        raise UserError("it names no targets", where=where, fix='write for example: targets = ["tflite"]')
    caps = {
        key: parse_size(entries[key], f"{where} {key}") if key in entries else None for key in ("footprint", "file")
    }
    return BuildConfig(name, tuple(dict.fromkeys(targets)), caps["footprint"], caps["file"])


def _table(table: object, known: Mapping[str, tuple[type, ...]], where: str) -> dict[str, Any]:
    if not isinstance(table, dict):
        raise UserError("is not a table", where=where)
    for key, value in table.items():
        if key not in known:
            raise UserError(f"unknown key '{key}'", where=where, fix=f"known are: {', '.join(known)}")
        if not isinstance(value, known[key]) or isinstance(value, bool) != (bool in known[key]):
            wanted = " or ".join(_WORDS[kind] for kind in known[key])
            raise UserError(f"'{key}' is {type(value).__name__} {value!r}", where=where, fix=f"write {wanted}")
    return table


def _strings(values: object, where: str) -> tuple[str, ...]:
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise UserError("is not a list of strings", where=where)
    return tuple(values)
