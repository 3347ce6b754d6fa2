"""``phiz audit`` as a CI job would call it."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest


@pytest.fixture
def built(phiz, tiny_path, tmp_path):
    assert phiz("compile", tiny_path, "-t", "onnx", "-t", "tflite", "-o", tmp_path / "out", "--cap", "3.4MB").code == 0
    return tmp_path / "out"


def test_verdicts(phiz, built):
    assert phiz("audit", built).code == 0
    assert phiz("audit", built, "--cap", "1kB").code == 1
    assert phiz("audit", built / "student.tflite", "--cap", "1MB").code == 0


def test_json(phiz, built):
    report = json.loads(phiz("audit", built, "--json").out)
    assert report["pass"] is True
    assert report == json.loads((built / "audit.json").read_text()) | {"budgets": report["budgets"]}


def test_a_changed_artefact_fails(phiz, built):
    data = bytearray((built / "student.tflite").read_bytes())
    data[len(data) // 2] ^= 1
    (built / "student.tflite").write_bytes(data)
    ran = phiz("audit", built)
    assert ran.code == 1
    assert "student.tflite" in ran.out


def test_a_missing_artefact_fails(phiz, built):
    (built / "student.onnx").unlink()
    assert phiz("audit", built).code == 1


@pytest.mark.parametrize("name", ["nothing-here", "."])
def test_not_a_build(phiz, tmp_path, name):
    ran = phiz("audit", tmp_path / name)
    assert ran.code == 2
    assert "Traceback" not in ran.err


def test_auditing_a_build_imports_nothing_heavy(built):
    code = (
        "import sys\nsys.argv = ['phiz', *sys.argv[1:]]\nfrom compile.cli import main\n"
        "try:\n    main()\nexcept SystemExit as stop:\n    assert not stop.code, stop.code\n"
        "heavy = ('torch', 'coremltools', 'onnxsim', 'onnxruntime', 'ai_edge_litert')\n"
        "assert not [name for name in heavy if name in sys.modules]"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "audit", str(built)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
