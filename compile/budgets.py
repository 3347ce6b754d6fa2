"""``[budget.NAME]`` of a configuration, as the auditor takes it; sizes and shares as people write them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from compile.audit.budget import SECTIONS, Amount, Budget, Limit
from compile.audit.findings.dtype import ASKED
from compile.audit.formats import names
from compile.audit.sizes import METRICS
from compile.errors import UserError
from compile.tables import TABLE, TEXT, choose, strings, table, tables
from compile.units import parse_share, parse_size

_LIMITS: Mapping[str, tuple[type, ...]] = {**dict.fromkeys(METRICS, TEXT), "growth": (str, dict), "section": TABLE}
_BUDGET: Mapping[str, tuple[type, ...]] = {
    **_LIMITS,
    "target": TABLE,
    "files": (str, list),
    "baseline": TEXT,
    "warn": TEXT,
    "dtype": TEXT,
    "message": TEXT,
}


def read(data: object, path: str, prefix: str = "") -> tuple[Budget, ...]:
    """The budgets in the table ``[budget]``, in its order.

    Args:
        data: the table.
        path: of the file, as the user named it.
        prefix: of the tables' names in it, such as ``tool.phiz.``.

    Raises:
        UserError: it is no such table, names what does not exist, or limits nothing.
    """
    named = tables(data, f"{path}, [{prefix}budget]")
    return tuple(_budget(name, entry, _Place(path, f"{prefix}budget.{name}")) for name, entry in named.items())


@dataclass(frozen=True)
class _Place:
    """A table in a file."""

    path: str
    name: str

    def __str__(self) -> str:
        return f"{self.path}, [{self.name}]"

    @property
    def origin(self) -> str:
        """The same for reports, which hold no path of a machine."""
        return f"{self.path.replace(chr(92), '/').rpartition('/')[2]}, [{self.name}]"

    def beneath(self, key: str) -> _Place:
        return _Place(self.path, f"{self.name}.{key}")


def _budget(name: str, data: object, place: _Place) -> Budget:
    entries = table(data, _BUDGET, str(place))
    files = entries.get("files", [])
    targets = tables(entries.get("target", {}), str(place.beneath("target")))
    known = names()
    for target in targets:
        if target not in known:
            raise UserError(f"unknown target '{target}'", where=str(place), fix=choose(target, known))
    budget = Budget(
        name=name,
        limits=tuple(_limits(entries, place)),
        files=(files,) if isinstance(files, str) else strings(files, f"{place} files"),
        targets={
            target: tuple(_limits(table(own, _LIMITS, str(deep)), deep))
            for target, own in targets.items()
            for deep in (place.beneath(f"target.{target}"),)
        },
        warn=_warning(entries, place),
        message=entries.get("message", ""),
        baseline=entries.get("baseline", ""),
        dtype=entries.get("dtype", ""),
        origin=place.origin,
    )
    if budget.dtype and budget.dtype not in ASKED:
        raise UserError(
            f"unknown dtype '{budget.dtype}'", where=f"{place} dtype", fix=choose(budget.dtype, tuple(ASKED))
        )
    if budget.empty:
        raise UserError("it limits nothing", where=str(place), fix='write for example: footprint = "3.4 MB"')
    return budget


def _limits(entries: Mapping[str, Any], place: _Place) -> Iterator[Limit]:
    """Those of metrics, of growth and of sections, in the order in which reports show them."""
    for metric in METRICS:
        if metric in entries:
            size = _size(entries[metric], f"{place} {metric}")
            yield Limit(metric, Amount(size), origin=f"{place.origin} {metric}")
    growth = entries.get("growth", {})
    deep = place.beneath("growth") if isinstance(growth, dict) else place
    amounts = table(growth, dict.fromkeys(METRICS, TEXT), str(deep)) if isinstance(growth, dict) else {"file": growth}
    for metric, text in amounts.items():
        key = metric if isinstance(growth, dict) else "growth"
        yield Limit(metric, _amount(text, f"{deep} {key}"), growth=True, origin=f"{deep.origin} {key}")
    deep = place.beneath("section")
    for section, text in table(entries.get("section", {}), dict.fromkeys(SECTIONS, TEXT), str(deep)).items():
        yield Limit(section, _amount(text, f"{deep} {section}"), origin=f"{deep.origin} {section}", section=True)


def _amount(text: str, where: str) -> Amount:
    return Amount(share=parse_share(text, where)) if "%" in text else Amount(parse_size(text, where))


def _size(text: str, where: str) -> int:
    if "%" in text:
        raise UserError(f"'{text}' is a share, of nothing", where=where, fix="write a size such as 3.4 MB")
    return parse_size(text, where)


def _warning(entries: Mapping[str, Any], place: _Place) -> float | None:
    if "warn" not in entries:
        return None
    share = parse_share(entries["warn"], f"{place} warn")
    if not 0 < share <= 1:
        raise UserError(f"'{entries['warn']}' is no share of a limit", where=f"{place} warn", fix="write up to 100 %")
    return share
