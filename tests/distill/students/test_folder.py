"""Students: their shape, their two forms, the folder that holds them, and every way in which it can be wrong."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest

from compile.errors import Bug, MissingExtra, UserError
from distill.controls import ARKIT
from distill.rigs import Rig
from distill.students import folder as students
from distill.training import losses
from distill.training.batches import Span
from targets.face import Face

torch = pytest.importorskip("torch")
from safetensors.torch import load_file, save_file  # noqa: E402 (needs torch)

from distill.students.network import Student, destandardise, drive, standardise  # noqa: E402 (needs torch)

pytestmark = pytest.mark.usefixtures("one_thread")


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


TINY_SIZE, SMALL_SIZE = (0.2e6, 0.3e6), (2.4e6, 3.3e6)


@pytest.mark.parametrize(
    ("name", "size", "look_ahead"),
    [
        ("small", SMALL_SIZE, 256),
        ("tiny", TINY_SIZE, 256),
        ("low-latency", SMALL_SIZE, 64),
        ("tiny-low-latency", TINY_SIZE, 64),
        ("small-mel", SMALL_SIZE, 256),
        ("tiny-mel", TINY_SIZE, 256),
        ("reference", (0.8e6, 0.9e6), 256),
    ],
)
def test_size_and_timing(name: str, size: tuple[float, float], look_ahead: float) -> None:
    shape = students.architecture(name)
    count = sum(parameter.numel() for parameter in students.build(shape).parameters())
    assert size[0] <= count <= size[1]
    window = 7936 if shape.front == "mel" else 8192  # log-mels of 16 ms, a hundred a second, do not make 512 ms
    assert (shape.window, shape.hop, shape.frame_rate, shape.look_ahead_ms) == (window, 320, 50.0, look_ahead)
    assert shape.past == window - 16 * look_ahead
    steps = np.cumprod(shape.strides)
    assert not (320 % steps).any()  # a stream computes each hop with a whole number of steps of every layer


def test_mels_leave_the_rest_alone() -> None:
    for name in ("tiny", "small"):
        raw, mel = (students.build(students.architecture(row)) for row in (name, f"{name}-mel"))
        for part in ("trunk", "hidden", "head"):
            shapes = [[weight.shape for weight in getattr(student, part).parameters()] for student in (raw, mel)]
            assert shapes[0] == shapes[1]
        assert {key for key, _ in mel.front[0].named_parameters()} == {"norm.weight", "norm.bias"}  # the rest is fixed


@pytest.mark.parametrize("name", students.ARCHITECTURES)
def test_window_form_equals_sequence_form(name: str) -> None:
    student = fresh(name)
    window = student.architecture.window
    audio = 0.1 * torch.randn(2, window + 320 * 6 + 100)
    with torch.no_grad():
        sequence, features = student.features(audio)
        windows = torch.stack([student(audio[:, k * 320 : k * 320 + window]) for k in range(7)], dim=1)
    assert sequence.shape == (2, 7, 52)
    assert features.shape == (2, 7, student.architecture.width)
    # float32 sums of up to 400 products in another order
    torch.testing.assert_close(sequence, windows, rtol=1e-4, atol=2e-5)
    torch.testing.assert_close(student.head(features), sequence)


@pytest.mark.parametrize("milliseconds", [0, 32, 64, 100.0625, 256])
def test_look_ahead_moves_the_window_in_time(milliseconds: float) -> None:
    shape = students.architecture("tiny", milliseconds)
    assert shape.look_ahead == milliseconds * 16
    assert shape.window == 8192
    # Of a click at sample 9600, the first frame that hears it is the first at most look-ahead before it; a frame's
    # window ends before the sample at its time plus look-ahead.
    torch.manual_seed(0)
    student = students.build(shape).eval()
    silence, click = np.zeros((2, 24_000), np.float32)
    click[9600] = 1
    heard = np.abs(students.predict(student, click) - students.predict(student, silence)).max(1) > 0
    times = np.arange(len(heard)) * 320
    inside = (times + shape.look_ahead > 9600) & (times - shape.past <= 9600)
    assert not heard[~inside].any()
    assert heard[inside][:3].any()


@pytest.mark.parametrize("milliseconds", [-1, 256.0625, 64.03, float("nan"), float("inf"), 10**400])
def test_other_look_aheads_are_refused(milliseconds: float) -> None:
    with pytest.raises(UserError, match=r"cannot look .* ms ahead; choose 0 to 256 ms in steps of 0\.0625 ms"):
        students.architecture("tiny", milliseconds)


def test_a_part_of_a_batch_is_what_the_student_would_have_heard() -> None:
    """A batch for two students holds each one's frames at the same times, or where both have heard the same."""
    early, late = (students.architecture("tiny", milliseconds) for milliseconds in (32, 256))
    torch.manual_seed(0)
    student, guide = students.build(early).eval(), students.build(late).eval()
    audio = 0.1 * np.random.default_rng(0).standard_normal(32_000).astype(np.float32)
    for alignment in ("face", "heard"):
        past, future = losses.reach(early, late, alignment)
        span, start = Span(10, past, future), 40 * 320  # of the first frame
        batch = torch.from_numpy(audio[None, start - past : start + 9 * 320 + future])
        shift = losses.lead(early, late, alignment)
        assert shift == {"face": 0, "heard": (32 - 256) * 16}[alignment]
        with torch.no_grad():
            ours = student.features(student.slice_of(batch, span))[0][0]
            theirs = guide.features(guide.slice_of(batch, span, shift))[0][0]
        full = [student.sequence(window(audio, start + k * 320, early)) for k in range(10)]
        torch.testing.assert_close(ours, torch.cat(full)[:, 0], rtol=1e-4, atol=1e-5)
        full = [guide.sequence(window(audio, start + k * 320 + shift, late)) for k in range(10)]
        torch.testing.assert_close(theirs, torch.cat(full)[:, 0], rtol=1e-4, atol=1e-5)
        with pytest.raises(Bug, match="lacks"):
            guide.slice_of(batch, Span(11, past, future), shift)


