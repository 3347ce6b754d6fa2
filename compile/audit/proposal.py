"""First budgets: what there is to audit beneath a folder, and limits at its size of today with room on top."""

from __future__ import annotations

import glob
import json
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from compile.audit.budget import Amount
from compile.audit.formats import FORMATS, names
from compile.audit.report import Report
from compile.audit.scope import auditable
from compile.errors import UserError
from compile.units import UNITS, format_share

_METRICS = {
    "footprint": "resident weights and peak activations",
    "file": "on disk",
    "download": "compressed with deflate",
}
_MAX_ENTRIES = 200_000
_FOREIGN = ("pyvenv.cfg", "student.json")  # in folders whose models are no artefacts: other people's, and students


@dataclass(frozen=True)
class Proposal:
    """A budget to be: what it names, relative to the configuration's folder, and the report on that of today."""

    path: str
    report: Report


def find(tops: Sequence[Path]) -> tuple[Path, ...]:
    """Build folders and artefacts at or beneath ``tops``, sorted; not those in hidden folders or rejected builds.

    Raises:
        UserError: a top does not exist, or there is too much beneath it.
    """
    found: list[Path] = []
    for top in tops:
        if not top.exists():
            raise UserError("there is no such file or folder", where=str(top))
        found += [top] if auditable(top) else _beneath(top)
    return tuple(sorted(dict.fromkeys(found)))


def _beneath(top: Path) -> Iterator[Path]:
    entries = 0
    for folder, folders, files in os.walk(top):
        entries += len(folders) + len(files)
        if entries > _MAX_ENTRIES:
            raise UserError(f"it holds more than {_MAX_ENTRIES:,} files", where=str(top), fix="name what to look into")
        here = Path(folder)
        inside = [here / name for name in folders if not name.startswith((".", "node_modules")) and _ours(here / name)]
        yield from (path for path in (*inside, *(here / name for name in files)) if auditable(path))
        folders[:] = sorted(path.name for path in inside if not auditable(path) and not path.is_symlink())


def _ours(folder: Path) -> bool:
    return folder.suffix != ".rejected" and not any((folder / mark).exists() for mark in _FOREIGN)


def write(proposals: Sequence[Proposal], headroom: float) -> str:
    """The text of a configuration, with a budget for each proposal."""
    lines = [
        f"# Budgets at the sizes of the day that `phiz init` wrote them, and {format_share(headroom)} on top.",
        "# Mend them as you agree, and put `phiz audit` into CI: it fails where one does not hold.",
    ]
    for name, proposal in _named(proposals):
        lines += ["", *_budget(name, proposal, headroom)]
    return "\n".join(lines) + "\n"


def generous(size: int, headroom: float) -> str:
    """``size`` bytes and ``headroom`` on top, up to three digits: ``967 kB`` for 879,024 and 10 %."""
    most = size + Amount(share=headroom).of(size) + 1
    step = 10 ** max(len(str(most)) - 3, 0)
    rounded = -(-most // step) * step
    unit = next(unit for unit in ("GB", "MB", "kB", "B") if rounded >= UNITS[unit])
    whole, rest = divmod(rounded, UNITS[unit])
    digits = f"{rest:0{len(str(UNITS[unit])) - 1}d}".rstrip("0") if rest else ""
    return f"{whole}{'.' if digits else ''}{digits} {unit}"


def _named(proposals: Iterable[Proposal]) -> Iterator[tuple[str, Proposal]]:
    """Each after its folder or file; those of one name are counted."""
    taken: set[str] = set()
    for proposal in proposals:
        place = Path(proposal.path)
        stem = place.stem if place.suffix in {known.suffix for known in FORMATS} else place.resolve().name
        stem = re.sub(r"[^A-Za-z0-9_-]+", "-", stem).strip("-") or "budget"
        name = next(name for name in (stem, *(f"{stem}-{count}" for count in range(2, 10**6))) if name not in taken)
        taken.add(name)
        yield name, proposal


def _budget(name: str, proposal: Proposal, headroom: float) -> Iterator[str]:
    """Limits that all of its artefacts hold, and lower ones for targets that are smaller by more than the headroom."""
    rows = {row.target: row for row in proposal.report.rows if row.sizes}
    yield f"[budget.{name}]"
    yield f"files = [{_quoted(glob.escape(proposal.path))}]"
    limits: dict[str, dict[str, str]] = {target: {} for target in rows if target in names()}
    for metric, meaning in _METRICS.items():
        sizes = {target: row.sizes.metric(metric) for target, row in rows.items() if row.sizes}
        known = {target: size for target, size in sizes.items() if size is not None}
        if len(known) < len(rows):
            why = next(rows[target].why(metric) for target in rows if target not in known)
            yield _line(f"# {metric}", f"is not known: {why}")
            continue
        largest = max(known, key=lambda target: known[target])
        most, of = generous(known[largest], headroom), f" ({largest})" if len(rows) > 1 else ""
        yield _line(f'{metric} = "{most}"', f"{meaning}; today {known[largest]:,} bytes{of}")
        for target, own in limits.items():
            if known[target] + Amount(share=headroom).of(known[target]) < known[largest]:
                own[metric] = generous(known[target], headroom)
    yield _line('warn = "95 %"', "of a limit: from there on it says so")
    yield _line('# growth = "2 %"', "of the file, over the baseline")
    yield _line('# baseline = "git:origin/main"')
    yield _line('# message = "…"', "whom to ask when one does not hold")
    for target, own in limits.items():
        if own:
            yield f"[budget.{name}.target.{target if target.isalnum() else _quoted(target)}]"
            yield from (f'{metric} = "{less}"' for metric, less in own.items())


def _line(setting: str, comment: str = "") -> str:
    """Names in comments come from model files: they must not end the line, nor be long."""
    brief = "".join(sign if sign.isprintable() else " " for sign in comment[:200])
    return f"{setting:24}# {brief}" if comment else setting


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
