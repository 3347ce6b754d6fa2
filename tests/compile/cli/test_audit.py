"""``phiz audit`` as a CI job would call it."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper


def model(columns: int, batch: int | str = 1) -> bytes:
    """One float MatMul: 256 bytes of weights a column; 256 of activations and 4 a column, unless the batch is open."""
    weight = np.random.default_rng(columns).normal(size=(64, columns)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, (batch, 64))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, (batch, columns))],
        [numpy_helper.from_array(weight, "w")],
    )
    data: bytes = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)]).SerializeToString()
    return data


SMALL, LARGE, OPEN = model(16), model(32), model(16, "n")
FOOTPRINT = 4 * 64 * 16 + 4 * (64 + 16)  # of the small one: more than its file


def manifest(data: bytes, budget: dict[str, int] | None = None) -> str:
    """Of a build of one ``student.onnx``."""
    file = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    artefact = {"path": "student.onnx", "files": {"student.onnx": file}}
    return json.dumps({"name": "student", "artifacts": {"onnx": artefact}, "budget": budget or {}})


def rows(ran):
    """Of a report in JSON, by path."""
    return {row["path"]: row for row in json.loads(ran.out)["rows"]}


def checks(row):
    return {check["subject"]: check["status"] for check in row["checks"]}


@pytest.fixture
def built(phiz, tiny_path, tmp_path):
    assert phiz("compile", tiny_path, "-t", "onnx", "-t", "tflite", "-o", tmp_path / "out", "--cap", "3.4MB").code == 0
    return tmp_path / "out"


def test_a_build_is_held_to_its_own_budget_and_its_report_is_the_one_it_was_built_with(phiz, built):
    assert phiz("audit", built).code == 0
    assert phiz("audit", built, "--cap", "1kB").code == 1
    assert phiz("audit", built / "student.tflite", "--cap", "1MB").code == 0
    again = phiz("audit", built, "--cap", "3.4MB", "--json")
    assert again.out == (built / "audit.json").read_text()
    imported = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "compile.cli", "audit", built, "--cap", "1MB"],
        capture_output=True,
        text=True,
        check=True,
    ).stderr
    names = {line.rpartition("|")[2].strip().partition(".")[0] for line in imported.splitlines()}
    assert "rich" in names
    assert not names & {"torch", "coremltools", "onnxsim", "onnxruntime", "ai_edge_litert"}


def test_a_changed_artefact_fails(phiz, built):
    data = bytearray((built / "student.tflite").read_bytes())
    data[len(data) // 2] ^= 1
    (built / "student.tflite").write_bytes(data)
    ran = phiz("audit", built)
    assert ran.code == 1
    assert "student.tflite" in ran.out
    (built / "student.tflite").unlink()
    assert phiz("audit", built).code == 1


@pytest.mark.parametrize("name", ["nothing-here", "."])
def test_not_a_build(phiz, tmp_path, name):
    ran = phiz("audit", tmp_path / name)
    assert ran.code == 2
    assert "Traceback" not in ran.err


def test_a_cap_needs_no_file_at_all(phiz, here):
    here({"m.onnx": SMALL})
    assert phiz("audit", "m.onnx").code == 0
    assert phiz("audit", "m.onnx", "--cap", f"{FOOTPRINT}B").code == 0
    ran = phiz("audit", "m.onnx", "--cap", f"{FOOTPRINT - 1}B")
    assert ran.code == 1
    assert "by 1 byte" in ran.out
    assert "--cap" in ran.out.splitlines()[-1]
    assert phiz("audit", "m.onnx", "--cap", "much").code == 2


@pytest.mark.parametrize("name", ["phiz.toml", "pyproject.toml"])
def test_budgets_say_what_to_audit(phiz, here, name):
    prefix = "tool.phiz." if name == "pyproject.toml" else ""
    config = f"""
    [{prefix}budget.small]
    files = ["models/a*.onnx"]
    file = "{len(SMALL)} B"
    message = "ask the runtime team"
    [{prefix}budget.all]
    files = "models/*.onnx"
    file = "{len(LARGE)} B"
    """
    here({name: config, "models/a.onnx": SMALL, "models/b.onnx": LARGE, "models/readme.md": "x"})
    passed = phiz("audit", "--json")
    assert passed.code == 0
    assert [(path, len(row["checks"])) for path, row in rows(passed).items()] == [("a.onnx", 2), ("b.onnx", 1)]
    here({"models/a.onnx": LARGE})
    failed = phiz("audit", "--json")
    assert failed.code == 1
    found = rows(failed)["a.onnx"]["checks"]
    assert [(check["budget"], check["status"], check["message"]) for check in found] == [
        ("small", "fail", "ask the runtime team"),
        ("all", "pass", ""),
    ]
    assert found[0]["origin"] == f"{name}, [{prefix}budget.small] file"
    assert phiz("audit", "--budget", "all").code == 0
    assert phiz("audit", "models/b.onnx").code == 0
    assert phiz("audit", "models/b.onnx", "--budget", "small").code == 1  # whatever files it names


def test_a_budget_reaches_into_a_build(phiz, here):
    """By the artefact or by its folder; where none does, the build's own budget holds, and that is said."""
    here({"build/m/student.onnx": SMALL, "build/m/manifest.json": manifest(SMALL, {"file": 10**6})})
    for files in ("build/m/student.onnx", "build/m", "build/*", "build/**/*.onnx", "."):
        here({"phiz.toml": f"[budget.b]\nfiles = ['{files}']\nfile = '10 B'"})
        ran = phiz("audit", "build/m", "--json")
        assert (ran.code, rows(ran)["student.onnx"]["checks"][0]["budget"]) == (1, "b"), files
    here({"phiz.toml": "[budget.b]\nfiles = ['other/*']\nfile = '10 B'"})
    ran = phiz("audit", "build/m", "--json")
    found = rows(ran)["student.onnx"]
    assert (ran.code, found["checks"][0]["origin"]) == (0, "the budget in manifest.json")
    assert "no budget of the configuration names it" in found["notes"]


