"""What people see: whole outputs, and that nothing in them is cut, obeyed or in colour where it should not be."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from compile.audit.budget import Check, Status, caps
from compile.audit.claims import Parity
from compile.audit.render.terminal import show
from compile.audit.report import Report, Row
from compile.audit.sizes import Sizes

SNAPSHOTS = Path(__file__).parent / "snapshots"


def shown(report: Report, width: int = 100, by: str = "section", top: int = 10, color: bool = False) -> list[str]:
    file = io.StringIO()
    system = "truecolor" if color else None
    console = Console(file=file, width=width, highlight=False, emoji=False, force_terminal=color, color_system=system)
    show(report, console, by, top)
    return [line.rstrip() for line in file.getvalue().rstrip("\n").split("\n")]


@pytest.mark.parametrize(
    ("name", "width", "by", "top"),
    [("terminal-100", 100, "section", 10), ("terminal-80-layer", 80, "layer", 1)],
)
def test_the_whole_output(full: Report, name: str, width: int, by: str, top: int) -> None:
    expected = (SNAPSHOTS / f"{name}.txt").read_text(encoding="utf-8")
    assert shown(full, width, by, top) == expected.rstrip("\n").split("\n")


def test_a_small_file_that_passes_takes_a_small_report(passing: Report) -> None:
    expected = (SNAPSHOTS / "terminal-passing.txt").read_text(encoding="utf-8")
    assert shown(passing, 80) == expected.rstrip("\n").split("\n")


def test_a_log_has_no_colour_and_a_terminal_has(full: Report) -> None:
    assert "\x1b" not in "".join(shown(full))
    assert "\x1b[31m✗ tflite" in "\n".join(shown(full, color=True))


def test_tables_fit_the_width_with_nothing_cut() -> None:
    """Those of a hundred megabytes, and of forms with long names, on a narrow terminal."""
    size = Sizes(99_999_999, 99_999_999, 99_999_999, 99_999_999, 99_999_999, (), 99_999_999)
    rows = tuple(Row(name, "s", size, 1.003, Parity("run", 137.8, 0.25)) for name in ("onnx:unity", "coreml:ios18"))
    for width in (80, 100):
        lines = shown(Report("student", rows), width)
        assert max(map(len, lines)) <= width
        assert "…" not in "".join(lines)
        assert sum("/ 99,999,999" in line for line in lines) == 2  # no number is broken
    assert "steps" not in "".join(shown(Report("student", rows), 80))  # what is least needed made room
    assert "steps" in "".join(shown(Report("student", rows), 120))


def test_on_a_terminal_sentences_are_wrapped_and_in_a_log_they_are_one_line(full: Report) -> None:
    long = replace(full.rows[2], reasons=("a word, " * 40 + "and the end",))
    report = replace(full, rows=(long,))
    assert any(line.endswith("and the end") and line.startswith("✗ coreml:ios18: a word") for line in shown(report))
    file = io.StringIO()
    show(report, Console(file=file, width=80, force_terminal=True, color_system=None, highlight=False))
    assert max(map(len, file.getvalue().splitlines())) <= 80
    assert "✗ coreml:ios18: a word" in file.getvalue()


def test_what_looks_alike_is_in_bytes() -> None:
    close = Check("", "file", Status.FAIL, 3_400_100, 3_400_000, "its file is too large", "--cap")
    report = Report("x", (Row("tflite", "x", None, checks=(close,)),), (caps({"file": 3_400_000}, "--cap"),))
    assert "file: 3,400,100 bytes of 3,400,000 bytes, > 100.0 % (tflite)" in shown(report)


def test_a_limit_of_nothing_has_no_share() -> None:
    wrong = Check("mobile", "dtype", Status.FAIL, 1_204, 0, "its weights are not int8", "phiz.toml")
    assert "mobile dtype: 1,204 bytes, none may be (tflite)" in shown(
        Report("x", (Row("tflite", "x", None, checks=(wrong,)),))
    )


def test_sizes_that_are_not_known_say_at_least(full: Report) -> None:
    assert any("≥ 640 B" in line for line in shown(full))


def test_rows_beyond_the_top_are_added_up(full: Report) -> None:
    """600 of weights and 40 of scales in one layer, then 200, 100 and 60."""
    lines = shown(replace(full, rows=full.rows[:1]), by="layer", top=1)
    at = lines.index("tflite: bytes by layer")
    assert [line.split() for line in lines[at + 1 : at + 3]] == [
        ["conv1", "640", "64.0", "%"],
        ["[3", "others]", "360", "36.0", "%"],
    ]


def test_without_a_table_of_bytes(full: Report) -> None:
    assert not any(line.startswith("bytes by") for line in shown(full, by=""))


def test_the_last_line_says_where_the_limit_is_set(full: Report) -> None:
    assert shown(full)[-1] == "limits set by phiz.toml, [budget.mobile]"
    assert shown(Report("x", ()))[-1] == "no limit is set; give one with --cap, for example --cap 3.4MB"


def test_whom_to_ask_is_said_once(full: Report) -> None:
    assert sum("ask the audio team" in line for line in shown(full)) == 1


def test_names_do_nothing(hostile: Report) -> None:
    """Neither to the terminal nor to logs of CI services, which obey lines that begin with ``::`` or hold ``##[``."""
    for by in ("section", "layer", "operator", "dtype"):
        lines = shown(hostile, 80, by)
        text = "\n".join(lines)
        assert all(line.isprintable() for line in lines)
        assert not any(line.lstrip().startswith("::") for line in lines)
        assert "##" not in text
        assert len(lines) < 100
        assert len(text) < 20_000  # however long the names are


def test_what_to_do_is_said_once(full: Report) -> None:
    lines = shown(replace(full, rows=(full.rows[0], replace(full.rows[0], target="onnx"))))
    assert sum("to be won: store it once" in line for line in lines) == 1
    assert "- onnx: 'conv1' is stored twice — 200 bytes to be won: as above" in lines


def test_markup_in_names_is_text(full: Report) -> None:
    row = replace(full.rows[2], target="[red]n", reasons=("[bold]x[/bold] [/nonsense]",))
    assert "✗ [red]n: [bold]x[/bold] [/nonsense]" in shown(replace(full, rows=(row,)))


def test_what_could_not_be_read_hides_no_other_limit(full: Report) -> None:
    """Its limits are unknown, which fails; but the one that is nearest is one that has a size."""
    odd = replace(full.rows[2], checks=(Check("mobile", "file", Status.UNKNOWN, None, 990, "not read", "phiz.toml"),))
    fine = replace(full.rows[1], checks=(Check("mobile", "file", Status.PASS, 500, 990, "", "phiz.toml"),))
    lines = shown(replace(full, rows=(odd, fine)))
    assert "mobile file: 500 B of 990 B, 50.5 % (onnx)" in lines
    assert not any("not read" in line for line in lines)


def test_many_artefacts_take_a_line_or_two_each(full: Report) -> None:
    lines = shown(replace(full, rows=full.rows[1:2] * 100))
    assert len(lines) < 3 * 100 + 8 * 12
    assert "and 88 more: name one to see its bytes" in lines
