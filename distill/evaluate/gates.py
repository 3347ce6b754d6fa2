"""Gates: what figures must be for an evaluation to pass, in the words of a person.

    closure.f1 >= 0.85 of teacher
    closure.f1 >= 99 % of students/tiny
    correlation.mouth >= 0.8 at 20 dB
    closure.f1 >= 0.8 of teacher for every speaker
    lag <= 20 ms

A gate holds every student to it, in quiet unless it names a noise. ``lag`` and ``closure.bias`` are judged by their
size, whatever their sign. What cannot be measured fails the gate that asked for it.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from compile.errors import UserError
from distill.evaluate.bootstrap import Figure
from distill.evaluate.figures import FIGURES, shown
from distill.evaluate.report import NOT_MEASURED, STUDENT, Report, Verdict

_GATE = re.compile(
    r"(?P<figure>[a-z0-9_.]+)\s*(?P<sign>>=|<=|>|<)\s*(?P<number>[0-9]+(?:\.[0-9]+)?)\s*(?P<unit>%|ms)?"
    r"(?:\s+of\s+(?P<of>.+?))?(?:\s+at\s+(?P<noise>-?[0-9]+(?:\.[0-9]+)?)\s*dB)?"
    r"(?:\s+for\s+every\s+(?P<each>[a-z]+))?",
    re.IGNORECASE,
)
_SIGNS: Mapping[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}


@dataclass(frozen=True)
class Gate:
    """``figure sign bound``; the bound is times the same figure of ``of``, and ``each`` group stands by itself."""

    text: str
    figure: str
    sign: str
    bound: float
    of: str
    noise: float | None
    each: str = ""

    def judge(self, report: Report) -> Iterator[Verdict]:
        """What becomes of it for each student of the report; for every speaker, the first that fails, or all."""
        rows = [
            row for row in report.rows if row.kind == STUDENT and row.noise == self.noise and row.subject != self.of
        ]
        if not rows:
            at = "" if self.noise is None else f" at {self.noise:g} dB"
            yield Verdict(self.text, self.of or "all", None, f"no student was judged{at}")
        for row in rows:
            other = (report.row(self.of, self.noise) or report.row(self.of)) if self.of else None
            if not self.each:
                holds, detail = self._judge(row.figures, other.figures if other else {})
                yield Verdict(self.text, row.subject, holds, detail)
                continue
            others = other.groups.get(self.each, {}) if other else {}
            found = {
                value: self._judge(group.figures, others[value].figures if value in others else {})
                for value, group in row.groups.get(self.each, {}).items()
            }
            short = {value: (holds, detail) for value, (holds, detail) in found.items() if not holds}
            value, (holds, detail) = next(iter(short.items()), ("all", (True, f"it holds for all {len(found)}")))
            more = f"; {len(short) - 1} more fall short" if len(short) > 1 else ""
            yield Verdict(self.text, row.subject, holds, f"{value}: {detail}{more}")

    def _judge(self, ours: Mapping[str, Figure], theirs: Mapping[str, Figure]) -> tuple[bool | None, str]:
        """Whether it holds, and why; ``theirs`` are the figures of ``of``."""
        value, bound, beside = self._value(ours), self.bound, ""
        if self.of:
            reference = self._value(theirs)
            if reference is None:
                return None, f"{self.figure} of {self.of} was not measured"
            bound, beside = self.bound * reference, f" ({self.bound:g} of {self.of}'s {shown(self.figure, reference)})"
        if value is None:
            return None, f"{self.figure} was not measured"
        holds = _SIGNS[self.sign](value, bound)
        return holds, f"{self.figure} is {value:.4g}, due {self.sign} {bound:.4g}{beside}"

    def _value(self, figures: Mapping[str, Figure]) -> float | None:
        value = figures.get(self.figure, NOT_MEASURED).value
        return abs(value) if value is not None and FIGURES[self.figure].aim == "zero" else value


def parse(text: str, subjects: Sequence[str], noises: Sequence[float], by: Sequence[str] = ()) -> Gate:
    """A gate of its text; everything that it names must be there.

    Args:
        text: see the module.
        subjects: names of the students, the teacher and the floors.
        noises: decibels that are evaluated.
        by: what figures are known by besides, such as ``speaker``.

    Raises:
        UserError: it is malformed, or names a figure, a subject, a noise or a kind of group that there is none of.
    """
    match = _GATE.fullmatch(text.strip())
    if match is None:
        raise UserError(f"'{text}' is no gate", where="--gate", fix="write for example: closure.f1 >= 0.85 of teacher")
    figure, unit = match["figure"].lower(), (match["unit"] or "").lower()
    if figure not in FIGURES:
        near = get_close_matches(figure, FIGURES, 1)
        fix = f"did you mean {near[0]}?" if near else "docs/evaluation.md lists them"
        raise UserError(f"there is no figure '{figure}'", where="--gate", fix=fix)
    of = match["of"] or ""
    allowed = ("", "ms") if FIGURES[figure].unit == "ms" and not of else ("", "%")
    if unit not in allowed:
        raise UserError(f"the bound of {figure} is not in {unit}", where="--gate", fix="leave the unit out")
    if of and of not in subjects:
        raise UserError(f"there is no '{of}' to compare with", where="--gate", fix=f"there are: {', '.join(subjects)}")
    noise = None if match["noise"] is None else float(match["noise"])
    if noise is not None and noise not in noises:
        raise UserError(f"nothing is judged at {noise:g} dB", where="--gate", fix=f"add --noise {noise:g}dB")
    each = (match["each"] or "").lower()
    if each and (each not in by or noise is not None):
        why = "in noise, nothing is known by itself" if noise is not None else f"nothing is known by {each}"
        raise UserError(why, where="--gate", fix="leave the noise out" if noise is not None else f"add --by {each}")
    bound = float(match["number"]) / (100 if unit == "%" else 1)
    return Gate(" ".join(text.split()), figure, match["sign"], bound, of, noise, each)
