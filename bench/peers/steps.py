"""What is done with one peer and one network: build, judge, weigh in memory; and with all of them in turn: time."""

from __future__ import annotations

import json
import os
import re
import shutil
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.peers.catalogue import RUNTIMES, Peer
from bench.peers.lines import needed
from bench.peers.rooms import Room
from bench.peers.subjects import Subject
from compile.audit.claims import MANIFEST
from distill.digests import digest
from targets.command import finished

HERE = Path(__file__).parent
SECONDS = 1200.0  # for one build
CALLS = 20  # of each artefact in a round
FRESH = 3  # processes that memory is measured in
# Nobody is told of a benchmark, and nothing is installed while it runs.
QUIET = {"OLIVE_DISABLE_TELEMETRY": "1", "PIP_NO_INDEX": "1", "PIP_NO_INPUT": "1", "HF_HUB_OFFLINE": "1"}


@dataclass(frozen=True)
class Artefact:
    """A file, or a folder, that a runtime executes; ``key`` is of its bytes."""

    path: Path
    runtime: str
    key: str


def build(peer: Peer, subject: Subject, room: Room, folder: Path, times: int) -> dict[str, Any]:
    """Build ``times`` times, each in a process of its own with another hash seed.

    Returns:
        Artefacts with their bytes and digests, whether the builds are equal, and medians of seconds, processor time and
        memory; or ``error``: why there is nothing.
    """
    file, _, function = peer.builder.partition(":")
    took: list[dict[str, Any]] = []
    made: list[dict[str, str]] = []
    for number in range(times):
        out = folder / str(number)
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir(parents=True)
        command = [room.python, HERE / "build_one.py", HERE / "builders" / f"{file}.py", function]
        places = [subject.path(peer.takes), subject.windows, out / next(iter(peer.makes))]
        spent, why = _run([*command, *places], out, number)
        if why:
            return {"error": why}
        if missing := [name for name in peer.makes if not (out / name).exists()]:
            return {"error": f"it wrote no {missing[0]}"}
        took.append(spent)
        made.append({name: digest(files(out / name)) for name in peer.makes})
    first = folder / "0"
    minimum = None
    if (first / MANIFEST).is_file():
        facts = json.loads((first / MANIFEST).read_text(encoding="utf-8"))
        minimum = min(artefact["minimum_bytes"] for artefact in facts["artifacts"].values())
    return {
        "artefacts": {
            name: {"runtime": runtime, "bytes": sum(path.stat().st_size for path in files(first / name))}
            | {"digest": made[0][name], "path": str((first / name).relative_to(folder.parent))}
            for name, runtime in peer.makes.items()
        },
        "minimum": minimum,
        "equal": all(one == made[0] for one in made) if times > 1 else None,
        **{name: statistics.median(one[name] for one in took) for name in ("seconds", "processor", "peak")},
        "lines": needed((HERE / "builders" / f"{file}.py").read_text(encoding="utf-8"), function),
    }


def files(artefact: Path) -> list[Path]:
    """What belongs to an artefact: a folder's files, or a file, with that of its weights where they are apart."""
    if artefact.is_dir():
        return sorted(path for path in artefact.rglob("*") if path.is_file())
    sibling = {".xml": ".bin", ".param": ".bin"}.get(artefact.suffix)
    return [artefact] if sibling is None else [artefact, artefact.with_suffix(sibling)]


def _run(command: Sequence[object], out: Path, number: int) -> tuple[dict[str, Any], str]:
    """What a command took, see ``clock.py``, and why it failed, if it did."""
    log, result = out.parent / f"{number}.log", out.parent / f"{number}.json"
    variables = {**os.environ, "PYTHONHASHSEED": str(number), "PYTHONPATH": "", **QUIET}
    variables["PATH"] = f"{Path(str(command[0])).parent}{os.pathsep}{variables['PATH']}"  # as an activated room has it
    words = [sys.executable, "-S", str(HERE / "clock.py"), str(result), *map(str, command)]
    with log.open("wb") as said:
        try:
            finished(words, SECONDS, stdout=said, stderr=said, env=variables, cwd=out)
        except subprocess.TimeoutExpired:
            return {}, f"it did not finish in {SECONDS / 60:.0f} minutes"
    took = json.loads(result.read_text(encoding="ascii"))
    return took, "" if took["status"] == 0 else _reason(log.read_text(errors="replace"), took["status"])


