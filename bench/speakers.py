"""How a recipe's student fares with voices that it never heard: leave one speaker out, each in turn.

    python -m bench.speakers --labels labels --recipe examples/recipes/tiny.toml --out loso
    python -m bench.speakers --labels labels more --recipe tiny.toml --out loso --speakers 'anna,b*' --steps 8000 \\
        --jobs 2 --int8 --group 'Allison*' --goals 'closure.f1 >= 0.85 of teacher' 'closure.f1 >= 99 % of float'
    python -m bench.speakers --labels labels --recipe tiny.toml --out loso --speakers '' --all

Who speaks in the ``train`` split is left out in turn: the recipe's stages are trained on all others, and the last one's
student is judged on that speaker. With ``--folds N`` they are dealt into N folds, of which each is left out at once:
fewer trainings, in which less is to be learnt. The ``held-out`` split is touched by ``--all`` only: it judges, in the
same manner, a student of the whole ``train`` split. A speaker's other voices (``phiz label --voices``) and other names
(``--group``) go with the speaker, and so does the same audio under any name.

Nothing is copied: a fold is the same labels folder with another split. Everything is kept in ``--out`` and found
again. Results are printed and written there: ``speakers.md``; ``speakers.json``, as ``phiz evaluate --json`` writes it,
in which a row's figures are means over speakers; with ``--all`` also ``all.json``.

Goals are gates as ``phiz evaluate`` takes them; without ``for every speaker`` they are for means over speakers. What
has the ensemble is held to them, or everything where nothing has it. The exit code is 1 where one does not hold.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path

from rich.console import Console

from bench import results
from bench.board import Board
from bench.folds import dealt, final_stage, folder_of, outside, people, person, trial_of, whole, without
from bench.jobs import run, start
from bench.results import Sheet
from bench.trials import NO_ENSEMBLE, OTHERS, Trial, add_manner, count, manner_of, with_steps
from compile.errors import GateFailed, UserError
from compile.files import write_atomically
from distill.corpus.sources import HELD_OUT
from distill.evaluate import Report
from distill.evaluate.bootstrap import Figure
from distill.evaluate.gates import parse
from distill.evaluate.render import as_json
from distill.evaluate.report import STUDENT, Group, Row
from distill.labels import cache
from distill.training import recipe

SPEAKER, EVERYTHING = "speaker", "trained on all"


def joined(reports: Sequence[Report]) -> Report:
    """One report of all folds: groups are speakers, and a row's own figures are means over them."""
    first = reports[0]
    rows = []
    for row in first.rows:
        found = (report.row(row.subject) for report in reports)
        groups = {who: group for one in found if one is not None for who, group in one.groups[SPEAKER].items()}
        rows.append(Row(row.subject, row.kind, None, _means(groups.values()), {SPEAKER: groups}))
    sums = (sum(getattr(report, name) for report in reports) for name in ("utterances", "seconds", "exact", "heard"))
    utterances, seconds, exact, heard = sums
    who = rows[0].groups[SPEAKER]
    manner = "leave one speaker out" if len(who) == len(reports) else f"{len(reports)} folds of speakers"
    title = f"{manner}, mean over {len(who)} speakers"
    return Report(title, first.teacher, utterances, seconds, exact, heard, tuple(rows))


def over_speakers(report: Report) -> Report:
    """The same with means over speakers in place of figures over all utterances."""
    rows = tuple(replace(row, figures={**row.figures, **_means(row.groups[SPEAKER].values())}) for row in report.rows)
    who = rows[0].groups[SPEAKER]
    return replace(report, speech=f"trained on all, mean over {len(who)} held-out speakers", rows=rows, examples=())


def _means(groups: Iterable[Group]) -> dict[str, Figure]:
    values: dict[str, list[float]] = {}
    for group in groups:
        for name, figure in group.figures.items():
            found = values.setdefault(name, [])
            if figure.value is not None:
                found.append(figure.value)
    return {name: Figure(sum(found) / len(found) if found else None) for name, found in values.items()}


