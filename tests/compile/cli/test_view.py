"""``phiz view``: from what a user types to a page."""

from __future__ import annotations

import base64
import json
import re
import sys
import wave
from pathlib import Path

import numpy as np
import pytest

from compile.cli.face import open_face
from distill import audio, pretrained
from distill.animation.formats import write
from distill.controls import ARKIT
from distill.corpus import espeak


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a second of sound in stereo, and curves of it: 24 frames a second, and of another rig."""
    monkeypatch.chdir(tmp_path)
    noise = np.random.default_rng(0).normal(0, 3000, (24_000, 2)).astype("<i2")
    with wave.open("speech.wav", "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(24_000)
        file.writeframes(noise.tobytes())
    write(Path("curves.csv"), np.linspace(0, 1, 48 * 52, dtype=np.float32).reshape(48, 52), ARKIT, 24.0)
    flare = np.array([[-3.0], [3.0]], np.float32).repeat(15, axis=0)
    np.savez("rig.npz", curves=flare, controls=np.array(["flare"]), frame_rate=30.0)
    return tmp_path


def facts_of(path: Path) -> dict:
    (text,) = re.findall(r'<script type="application/json" id="facts">(.*?)</script>', path.read_text())
    found = json.loads(text)
    for index, take in enumerate(found["takes"]):
        (blob,) = re.findall(rf'<script type="text/plain" id="take-{index}">(.*?)</script>', path.read_text())
        take["moving"] = np.frombuffer(base64.b64decode(blob), "<u2").reshape(-1, take["frames"])
    return found


def curves_of(take: dict) -> np.ndarray:
    moving = iter(take["moving"])
    pairs = zip(take["low"], take["step"], strict=True)
    return np.stack([low + step * (next(moving) if step else np.zeros(take["frames"])) for low, step in pairs], axis=1)


def test_audio_alone_is_spoken_by_the_student_that_ships(phiz, home: Path) -> None:
    ran = phiz("view", "speech.wav")
    assert ran.code == 0, ran.err
    page = home / "speech.view.html"
    assert ran.out == f"wrote speech.view.html: {page.stat().st_size:,} bytes, 1.0 s\n"
    facts = facts_of(page)
    (take,) = facts["takes"]
    assert take["name"] == "phiz:tiny/student.onnx"
    assert (take["frames"], take["rate"], take["start"]) == (50, 50.0, 0.0)
    first = page.read_bytes()
    assert phiz("view", "speech.wav").code == 0
    assert page.read_bytes() == first


def test_curves_are_those_that_bake_writes(phiz, home: Path) -> None:
    """Of speech whose lips close so often that the student says more mouthClose than jawOpen, which none may see."""
    pytest.importorskip("espeakng_loader")
    said = espeak.speak("Papa, my mother baked a big plum pie, and Bob kept a piece.", "en-us")
    audio.write_wav(Path("lips.wav"), said.samples, said.rate)
    phones = [[phone.symbol, phone.start, phone.end] for phone in said.phones]
    Path("one.jsonl").write_text(json.dumps({"path": "lips.wav", "phones": phones}))
    jaw, close = ARKIT.index("jawOpen"), ARKIT.index("mouthClose")
    whole = audio.decode(Path("lips.wav"))
    raw = np.concatenate([*open_face(pretrained.folder("tiny") / "student.onnx").drive([whole], True, 50.0)])
    assert (raw[:, close] > raw[:, jaw] + 0.05).any()
    assert phiz("bake", "lips.wav", "-f", "npz", "-o", "baked").code == 0
    assert phiz("view", "one.jsonl", "--teacher", "phonetic", "-m", "phiz:tiny").code == 0
    teacher, take = facts_of(home / "lips.view.html")["takes"]
    with np.load("baked/lips.npz") as baked:
        half = np.array(take["step"]) / 2
        assert (np.abs(curves_of(take) - baked["curves"]) <= half * 1.001 + 1e-7).all()  # float32's last digit
    for one in (teacher, take):
        shown, step = curves_of(one), max(one["step"])
        assert (shown[:, close] <= shown[:, jaw] + step).all()


def test_curves_side_by_side_at_their_own_rates(phiz, home: Path) -> None:
    ran = phiz("view", "curves.csv", "rig.npz", "curves.csv", "--audio", "speech.wav", "-o", "out/page.html")
    assert ran.code == 0, ran.err
    facts = facts_of(home / "out/page.html")
    names = [(take["name"], take["frames"], round(take["rate"], 6)) for take in facts["takes"]]
    assert names == [("curves.csv", 48, 24.0), ("rig.npz", 30, 30.0), ("curves.csv (2)", 48, 24.0)]
    assert facts["seconds"] == 2.0
    assert facts["sound"] is not None
    assert "rig.npz: the head has no shape for flare; its curves are on the page" in ran.out
    np.testing.assert_allclose(curves_of(facts["takes"][1])[:, 0], [-3] * 15 + [3] * 15)


def test_audio_need_not_be_an_option(phiz, home: Path) -> None:
    assert phiz("view", "curves.csv", "speech.wav", "-o", "one.html").code == 0
    assert phiz("view", "curves.csv", "--audio", "speech.wav", "-o", "other.html").code == 0
    assert (home / "one.html").read_bytes() == (home / "other.html").read_bytes()
    assert len(facts_of(home / "one.html")["takes"]) == 1  # curves are faces enough


def test_curves_without_sound(phiz, home: Path) -> None:
    assert phiz("view", "curves.csv").code == 0
    facts = facts_of(home / "curves.view.html")
    assert facts["sound"] is None
    assert facts["seconds"] == 2.0


def test_a_piece(phiz, home: Path) -> None:
    ran = phiz(
        "view", "curves.csv", "speech.wav", "-m", "phiz:tiny", "--from", "0.5", "--to", "0.75", "-o", "page.html"
    )
    assert ran.code == 0, ran.err
    facts = facts_of(home / "page.html")
    assert facts["begin"] == 0.5
    recorded, spoken = facts["takes"]
    whole = np.linspace(0, 1, 48 * 52).reshape(48, 52)
    np.testing.assert_allclose(curves_of(recorded), whole[12:18], atol=1e-5)  # six digits, and half a step
    assert phiz("view", "speech.wav", "-o", "whole.html").code == 0
    np.testing.assert_allclose(
        curves_of(spoken), curves_of(facts_of(home / "whole.html")["takes"][0])[25:38], atol=1e-4
    )  # two frames after the piece, its last one; the ensemble's sums begin elsewhere


def test_float_and_int8(phiz, home: Path) -> None:
    pytest.importorskip("torch")
    ran = phiz("view", "speech.wav", "--float", "-o", "page.html")
    assert ran.code == 0, ran.err
    takes = facts_of(home / "page.html")["takes"]
    assert [take["name"] for take in takes] == ["phiz:tiny, float", "phiz:tiny/student.onnx"]
    apart = np.abs(curves_of(takes[0]) - curves_of(takes[1]))
    assert 0 < apart.mean() < 0.02  # they are the same student, and yet not


def test_teacher_and_student(phiz, home: Path) -> None:
    """The teacher comes first: differences are from it. A corpus's notes say which phones there are."""
    known = {"path": "speech.wav", "phones": [["b", 0.1, 0.2], ["a", 0.2, 0.6]], "text": "ba"}
    Path("one.jsonl").write_text(json.dumps(known))
    ran = phiz("view", "one.jsonl", "-m", "phiz:tiny", "--teacher", "phonetic")
    assert ran.code == 0, ran.err
    facts = facts_of(home / "speech.view.html")
    assert [take["name"] for take in facts["takes"]] == ["phonetic, teacher", "phiz:tiny/student.onnx"]
    assert facts["phones"] == [["b", 0.1, 0.2, True], ["a", 0.2, 0.6, False]]
    teacher = curves_of(facts["takes"][0])
    closed = teacher[:, ARKIT.index("mouthClose")]
    assert 0.1 <= closed.argmax() / 50 <= 0.2