def test_flags_override_the_file(phiz, here):
    here({"m.onnx": SMALL, "phiz.toml": "[budget.b]\nfile = '10 B'\ndownload = '1 MB'"})
    assert phiz("audit", "m.onnx").code == 1
    ran = phiz("audit", "m.onnx", "--cap", "1 MB", "--json")
    assert ran.code == 0
    found = rows(ran)["m.onnx"]["checks"]
    assert [(check["subject"], check["origin"]) for check in found] == [
        ("footprint", "--cap"),
        ("file", "--cap"),
        ("download", "phiz.toml, [budget.b] download"),
    ]


def test_per_target_and_per_section(phiz, here):
    weights = 4 * 64 * 16
    config = f"""
    [budget.b]
    file = "10 B"
    [budget.b.target.onnx]
    file = "1 MB"
    [budget.b.section]
    weights = "{weights} B"
    graph = "1 %"
    unmapped = "0 B"
    """
    here({"m.onnx": SMALL, "phiz.toml": config})
    ran = phiz("audit", "m.onnx", "--json")
    assert ran.code == 1
    assert checks(rows(ran)["m.onnx"]) == {
        "file": "pass",
        "weights section": "pass",
        "graph section": "fail",
        "unmapped section": "pass",
    }


def test_a_warning_is_shown_and_passes(phiz, here):
    here({"m.onnx": SMALL, "phiz.toml": f"[budget.b]\nfile = '{len(SMALL)} B'\nwarn = '95 %'"})
    ran = phiz("audit", "m.onnx")
    assert ran.code == 0
    assert "100 % of the cap" in ran.out


@pytest.mark.parametrize(
    ("limit", "file", "why"),
    [
        ("footprint = '1 MB'", OPEN, "the size of activation 'x'"),
        ("activations = '1 MB'", OPEN, "the size of activation 'x'"),
        ("measured = '100 MB'", SMALL, "nothing was run; give --measure"),
        ("growth = '2 %'", SMALL, "there is no baseline: give --baseline"),
        ("growth = '2 %'\nbaseline = 'old'", SMALL, "old has no such artefact"),
        ("growth = '2 %'\nbaseline = 'git:HEAD'", SMALL, "git"),  # here is no repository
        ("growth = {measured = '2 %'}\nbaseline = 'm.onnx'", SMALL, "nothing was run; give --measure"),
    ],
)
def test_unknown_is_not_a_pass(phiz, here, limit, file, why):
    other = manifest(SMALL).replace("onnx", "tflite")
    here({"m.onnx": file, "phiz.toml": f"[budget.b]\n{limit}", "old/manifest.json": other})
    ran = phiz("audit", "m.onnx", "--json")
    assert ran.code == 1
    (check,) = rows(ran)["m.onnx"]["checks"]
    assert check["status"] == "unknown"
    assert why in check["detail"]


