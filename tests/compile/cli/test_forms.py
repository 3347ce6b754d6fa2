"""``phiz compile`` in other widths and other forms: what it writes of them, and how it judges each."""

from __future__ import annotations

import json

import numpy as np
import onnx
import onnxruntime
import pytest

from targets.tflite.run import delegation


@pytest.fixture
def arrays(tmp_path, noise):
    np.savez(tmp_path / "calibration.npz", x=noise(60, 512))
    return tmp_path / "calibration.npz"


# 11 bits of mantissa are 68 dB below full scale for each weight, and errors average out; float32's 24 give 140 dB.
@pytest.mark.parametrize(("scheme", "width", "decibel"), [("float16", 2, 66), ("float", 4, 120)])
def test_a_build_of_another_width(phiz, tiny_path, arrays, tmp_path, scheme, width, decibel):
    out, flags = tmp_path / "out", ("-t", "onnx", "-t", "tflite", "--scheme", scheme)
    ran = phiz("compile", tiny_path, "--calibrate", arrays, "-o", out, *flags)
    assert ran.code == 0, ran.err
    manifest = json.loads((out / "manifest.json").read_text())
    weights = 8 * 16 + 8 * 8 * 3 + 4 * 488
    for target, artifact in manifest["artifacts"].items():
        assert artifact["minimum_bytes"] == width * weights + 4 * (8 + 4)  # two of the three layers have a bias
        assert sum(entry["bytes"] for entry in artifact["files"].values()) >= artifact["minimum_bytes"]
        quality = manifest["parity"][target]["sqnr_db"]
        assert quality is None or quality >= decibel  # None: equal to the bit
    tflite = delegation(out / "student.tflite")
    assert (tflite.partitions, tflite.outside) == (1, ()), "XNNPACK takes the whole graph"


def test_every_form_of_onnx(phiz, tiny_path, arrays, tmp_path):
    """One plan, and Unity's of its own: it is judged against its own graph, and golden.npz holds what to expect."""
    out = tmp_path / "out"
    names = ["onnx", "onnx:arm", "onnx:qdq", "onnx:unity"]
    flags = [word for name in names for word in ("-t", name)]
    ran = phiz("compile", tiny_path, "--calibrate", arrays, "-o", out, "--scheme", "w8a8", *flags)
    assert ran.code == 0, ran.err
    manifest = json.loads((out / "manifest.json").read_text())
    assert [artifact["path"] for _, artifact in sorted(manifest["artifacts"].items())] == [
        "student.onnx", "student.arm.onnx", "student.qdq.onnx", "student.unity.onnx",
    ]  # fmt: skip
    assert set(manifest["parity"]["onnx:unity"]["steps_from"]) == {"hub"}
    assert set(manifest["parity"]["onnx"]["steps_from"]) == {"hub", "onnx:arm", "onnx:qdq"}
    assert manifest["parity"]["onnx:unity"]["sqnr_db"] > 60 > manifest["parity"]["onnx"]["sqnr_db"]
    assert onnx.load(out / "student.unity.onnx").opset_import[0].version == 15
    with np.load(out / "golden.npz", allow_pickle=False) as golden:
        x, expected = golden["input.x"][0], golden["expected.onnx:unity.y"][0]
    session = onnxruntime.InferenceSession(str(out / "student.unity.onnx"))
    np.testing.assert_allclose(session.run(None, {"x": x})[0], expected, rtol=1e-5, atol=1e-5)
    assert phiz("audit", out).code == 0
    assert phiz("audit", out / "student.unity.onnx").code == 0
    again = phiz("compile", tiny_path, "--calibrate", arrays, "-o", out, "-t", "onnx:unity")
    assert again.code == 0, "a folder of forms is phiz's own, and may be replaced"


def test_an_unknown_form_is_refused(phiz, tiny_path, tmp_path):
    ran = phiz("compile", tiny_path, "-t", "onnx:unreal", "-o", tmp_path / "out")
    assert ran.code == 2
    assert "unknown target 'onnx:unreal'" in ran.err
    assert "onnx:unity" in ran.err
