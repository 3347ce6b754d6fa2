"""``phiz init``: budgets for what is there, that hold today and not much longer."""

from __future__ import annotations

import hashlib
import json
import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from compile.audit.proposal import generous
from compile.config import load
from compile.units import parse_size


def model(columns, batch=1, name="x"):
    """One float MatMul with 256 bytes of weights a column."""
    weight = np.random.default_rng(columns).normal(size=(64, columns)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("MatMul", [name, "w"], ["y"])],
        "g",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, (batch, 64))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, (batch, columns))],
        [numpy_helper.from_array(weight, "w")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)]).SerializeToString()


def manifest(parity=None, **artefacts):
    """Of a build; artefacts by target, each at ``TARGET.onnx``."""
    return json.dumps(
        {
            "name": "student",
            "artifacts": {
                target.replace("_", ":"): {
                    "path": f"{target}.onnx",
                    "files": {f"{target}.onnx": {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}},
                }
                for target, data in artefacts.items()
            },
            "parity": parity or {},
        }
    )


def test_what_it_writes_holds_today_and_not_for_long(phiz, here):
    small, large = model(16), model(64)
    folder = here(
        {
            "build/mobile/manifest.json": manifest(onnx=small, onnx_unity=large),
            "build/mobile/onnx.onnx": small,
            "build/mobile/onnx_unity.onnx": large,
            "models/lips.onnx": small,
            "models/more [old]/lips.onnx": small,
        }
    )
    ran = phiz("init")
    assert ran.code == 0
    assert "wrote phiz.toml: 3 budgets for 4 artefacts" in ran.out
    assert "phiz audit" in ran.out
    config = load(folder / "phiz.toml")
    assert [(budget.name, budget.warn) for budget in config.budgets] == [
        ("mobile", 0.95),
        ("lips", 0.95),
        ("lips-2", 0.95),
    ]
    assert list(config.budgets[0].targets) == ["onnx"]  # it is smaller by more than the headroom
    audited = phiz("audit", "--json")
    assert audited.code == 0, [row["failures"] for row in json.loads(audited.out)["rows"]]
    checks = [check for row in json.loads(audited.out)["rows"] for check in row["checks"]]
    assert len(checks) == 4 * 3
    assert all(check["status"] == "pass" for check in checks)  # and no warning
    assert all(1.1 <= check["limit"] / check["measured"] <= 1.22 for check in checks)  # two digits: up to 10 % more
    here({"models/lips.onnx": model(20)})
    assert phiz("audit").code == 1


def test_it_writes_nothing_a_second_time(phiz, here):
    folder = here({"m.onnx": model(16), "phiz.toml": "# mine"})
    ran = phiz("init")
    assert ran.code == 2
    assert "phiz.toml: it is there already" in ran.err
    assert (folder / "phiz.toml").read_text() == "# mine"
    (folder / "phiz.toml").unlink()
    here({"pyproject.toml": "[tool.phiz.model]\npath = 'student'"})
    assert phiz("init").code == 2
    here({"pyproject.toml": "[project]\nname = 'x'"})
    assert phiz("init").code == 0


@pytest.mark.parametrize(
    "contents",
    [
        {"readme.md": "x"},
        {".hidden/m.onnx": model(16)},
        {"venv/pyvenv.cfg": "", "venv/lib/m.onnx": model(16)},
        {"build/m.rejected/manifest.json": manifest(onnx=model(16)), "build/m.rejected/onnx.onnx": model(16)},
        {"node_modules/p/m.onnx": model(16)},
        {"m.onnx": b"no model"},
    ],
)
def test_where_nothing_can_be_audited_nothing_is_written(phiz, here, contents):
    folder = here(contents)
    before = sorted(os.listdir(folder))
    ran = phiz("init")
    assert ran.code == 2
    assert "there is no build folder and no artefact that can be read" in ran.err
    assert sorted(os.listdir(folder)) == before
    assert phiz("init", "none").code == 2


def test_it_looks_only_where_it_is_told(phiz, here):
    folder = here({"a/m.onnx": model(16), "b/m.onnx": model(16), "b/bad.onnx": b""})
    ran = phiz("init", "b", "--headroom", "50 %")
    assert ran.code == 0
    assert "left out: " in ran.err
    assert "bad.onnx" in ran.err
    (budget,) = load(folder / "phiz.toml").budgets
    assert budget.files == ("b/m.onnx",)
    file = next(limit for limit in budget.limits if limit.subject == "file")
    assert file.most.bytes == parse_size(generous(len(model(16)), 0.5))
    assert phiz("audit").code == 0
    (folder / "phiz.toml").unlink()
    assert phiz("init", "b", "--headroom", "much").code == 2


def test_what_is_not_known_is_no_limit_and_names_write_no_lines(phiz, here):
    folder = here({"m.onnx": model(16, "n", 'x\n[budget.b]\nfile = "1 B"\n#')})
    assert phiz("init").code == 0
    text = (folder / "phiz.toml").read_text()
    assert "# footprint             # is not known: the size of activation" in text
    (budget,) = load(folder / "phiz.toml").budgets
    assert [limit.subject for limit in budget.limits] == ["file", "download"]
    assert phiz("audit").code == 0


def test_what_fails_whatever_its_budget_is_said(phiz, here):
    data = model(16)
    parity = {"onnx": {"status": "run", "failures": ["its SQNR of 3 dB is below 30 dB"]}}
    here({"b/manifest.json": manifest(parity, onnx=data), "b/onnx.onnx": data})
    ran = phiz("init")
    assert ran.code == 0
    assert "b fails whatever its budget: onnx: its SQNR of 3 dB is below 30 dB" in ran.out
    assert phiz("audit").code == 1


@given(st.integers(0, 10**12), st.integers(0, 300))
def test_numbers_are_round_and_no_less(size, percent):
    text = generous(size, percent / 100)
    limit = parse_size(text)
    assert limit * 100 >= size * (100 + percent)
    assert limit <= 1.01 * (size * (100 + percent) / 100 + 1) + 1
    assert len(text.partition(" ")[0].replace(".", "").strip("0")) <= 3


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "1 B"), (90, "100 B"), (900, "991 B"), (879_024, "967 kB"), (1_070_852, "1.18 MB"), (10**9, "1.11 GB")],
)
def test_numbers_as_people_write_them(size, text):
    assert generous(size, 0.1) == text
