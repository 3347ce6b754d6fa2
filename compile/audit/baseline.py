"""What an audit compares with: a build, its manifest, a report, an artefact, or any of them at a git revision.

Whatever may make the comparison mislead is said, and what cannot be read is unknown; neither is an error.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from compile.audit import claims, revision
from compile.audit.folder import Folder, names_of, resolve
from compile.audit.formats import FORMATS, by_suffix
from compile.audit.report import Row
from compile.audit.revision import Revision
from compile.audit.stored import Old, Place, Stored, also, match, of_json
from compile.errors import UserError

GIT = "git:"
_FIX = f"name a build folder, its {claims.MANIFEST}, an audit.json, an artefact or git:REVISION"


@dataclass(frozen=True)
class Baseline:
    """Artefacts to compare with.

    Attributes:
        name: for people: as the user wrote it, of an absolute path the end, or of where it was found.
        stored: the artefacts; those of a revision without a path are looked for row by row.
        model: the name that its manifest gives; empty where there is none.
        text: of a revision without a path; else empty.
        build: it is all that a manifest or a report tells of, and not one artefact.
        folder: that the artefacts are in; empty where that is no folder of this machine.
    """

    name: str
    stored: tuple[Stored, ...] = ()
    model: str = ""
    text: str = ""
    build: bool = False
    folder: str = ""
    _revisions: dict[str, Revision] = field(default_factory=dict, repr=False, compare=False)

    def of(self, row: Row) -> Old | None:
        """The artefact that ``row`` is compared with; None when the baseline has none like it.

        That is the one of the same target, by preference at the same path. Of a revision it is what the manifest then
        had for the target, else what was at the path.

        Raises:
            UserError: for a revision, what :func:`revision.find` raises.
        """
        if self.text:
            return self._then(row).of(row)
        found = match(row.target, row.path, self.stored)
        if found is None:
            return None
        old, own = found.read(), _model(row)
        if not own or not self.model or own == self.model:
            return old
        return replace(old, stale=also(old.stale, f"it is of another model: '{self.model}', not '{own}'"))

    def _then(self, row: Row) -> Baseline:
        """What there was at the revision in the folder of ``row``."""
        if row.folder not in self._revisions:
            self._revisions[row.folder] = revision.find(Path(row.folder), self.text)
        past = self._revisions[row.folder]
        place = _at(past, past.prefix)
        stored: tuple[Stored, ...] = ()
        model = ""
        with suppress(UserError):  # where the manifest then was none, the path has to do
            if manifest := place(claims.MANIFEST):
                stored, model = of_json(manifest[claims.MANIFEST], place, past.name, past.stale)
        if match(row.target, row.path, stored) is None and (files := place(row.path)):
            stored = (Stored(past.name, row.target, row.path, files, stale=past.stale),)
        return Baseline(self.name, stored, model)


def read(spec: str, folder: Path) -> Baseline:
    """The baseline that ``spec`` names.

    Args:
        spec: the path of a build folder, of its manifest, of an ``audit.json`` or of an artefact; ``git:REVISION`` for
            whatever is audited as it was then; or ``git:REVISION:PATH``, where the path starts at the top of the
            repository, or at ``folder`` if it begins with ``./`` or ``../``.
        folder: that a relative path starts from, and whose repository ``git:REVISION:PATH`` means.

    Raises:
        UserError: it is none of these.
    """
    if not spec.startswith(GIT):
        path = folder / spec
        if not resolve(path).exists():
            raise UserError("there is no such file or folder to compare with", where=spec, fix=_FIX)
        root, last = (path.parent, path.name) if _is_one(path.name) else (path, claims.MANIFEST)
        found = _named(spec, lambda name: Folder(root, names_of(resolve(root), name)), last)
        end = path.name if root == path else f"{root.name}/{path.name}"
        told = end if Path(spec).is_absolute() else spec  # reports hold no path of a machine
        stored = tuple(replace(one, name=told) for one in found.stored)
        return replace(found, name=told, stored=stored, folder=str(root))
    text, separator, then = spec.removeprefix(GIT).partition(":")
    if not separator:
        return Baseline(spec, text=revision.checked(text))
    past = revision.find(folder, text)
    whole = _from_top(past, then)
    top, last = (whole.parent, whole.name) if _is_one(whole.name) else (whole, claims.MANIFEST)
    prefix = "" if top == PurePosixPath() else f"{top}/"
    return _named(f"{past.name}: {whole}", _at(past, prefix), last, past.stale)


def _is_one(name: str) -> bool:
    """Whether something of this name is a file or a package, and no build folder."""
    return PurePosixPath(name).suffix in {".json", *(known.suffix for known in FORMATS)}


def _at(past: Revision, prefix: str) -> Place:
    return lambda path: past.files(prefix + path)


def _from_top(past: Revision, path: str) -> PurePosixPath:
    """``path`` from the top of the repository, as git reads it."""
    here = path in (".", "..") or path.startswith(("./", "../"))
    parts: list[str] = []
    for part in PurePosixPath(past.prefix if here else "", path).parts:
        if part == ".." and parts:
            parts.pop()
        else:
            parts.append(part)
    return PurePosixPath(*parts)


def _named(name: str, place: Place, last: str, stale: str = "") -> Baseline:
    """The baseline of ``last``: a manifest, a report, or an artefact."""
    files = place(last)
    if not files:
        raise UserError(f"there is nothing to compare with: no '{last}'", where=name, fix=_FIX)
    known = None if last.endswith(".json") else by_suffix(Path(last))
    folder = last not in set(files)
    if folder != (known is not None and known.folder):
        raise UserError(f"'{last}' is a {'folder' if folder else 'file'}", where=name, fix=_FIX)
    if known is None:
        return Baseline(name, *of_json(files[last], place, name, stale), build=True)
    return Baseline(name, (Stored(name, known.name, last, files, stale=stale),))


def _model(row: Row) -> str:
    """The name that the manifest beside ``row`` gives its model; empty without one."""
    with suppress(UserError):
        return claims.read(Path(row.folder)).name if row.folder else ""
    return ""