def window(audio: np.ndarray, time: int, shape: students.Architecture) -> torch.Tensor:
    """What a student hears of the frame at sample ``time``."""
    return torch.from_numpy(audio[None, time - shape.past : time + shape.look_ahead])


def test_the_window_is_exactly_what_a_frame_sees(tiny: Student) -> None:
    audio = (0.1 * torch.randn(1, 8192)).requires_grad_()
    tiny(audio).sum().backward()
    assert audio.grad is not None
    assert audio.grad[0, 0] != 0
    assert audio.grad[0, -1] != 0
    with pytest.raises(RuntimeError):
        tiny(torch.zeros(1, 8191))


@pytest.mark.parametrize("samples", [1, 320, 9000])
@pytest.mark.parametrize("ensemble", [False, True])
@pytest.mark.parametrize(("look_ahead", "rate"), [(256, None), (64, 50.0), (0, None), (64, 24.0)])
def test_predict_equals_one_window_a_frame(samples: int, ensemble: bool, look_ahead: float, rate: float | None) -> None:
    shape = students.architecture("tiny", look_ahead)
    torch.manual_seed(0)
    student = students.build(shape).eval()
    audio = np.random.default_rng(0).normal(0, 0.1, samples).astype(np.float32)
    result = students.predict(student, audio, frame_rate=rate, ensemble=ensemble)
    long = np.concatenate((np.zeros(9000), audio, np.zeros(9000))).astype(np.float32)
    shifts = (-267, 0, 267) if ensemble else (0,)  # 16.7 ms
    with torch.no_grad():
        expected = [
            torch.stack([student(window(long, 9000 + time + shift, shape)) for shift in shifts]).mean(0).clamp(0, 1)[0]
            for time in (round(k * 16_000 / (rate or 50)) for k in range(1000))
            if time < samples
        ]
    np.testing.assert_allclose(result, torch.stack(expected).numpy(), rtol=1e-4, atol=1e-5)  # float32 sums


def test_an_hour_is_predicted_in_pieces(tiny: Student, monkeypatch: pytest.MonkeyPatch) -> None:
    audio = np.random.default_rng(0).normal(0, 0.1, 24_000).astype(np.float32)
    whole = students.predict(tiny, audio)
    monkeypatch.setattr(students, "BLOCK", 7)
    longest = 0

    def sequence(sound: torch.Tensor) -> torch.Tensor:
        nonlocal longest
        longest = max(longest, sound.shape[1])
        return Student.sequence(tiny, sound)

    monkeypatch.setattr(tiny, "sequence", sequence)
    np.testing.assert_allclose(students.predict(tiny, audio), whole, atol=1e-5)  # float32 sums
    assert longest == 8192 + 6 * 320


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


