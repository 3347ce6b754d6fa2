"""Markdown, read back by a parser of CommonMark with GitHub's tables (markdown-it, which rich brings along)."""

from __future__ import annotations

import re
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from compile.audit.render.markdown import plain, render
from compile.audit.render.words import brief
from compile.audit.report import Report

HERE = Path(__file__).parent
OURS = {
    "h2",
    "h3",
    "p",
    "table",
    "thead",
    "tbody",
    "tr",
    "th",
    "td",
    "ul",
    "li",
    "strong",
    "br",
    "sub",
    "details",
    "summary",
}


def html(text: str) -> str:
    return MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).render(text)


class Tags(HTMLParser):
    """Tags, and the text between them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        assert all(name == "style" and (value or "").startswith("text-align") for name, value in attrs), attrs

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_whole_output(full: Report) -> None:
    assert render(full).decode() == (HERE / "snapshots" / "report.md").read_text(encoding="utf-8")


def test_it_reads_as_what_it_should(full: Report) -> None:
    page = Tags(html(render(full).decode()))
    assert set(page.tags) <= OURS
    assert page.tags[0] == "h2"
    assert page.tags.count("table") == 7  # sizes, growth, its layers, and section and layer of two artefacts
    assert "student: 2 of 3 artefacts fail the audit" in page.text
    assert "its file 'conv1' of 1,000 bytes exceeds the cap of 990 bytes" in page.text


def test_a_report_that_passes(passing: Report) -> None:
    assert render(passing).startswith("## ✅ tiny.tflite: within its limits\n".encode())


@given(st.text(st.characters(), max_size=60))
def test_plain_text_is_read_as_it_was(text: str) -> None:
    """In a sentence and in the cell of a table; but for the invisible space after what GitHub would link."""
    shown = brief(text)
    page = Tags(html(f"say {plain(shown)}.\n\n| a |\n| :-- |\n| x{plain(shown)}x |\n"))
    assert set(page.tags) <= {"p", "table", "thead", "tbody", "tr", "th", "td"}
    seen = re.sub(r"(?<=[@#])\u200b", "", page.text)
    assert f"say {shown}." in seen
    assert f"x{shown}x" in seen


def test_github_mentions_and_links_nothing() -> None:
    text = plain("@someone owner/name#1 https://example.org www.example.org a@b.org")
    assert not re.search(r"@\w|#\d|s://|www\.", unescape(text))


def test_names_do_nothing(hostile: Report) -> None:
    text = render(hostile).decode()
    page = Tags(html(text))
    assert set(page.tags) <= OURS
    assert page.tags.count("h2") == 1
    assert page.tags.count("details") == 4
    assert "##vso" not in text
    assert len(text) < 60_000


def test_github_takes_the_summary_of_many_artefacts(full: Report) -> None:
    """At most 1 MiB, with the worst names and everything failing; what fails comes first."""
    worst = replace(full.rows[0], reasons=("<" * 5_000,) * 3, path="[" * 300 + ".tflite", alias="|" * 300)
    text = render(replace(full, rows=(worst,) * 2_000))
    assert len(text) < 2**20
    assert "and 1,500 more artefacts" in text.decode()
    mixed = render(replace(full, rows=(full.rows[1],) * 600 + (full.rows[0],))).decode()
    assert mixed.index("❌ fail") < mixed.index("✅ pass")