@dataclass(frozen=True)
class Column:
    """A column of the table: its figure, of the student and its teacher, and which of several is the worst."""

    head: str
    figure: str
    value: Callable[[float | None, float | None], float | None]
    worst: Callable[[Iterable[float]], float] = min


def _ours(student: float | None, _: float | None) -> float | None:
    return student


def _theirs(_: float | None, teacher: float | None) -> float | None:
    return teacher


def _ratio(student: float | None, teacher: float | None) -> float | None:
    return student / teacher if student is not None and teacher else None


COLUMNS = (
    *(
        Column(name, f"closure.{figure}", _ours)
        for name, figure in (("F1", "f1"), ("recall", "recall"), ("prec.", "precision"))
    ),
    *(
        Column(name, f"closure.{figure}", _theirs)
        for name, figure in (("teacher F1", "f1"), ("rec.", "recall"), ("prec.", "precision"))
    ),
    Column("F1 ratio", "closure.f1", _ratio),
    *(
        Column(name, f"correlation.{group}", _ours)
        for name, group in (("corr.", "mouth"), ("jaw", "jaw"), ("lips", "lips"))
    ),
    Column("R²", "r2", _ours),
    Column("depth", "closure.depth", _ours),
    Column("jitter", "jitter", _ours, max),
)


def sheets(report: Report) -> Iterator[Sheet]:
    """A table a subject, of a report by speaker: every speaker, their mean and the worst of each column."""
    teacher = report.row("teacher")
    assert teacher is not None
    for row in report.rows:
        if row.kind != STUDENT:
            continue
        lines, found = [], list[list[float | None]]()
        for who, group in sorted(row.groups[SPEAKER].items()):
            other = teacher.groups[SPEAKER][who].figures
            values = [
                column.value(*(side.get(column.figure, Figure(None)).value for side in (group.figures, other)))
                for column in COLUMNS
            ]
            found.append(values)
            lines.append((who, f"{group.seconds / 60:.1f}", *_shown(values)))
        columns = [[value for value in values if value is not None] for values in zip(*found, strict=True)]
        mean = [sum(values) / len(values) if values else None for values in columns]
        worst = [column.worst(values) if values else None for column, values in zip(COLUMNS, columns, strict=True)]
        lines += [("mean", "", *_shown(mean)), ("worst", "", *_shown(worst))]
        heads = ("", "min", *(column.head for column in COLUMNS))
        yield Sheet(f"{row.subject}: {report.speech}", heads, tuple(lines), last=2)


def _shown(values: Sequence[float | None]) -> Iterator[str]:
    return (results.shown(column.figure, value) for column, value in zip(COLUMNS, values, strict=True))


def judged(report: Report, goals: Sequence[str]) -> Report:
    """The report with what became of the goals."""
    names = [row.subject for row in report.rows]
    students = [row.subject for row in report.rows if row.kind == STUDENT]
    held = [name for name in students if not name.endswith(NO_ENSEMBLE)] or students
    rows = tuple(row for row in report.rows if row.kind != STUDENT or row.subject in held)
    gates = [parse(goal, names, (), (SPEAKER,)) for goal in goals]
    return replace(report, verdicts=tuple(one for gate in gates for one in gate.judge(replace(report, rows=rows))))


def plan_trials(arguments: argparse.Namespace) -> tuple[list[Trial], list[str]]:
    """What there is to do, and what the reader of its results should know.

    Raises:
        UserError: the recipe or the labels cannot be used, or nobody is called so.
    """
    plan = recipe.read(arguments.recipe)
    plan = final_stage(plan) if arguments.final else plan
    plan = replace(plan, stages=with_steps(plan.stages, arguments.steps))
    labels = tuple(cache.load(folder) for folder in arguments.labels or [corpus.folder for corpus in plan.corpora])
    everyone = people(labels, arguments.group)
    out: Path = arguments.out
    chosen = _chosen(everyone, arguments.speakers)
    alone = tuple((who,) for who in chosen)
    folds = dealt(labels, chosen, arguments.folds, arguments.group) if arguments.folds else alone
    trials = [
        trial_of(name, out / "speakers" / folder_of(name), plan, without(labels, fold, arguments.group))
        for name, fold in ((", ".join(fold), fold) for fold in folds)
    ]
    remarks = [f"{name} was made elsewhere, and may have heard whom it is judged by" for name in outside(plan.stages)]
    if arguments.all:
        judges = {person(entry.speaker, arguments.group) for one in labels for entry in one.split(HELD_OUT)}
        if not judges:
            raise UserError("nothing is held out of these labels", where="--all", fix="label with --held-out")
        trials.append(trial_of(EVERYTHING, out / "all", plan, whole(labels, arguments.group)))
        if known := sorted(judges.intersection(everyone)):
            remarks.append(f"of the held-out split, these are known from training: {', '.join(known)}")
    if not trials:
        raise UserError("there is nothing to do", where="--speakers", fix="name somebody, or give --all")
    return trials, remarks


