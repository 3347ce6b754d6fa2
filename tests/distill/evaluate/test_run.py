"""The whole evaluation of subjects that are known through and through."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from compile.errors import UserError
from distill.controls import ARKIT
from distill.corpus.espeak import Phone
from distill.evaluate import Subject, evaluate
from distill.evaluate.gates import parse
from distill.evaluate.report import FLOOR, STUDENT, TEACHER
from distill.evaluate.speech import Clip, Speech


def told(faces: list[np.ndarray], change=lambda face: face):
    """A predictor that knows which clip it hears by the level of its audio, and looks its face up."""

    def predict(audio: np.ndarray) -> np.ndarray:
        number = round(float(np.median(audio)) * 100) - 1
        if not 0 <= number < len(faces):
            return np.zeros((-(-len(audio) // 320), faces[0].shape[1]), np.float32)
        return change(faces[number])

    return predict


def values(row) -> dict[str, float | None]:
    return {name: figure.value for name, figure in row.figures.items()}


@pytest.fixture
def faces(face, wandering) -> list[np.ndarray]:
    """Four faces that close and round their lips on the phones, more or less, and move all else."""
    made = []
    for seed in range(4):
        curves = 0.2 * wandering(seed, 100)
        curves += face((0.5, 0.6), (1.2, 1.36))
        curves[30:40, ARKIT.index("mouthPucker")] += 0.5
        curves[68:80, ARKIT.index("mouthFunnel")] += 0.5
        made.append(np.clip(curves, 0, 1))
    return made


def test_a_student_equal_to_its_teacher_gets_exactly_ones(corpus, faces) -> None:
    report = evaluate([Subject("same", ARKIT, told(faces))], corpus(*faces))
    same, teacher = report.row("same"), report.row("teacher")
    found = values(same)
    assert {name: value for name, value in found.items() if not name.startswith("silence")} == values(teacher)
    for name, value in found.items():
        if name in ("r2", "jitter") or name.startswith(
            ("correlation", "closure.de", "closure.r", "closure.f", "rounding.")
        ):
            assert value == 1, name
        elif name.startswith(("error", "velocity", "silence")):
            assert value == 0, name
    assert found["closure.timing"] == pytest.approx(10)  # the last frame of each closure is drawn open
    assert same.figures["r2"].low == same.figures["r2"].high == 1
    assert found["lag"] == pytest.approx(0, abs=2)  # four short clips: their correlation is a little lopsided


def test_another_teacher_is_judged_beside_and_held_to_no_gate(corpus, faces) -> None:
    half, same = (
        Subject(name, ARKIT, told(faces, lambda face, by=by: by * face)) for name, by in (("b", 0.5), ("a", 1))
    )
    report = evaluate([same], corpus(*faces), ceilings=[half])
    assert report.row("b").kind == TEACHER
    student = values(evaluate([half], corpus(*faces), resamples=0).row("b"))
    same_figures = {name: value for name, value in student.items() if not name.startswith("silence")}
    assert values(report.row("b")) == pytest.approx(same_figures, rel=1e-9)  # sums in another order
    gate = parse("closure.depth > 1 of b", ["a", "b"], [])
    assert [(verdict.subject, verdict.holds) for verdict in gate.judge(report)] == [("a", True)]
    with pytest.raises(UserError, match="same name"):
        evaluate([same], corpus(*faces), ceilings=[same])


def test_controls_in_another_order_are_the_same_face(corpus, faces) -> None:
    back = Subject("back", ARKIT[::-1], told(faces, lambda face: face[:, ::-1]))
    assert values(evaluate([back], corpus(*faces)).row("back"))["error.all"] == 0


def test_forty_milliseconds_late(corpus, faces) -> None:
    late = Subject("late", ARKIT, told(faces, lambda face: np.concatenate([face[:1], face[:1], face[:-2]])))
    found = values(evaluate([late], corpus(*faces)).row("late"))
    assert found["lag"] == pytest.approx(40, abs=2)
    assert found["closure.bias"] == pytest.approx(
        40 + values(evaluate([], corpus(*faces)).row("teacher"))["closure.bias"]
    )


def test_floors_are_what_their_definitions_say(corpus, faces) -> None:
    report = evaluate([], corpus(*faces))
    mean, closed = values(report.row("always mean")), values(report.row("always closed"))
    assert [row.kind for row in report.rows] == [TEACHER, FLOOR, FLOOR]
    assert mean["r2"] == pytest.approx(0, abs=1e-5)
    assert (mean["correlation.all"], mean["jitter"], mean["velocity.all"]) == (0, 0, 1)
    assert mean["closure.recall"] == mean["closure.f1"] == 0  # the mean of mouthClose is below the threshold
    assert closed["closure.recall"] == closed["closure.precision"] == 0  # one closure, in the middle of nowhere
    assert closed["closure.depth"] > 1
    assert mean["rounding.contrast"] == pytest.approx(0, abs=1e-6)


def test_always_closed_is_right_where_one_closure_is_all_there_is(corpus, face, phones) -> None:
    report = evaluate(
        [], corpus(face((0.9, 1.1)), phones=(Phone("a", 0, 0.9), Phone("m", 0.9, 1.1), Phone("a", 1.1, 2)))
    )
    assert values(report.row("always closed"))["closure.f1"] == 1


def test_noise_is_heard_and_teachers_are_not_asked_again(corpus, faces) -> None:
    heard = []

    def predict(audio: np.ndarray) -> np.ndarray:
        heard.append(audio)
        return np.zeros((-(-len(audio) // 320), 52), np.float32)

    report = evaluate([Subject("deaf", ARKIT, predict)], corpus(faces[0]), noises=(20.0, 0.0))
    clean, quiet, loud = heard[:3]
    assert 10 * np.log10(np.mean(clean**2) / np.mean((quiet - clean) ** 2)) == pytest.approx(20, abs=1e-3)
    assert 10 * np.log10(np.mean(clean**2) / np.mean((loud - clean) ** 2)) == pytest.approx(0, abs=1e-3)
    assert [row.noise for row in report.rows if row.kind == STUDENT] == [None, 20.0, 0.0]
    assert [row.noise for row in report.rows if row.kind != STUDENT] == [None] * 3


def test_speakers_add_up(corpus, faces) -> None:
    half = Subject("half", ARKIT, told(faces, lambda face: face / 2))
    row = evaluate([half], corpus(*faces), by=("speaker", "truth")).row("half")
    speakers = row.groups["speaker"]
    assert {name: (group.utterances, group.seconds) for name, group in speakers.items()} == {"s0": (2, 4), "s1": (2, 4)}
    pair = faces[::2]
    alone = evaluate([Subject("half", ARKIT, told(pair, lambda face: face / 2))], corpus(*pair)).row("half")
    for name, figure in speakers["s0"].figures.items():  # equal but for the order in which floats are added
        assert figure.value == (None if values(alone)[name] is None else pytest.approx(values(alone)[name], rel=1e-9))
    assert row.groups["truth"]["exact"].utterances == 4


def test_the_worst_and_the_median_utterance(corpus, faces) -> None:
    shares = (0.9, 0.1, 0.5)

    def predict(audio: np.ndarray) -> np.ndarray:
        number = round(float(np.median(audio)) * 100) - 1
        return faces[number] * shares[number] if number in range(3) else np.zeros((200, 52), np.float32)

    median, worst = evaluate([Subject("x", ARKIT, predict)], corpus(*faces[:3])).examples
    assert (median.name, worst.name) == ("2.wav", "1.wav")
    assert worst.error > median.error
    assert set(worst.lines) == {"jaw open", "lips closed", "lips rounded"}
    np.testing.assert_allclose(worst.lines["jaw open"]["x"], 0.1 * worst.lines["jaw open"]["teacher"], rtol=1e-6)
    assert worst.phones


@pytest.mark.parametrize(
    ("curves", "message"),
    [
        (np.full((100, 52), np.nan, np.float32), "bad gave curves that are NaN or infinite"),
        (np.zeros((99, 52), np.float32), r"bad gave \[99, 52\] where \[100, 52\] was due"),
        (np.zeros((100, 9), np.float32), r"bad gave \[100, 9\] where \[100, 52\] was due"),
    ],
)
def test_bad_curves_are_refused_with_the_utterance(corpus, faces, curves: np.ndarray, message: str) -> None:
    with pytest.raises(UserError, match=rf"^0\.wav: {message}"):
        evaluate([Subject("bad", ARKIT, lambda _: curves)], corpus(faces[0]))


@pytest.mark.parametrize(
    ("controls", "message"),
    [(("a", *ARKIT[1:]), "it has no control 'eyeBlinkLeft'"), ((*ARKIT, "ears"), "its teacher has no control 'ears'")],
)
def test_another_face_is_refused(corpus, faces, controls: tuple[str, ...], message: str) -> None:
    with pytest.raises(UserError, match=f"^theirs: it moves another face than these labels: {message}"):
        evaluate([Subject("theirs", controls, lambda _: np.zeros((100, len(controls))))], corpus(faces[0]))


def test_a_rig_without_lips_is_judged_by_what_it_has(corpus, wandering) -> None:
    curves = wandering(0)[:, :3]
    rig = ("lid", "chin", "ear")
    report = evaluate([Subject("x", rig, told([curves]))], corpus(curves, controls=rig))
    assert report.row("x").figures["r2"].value == 1
    assert report.row("x").figures["closure.f1"].value is None
    assert [row.subject for row in report.rows] == ["x", "teacher", "always mean"]
    assert len(report.examples[0].lines) == 3


def test_two_of_a_name(corpus, faces) -> None:
    subject = Subject("x", ARKIT, told(faces))
    with pytest.raises(UserError, match="same name"):
        evaluate([subject, subject], corpus(*faces))


def test_memory_stays_flat(wandering) -> None:
    """A corpus of ten times the length takes no more; each clip is made when it is read."""

    def speech(count: int) -> Speech:
        curves = wandering(0, 500)
        return Speech(
            "x", "x", ARKIT, count, lambda number: Clip(str(number), np.zeros(160_000, np.float32), curves.copy(), ())
        )

    def peak(count: int) -> int:
        tracemalloc.start()
        evaluate(
            [Subject("x", ARKIT, lambda audio: np.zeros((-(-len(audio) // 320), 52), np.float32))],
            speech(count),
            resamples=9,
        )
        try:
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert peak(60) < peak(6) + 200_000  # one clip is 740 kB


@pytest.mark.parametrize("frames", [1, 2, 3, 31])
def test_clips_of_a_few_frames_and_faces_that_rest(corpus, faces, frames: int) -> None:
    """A 20 ms clip, phones that outlast it, and nothing that moves: figures where there are any, no complaint."""
    short = faces[0][:frames]
    report = evaluate([Subject("x", ARKIT, told([short]))], corpus(short), noises=(10.0,), by=("speaker",))
    assert report.row("x").figures["error.all"].value == 0
    assert report.row("x").figures["lag"].value is None
    still = np.zeros((frames, 52), np.float32)
    report = evaluate([Subject("x", ARKIT, told([still]))], corpus(still, phones=None))
    names = ("r2", "correlation.all", "velocity.all", "closure.f1", "closure.depth", "jitter", "lag", "silence.room")
    assert [report.row("x").figures[name].value for name in names] == [None] * len(names)