def test_standardise_undoes_it(tiny: Student) -> None:
    student = fresh()
    mean, deviation = torch.rand(52), torch.rand(52) + 0.1
    deviation[5] = 0
    audio = 0.1 * torch.randn(3, 8192)
    with torch.no_grad():
        destandardise(student, mean, deviation)
        standardise(student, mean, deviation)
        expected = tiny(audio)
        expected[:, 5] = 0  # nothing was left of it
        torch.testing.assert_close(student(audio), expected, rtol=1e-4, atol=1e-5)


def test_a_student_of_one_rig_drives_another(tiny: Student) -> None:
    rng = np.random.default_rng(0)
    matrix, offset = rng.normal(size=(5, 52)).astype(np.float32), rng.normal(size=5).astype(np.float32)
    rig = Rig("five", tuple("abcde"), matrix, offset, bounded=False)
    driven = drive(tiny, rig)
    audio = 0.1 * torch.randn(3, 8192)
    with torch.no_grad():
        expected = tiny(audio).double() @ torch.from_numpy(matrix).double().T + torch.from_numpy(offset).double()
        torch.testing.assert_close(driven(audio).double(), expected, rtol=1e-4, atol=1e-4)  # float32 sums of 80
    assert not driven.training
    assert driven.architecture.outputs == 5
    assert not driven.architecture.bounded


@pytest.mark.parametrize("half", [False, True])
def test_a_rig_s_student_round_trips(tmp_path: Path, half: bool) -> None:
    rig = Rig("two", ("left", "right"), np.zeros((2, 52), np.float32), np.zeros(2, np.float32), bounded=False)
    shape = students.fitted(students.architecture("tiny-low-latency", 32), rig)
    torch.manual_seed(0)
    saved = students.build(shape).eval()
    students.save(saved, tmp_path / "s", controls=rig.controls, half=half)
    student, _, metadata = students.load(tmp_path / "s")
    assert student.architecture == shape
    assert Face.from_metadata(metadata, "test") == Face(16000, 50.0, 8192, 32.0, ("left", "right"), bounded=False)
    assert metadata == Face.from_metadata(metadata, "test").to_metadata()
    for name, tensor in saved.state_dict().items():
        expected = tensor.half().float() if half and tensor.is_floating_point() else tensor
        if not name.endswith("num_batches_tracked"):
            assert torch.equal(student.state_dict()[name], expected)
    with torch.no_grad():
        student.head.bias += 5
    curves = students.predict(student, np.zeros(1000, np.float32))
    assert curves.shape == (4, 2)
    assert curves.min() > 1  # not clipped


def test_a_weight_that_is_no_float16_is_refused(tmp_path: Path) -> None:
    student = fresh()
    with torch.no_grad():
        student.head.bias[3] = 1e6
    with pytest.raises(UserError, match=r"'head\.bias' has NaN or infinite"):
        students.save(student, tmp_path / "s", half=True)
    assert not (tmp_path / "s").exists()


def test_students_of_before_know_their_look_ahead(tiny: Student, tmp_path: Path) -> None:
    students.save(tiny, tmp_path / "s")
    path = tmp_path / "s" / "student.json"
    facts = json.loads(path.read_text())
    del facts["look_ahead_ms"], facts["bounded"]
    path.write_text(json.dumps(facts))
    assert students.load(tmp_path / "s")[0].architecture == tiny.architecture


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
        (
            lambda f: (f / "student.safetensors").unlink(),
            r"student\.safetensors: there is no such file; train the student again",
        ),
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

    modules = "sys, distill.students.folder, distill.labels.cache, distill.curves, distill.evaluate"
    code = f"import {modules}; print('torch' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert run.stdout.strip() == "False"


def test_a_student_without_torch_names_the_pip_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    students.save(fresh(), tmp_path / "s")
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingExtra, match=r"pip install 'phiz\[torch\]'"):
        students.load(tmp_path / "s")


def test_facts_are_no_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / students.FACTS)
    with pytest.raises(UserError, match="it is no file"):
        students.read_facts(tmp_path)