def test_growth_over_baselines(phiz, here):
    here({"m.onnx": LARGE, "old/m.onnx": SMALL, "phiz.toml": "[budget.b]\ngrowth = '1 %'\nbaseline = 'old/m.onnx'"})
    failed = phiz("audit", "m.onnx", "--json")
    assert failed.code == 1
    (check,) = rows(failed)["m.onnx"]["checks"]
    assert (check["status"], check["measured"]) == ("fail", len(LARGE) - len(SMALL))
    assert check["limit"] == len(SMALL) // 100
    assert phiz("audit", "m.onnx", "--baseline", "m.onnx").code == 0
    assert phiz("audit", "old/m.onnx", "--baseline", "m.onnx").code == 0  # it shrank
    assert phiz("audit", "m.onnx", "--baseline", "none.onnx").code == 2


def test_growth_over_a_revision(phiz, here):
    folder = here({"m.onnx": SMALL, "phiz.toml": "[budget.b]\nfiles = '*.onnx'\ngrowth = '2 %'\nbaseline = 'git:HEAD'"})
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "first"]):
        setting = ["-c", "user.name=n", "-c", "user.email=e@example.org", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", *setting, *command], cwd=folder, check=True, capture_output=True)
    assert phiz("audit").code == 0
    here({"m.onnx": LARGE})
    ran = phiz("audit")
    assert ran.code == 1
    assert "git:HEAD" in ran.out
    here({"new.onnx": SMALL, "m.onnx": SMALL})
    ran = phiz("audit", "--json")
    assert (ran.code, rows(ran)["new.onnx"]["checks"][0]["status"]) == (1, "unknown")


def test_each_budget_has_a_baseline_of_its_own(phiz, here):
    config = "[budget.a]\ngrowth = '1 %'\nbaseline = 'small.onnx'\n[budget.b]\ngrowth = '1 %'\nbaseline = 'm.onnx'"
    here({"m.onnx": LARGE, "small.onnx": SMALL, "phiz.toml": config})
    found = rows(phiz("audit", "m.onnx", "--json"))["m.onnx"]
    assert [check["status"] for check in found["checks"]] == ["fail", "pass"]


def test_what_a_budget_names_and_is_not_there_fails(phiz, here):
    config = "[budget.b]\nfiles = ['m.onnx', 'gone.onnx', 'build/gone']\nfile = '1 MB'"
    here({"m.onnx": SMALL, "phiz.toml": config})
    ran = phiz("audit", "--json")
    assert ran.code == 1
    found = rows(ran)
    assert {path: row["pass"] for path, row in found.items()} == {
        "m.onnx": True,
        "gone.onnx": False,
        "build/gone": False,
    }
    assert "'gone.onnx' is missing" in found["gone.onnx"]["failures"]
    assert checks(found["gone.onnx"]) == {"file": "unknown"}


def test_what_a_budget_names_and_cannot_be_read_fails(phiz, here):
    here({"m.onnx": SMALL, "bad.onnx": SMALL[:-9], "phiz.toml": "[budget.b]\nfiles = '*.onnx'\nfile = '1 MB'"})
    ran = phiz("audit", "--json")
    assert ran.code == 1
    assert {path: row["pass"] for path, row in rows(ran).items()} == {"bad.onnx": False, "m.onnx": True}
    assert phiz("audit", "bad.onnx").code == 2  # and is bad input where a user names it


@pytest.mark.parametrize(
    ("config", "arguments", "message"),
    [
        ("", [], "it is not said what to audit; name a PATH"),
        ("[budget.b]\nfile = '1 MB'", [], "it is not said what to audit; name a PATH"),
        ("[budget.b]\nfile = '1 MB'\nfiles = 'x/*.onnx'", [], "[budget.b] files: 'x/*.onnx' matches no build folder"),
        ("[budget.b]\nfile = '1 MB'\nfiles = '*.toml'", [], "'*.toml' matches no build folder and no artefact"),
        ("[budget.b]\nfile = '1 MB'\nfiles = 'phiz.toml'", [], "not an artefact that phiz knows"),
        ("[budget.b]\nfile = '1 MB'", ["m.onnx", "--budget", "c"], "there is no [budget.c] in phiz.toml"),
        ("[budget.b]\nfiles = 'm.onnx'", [], "[budget.b]: it limits nothing"),
        ("[budget.b.target.onx]\nfile = '1 MB'", ["m.onnx"], "unknown target 'onx'; did you mean 'onnx'?"),
        ("[budget.b.section]\nwieghts = '1 MB'", ["m.onnx"], "unknown key 'wieghts'; did you mean 'weights'?"),
        ("[budgte.b]\nfile = '1 MB'", ["m.onnx"], "unknown table [budgte]; did you mean 'budget'?"),
        ("[budget.b", ["m.onnx"], "is not TOML"),
        (
            "[budget.b]\ngrowth = '1 %'\nbaseline = 'none'",
            ["m.onnx"],
            "none: there is no such file or folder to compare with",
        ),
        ("", ["m.onnx", "--config", "none.toml"], "cannot read"),
        ("", ["m.onnx", "--runtime-library", "large"], "neither a file or folder nor a size"),
        ("", ["m.onnx", "none.onnx"], "there is no such file or folder"),
        ("", ["m.onnx", "--format", "xml"], "xml"),
        ("", ["m.onnx", "--top", "0"], "--top"),
    ],
)
def test_bad_input_is_told_and_writes_nothing(phiz, here, config, arguments, message):
    folder = here({"m.onnx": SMALL, "phiz.toml": config})
    before = sorted(os.listdir(folder))
    ran = phiz("audit", *arguments, "--output", "report.txt", "--html", "page.html")
    assert ran.code == 2
    assert message in ran.err
    assert "Traceback" not in ran.err
    assert sorted(os.listdir(folder)) == before


def test_a_budget_without_a_configuration(phiz, here):
    here({"m.onnx": SMALL})
    ran = phiz("audit", "m.onnx", "--budget", "mobile")
    assert ran.code == 2
    assert "--budget" in ran.err


def test_several_paths_are_one_report_without_paths_of_the_machine(phiz, here):
    folder = here({"a/m.onnx": SMALL, "b/deep/m.onnx": LARGE})
    for paths in (["a/m.onnx", "b/deep/m.onnx"], [folder / "a/m.onnx", folder / "b/deep/m.onnx"]):
        ran = phiz("audit", *paths, "--cap", "5kB", "--json")
        assert ran.code == 1
        assert {path: row["pass"] for path, row in rows(ran).items()} == {"a/m.onnx": True, "b/deep/m.onnx": False}
        assert str(folder) not in ran.out
        assert "b/deep/m.onnx: its file of" in phiz("audit", *paths, "--cap", "5kB").out


@pytest.mark.parametrize("form", ["text", "json", "markdown", "junit", "sarif", "github"])
def test_every_format_is_written_and_printed_alike(phiz, here, form):
    folder = here({"m.onnx": SMALL})
    printed = phiz("audit", "m.onnx", "--cap", "1kB", "--format", form)
    written = phiz("audit", "m.onnx", "--cap", "1kB", "--format", form, "-o", "out/report", "--html", "page.html")
    assert (printed.code, written.code, written.out) == (1, 1, "")
    assert "file" in printed.out
    if form != "text":  # its width is the screen's
        assert (folder / "out/report").read_bytes() == printed.out.encode()
    assert b"m.onnx" in (folder / "page.html").read_bytes()
    assert sorted(os.listdir(folder)) == ["m.onnx", "out", "page.html"]


def test_the_summary_of_a_job_is_appended_to(phiz, here, monkeypatch):
    folder = here({"m.onnx": SMALL, "summary.md": "before\n"})
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(folder / "summary.md"))
    ran = phiz("audit", "m.onnx", "--cap", "1kB", "--format", "github")
    assert ran.code == 1
    assert "::error " in ran.out
    markdown = phiz("audit", "m.onnx", "--cap", "1kB", "--format", "markdown").out
    assert (folder / "summary.md").read_text() == "before\n" + markdown
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(folder))
    assert phiz("audit", "m.onnx", "--format", "github").code == 2


