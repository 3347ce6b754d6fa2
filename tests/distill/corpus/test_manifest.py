"""Manifests: one JSON object a line, every mistake named by its line, phone times left on disk."""

from __future__ import annotations

import json
import os
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from compile.errors import UserError
from distill.audio import write_wav
from distill.corpus import sources as corpus
from distill.corpus.espeak import Phone


def write(path: Path, *lines: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines))
    return path


def test_what_a_line_says(tmp_path: Path) -> None:
    timed = [["p", 0.1, 0.18], ["a", 0.18, 0.4]]
    said = write(
        tmp_path / "set" / "corpus.jsonl",
        {
            "path": "b/one.wav",
            "speaker": "anna",
            "language": "de",
            "split": "held-out",
            "text": "Pa.",
            "phones": timed,
        },
        "",
        {"path": "two.flac", "licence": "CC0", "speaker": None},
        {"path": str(tmp_path / "elsewhere.mp3")},
    )
    elsewhere, one, two = corpus.find([said])
    assert one.path == tmp_path / "set/b/one.wav"
    assert (one.speaker, one.language, one.split, one.text) == ("anna", "de", corpus.HELD_OUT, "Pa.")
    assert one.phones is not None
    assert tuple(one.phones) == (Phone("p", 0.1, 0.18), Phone("a", 0.18, 0.4))
    assert one.phones[-1] == Phone("a", 0.18, 0.4)
    assert len(one.phones) == 2
    assert two == corpus.Source(tmp_path / "set/two.flac", speaker="set")
    assert elsewhere == corpus.Source(tmp_path / "elsewhere.mp3", speaker=tmp_path.name)


def test_a_manifest_tells_more_than_a_folder(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", np.ones(160, np.int16))
    write_wav(tmp_path / "b.wav", np.ones(160, np.int16))
    said = write(tmp_path / "m.jsonl", {"path": "a.wav", "speaker": "anna"})
    for places in ([tmp_path, said], [said, tmp_path]):
        assert [source.speaker for source in corpus.find(places)] == ["anna", tmp_path.name]
    assert len(corpus.find([said, said, str(tmp_path / "*.jsonl")])) == 1
    other = write(tmp_path / "n.jsonl", {"path": "a.wav", "speaker": "bert"})
    with pytest.raises(UserError, match=r"n\.jsonl: it says other things of '.*a\.wav'"):
        corpus.find([said, other])


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("not json", "line 2: not JSON"),
        ("[" * 50_000, "line 2: not JSON"),
        ('{"path": "a.wav"', "line 2: not JSON"),
        ("[1]", "line 2: it names no audio"),
        ('{"speaker": "anna"}', "line 2: it names no audio"),
        ('{"path": ""}', "line 2: it names no audio"),
        ('{"path": 3}', "line 2: 'path' is no text"),
        ('{"path": "a\\u0000.wav"}', "line 2: 'path' is no text"),
        ('{"path": "a.wav", "speaker": ["b"]}', "line 2: 'speaker' is no text"),
        ('{"path": "a.wav", "split": "test"}', "line 2: there is no split 'test'"),
        ('{"path": "a.wav", "phones": 3}', "line 2: not phone times"),
        ('{"path": "a.wav", "phones": [["p", 0.2]]}', "line 2: not phone times"),
        ('{"path": "a.wav", "phones": [["p", 0.2, 0.1]]}', "line 2: not phone times: 'p' lasts from 0.2 to 0.1"),
        ('{"path": "a.wav", "phones": [["p", 0.2, NaN]]}', "line 2: not phone times"),
        ('{"path": "a.wav", "phones": [["p", -1, 1]]}', "line 2: not phone times"),
        (f'{{"path": "a.wav", "phones": [["p", 0, 1{"0" * 400}]]}}', "line 2: not phone times: int too large"),
        (f'{{"path": "a.wav", "phones": [["{"p" * 41}", 0, 1]]}}', "line 2: not phone times: 'pppp"),
        ('{"path": "a.wav", "phones": [[{"p": 1}, 0, 1]]}', "is no phone"),
        ('{"path": "a.wav", "phones": [["\\ud800", 0, 1]]}', "is no phone"),
        ('{"path": "a.wav", "speaker": "\\ud800"}', "line 2: 'speaker' is no text"),
        ('{"path": "\\ud800.wav"}', "line 2: 'path' is no text"),
        ('{"path": "a.wav", "phones": [["p", 0, Infinity]]}', "line 2: not phone times"),
        ('{"path": "a.wav", "phones": [["p", 1, 2], ["a", 0, 1]]}', "line 2: not phone times: 'a' at 0.0"),
    ],
)
def test_a_malformed_line_is_named(tmp_path: Path, line: str, complaint: str) -> None:
    said = write(tmp_path / "m.jsonl", {"path": "fine.wav"}, line)
    with pytest.raises(UserError, match=r"m\.jsonl, ") as caught:
        corpus.find([said])
    assert complaint in str(caught.value)


def test_a_manifest_of_bytes(tmp_path: Path) -> None:
    (tmp_path / "m.jsonl").write_bytes(b"\xff\xfe{}\n")
    with pytest.raises(UserError, match="line 1: not JSON"):
        corpus.find([tmp_path / "m.jsonl"])
    (tmp_path / "m.jsonl").write_bytes(b"\n\n")
    with pytest.raises(UserError, match="no audio here"):
        corpus.find([tmp_path / "m.jsonl"])


def test_a_manifest_that_changes_meanwhile(tmp_path: Path) -> None:
    said = write(tmp_path / "m.jsonl", {"path": "a.wav", "phones": [["p", 0, 1]]})
    (source,) = corpus.find([said])
    said.write_text("{}\n")
    assert source.phones is not None
    with pytest.raises(UserError, match="went while they were read"):
        list(source.phones)


def test_phone_times_take_no_memory(tmp_path: Path) -> None:
    """60 files with 300 phones each are more than 2 MB of Phone objects; a source is less than 2 kB."""
    phones = [["p", index / 10, index / 10 + 0.1] for index in range(300)]
    said = write(tmp_path / "m.jsonl", *({"path": f"{index}.wav", "phones": phones} for index in range(60)))
    tracemalloc.start()
    sources = corpus.find([said])
    held, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(sources) == 60
    assert held < 120_000
    assert peak < 500_000


def test_a_manifest_is_a_file(tmp_path: Path) -> None:
    """A pipe would be waited for without end."""
    os.mkfifo(tmp_path / "m.jsonl")
    with pytest.raises(UserError, match=r"m\.jsonl: it is no file"):
        corpus.find([tmp_path / "m.jsonl"])
