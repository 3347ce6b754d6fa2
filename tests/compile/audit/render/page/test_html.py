"""The page as a parser sees it: well formed, closed to the world, and with the report's own figures."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from importlib.resources import files
from itertools import pairwise
from pathlib import Path

import pytest

from compile.audit.auditor import audit
from compile.audit.breakdown import BY, breakdown
from compile.audit.render.page.html import render
from compile.audit.report import Report, Row
from compile.units import short_size
from targets.base import Dissection, Kind, Lifetime, Section

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Made = Callable[[Sequence[str]], Dissection]
VOID = {"meta", "input", "br"}
RAW = {"script", "style"}


@dataclass
class Element:
    name: str
    attributes: dict[str, str]
    children: list[Element | str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(child if isinstance(child, str) else child.text for child in self.children)

    def all(self, name: str = "", class_: str = "") -> Iterator[Element]:
        for child in self.children:
            if isinstance(child, Element):
                own = class_ in child.attributes.get("class", "").split() if class_ else True
                if own and name in ("", child.name):
                    yield child
                yield from child.all(name, class_)


class Strict(HTMLParser):
    """Builds a tree, and complains of what a browser would silently mend."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.root = Element("", {})
        self.open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"<{tag}> says an attribute twice: {names}"
        element = Element(tag, {name: value or "" for name, value in attrs})
        self.open[-1].children.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_endtag(self, tag: str) -> None:
        assert self.open[-1].name == tag, f"</{tag}> closes <{self.open[-1].name}>"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        self.open[-1].children.append(data)

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data[:40]}")


def parse(page: bytes) -> Element:
    parser = Strict()
    parser.feed(page.decode("utf-8"))
    parser.close()
    assert parser.open == [parser.root], f"left open: {[element.name for element in parser.open[1:]]}"
    return parser.root


def check(page: bytes) -> Element:
    """Well formed, and asks nobody for anything."""
    assert page.startswith(b"<!doctype html>\n")
    root = parse(page)
    elements = list(root.all())
    ids = [element.attributes["id"] for element in elements if "id" in element.attributes]
    assert len(ids) == len(set(ids))
    for element in elements:
        where = element.attributes
        assert not {"src", "srcset", "action", "ping", "background", "poster", "srcdoc"} & set(where)
        assert not [name for name in where if name.startswith("on")], "a handler"
        assert element.name not in {"link", "img", "iframe", "object", "embed", "base", "form", "image", "use"}
        assert where.get("href", "#").startswith("#")
        for name in ("href", "for", "aria-labelledby"):
            if name in where:
                assert where[name].lstrip("#") in ids
        if "style" in where:
            assert re.fullmatch(r"(?:(?:inset|left|right|bottom|width|--n):[\d. %]+;?)+", where["style"])
    (style,), (script,) = root.all("style"), root.all("script")
    own = files("compile.audit.render.page")
    assert style.text == own.joinpath("page.css").read_text("utf-8")
    assert script.text == own.joinpath("page.js").read_text("utf-8")
    assert not re.search(r"url\(|@import|@font-face|https?:", style.text + script.text)
    policy = next(meta for meta in root.all("meta") if meta.attributes.get("http-equiv") == "Content-Security-Policy")
    digest = base64.b64encode(hashlib.sha256(script.text.encode()).digest()).decode()
    directives = dict(part.split(" ", 1) for part in policy.attributes["content"].split("; "))
    assert directives["default-src"] == "'none'"
    assert directives["script-src"] == f"'sha256-{digest}'"
    return root


def test_it_is_well_formed_and_asks_nobody(report: Report) -> None:
    root = check(render(report))
    (title,), (heading,) = next(root.all("head")).all("title"), root.all("h1")
    assert title.text == "student: fail, phiz audit"
    assert heading.text == "student"
    levels = [int(element.name[1]) for element in root.all() if re.fullmatch("h[1-6]", element.name)]
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert next(root.all("html")).attributes["lang"] == "en"


def test_the_same_report_is_the_same_page_whatever_the_hash_seed(report: Report) -> None:
    assert render(report) == render(report)
    here = Path(__file__).parent
    code = (
        "import sys, hashlib, importlib.util as u\n"
        f"spec = u.spec_from_file_location('c', {str(here / 'conftest.py')!r})\n"
        "m = u.module_from_spec(spec)\nsys.modules['c'] = m\nspec.loader.exec_module(m)\n"
        "from compile.audit.render.page.html import render\n"
        "print(hashlib.sha256(render(m.everything())).hexdigest())"
    )
    expected = hashlib.sha256(render(report)).hexdigest()
    environment = {**os.environ, "PYTHONHASHSEED": "7"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.strip() == expected


def test_names_stay_names(hostile: Report) -> None:
    page = render(hostile)
    root = check(page)
    assert len(list(root.all("script"))) == 1
    text = page.decode("utf-8")
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text)
    shown = " ".join(element.attributes.get("title", "") for element in root.all(class_="cell"))
    assert "</script><script>alert(1)</script>" in shown  # as text
    assert max(len(element.attributes.get("title", "")) for element in root.all()) < 600  # 5,000 letters are cut


