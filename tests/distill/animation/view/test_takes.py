"""Faces of any rate on one clock, and what no page can hold."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from compile.errors import UserError
from distill.animation.view.differences import differences
from distill.animation.view.lines import MAIN, lines
from distill.animation.view.takes import Take, View, require_showable


def ramp(rate: float, seconds: float = 2.0, start: float = 0.0, name: str = "jawOpen") -> Take:
    """Its value is its time."""
    count = round(rate * seconds)
    values = start + np.arange(count, dtype=np.float32)[:, None] / rate
    return Take(f"{rate:g}", values.astype(np.float32), (name,), rate, start)


@pytest.mark.parametrize("rate", [24, 29.97, 50, 120])
@pytest.mark.parametrize(("begin", "end"), [(0.0, 9.0), (0.5, 1.0), (0.513, 1.217), (1.9, np.inf)])
def test_a_piece_keeps_its_times(rate: float, begin: float, end: float) -> None:
    piece = ramp(rate).between(begin, end)
    np.testing.assert_allclose(piece.curves[:, 0], piece.times + begin, atol=1e-6)
    assert -1 / rate < piece.start <= 1e-9  # its first moment has a frame
    assert piece.times[-1] < min(end, 2.0) - begin


@pytest.mark.parametrize(("begin", "end"), [(2.0, 3.0), (7.0, np.inf)])
def test_a_piece_of_nothing(begin: float, end: float) -> None:
    with pytest.raises(UserError, match="no frame from second"):
        ramp(50).between(begin, end)


def test_differences_between_rates_that_differ(made) -> None:
    """Two ramps are equal at any rate; a constant is as far from a ramp as one computes."""
    equal, apart, strange = differences((ramp(50), ramp(30), ramp(24).between(0, 1), ramp(60, name="flare")))
    assert equal.groups["jaw"] == pytest.approx(0, abs=0.001)  # the slower one is held for a frame at its end
    assert equal.worst is not None
    assert equal.worst[0] == "jawOpen"
    assert apart.groups["jaw"] == pytest.approx(0, abs=0.001)
    assert (strange.worst, set(strange.groups.values())) == (None, {None})
    first, other = made("a", jawOpen=0.5, browInnerUp=1.0), made("b", jawOpen=np.repeat([0.5, 0.75], 50))
    (found,) = differences((first, other))
    assert found.groups["jaw"] == pytest.approx(0.125 / 4)  # one of the jaw's four moves, half of the time
    assert found.worst == ("browInnerUp", 1.0)
    assert found.largest == ("browInnerUp", 1.0, 0.0)


def test_lines_are_those_of_the_plots_and_then_every_control(made) -> None:
    found = lines((made(jawOpen=np.linspace(0, 1, 100)),))
    main = [line for line in found if line.group == MAIN]
    assert [line.label for line in main] == [
        "lips closed",
        "jaw open",
        "funnel",
        "pucker",
        "lower lip roll",
        "lower lip down",
    ]
    assert main[0].terms == {"mouthClose": 1, "mouthPressLeft": 0.5, "mouthPressRight": 0.5}
    assert [line.moves for line in main] == [False, True, False, False, False, False]
    assert sorted(line.label for line in found if line.group != MAIN) == sorted(made().controls)
    assert all(line.shown == (line.group == MAIN) for line in found)


def test_of_another_rig_what_moves_most_is_drawn() -> None:
    curves = np.outer([0, 1], [1, 9, 0, 3]).astype(np.float32)
    found = lines((Take("rig", curves, ("a", "b", "c", "d"), 30.0),))
    assert [line.label for line in found if line.shown] == ["b", "d", "a"]


def test_another_rig_beside_arkits_shows_what_moves_most_of_it(made) -> None:
    """Every such face by itself; a control of several is one line, and faces that have usual lines add none."""
    rigs = [
        Take(name, np.outer([0, 1], spread).astype(np.float32), controls, 30.0)
        for name, controls, spread in (("rig", ("still", "b", "c"), (0, 1, 9)), ("other", ("c", "d"), (1, 2)))
    ]
    alone = [line.label for line in lines((made(browInnerUp=np.linspace(0, 1, 100)),)) if line.shown]
    found = [line for line in lines((made(browInnerUp=np.linspace(0, 1, 100)), *rigs)) if line.shown]
    assert [line.label for line in found] == [*alone, "c", "b", "d"]
    assert all(line.group == MAIN and line.moves for line in found[len(alone) :])
    assert len({line.colour for line in found[len(alone) :]}) == 3


def test_a_still_rig_has_no_main_lines() -> None:
    found = lines((Take("rig", np.zeros((2, 1), np.float32), ("a",), 30.0),))
    assert [(line.label, line.shown, line.moves) for line in found] == [("a", False, False)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"takes": ()}, "1 to 4 faces, not 0"),
        ({"takes": 5}, "1 to 4 faces, not 5"),
        ({"audio": np.zeros(601 * 16_000, np.int16)}, "601 seconds are too long"),
        ({"curves": np.full((3, 52), np.nan, np.float32)}, "frame 0 of 'eyeBlinkLeft' is NaN"),
        ({"curves": np.zeros((3, 51), np.float32)}, "none of 52 controls"),
    ],
)
def test_what_no_page_can_hold(made, change: dict, message: str) -> None:
    view = View("x", (made(),))
    if "curves" in change:
        change = {"takes": (replace(made(), curves=change["curves"]),)}
    elif isinstance(change.get("takes"), int):
        change = {"takes": (made(),) * change["takes"]}
    with pytest.raises(UserError, match=message):
        require_showable(replace(view, **change))
