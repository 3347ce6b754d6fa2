"""Processes that meet in a folder: in any order, whatever an earlier run left there, and none without the others."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest

from compile.errors import UserError
from distill.audio import write_wav
from distill.labels import cache as labels
from distill.labels import ranks
from distill.labels.ranks import Ranks, gathered

pytest.importorskip("av")

LABEL = """
import os, sys
from pathlib import Path
import numpy as np
from distill.corpus import sources as corpus
from distill.labels import cache as labels

class Level:
    name, version, controls = "level", "1", ("level",)
    def curves(self, utterance):
        if os.environ["RANK"] == sys.argv[3]:
            raise ValueError("I am rank " + os.environ["RANK"])
        whole = np.pad(utterance.audio, (0, -len(utterance.audio) % 320))
        return np.abs(whole).reshape(-1, 320).mean(axis=1, keepdims=True)

seen = []
made, summary = labels.label(
    corpus.find([sys.argv[1]]), Level(), Path(sys.argv[2]), strict="--strict" in sys.argv,
    progress=lambda *done: seen.append(done),
)
print(len(made.entries), summary.done, summary.cached, [(Path(path).name, reason) for path, reason in summary.skipped])
assert "torch" not in sys.modules
assert not seen or seen == sorted(seen), seen
"""


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    for index in range(7):
        audio = np.random.default_rng(index).integers(-9000, 9000, 4000 + index, dtype=np.int16)
        write_wav(folder / f"{index}.wav", audio)
    write_wav(folder / "long.wav", np.random.default_rng(9).integers(-9000, 9000, 40 * 16000, dtype=np.int16))
    (folder / "bad.wav").write_bytes(b"")
    return folder


def run_ranks(clips: Path, folder: Path, count: int, *options: str) -> list[tuple[int, str, str]]:
    """(exit code, output, errors) of ``count`` processes as torchrun starts them, the last rank first."""
    environment = os.environ | {"PYTHONPATH": str(Path(labels.__file__).parents[2]), "WORLD_SIZE": str(count)}
    command = [sys.executable, "-c", LABEL, str(clips), str(folder), *options]
    processes: list[subprocess.Popen[str]] = []
    for rank in reversed(range(count)):
        environment["RANK"] = str(rank)
        processes.append(
            subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        )
        while rank and processes[-1].poll() is None and not list(folder.glob(".labels*")):
            time.sleep(0.02)  # what rank 0 says before another is there, torchrun alone hears
    ended = [(*process.communicate(timeout=60), process.returncode) for process in processes]
    return [(code, out, err) for out, err, code in reversed(ended)]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_two_ranks_make_what_one_makes(tmp_path: Path, clips: Path) -> None:
    ((code, alone, err),) = run_ranks(clips, tmp_path / "alone", 1, "")
    assert code == 0, err
    two = run_ranks(clips, tmp_path / "two", 2, "")
    assert [code for code, _, _ in two] == [0, 0], two
    assert contents(tmp_path / "two") == contents(tmp_path / "alone")
    assert sorted(path.name for path in (tmp_path / "two").iterdir() if path.name.startswith(".")) == []
    assert two[0][1] == alone  # rank 0 tells of all
    assert alone.startswith("9 8 0 [('bad.wav', ")
    assert two[1][1].startswith("9 0 0 []")


def test_a_rank_that_gives_up_takes_the_other_along(tmp_path: Path, clips: Path) -> None:
    (clips / "bad.wav").unlink(missing_ok=True)
    for loser in ("1", "0"):
        folder = tmp_path / loser
        ended = run_ranks(clips, folder, 2, loser, "--strict")
        assert [code for code, _, _ in ended] == [1, 1], ended
        for _, _, err in ended:
            assert f"ValueError: I am rank {loser}" in err
        assert not (folder / labels.INDEX).exists()
    again = run_ranks(clips, folder, 2, "")  # what the failed meeting left is in nobody's way
    assert [code for code, _, _ in again] == [0, 0], again
    assert not list(folder.glob(".*"))


def test_who_am_i() -> None:
    assert Ranks.here({}) == Ranks(0, 1)
    assert Ranks.here({"RANK": "2", "WORLD_SIZE": "3"}) == Ranks(2, 3)
    for rank, size in (("3", "3"), ("-1", "2"), ("a", "2"), ("0", ""), ("0", "0"), ("1", "1")):
        with pytest.raises(UserError, match="is none of them"):
            Ranks.here({"RANK": rank, "WORLD_SIZE": size})


def start(
    place: Path, rank: int, count: int, lines: Iterable[str], found: dict[int, object], hold: Callable[[], None]
) -> threading.Thread:
    def run() -> None:
        bench = place.parent / f"bench{rank}"
        bench.mkdir(exist_ok=True)
        try:
            with gathered(lines, place, bench, Ranks(rank, count), lambda _: None) as everything:
                found[rank] = None if everything is None else [line.strip() for line in everything]
                hold()
        except UserError as error:
            found[rank] = str(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread


@pytest.mark.parametrize("things", [0, 1, 5, 6, 7])
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0)])
def test_lines_come_in_order_whoever_is_first(tmp_path: Path, things: int, order: tuple[int, ...]) -> None:
    found: dict[int, object] = {}
    threads = []
    for rank in order:
        share = [str(thing) for thing in range(things)][rank::3]
        threads.append(start(tmp_path / "m", rank, 3, share, found, lambda: None))
        time.sleep(0.02)
    for thread in threads:
        thread.join(20)
    assert found == {0: [str(thing) for thing in range(things)], 1: None, 2: None}
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize("left", ["open ", "done ", "failed rank 0 gave up: long ago"])
def test_what_an_earlier_run_left_is_not_believed(tmp_path: Path, left: str) -> None:
    place = tmp_path / "m"
    place.mkdir()
    (place / "state").write_text(f"0123456789abcdef {left}")
    (place / "0123456789abcdef.1").write_text("stale\n")
    found: dict[int, object] = {}
    early = start(place, 1, 2, ["b"], found, lambda: None)
    time.sleep(0.4)
    assert early.is_alive()
    late = start(place, 0, 2, ["a"], found, lambda: None)
    early.join(20)
    late.join(20)
    assert found == {0: ["a", "b"], 1: None}
    assert not place.exists()


def test_nobody_leaves_before_rank_0_is_done(tmp_path: Path) -> None:
    found: dict[int, object] = {}
    gate = threading.Event()
    first = start(tmp_path / "m", 0, 2, ["a"], found, lambda: gate.wait(20) and None)
    second = start(tmp_path / "m", 1, 2, ["b"], found, lambda: None)
    second.join(0.5)
    assert second.is_alive()
    gate.set()
    first.join(20)
    second.join(20)
    assert found == {0: ["a", "b"], 1: None}


def test_rank_0_waits_no_longer_than_its_patience(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranks, "PATIENCE", 0.2)
    found: dict[int, object] = {}
    first = start(tmp_path / "m", 0, 2, ["a"], found, lambda: None)
    while not (state := tmp_path / "m" / "state").is_file():
        time.sleep(0.01)
    (tmp_path / "m" / f"{state.read_text().split()[0]}.1").write_text("b\n")  # and then rank 1 is killed
    first.join(20)
    assert found == {0: ["a", "b"]}
    assert not (tmp_path / "m").exists()
