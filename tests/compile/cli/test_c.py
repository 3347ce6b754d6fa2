"""``phiz compile --target c`` from the outside, with a C compiler and without one."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from targets.c.run import COMPILERS


@pytest.fixture
def arrays(tmp_path, noise):
    np.savez(tmp_path / "calibration.npz", x=noise(60, 512))
    return tmp_path / "calibration.npz"


def test_a_window_and_a_stream(phiz, tiny_path, arrays, tmp_path):
    if not any(shutil.which(name) for name in COMPILERS):
        pytest.skip("there is no C compiler")
    out = tmp_path / "out"
    ran = phiz("compile", tiny_path, "-t", "onnx", "-t", "c", "--stream", "--calibrate", arrays, "-o", out)
    assert ran.code == 0, ran.err
    files = {"student.c", "student.h", "student.stream.c", "student.stream.h"}
    assert files < {path.name for path in out.iterdir()}
    manifest = json.loads((out / "manifest.json").read_text())
    assert set(manifest["artifacts"]["c+stream"]["files"]) == {"student.stream.c", "student.stream.h"}
    for target in ("c", "c+stream"):
        assert manifest["parity"][target]["status"] == "run"
        assert manifest["parity"][target]["steps"] <= 1
    assert manifest["parity"]["c"]["steps_from"]["c+stream"] < 1e-3  # the same integers
    assert phiz("audit", out).code == 0
    assert phiz("audit", out / "student.stream.c").code == 0
    # A header that was changed is not what the manifest says; a build folder of phiz may be replaced.
    (out / "student.h").write_text((out / "student.h").read_text() + "\n")
    assert phiz("audit", out).code == 1
    assert phiz("compile", tiny_path, "-t", "c", "--calibrate", arrays, "-o", out).code == 0


def test_without_a_compiler(phiz, tiny_path, arrays, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    ran = phiz("compile", tiny_path, "-t", "c", "--calibrate", arrays, "-o", tmp_path / "out")
    assert ran.code == 0, ran.err
    manifest = json.loads((tmp_path / "out/manifest.json").read_text())
    assert manifest["parity"]["c"]["status"].startswith("not run: no C compiler")
    assert phiz("audit", tmp_path / "out/student.c").code == 0
    asked = phiz(
        "compile", tiny_path, "-t", "c", "--min-sqnr", "10 dB", "--calibrate", arrays, "-o", tmp_path / "other"
    )
    assert asked.code == 1
    assert "parity was asked for but not run: no C compiler" in asked.out + asked.err
    assert not (tmp_path / "other").exists()
