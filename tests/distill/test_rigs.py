"""Rigs: what is mapped to what, in both formats, and every way in which a file can be wrong."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from compile.errors import UserError
from distill import rigs
from distill.controls import ARKIT, has_lips

HERO = {
    "format": "phiz rig 1",
    "name": "hero",
    "bounded": False,
    "controls": {"jaw_drop": {"jawOpen": 1.5, "mouthClose": -0.5}, "press": {"mouthPressLeft": 1}, "still": {}},
    "offset": {"jaw_drop": 0.25, "still": 2},
}


def write(path: Path, **changes: object) -> Path:
    facts = {key: value for key, value in {**HERO, **changes}.items() if value is not None}
    path.write_text(json.dumps(facts))
    return path


def some_curves(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).random(shape).astype(np.float32)


def test_a_control_is_a_sum_of_others(tmp_path: Path) -> None:
    rig = rigs.read(write(tmp_path / "hero.json"))
    assert (rig.name, rig.controls, rig.bounded, rig.source) == ("hero", ("jaw_drop", "press", "still"), False, ARKIT)
    curves = some_curves(2, 7, 52)
    column = {name: curves[..., index] for index, name in enumerate(ARKIT)}
    mapped = rig.map(curves)
    assert mapped.dtype == np.float32
    np.testing.assert_allclose(mapped[..., 0], 1.5 * column["jawOpen"] - 0.5 * column["mouthClose"] + 0.25, atol=1e-6)
    np.testing.assert_allclose(mapped[..., 1], column["mouthPressLeft"], atol=1e-6)
    np.testing.assert_array_equal(mapped[..., 2], 2)
    assert not has_lips(rig.controls)


def test_what_is_bounded_is_clipped(tmp_path: Path) -> None:
    rig = rigs.read(write(tmp_path / "hero.json", bounded=True))
    mapped = rig.map(some_curves(50, 52))
    free = rigs.read(write(tmp_path / "hero.json")).map(some_curves(50, 52))
    np.testing.assert_array_equal(mapped, free.clip(0, 1))
    assert free.max() > 1
    assert rigs.read(write(tmp_path / "hero.json", bounded=None)).bounded  # as ARKit is, unless it says so


def test_a_rig_of_components(tmp_path: Path) -> None:
    """Fifty unbounded controls of a PCA's eighty, as NPZ."""
    rng = np.random.default_rng(1)
    matrix, offset = rng.normal(size=(50, 80)), rng.normal(size=50)
    source, controls = [f"pc{index}" for index in range(80)], [f"face_{index}" for index in range(50)]
    np.savez(
        tmp_path / "pca.npz", matrix=matrix, offset=offset, source=source, controls=controls, bounded=False, name="pca"
    )
    rig = rigs.read(tmp_path / "pca.npz")
    assert (rig.name, rig.controls, rig.source, rig.bounded) == ("pca", (*controls,), (*source,), False)
    curves = some_curves(9, 80)
    # float32 sums of 80
    np.testing.assert_allclose(rig.map(curves), curves.astype(np.float64) @ matrix.T + offset, atol=1e-4)
    rig.require_source(source, "labels")
    with pytest.raises(UserError, match=r"labels: they have no 'pc0', which the rig 'pca' is made of"):
        rig.require_source(ARKIT, "labels")
    with pytest.raises(UserError, match="in another order"):
        rig.require_source(source[::-1], "labels")


def test_what_an_npz_may_leave_out(tmp_path: Path) -> None:
    np.savez(tmp_path / "few.npz", matrix=np.ones((2, 52), np.int16), controls=["a", "b"])
    rig = rigs.read(tmp_path / "few.npz")
    assert (rig.name, rig.source, rig.bounded) == ("few", ARKIT, True)
    assert not rig.offset.any()


