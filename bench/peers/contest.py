"""The contest itself: speech, networks, rooms; then every peer on every network, step by step, each result kept."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from bench.board import Board
from bench.peers import steps
from bench.peers.catalogue import HERE, PEERS, PHIZ, ROOMS, RUNTIMES, STREAM, Peer
from bench.peers.judge import Judge
from bench.peers.machine import machine
from bench.peers.rooms import Room, open_room
from bench.peers.steps import Artefact
from bench.peers.store import Store
from bench.peers.subjects import CALIBRATE, SUBJECTS, Heard, Subject, listen, prepare, speak
from bench.stream import costs, pairs
from compile.audit.claims import MANIFEST
from compile.errors import UserError
from distill.corpus.sources import HELD_OUT, TRAIN
from distill.digests import digest

STEPS = ("build", "judge", "memory", "time")
SCRIPTS = Path(__file__).parent


@dataclass(frozen=True)
class Manner:
    """How thoroughly.

    Attributes:
        builds: by each peer of each network; from two on they are compared.
        sentences: to judge on.
        rounds: of the timing.
    """

    builds: int
    sentences: int
    rounds: int


class Contest:
    """Everything that was made, in one folder."""

    def __init__(self, folder: Path, manner: Manner, again: frozenset[str] = frozenset()) -> None:
        self.folder, self.manner = folder, manner
        self.store = Store(folder / "results", again)
        self.rooms: dict[str, Room] = {}
        self.failed: dict[str, str] = {}

    def hold(self, chosen: Sequence[tuple[str, Sequence[Peer]]]) -> dict[str, Any]:
        """All results, as JSON."""
        names = [name for name in ROOMS if any(peer.room == name for _, peers in chosen for peer in peers)]
        runtimes = {runtime for _, peers in chosen for peer in peers for runtime in peer.makes.values()}
        names += [room for one in sorted(runtimes) if (room := RUNTIMES[one].room) and room not in names]
        total = len(names) + sum(len(peers) + 1 for _, peers in chosen)
        with Board("bench", total) as board:
            for name in names:
                self._open(name, board)
            told = partial(board.tell, "speech", "speak")
            calibration = speak(self.folder / "speech" / "calibrate", CALIBRATE, TRAIN, told)
            heard = listen(
                speak(self.folder / "speech" / f"judge-{self.manner.sentences}", self.manner.sentences, HELD_OUT, told)
            )
            networks = []
            for name, peers in chosen:
                board.tell(name, "prepare", 0, 1)
                subject = prepare(self.folder / "networks", name, calibration)
                networks.append(self._network(subject, peers, heard, board))
        return {
            "machine": machine(),
            "manner": asdict(self.manner),
            "rooms": {name: {"bytes": room.bytes, "versions": room.versions} for name, room in self.rooms.items()},
            "failed rooms": self.failed,
            "speech": {"calibrate": CALIBRATE, "judge": self.manner.sentences, "seconds": seconds(heard)},
            "peers": {
                peer.name: {"about": peer.about, "room": peer.room, "int8": peer.int8, "pins": pins(peer)}
                for peer in PEERS
                if any(peer in peers for _, peers in chosen)
            },
            "networks": networks,
        }

    def _open(self, name: str, board: Board) -> None:
        board.tell(f"environment {name}", "install", 0, 1)
        try:
            self.rooms[name] = open_room(self.folder / "rooms", name)
        except UserError as error:
            self.failed[name] = str(error)
        board.end(f"environment {name}", self.failed.get(name, ""))

    def _network(self, subject: Subject, peers: Sequence[Peer], heard: Heard, board: Board) -> dict[str, Any]:
        rows, artefacts = [], dict[str, Artefact]()
        judge = Judge(self.folder, subject, heard)
        for peer in peers:
            named = f"{peer.name}/{subject.name}"
            board.tell(named, "build", 0, 3)
            row = {"peer": peer.name, **self._build(peer, subject)}
            made = {name: self._artefact(facts) for name, facts in row.get("artefacts", {}).items()}
            board.tell(named, "judge", 1, 3)
            for name, artefact in made.items():
                row["artefacts"][name] |= {"judged": self._judged(artefact, judge)}
            board.tell(named, "memory", 2, 3)
            for name, artefact in made.items():
                row["artefacts"][name] |= {"memory": self._weigh(artefact, judge)}
                artefacts[f"{peer.name}/{name}"] = artefact
            board.end(named, row.get("error", ""))
            rows.append(row)
        rounds = self.manner.rounds
        told = partial(board.tell, subject.name, "time", total=rounds)
        times = self._race(artefacts, judge, lambda done: told(done=done))
        told(done=rounds, note="and hop by hop")
        streams = self._streams(subject) if any(peer.room == PHIZ for peer in peers) else []
        board.end(subject.name)
        return {
            "name": subject.name,
            "about": SUBJECTS[subject.name][1],
            "parameters": subject.parameters,
            "window": subject.window,
            "rows": rows,
            "times": times,
            "faces": self.store.once("judge", {**judge.of, "floor": True}, lambda _: {"float": judge.float_face()}),
            "streams": streams,
        }

    def _build(self, peer: Peer, subject: Subject) -> dict[str, Any]:
        if peer.room in self.failed:
            return {"error": self.failed[peer.room]}
        room = self.rooms[peer.room]
        file = peer.builder.partition(":")[0]
        of = {
            "peer": peer.name,
            "builder": peer.builder,
            "takes": peer.takes,
            "makes": dict(peer.makes),
            "source": digest([SCRIPTS / "builders" / f"{file}.py"]),
            "versions": room.versions,
            "phiz": room.digest,
            "network": subject.digest,
            "builds": self.manner.builds,
        }
        return self.store.once(
            "build", of, lambda key: steps.build(peer, subject, room, self.folder / "builds" / key, self.manner.builds)
        )

    def _streams(self, subject: Subject) -> list[dict[str, Any]]:
        """phiz hop by hop; empty where the network cannot."""
        row = self._build(STREAM, subject)
        if "error" in row:
            return []
        digests = {name: facts["digest"] for name, facts in row["artefacts"].items()}
        folder = (self.folder / "builds" / next(iter(row["artefacts"].values()))["path"]).parent
        found = self.store.once("time", {"streams": digests}, lambda _: {"streams": flowing(folder)})
        return list(found["streams"])

    def _artefact(self, facts: Mapping[str, Any]) -> Artefact:
        return Artefact(self.folder / "builds" / facts["path"], facts["runtime"], facts["digest"])

    def room_of(self, artefact: Artefact) -> Room | None:
        """Where its runtime is.

        Raises:
            UserError: it could not be installed.
        """
        name = RUNTIMES[artefact.runtime].room
        if name in self.failed:
            raise UserError(self.failed[name])
        return self.rooms[name] if name else None

    def how(self, artefact: Artefact) -> dict[str, Any]:
        """What a result about an artefact depends on."""
        name = RUNTIMES[artefact.runtime].room
        return {
            "artefact": artefact.key,
            "runtime": digest([SCRIPTS / "runtimes" / f"{artefact.runtime}.py"]),
            "versions": self.rooms[name].versions if name in self.rooms else {},
        }

    def _judged(self, artefact: Artefact, judge: Judge) -> dict[str, Any]:
        try:
            room = self.room_of(artefact)
        except UserError as error:
            return {"error": str(error)}
        return self.store.once("judge", {**self.how(artefact), **judge.of}, lambda _: judge(artefact, room))

    def _weigh(self, artefact: Artefact, judge: Judge) -> dict[str, Any]:
        if not RUNTIMES[artefact.runtime].timed:
            return {"error": "no runtime here"}
        try:
            room = self.room_of(artefact)
        except UserError as error:
            return {"error": str(error)}
        return self.store.once("memory", self.how(artefact), lambda _: steps.weigh(artefact, room, judge.sound))

    def _race(self, artefacts: Mapping[str, Artefact], judge: Judge, tell: Callable[[int], None]) -> dict[str, Any]:
        timed = {
            name: artefact
            for name, artefact in artefacts.items()
            if RUNTIMES[artefact.runtime].timed and RUNTIMES[artefact.runtime].room not in self.failed
        }
        of = {"artefacts": {name: self.how(one) for name, one in timed.items()}, "rounds": self.manner.rounds}
        rounds = self.manner.rounds
        race = partial(steps.race, timed, self.rooms, judge.sound, rounds, tell)
        return dict(self.store.once("time", of, lambda _: race())["microseconds"])


def flowing(folder: Path) -> list[dict[str, Any]]:
    """Windows and hops of a build in turn, see ``bench.stream``."""
    parity = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["parity"]
    names = {".onnx": "onnx+stream", ".tflite": "tflite+stream"}
    return [
        {"name": stream.name, "bytes": stream.stat().st_size, "sqnr": parity[names[stream.suffix]]["sqnr_db"]}
        | asdict(costs(window, stream))
        for window, stream in pairs(folder)
    ]


def seconds(heard: Heard) -> float:
    """Of speech that is judged on."""
    return sum(map(len, heard.clips)) / 16000


def pins(peer: Peer) -> list[str]:
    """Versions that the table pins."""
    return [one for one in ROOMS[peer.room] if HERE not in one]
