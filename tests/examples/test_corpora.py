"""The scripts behind the shipped students' speech, on a made-up tree; what they write is read by phiz itself."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import wave
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from compile.errors import UserError
from distill.corpus import sources as corpus
from distill.corpus.espeak import Phone
from examples.corpora import card, cut, fetch, kokoro, manifests, pico, speak, tables
from examples.corpora.tables import Package, Recording, Terms, Voice

TERMS = Terms("CC-BY-4.0", "LICENSE", "Anna, https://example.org/anna", "")
PACKAGE = "asterisk-core-sounds-en-g722"  # one that packages.toml has
FOLDER = f"unpacked/{PACKAGE}/usr/share/asterisk/sounds/en_US_f_Allison"
ANNA = Recording(
    package=PACKAGE,
    folder="unpacked",
    files=("usr/share/asterisk/sounds/en_US_f_Allison/**/*.wav",),
    without="",
    speaker="Anna",
    sex="f",
    language="en",
    use="train",
    texts="asterisk",
    terms=TERMS,
)
JOE = Voice("flite", "joe", "Joe", "m", ("en-us",), 1.0, "train", "joe 1.0 (PyPI)", replace(TERMS, licence="MIT"))


def tone(path: Path, seconds: float) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes((3000 * np.sin(0.1 * np.arange(round(16000 * seconds)))).astype("<i2").tobytes())


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, seconds in (("digits/1", 1.5), ("hello", 3.0), ("beep", 0.2), ("silence/1", 1.0)):
        tone(tmp_path / FOLDER / f"{name}.wav", seconds)
    (tmp_path / FOLDER / "empty.wav").touch()
    said = ";a comment\ndigits/1: one\nhello: Hello,  world.\nbeep: [a tone]\n".encode("utf-8-sig")
    name = "asterisk-core-sounds-en"
    listed = tmp_path / f"unpacked/{name}/usr/share/doc/{name}/core-sounds-en.txt.gz"
    listed.parent.mkdir(parents=True)
    listed.write_bytes(gzip.compress(said))
    tone(tmp_path / "voices/flite/joe/00000.wav", 0.6)
    notes = {"speak": {"voice": "flite/joe", "text": "Boo.", "language": "en-us"}, "split": "train"}
    phones = {"phones": [["_", 0.0, 0.1], ["b", 0.1, 0.2], ["u", 0.2, 0.6]]}
    (tmp_path / "voices/flite/joe/00000.json").write_text(json.dumps(notes | phones))
    return tmp_path


def groups(root: Path) -> dict[str, list[manifests.Part]]:
    anna = manifests.recorded(root, ANNA, tables.no_speech())
    heard = manifests.recorded(root, replace(ANNA, speaker="Bob", use="evaluate", texts=""), tables.no_speech())
    return {"train": [anna, manifests.spoken(root, JOE)], "evaluate": [heard]}


def test_manifests_are_what_phiz_reads(root: Path) -> None:
    pytest.importorskip("av")
    manifests.write(root, groups(root))
    train = corpus.find([root / "train.jsonl"])
    assert [(source.path.name, source.speaker, source.language, source.text, source.split) for source in train] == [
        ("1.wav", "Anna", "en", "one", "train"),
        ("hello.wav", "Anna", "en", "Hello, world.", "train"),
        ("00000.wav", "Joe", "en", "Boo.", "train"),
    ]
    assert all(source.path.is_file() for source in train)
    assert train[0].phones is None
    assert train[2].phones is not None
    assert tuple(train[2].phones)[1] == Phone("b", 0.1, 0.2)
    heard = corpus.find([root / "evaluate.jsonl"])
    assert {(source.speaker, source.split, source.text) for source in heard} == {("Bob", "held-out", "")}


def test_licences_tell_minutes_and_names_and_a_rerun_changes_nothing(root: Path) -> None:
    pytest.importorskip("av")
    manifests.write(root, groups(root))
    written = {path: path.read_bytes() for path in root.glob("*.json*")}
    manifests.write(root, groups(root))
    assert {path: path.read_bytes() for path in root.glob("*.json*")} == written
    anna, joe = json.loads((root / "licences.json").read_text())["train"]
    assert anna["package"] == f"{PACKAGE} 1.6.1-1 (Debian)"
    assert (anna["speakers"], anna["languages"], anna["files"]) == (["Anna"], ["en"], 2)
    assert anna["minutes"] == pytest.approx((1.5 + 3.0) / 60, abs=0.005)  # rounded to 0.01
    assert joe["licence"] == "MIT"
    text = card.text(root / "licences.json", ["train"], ["evaluate"])
    assert "Learnt from 2 speakers" in text
    assert "Judged by 1 speakers" in text
    assert text.count("Anna, https://example.org/anna. CC-BY-4.0; its text: `LICENSE`") == 1
    with pytest.raises(UserError, match="no manifest kokoro"):
        card.text(root / "licences.json", ["kokoro"])


def test_nobody_is_learnt_from_and_judged_by(root: Path) -> None:
    pytest.importorskip("av")
    both = groups(root)
    both["evaluate"][0].speaker = "Anna"
    with pytest.raises(UserError, match="in training and in evaluation: Anna"):
        manifests.write(root, both)
    assert not list(root.glob("*.json*"))


def test_what_was_not_fetched_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"it holds no speech of Anna; fetch it first"):
        manifests.recorded(tmp_path, replace(ANNA, texts=""), tables.no_speech())


def test_only_what_is_wanted_is_unpacked(tmp_path: Path) -> None:
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("voice/a.ogg", b"a")
        archive.writestr("music/b.ogg", b"b")
        archive.writestr("voice/../../c.ogg", b"c")
    package = Package("made-up", "npm", "1.0", ("voice/*", "LICENSE"), inside="data/all.zip")
    held = tmp_path / "packages/made-up/made-up-1.0.tgz"
    held.parent.mkdir(parents=True)
    with tarfile.open(held, "w:gz") as tar:
        files = {"package/LICENSE": b"free", "package/big.bin": b"0" * 99, "package/data/all.zip": inner.getvalue()}
        for name, data in (files | {"package/voice/../../../d": b"d"}).items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    folder = fetch.fetch(package, tmp_path)
    unpacked = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert unpacked == {"LICENSE": b"free", "voice/a.ogg": b"a"}
    held.unlink()
    assert fetch.fetch(package, tmp_path) == folder  # finished work is left alone


def test_a_client_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(fetch.CLIENTS, "npm", lambda package: ["false", package.name])
    with pytest.raises(UserError, match=r"`false made-up` failed; put made-up 1\.0 into"):
        fetch.fetch(Package("made-up", "npm", "1.0", ("*",)), tmp_path)
    assert not list(tmp_path.rglob("made-up*"))


def test_turns_are_cut_where_one_speaks_alone() -> None:
    turns = [cut.Turn(0.0, 5.0, "a"), cut.Turn(2.0, 3.0, "b"), cut.Turn(2.5, 3.5, "c"), cut.Turn(4.8, 7.0, "b")]
    assert list(cut.alone(turns)) == [cut.Turn(0.0, 2.0, "a"), cut.Turn(3.5, 4.8, "a"), cut.Turn(5.0, 7.0, "b")]


def test_pico_is_24_ms_later_than_it_says_and_a_closure_is_its_stops() -> None:
    phones = pico.read([(87, 2), (88, 5), (72, 5), (43, 10)], "en-US")  # silence, voiceless closure, p, a vowel
    vowel = phones[2].symbol
    assert phones == (Phone("_", 0.0, 0.008), Phone("p", 0.008, 0.048), Phone(vowel, 0.048, 0.088))
    late = pico.later(phones, pico.LATE, 0.1)
    assert late == (Phone("_", 0.0, 0.032), Phone("p", 0.032, 0.072), Phone(vowel, 0.072, 0.1))
    assert pico.later(phones[1:], 0.024, 0.1)[0] == Phone("_", 0.0, 0.024)


def test_kokoros_signs_belong_to_phones() -> None:
    letters = ["_", "ˈ", "m", "a", "ː", " ", "b", "a", "_"]  # noqa: RUF001 (IPA)
    phones = kokoro.placed(letters, np.array([0.1, 0.05, 0.1, 0.1, 0.05, 0.1, 0.1, 0.5, 0.1]))
    assert [phone.symbol for phone in phones] == ["_", "m", "a", "b", "a", "_"]
    starts = [phone.start for phone in phones]
    # The stress is the m's, the length the a's, the gap b's closure; 0.3 s is the most of a last vowel.
    np.testing.assert_allclose(starts, [0.0, 0.1, 0.25, 0.4, 0.6, 0.9], atol=1e-9)
    assert phones[-1].end == pytest.approx(1.2)


def test_tables_fit_together() -> None:
    packages = {package.name for package in tables.packages()}
    recordings = list(tables.recordings())
    assert {recording.package for recording in recordings} <= packages
    for row in (*recordings, *tables.voices(), tables.kokoro("af_heart")):
        assert row.use in {tables.TRAIN, tables.EVALUATE}
        assert row.terms.licence
        assert row.terms.text
        assert row.terms.attribution
        # Copyleft for programs says nothing clear about what learns from speech.
        assert row.use == tables.EVALUATE or not row.terms.licence.startswith(("GPL", "LGPL", "AGPL", "unclear"))
    assert {voice.source for voice in tables.voices()} < speak.SYNTHESIZERS.keys()
    assert len({recording.speaker for recording in recordings if recording.speaker.startswith("Allison")}) == 1


def test_texts_and_mixtures_are_drawn_alike_each_time() -> None:
    def first(code: str) -> list[str]:
        stream = speak.texts(code, "flite slt")
        return [next(stream) for _ in range(20)]

    assert first("en-us") == first("en-us") == first("en-GB")
    assert first("de-DE") != first("en-us")
    known = ["af_heart", "bm_lewis", "ff_siwis"]
    drawn = list(kokoro.mixtures(known, 2, 3))
    assert drawn == list(kokoro.mixtures(known, 2, 3))
    assert len({name for _, name, _, _ in drawn}) == 6
    assert all(sum(shares.values()) == pytest.approx(1) for _, _, _, shares in drawn)
