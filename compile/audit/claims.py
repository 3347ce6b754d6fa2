"""What ``manifest.json`` claims about a build: read strictly, believed nowhere."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compile.audit.sizes import METRICS
from compile.errors import UserError

MANIFEST = "manifest.json"
_MAX_BYTES = 8 * 2**20  # as JSON it can take thirty times as much memory
_FIX = "name a folder that `phiz compile` wrote, or the artefacts in it"


@dataclass(frozen=True)
class Artefact:
    """A target's claim.

    Attributes:
        target: its name.
        path: of the artefact.
        files: (bytes, sha256) of each of its files by relative path.
        minimum: the least bytes that its weights could take; None when unknown.
    """

    target: str
    path: str
    files: Mapping[str, tuple[int, str]]
    minimum: int | None


@dataclass(frozen=True)
class Parity:
    """How the target compared when it was built; None where that is unknown.

    ``failures`` say why it was rejected. ``runtime`` is ``run``, or ``not run: <reason>`` where ``evaluated_with`` took
    its place.
    """

    status: str = ""
    sqnr_db: float | None = None
    steps: float | None = None
    failures: tuple[str, ...] = ()
    runtime: str = ""
    evaluated_with: str = ""


@dataclass(frozen=True)
class Claims:
    """A manifest; ``schemes`` are those that the plan gives its nodes."""

    name: str
    artefacts: tuple[Artefact, ...]
    parity: Mapping[str, Parity]
    budget: Mapping[str, int | None]
    schemes: tuple[str, ...] = ()


def read(folder: Path) -> Claims:
    """The claims of the build in ``folder``.

    Raises:
        UserError: it is no build folder, or its manifest is unreadable or of another form.
    """
    path = folder / MANIFEST
    try:
        if path.is_symlink() or not path.is_file():
            raise UserError(f"not a phiz build folder: it has no {MANIFEST}", where=str(folder), fix=_FIX)
        if path.stat().st_size > _MAX_BYTES:
            raise UserError("it is too large to be a manifest", where=str(path), fix=_FIX)
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read: {error.strerror}", where=str(path)) from error
    return parse(data, str(path))


def parse(data: bytes, where: str) -> Claims:
    """The claims of a manifest's bytes.

    Raises:
        UserError: it is no JSON, or of another form.
    """
    try:
        claims = json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise UserError("it is not JSON", where=where, fix="build it anew") from error
    return _Reader(where).claims(claims)


class _Reader:
    """Takes values out of JSON, each of the type it should have."""

    def __init__(self, where: str) -> None:
        self.where = where

    def claims(self, data: Any) -> Claims:
        top = self.table(data, "the whole")
        artefacts = self.table(top.get("artifacts"), "artifacts")
        if not artefacts:
            raise self.wrong("artifacts", "at least one artefact")
        parity = self.table(top.get("parity", {}), "parity")
        budget = self.table(top.get("budget", {}), "budget")
        schemes = self.table(top.get("schemes", {}), "schemes")
        if strange := sorted(budget.keys() - set(METRICS)):
            raise self.wrong(f"budget.{strange[0]}", f"one of {', '.join(METRICS)}")
        return Claims(
            name=self.text(top.get("name"), "name"),
            artefacts=tuple(self.artefact(target, artefacts[target]) for target in sorted(artefacts)),
            parity={target: self.parity(parity[target], f"parity.{target}") for target in parity},
            budget={
                metric: self.integer(budget.get(metric), f"budget.{metric}")
                for metric in ("footprint", "file", *sorted(budget.keys() - {"footprint", "file"}))
            },
            schemes=tuple(self.scheme(schemes[node], f"schemes.{node}") for node in sorted(schemes)),
        )

    def artefact(self, target: str, data: Any) -> Artefact:
        key = f"artifacts.{target}"
        table = self.table(data, key)
        files = self.table(table.get("files"), f"{key}.files")
        return Artefact(
            target,
            self.text(table.get("path"), f"{key}.path"),
            {name: self.file(files[name], f"{key}.files.{name}") for name in files},
            self.integer(table.get("minimum_bytes"), f"{key}.minimum_bytes"),
        )

    def scheme(self, data: Any, key: str) -> str:
        return self.text(self.table(data, key).get("scheme"), f"{key}.scheme")

    def file(self, data: Any, key: str) -> tuple[int, str]:
        table = self.table(data, key)
        size = self.integer(table.get("bytes"), f"{key}.bytes")
        if size is None:
            raise self.wrong(f"{key}.bytes", "a number of bytes")
        return size, self.text(table.get("sha256"), f"{key}.sha256")

    def parity(self, data: Any, key: str) -> Parity:
        table = self.table(data, key)
        return Parity(
            self.text(table.get("status", ""), f"{key}.status"),
            self.number(table.get("sqnr_db"), f"{key}.sqnr_db"),
            self.number(table.get("steps"), f"{key}.steps"),
            self.texts(table.get("failures", []), f"{key}.failures"),
            self.text(table.get("runtime", ""), f"{key}.runtime"),
            self.text(table.get("evaluated_with", ""), f"{key}.evaluated_with"),
        )

    def table(self, value: Any, key: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise self.wrong(key, "a table")
        return value

    def text(self, value: Any, key: str) -> str:
        if not isinstance(value, str):
            raise self.wrong(key, "a text")
        return value

    def texts(self, value: Any, key: str) -> tuple[str, ...]:
        if not isinstance(value, list):
            raise self.wrong(key, "a list")
        return tuple(self.text(entry, key) for entry in value)

    def integer(self, value: Any, key: str) -> int | None:
        if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 0):
            raise self.wrong(key, "a number of bytes")
        return value

    def number(self, value: Any, key: str) -> float | None:
        if value is None:
            return None
        if not isinstance(value, int | float) or isinstance(value, bool) or not abs(value) < 1e30:  # also refuses NaN
            raise self.wrong(key, "a number")
        return float(value)

    def wrong(self, key: str, wanted: str) -> UserError:
        return UserError(f"'{key}' should be {wanted}", where=self.where, fix="build it anew")
