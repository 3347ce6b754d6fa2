"""SARIF, validated against the schema of OASIS."""

from __future__ import annotations

import inspect
import json
import re
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import jsonschema
import pytest

from compile.audit.findings.search import RULES
from compile.audit.render.sarif import ABOUT, render
from compile.audit.report import Report
from compile.audit.sizes import METRICS

HERE = Path(__file__).parent
ROOT = HERE.parents[3]


@pytest.fixture(scope="module")
def validator() -> jsonschema.protocols.Validator:
    schema = json.loads((HERE / "schemas" / "sarif-2.1.0.json").read_text(encoding="utf-8"))
    return jsonschema.validators.validator_for(schema)(schema)


def run_of(report: Report, validator: jsonschema.protocols.Validator) -> dict[str, Any]:
    log = json.loads(render(report))
    validator.validate(log)
    (run,) = log["runs"]
    return dict(run)


def test_the_whole_output(full: Report) -> None:
    expected = (HERE / "snapshots" / "report.sarif").read_text(encoding="utf-8")
    assert render(full).decode() == expected.replace("VERSION", version("phiz"))


def test_the_schema_refuses_what_is_wrong(full: Report, validator: jsonschema.protocols.Validator) -> None:
    log = json.loads(render(full))
    log["runs"][0]["results"][0]["level"] = "fatal"
    assert not validator.is_valid(log)


def test_levels_and_rules(full: Report, validator: jsonschema.protocols.Validator) -> None:
    run = run_of(full, validator)
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    found = [(result["ruleId"], result["level"]) for result in run["results"]]
    assert found == [
        ("artefact", "error"),
        ("budget-file", "error"),
        ("budget-footprint", "error"),
        ("artefact", "error"),
        ("budget-download", "warning"),
        ("duplicate-tensors", "warning"),
        ("padding", "note"),
    ]
    assert all(rules[result["ruleIndex"]] == result["ruleId"] for result in run["results"])
    assert all(rule["help"]["text"] and rule["shortDescription"]["text"] for rule in run["tool"]["driver"]["rules"])


def test_what_passes_is_no_result(passing: Report, validator: jsonschema.protocols.Validator) -> None:
    assert run_of(passing, validator)["results"] == []


def test_places_are_relative(full: Report, validator: jsonschema.protocols.Validator) -> None:
    assert uris(run_of(full, validator)) == {"build/student.tflite", "build/student.mlpackage"}
    there = replace(full, rows=tuple(replace(row, folder="/home/somebody/build") for row in full.rows))
    assert uris(run_of(there, validator)) == {"student.tflite", "student.mlpackage"}
    assert b"somebody" not in render(there)


def uris(run: dict[str, Any]) -> set[str]:
    places = (result["locations"][0]["physicalLocation"] for result in run["results"])
    return {place["artifactLocation"]["uri"] for place in places}


def test_a_result_is_the_same_one_when_its_figures_change(
    full: Report, validator: jsonschema.protocols.Validator
) -> None:
    row = full.rows[0]
    later = replace(row, checks=(replace(row.checks[0], measured=2_000, detail="it is 2,000 bytes"), *row.checks[1:]))
    before, after = (
        [result["partialFingerprints"] for result in run_of(replace(full, rows=(each,)), validator)["results"]]
        for each in (row, later)
    )
    assert before == after
    assert len({json.dumps(mark) for mark in before}) == len(before)


def test_every_rule_has_its_words() -> None:
    """Those of metrics, and of findings: the first argument of what makes them, or a constant for it."""
    used: set[str] = set()
    for rule in RULES:
        found = re.findall(r'(?:finding\(|RULE = )\s*"([a-z0-9-]+)"', inspect.getsource(inspect.getmodule(rule)), re.I)
        assert found, rule
        used |= set(found)
    assert used | {f"budget-{metric}" for metric in (*METRICS, "dtype")} | {"artefact"} == set(ABOUT)


def test_names_do_nothing(hostile: Report, validator: jsonschema.protocols.Validator) -> None:
    run = run_of(hostile, validator)
    assert len(run["results"]) == 6
    for result in run["results"]:
        text = result["message"]["text"]
        assert text.isprintable()
        assert "](" not in text  # a link, to who reads messages as the specification says
        assert not text.replace("{{", "").replace("}}", "").count("{")
        place = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
        assert unquote(place).isprintable()
        assert place.isascii()
