"""Training learns, repeats itself, resumes bit for bit, learns from a guide, and goes on from a trained student."""

from __future__ import annotations

import json
import resource
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from compile.errors import UserError
from distill import rigs
from distill.augment.presets import Augmentation
from distill.controls import ARKIT
from distill.labels.cache import Labels
from distill.students import folder as students
from distill.training import loop, losses, train
from distill.training.batches import Batch, Speech
from distill.training.loop import Step
from distill.training.stage import Recipe, Stage

torch = pytest.importorskip("torch")

pytestmark = pytest.mark.usefixtures("one_thread")

QUICK = Recipe(steps=6, batch=2, frames=20, warm_up=2, checkpoint_every=2, augmentation=Augmentation(noise=1))


def stage(folder: Path, **changes: object) -> Stage:
    return Stage(folder.name, folder, recipe=replace(QUICK, **changes))  # type: ignore[arg-type]  # fields of Recipe


def weights(folder: Path) -> bytes:
    return (folder / "student.safetensors").read_bytes()


def interrupt_at(number: int, seen: list[int] | None = None):  # type: ignore[no-untyped-def]
    def progress(step: Step) -> None:
        if seen is not None:
            seen.append(step.done)
        if step.done == number:
            raise KeyboardInterrupt

    return progress


def test_equal_inputs_give_equal_students(labelled: Labels, tmp_path: Path) -> None:
    for name in ("a", "b"):
        train.train([labelled], stage(tmp_path / name))
    assert weights(tmp_path / "a") == weights(tmp_path / "b")
    train.train([labelled], stage(tmp_path / "c", seed=1))
    assert weights(tmp_path / "a") != weights(tmp_path / "c")


@pytest.mark.parametrize("ema", [None, 0.9], ids=["plain", "averaged"])
def test_an_interrupted_run_resumes_bit_for_bit(labelled: Labels, tmp_path: Path, ema: float | None) -> None:
    train.train([labelled], stage(tmp_path / "whole", ema=ema))
    seen: list[int] = []
    with pytest.raises(KeyboardInterrupt):
        train.train([labelled], stage(tmp_path / "halves", ema=ema), progress=interrupt_at(5, seen))
    assert not (tmp_path / "halves").exists()
    torch.manual_seed(99)  # the state of the process must not matter
    train.train([labelled], stage(tmp_path / "halves", ema=ema), progress=lambda step: seen.append(step.done))
    assert seen == [1, 2, 3, 4, 5, 5, 6]  # the last checkpoint was at step 4
    assert weights(tmp_path / "halves") == weights(tmp_path / "whole")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["halves", "whole"]  # no checkpoint is left


def test_how_often_is_looked_and_kept_changes_nothing(labelled: Labels, tmp_path: Path) -> None:
    train.train([labelled], stage(tmp_path / "a"))
    looks: list[Step] = []
    train.train([labelled], stage(tmp_path / "b", evaluate_every=2, checkpoint_every=3), progress=looks.append)
    assert weights(tmp_path / "a") == weights(tmp_path / "b")
    assert [step.judged for step in looks] == [0, 2, 2, 4, 4, 6]
    assert looks[-1].held_out.keys() == {"loss", "R2", "closure"}
    assert train.is_finished([labelled], stage(tmp_path / "a", evaluate_every=5))


def test_a_checkpoint_of_another_run_is_refused(labelled: Labels, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        train.train([labelled], stage(tmp_path / "s"), progress=interrupt_at(3))
    with pytest.raises(UserError, match="another run: its batch, learning_rate differ"):
        train.train([labelled], stage(tmp_path / "s", batch=3, learning_rate=1e-3))
    fewer = replace(labelled, entries=labelled.entries[1:])  # the folder has changed meanwhile
    with pytest.raises(UserError, match="another run: its labels differ"):
        train.train([fewer], stage(tmp_path / "s"))
    (tmp_path / "s.training" / loop.CHECKPOINT).write_bytes(b"garbage")
    with pytest.raises(UserError, match="not a checkpoint"):
        train.train([labelled], stage(tmp_path / "s"))


def test_a_full_disk_keeps_the_last_checkpoint(labelled: Labels, tmp_path: Path) -> None:
    train.train([labelled], stage(tmp_path / "whole"))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill_the_disk(step: Step) -> None:
        if step.done == 2:  # the checkpoint of step 2 is there; that of step 4 will be too large
            resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))

    try:
        with pytest.raises(UserError, match="cannot write: File too large") as failure:
            train.train([labelled], stage(tmp_path / "s"), progress=fill_the_disk)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert loop.CHECKPOINT in str(failure.value)
    assert [path.name for path in (tmp_path / "s.training").iterdir()] == [loop.CHECKPOINT]
    seen: list[int] = []
    train.train([labelled], stage(tmp_path / "s"), progress=lambda step: seen.append(step.done))
    assert seen == [3, 4, 5, 6]
    assert weights(tmp_path / "s") == weights(tmp_path / "whole")


