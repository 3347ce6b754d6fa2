"""The verdict on a build folder or a single artefact, from its bytes alone.

The manifest says what to look at and how parity came out; sizes and digests are computed anew, and an artefact that is
not what the manifest says fails.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from compile.audit import claims
from compile.audit.folder import Folder, names_of, resolve
from compile.audit.footprint import Footprint, footprint
from compile.errors import UserError
from compile.units import format_size
from targets.catalogue import TARGETS, Target, by_suffix, find


@dataclass(frozen=True)
class Caps:
    """Limits in bytes; None for no limit.

    Attributes:
        footprint: on resident weights + peak activations.
        file: on the file.
        origin: where they are set, for people.
    """

    footprint: int | None = None
    file: int | None = None
    origin: str = "the caps given"

    @property
    def any(self) -> bool:
        """True when there is a limit at all."""
        return self.footprint is not None or self.file is not None


@dataclass(frozen=True)
class Row:
    """One artefact.

    Attributes:
        target: its name.
        path: of the artefact, relative to the build.
        footprint: None when its bytes could not be read as what they claim to be.
        ratio: file size over the least that the weights could take; None when unknown.
        parity: as the manifest says.
        reasons: why it fails; empty when it passes.
    """

    target: str
    path: str
    footprint: Footprint | None
    ratio: float | None = None
    parity: claims.Parity = field(default_factory=claims.Parity)
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class Report:
    """The verdict on everything."""

    name: str
    rows: tuple[Row, ...]
    caps: Caps

    @property
    def failures(self) -> tuple[str, ...]:
        """Every reason, with its target in front."""
        return tuple(f"{row.target}: {reason}" for row in self.rows for reason in row.reasons)

    @property
    def exit_code(self) -> int:
        """0 when every row passes, else 1."""
        return 1 if self.failures else 0


def audit(path: Path, cap: Caps | None = None) -> Report:
    """Audit a build folder, or one artefact (a file or a package).

    Args:
        path: of either.
        cap: limits; without any, those of the build's manifest hold.

    Raises:
        UserError: there is nothing at ``path``, it is neither a build folder nor an artefact, or a single artefact is
            malformed. (In a build, a malformed artefact is a row that fails.)
    """
    place = resolve(path)  # a link that the user names is followed; links inside may not leave its folder
    if not place.exists():
        raise UserError("there is no such file or folder", where=str(path))
    suffixes = {target.suffix for target in TARGETS}
    if place.is_dir() and path.suffix not in suffixes:
        return _build(path, cap)
    target = by_suffix(path)
    files = Folder(place.parent, names_of(place.parent, place.name))
    if not files:
        raise UserError("it is empty, or no file", where=str(path))
    measured = footprint(target.dissect(files), files)
    caps = cap or Caps()
    return Report(path.name, (Row(target.name, path.name, measured, reasons=tuple(_over(measured, caps))),), caps)


def _build(folder: Path, cap: Caps | None) -> Report:
    manifest = claims.read(folder)
    if cap is None or not cap.any:
        cap = Caps(manifest.footprint, manifest.file, f"the budget in {claims.MANIFEST}")
    rows = tuple(_row(folder, artefact, manifest, cap) for artefact in manifest.artefacts)
    return Report(manifest.name, rows, cap)


def _row(folder: Path, artefact: claims.Artefact, manifest: claims.Claims, caps: Caps) -> Row:
    parity = manifest.parity.get(artefact.target, claims.Parity())
    reasons = list(parity.failures)  # an artefact that was rejected when it was built stays rejected
    measured = None
    try:
        files = Folder(folder, names_of(folder, artefact.path))
        reasons += _differences(files, artefact)
        if files:
            measured, strangers = _measure(find(artefact.target), files, artefact)
            reasons += (f"'{name}' is not in the manifest" for name in strangers)
            reasons += _over(measured, caps)
    except UserError as error:
        reasons.append(str(error))
    ratio = measured.file / artefact.minimum if measured and artefact.minimum else None
    return Row(artefact.target, artefact.path, measured, ratio, parity, tuple(reasons))


def _measure(target: Target, files: Folder, artefact: claims.Artefact) -> tuple[Footprint, list[str]]:
    """The footprint, and the files that the artefact draws in beyond its own and those of the manifest."""
    dissection = target.dissect(files)
    return footprint(dissection, files), sorted(set(dissection.sizes) - set(artefact.files) - set(files.names))


def _differences(files: Mapping[str, bytes], artefact: claims.Artefact) -> Iterator[str]:
    """How the files on disk differ from what the manifest says."""
    if not files:
        yield f"'{artefact.path}' is missing"
        return
    for name in sorted({*artefact.files, *files}):
        if name not in artefact.files:
            yield f"'{name}' is not in the manifest"
            continue
        try:
            data = files[name]
        except KeyError:
            yield f"'{name}' is missing"
            continue
        size, digest = artefact.files[name]
        if len(data) != size:
            yield f"'{name}' has {len(data):,} bytes, the manifest says {size:,}"
        elif hashlib.sha256(data).hexdigest() != digest:
            yield f"'{name}' is not the file of the manifest: its SHA-256 differs"


def _over(measured: Footprint, caps: Caps) -> Iterator[str]:
    """Which limits do not hold; what is unknown holds none."""
    for what, size, cap in (
        ("footprint", measured.resident, caps.footprint),
        ("file", measured.file, caps.file),
    ):
        if cap is not None and size > cap:
            excess = format_size(size - cap)
            yield f"its {what} of {format_size(size)} exceeds the cap of {format_size(cap)} by {excess}"
    if caps.footprint is not None and measured.unknown:
        others = f" and {len(measured.unknown) - 1} more" if len(measured.unknown) > 1 else ""
        yield f"its footprint is not known, and unknown is not a pass: {measured.unknown[0]}{others}"
