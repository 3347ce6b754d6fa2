"""``phiz compile`` from the outside: what it writes, what it refuses, and that refusing leaves nothing behind."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

TARGETS = ("onnx", "tflite", "coreml")


@pytest.fixture
def arrays(tmp_path, noise):
    np.savez(tmp_path / "calibration.npz", x=noise(60, 512))
    return tmp_path / "calibration.npz"


def files_of(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_all_targets(phiz, tiny_path, arrays, tmp_path):
    ran = phiz("compile", tiny_path, "--calibrate", arrays, "--cap", "3.4MB", "-o", tmp_path / "out")
    assert ran.code == 0, ran.err
    manifest = json.loads((tmp_path / "out/manifest.json").read_text())
    assert set(manifest["artifacts"]) == set(manifest["parity"]) == set(TARGETS)
    for target, limit in zip(TARGETS, (1, 1, 2), strict=True):
        assert manifest["parity"][target]["status"] == "run"
        elsewhere = target == "coreml"
        assert manifest["parity"][target]["runtime"] == ("not run: needs macOS" if elsewhere else "run")
        assert ("evaluated_with" in manifest["parity"][target]) == elsewhere
        assert manifest["parity"][target]["steps"] <= limit
        assert manifest["parity"][target]["sqnr_db"] >= 30
    assert manifest["budget"] == {"footprint": 3_400_000, "file": 3_400_000}
    assert "pass" in ran.out
    assert "not to be trusted" not in ran.out


def test_golden_holds_what_the_artefact_answers(phiz, tiny_path, arrays, tmp_path):
    assert phiz("compile", tiny_path, "-t", "onnx", "--calibrate", arrays, "-o", tmp_path / "out").code == 0
    session = onnxruntime.InferenceSession(str(tmp_path / "out/student.onnx"))
    with np.load(tmp_path / "out/golden.npz", allow_pickle=False) as golden:
        assert set(golden.files) == {"input.x", "expected.y", "float.y"}
        for x, expected in zip(golden["input.x"], golden["expected.y"], strict=True):
            step = float(np.ptp(golden["float.y"])) / 100  # an order of magnitude above a quantisation step
            np.testing.assert_allclose(session.run(None, {"x": x})[0], expected, atol=step)


def test_random_calibration_says_so(phiz, tiny_path, tmp_path):
    ran = phiz("compile", tiny_path, "-t", "onnx", "-o", tmp_path / "out")
    assert ran.code == 0
    assert "not to be trusted" in ran.out
    assert json.loads((tmp_path / "out/manifest.json").read_text())["calibration"]["trusted"] is False


def test_two_processes_give_equal_bytes(tiny_path, arrays, tmp_path):
    command = [sys.executable, "-m", "compile.cli", "compile", str(tiny_path), "--calibrate", str(arrays), "-o"]
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        subprocess.run([*command, str(tmp_path / seed)], env=environment, check=True, capture_output=True)
    first, second = files_of(tmp_path / "1"), files_of(tmp_path / "2")
    assert first == second
    assert {"student.onnx", "student.tflite", "student.mlpackage/Manifest.json"} <= set(first)


def test_over_the_cap_is_set_aside(phiz, tiny_path, arrays, tmp_path):
    out = tmp_path / "out"
    assert phiz("compile", tiny_path, "-t", "onnx", "--calibrate", arrays, "-o", out).code == 0
    before = files_of(out)
    flags = ("--calibrate", arrays, "-o", out, "--cap", "1kB", "--min-sqnr", "1 dB")
    ran = phiz("compile", tiny_path, "-t", "onnx", *flags)
    assert ran.code == 1
    assert "cap of 1.00 kB" in ran.out + ran.err
    assert "each further step" not in ran.out  # better quality would not make it smaller
    assert files_of(out) == before
    assert (tmp_path / "out.rejected/student.onnx").is_file()


def test_parity_gate(phiz, tiny_path, arrays, tmp_path):
    ran = phiz(
        *("compile", tiny_path, "-t", "onnx", "--calibrate", arrays, "-o", tmp_path / "out"),
        *("--scheme", "w8a8", "--min-sqnr", "150 dB"),
    )
    assert ran.code == 1
    assert "below the 150 dB asked for" in ran.err
    unit = r" +\+[\d,]+ B"
    assert "the default, int8, lifts layers until the quality holds" in ran.out
    assert re.search(rf"conv\w+ +float16 +\+\d+\.\d dB{unit}{unit} +[+-]\d+ us", ran.out)  # what else could be done
    assert not (tmp_path / "out").exists()
    audited = phiz("audit", tmp_path / "out.rejected")  # and stays rejected, whatever its size
    assert audited.code == 1
    assert "below the 150 dB asked for" in audited.out


def test_schemes_and_rules(phiz, tiny_path, arrays, tmp_path):
    out = tmp_path / "out"
    ran = phiz(
        *("compile", tiny_path, "-t", "onnx", "--calibrate", arrays, "-o", out),
        *("--scheme", "w8a8", "--rule", "float on Conv under @input"),
    )
    assert ran.code == 0, ran.err
    schemes = json.loads((out / "manifest.json").read_text())["schemes"]
    assert sorted(entry["scheme"] for name, entry in schemes.items() if name.startswith("conv")) == ["float", "w8a8"]


def test_ranges_and_bias_correction_are_recorded(phiz, tiny_path, arrays, tmp_path):
    command = ("compile", tiny_path, "-t", "onnx", "--calibrate", arrays, "-o", tmp_path / "out", "--scheme", "w8a8")

    def build(*flags):
        assert phiz(*command, *flags).code == 0
        manifest = json.loads((tmp_path / "out/manifest.json").read_text())
        digest = manifest["artifacts"]["onnx"]["files"]["student.onnx"]["sha256"]
        return manifest["calibration"], digest, manifest["bias_corrected"]

    usual, cut, raw = build(), build("--ranges", "percentile 99"), build("--no-bias-correction")
    assert (usual[0]["ranges"], usual[0]["bias_correction"]) == ("output", True)
    assert (cut[0]["ranges"], raw[0]["bias_correction"]) == ("percentile 99", False)
    assert usual[1] != cut[1]
    assert raw[2] == []
    assert (usual[1] != raw[1]) == (usual[2] == ["onnx"])  # they are corrected where that helps
    refused = phiz(*command, "--ranges", "median")
    assert refused.code == 2
    assert "--ranges: unknown method 'median'; choose from: output, mse" in refused.err.replace("\n", " ")


def test_errors_are_told_layer_by_layer(phiz, tiny_path, arrays, tmp_path):
    out = tmp_path / "out"
    ran = phiz(
        "compile",
        tiny_path,
        "-t",
        "onnx",
        "-t",
        "tflite",
        "--calibrate",
        arrays,
        "-o",
        out,
        "--scheme",
        "w8a8",
        "--errors",
    )
    assert ran.code == 0, ran.err
    assert "layers of onnx, tflite" in ran.out
    assert re.search(r"--rule 'w8 on \w+ under \w+'", ran.out)
    data = (out / "errors.json").read_bytes()
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["records"]["errors.json"] == {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    assert len(json.loads(data)["plans"][0]["layers"]) == 4
    assert phiz("audit", out).code == 0
    assert phiz("compile", tiny_path, "-t", "onnx", "--calibrate", arrays, "-o", out).code == 0  # it may be replaced
    assert not (out / "errors.json").exists()


def test_configuration(phiz, tiny_path, arrays, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "phiz.toml").write_text(
        f'[model]\npath = "{tiny_path.name}"\n[calibrate]\naudio = "{arrays.name}"\n'
        '[build.desk]\ntargets = ["onnx"]\n[build.phone]\ntargets = ["tflite"]\nfootprint = "1 kB"\n'
    )
    ran = phiz("compile")
    assert ran.code == 1
    assert (tmp_path / "build/desk/student.onnx").is_file()
    assert (tmp_path / "build/phone.rejected/student.tflite").is_file()
    assert phiz("compile", "--build", "desk").code == 0
    assert "there is no [build.tv]" in phiz("compile", "--build", "tv").err
    assert "there is no [build.tv]" in phiz("compile", tiny_path.name, "--build", "tv").err
    with (tmp_path / "phiz.toml").open("a") as file:
        file.write('[quantize]\nscheme = "int2"\n')
    assert "phiz.toml, [quantize] scheme: unknown scheme 'int2'" in phiz("compile").err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nowhere.onnx",), "cannot read"),
        (("nowhere",), "there is no such file"),
        ((), "phiz.toml: cannot read"),
        (("MODEL", "-t", "tpu"), "unknown target 'tpu'; choose from: onnx, tflite, coreml"),
        (("MODEL", "--cap", "3.4"), "no unit"),
        (("MODEL", "--cap", "3.4 XB"), "unknown unit 'XB'"),
        (("MODEL", "--cap", "much"), "not a size"),
        (("MODEL", "--scheme", "int2"), "unknown scheme 'int2'"),
        (("MODEL", "--rule", "float under nothing"), "matches no node"),
        (("MODEL", "--min-sqnr", "36"), "not a number of decibels"),
        (("MODEL", "--shape", "x:1"), "not a shape"),
        (("MODEL", "--calibrate", "nowhere.npz"), "nowhere.npz"),
        (("MODEL", "--calibrate", "nowhere.wav"), "nowhere.wav"),
        (("MODEL", "--only"), "No such option"),
        (("MODEL", "--cap", ""), "'' is not a size"),
        (("MODEL", "--min-sqnr", ""), "'' is not a number of decibels"),
        (("MODEL", "--scheme", ""), "unknown scheme ''"),
        (("MODEL", "--max-steps", "nan"), "nan is not a number of steps"),
        (("MODEL", "--max-steps", "-1"), "-1.0 is not a number of steps"),
        (("MODEL", "--windows", "0"), "0 is not a number of windows from 1 to 65536"),
        (("MODEL", "--windows", "9" * 30), "is not a number of windows from 1 to 65536"),
        (("MODEL", "--calibrate", ""), "the name of an audio file is empty"),
        (("MODEL", "-o", "/"), "root of the file system"),
        (("MODEL", "-o", ".."), "not a phiz build folder"),
        (("MODEL", "-o", "MODEL"), "it exists and is no folder"),
        (("MODEL", "-o", "x" * 300), "File name too long"),
    ],
)
def test_bad_input_exits_2_and_writes_nothing(phiz, tiny_path, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    before = set(tmp_path.rglob("*"))
    ran = phiz("compile", *(tiny_path if argument == "MODEL" else argument for argument in arguments))
    assert ran.code == 2, ran.err
    assert message in ran.err
    assert "Traceback" not in ran.err
    assert set(tmp_path.rglob("*")) == before


def test_a_folder_of_somebody_else_is_not_replaced(phiz, tiny_path, tmp_path):
    precious = tmp_path / "thesis"
    precious.mkdir()
    (precious / "chapter1.txt").write_text("words")
    ran = phiz("compile", tiny_path, "-t", "onnx", "-o", precious)
    assert ran.code == 2
    assert "not a phiz build folder" in ran.err
    assert (precious / "chapter1.txt").read_text() == "words"
    assert phiz("audit", precious).code == 2


def test_a_manifest_alone_makes_no_build_folder(phiz, tiny_path, tmp_path):
    extension = tmp_path / "extension"  # browsers' extensions have a manifest.json, too
    extension.mkdir()
    for name in ("manifest.json", "main.js"):
        (extension / name).write_text("{}")
    for out in (extension, tmp_path / "out"):
        ran = phiz("compile", tiny_path, "-t", "onnx", "-o", out)
        assert ran.code == 2
        assert "it holds 'main.js'" in ran.err
        assert sorted(path.name for path in extension.iterdir()) == ["main.js", "manifest.json"]
        extension.rename(tmp_path / "out.rejected")  # next, where a rejected build would go
        extension = tmp_path / "out.rejected"


def test_a_link_is_followed_and_stays(phiz, tiny_path, tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    for _ in range(2):
        assert phiz("compile", tiny_path, "-t", "onnx", "-o", tmp_path / "link").code == 0
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real/student.onnx").is_file()


def test_axes_with_names_are_fixed_by_the_inputs(phiz, tiny, tmp_path):
    tiny.outputs = [("y", ["batch", "controls"])]
    tiny.inputs = [("x", ["batch", 512])]
    path = tiny.save(tmp_path / "dynamic.onnx")
    ran = phiz("compile", path, "-t", "onnx", "-o", tmp_path / "out")
    assert ran.code == 2
    assert "axis 0 is dynamic ('batch')" in ran.err
    assert "--shape x=1x512" in ran.err
    assert phiz("compile", path, "-t", "onnx", "--shape", "x=1x512", "-o", tmp_path / "out").code == 0
    manifest = json.loads((tmp_path / "out/manifest.json").read_text())
    assert manifest["model"]["outputs"] == [{"name": "y", "shape": [1, 4], "dtype": "float32"}]


def test_missing_extra_names_the_pip_line(phiz, tiny_path, tmp_path, monkeypatch):
    import targets.catalogue

    monkeypatch.setattr(targets.catalogue, "find_spec", lambda _: None)
    ran = phiz("compile", tiny_path, "-t", "tflite", "-o", tmp_path / "out")
    assert ran.code == 2
    assert "pip install 'phiz[tflite]'" in ran.err
    assert not (tmp_path / "out").exists()


def test_compiling_onnx_imports_no_torch(tiny_path, arrays, tmp_path):
    arguments = ["compile", str(tiny_path), "--calibrate", str(arrays), "-o", str(tmp_path / "out")]
    code = (
        "import sys\nsys.argv = ['phiz', *sys.argv[1:]]\nfrom compile.cli import main\n"
        "try:\n    main()\nexcept SystemExit as stop:\n    assert not stop.code, stop.code\n"
        "assert sys.modules.get('torch') is None and 'tensorflow' not in sys.modules and 'jax' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_options_may_stand_in_a_pyproject(phiz, tiny_path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = f'[tool.phiz.model]\npath = "{tiny_path}"\n[tool.phiz.build.a]\ntargets = ["onnx"]\nfile = "1 B"\n'
    (tmp_path / "pyproject.toml").write_text(config)
    ran = phiz("compile")
    assert ran.code == 1
    assert "its file of" in ran.err
    (tmp_path / "pyproject.toml").write_text(config.replace("targets", "target"))
    ran = phiz("compile")
    assert ran.code == 2
    assert "pyproject.toml, [tool.phiz.build.a]: unknown key 'target'; did you mean 'targets'?" in ran.err
