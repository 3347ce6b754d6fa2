"""Students: their shape, their two forms, the folder that holds them, and every way in which it can be wrong."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from compile.errors import MissingExtra, UserError
from compile.model import Face
from distill import curves, students
from distill.controls import ARKIT

torch = pytest.importorskip("torch")
from safetensors.torch import load_file, save_file  # noqa: E402 (needs torch)

from distill.network import Student, destandardise  # noqa: E402 (needs torch)


def fresh(name: str = "tiny") -> Student:
    """A student whose batch norms have statistics worth folding."""
    torch.manual_seed(0)
    student = students.build(students.architecture(name)).train()
    with torch.no_grad():
        for _ in range(3):
            student.sequence(0.1 * torch.randn(2, 16_000))
    for module in student.modules():
        if isinstance(module, torch.nn.BatchNorm1d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.uniform_(module.bias, -0.5, 0.5)
    return student.eval()


@pytest.fixture(scope="module")
def tiny() -> Student:
    return fresh()


@pytest.mark.parametrize(("name", "least", "most"), [("tiny", 0.2e6, 0.3e6), ("small", 2.7e6, 3.3e6)])
def test_size_and_timing(name: str, least: float, most: float) -> None:
    shape = students.architecture(name)
    count = sum(parameter.numel() for parameter in students.build(shape).parameters())
    assert least <= count <= most
    assert (shape.window, shape.hop, shape.frame_rate, shape.look_ahead_ms) == (8192, 320, 50.0, 256.0)


@pytest.mark.parametrize("name", ["tiny", "small"])
def test_window_form_equals_sequence_form(name: str) -> None:
    student = fresh(name)
    audio = 0.1 * torch.randn(2, 8192 + 320 * 6 + 100)
    with torch.no_grad():
        sequence = student.sequence(audio)
        windows = torch.stack([student(audio[:, k * 320 : k * 320 + 8192]) for k in range(7)], dim=1)
    assert sequence.shape == (2, 7, 52)
    # float32 sums of up to 400 products in another order
    torch.testing.assert_close(sequence, windows, rtol=1e-4, atol=1e-5)


def test_the_window_is_exactly_what_a_frame_sees(tiny: Student) -> None:
    audio = (0.1 * torch.randn(1, 8192)).requires_grad_()
    tiny(audio).sum().backward()
    assert audio.grad is not None
    assert audio.grad[0, 0] != 0
    assert audio.grad[0, -1] != 0
    with pytest.raises(RuntimeError):
        tiny(torch.zeros(1, 8191))


@pytest.mark.parametrize("samples", [1, 320, 5000, 24000])
def test_predict_equals_one_window_a_frame(tiny: Student, samples: int) -> None:
    audio = np.random.default_rng(0).normal(0, 0.1, samples).astype(np.float32)

    def run_window(windows: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return tiny(torch.from_numpy(windows)).numpy()

    expected = curves.frames(audio, run_window, 8192)
    np.testing.assert_allclose(students.predict(tiny, audio), expected, rtol=1e-4, atol=1e-5)  # float32 sums


def test_destandardise_is_the_affine_map(tiny: Student) -> None:
    student = fresh()
    audio = 0.1 * torch.randn(3, 8192)
    mean, deviation = torch.rand(52), torch.rand(52)
    deviation[5] = 0  # a control that never moves
    with torch.no_grad():
        expected = tiny(audio) * deviation + mean
        destandardise(student, mean, deviation)
        torch.testing.assert_close(student(audio), expected, rtol=1e-5, atol=1e-5)
        assert (student(audio)[:, 5] == mean[5]).all()


def test_round_trip(tiny: Student, tmp_path: Path) -> None:
    students.save(tiny, tmp_path / "s", training={"steps": 7})
    student, (window,), metadata = students.load(tmp_path / "s")
    assert window.shape == (1, 8192)
    assert not student.training
    audio = 0.1 * torch.randn(2, 8192)
    with torch.no_grad():
        assert torch.equal(student(audio), tiny(audio))
    face = Face.from_metadata(metadata, "test")
    assert face == Face(16000, 50.0, 8192, 256.0, ARKIT)
    assert metadata == face.to_metadata()
    assert json.loads((tmp_path / "s" / "student.json").read_text())["metadata"] == metadata
    assert sorted(path.name for path in (tmp_path / "s").iterdir()) == ["student.json", "student.safetensors"]


def test_saving_twice_gives_equal_bytes(tiny: Student, tmp_path: Path) -> None:
    for name in ("a", "b"):
        students.save(tiny, tmp_path / name)
    for file in ("student.json", "student.safetensors"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_half_precision_weights_load_as_float32(tiny: Student, tmp_path: Path) -> None:
    students.save(tiny, tmp_path / "s")
    path = tmp_path / "s" / "student.safetensors"
    save_file({name: tensor.half() for name, tensor in load_file(path).items()}, path)
    student, _, _ = students.load(tmp_path / "s")
    assert {parameter.dtype for parameter in student.parameters()} == {torch.float32}


def test_nan_is_not_saved_and_nothing_is_overwritten(tmp_path: Path) -> None:
    good, bad = fresh(), fresh()
    students.save(good, tmp_path / "s")
    before = (tmp_path / "s" / "student.safetensors").read_bytes()
    with torch.no_grad():
        bad.head.bias[3] = float("nan")
    with pytest.raises(UserError, match=r"head\.bias.*NaN"):
        students.save(bad, tmp_path / "s")
    assert (tmp_path / "s" / "student.safetensors").read_bytes() == before


def test_an_unknown_architecture_lists_the_known() -> None:
    with pytest.raises(UserError, match=r"unknown architecture 'huge'.*small, tiny"):
        students.architecture("huge")


def change(folder: Path, **facts: object) -> None:
    path = folder / "student.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | facts))


def weights(folder: Path, name: str, tensor: torch.Tensor | None) -> None:
    path = folder / "student.safetensors"
    tensors = load_file(path)
    if tensor is None:
        del tensors[name]
    else:
        tensors[name] = tensor
    save_file(tensors, path)


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (lambda f: (f / "student.json").unlink(), "not a student folder"),
        (lambda f: (f / "student.json").write_text("{"), "is not JSON"),
        (lambda f: (f / "student.json").write_text("[]"), "not a 'phiz student 1'"),
        (lambda f: change(f, format="other"), "not a 'phiz student 1'"),
        (lambda f: change(f, architecture="huge"), "unknown architecture 'huge'"),
        (lambda f: change(f, controls=["a"] * 52), "must list 1 to 2048 different names"),
        (lambda f: change(f, controls=list(range(52))), "must list 1 to 2048 different names"),
        (lambda f: change(f, controls=[]), "must list 1 to 2048 different names"),
        (lambda f: change(f, controls=[str(k) for k in range(2049)]), "must list 1 to 2048 different names"),
        (
            lambda f: change(f, controls=["a", "b"]),
            r"'head\.weight' has shape \[52, 80\]; expected \[2, 80\]",
        ),
        (lambda f: change(f, look_ahead_ms=300), "cannot look 300 ms ahead; choose 0 to 256"),
        (lambda f: change(f, look_ahead_ms=10**400), "ms ahead; choose 0 to 256"),
        (lambda f: change(f, look_ahead_ms=float("nan")), "cannot look nan ms ahead"),
        (lambda f: change(f, look_ahead_ms=True), "'look_ahead_ms' must be a number"),
        (lambda f: change(f, bounded="no"), "'bounded' must be true or false"),
        (
            lambda f: change(f, architecture="small"),
            r"'front\.0\.convolution\.weight' has shape \[16, 1, 22\]; expected",
        ),
        (lambda f: (f / "student.safetensors").unlink(), "weights are missing"),
        (lambda f: (f / "student.safetensors").write_bytes(b"x" * 99), "not a safetensors file"),
        (lambda f: (f / "student.safetensors").write_bytes(b"\xff" * 8 + b"{}"), "not a safetensors file"),
        (lambda f: weights(f, "head.bias", None), r"'head\.bias' is missing; expected shape \[52\]"),
        (lambda f: weights(f, "head.bias", torch.zeros(51)), r"'head\.bias' has shape \[51\]; expected \[52\]"),
        (lambda f: weights(f, "head.bias", torch.full((52,), np.inf)), r"'head\.bias' has NaN or infinite"),
        (lambda f: weights(f, "hidden.0.weight", torch.full((80, 80), np.nan)), r"'hidden\.0\.weight' has NaN"),
        (lambda f: weights(f, "extra", torch.zeros(1)), "'extra' is not part"),
    ],
)
def test_damaged_folders(tiny: Student, tmp_path: Path, damage, complaint: str) -> None:  # type: ignore[no-untyped-def]
    students.save(tiny, tmp_path / "s")
    damage(tmp_path / "s")
    with pytest.raises(UserError, match=complaint):
        students.load(tmp_path / "s")


def test_importing_students_does_not_import_torch() -> None:
    import subprocess
    import sys

    code = (
        "import sys, distill.students, distill.labels, distill.curves, distill.evaluate; print('torch' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert run.stdout.strip() == "False"


def test_a_student_without_torch_names_the_pip_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    students.save(fresh(), tmp_path / "s")
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingExtra, match=r"pip install 'phiz\[torch\]'"):
        students.load(tmp_path / "s")
