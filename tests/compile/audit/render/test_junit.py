"""JUnit, validated against Jenkins' schema and read back."""

from __future__ import annotations

from pathlib import Path

import pytest
from lxml import etree

from compile.audit.render.junit import render
from compile.audit.report import Report

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def schema() -> etree.XMLSchema:
    return etree.XMLSchema(etree.parse(HERE / "schemas" / "junit-10.xsd"))


def parsed(report: Report, schema: etree.XMLSchema) -> etree._Element:
    tree = etree.fromstring(render(report), etree.XMLParser(resolve_entities=False, no_network=True))
    schema.assertValid(tree)
    return tree


def test_the_whole_output(full: Report) -> None:
    assert render(full).decode() == (HERE / "snapshots" / "report.xml").read_text(encoding="utf-8")


def test_the_schema_refuses_what_is_wrong(full: Report, schema: etree.XMLSchema) -> None:
    tree = parsed(full, schema)
    tree[0].set("stranger", "1")
    assert not schema.validate(tree)


def test_a_case_for_each_check_and_artefact(full: Report, schema: etree.XMLSchema) -> None:
    tree = parsed(full, schema)
    names = [[case.get("name") for case in suite.iter("testcase")] for suite in tree]
    limits = ["file", "download", "footprint", "weights", "growth of file"]
    assert names[0] == ["artefact", *(f"mobile: {limit}" for limit in limits)]
    assert names[1] == ["artefact", "mobile: file", "mobile: footprint"]
    assert names[2] == ["artefact"]


def test_unknown_fails_and_a_warning_does_not(full: Report, schema: etree.XMLSchema) -> None:
    tree = parsed(full, schema)
    cases = {case.get("name"): case for case in tree[0].iter("testcase")}
    kinds = {name: [failure.get("type") for failure in case.iter("failure")] for name, case in cases.items()}
    assert kinds == {
        "artefact": ["artefact"],
        "mobile: file": ["over budget"],
        "mobile: download": [],
        "mobile: footprint": ["unknown"],
        "mobile: weights": [],
        "mobile: growth of file": [],
    }
    assert (cases["mobile: download"].findtext("system-out") or "").startswith("warning: its download")
    assert "ask the audio team" in (cases["mobile: file"].findtext("failure") or "")


def test_counts_are_those_of_the_cases(full: Report, schema: etree.XMLSchema) -> None:
    tree = parsed(full, schema)
    for element in (tree, *tree):
        cases = list(element.iter("testcase"))
        assert element.get("tests") == str(len(cases))
        assert element.get("failures") == str(sum(case.find("failure") is not None for case in cases))
    assert tree.get("failures") == "4"


def test_names_do_nothing(hostile: Report, schema: etree.XMLSchema) -> None:
    tree = parsed(hostile, schema)
    assert len(tree) == 1
    assert len(list(tree.iter("failure"))) == 3  # none is smuggled in
    assert {element.tag for element in tree.iter()} == {
        "testsuites", "testsuite", "properties", "property", "testcase", "failure", "system-out"
    }  # fmt: skip
