"""Artefacts to compare with, wherever they are kept: what their bytes say, or a manifest or a report says of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Any

from compile.audit import claims
from compile.audit.breakdown import BY, breakdown
from compile.audit.download import Download
from compile.audit.formats import Format, of_target
from compile.audit.revision import Tree
from compile.audit.sizes import METRICS, Sizes, sizes
from compile.errors import UserError
from compile.memory import Plan
from targets.base import Dissection, Files

_MAX_BYTES = 64 * 2**20  # of a manifest or a report
_ONLY = "only the sizes that {} gives are known"

Shares = Mapping[str, Mapping[str, int]]
Place = Callable[[str], Files]  # the artefact at a path within it: a file's bytes, or a package's; empty without any


@dataclass(frozen=True)
class Old:
    """An artefact to compare with.

    Attributes:
        name: of where it was found, for people: a path, or ``git:main (1a2b3c4)``.
        target: that it is of, or its format.
        path: within the baseline.
        metrics: bytes by the names of ``sizes.METRICS``; absent or None where they are not known.
        shares: bytes by label, by each of ``breakdown.BY``; empty where its bytes are not at hand.
        stale: why the comparison may mislead; empty when nothing does.
    """

    name: str
    target: str
    path: str
    metrics: Mapping[str, int | None] = field(default_factory=dict)
    shares: Shares = field(default_factory=dict)
    stale: str = ""


@dataclass(frozen=True)
class Stored:
    """An artefact before it is dissected.

    Attributes:
        name: as of :class:`Old`; so are ``target``, ``path`` and ``stale``.
        target: as above.
        path: as above.
        files: empty where its bytes are not at hand.
        claimed: the metrics that somebody else gives.
        told: the shares that somebody else gives.
        stale: as above.
    """

    name: str
    target: str
    path: str
    files: Files
    claimed: Mapping[str, int | None] = field(default_factory=dict)
    told: Shares = field(default_factory=dict)
    stale: str = ""

    @property
    def format(self) -> Format | None:
        """Of its target; None for one that is not known."""
        return of_target(self.target)

    def examine(self) -> tuple[Sizes, Plan, Dissection]:
        """Its sizes, its arena and what it is made of.

        Raises:
            UserError: its bytes are not at hand, or not what they claim to be.
        """
        if not self.files or self.format is None:
            raise UserError(self.stale or f"unknown target '{self.target}'", where=f"{self.name}: {self.path}")
        with Download(self.files) as download:
            dissection = self.format.dissect(self.files)
            return *sizes(dissection, download), dissection

    def read(self) -> Old:
        """What can be known of it."""
        old = Old(self.name, self.target, self.path, self.claimed, self.told, self.stale)
        if not self.files:
            return old
        try:
            found, _, dissection = self.examine()
        except UserError as error:
            size = {"file": self.files.size} if isinstance(self.files, Tree) else {}
            return replace(old, metrics=size | dict(self.claimed), stale=also(old.stale, str(error)))
        return replace(old, metrics={name: found.metric(name) for name in METRICS}, shares=shares(dissection))


def shares(dissection: Dissection) -> Shares:
    """Bytes by label, by each of ``breakdown.BY``."""
    return {by: {share.label: share.size for share in breakdown(dissection, by)} for by in BY}


def match(target: str, path: str, stored: Sequence[Stored]) -> Stored | None:
    """The one that is most like an artefact of ``target`` at ``path``: of its target, or at least of its format."""
    name, known = PurePosixPath(path).name, of_target(target)
    kin = [other for other in stored if other.format is not None and other.format == known]
    for alike in (
        [other for other in kin if other.target == target and other.path == path],
        [other for other in kin if other.target == target],
        [other for other in kin if PurePosixPath(other.path).name == name],
        kin,
    ):
        if len(alike) == 1:
            return alike[0]
    return None


def of_json(data: bytes, place: Place, name: str, stale: str) -> tuple[tuple[Stored, ...], str]:
    """The artefacts that a manifest or a report tells of, and the name of the model.

    Args:
        data: the JSON.
        place: where the artefacts of a manifest should be.
        name: of where it was found.
        stale: what is to be said of it anyway.

    Raises:
        UserError: it is neither.
    """
    try:
        found = json.loads(data.decode("utf-8")) if len(data) <= _MAX_BYTES else None
    except (ValueError, RecursionError):
        found = None
    if isinstance(found, dict) and "artifacts" in found:
        manifest = claims.parse(data, name)
        return tuple(_claimed(place, name, artefact, stale) for artefact in manifest.artefacts), manifest.name
    rows = found.get("rows") if isinstance(found, dict) else None
    if not isinstance(found, dict) or not isinstance(rows, list) or not rows:
        raise UserError("it is neither a manifest nor the report of an audit", where=name)
    model = found.get("name")
    return tuple(_reported(row, name, stale) for row in rows), model if isinstance(model, str) else ""


def also(first: str, second: str) -> str:
    """One reason, and another."""
    return f"{first}; {second}" if first and second else first or second


def _claimed(place: Place, name: str, artefact: claims.Artefact, stale: str) -> Stored:
    """What a manifest says; and the artefact's bytes, if they are beside and unchanged."""
    claimed = {"file": sum(size for size, _ in artefact.files.values())}
    only = Stored(name, artefact.target, artefact.path, {}, claimed, stale=stale)
    try:
        files = place(artefact.path)
        if set(files) == set(artefact.files) and all(_digest(files[path]) == artefact.files[path] for path in files):
            return replace(only, files=files)
        fault = "the artefact beside the manifest is another" if files else "the artefact is not beside the manifest"
    except UserError as error:
        fault = str(error)
    return replace(only, stale=also(stale, f"{fault}: {_ONLY.format('the manifest')}"))


def _reported(row: Any, name: str, stale: str) -> Stored:
    """What the report of an audit says; its shares only if they are those of its file."""
    if not isinstance(row, dict) or not all(isinstance(row.get(key), str) for key in ("target", "path")):
        raise UserError("it is not the report of an audit", where=name, fix="write it anew: phiz audit --format json")
    sizes_told, by_told = (row.get(key) for key in ("sizes", "breakdown"))
    claimed = {metric: _bytes(sizes_told.get(metric)) for metric in METRICS} if isinstance(sizes_told, dict) else {}
    told = {by: _shares(by_told.get(by)) for by in BY} if isinstance(by_told, dict) else {}
    if any(sum(labels.values()) != claimed.get("file") for labels in told.values()):
        told = {}
    if not claimed:
        stale = also(stale, "the report tells no sizes; write it anew")
    elif not told:
        stale = also(stale, f"where its bytes are is not told: {_ONLY.format('the report')}")
    return Stored(name, row["target"], row["path"], {}, claimed, told, stale)


def _shares(entries: Any) -> dict[str, int]:
    """Bytes by label; what is of another form is left out, so that the sum tells."""
    found: dict[str, int] = {}
    for entry in entries if isinstance(entries, list) else ():
        label, size = (entry.get("label"), _bytes(entry.get("bytes"))) if isinstance(entry, dict) else (None, None)
        if isinstance(label, str) and size is not None:
            found[label] = found.get(label, 0) + size
    return found


def _bytes(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _digest(data: bytes) -> tuple[int, str]:
    return len(data), hashlib.sha256(data).hexdigest()
