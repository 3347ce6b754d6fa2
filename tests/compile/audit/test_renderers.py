"""What people and programs see of one report."""

from __future__ import annotations

import io
import json
from pathlib import Path

from rich.console import Console

from compile.audit.budget import caps
from compile.audit.claims import Parity
from compile.audit.render import as_json, terminal
from compile.audit.report import Report, Row
from compile.audit.sizes import Sizes

FAILED = "its footprint of 3.40 MB (3,400,100 bytes) exceeds the cap of 3.40 MB (3,400,000 bytes) by 100 bytes"
REPORT = Report(
    "tiny",
    (
        Row("onnx", "s.onnx", Sizes(912_345, 800_000, 865_432, 65_536, 65_536), 1.0123, Parity("run", 36.31, 0.0)),
        Row(
            "tflite",
            "s.tflite",
            Sizes(3_412_345, 3_300_000, 3_334_564, 65_536, 60_000, ("the size of activation 'x'",)),
            1.049,
            Parity("run", 35.9, 1.0),
            (FAILED,),
        ),
        Row("coreml", "s.mlpackage", None, None, Parity("not run: needs macOS"), ("'s.mlpackage' is missing",)),
    ),
    (caps({"footprint": 3_400_000, "file": 3_400_000}, "the budget in manifest.json"),),
)


def shown(report: Report, width: int = 100) -> list[str]:
    file = io.StringIO()
    terminal.show(report, Console(file=file, width=width, highlight=False))
    return [line.rstrip() for line in file.getvalue().rstrip("\n").split("\n")]


def test_the_table_says_it_all() -> None:
    expected = (Path(__file__).parent / "report.txt").read_text(encoding="utf-8")
    assert shown(REPORT) == expected.rstrip("\n").split("\n")


def test_it_fits_a_hundred_columns_up_to_a_hundred_megabytes() -> None:
    big = Sizes(99_999_999, 99_999_999, 99_999_999, 99_999_999, 99_999_999)
    lines = shown(Report("big", (Row("tflite", "s.tflite", big, 1.049, Parity("run", 35.9, 1.0)),)), 100)
    assert max(map(len, lines)) <= 100
    assert sum("99,999,999" in line for line in lines) == 2  # no number is broken or cut


def test_on_eighty_columns_nothing_is_cut() -> None:
    lines = shown(REPORT, 80)
    assert max(map(len, lines[:9])) <= 80
    assert not any("…" in line for line in lines)
    assert "3,300,000" not in "".join(lines)  # the download makes room


def test_on_eighty_columns_forms_keep_their_names() -> None:
    """Those of several megabytes too, as float builds of a student have them."""
    size = Sizes(3_432_949, 2_440_828, 3_424_336, 3_567_360, 3_567_360)
    forms = ("onnx:unity", "coreml:ios18")
    rows = tuple(Row(name, "s", size, 1.003, Parity("run", 137.8, 0.25)) for name in forms)
    lines = shown(Report("student", rows), 80)
    assert not any("…" in line or len(line) > 80 for line in lines)
    assert sum("/ 3,567,360" in line for line in lines) == len(forms)  # in one piece


def test_what_was_not_run_by_its_own_runtime_is_said() -> None:
    parity = Parity("run", 47.5, 0.2, runtime="not run: needs macOS", evaluated_with="numpy")
    report = Report("tiny", (Row("coreml:ios18", "s.mlpackage", None, 1.01, parity),))
    assert "  coreml:ios18: evaluated with numpy; Core ML itself not run: needs macOS" in shown(report)
    (row,) = json.loads(as_json.render(report))["rows"]
    assert (row["parity"]["runtime"], row["parity"]["evaluated_with"]) == ("not run: needs macOS", "numpy")


def test_the_last_line_says_how_to_set_a_limit() -> None:
    assert shown(Report("x", ()))[-1] == "no limit is set; give one with --cap, for example --cap 3.4MB"


def test_json_is_complete_and_stable() -> None:
    data = as_json.render(REPORT)
    assert data == as_json.render(REPORT)
    parsed = json.loads(data)
    assert list(parsed) == sorted(parsed)
    assert parsed["pass"] is False
    assert [row["pass"] for row in parsed["rows"]] == [True, False, False]
    assert parsed["rows"][1]["sizes"]["footprint"] is None
    assert parsed["rows"][1]["sizes"]["at_least"]["footprint"] == 3_400_100
    assert parsed["rows"][1]["failures"] == [FAILED]
    assert parsed["rows"][2]["sizes"] is None
    (budget,) = parsed["budgets"]
    assert [limit["most"]["bytes"] for limit in budget["limits"]] == [3_400_000, 3_400_000]
    assert budget["origin"] == "the budget in manifest.json"


def test_markup_in_names_is_text() -> None:
    row = Row("tflite", "s.tflite", None, reasons=("[bold]x[/bold] [/nonsense]",))
    assert "✗ tflite: [bold]x[/bold] [/nonsense]" in shown(Report("[red]n", (row,)))
