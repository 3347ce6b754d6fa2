"""The loss by hand: each term, where frames weigh more, weights by name, and a guide's features."""

from __future__ import annotations

import pytest

from compile.errors import UserError
from distill.students import folder as students
from distill.training import losses
from distill.training.losses import Weights

torch = pytest.importorskip("torch")

from distill.students.network import Projection  # noqa: E402 (needs torch)

# One sequence of three frames and two controls; the errors are 1, 3, 2 and 0, 0, -2.
TARGET = torch.tensor([[[0.0, 0.0], [1.0, 1.0], [1.0, 2.0]]])
PREDICTION = TARGET + torch.tensor([[[1.0, 0.0], [3.0, 0.0], [2.0, -2.0]]])
OPEN = torch.zeros(1, 3)
CLOSED = torch.tensor([[0.0, 0.5, 1.0]])
STILL = torch.ones(1, 8, 2)


def test_values_and_velocities() -> None:
    found = losses.terms(PREDICTION, TARGET, OPEN, Weights(velocity=10, closure=0))
    assert float(found["value"]) == pytest.approx((1 + 9 + 4 + 4) / 6)
    assert float(found["velocity"]) == pytest.approx(10 * (2**2 + 1 + 2**2) / 4)  # changes: 2, -1 and 0, -2
    assert found.keys() == {"value", "velocity"}
    assert float(losses.loss(PREDICTION, TARGET, OPEN, Weights(10, 0))) == pytest.approx(3 + 22.5)


def test_closed_lips_weigh_more() -> None:
    found = losses.terms(PREDICTION, TARGET, CLOSED, Weights(velocity=10, closure=3))
    values = (0.5 * 9 + 1 * (4 + 4)) / 6
    velocities = (0.5 * 4 + 1 * (1 + 4)) / 4  # a difference belongs to its later frame
    assert float(found["closure"]) == pytest.approx(3 * (values + 10 * velocities))
    plain = losses.loss(PREDICTION, TARGET, OPEN, Weights(velocity=10, closure=3))
    together = losses.loss(PREDICTION, TARGET, CLOSED, Weights(velocity=10, closure=3))
    assert float(together) == pytest.approx(float(plain + found["closure"]))


def test_rest_is_where_nothing_moves_for_a_while() -> None:
    moving = STILL.clone()
    moving[0, 5:, 1] += 0.5  # between frames 4 and 5
    assert losses.resting(STILL).tolist() == [[1.0] * 8]
    assert losses.resting(moving).tolist() == [[1, 1, 1, 0, 0, 0, 0, 1]]  # two frames before it and two after
    creeping = STILL + 0.03 * torch.arange(8)[None, :, None]  # 0.03 deviations a frame are motion
    assert losses.resting(creeping).sum() == 0
    assert losses.resting(STILL[:, :1]).tolist() == [[0.0]]


def test_motion_and_offset_at_rest_cost_more() -> None:
    trembling, displaced = STILL.clone(), STILL + 0.5
    trembling[0, ::2, 0] += 0.5
    weights = Weights(velocity=4, closure=0, stability=6)
    found = losses.terms(trembling, STILL, torch.zeros(1, 8), weights)
    assert float(found["stability"]) == pytest.approx(6 * (4 * 0.25 / 16 + 4 * 7 * 0.25 / 14))
    found = losses.terms(displaced, STILL, torch.zeros(1, 8), weights)
    assert float(found["stability"]) == pytest.approx(6 * 0.25)
    moving = STILL + torch.arange(8)[None, :, None]
    assert float(losses.terms(moving + 1, moving, torch.zeros(1, 8), weights)["stability"]) == 0


def test_controls_weigh_what_their_names_say() -> None:
    controls = ("mouthClose", "mouthPressLeft", "eyeBlinkLeft", "jawOpen")
    patterns = {"mouth*": 2, "mouthPress*": 3.5, "eye*": 0}
    assert losses.importance_of(controls, patterns) == [2, 3.5, 0, 1]
    importance = torch.tensor([0.0, 5.0])
    found = losses.terms(PREDICTION, TARGET, CLOSED, Weights(velocity=10, closure=3), importance)
    assert float(found["value"]) == pytest.approx(5 * 4 / 6)
    assert float(found["velocity"]) == pytest.approx(10 * 5 * 4 / 4)
    assert float(found["closure"]) == pytest.approx(3 * (5 * 4 / 6 + 10 * 5 * 4 / 4))


@pytest.mark.parametrize(
    ("patterns", "complaint"),
    [
        ({"Mouth*": 2.0}, "recipe: no control is called like 'Mouth"),
        ({"jaw*": -1.0}, "the weight of 'jaw"),
        ({"jaw*": float("nan")}, "is nan"),
        ({"jaw*": float("inf")}, "is inf"),
    ],
)
def test_weights_that_mean_nothing_are_refused(patterns: dict[str, float], complaint: str) -> None:
    with pytest.raises(UserError, match=complaint):
        losses.importance_of(("jawOpen",), patterns, "recipe")


def test_the_feature_loss_is_the_distance_over_the_guide_s_variance() -> None:
    guide = torch.tensor([[[0.0, 2.0], [4.0, 2.0]]], requires_grad=True)  # variances 4 and 0, their mean 2
    ours = torch.tensor([[[1.0], [2.0]]])
    projection = torch.nn.Linear(1, 2)
    with torch.no_grad():
        projection.weight.copy_(torch.tensor([[1.0], [2.0]]))
        projection.bias.copy_(torch.tensor([0.0, 1.0]))
    # projected: (1, 3) and (2, 5); distances 1, 1 and 2, 3
    found = losses.feature_loss(ours, guide, projection)
    assert float(found.detach()) == pytest.approx((1 + 1 + 4 + 9) / 4 / 2)
    assert float(losses.feature_loss(ours, guide, projection, torch.tensor(5.0)).detach()) == pytest.approx(15 / 4 / 5)
    found.backward()
    assert projection.weight.grad is not None
    assert guide.grad is None
    with torch.no_grad():
        projection.weight.zero_()
        projection.bias.copy_(guide.detach().mean((0, 1)))
        assert float(losses.feature_loss(ours, guide, projection)) == pytest.approx(1)  # what its mean scores


def test_a_dead_guide_divides_nothing_by_nothing() -> None:
    dead = torch.zeros(1, 3, 4)
    projection = torch.nn.Linear(2, 4, bias=False)
    assert bool(losses.feature_loss(torch.zeros(1, 3, 2), dead, projection).isfinite())


def test_a_projection_has_the_widths_of_student_and_guide() -> None:
    projection = Projection(students.architecture("tiny"), students.architecture("small"))
    assert projection.weight.shape == (288, 80)


@pytest.mark.parametrize(
    ("alignment", "lead", "reach"),
    [("face", 0, (7168, 4096)), ("heard", (64 - 256) * 16, (7168, 1024))],
)
def test_alignment(alignment: losses.Alignment, lead: int, reach: tuple[int, int]) -> None:
    student, guide = students.architecture("tiny-low-latency"), students.architecture("small")
    assert losses.lead(student, guide, alignment) == lead
    assert losses.reach(student, guide, alignment) == reach
    assert losses.reach(student) == (7168, 1024)
    assert losses.reach(guide, student, "face") == (7168, 4096)
    # A guide that looks less far ahead is asked of a later time, or not.
    assert losses.lead(guide, student, alignment) == -lead
