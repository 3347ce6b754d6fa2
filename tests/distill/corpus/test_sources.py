"""Synthetic corpora are repeatable and split honestly; audio is found in files, folders and patterns."""

from __future__ import annotations

import hashlib
import json
import os
import random
import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compile.errors import UserError
from distill.audio import decode, write_wav
from distill.corpus import sources as corpus
from distill.corpus.sentences import SENTENCES

speaks = pytest.mark.skipif(find_spec("espeakng_loader") is None, reason="espeakng-loader is not installed")

SPEAK = """
import hashlib, pathlib, sys
from distill.corpus import sources as corpus
folder = pathlib.Path(sys.argv[1])
corpus.synthesize(folder, corpus.plan(6, seed=5))
for path in sorted(folder.iterdir()):
    print(path.name, hashlib.sha256(path.read_bytes()).hexdigest())
"""


@speaks
def test_the_same_bytes_in_two_processes(tmp_path: Path) -> None:
    runs = [
        subprocess.run(
            [sys.executable, "-c", SPEAK, str(tmp_path / seed)],
            env=os.environ | {"PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert runs[0] == runs[1]
    assert len(runs[0].splitlines()) == 12


@speaks
def test_the_same_bytes_after_other_speech(tmp_path: Path) -> None:
    corpus.synthesize(tmp_path / "other", corpus.plan(3, seed=8))
    for name in ("a", "b"):
        corpus.synthesize(tmp_path / name, corpus.plan(2, seed=5))
    digests = [
        {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (tmp_path / name).iterdir()}
        for name in ("a", "b")
    ]
    assert digests[0] == digests[1]


def test_seeds_differ() -> None:
    assert corpus.plan(20, seed=0) == corpus.plan(20, seed=0)
    assert corpus.plan(20, seed=0) != corpus.plan(20, seed=1)


def test_splits_share_neither_sentences_nor_voices() -> None:
    train, held = corpus.plan(2000, seed=0), corpus.plan(400, seed=0, split=corpus.HELD_OUT)
    assert not {u.variant for u in train} & {u.variant for u in held}
    assert not {u.text for u in train} & {u.text for u in held}
    for part in (train, held):
        assert {u.language for u in part} == set(SENTENCES)
    every_text = {text for texts in SENTENCES.values() for text in texts}
    assert {u.text for u in held} <= every_text


def test_sources_know_their_phones(spoken: list[corpus.Source]) -> None:
    assert [source.split for source in spoken] == ["train"] * 4 + ["held-out"] * 2
    for source in spoken:
        assert source.phones
        assert source.text
        assert "+" in source.speaker
        assert source.language == source.speaker.partition("+")[0]
        assert json.loads(source.path.with_suffix(".json").read_text())["language"] == source.language
        assert abs(len(decode(source.path)) / 16000 - source.phones[-1].end) < 0.01


@speaks
def test_an_unknown_voice_leaves_no_folder(tmp_path: Path) -> None:
    bad = corpus.Line("hello", "en-us", "nobody", 170, 50, 50, corpus.TRAIN)
    with pytest.raises(UserError, match=r"no voice 'en-us\+nobody'"):
        corpus.synthesize(tmp_path / "corpus", [bad])
    assert not list(tmp_path.iterdir())


def test_nothing_to_say(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="empty corpus"):
        corpus.synthesize(tmp_path / "corpus", [])


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    for name in ("b.wav", "anna/a.wav", "anna/deep/c.wav"):
        write_wav(tmp_path / name, np.zeros(160, np.int16))
    (tmp_path / "notes.txt").write_text("not audio")
    return tmp_path


def test_find_in_folders_files_and_patterns(recordings: Path) -> None:
    everything = [recordings / "anna/a.wav", recordings / "anna/deep/c.wav", recordings / "b.wav"]
    assert [source.path for source in corpus.find([recordings])] == everything
    assert [source.path for source in corpus.find([recordings / "b.wav", recordings / "b.wav"])] == everything[2:]
    assert [source.path for source in corpus.find([str(recordings / "*" / "*.wav")])] == everything[:1]
    assert corpus.find([recordings / "anna/a.wav"])[0].speaker == "anna"


def test_however_a_corpus_is_spelled(recordings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def facts(*places: str) -> list[tuple[str, str, str]]:
        sources = corpus.divide(corpus.find(places), 0.5, "file")
        return [(source.path.name, source.speaker, source.split) for source in sources]

    for name in ("one.wav", "two.wav", "three.wav", "four.wav"):
        write_wav(recordings / "anna" / name, np.zeros(160, np.int16))
    monkeypatch.chdir(recordings / "anna" / "deep")
    absolute = facts(str(recordings))
    assert {split for _, _, split in absolute} == {corpus.TRAIN, corpus.HELD_OUT}
    assert facts("../..") == absolute
    assert facts("../..", str(recordings), "c.wav", "../../anna/*.wav") == absolute
    assert facts("../../anna/deep", "../..") == absolute
    assert [source.speaker for source in corpus.find(["c.wav"])] == ["deep"]
    recordings.rename(moved := recordings.with_name("moved"))  # its own name is the speaker of b.wav alone
    assert facts(str(moved / "anna")) == facts("..")
    (moved / "all.jsonl").write_text('{"path": "b.wav", "speaker": "Bertha"}')
    assert [source.speaker for source in corpus.find([moved, "../../all.jsonl", "../../b.wav"])][-1:] == ["Bertha"]
    (moved / "anna" / "all.jsonl").write_text('{"path": "../b.wav", "speaker": "Berta"}')
    with pytest.raises(UserError, match="says other things"):
        corpus.find([moved / "all.jsonl", "../all.jsonl"])


def test_a_corpus_that_moves_keeps_its_splits() -> None:
    def splits(root: str) -> list[str]:
        sources = [
            corpus.Source(Path(root, f"day {day}", f"{take}.wav"), speaker="anna")
            for day in (1, 2)
            for take in range(20)
        ]
        divided = corpus.divide(sources, 0.2, "file")
        return [source.split for source in divided]

    assert splits("here") == splits("/elsewhere/deep")
    assert splits("here").count(corpus.HELD_OUT) == 8


def test_find_nothing(recordings: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        corpus.find([recordings / "missing.wav"])
    with pytest.raises(UserError, match="no audio here"):
        corpus.find([recordings / "*.mp3"])
    (recordings / "empty").mkdir()
    with pytest.raises(UserError, match="no audio here"):
        corpus.find([recordings / "empty"])
    with pytest.raises(UserError, match="empty corpus"):
        corpus.find([])
    for place in ("a" * 5000, "***", "\0x", "[", "~nobody"):
        with pytest.raises(UserError):
            corpus.find([place])


def test_garbled_phone_times_are_named(recordings: Path) -> None:
    (recordings / "b.json").write_text(json.dumps({"phones": [["p", 0.0]]}))
    with pytest.raises(UserError, match=r"b\.json"):
        corpus.find([recordings / "b.wav"])


@pytest.mark.parametrize("content", ["{}", "[1, 2]", "not json", '{"take": 3}'])
def test_other_json_beside_audio_is_left_alone(recordings: Path, content: str) -> None:
    (recordings / "b.json").write_text(content)
    assert corpus.find([recordings / "b.wav"]) == [corpus.Source(recordings / "b.wav", speaker=recordings.name)]


@speaks
def test_speech_that_is_there_is_used_and_recordings_are_not_replaced(tmp_path: Path) -> None:
    folder, lines = tmp_path / "speech", corpus.plan(2, seed=5)
    first = corpus.synthesize(folder, lines)
    told: list[int] = []
    assert corpus.synthesize(folder, lines, lambda done, _: told.append(done)) == first
    assert not told
    assert len(corpus.synthesize(folder, corpus.plan(3, seed=5))) == 3
    (folder / "interview.wav").write_bytes(first[0].path.read_bytes())
    with pytest.raises(UserError, match=r"it holds 'interview\.wav'"):
        corpus.synthesize(folder, lines)
    assert (folder / "interview.wav").is_file()


def crowd(**files: int) -> list[corpus.Source]:
    return [
        corpus.Source(Path(f"{name}/{index}.wav"), speaker=name)
        for name, count in files.items()
        for index in range(count)
    ]


def split_of(sources: list[corpus.Source]) -> dict[Path, str]:
    return {source.path: source.split for source in sources}


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 9), min_size=2, max_size=12), st.floats(0.02, 0.9), st.randoms(), st.integers(0, 3))
def test_a_division_is_by_speakers_and_whatever_the_order(
    sizes: list[int], share: float, draw: random.Random, seed: int
) -> None:
    sources = crowd(**{f"s{index}": size for index, size in enumerate(sizes)})
    divided = corpus.divide(sources, share, "speaker", seed)
    assert [source.path for source in divided] == [source.path for source in sources]
    held = {source.speaker for source in divided if source.split == corpus.HELD_OUT}
    assert held
    assert not held & {source.speaker for source in divided if source.split == corpus.TRAIN}
    count = sum(source.split == corpus.HELD_OUT for source in divided)
    assert count <= max(share * len(sources), min(sizes))
    shuffled = sources.copy()
    draw.shuffle(shuffled)
    assert split_of(corpus.divide(shuffled, share, "speaker", seed)) == split_of(divided)


def test_a_division_by_file() -> None:
    sources = crowd(anna=50, bert=50)
    divided = corpus.divide(sources, 0.1, "file")
    assert sum(source.split == corpus.HELD_OUT for source in divided) == 10
    assert split_of(divided) != split_of(corpus.divide(sources, 0.1, "file", seed=1))


def test_what_is_held_out_already_stays_so_with_all_of_its_speaker() -> None:
    sources = crowd(anna=4, bert=3, carl=30)
    sources[0] = replace(sources[0], split=corpus.HELD_OUT)
    divided = corpus.divide(sources, 0.15, "speaker")
    assert {source.speaker for source in divided if source.split == corpus.HELD_OUT} == {"anna"}
    assert sum(source.split == corpus.HELD_OUT for source in corpus.divide(sources, 0.15, "file")) == 5


def test_a_division_of_nothing() -> None:
    for share in (0.0, 1.0, -0.1, float("nan")):
        with pytest.raises(UserError, match="cannot be held out"):
            corpus.divide(crowd(anna=2, bert=2), share)
    with pytest.raises(UserError, match="one speaker cannot be in two splits; split by file"):
        corpus.divide(crowd(anna=9), 0.1, "speaker")
    with pytest.raises(UserError, match="one file cannot be in two splits"):
        corpus.divide(crowd(anna=1), 0.1, "file")


def test_a_speaker_that_is_most_of_the_corpus_is_trained_on() -> None:
    for seed in range(8):
        divided = corpus.divide(crowd(anna=95, bert=5), 0.1, "speaker", seed)
        assert {source.speaker for source in divided if source.split == corpus.HELD_OUT} == {"bert"}
