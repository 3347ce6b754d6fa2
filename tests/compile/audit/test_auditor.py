"""Verdicts: what passes, and one case for each reason not to."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from compile.audit.auditor import audit
from compile.audit.budget import caps
from compile.audit.report import Report, Row
from compile.errors import UserError

Build = Callable[..., Path]
# Weights 8,192, three scales of 4 and zero points of 8, arena of 128 and 64 bytes (both multiples of 64).
TFLITE_FOOTPRINT = 8_192 + 3 * 12 + 192


def row(report: Report, target: str) -> Row:
    return next(row for row in report.rows if row.target == target)


def test_a_build_without_limits_passes(build: Build, tflite: bytes) -> None:
    report = audit(build())
    assert report.exit_code == 0
    assert [entry.target for entry in report.rows] == ["onnx", "tflite"]
    found = row(report, "tflite")
    assert found.sizes is not None
    assert found.sizes.file == len(tflite)
    assert found.sizes.download == len(zlib.compress(tflite, 6)) < len(tflite)
    assert found.sizes.weights == TFLITE_FOOTPRINT - 192
    assert (found.sizes.activations, found.sizes.bound) == (192, 192)
    assert found.sizes.footprint == TFLITE_FOOTPRINT
    assert found.ratio == len(tflite) / 8_196
    assert found.parity.sqnr_db == 36.25
    onnx = row(report, "onnx").sizes
    assert onnx is not None
    assert (onnx.weights, onnx.activations) == (4 * 8_192, 768)


def test_a_cap_is_inclusive_to_the_byte(build: Build) -> None:
    folder = build()
    at = row(audit(folder, (caps({"footprint": TFLITE_FOOTPRINT}),)), "tflite")
    below = row(audit(folder, (caps({"footprint": TFLITE_FOOTPRINT - 1}),)), "tflite")
    assert at.failures == ()
    assert below.failures == (
        "its footprint of 8.42 kB (8,420 bytes) exceeds the cap of 8.42 kB (8,419 bytes) by 1 byte",
    )


def test_the_file_has_a_cap_of_its_own(build: Build, tflite: bytes) -> None:
    folder = build()
    assert row(audit(folder, (caps({"file": len(tflite)}),)), "tflite").failures == ()
    report = audit(folder, (caps({"file": len(tflite) - 1}),))
    assert "its file of" in row(report, "tflite").failures[0]
    assert report.exit_code == 1


def test_the_manifests_budget_holds_unless_caps_are_given(build: Build) -> None:
    folder = build(footprint=100)
    assert audit(folder).exit_code == 1
    assert audit(folder, ()).exit_code == 1
    assert audit(folder, (caps({"footprint": 10**6}),)).exit_code == 0


def test_a_single_artefact_needs_no_manifest(tmp_path: Path, tflite: bytes) -> None:
    (tmp_path / "m.tflite").write_bytes(tflite)
    assert audit(tmp_path / "m.tflite", (caps({"footprint": TFLITE_FOOTPRINT}),)).exit_code == 0
    assert audit(tmp_path / "m.tflite", (caps({"footprint": 100}),)).exit_code == 1


def test_a_link_to_an_artefact_is_followed(tmp_path: Path, tflite: bytes) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "m.tflite").write_bytes(tflite)
    (tmp_path / "m.tflite").symlink_to(tmp_path / "elsewhere" / "m.tflite")
    assert audit(tmp_path / "m.tflite").exit_code == 0


def test_a_changed_artefact_fails(build: Build) -> None:
    folder = build()
    path = folder / "student.tflite"
    path.write_bytes(path.read_bytes().replace(b"x", b"z"))
    assert row(audit(folder), "tflite").failures == (
        "'student.tflite' is not the file of the manifest: its SHA-256 differs",
    )


def test_a_grown_artefact_fails(build: Build) -> None:
    folder = build()
    with (folder / "student.tflite").open("ab") as file:
        file.write(b"\0")
    assert "the manifest says" in row(audit(folder), "tflite").failures[0]


def test_a_missing_artefact_fails(build: Build) -> None:
    folder = build()
    (folder / "student.tflite").unlink()
    found = row(audit(folder), "tflite")
    assert found.failures == ("'student.tflite' is missing",)
    assert found.sizes is None


def test_a_malformed_artefact_fails_its_row(build: Build) -> None:
    folder = build()
    (folder / "student.tflite").write_bytes(b"garbage of no form")
    report = audit(folder)
    assert any("not a TFLite file" in reason for reason in row(report, "tflite").failures)
    assert row(report, "onnx").failures == ()


def test_a_package_is_compared_file_by_file(build: Build, tflite: bytes) -> None:
    def package(manifest: dict[str, Any]) -> None:
        entry = manifest["artifacts"]["tflite"]
        entry["path"] = "student.pkg"
        entry["files"] = {
            "student.pkg/m.tflite": entry["files"]["student.tflite"],
            "student.pkg/b": {"bytes": 1, "sha256": ""},
        }

    folder = build(package)
    (folder / "student.pkg" / "deep").mkdir(parents=True)
    (folder / "student.pkg" / "m.tflite").write_bytes(tflite)
    (folder / "student.pkg" / "deep" / "stranger").write_bytes(b"?")
    reasons = row(audit(folder), "tflite").failures
    assert "'student.pkg/deep/stranger' is not in the manifest" in reasons
    assert "'student.pkg/b' is missing" in reasons


@pytest.mark.parametrize("odd", ["link", "pipe"])
def test_a_package_of_odd_files_fails_in_words(build: Build, odd: str) -> None:
    def package(manifest: dict[str, Any]) -> None:
        manifest["artifacts"]["coreml"] = {**manifest["artifacts"]["tflite"], "path": "student.mlpackage"}

    folder = build(package)
    (folder / "student.mlpackage").mkdir()
    if odd == "link":
        (folder / "student.mlpackage" / "Manifest.json").symlink_to(folder / "nowhere")
    else:
        os.mkfifo(folder / "student.mlpackage" / "Manifest.json")
    assert any("not a regular file" in reason for reason in row(audit(folder), "coreml").failures)


def test_external_data_that_the_manifest_omits_is_found(build: Build) -> None:
    import onnx

    folder = build()
    model = onnx.load(folder / "student.onnx")
    onnx.save(model, folder / "student.onnx", save_as_external_data=True, location="hidden.bin", size_threshold=0)
    data = (folder / "student.onnx").read_bytes()
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["artifacts"]["onnx"]["files"]["student.onnx"] = {
        "bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    found = row(audit(folder), "onnx")
    assert found.failures == ("'hidden.bin' is not in the manifest",)
    assert found.sizes is not None
    assert found.sizes.weights == 4 * 8_192  # and counted all the same


def test_unknown_is_not_a_pass(tmp_path: Path) -> None:
    from onnx import TensorProto, helper

    graph = helper.make_graph(
        [helper.make_node("Tanh", ["x"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n"])],
    )
    path = tmp_path / "m.onnx"
    path.write_bytes(helper.make_model(graph).SerializeToString())
    assert audit(path, (caps({"file": 10**6}),)).exit_code == 0
    report = audit(path, (caps({"footprint": 10**6}),))
    assert report.failures == (
        "onnx: its footprint is not known, and unknown is not a pass: the size of activation 'x' and 1 more; "
        "give its inputs fixed shapes",
    )


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m["artifacts"]["tflite"].update(path="../outside.tflite"),
        lambda m: m["artifacts"]["tflite"].update(path="/etc/hostname"),
        lambda m: m["artifacts"]["tflite"].update(path="escape.tflite"),
        lambda m: m["artifacts"]["tflite"].update(path=""),
        lambda m: m["artifacts"]["tflite"].update(path="circle.tflite"),
        lambda m: m["artifacts"]["tflite"].update(path="x" * 5_000),
        lambda m: m["artifacts"]["tflite"].update(path="\0"),
        lambda m: m["artifacts"]["tflite"]["files"].update({"../outside.tflite": {"bytes": 6, "sha256": "x"}}),
    ],
)
def test_paths_may_not_leave_the_folder(build: Build, tmp_path: Path, change: Callable[[Any], None]) -> None:
    (tmp_path / "outside.tflite").write_bytes(b"secret")
    folder = build(change)
    (folder / "escape.tflite").symlink_to(tmp_path / "outside.tflite")
    (folder / "circle.tflite").symlink_to(folder / "circle.tflite")
    report = audit(folder)
    assert report.exit_code == 1
    reasons = ("leads out of the folder", "no such path", "holds what is no text")
    assert any(known in reason for reason in row(report, "tflite").failures for known in reasons)
    assert "secret" not in repr(report)


def test_a_target_that_phiz_does_not_know_fails(build: Build) -> None:
    report = audit(build(lambda m: m["artifacts"].update(abacus=m["artifacts"]["tflite"])))
    assert "unknown target 'abacus'" in row(report, "abacus").failures[0]


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m.clear(),
        lambda m: m["artifacts"].clear(),
        lambda m: m.update(artifacts=[]),
        lambda m: m.update(name=7),
        lambda m: m["artifacts"]["tflite"].update(minimum_bytes=-1),
        lambda m: m["budget"].update(file="3.4 MB"),
        lambda m: m["budget"].update(file=True),
        lambda m: m["parity"]["tflite"].update(sqnr_db=float("nan")),
        lambda m: m["artifacts"]["tflite"]["files"].update(x={}),
    ],
)
def test_a_manifest_of_another_form_is_bad_input(build: Build, change: Callable[[Any], None]) -> None:
    with pytest.raises(UserError, match="should be"):
        audit(build(change))


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[" * 100_000])
def test_a_manifest_that_is_not_json_is_bad_input(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "manifest.json").write_bytes(content)
    with pytest.raises(UserError, match="it is not JSON"):
        audit(tmp_path)


def test_a_folder_without_a_manifest_is_no_build(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not a phiz build folder") as caught:
        audit(tmp_path)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("name", ["absent", "absent.tflite", "x" * 5_000])
def test_nothing_there_is_bad_input(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match="no such"):
        audit(tmp_path / name)


def test_a_file_of_another_kind_is_bad_input(tmp_path: Path) -> None:
    (tmp_path / "m.bin").write_bytes(b"x")
    with pytest.raises(UserError, match="not an artefact that phiz knows"):
        audit(tmp_path / "m.bin")


def test_a_malformed_single_artefact_is_bad_input(tmp_path: Path) -> None:
    (tmp_path / "m.tflite").write_bytes(b"")
    with pytest.raises(UserError, match="not a TFLite file"):
        audit(tmp_path / "m.tflite")


def test_an_enormous_file_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "m.tflite").open("wb") as file:
        file.truncate(5 * 2**30)  # sparse: takes no disk
    with pytest.raises(UserError, match="more than an artefact may have"):
        audit(tmp_path / "m.tflite")


@pytest.mark.skipif(os.name != "posix", reason="named pipes are POSIX")
def test_a_pipe_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "m.tflite")
    with pytest.raises(UserError, match="no file"):
        audit(tmp_path / "m.tflite")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["artifacts", "tflite", "files", "path", "name", "parity", "budget"]), inner, max_size=5
            )
        ),
        max_leaves=12,
    )
)
def test_any_manifest_is_a_report_or_bad_input(tmp_path: Path, data: object) -> None:
    (tmp_path / "manifest.json").write_text(json.dumps(data))
    with contextlib.suppress(UserError):
        assert audit(tmp_path).exit_code in (0, 1)


HEAVY = ("torch", "coremltools", "onnxsim", "onnxruntime", "ai_edge_litert", "flatbuffers", "onnx_ir", "numpy", "onnx")


def test_a_verdict_needs_no_heavy_library(build: Build) -> None:
    """In a fresh process, a whole audit with both renderers brings in none of the libraries that import slowly."""
    program = (
        "import sys\nfrom pathlib import Path\nfrom rich.console import Console\n"
        "from compile.audit.auditor import audit\nfrom compile.audit.budget import caps\n"
        "from compile.audit.render import as_json, terminal\n"
        "report = audit(Path(sys.argv[1]), (caps({'footprint': 10**6}),))\n"
        "terminal.show(report, Console())\nas_json.render(report)\n"
        f"print(sorted(set({HEAVY}) & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program, str(build())], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_verdict_does_not_depend_on_hash_order(build: Build) -> None:
    program = (
        "import sys\nfrom pathlib import Path\n"
        "from compile.audit.render import as_json\nfrom compile.audit.auditor import audit\n"
        "sys.stdout.buffer.write(as_json.render(audit(Path(sys.argv[1]))))"
    )
    folder = str(build())
    seen = {
        subprocess.run(
            [sys.executable, "-c", program, folder],
            capture_output=True,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("0", "1")
    }
    assert len(seen) == 1
    assert json.loads(seen.pop())["pass"] is True


@pytest.mark.parametrize(
    ("schemes", "asked"),
    [({"dense": "w8a8", "relu": "w8"}, True), ({"dense": "w8a8", "conv": "float"}, False), ({}, False)],
)
def test_weights_are_in_the_dtype_that_the_manifest_gives_them_all(
    build: Build, schemes: dict[str, str], asked: bool
) -> None:
    """The ONNX artefact is float32: without a budget that asks for int8, that is a finding and no failure."""

    def change(manifest: dict[str, Any]) -> None:
        manifest["schemes"] = {node: {"scheme": scheme, "because": ""} for node, scheme in schemes.items()}

    report = audit(build(change))
    assert [finding.saves for finding in row(report, "onnx").findings if finding.rule == "dtype"] == [24_576] * asked
    assert not [finding for finding in row(report, "tflite").findings if finding.rule == "dtype"]
    assert report.exit_code == 0
