"""What each part of a recipe brings: variants of a stage, each trained with several seeds, side by side.

    python -m bench.ablation examples/recipes/ablation.toml --labels labels --out ablation --jobs 2

The table is a TOML file: ``seeds``, ``[every]`` (what all have in common), ``[[stage]]`` (trained once and first, such
as a guide) and ``[[variant]]``; keys of the last three are those of a recipe's stage (docs/training.md). Figures are
those of the held-out split. For each variant their mean and standard deviation over seeds are printed, then what it
differs by from the first variant, with the standard error of that difference (``sqrt(s1^2 / n1 + s2^2 / n2)``, as Welch
has it): less than two of them is nothing to speak of.

Stages in common have one seed, so a guide's own luck is in no deviation. Everything is kept in ``--out`` and found
again; results are printed and written there: ``ablation.md`` and ``ablation.json``.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from bench import results
from bench.board import Board
from bench.jobs import run, start
from bench.results import NOTHING, Sheet
from bench.trials import Manner, Trial, add_manner, manner_of, with_steps
from compile.errors import UserError
from compile.files import write_atomically
from compile.tables import parse, table
from distill.corpus.sources import HELD_OUT, TRAIN
from distill.evaluate import Report
from distill.evaluate.figures import FIGURES
from distill.labels import cache
from distill.labels.cache import Labels
from distill.training import recipe
from distill.training.stage import Stage

KEYS: Mapping[str, tuple[type, ...]] = {"seeds": (list,), "every": (dict,), "stage": (list,), "variant": (list,)}
FORMAT = 1
FIGURED: Mapping[str, str] = {
    "closure.f1": "F1",
    "closure.recall": "recall",
    "closure.precision": "precision",
    "closure.depth": "depth",
    "correlation.mouth": "correlation",
    "r2": "R²",
    "jitter": "jitter",
    "silence.room": "room noise",
}


@dataclass(frozen=True)
class Table:
    """What is compared.

    Attributes:
        seeds: of each variant's trials.
        common: trained first, once each, in order.
        variants: by name, one trial a seed.
    """

    seeds: tuple[int, ...]
    common: tuple[Trial, ...]
    variants: Mapping[str, tuple[Trial, ...]]


def read(path: Path, labels: tuple[Labels, ...], out: Path, steps: int | None = None) -> Table:
    """Read a table.

    Args:
        path: of the TOML file.
        labels: folders that all learn and are judged by.
        out: folder of everything.
        steps: of every training, whatever is written.

    Raises:
        UserError: it cannot be read, or a variant is no stage; the message names file, table and key.
    """
    where = str(path)
    data = table(parse(path), KEYS, where)
    seeds, common, variants = (data.get(key, []) for key in ("seeds", "stage", "variant"))
    if not seeds or not all(type(seed) is int for seed in seeds) or len({*seeds}) < len(seeds):
        raise UserError(f"'seeds' is {seeds!r}", where=where, fix="write different ones: seeds = [0, 1, 2]")
    if not variants:
        raise UserError("it has no variant", where=where, fix="write a table [[variant]]")
    base = {
        "labels": [{"folder": str(one.folder.resolve())} for one in labels],
        "every": data.get("every", {}),
    }

    def stages(*tables: object) -> tuple[Stage, ...]:
        plan = recipe.plan_of({**base, "stage": list(tables)}, path)
        return with_steps(recipe.moved(plan, out / "common").stages, steps)

    once = stages(*common) if common else ()
    trials: dict[str, tuple[Trial, ...]] = {}
    for number, variant in enumerate(variants, 1):
        place = f"[[variant]] {number}"
        name = variant.get("name") if isinstance(variant, dict) else None
        if name is None or name in trials:
            raise UserError("it has no name of its own", where=f"{where}, {place}", fix='write: name = "without"')
        for key in variant.keys() & {"seed", "out"}:
            raise UserError(f"a variant has no '{key}'", where=f"{where}, {place}", fix="leave it out")
        try:
            last = stages(*common, variant)[-1]
        except UserError as error:
            there = error.where.replace(f"[[stage]] {len(common) + 1}", place)
            raise UserError(error.what, where=there, fix=error.fix) from error
        trials[name] = tuple(_seeded(last, seed, out / "variants" / last.name, labels) for seed in seeds)
    shared = (Trial(stage.name, out / "judged" / stage.name, (stage,), labels) for stage in once)
    return Table(tuple(seeds), tuple(shared), trials)


def _seeded(stage: Stage, seed: int, folder: Path, labels: tuple[Labels, ...]) -> Trial:
    place = folder / f"seed-{seed}"
    own = replace(stage, out=place / "student", recipe=replace(stage.recipe, seed=seed))
    return Trial(f"{stage.name}, seed {seed}", place, (own,), labels)


@dataclass(frozen=True)
class Found:
    """A figure of a variant by seed; None where it was not measured."""

    values: Mapping[int, float | None]

    @property
    def mean(self) -> float | None:
        """Over seeds; None where one of them has none."""
        return statistics.fmean(self._numbers) if self._numbers and len(self._numbers) == len(self.values) else None

    @property
    def deviation(self) -> float | None:
        """Standard deviation of what seeds would give, estimated from these; None for one seed."""
        return None if self.mean is None or len(self.values) < 2 else statistics.stdev(self._numbers)

    @property
    def _numbers(self) -> list[float]:
        return [value for value in self.values.values() if value is not None]

    def less(self, other: Found) -> tuple[float | None, float | None]:
        """How much higher its mean is than another's, and the standard error of that."""
        if self.mean is None or other.mean is None:
            return None, None
        if self.deviation is None or other.deviation is None:
            return self.mean - other.mean, None
        error = self.deviation**2 / len(self.values) + other.deviation**2 / len(other.values)
        return self.mean - other.mean, error**0.5


