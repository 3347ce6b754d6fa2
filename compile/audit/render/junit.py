"""A report as JUnit XML, which Jenkins, GitLab, Azure Pipelines and most others show as tests.

A suite an artefact; a case for its being what it should be, and one for each limit. What is unknown fails, as it does
everywhere. The form is that of Jenkins' ``junit-10.xsd``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape

from compile.audit.budget import Check, Status
from compile.audit.render.remarks import of_row
from compile.audit.render.words import brief
from compile.audit.report import Report, Row
from compile.audit.sizes import METRICS

_STATUS = {Status.FAIL: "over budget", Status.UNKNOWN: "unknown"}


@dataclass(frozen=True)
class _Case:
    """A test: why it fails, if it does, and what else it says."""

    name: str
    failures: tuple[tuple[str, str], ...] = ()  # (type, text)
    said: str = ""


def render(report: Report) -> bytes:
    """UTF-8 XML; the suites are the rows, in their order."""
    suites = [(row, list(_cases(row))) for row in report.rows]
    tests = sum(len(cases) for _, cases in suites)
    failed = sum(bool(case.failures) for _, cases in suites for case in cases)
    lines = ['<?xml version="1.0" encoding="UTF-8"?>']
    name = f"phiz audit: {brief(report.name)}"
    lines.append(f"<testsuites{_attributes(name=name, tests=tests, failures=failed, errors=0)}>")
    for row, cases in suites:
        lines += _suite(row, cases)
    return "\n".join([*lines, "</testsuites>", ""]).encode()


def _cases(row: Row) -> Iterator[_Case]:
    found = list(of_row(row))
    reasons = tuple(("artefact", remark.text) for remark in found if remark.rule == "artefact")
    findings = [remark.sentence for remark in found if not remark.gate]
    yield _Case("artefact", reasons, "\n".join([*findings, *(brief(note, 4_000) for note in row.notes)]))
    for check in row.checks:
        yield _of_check(check)


def _of_check(check: Check) -> _Case:
    budget = f"{check.budget}: " if check.budget else ""
    asked = check.message if check.status != Status.PASS else ""
    parts = (check.detail, asked, check.origin and f"set by {check.origin}")
    text = "\n".join(brief(part, 4_000) for part in parts if part)
    name = brief(f"{budget}{check.subject}")
    if check.failed:
        return _Case(name, ((_STATUS[check.status], text),))
    measured = f"{check.measured:,} of {check.limit:,} bytes" if None not in (check.measured, check.limit) else ""
    return _Case(name, said=f"{'warning: ' if check.status == Status.WARN else ''}{text}\n{measured}".strip())


def _suite(row: Row, cases: list[_Case]) -> Iterator[str]:
    failed = sum(bool(case.failures) for case in cases)
    name = brief(f"{row.target}: {row.path}")
    yield f"  <testsuite{_attributes(name=name, tests=len(cases), failures=failed, errors=0)}>"
    sizes = {} if row.sizes is None else {metric: row.sizes.metric(metric) for metric in METRICS}
    if sizes:
        yield "    <properties>"
        for metric, size in sizes.items():
            yield f"      <property{_attributes(name=metric, value='unknown' if size is None else size)}/>"
        yield "    </properties>"
    for case in cases:
        yield f"    <testcase{_attributes(classname=f'phiz.{brief(row.label)}', name=case.name)}>"
        for kind, text in case.failures:
            first = text.partition("\n")[0]
            yield f"      <failure{_attributes(type=kind, message=first)}>{escape(text)}</failure>"
        if case.said:
            yield f"      <system-out>{escape(case.said)}</system-out>"
        yield "    </testcase>"
    yield "  </testsuite>"


def _attributes(**values: str | int) -> str:
    return "".join(f' {name}="{escape(str(value))}"' for name, value in values.items())
