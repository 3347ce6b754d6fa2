"""What a tired engineer does with ``phiz audit``: nothing is lost, and the message says what to do."""

from __future__ import annotations

import json
import subprocess
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 4096\n"


@pytest.fixture
def model() -> bytes:
    """One float MatMul."""
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, 64))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, (1, 16))],
        [numpy_helper.from_array(np.ones((64, 16), np.float32), "w")],
    )
    data: bytes = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)]).SerializeToString()
    return data


@pytest.fixture
def here(tmp_path, monkeypatch, model):
    """The working folder, with two models of one name in it."""
    monkeypatch.chdir(tmp_path)
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "m.onnx").write_bytes(model)
    return tmp_path


@pytest.mark.parametrize(
    "arguments",
    [
        ("audit", "a/m.onnx", "-o", "b/m.onnx"),
        ("audit", "--html", "b/m.onnx", "a/m.onnx"),
        ("audit", "a/m.onnx", "-o", "b/n.mlpackage/report.txt"),
        ("diff", "a/m.onnx", "a/m.onnx", "--html", "b/m.onnx"),
    ],
)
def test_a_report_is_never_written_onto_a_model(phiz, here, model, arguments):
    ran = phiz(*arguments)
    assert ran.code == 2
    assert "it would be a model, not a report" in ran.err
    assert (here / "b/m.onnx").read_bytes() == model
    assert sorted(entry.name for entry in (here / "b").iterdir()) == ["m.onnx"]


def test_two_reports_need_two_files(phiz, here):
    ran = phiz("audit", "a/m.onnx", "-o", "report", "--html", "a/../report")
    assert ran.code == 2
    assert not (here / "report").exists()


def test_a_pointer_of_git_lfs_is_called_so(phiz, here):
    (here / "b/m.onnx").write_text(POINTER)
    ran = phiz("audit", "a/m.onnx", "b/m.onnx")
    assert ran.code == 2
    assert ran.err == "phiz: b/m.onnx: its bytes are not here, for git-LFS keeps them; run: git lfs pull\n"


def test_of_several_models_of_one_name_the_broken_one_is_named(phiz, here):
    (here / "b/m.onnx").write_bytes(b"no model")
    assert phiz("audit", "a/m.onnx", "b/m.onnx").err.startswith("phiz: b/m.onnx: ")


def test_why_there_is_no_baseline_is_said_once_and_without_a_path_of_this_machine(phiz, here):
    subprocess.run(["git", "init", "--quiet"], check=True, cwd=here)
    (here / "phiz.toml").write_text('[budget.m]\nfiles = "*/m.onnx"\ngrowth = "2 %"\nbaseline = "git:nowhere"\n')
    ran = phiz("audit")
    assert ran.code == 1
    assert ran.out.count("no revision 'nowhere'") == 2  # once for each model
    assert str(here) not in phiz("audit", "--json").out


def test_a_baseline_that_no_limit_needs_may_be_missing_and_that_is_said(phiz, here):
    subprocess.run(["git", "init", "--quiet"], check=True, cwd=here)
    ran = phiz("audit", "a/m.onnx", "--cap", "1 MB", "--baseline", "git:nowhere")
    assert ran.code == 0
    assert ran.out.count("it is compared with nothing: git: there is no revision 'nowhere'") == 1


def test_tests_of_several_artefacts_of_one_target_have_names_of_their_own(phiz, here):
    """Servers that show JUnit know a test by its class and name."""
    ran = phiz("audit", "a/m.onnx", "b/m.onnx", "--cap", "1 MB", "--format", "junit")
    cases = [(case.get("classname"), case.get("name")) for case in ElementTree.fromstring(ran.out).iter("testcase")]
    assert len(cases) == len(set(cases)) == 6


def test_shares_are_whole_however_long_the_names(phiz, here):
    """The file and the shares of its sections as JSON has them; the table may cut names, but no number."""
    paths = []
    for number in range(5):
        paths.append(here / f"a_model_with_a_long_name_{number}.onnx")
        paths[-1].write_bytes((here / "a/m.onnx").read_bytes())
    (row, *_) = json.loads(phiz("audit", *paths, "--json").out)["rows"]
    weights = next(entry["bytes"] for entry in row["breakdown"]["section"] if entry["label"] == "weights")
    phiz("audit", *paths, "-o", "report.txt")
    report = (here / "report.txt").read_text()
    assert report.count(f"{weights:,}  {100 * weights / row['sizes']['file']:.1f} %") == 5


def test_what_is_named_twice_is_audited_once(phiz, here):
    (row,) = json.loads(phiz("audit", "a/m.onnx", "./a/m.onnx", here / "a/m.onnx", "--json").out)["rows"]
    assert row["path"] == "m.onnx"


def test_a_warning_is_no_plain_pass_in_any_table(phiz, here, model):
    (here / "phiz.toml").write_text(f'[budget.m]\nfiles = "a/*.onnx"\nfile = "{len(model)} B"\nwarn = "90 %"\n')
    ran = phiz("audit")
    assert ran.code == 0
    assert [line.split()[-1] for line in ran.out.splitlines() if line.startswith("onnx ")] == ["warn"]
    table = phiz("audit", "--format", "markdown").out.splitlines()
    assert [line.rpartition("| ")[2] for line in table if line.startswith("| **onnx**")] == ["⚠️ warn |"]


def test_a_baseline_of_this_machine_leaves_no_path_of_it(phiz, here, model):
    (here / "b/m.onnx").write_bytes(model + b"\x32\x10" + b"x" * 16)  # a doc_string, from the model to 18 bytes more
    (here / "phiz.toml").write_text('[budget.m]\ngrowth = "1 B"\n')
    ran = phiz("audit", "b/m.onnx", "--baseline", here / "a/m.onnx", "--json")
    assert ran.code == 1
    assert "grew by 18 bytes over a/m.onnx" in ran.out
    assert str(here) not in ran.out
    assert str(here) not in phiz("diff", here / "b/m.onnx", here / "a/m.onnx", "--format", "json").out


def test_what_can_never_be_known_says_what_to_limit_instead(phiz, here):
    """A .safetensors file holds no graph, and so has no activations."""
    (here / "m.safetensors").write_bytes((2).to_bytes(8, "little") + b"{}")
    ran = phiz("audit", "m.safetensors", "--cap", "1 MB")
    assert ran.code == 1
    assert "limit its file or its weights instead" in ran.out
