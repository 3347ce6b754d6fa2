"""The verdict on build folders and single artefacts, from their bytes alone.

The manifest says what to look at and how parity came out; sizes and digests are computed anew, and an artefact that is
not what the manifest says fails.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from os.path import relpath
from pathlib import Path
from typing import TYPE_CHECKING

from compile.audit import claims
from compile.audit.budget import Budget, caps, judge
from compile.audit.difference import difference
from compile.audit.download import Download
from compile.audit.findings.dtype import claimed
from compile.audit.findings.search import search
from compile.audit.folder import Folder, names_of, resolve
from compile.audit.formats import FORMATS, Format, by_suffix, of_target
from compile.audit.report import Report, Row
from compile.audit.scope import Scope, common, distinct
from compile.audit.sizes import sizes
from compile.errors import UserError
from compile.units import counted
from targets.catalogue import FORMS, TARGETS
from targets.sections import pieces
from targets.stream import STREAM

if TYPE_CHECKING:
    from compile.audit.baseline import Baseline

_NO_BASELINE = 'there is no baseline: give --baseline, or write into the budget: baseline = "git:origin/main"'
_NEW = "; if it is new, give it a budget without growth until it is there, too"
_NO_BUDGET = "no budget of the configuration names it"
_NO_BROTLI = "the Python package brotli is not installed; run: pip install brotli"
_NOT_RUN = "nothing was run; give --measure"


def audit(path: Path, budgets: tuple[Budget, ...] = (), *, baseline: str = "", measure: bool = False) -> Report:
    """Audit a build folder, or one artefact (a file or a package).

    Args:
        path: of either.
        budgets: to hold it to; without any, that of the build's manifest.
        baseline: what to compare with, instead of what the budgets say; empty for that.
        measure: run every artefact in a fresh process and measure its growth.

    Raises:
        UserError: there is nothing at ``path``, it is neither a build folder nor an artefact, or a single artefact is
            malformed. (In a build, a malformed artefact is a row that fails.)
    """
    return Auditor(Scope(budgets), baseline, measure).audit((path,))


@dataclass(frozen=True)
class _Subject:
    """A build folder or an artefact, its rows, and the budgets that they were held to."""

    name: str
    rows: tuple[Row, ...]
    budgets: tuple[Budget, ...]


@dataclass(frozen=True)
class Auditor:
    """What to audit by.

    Attributes:
        scope: the budgets; where none of them holds for an artefact of a build, the manifest's own does.
        baseline: what to compare with, relative to the working folder; empty for what each budget says.
        measure: run every artefact in a fresh process and measure its growth.
    """

    scope: Scope
    baseline: str = ""
    measure: bool = False
    _baselines: dict[str, Baseline] = field(default_factory=dict, repr=False)

    def audit(self, paths: Sequence[Path]) -> Report:
        """One report on build folders and artefacts that a user named; what cannot be read is bad input.

        Raises:
            UserError: as :func:`audit`.
        """
        return _report([self._subject(path) for path in distinct(paths)])

    def audit_named(self) -> Report:
        """One report on everything that the budgets name; what is missing or cannot be read is a row that fails.

        Raises:
            UserError: they name nothing, or something that is neither a build folder nor an artefact.
        """
        return _report([self._subject_or_failure(path) for path in self.scope.paths()])

    def _subject(self, path: Path) -> _Subject:
        place = resolve(path)  # a link that the user names is followed; links inside may not leave its folder
        if not place.exists():
            raise UserError("there is no such file or folder", where=str(path))
        if place.is_dir() and path.suffix not in {known.suffix for known in FORMATS}:
            return self._build(path)
        known = by_suffix(path)
        files = Folder(place.parent, names_of(place.parent, place.name))
        if not files:
            raise UserError("it is empty, or no file", where=str(path))
        budgets = self.scope.of(path)
        try:
            row = self._examined(Row(known.name, path.name, None, folder=str(path.parent)), known, files, budgets)
        except UserError as error:
            if not error.where.startswith(place.name):
                raise
            where = f"{path}{error.where.removeprefix(place.name)}"  # of several of one name, this one
            raise UserError(error.what, where=where, fix=error.fix) from error
        return _Subject(path.name, (self._judged(row, budgets),), budgets)

    def _subject_or_failure(self, path: Path) -> _Subject:
        try:
            return self._subject(path)
        except UserError as error:
            if path.is_file():
                by_suffix(path)  # what can never be audited is a mistake of the budget
            known = next((known.name for known in FORMATS if known.suffix == path.suffix), path.name)
            budgets = self.scope.of(path)
            reason = str(error) if path.exists() else f"'{path}' is missing"
            row = Row(known, path.name, None, reasons=(reason,), folder=str(path.parent))
            return _Subject(path.name, (self._judged(row, budgets),), budgets)

    def _build(self, folder: Path) -> _Subject:
        manifest = claims.read(folder)
        own = caps(manifest.budget, f"the budget in {claims.MANIFEST}")
        rows: list[Row] = []
        applied: list[Budget] = []
        for artefact in manifest.artefacts:
            budgets = self.scope.of(folder / artefact.path) or (() if own.empty else (own,))
            rows.append(self._artefact(folder, artefact, manifest, budgets))
            applied += (budget for budget in budgets if budget not in applied)
        return _Subject(manifest.name, tuple(rows), tuple(applied))

    def _artefact(
        self, folder: Path, artefact: claims.Artefact, manifest: claims.Claims, budgets: tuple[Budget, ...]
    ) -> Row:
        parity = manifest.parity.get(artefact.target, claims.Parity())
        reasons = list(parity.failures)  # an artefact that was rejected when it was built stays rejected
        row = Row(artefact.target, artefact.path, None, folder=str(folder))
        try:
            files = Folder(folder, names_of(folder, artefact.path))
            reasons += _differences(files, artefact)
            if files:
                known = of_target(artefact.target)
                if known is None:
                    raise UserError(f"unknown target '{artefact.target}'", where=artefact.path)
                row = self._examined(row, known, files, budgets, _claimed(manifest, artefact))
                reasons += _strangers(row, artefact, files)
        except UserError as error:
            reasons.append(str(error))
        ratio = row.sizes.file / artefact.minimum if row.sizes and artefact.minimum else None
        return self._judged(replace(row, ratio=ratio, parity=parity, reasons=tuple(reasons)), budgets)

    def _examined(self, row: Row, known: Format, files: Folder, budgets: tuple[Budget, ...], claim: str = "") -> Row:
        """What the bytes of one artefact say."""
        known.check(Path(row.folder, row.path))
        with Download(files) as download:
            dissection = known.dissect(files)
            found, arena = sizes(dissection, download)
        asked = next((budget.dtype for budget in budgets if budget.dtype), claim)
        findings = search(dissection, files, asked)
        missing = {} if found.brotli is not None else {"brotli": _NO_BROTLI}
        row = replace(row, sizes=found, findings=findings, dissection=dissection, arena=arena, missing=missing)
        row = replace(row, notes=(*row.notes, *dissection.notes))
        return self._measured(row, known)

    def _measured(self, row: Row, known: Format) -> Row:
        """What running it takes, if that was asked for."""
        if not self.measure:
            return replace(row, missing={**row.missing, "measured": _NOT_RUN})
        from compile.audit.measured import measure

        found = measure(Path(row.folder, row.path), known)
        if isinstance(found, str):
            return replace(row, missing={**row.missing, "measured": found}, notes=(*row.notes, found))
        return replace(row, measured=found, sizes=row.sizes and replace(row.sizes, measured=found.last))

    def _judged(self, row: Row, budgets: tuple[Budget, ...]) -> Row:
        """What the budgets say of it, each over its own baseline; the first difference is the one that is shown."""
        given = [budget for budget in self.scope.budgets if not budget.empty]
        if given and not any(budget in given for budget in budgets):
            row = replace(row, notes=(*row.notes, _NO_BUDGET))
        specs = [self.baseline or budget.baseline for budget in budgets]
        compared = {spec: self._compared(row, spec) for spec in (self.baseline, *specs)}
        checks = [check for spec, own in zip(specs, budgets, strict=True) for check in judge(own, compared[spec])]
        asked = {spec: against for spec, against in compared.items() if spec and row.sizes}
        shown = next((against.difference for against in asked.values() if against.difference), None)
        said = {spec for spec, own in zip(specs, budgets, strict=True) if own.limits_growth(row.target)}
        nothing = (against for spec, against in asked.items() if spec not in said and not against.difference)
        notes = (f"it is compared with nothing: {against.why('growth')}" for against in nothing)
        return replace(row, checks=tuple(checks), difference=shown, notes=(*row.notes, *notes))

    def _compared(self, row: Row, spec: str) -> Row:
        """``row`` with its difference from a baseline; or why there is none."""
        if not spec:
            return replace(row, missing={**row.missing, "growth": _NO_BASELINE})
        from compile.audit import baseline

        if spec not in self._baselines:
            self._baselines[spec] = baseline.read(spec, Path() if self.baseline else self.scope.folder)
        past = self._baselines[spec]
        try:
            old = past.of(row)
        except UserError as error:
            return replace(row, missing={**row.missing, "growth": str(error)})
        if old is None:
            return replace(row, missing={**row.missing, "growth": f"{past.name} has no such artefact{_NEW}"})
        return replace(row, difference=difference(row, old))


def _report(subjects: Sequence[_Subject]) -> Report:
    """One report; the paths of several subjects start at the folder that all are in."""
    budgets: list[Budget] = []
    for subject in subjects:
        budgets += (budget for budget in subject.budgets if budget not in budgets)
    rows = [row for subject in subjects for row in subject.rows]
    if len(subjects) == 1:
        return Report(subjects[0].name, tuple(rows), tuple(budgets))
    base = common([Path(row.folder) for row in rows])
    paths = [Path(relpath(Path(row.folder, row.path), base)).as_posix() for row in rows]
    unique = len({row.target for row in rows}) == len(rows)
    told = [
        replace(row, path=path, folder=str(base), alias="" if unique else path)
        for row, path in zip(rows, paths, strict=True)
    ]
    return Report(counted(len(rows), "artefact"), tuple(told), tuple(budgets))


def _claimed(manifest: claims.Claims, artefact: claims.Artefact) -> str:
    """The dtype that the manifest gives all weights of an artefact; empty where it gives them several."""
    name = artefact.target.removesuffix(STREAM)
    instead = next((target.instead for target in (*TARGETS, *FORMS) if target.name == name), {})
    return claimed(manifest.schemes, instead)


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
        elif _digest(data) != digest:
            yield f"'{name}' is not the file of the manifest: its SHA-256 differs"


def _digest(data: bytes) -> str:
    digest = hashlib.sha256()
    for piece in pieces(data, 0, len(data)):
        digest.update(piece)
    return digest.hexdigest()