def test_where_the_bytes_are(phiz, here):
    here({"m.onnx": SMALL})
    for by, label in (("section", "graph"), ("layer", "w"), ("operator", "MatMul"), ("dtype", "float32")):
        assert label in phiz("audit", "m.onnx", "--by", by).out
    assert "others]" in phiz("audit", "m.onnx", "--by", "layer", "--top", "1").out


def test_the_runtimes_library_is_a_number_beside(phiz, here):
    here({"m.onnx": SMALL, "lib/libtflite.so": b"x" * 1234})
    assert "1,234" in phiz("audit", "m.onnx", "--runtime-library", "lib/libtflite.so").out
    assert (
        json.loads(phiz("audit", "m.onnx", "--runtime-library", "3.1MB", "--json").out)["library"]["size"] == 3_100_000
    )


def test_measuring(phiz, here):
    here({"m.onnx": SMALL, "phiz.toml": "[budget.b]\nmeasured = '500 MB'"})
    ran = phiz("audit", "m.onnx", "--measure", "--json")
    found = rows(ran)["m.onnx"]
    if found["measured"] is None:  # not on this system: then its limit is not known, and that fails
        assert (ran.code, checks(found)) == (1, {"measured": "unknown"})
    else:
        assert (ran.code, checks(found)) == (0, {"measured": "pass"})
        assert found["measured"]["last"] == found["sizes"]["measured"] > 0
