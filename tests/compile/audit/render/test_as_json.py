"""The report as JSON, against the schema that is documented."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from compile.audit.auditor import audit
from compile.audit.breakdown import BY
from compile.audit.render.as_json import FORMAT, render
from compile.audit.report import Report
from compile.audit.sizes import METRICS

SCHEMA = json.loads((Path(__file__).parents[4] / "docs" / "audit.schema.json").read_text(encoding="utf-8"))
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


def test_the_whole_output(full: Report) -> None:
    expected = (Path(__file__).parent / "snapshots" / "report.json").read_text(encoding="utf-8")
    assert render(full).decode() == expected


def test_the_schema_holds_for_reports(full: Report, passing: Report, build: Callable[..., Path]) -> None:
    VALIDATOR.check_schema(SCHEMA)
    for report in (full, passing, Report("x", ()), audit(build(file=9_000))):
        VALIDATOR.validate(json.loads(render(report)))


def objects(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The place of every object in a JSON value."""
    if isinstance(value, dict):
        yield path
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, entry in entries:
        yield from objects(entry, (*path, key))


# Objects whose keys are names: of metrics, targets.
FREE = ("targets", "metrics")


def test_the_schema_forbids_what_it_does_not_name_and_wants_what_it_does(full: Report) -> None:
    """In every object of a full report, a stranger is refused, and so is the loss of any key."""
    good = json.loads(render(full))
    seen = 0
    for place in objects(good):
        if place and place[-1] in FREE:
            continue
        for key in (None, *_at(good, place)):
            bad = copy.deepcopy(good)
            if key is None:
                _at(bad, place)["stranger"] = 1
            elif place and place[-1] in ("at_least", "breakdown", "changes"):
                continue  # what is not known is not there
            else:
                del _at(bad, place)[key]
            assert not VALIDATOR.is_valid(bad), (place, key)
            seen += 1
    assert seen > 300


def _at(value: Any, place: tuple[str | int, ...]) -> Any:
    for key in place:
        value = value[key]
    return value


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("format",), FORMAT + 1),
        (("rows", 0, "checks", 0, "status"), "fine"),
        (("rows", 0, "sizes", "file"), -1),
        (("rows", 0, "sizes", "file"), "1 kB"),
        (("rows", 0, "breakdown", "section", 0, "bytes"), 1.5),
        (("rows", 0, "findings", 0, "rule"), "Two Words"),
        (("rows", 0, "pass"), 1),
    ],
)
def test_the_schema_tells_values_apart(full: Report, place: tuple[str | int, ...], value: object) -> None:
    bad = json.loads(render(full))
    _at(bad, place[:-1])[place[-1]] = value
    assert not VALIDATOR.is_valid(bad)


def test_nothing_of_a_report_is_left_out(full: Report) -> None:
    data = json.loads(render(full))
    row = data["rows"][0]
    assert data["format"] == FORMAT
    assert data["pass"] is False
    assert [other["pass"] for other in data["rows"]] == [False, True, False]
    assert set(row["sizes"]) == {*METRICS, "bound", "at_least"}
    assert row["sizes"]["activations"] is None  # for unknown is not a size
    assert row["sizes"]["at_least"] == {"activations": 640, "footprint": 1_480}
    assert [check["status"] for check in row["checks"]] == ["fail", "warn", "unknown", "pass", "pass"]
    assert set(row["breakdown"]) == set(BY)
    assert all(sum(share["bytes"] for share in shares) == 1_000 for shares in row["breakdown"].values())
    assert row["difference"]["metrics"]["file"] == {"old": 1_100, "new": 1_000}
    assert row["measured"]["last"] == 5_600_000
    assert data["rows"][2]["sizes"] is None


def test_no_path_of_this_machine_is_kept(full: Report) -> None:
    folder = "/home/somebody/project/build"
    row = replace(
        full.rows[0],
        folder=folder,
        reasons=(f"{folder}/student.tflite: it is empty", f"{folder}: odd"),
        notes=(f"{folder}/x was not measured",),
        difference=replace(full.rows[0].difference, old="/home/somebody/old"),  # type: ignore[type-var]  # it has one
    )
    budget = replace(full.budgets[0], origin="/home/somebody/phiz.toml", baseline="/home/somebody/old")
    text = render(replace(full, rows=(row,), budgets=(budget,))).decode()
    assert "somebody" not in text
    assert '"student.tflite: it is empty"' in text


def test_layers_that_look_like_paths_keep_their_names(full: Report) -> None:
    row = replace(full.rows[0], folder="/")
    assert "/model/conv" in render(replace(full, rows=(replace(row, notes=("'/model/conv' is odd",)),))).decode()


def test_names_do_nothing(hostile: Report) -> None:
    data = render(hostile)
    VALIDATOR.validate(json.loads(data))
    assert all(line.isprintable() for line in data.decode().split("\n"))
    assert "##" not in data.decode()
