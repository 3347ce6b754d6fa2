"""The verdict on a build folder or a single artefact, from its bytes alone.

The manifest says what to look at and how parity came out; sizes and digests are computed anew, and an artefact that is
not what the manifest says fails.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from compile.audit import claims
from compile.audit.budget import Budget, caps, judge
from compile.audit.findings.search import search
from compile.audit.folder import Folder, names_of, resolve
from compile.audit.formats import FORMATS, Format, by_suffix, of_target
from compile.audit.report import Report, Row
from compile.audit.sizes import sizes
from compile.errors import UserError


def audit(path: Path, budgets: tuple[Budget, ...] = ()) -> Report:
    """Audit a build folder, or one artefact (a file or a package).

    Args:
        path: of either.
        budgets: to hold it to; without any, that of the build's manifest.

    Raises:
        UserError: there is nothing at ``path``, it is neither a build folder nor an artefact, or a single artefact is
            malformed. (In a build, a malformed artefact is a row that fails.)
    """
    place = resolve(path)  # a link that the user names is followed; links inside may not leave its folder
    if not place.exists():
        raise UserError("there is no such file or folder", where=str(path))
    if place.is_dir() and path.suffix not in {known.suffix for known in FORMATS}:
        return _build(path, budgets)
    known = by_suffix(path)
    files = Folder(place.parent, names_of(place.parent, place.name))
    if not files:
        raise UserError("it is empty, or no file", where=str(path))
    return Report(path.name, (_examined(known, known.name, path.name, files, budgets),), budgets)


def _build(folder: Path, budgets: tuple[Budget, ...]) -> Report:
    manifest = claims.read(folder)
    if not any(budget.limits for budget in budgets):
        own = caps(manifest.budget, f"the budget in {claims.MANIFEST}")
        budgets = (own,) if own.limits else ()
    rows = tuple(_row(folder, artefact, manifest, budgets) for artefact in manifest.artefacts)
    return Report(manifest.name, rows, budgets)


def _row(folder: Path, artefact: claims.Artefact, manifest: claims.Claims, budgets: tuple[Budget, ...]) -> Row:
    parity = manifest.parity.get(artefact.target, claims.Parity())
    reasons = list(parity.failures)  # an artefact that was rejected when it was built stays rejected
    row = Row(artefact.target, artefact.path, None)
    try:
        files = Folder(folder, names_of(folder, artefact.path))
        reasons += _differences(files, artefact)
        if files:
            known = of_target(artefact.target)
            if known is None:
                raise UserError(f"unknown target '{artefact.target}'", where=artefact.path)
            row = _examined(known, artefact.target, artefact.path, files, budgets)
            reasons += _strangers(row, artefact, files)
    except UserError as error:
        reasons.append(str(error))
    ratio = row.sizes.file / artefact.minimum if row.sizes and artefact.minimum else None
    return replace(row, ratio=ratio, parity=parity, reasons=tuple(reasons))


def _examined(known: Format, target: str, path: str, files: Folder, budgets: tuple[Budget, ...]) -> Row:
    """What the bytes of one artefact say."""
    dissection = known.dissect(files)
    measured, arena = sizes(dissection, files)
    checks = tuple(check for budget in budgets for check in judge(budget, measured))
    findings = search(dissection, files)
    return Row(target, path, measured, checks=checks, findings=findings, dissection=dissection, arena=arena)


def _strangers(row: Row, artefact: claims.Artefact, files: Folder) -> Iterator[str]:
    """Files that the artefact draws in beyond its own and those of the manifest."""
    if row.dissection is not None:
        for name in sorted(set(row.dissection.sizes) - set(artefact.files) - set(files.names)):
            yield f"'{name}' is not in the manifest"


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
