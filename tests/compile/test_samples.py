"""What calibrates does not judge, whatever it comes from."""

from __future__ import annotations

import weakref
from collections.abc import Sequence

import numpy as np
import pytest

from compile import capture, samples
from compile.errors import UserError


@pytest.fixture
def model(tiny_path):
    return capture.from_onnx(tiny_path)


def ramp(start, length):
    return np.arange(start, start + length, dtype=np.float32)


def test_windows_come_from_other_clips_for_judging(model):
    clips = [ramp(k * 10_000, 3000) for k in range(6)]
    split = samples.from_clips(model, clips, 32)
    owners = [set((array["x"][:, 0] // 10_000).astype(int)) for array in (split.calibrate, split.judge)]
    assert owners == [{0, 2, 3, 5}, {1, 4}]
    assert (len(split.calibrate["x"]), len(split.judge["x"])) == (32, 16)
    windows = split.calibrate["x"]
    np.testing.assert_array_equal(np.diff(windows, axis=1), 1)  # whole pieces of one clip


def test_one_clip_is_cut_in_two(model):
    split = samples.from_clips(model, [ramp(0, 9000)], 8)
    assert split.calibrate["x"].max() < 6000 <= split.judge["x"].min()


def test_short_clips_are_padded(model):
    split = samples.from_clips(model, [ramp(1, 10), ramp(1, 10)], 2)
    assert split.calibrate["x"].shape == (2, 512)
    assert split.calibrate["x"][0, 10:].max() == 0


class Tape(Sequence):
    """Clips that are made when they are asked for; knows how many of them were there at once."""

    def __init__(self, count):
        self.count, self.most, self.made, self.asked = count, 0, [], 0

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        if index >= self.count:
            raise IndexError
        self.asked += 1
        clip = np.random.default_rng(index).normal(size=600 + index % 7).astype(np.float32)
        self.made = [one for one in self.made if one() is not None] + [weakref.ref(clip)]
        self.most = max(self.most, len(self.made))
        return clip


def test_clips_need_not_be_in_memory_together(model):
    tape = Tape(40)
    read, held = samples.from_clips(model, tape, 8), samples.from_clips(model, list(Tape(40)), 8)
    assert tape.most <= 3  # this, the last one, and the loudest
    for ours, theirs in ((read.calibrate, held.calibrate), (read.judge, held.judge)):
        np.testing.assert_array_equal(ours["x"], theirs["x"])


def test_a_single_clip_is_asked_for_once(model):
    """Two halves of one clip are views of the same memory; of two readings they would hold both."""
    tape = Tape(1)
    samples.from_clips(model, tape, 8)
    assert tape.asked == 1


def test_npz(model, tmp_path):
    np.savez(tmp_path / "a.npz", x=np.tile(np.arange(9, dtype=np.float64)[:, None], (1, 512)))
    split = samples.from_npz(model, tmp_path / "a.npz")
    assert [array["x"][:, 0].tolist() for array in (split.calibrate, split.judge)] == [[0, 1, 2, 3, 4, 5], [6, 7, 8]]
    assert split.calibrate["x"].dtype == np.float32


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"z": np.zeros((4, 512))}, "not the model's input 'x'"),
        ({"x": np.zeros((4, 511))}, "expected numbers of shape Nx512"),
        ({"x": np.zeros((1, 512))}, "two such batches"),
        ({"x": np.full((4, 512), np.nan)}, "NaN or Inf"),
        ({"x": np.array([["a"] * 512] * 4)}, "expected numbers"),
        ({"x": np.array([[None] * 512] * 4)}, "plain arrays"),
    ],
)
def test_bad_npz(model, tmp_path, arrays, message):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(UserError, match=message):
        samples.from_npz(model, tmp_path / "a.npz")


@pytest.mark.parametrize("data", [b"", b"not a zip"])
def test_garbage_npz(model, tmp_path, data):
    (tmp_path / "a.npz").write_bytes(data)
    with pytest.raises(UserError, match=r"a\.npz"):
        samples.from_npz(model, tmp_path / "a.npz")


def test_random_input_is_not_trusted_and_repeats(model):
    first, second = samples.random_input(model), samples.random_input(model)
    assert not first.trusted
    np.testing.assert_array_equal(first.calibrate["x"], second.calibrate["x"])
    assert not np.array_equal(first.calibrate["x"][: len(first.judge["x"])], first.judge["x"])


def test_npz_for_inputs_with_different_batches(tiny, tmp_path):
    """Each input is cut in its own batches, so that the n-th of one still belongs to the n-th of the other."""
    tiny.inputs.append(("pair", [2, 3]))
    model = capture.from_onnx(tiny.save(tmp_path / "two.onnx"))
    np.savez(tmp_path / "a.npz", x=np.zeros((6, 512)), pair=np.repeat(np.arange(6), 2)[:, None] * np.ones((1, 3)))
    split = samples.from_npz(model, tmp_path / "a.npz")
    assert [array["pair"][:, 0].tolist() for array in (split.calibrate, split.judge)] == [
        [0, 0, 1, 1, 2, 2, 3, 3],
        [4, 4, 5, 5],
    ]
    assert [len(array["x"]) for array in (split.calibrate, split.judge)] == [4, 2]


def test_what_chooses_a_plan_is_apart_from_what_it_is_fitted_to(model):
    """The last quarter of the batches, in order; too few serve both."""
    many = {"x": np.arange(40 * 512, dtype=np.float32).reshape(40, 512)}
    fitted, choosing = samples.apart(model, many)
    assert (len(fitted["x"]), len(choosing["x"])) == (30, 10)
    assert np.array_equal(np.concatenate([fitted["x"], choosing["x"]]), many["x"])
    few = {"x": many["x"][:8]}
    assert samples.apart(model, few) == (few, few)