Figures = Mapping[str, Mapping[str, Found]]
"""By variant, then by the name of a figure."""


def figures_of(subject: str, variants: Mapping[str, Mapping[int, Report]]) -> Figures:
    """What became of one subject, such as ``float``, in each variant's reports by seed."""
    found: dict[str, dict[str, Found]] = {}
    for name, reports in variants.items():
        rows = {seed: row for seed, report in reports.items() if (row := report.row(subject)) is not None}
        found[name] = {
            figure: Found({seed: row.figure(figure).value for seed, row in rows.items()})
            for figure in FIGURES
            if any(figure in row.figures for row in rows.values())
        }
    return found


def sheets(subject: str, figures: Figures, first: str) -> Iterator[Sheet]:
    """Means and deviations, and differences from the variant ``first``."""
    heads = (("", "seeds"), tuple(FIGURED.values()))

    def cells(figures: Mapping[str, Found], other: Mapping[str, Found] | None = None) -> Iterator[str]:
        for name in FIGURED:
            one = figures.get(name, Found({}))
            if other is None:
                yield _with(name, one.mean, one.deviation)
            else:
                yield _with(name, *one.less(other.get(name, Found({}))), sign="+")

    def seeds(one: Mapping[str, Found]) -> str:
        return str(max((len(found.values) for found in one.values()), default=0))

    rows = tuple((name, seeds(found), *cells(found)) for name, found in figures.items())
    yield Sheet(f"{subject}: mean and standard deviation over seeds", (*heads[0], *heads[1]), rows)
    if first in figures:
        others = tuple((name, *cells(found, figures[first])) for name, found in figures.items() if name != first)
        if others:
            yield Sheet(f"{subject}: less {first}, and standard error", ("", *heads[1]), others)


def _with(name: str, value: float | None, spread: float | None, sign: str = "") -> str:
    if value is None:
        return NOTHING
    plus = sign if value > 0 else ""
    return f"{plus}{results.shown(name, value)}" + ("" if spread is None else f" ±{results.shown(name, spread)}")


