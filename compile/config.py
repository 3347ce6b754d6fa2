"""``phiz.toml`` becomes frozen dataclasses; sizes and decibels are written as people write them.

The same tables may stand in ``pyproject.toml`` below ``[tool.phiz]``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compile import budgets
from compile.audit.budget import Budget
from compile.errors import UserError
from compile.tables import LIST, SWITCH, TEXT, choose, parse, strings, table, tables
from compile.units import parse_size
from targets.stream import STREAM

NAME = "phiz.toml"
PROJECT = "pyproject.toml"
MAX_WINDOWS = 65_536


@dataclass(frozen=True)
class BuildConfig:
    """``[build.NAME]``: which targets, and what they may weigh.

    Attributes:
        name: of the build, and of its folder.
        targets: names.
        footprint: cap on resident weights + peak activations, bytes; None for none.
        file: cap on each artefact's file, bytes; None for none.
        stream: whether each target is also written as a stream.
    """

    name: str
    targets: tuple[str, ...]
    footprint: int | None = None
    file: int | None = None
    stream: bool = False

    @property
    def artefacts(self) -> tuple[str, ...]:
        """The targets, and those that stream."""
        streams = (name if name.endswith(STREAM) else name + STREAM for name in self.targets if self.stream)
        return tuple(dict.fromkeys((*self.targets, *streams)))


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
        budgets: likewise.
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
    budgets: tuple[Budget, ...] = ()


_KNOWN: Mapping[str, Mapping[str, tuple[type, ...]]] = {
    "model": {"path": TEXT},
    "calibrate": {"audio": (str, list), "windows": (int,), "ranges": TEXT},
    "quantize": {"scheme": TEXT, "rules": LIST, "min_sqnr": TEXT, "bias_correction": SWITCH},
    "parity": {"max_steps": (int, float)},
}
_BUILD: Mapping[str, tuple[type, ...]] = {"targets": LIST, "footprint": TEXT, "file": TEXT, "stream": SWITCH}


def load(path: Path) -> Config:
    """Read a configuration file: a ``phiz.toml`` by any name, or a ``pyproject.toml``.

    Raises:
        UserError: unreadable, not TOML, an unknown table or key (lists the known), a value of the wrong kind.
    """
    data = parse(path)
    if path.name != PROJECT:
        return _read(data, path)
    if not in_project(data):
        raise UserError("it has no table [tool.phiz]", where=str(path), fix=f"write one, or a {NAME}")
    return _read(tables(data["tool"]["phiz"], f"{path}, [tool.phiz]"), path, "tool.phiz.")


def discover(folder: Path) -> Path | None:
    """The configuration that holds in ``folder``: its own, or within a git repository the nearest above; None if none.

    Raises:
        UserError: a pyproject.toml on the way cannot be read.
    """
    places = [folder]
    for _ in folder.resolve().parents:
        if (places[-1] / ".git").exists():
            return next(filter(None, map(configuration_of, places)), None)
        places.append(places[-1] / "..")
    return configuration_of(folder)  # above a folder of no repository is somebody else's


def configuration_of(folder: Path) -> Path | None:
    """The configuration in ``folder``: its phiz.toml, else its pyproject.toml if that speaks of phiz; None if neither.

    Raises:
        UserError: the pyproject.toml cannot be read.
    """
    if (folder / NAME).exists():
        return folder / NAME
    project = folder / PROJECT
    return project if project.exists() and in_project(parse(project)) else None


def in_project(data: Mapping[str, Any]) -> bool:
    """Whether a pyproject.toml has the table ``[tool.phiz]``."""
    return isinstance(data.get("tool"), dict) and "phiz" in data["tool"]


def _read(data: Mapping[str, Any], path: Path, prefix: str = "") -> Config:
    for name in data:
        if name not in (*_KNOWN, "build", "budget"):
            raise UserError(
                f"unknown table [{prefix}{name}]", where=str(path), fix=choose(name, (*_KNOWN, "build", "budget"))
            )

    def place(name: str) -> str:
        return f"{path}, [{prefix}{name}]"

    found = {name: table(data.get(name, {}), known, place(name)) for name, known in _KNOWN.items()}
    calibrate, quantize = found["calibrate"], found["quantize"]
    audio = calibrate.get("audio", [])
    windows = check_windows(calibrate.get("windows", Config.windows), f"{place('calibrate')} windows")
    steps = found["parity"].get("max_steps")
    builds = tables(data.get("build", {}), place("build"))
    where = f"{place('quantize')} min_sqnr"
    return Config(
        folder=path.parent,
        model=found["model"].get("path", ""),
        audio=(audio,) if isinstance(audio, str) else strings(audio, f"{place('calibrate')} audio"),
        windows=windows,
        ranges=calibrate.get("ranges", Config.ranges),
        scheme=quantize.get("scheme", Config.scheme),
        rules=strings(quantize.get("rules", []), f"{place('quantize')} rules"),
        min_sqnr=parse_decibel(quantize["min_sqnr"], where) if "min_sqnr" in quantize else None,
        bias_correction=quantize.get("bias_correction", Config.bias_correction),
        max_steps=None if steps is None else check_steps(steps, f"{place('parity')} max_steps"),
        builds=tuple(_build(name, entries, place(f"build.{name}")) for name, entries in builds.items()),
        budgets=budgets.read(data.get("budget", {}), str(path), prefix),
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


def _build(name: str, data: object, where: str) -> BuildConfig:
    if not re.fullmatch(r"[\w][\w.-]*", name) or name.endswith(".rejected"):  # that is where rejected builds go
        raise UserError(f"'{name}' cannot name a folder", where=where)
    entries = table(data, _BUILD, where)
    targets = strings(entries.get("targets", []), f"{where} targets")
    if not targets:
        raise UserError("it names no targets", where=where, fix='write for example: targets = ["tflite"]')
    caps = {
        key: parse_size(entries[key], f"{where} {key}") if key in entries else None for key in ("footprint", "file")
    }
    chosen = tuple(dict.fromkeys(targets))
    return BuildConfig(name, chosen, caps["footprint"], caps["file"], entries.get("stream", BuildConfig.stream))