def _reason(log: str, status: int) -> str:
    """The last line that tells of an error, without paths of this machine."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    told = [line for line in lines if re.match(r"[\w.]*(Error|Exception|Exit|Interrupt)\b", line)] or lines
    words = told[-1] if told else "it said nothing"
    words = re.sub(r"(/[\w.@+-]+)+/([\w.@+-]+)", r"\2", words)
    return words[:300] if status > 0 else f"ended by signal {-status}: {words[:200]}"


class Server:
    """A process with one runtime, which loads artefacts and does what it is told; see ``serve.py``."""

    def __init__(self, runtime: str, room: Room | None) -> None:
        python = sys.executable if room is None else room.python
        self._process = subprocess.Popen(
            [str(python), str(HERE / "serve.py"), str(HERE / "runtimes" / f"{runtime}.py")],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def ask(self, do: str, **order: Any) -> dict[str, Any]:
        """Do something; the answer.

        Raises:
            RuntimeFailed: the runtime raised, or died.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            print(json.dumps({"do": do, **order}), file=self._process.stdin, flush=True)
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise RuntimeFailed(f"the runtime died while it was told to {do}")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise RuntimeFailed(re.sub(r"(/[\w.@+-]+)+/([\w.@+-]+)", r"\2", answer["error"].splitlines()[0])[:300])
        return answer


class RuntimeFailed(Exception):
    """What a runtime answered instead of a result."""


def run(artefact: Artefact, room: Room | None, sound: Path, out: Path, most: int | None = None) -> dict[str, Any]:
    """Write the outputs ``[windows, controls]`` of an artefact; ``error`` where its runtime does not take it.

    ``most``: only so many windows, the first.
    """
    with Server(artefact.runtime, room) as server:
        try:
            version = server.ask("import")["version"]
            number = server.ask("load", path=str(artefact.path))["number"]
            server.ask("run", number=number, sound=str(sound), out=str(out), most=most)
        except RuntimeFailed as error:
            return {"error": str(error)}
    return {"version": version}


def weigh(artefact: Artefact, room: Room | None, sound: Path) -> dict[str, Any]:
    """How much a fresh process grows as it loads an artefact and runs it: bytes, median of a few processes."""
    grown = []
    for _ in range(FRESH):
        with Server(artefact.runtime, room) as server:
            try:
                server.ask("import")
                before = server.ask("resident")["now"]
                number = server.ask("load", path=str(artefact.path))["number"]
                server.ask("time", number=number, sound=str(sound), calls=CALLS)
                most = server.ask("resident")["most"]
            except RuntimeFailed as error:
                return {"error": str(error)}
            if before is None:
                return {"error": "measured on Linux only"}
        grown.append(most - before)
    return {"bytes": int(statistics.median(grown))}


def race(
    artefacts: Mapping[str, Artefact],
    rooms: Mapping[str, Room],
    sound: Path,
    rounds: int,
    tell: Callable[[int], None],
) -> dict[str, Any]:
    """Time artefacts in turn, A B C A B C, on one thread; those of one runtime share a process, the others wait.

    ``tell`` is called with the rounds that are finished.

    Returns:
        By name: ``median`` and ``p99`` in microseconds a call, and ``rounds``: the median of each round; or ``error``.
    """
    servers: dict[str, Server] = {}
    numbers: dict[str, int] = {}
    found: dict[str, Any] = {}
    calls: dict[str, list[list[float]]] = {}
    with ExitStack() as stack:
        for name, artefact in artefacts.items():
            room = RUNTIMES[artefact.runtime].room
            if artefact.runtime not in servers:
                server = Server(artefact.runtime, rooms[room] if room else None)
                servers[artefact.runtime] = stack.enter_context(server)
            try:
                numbers[name] = servers[artefact.runtime].ask("load", path=str(artefact.path))["number"]
            except RuntimeFailed as error:
                found[name] = {"error": str(error)}
        for done in range(rounds):
            tell(done)
            for name, number in [*numbers.items()]:
                try:
                    told = servers[artefacts[name].runtime].ask("time", number=number, sound=str(sound), calls=CALLS)
                except RuntimeFailed as error:
                    found[name] = {"error": str(error)}
                    del numbers[name]
                    continue
                calls.setdefault(name, []).append([1e6 * second for second in told["seconds"]])
    found |= {
        name: {
            "median": float(np.median(calls[name])),
            "p99": float(np.quantile(calls[name], 0.99)),
            "rounds": [float(np.median(one)) for one in calls[name]],
        }
        for name in numbers
    }
    return {"microseconds": found}