def cells(row: Element) -> list[str]:
    return [cell.text for cell in row.all("td")]


def test_the_table_has_the_reports_sizes(report: Report) -> None:
    root = check(render(report))
    (table,) = root.all("table", "sizes")
    _, *rows = table.all("tr")
    for shown, row in zip(rows, report.rows, strict=True):
        if row.sizes is None:
            assert cells(shown) == ["–"] * 5  # noqa: RUF001
            continue
        least = "≥ " if row.sizes.unknown else ""
        for cell, name, prefix in zip(
            cells(shown),
            ("file", "download", "weights", "activations", "footprint"),
            ("", "", "", least, least),
            strict=True,
        ):
            size = getattr(row.sizes, name)
            old, new = row.difference.metrics.get(name, (None, None)) if row.difference else (None, None)
            change = "" if old is None or new is None else f"{new - old:+,}".replace("-", "\N{MINUS SIGN}")
            assert cell == f"{prefix}{short_size(size)}{size:,}{change}"


def test_bars_say_what_the_checks_say(report: Report) -> None:
    root = check(render(report))
    tracks = list(root.all("div", "track"))
    assert [track.attributes["aria-label"].rpartition(", ")[2] for track in tracks] == [
        "holds",
        "nearly reached",
        "exceeded",
        "holds",
        "unknown",
    ]
    labels = [track.attributes["aria-label"] for track in tracks]
    assert labels[2] == "download: 3,400,001 bytes of 3,400,000 bytes · > 100.0 %, exceeded"
    assert labels[3] == "growth of file: -1.20 kB of 5.00 kB, holds"
    assert labels[4] == "footprint: not known; the limit is 1.00 MB, unknown"
    assert "void" in tracks[4].attributes["class"]
    assert not list(tracks[4].all("i"))  # nothing is drawn that is not known
    for track, check_ in zip(tracks, (c for row in report.rows for c in row.checks), strict=True):
        if check_.measured is None or check_.limit is None:
            continue
        drawn = {i.attributes["class"].split()[0]: i.attributes["style"] for i in track.all("i")}
        limit = float(drawn["limit"].removeprefix("left:").removesuffix("%"))
        fill = float(drawn["fill"].removeprefix("width:").removesuffix("%"))
        # two digits behind the point: 0.01 % of the bar, twice
        assert fill == pytest.approx(limit * min(max(check_.measured / check_.limit, 0), 1), abs=0.02)
        assert ("over" in drawn) == (check_.measured > check_.limit)
        mark = float(drawn["mark"].removeprefix("left:").removesuffix("%"))
        assert mark == pytest.approx(0.95 * limit, abs=0.02)
    text = next(root.all("div", "budgets")).text
    assert text.count("ask the runtime team") == 3  # those that warn, fail, or are not known
    assert text.count("set by phiz.toml, [budget.mobile]") == 5
    assert "'m.mlpackage' is missing" in text


def number(text: str) -> int:
    return int(text.replace(",", ""))


@pytest.mark.parametrize("place", [0, 1])
def test_tables_of_bytes_sum_to_the_file(report: Report, place: int) -> None:
    root = check(render(report))
    row = report.rows[place]
    assert row.dissection is not None
    section = list(root.all("section", "artefact"))[place]
    views = [view for view in section.all("div", "view") if any(view.all("div", "map"))]
    assert len(views) == len(BY)
    for view, by in zip(views, BY, strict=True):
        (table,) = view.all("table")
        body = next(table.all("tbody"))
        found = {next(line.all("th")).text: number(cells(line)[0]) for line in body.all("tr")}
        assert found == {share.label: share.size for share in breakdown(row.dissection, by)}
        whole = number(cells(next(table.all("tfoot")))[0])
        assert whole == sum(found.values()) == sum(row.dissection.sizes.values())
        drawn = [re.search(r"([\d,]+) bytes?", cell.attributes["title"]) for cell in view.all("div", "cell")]
        assert sum(number(match[1]) for match in drawn if match) == whole