def _chosen(everyone: Sequence[str], names: str | None) -> Sequence[str]:
    if names is None:
        return everyone
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    for name in wanted:
        if not any(name == who or fnmatchcase(who, name) for who in everyone):
            there = ", ".join(everyone)
            raise UserError(f"nobody who trains is called '{name}'", where="--speakers", fix=f"there are: {there}")
    return [who for who in everyone if any(who == name or fnmatchcase(who, name) for name in wanted)]


def main(words: Sequence[str]) -> None:
    """Train, judge, print and write.

    Raises:
        UserError: the recipe, the labels or a goal cannot be used, or a training failed.
        GateFailed: a goal does not hold.
    """
    parser = argparse.ArgumentParser(
        "python -m bench.speakers", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--recipe", type=Path, required=True, metavar="FILE", help="as phiz distill takes it")
    parser.add_argument("--speakers", metavar="A,B", help="to leave out, or patterns; default: everyone")
    parser.add_argument("--group", nargs="+", default=[], metavar="PATTERN", help="names of one person")
    parser.add_argument("--folds", type=count, metavar="N", help="leave several out at once, in so many trainings")
    parser.add_argument("--final", action="store_true", help="only the last stage of the recipe, without a guide")
    parser.add_argument("--all", action="store_true", help="also train on all, and judge on the held-out split")
    parser.add_argument("--goals", nargs="+", default=[], metavar="GATE", help="as phiz evaluate --gate takes them")
    add_manner(parser)
    arguments = parser.parse_args(words)
    trials, remarks = plan_trials(arguments)
    manner = manner_of(arguments)
    for goal in arguments.goals:
        try:
            parse(goal, [*manner.subjects, *OTHERS], (), (SPEAKER,))
        except UserError as error:
            raise UserError(error.what, where="--goals", fix=error.fix) from error
    with Board("students", len(trials)) as board:
        reports, failed = run(trials, manner, board)
    everything = reports.pop(EVERYTHING, None)
    found = {"speakers": joined([*reports.values()])} if reports else {}
    found |= {"all": over_speakers(everything)} if everything is not None else {}
    found = {name: judged(report, arguments.goals) for name, report in found.items()}
    _publish(found, [*remarks, *(f"{name} failed: {why}" for name, why in failed.items())], arguments.out)
    if failed:
        raise UserError(f"{len(failed)} of {len(trials)} failed", fix="run the same again to go on")
    if short := [one for report in found.values() for one in report.failures]:
        raise GateFailed(f"of the goals, {len(short)} do not hold")


def _publish(reports: Mapping[str, Report], remarks: Sequence[str], out: Path) -> None:
    """Print everything, and write it as Markdown and JSON."""
    console = Console(width=160, highlight=False, emoji=False)
    tables = [sheet for report in reports.values() for sheet in sheets(report)]
    remarks = [*(results.said(one) for report in reports.values() for one in report.verdicts), *remarks]
    results.show(tables, console)
    for remark in remarks:
        console.print(remark, markup=False, soft_wrap=True)
    write_atomically(out / "speakers.md", results.markdown(tables, remarks))
    for name, report in reports.items():
        write_atomically(out / f"{name}.json", as_json.render(report))
    console.print(f"wrote {out}/", markup=False, soft_wrap=True)


if __name__ == "__main__":
    start(main)
