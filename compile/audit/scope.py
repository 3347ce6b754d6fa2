"""What budgets are about: globs become paths, and an artefact finds the budgets that hold for it."""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from compile.audit.budget import Budget
from compile.audit.claims import MANIFEST
from compile.audit.folder import resolve
from compile.audit.formats import FORMATS
from compile.errors import UserError

MAX_MATCHES = 10_000


@dataclass(frozen=True)
class Scope:
    """Budgets, and the folder that their globs and baselines are relative to."""

    budgets: tuple[Budget, ...] = ()
    folder: Path = Path()

    def of(self, artefact: Path) -> tuple[Budget, ...]:
        """The budgets that hold for an artefact: those that name it or a folder around it, and those that name none."""
        try:
            place = resolve(artefact)
        except UserError:  # a manifest may claim what cannot be; no budget names that
            place = Path(os.path.abspath(artefact))
        around = {place, *place.parents}
        return tuple(budget for budget, named in self._named if not budget.empty and (named is None or named & around))

    def paths(self) -> tuple[Path, ...]:
        """Everything that the budgets name, each once, in their order; literal paths even where nothing is.

        Raises:
            UserError: none names anything, or a glob is without match.
        """
        found = [path for budget in self.budgets for pattern in budget.files for path in self._match(budget, pattern)]
        if not found:
            raise UserError(
                "it is not said what to audit",
                fix='name a PATH, or let a budget name files: [budget.mobile] files = ["build/mobile"]',
            )
        return distinct(found)

    @cached_property
    def _named(self) -> tuple[tuple[Budget, set[Path] | None], ...]:
        """Each budget with the places that it names; None for one that holds for whatever is audited."""

        def places(budget: Budget) -> set[Path]:
            return {resolve(path) for pattern in budget.files for path in self._expand(budget, pattern)}

        return tuple((budget, places(budget) if budget.files else None) for budget in self.budgets)

    def _match(self, budget: Budget, pattern: str) -> Sequence[Path]:
        found = self._expand(budget, pattern)
        if not found:
            known = ", ".join(known.suffix for known in FORMATS)
            raise UserError(
                f"'{pattern}' matches no build folder and no artefact",
                where=f"{budget.origin} files",
                fix=f"build it first, or mend the pattern: it starts at '{self.folder}'; artefacts end with {known}",
            )
        return found

    def _expand(self, budget: Budget, pattern: str) -> tuple[Path, ...]:
        """A literal path as it is; of what a glob matches, sorted, what can be audited."""
        if not pattern or "\0" in pattern:
            raise UserError("a path cannot be empty or hold a zero byte", where=f"{budget.origin} files")
        if not glob.has_magic(pattern):
            return (self.folder / pattern,)
        found: list[Path] = []
        for name in glob.iglob(pattern, root_dir=self.folder, recursive=True):
            if auditable(self.folder / name):
                found.append(self.folder / name)
            if len(found) > MAX_MATCHES:
                raise UserError(
                    f"'{pattern}' matches more than {MAX_MATCHES:,} artefacts", where=f"{budget.origin} files"
                )
        return tuple(sorted(found))


def distinct(paths: Sequence[Path]) -> tuple[Path, ...]:
    """Each of ``paths`` once, by the name it has first; not what another of them holds."""
    places: dict[Path, Path] = {}
    for path in paths:
        places.setdefault(resolve(path), path)
    return tuple(path for place, path in places.items() if not places.keys() & set(place.parents))


def auditable(path: Path) -> bool:
    """Whether it is a build folder, or ends like an artefact."""
    return path.suffix in {known.suffix for known in FORMATS} or (path / MANIFEST).is_file()


def common(paths: Sequence[Path]) -> Path:
    """The folder that all of ``paths`` are in, as the user would name it."""
    names = [os.path.abspath(path) if any(map(Path.is_absolute, paths)) else os.path.normpath(path) for path in paths]
    return Path(os.path.commonpath(names))