def test_core_phiz_makes_a_page_of_16_bit_wav(phiz, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("torch", "av", "matplotlib", "espeakng_loader", "safetensors", "hama"):
        monkeypatch.setitem(sys.modules, name, None)
    ran = phiz("view", "speech.wav")
    assert ran.code == 0, ran.err
    assert facts_of(home / "speech.view.html")["sound"]["type"] == "audio/wav"


def test_it_opens_only_when_asked(phiz, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    assert phiz("view", "curves.csv").code == 0
    assert opened == []
    assert phiz("view", "curves.csv", "--open").code == 0
    assert opened == [(home / "curves.view.html").as_uri()]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("missing.wav", "missing.wav: there is no such file"),
        ("missing.csv", "missing.csv: there is no such file"),
        ("speech.wav --audio speech.wav", "a page has one sound, not speech.wav and speech.wav"),
        ("speech.glb", "speech.glb: it is made to be looked at"),
        ("curves.csv -m phiz:tiny", "there is no audio to hear"),
        ("curves.csv --teacher phonetic", "there is no audio to hear"),
        ("speech.wav --text hello", "--text: there is no teacher"),
        ("speech.wav --teacher nobody", "unknown teacher 'nobody'"),
        ("speech.wav -m phiz:huge", "no such student ships"),
        ("speech.wav -m folder", "not a phiz build folder"),
        ("curves.csv --float", "--float: no model's folder holds a student"),
        ("curves.csv curves.csv curves.csv curves.csv rig.npz", "at most 4 faces, not 5"),
        ("speech.wav --from 1 --to 1", "--to: 1 is not after 1"),
        ("speech.wav --from 7", "it ends at 1.00 s, before --from"),
        ("curves.csv --from 7", "it has no frame from second 7 on"),
        ("speech.wav --to 1000", "a page holds 600 s"),
        ("folder", "folder: there is no audio here"),
        ("two", "it holds 2 audio files"),
        ("still.csv", "still.csv: time stands still"),
        ("nan.npz", "frame 0 of 'curves' is NaN or infinite"),
        ("hostile.csv", "not a"),
        ("long.npz", "601 seconds are too long for a page"),
        ("speech.wav -o page.txt", "page.txt: a page ends in .html"),
        ("speech.wav -o folder.html", "folder.html: it is a folder"),
        ("speech.wav -o student.onnx", "it would be a model"),
    ],
)
def test_bad_input(phiz, home: Path, arguments: str, message: str) -> None:
    for name in ("folder", "two", "folder.html"):
        (home / name).mkdir()
    for name in ("a.wav", "b.wav"):
        (home / "two" / name).write_bytes((home / "speech.wav").read_bytes())
    np.savez("nan.npz", curves=np.full((2, 1), np.nan, np.float32), controls=np.array(["a"]), frame_rate=30.0)
    np.savez("long.npz", curves=np.zeros((601, 1), np.float32), controls=np.array(["a"]), frame_rate=1.0)
    (home / "hostile.csv").write_bytes(b"\x00\xff<script>")
    (home / "still.csv").write_text("seconds,a\n0,1\n0,2\n")
    before = sorted(home.rglob("*"))
    ran = phiz("view", *arguments.split())
    assert ran.code == 2, ran.err
    assert message in ran.err
    assert "Traceback" not in ran.err
    assert sorted(home.rglob("*")) == before