def test_the_plain_rig_changes_nothing() -> None:
    rig = rigs.plain()
    curves = some_curves(4, 52)
    np.testing.assert_array_equal(rig.map(curves), curves)
    assert rig.controls == rig.source == ARKIT


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"format": "rig"}, "not a 'phiz rig 1' file"),
        ({"controls": None}, "'controls' is no table"),
        ({"controls": ["jaw"]}, "'controls' is no table"),
        ({"controls": {}}, "'controls' must list 1 to 2048 different names"),
        ({"controls": {"": {}}}, "'controls' must list 1 to 2048 different names"),
        ({"controls": {str(k): {} for k in range(2049)}, "offset": {}}, "'controls' must list 1 to 2048"),
        ({"controls": {"jaw": {"jawopen": 1}}, "offset": {}}, "control 'jaw' is made of 'jawopen', which is none"),
        ({"controls": {"jaw": {"jawOpen": "1"}}, "offset": {}}, "control 'jaw' has '1' where a number is due"),
        ({"controls": {"jaw": {"jawOpen": True}}, "offset": {}}, "control 'jaw' has True"),
        ({"controls": {"jaw": {"jawOpen": float("nan")}}, "offset": {}}, "control 'jaw' has nan"),
        ({"controls": {"jaw": {"jawOpen": 10**400}}, "offset": {}}, "where a number is due"),
        ({"controls": {"jaw": 1}, "offset": {}}, "'controls' is no table"),
        ({"offset": {"jow": 1}}, "'offset' names what is no control"),
        ({"offset": {"press": None}}, "control 'press' has None"),
        ({"source": ["jawOpen", "jawOpen"]}, "'source' must list 1 to 2048 different names"),
        ({"source": "jawOpen"}, "'source' must list 1 to 2048 different names"),
        ({"bounded": 1}, "'name' must be text, 'bounded' true or false"),
        ({"name": 3}, "'name' must be text"),
        ({"contrls": {}}, "unknown key 'contrls'"),
    ],
)
def test_bad_json(tmp_path: Path, changes: dict[str, object], complaint: str) -> None:
    with pytest.raises(UserError, match=complaint) as caught:
        rigs.read(write(tmp_path / "hero.json", **changes))
    assert "hero.json" in str(caught.value)


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b"[]", "not a 'phiz rig 1' file"),
        (b"\xff\xfe{", "is not JSON"),
        (b"PK\x03\x04" + bytes(90), r"not an \.npz of plain arrays"),
    ],
)
def test_bad_files(tmp_path: Path, data: bytes, complaint: str) -> None:
    (tmp_path / "rig").write_bytes(data)
    with pytest.raises(UserError, match=complaint):
        rigs.read(tmp_path / "rig")
    with pytest.raises(UserError, match="cannot be read"):
        rigs.read(tmp_path / "absent")


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"matrix": None}, "a rig has the arrays 'controls' and 'matrix'"),
        ({"matrix": np.ones((2, 51))}, r"'matrix' is float64 \[2, 51\]; expected numbers \[2, 52\]"),
        ({"matrix": np.full((2, 52), "x")}, "expected numbers"),
        ({"matrix": np.full((2, 52), np.inf)}, "'matrix' has NaN, infinite or enormous values"),
        ({"matrix": np.full((2, 52), 1e300)}, "'matrix' has NaN, infinite or enormous values"),
        ({"offset": np.zeros(3)}, r"'offset' is float64 \[3\]; expected numbers \[2\]"),
        ({"controls": ["a", "a"]}, "'controls' must list 1 to 2048 different names"),
        ({"controls": np.arange(2)}, "'controls' must list 1 to 2048 different names"),
        ({"controls": "ab"}, "'controls' must list 1 to 2048 different names"),
        ({"bounded": [True, False]}, "'bounded' true or false"),
        ({"controls": np.array([{}, {}])}, r"not an \.npz of plain arrays"),
    ],
)
def test_bad_npz(tmp_path: Path, changes: dict[str, object], complaint: str) -> None:
    arrays = {"matrix": np.ones((2, 52)), "controls": ["a", "b"], **changes}
    np.savez(tmp_path / "rig.npz", **{key: value for key, value in arrays.items() if value is not None})  # type: ignore[arg-type]
    with pytest.raises(UserError, match=complaint):
        rigs.read(tmp_path / "rig.npz")


def test_a_rig_is_no_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "rig.json")
    with pytest.raises(UserError, match="it is no file"):
        rigs.read(tmp_path / "rig.json")