def test_a_loss_that_is_no_number_keeps_the_last_checkpoint(
    labelled: Labels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train.train([labelled], stage(tmp_path / "whole"))
    honest = Speech.batch

    def spoilt(speech: Speech, step: int) -> Batch:
        batch = honest(speech, step)
        if step == 2:
            batch.audio[0, 4000] = np.nan
        return batch

    monkeypatch.setattr(Speech, "batch", spoilt)
    with pytest.raises(UserError, match=r"NaN or infinite at step 3: value, velocity, .*gradient"):
        train.train([labelled], stage(tmp_path / "s"))
    monkeypatch.undo()
    seen: list[int] = []
    train.train([labelled], stage(tmp_path / "s"), progress=lambda step: seen.append(step.done))
    assert seen == [3, 4, 5, 6]
    assert weights(tmp_path / "s") == weights(tmp_path / "whole")


def test_a_label_that_is_no_number_is_named(labelled: Labels, tmp_path: Path) -> None:
    folder = tmp_path / "labels"
    shutil.copytree(labelled.folder, folder)
    spoilt = replace(labelled, folder=folder)
    entry = spoilt.split()[1]
    (path,) = folder.rglob(f"{entry.key}.npz")
    with np.load(path) as file:
        arrays = dict(file)
    arrays["curves"][3, 7] = np.nan
    np.savez(path, **arrays)
    with pytest.raises(UserError, match=f"{entry.key}.npz: the curves of '{entry.source}' have NaN"):
        train.train([spoilt], stage(tmp_path / "s"))
    path.unlink()
    with pytest.raises(UserError, match=f"{entry.key}.npz: "):
        train.train([spoilt], stage(tmp_path / "s"))


def test_the_student_learns_what_it_hears(labelled: Labels, tmp_path: Path) -> None:
    entry = labelled.split()[0]
    one = replace(labelled, entries=(entry,))
    still = Stage("s", tmp_path / "s", recipe=Recipe(steps=90, batch=4, frames=50, warm_up=10, augmentation=PLAIN))
    steps: list[Step] = []
    student = train.train([one], still, progress=steps.append)
    assert steps[-1].loss < 0.5 * steps[0].loss
    assert steps[-1].loss == pytest.approx(sum(steps[-1].terms.values()))
    audio, curves = one.arrays(entry)
    heard = students.predict(student, audio.astype(np.float32) / 32767)
    moving = curves.std(axis=0) > 1e-3
    fit = 1 - np.mean((heard - curves)[:, moving] ** 2) / np.mean((curves - curves.mean(axis=0))[:, moving] ** 2)
    assert fit > 0.5  # an untrained student is at 0 or below
    rest = np.broadcast_to(curves.mean(axis=0)[~moving], heard[:, ~moving].shape)
    np.testing.assert_allclose(heard[:, ~moving], rest, atol=1e-6)


PLAIN = Augmentation()


def test_a_time_limit_ends_the_schedule_early(labelled: Labels, tmp_path: Path) -> None:
    steps: list[Step] = []
    train.train([labelled], stage(tmp_path / "s", steps=100_000, time_limit=1.0), progress=steps.append)
    assert 1 <= steps[-1].done < 1000
    assert steps[-1].rate < steps[0].rate or steps[-1].done < 3
    students.load(tmp_path / "s")


def test_a_guide_is_listened_to_and_left_alone(labelled: Labels, tmp_path: Path) -> None:
    train.train([labelled], replace(stage(tmp_path / "guide"), student="low-latency"))
    before = weights(tmp_path / "guide")
    second = replace(stage(tmp_path / "s", weights=losses.Weights(feature=1.0)), guide=str(tmp_path / "guide"))
    steps: list[Step] = []
    train.train([labelled], second, progress=steps.append)
    assert steps[0].terms.keys() == {"value", "velocity", "closure", "feature"}
    assert all(step.terms["feature"] > 0 for step in steps)
    assert weights(tmp_path / "guide") == before
    names = students.load(tmp_path / "s")[0].state_dict().keys()
    assert not any("projection" in name for name in names)
    assert train.is_finished([labelled], second)
    train.train([labelled], stage(tmp_path / "alone"))
    assert weights(tmp_path / "alone") != weights(tmp_path / "s")
    with pytest.raises(KeyboardInterrupt):  # the projection is a part of the checkpoint
        train.train([labelled], replace(second, out=tmp_path / "t"), progress=interrupt_at(5))
    train.train([labelled], replace(second, out=tmp_path / "t"))
    assert weights(tmp_path / "t") == weights(tmp_path / "s")
    train.train([labelled], replace(stage(tmp_path / "guide", seed=1), student="low-latency"))
    assert not train.is_finished([labelled], second)  # it had another guide


def test_going_on_from_a_trained_student(labelled: Labels, tmp_path: Path) -> None:
    first = train.train([labelled], stage(tmp_path / "first"))
    timid = replace(stage(tmp_path / "more", learning_rate=1e-9, steps=2), init=str(tmp_path / "first"))
    more = train.train([labelled], timid)
    for name, tensor in first.state_dict().items():
        if "running" not in name and "tracked" not in name:  # batch norms see two batches more
            np.testing.assert_allclose(more.state_dict()[name], tensor, atol=1e-6, err_msg=name)
    with pytest.raises(UserError, match="look-ahead and 52 controls; the stage 'other' trains 'tiny' with"):
        train.train([labelled], replace(timid, name="other", out=tmp_path / "other", look_ahead=64.0))


def test_a_rig_gives_the_student_its_controls(labelled: Labels, tmp_path: Path) -> None:
    path = tmp_path / "rig.json"
    controls = {"drop": {"jawOpen": 2.0, "mouthClose": -0.5}, "still": {"browInnerUp": 1.0}, "press": {"mouthClose": 1}}
    path.write_text(json.dumps({"format": rigs.FORMAT, "name": "hero", "bounded": False, "controls": controls}))
    student = train.train([labelled], replace(stage(tmp_path / "s"), rig=path))
    assert student.architecture.outputs == 3
    assert students.read_facts(tmp_path / "s")["controls"] == ["drop", "still", "press"]
    audio = labelled.arrays(labelled.entries[0])[0]
    heard = students.predict(student, audio.astype(np.float32) / 32767)
    everything = np.concatenate([labelled.arrays(entry)[1] for entry in labelled.split()])
    brow = everything[:, ARKIT.index("browInnerUp")]
    assert brow.std() == 0
    np.testing.assert_allclose(heard[:, 1], brow.mean(), atol=1e-6)  # what never moves is learnt by its mean


def test_a_trained_student_goes_on_with_another_rig(labelled: Labels, tmp_path: Path) -> None:
    path = tmp_path / "rig.json"
    controls = {"drop": {"jawOpen": 2.0, "mouthClose": -0.5}, "press": {"mouthClose": 1}}
    path.write_text(json.dumps({"format": rigs.FORMAT, "name": "hero", "bounded": False, "controls": controls}))
    first = train.train([labelled], stage(tmp_path / "first"))
    timid = replace(stage(tmp_path / "more", learning_rate=1e-9, steps=1), init=str(tmp_path / "first"), rig=path)
    more = train.train([labelled], timid)
    jaw, close = (first.head.weight[ARKIT.index(name)] for name in ("jawOpen", "mouthClose"))
    torch.testing.assert_close(more.head.weight[0], 2 * jaw - 0.5 * close, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(more.head.weight[1], close, rtol=1e-4, atol=1e-5)


def test_what_does_not_fit(labelled: Labels, tmp_path: Path) -> None:
    held = replace(labelled, entries=labelled.split("held-out"))
    with pytest.raises(UserError, match="nothing to train on"):
        train.train([held], stage(tmp_path / "s"))
    with pytest.raises(UserError, match="other controls"):
        train.train([labelled, replace(labelled, controls=labelled.controls[1:])], stage(tmp_path / "s"))
    with pytest.raises(UserError, match="not a student folder"):
        train.train([labelled], replace(stage(tmp_path / "s"), guide=str(tmp_path / "nowhere")))
    loud = stage(tmp_path / "s", weights=losses.Weights(controls={"moth*": 2.0}))
    with pytest.raises(UserError, match=r"stage 's': no control is called like 'moth\*'"):
        train.train([labelled], loud)