def test_the_time_line_has_every_step_and_the_arena(report: Report) -> None:
    root = check(render(report))
    row = report.rows[0]
    assert row.dissection is not None
    assert row.arena is not None
    (time, _) = root.all("div", "time")
    lifetimes = row.dissection.lifetimes
    steps = next(root.all("table", "steps"))
    lines = list(next(steps.all("tbody")).all("tr"))
    assert [next(line.all("th")).text for line in lines] == list(row.dissection.steps)
    live = [sum(t.size for t in lifetimes if t.first <= step <= t.last) for step in range(len(lines))]
    assert [number(cells(line)[1]) for line in lines] == live
    places = [cell.attributes["title"] for cell in next(time.all("div", "places")).all("div", "cell")]
    for tensor, offset in zip(lifetimes, row.arena.offsets, strict=True):
        assert any(title.startswith(f"{tensor.tensor}\n{tensor.size:,} bytes at {offset:,}\n") for title in places)
    said = [line.text for line in time.all("div", "line")]
    assert any(f"{short_size(row.arena.size)}" in text or f"{row.arena.size:,}" in text for text in said)


def test_the_difference_is_shown(report: Report) -> None:
    root = check(render(report))
    (layers,) = [view for view in root.all("ul", "diverging") if len(list(view.all("li"))) == 25]
    lines = list(layers.all("li"))
    difference = report.rows[0].difference
    assert difference is not None
    changes = difference.changes["layer"]
    assert lines[-1].text.startswith("[16 others]")
    shown = [next(line.all("span", "change")).text.replace("\N{MINUS SIGN}", "-") for line in lines]
    assert sum(map(number, shown)) == sum(change.growth for change in changes)
    assert "the baseline is stale" in next(root.all("p", "stale")).text


def test_what_is_compared_and_not_judged_has_no_verdict(report: Report) -> None:
    rows = (replace(report.rows[0], checks=()),)
    root = check(render(Report("student", rows)))
    assert next(next(root.all("head")).all("title")).text == "student: sizes, phiz audit"
    assert not list(root.all("strong", "pill"))
    assert "1 artefact, compared with git:main (1a2b3c4)" in next(root.all("header")).text
    assert "No limit is set" not in root.text
    assert "Fail" in check(render(Report("student", (*rows, report.rows[2])))).text


def test_a_page_of_a_real_build(build: Callable[..., Path]) -> None:
    report = audit(build(file=9_000))
    root = check(render(report))
    assert len(list(root.all("section", "artefact"))) == len(report.rows) == 2
    assert root.text.count("exceeds the cap of") == 1  # the float model


def test_nothing_to_show_is_a_page_too() -> None:
    root = check(render(Report("empty", ())))
    assert "No limit is set" in root.text
    check(render(Report("missing", (Row("onnx", "m.onnx", None),))))


def test_pages_stay_small(made: Made, row: Callable[..., Row]) -> None:
    """300 kB for a build of three artefacts of 24 layers; two thousand layers do not take more room than 200."""
    build = made([f"encoder.layers.{index}.attention.weight" for index in range(24)])
    assert len(render(Report("student", tuple(row(build, name) for name in ("onnx", "tflite", "coreml"))))) < 300_000
    sizes = [
        len(render(Report("big", (row(made([f"l.{index}" for index in range(count)])),)))) for count in (200, 2_000)
    ]
    assert sizes[1] < 1.25 * sizes[0] < 400_000


def test_what_it_reads_is_in_the_wheel() -> None:
    root = Path(__file__).parents[5]
    with (root / "pyproject.toml").open("rb") as file:
        packaged = tomllib.load(file)["tool"]["setuptools"]["package-data"]
    folder = root / "compile/audit/render/page"
    read = {path.name for path in folder.iterdir() if path.is_file() and path.suffix != ".py"}
    assert set(packaged["compile.audit.render.page"]) == read


def test_sizes_beyond_belief_are_drawn_too(row: Callable[..., Row]) -> None:
    huge = 2**200
    sections = (Section("m", 0, huge, Kind.WEIGHTS, "a", "int8"), Section("m", huge, huge + 1, Kind.GRAPH))
    lifetimes = (Lifetime("x", huge, 0, 1), Lifetime("y", 0, 0, 0), Lifetime("z", 1, 1, 2))
    check(render(Report("huge", (row(Dissection({"m": huge + 1}, sections, lifetimes, {})),))))
    check(render(Report("nothing", (row(Dissection({"m": 0}, (), (Lifetime("x", 0, 0, 0),), {})),))))
