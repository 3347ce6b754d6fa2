"""The training loop learns, repeats itself, and resumes bit for bit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from compile.errors import UserError
from distill import batches, loop, losses, students, train
from distill.labels import Labels
from distill.loop import Step
from distill.stage import Recipe

torch = pytest.importorskip("torch")

TINY = students.architecture("tiny")
QUICK = Recipe(steps=6, batch=2, frames=20, warm_up=2, checkpoint_every=2)


@pytest.fixture(autouse=True)
def one_thread():  # type: ignore[no-untyped-def]
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def weights(folder: Path) -> bytes:
    return (folder / "student.safetensors").read_bytes()


def test_equal_inputs_give_equal_students(labelled: Labels, tmp_path: Path) -> None:
    for name in ("a", "b"):
        train.train(labelled, TINY, QUICK, tmp_path / name)
    assert weights(tmp_path / "a") == weights(tmp_path / "b")
    train.train(labelled, TINY, replace(QUICK, seed=1), tmp_path / "c")
    assert weights(tmp_path / "a") != weights(tmp_path / "c")


def test_an_interrupted_run_resumes_bit_for_bit(labelled: Labels, tmp_path: Path) -> None:
    train.train(labelled, TINY, QUICK, tmp_path / "whole")
    seen: list[int] = []

    def interrupt(step: Step) -> None:
        seen.append(step.done)
        if len(seen) == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train.train(labelled, TINY, QUICK, tmp_path / "halves", interrupt)
    assert not (tmp_path / "halves").exists()
    torch.manual_seed(99)  # the state of the process must not matter
    train.train(labelled, TINY, QUICK, tmp_path / "halves", interrupt)
    assert seen == [1, 2, 3, 4, 5, 5, 6]  # the last checkpoint was at step 4
    assert weights(tmp_path / "halves") == weights(tmp_path / "whole")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["halves", "whole"]  # no checkpoint is left


def test_a_checkpoint_of_another_run_is_refused(labelled: Labels, tmp_path: Path) -> None:
    def interrupt(step: Step) -> None:
        if step.done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train.train(labelled, TINY, QUICK, tmp_path / "s", interrupt)
    with pytest.raises(UserError, match="another run"):
        train.train(labelled, TINY, replace(QUICK, batch=3), tmp_path / "s")
    (tmp_path / "s.training" / loop.CHECKPOINT).write_bytes(b"garbage")
    with pytest.raises(UserError, match="not a checkpoint"):
        train.train(labelled, TINY, QUICK, tmp_path / "s")


def test_the_student_learns_what_it_hears(labelled: Labels, tmp_path: Path) -> None:
    entry = labelled.split()[0]
    one = replace(labelled, entries=(entry,))
    recipe = Recipe(
        steps=90, batch=4, frames=50, warm_up=10, speed=(1.0, 1.0), gain_db=(0.0, 0.0), noise_db=(60.0, 60.0), quiet=0.0
    )
    steps: list[Step] = []
    student = train.train(one, TINY, recipe, tmp_path / "s", steps.append)
    assert steps[-1].loss < 0.5 * steps[0].loss
    audio, curves = one.arrays(entry)
    padded = np.pad(audio.astype(np.float32) / 32767, (4096, 4096 + 320))
    with torch.no_grad():
        heard = student.sequence(torch.from_numpy(padded)[None])[0, : len(curves)].numpy()
    moving = curves.std(axis=0) > 1e-3
    fit = 1 - np.mean((heard - curves)[:, moving] ** 2) / np.mean((curves - curves.mean(axis=0))[:, moving] ** 2)
    assert fit > 0.5  # an untrained student is at 0 or below
    still = ~moving
    np.testing.assert_allclose(
        heard[:, still], np.broadcast_to(curves.mean(axis=0)[still], heard[:, still].shape), atol=1e-6
    )


def test_a_time_limit_ends_the_schedule_early(labelled: Labels, tmp_path: Path) -> None:
    steps: list[Step] = []
    train.train(labelled, TINY, replace(QUICK, steps=100_000, time_limit=1.0), tmp_path / "s", steps.append)
    assert 1 <= steps[-1].done < 1000
    students.load(tmp_path / "s")


def test_a_batch_is_a_function_of_its_step(labelled: Labels) -> None:
    plain = Recipe(batch=4, frames=30, speed=(1.0, 1.0), gain_db=(0, 0), noise_db=(90, 90), quiet=0)
    stream = batches.gather(labelled, TINY, plain)
    audio, curves = stream.batch(0, plain)
    assert audio.shape == (4, 8192 + 29 * 320)
    assert curves.shape == (4, 30, 52)
    same, _ = stream.batch(0, plain)
    np.testing.assert_array_equal(audio, same)
    assert not np.array_equal(audio, stream.batch(1, plain)[0])


def test_sound_and_face_stay_together(labelled: Labels) -> None:
    recipe = Recipe(batch=8, frames=30, speed=(1.0, 1.0), gain_db=(0, 0), noise_db=(90, 90), quiet=0)
    stream = batches.gather(labelled, TINY, recipe)
    clicks, marks = np.zeros_like(stream.audio), np.zeros_like(stream.curves)
    for frame in range(0, len(marks), 7):
        clicks[4096 + frame * 320] = 30000  # half a window of past lies before frame 0
        marks[frame] = 1
    audio, curves = replace(stream, audio=clicks, curves=marks).batch(0, recipe)
    at_frames = np.abs(audio[:, 4096 : 4096 + 30 * 320 : 320]) > 0.1
    np.testing.assert_array_equal(at_frames, curves[:, :, 0] > 0.5)
    assert at_frames.sum() > 20


def test_quiet_batches_rest(labelled: Labels) -> None:
    recipe = Recipe(batch=4, frames=30, quiet=1.0)
    audio, curves = batches.gather(labelled, TINY, recipe).batch(0, recipe)
    assert curves.max() == 0
    assert np.abs(audio).max() < 0.01


def test_faster_playback_raises_pitch_and_moves_labels(labelled: Labels) -> None:
    recipe = Recipe(batch=1, frames=30, speed=(2.0, 2.0), gain_db=(0, 0), noise_db=(90, 90), quiet=0)
    stream = batches.gather(labelled, TINY, recipe)
    tone = np.sin(2 * np.pi * 500 * np.arange(len(stream.audio)) / 16000)
    ramp = np.repeat(np.arange(len(stream.curves), dtype=np.float32)[:, None], 52, axis=1)
    marked = replace(stream, audio=(tone * 8000).astype(np.int16), curves=ramp)
    audio, curves = marked.batch(0, recipe)
    spectrum = np.abs(np.fft.rfft(audio[0] * np.hanning(audio.shape[1])))
    assert spectrum.argmax() * 16000 / audio.shape[1] == pytest.approx(1000, abs=2)
    np.testing.assert_allclose(np.diff(curves[0, :, 0]), 2, atol=1e-3)


def test_nothing_to_train_on(labelled: Labels, tmp_path: Path) -> None:
    held = replace(labelled, entries=labelled.split("held-out"))
    with pytest.raises(UserError, match="nothing to train on"):
        train.train(held, TINY, QUICK, tmp_path / "s")
    with pytest.raises(UserError, match="51 controls"):
        train.train(replace(labelled, controls=labelled.controls[1:]), TINY, QUICK, tmp_path / "s")


def test_the_loss_by_a_second_formula() -> None:
    rng = np.random.default_rng(0)
    prediction, target = rng.normal(size=(2, 3, 5, 4)).astype(np.float32)
    closed = rng.random((3, 5)).astype(np.float32)
    total = pace = 0.0
    for b in range(3):
        for f in range(5):
            weight = 1 + 3 * closed[b, f]
            for c in range(4):
                error = prediction[b, f, c] - target[b, f, c]
                total += weight * error**2 / (3 * 5 * 4)
                if f:
                    before = prediction[b, f - 1, c] - target[b, f - 1, c]
                    pace += weight * (error - before) ** 2 / (3 * 4 * 4)
    ours = losses.loss(
        torch.from_numpy(prediction), torch.from_numpy(target), torch.from_numpy(closed), losses.Weights(2.0, 3.0)
    )
    assert float(ours) == pytest.approx(total + 2 * pace, rel=1e-5)  # float32 against float64
