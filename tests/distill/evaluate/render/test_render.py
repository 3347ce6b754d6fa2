"""What people and programs read of a report."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from rich.console import Console

from distill.evaluate import Report
from distill.evaluate.figures import FIGURES
from distill.evaluate.render import as_json, terminal
from distill.evaluate.render.page import html
from distill.evaluate.render.tables import tables

DOCS = Path(__file__).parents[4] / "docs"
VOID = {"meta", "input", "br", "path", "rect", "line"}


class Page(HTMLParser):
    """Checks that tags nest, and gathers what a page is made of."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in VOID:
            return
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def page(report: Report) -> str:
    return html.render(report).decode()


def test_json_is_by_its_schema(report: Report) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads((DOCS / "evaluation.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    found = json.loads(as_json.render(report))
    jsonschema.validate(found, schema, jsonschema.Draft202012Validator)
    assert found["pass"] is False
    students = [row for row in found["rows"] if row["kind"] == "student"]
    assert [row["noise_db"] for row in students] == [None, 20.0, 5.0] * 2
    value = report.rows[0].figures["r2"].value
    assert students[0]["figures"]["r2"]["value"] == pytest.approx(value, abs=1e-6)  # rounded to six digits
    assert len(students[0]["groups"]["speaker"]) == 2


def test_equal_reports_are_equal_bytes(report: Report) -> None:
    assert as_json.render(report) == as_json.render(replace(report))
    assert html.render(report) == html.render(replace(report))


def test_the_page_is_whole_and_asks_for_nothing(page: str) -> None:
    found = Page(page)
    assert {"svg", "table", "fieldset"} <= set(found.tags)
    assert not {"script", "link", "img", "iframe", "a"} & set(found.tags)
    assert not [name for name, _ in found.attributes if name in ("src", "href", "srcset") or name.startswith("on")]
    assert "url(" not in page
    assert "@import" not in page
    assert any(name == "content" and str(value).startswith("default-src 'none'") for name, value in found.attributes)
    ids = [value for name, value in found.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    named = {value for name, value in found.attributes if name == "aria-labelledby"}
    assert named <= set(ids)


def test_no_name_becomes_markup_or_steers(page: str, report: Report) -> None:
    text = io.StringIO()
    terminal.show(report, Console(file=text, width=160, force_terminal=False))
    assert "<script>" not in page
    for shown in (page, text.getvalue()):
        assert "\x1b[31m" not in shown
        assert "\u202e" not in shown


def test_the_page_draws_every_example_and_every_speaker(page: str, report: Report) -> None:
    assert page.count('class="scroll example"') == len(report.examples) == 2
    assert "Worst utterance" in page
    assert "Median utterance" in page
    curve = re.search(r'd="M([^"]+)" class="st dashed"', page)
    assert curve is not None
    assert len(curve[1].split("L")) == 100  # a point a frame
    assert page.count('class="bar"') == 3 * 2 * 2 + 3 * 2  # figures, subjects, speakers; and one language
    assert all(text in page for text in ("In noise, drawn", "r2 &gt;= 1 does not hold"))


def test_tables_tell_what_was_measured(report: Report) -> None:
    found = {table.title: table for table in tables(report)}
    assert set(found) == {
        *("Closed lips on /p b m/", "Rounded lips on /u o w/", "Against the teacher", "Motion in silence"),
        *("By controls", "In noise", "By speaker", "By language"),
    }
    assert len(found["By speaker"].rows) == 2 * 3  # two speakers; two students and their teacher
    for table in found.values():
        assert {len(labels) + len(figures) for labels, figures in table.rows} == {len(table.columns)}


def test_the_terminal_says_what_it_was_judged_by(report: Report) -> None:
    text = io.StringIO()
    terminal.show(report, Console(file=text, width=160))
    shown = text.getvalue()
    assert "4 utterances, 0.1 minutes" in shown
    assert "Against exact phone times." in shown
    assert "does not hold: r2 >= 1" in shown
    assert "not measured: lag <= 20 ms" in shown  # these students never move


def test_what_truth_is_called(report: Report) -> None:
    assert replace(report, exact=4, heard=0).truth == "exact phone times"
    assert "recogniser hears" in replace(report, exact=0, heard=4).truth
    assert replace(report, exact=1, heard=3).truth.startswith(
        "exact phone times of 1 utterances; of 3 what the recogniser"
    )
    assert replace(report, exact=0, heard=0).truth.startswith("not known")


def test_every_figure_is_defined_in_the_docs() -> None:
    text = (DOCS / "evaluation.md").read_text(encoding="utf-8")
    families = {name.partition(".")[0] for name in FIGURES}
    for name in FIGURES:
        family = name.partition(".")[0]
        wanted = f"{family}.GROUP" if family in ("error", "correlation", "velocity") else name
        assert f"`{wanted}`" in text, name
    assert families == {"r2", "error", "correlation", "velocity", "closure", "rounding", "jitter", "lag", "silence"}