def as_json(table: Table, subjects: Mapping[str, Figures], first: str, failed: Mapping[str, str]) -> bytes:
    """Every figure of every seed, rounded to six digits: by subject, variant, and figure."""

    def short(value: float | None) -> float | None:
        return None if value is None else round(value, 6) + 0.0

    def facts(figures: Figures, variant: str, name: str) -> dict[str, Any]:
        one = figures[variant][name]
        found: dict[str, Any] = {
            "values": {seed: short(value) for seed, value in one.values.items()},
            "mean": short(one.mean),
            "deviation": short(one.deviation),
        }
        if variant != first and name in figures.get(first, {}):
            difference, error = one.less(figures[first][name])
            found |= {"difference": short(difference), "error": short(error)}
        return found

    whole = {
        "format": FORMAT,
        "seeds": table.seeds,
        "first": first,
        "subjects": {
            subject: {
                variant: {name: facts(figures, variant, name) for name in figures[variant]} for variant in figures
            }
            for subject, figures in subjects.items()
        },
        "failed": dict(failed),
    }
    return (json.dumps(whole, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def main(words: Sequence[str]) -> None:
    """Train, judge, print and write.

    Raises:
        UserError: the table or the labels cannot be used, or a training failed.
    """
    parser = argparse.ArgumentParser(
        "python -m bench.ablation", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("table", type=Path, metavar="TABLE.toml")
    add_manner(parser)
    arguments = parser.parse_args(words)
    if not arguments.labels:
        parser.error("name labels: --labels FOLDER")
    manner, labels = manner_of(arguments), tuple(map(cache.load, arguments.labels))
    for split in (TRAIN, HELD_OUT):
        if not any(one.split(split) for one in labels):
            raise UserError(f"no label is in the split '{split}'", where="--labels", fix="label with --held-out")
    table = read(arguments.table, labels, arguments.out, arguments.steps)
    trials = [trial for seeds in table.variants.values() for trial in seeds]
    with Board("students", len(table.common) + len(trials)) as board:
        common, failed = run(table.common, replace(manner, jobs=1), board)
        if failed:
            raise UserError("; ".join(f"{name} failed: {why}" for name, why in failed.items()))
        reports, failed = run(trials, manner, board)
    found = {
        name: {
            seed: reports[trial.name] for seed, trial in zip(table.seeds, seeds, strict=True) if trial.name in reports
        }
        for name, seeds in table.variants.items()
    }
    found = {name: those for name, those in found.items() if those}
    _publish(table, found, common, failed, manner, arguments.out)
    if failed:
        raise UserError(f"{len(failed)} of {len(trials)} failed", fix="run the same again to go on")


def _publish(
    table: Table,
    found: Mapping[str, Mapping[int, Report]],
    common: Mapping[str, Report],
    failed: Mapping[str, str],
    manner: Manner,
    out: Path,
) -> None:
    """Print everything, and write it as Markdown and JSON."""
    console = Console(width=160, highlight=False, emoji=False)
    first = next(iter(table.variants))
    subjects = {subject: figures_of(subject, found) for subject in manner.subjects}
    shown = [sheet for subject, figures in subjects.items() for sheet in sheets(subject, figures, first)]
    if common:
        alone = figures_of(manner.subjects[0], {name: {0: report} for name, report in common.items()})
        (beside,) = sheets(f"{manner.subjects[0]}, what variants have in common", alone, "")
        shown.append(beside)
    remarks = [f"{name} failed: {why}" for name, why in failed.items()]
    results.show(shown, console)
    for remark in remarks:
        console.print(remark, markup=False, soft_wrap=True)
    write_atomically(out / "ablation.md", results.markdown(shown, remarks))
    write_atomically(out / "ablation.json", as_json(table, subjects, first, failed))
    console.print(f"wrote {out}/", markup=False, soft_wrap=True)


if __name__ == "__main__":
    start(main)
