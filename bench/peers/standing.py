"""What the results say: one line an artefact, the goals, and where a peer is ahead. Pure: results in, words out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

PHIZ = "phiz"
ALONE = ("phiz-onnx", "phiz-tflite", "phiz-coreml")
COMMON = ("onnxruntime", "litert", "coreml")  # that both phiz and peers make files for
SIMILAR = 1.05  # times phiz's bytes: what is called of similar bytes
AHEAD_DB = 10.0
TIMES_FASTER = 3.0
NOISE = 0.02  # of a time or a memory: less is no difference


@dataclass(frozen=True)
class Line:
    """One artefact of one peer, with everything that was measured of it; None where it was not.

    Attributes:
        peer: its name.
        runtime: that executes it.
        int8: whether it is a rival, or a float file to compare with.
        bytes: of the file.
        least: times the least that the weights can take.
        sqnr: dB; infinite where it is the float model.
        f1: of closed lips.
        median: microseconds a window.
        p99: the same, of the slowest hundredth.
        ratio: times phiz's on the same runtime; the median of the rounds.
        memory: bytes that a fresh process grew by.
        seconds: to build it.
    """

    peer: str
    runtime: str
    int8: bool
    bytes: int
    least: float | None
    sqnr: float | None
    f1: float | None
    median: float | None
    p99: float | None
    ratio: float | None
    memory: int | None
    seconds: float

    @property
    def ours(self) -> bool:
        """Whether phiz made it."""
        return self.peer == PHIZ or self.peer.startswith(f"{PHIZ}-")


def lines(results: Mapping[str, Any], network: Mapping[str, Any]) -> list[Line]:
    """Every artefact of a network, in the order of the tables."""
    minimum = least(network)
    times = network["times"]
    base: dict[str, Sequence[float]] = {}
    for row in network["rows"]:
        for name, facts in row.get("artefacts", {}).items():
            key = f"{row['peer']}/{name}"
            if row["peer"] in ALONE and "rounds" in times.get(key, {}):
                base.setdefault(facts["runtime"], times[key]["rounds"])
    found = []
    for row in network["rows"]:
        for name, facts in row.get("artefacts", {}).items():
            time = times.get(f"{row['peer']}/{name}", {})
            judged, memory = facts["judged"], facts["memory"]
            found.append(
                Line(
                    peer=row["peer"],
                    runtime=facts["runtime"],
                    int8=results["peers"][row["peer"]]["int8"],
                    bytes=facts["bytes"],
                    least=facts["bytes"] / minimum if minimum else None,
                    sqnr=None if "error" in judged else float("inf") if judged["sqnr"] is None else judged["sqnr"],
                    f1=None if "error" in judged else judged["face"]["closure.f1"],
                    median=time.get("median"),
                    p99=time.get("p99"),
                    ratio=_ratio(time.get("rounds"), base.get(facts["runtime"])),
                    memory=memory.get("bytes"),
                    seconds=row["seconds"],
                )
            )
    return found


def least(network: Mapping[str, Any]) -> int | None:
    """Bytes of the network's int8 weights, int32 biases and scales, as phiz's manifest has them."""
    return min((row["minimum"] for row in network["rows"] if row.get("minimum")), default=None)


def failures(network: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Peers that made nothing, or something that does not run, and why."""
    for row in network["rows"]:
        if "error" in row:
            yield row["peer"], row["error"]
        for facts in row.get("artefacts", {}).values():
            if "error" in facts["judged"]:
                yield row["peer"], facts["judged"]["error"]


@dataclass(frozen=True)
class Goal:
    """Something phiz promises: whether it ``holds`` (None: not measured), and the figures."""

    text: str
    holds: bool | None
    detail: str


def goals(results: Mapping[str, Any], network: Mapping[str, Any]) -> list[Goal]:
    """What issue 8 promises of the reference student."""
    found = lines(results, network)
    return [
        *(_smallest(found, runtime) for runtime in COMMON),
        *(_most_precise(found, runtime) for runtime in COMMON),
        *(_fastest(found, runtime) for runtime in COMMON[:2]),
        _quickest(network),
    ]


def behind(results: Mapping[str, Any], network: Mapping[str, Any]) -> list[str]:
    """Where a peer's int8 artefact is better than phiz's on the same runtime, and by how much."""
    found, said = lines(results, network), []
    measures: tuple[tuple[str, Callable[[Line], float | None], bool, str], ...] = (
        ("smaller", lambda line: line.bytes, False, "{0:,.0f} bytes against {1:,.0f}"),
        ("more precise", lambda line: line.sqnr, True, "{0:.1f} dB against {1:.1f}"),
        ("better at closing lips", lambda line: line.f1, True, "F1 {0:.3f} against {1:.3f}"),
        ("faster", lambda line: line.median, False, "{0:.0f} µs against {1:.0f}"),
        ("leaner in memory", lambda line: line.memory, False, "{0:,.0f} bytes against {1:,.0f}"),
        ("built sooner", lambda line: line.seconds, False, "{0:.1f} s against {1:.1f}"),
    )
    for runtime in COMMON:
        for word, figure, high, pattern in measures:
            rivals = [line for line in _rivals(found, runtime) if figure(line) is not None]
            own = [figure(line) for line in _own(found, runtime) if figure(line) is not None]
            if not rivals or not own:
                continue
            ours = (max if high else min)(value for value in own if value is not None)
            first = (max if high else min)(rivals, key=lambda line: figure(line) or 0)
            theirs = figure(first) or 0.0
            margin = NOISE * abs(ours) if word in ("faster", "leaner in memory", "built sooner") else 0.0
            if theirs > ours + margin if high else theirs < ours - margin:
                size = first.bytes / min(line.bytes for line in _own(found, runtime))
                beside = f", in {size:.2f} times the bytes" if size > SIMILAR else ""
                figures = pattern.format(theirs, ours)
                said.append(f"{network['name']}, {runtime}: {first.peer} is {word}: {figures}{beside}")
    return said


def pairs(found: Sequence[Line]) -> Iterator[tuple[Line, Line]]:
    """On each runtime phiz's artefact and the most precise int8 peer's, where both run."""
    for runtime in COMMON:
        own = [line for line in _own(found, runtime) if line.sqnr is not None]
        rivals = [line for line in _rivals(found, runtime) if line.sqnr is not None]
        if own and rivals:
            yield own[0], max(rivals, key=lambda line: line.sqnr or 0.0)


def _smallest(found: Sequence[Line], runtime: str) -> Goal:
    own, rivals = _own(found, runtime), _rivals(found, runtime)
    text = f"{runtime}: fewer bytes than every int8 peer"
    if not own or not rivals:
        return Goal(text, None, "not measured")
    ours, theirs = min(line.bytes for line in own), min(rivals, key=lambda line: line.bytes)
    return Goal(text, ours < theirs.bytes, f"{ours:,} against {theirs.bytes:,} of {theirs.peer}")


def _most_precise(found: Sequence[Line], runtime: str) -> Goal:
    own = [(line.bytes, line.sqnr) for line in _own(found, runtime) if line.sqnr is not None]
    text = f"{runtime}: {AHEAD_DB:.0f} dB above every int8 peer of similar bytes"
    if not own:
        return Goal(text, None, "not measured")
    size, ours = min(own)
    rivals = [
        (one.sqnr, one.peer) for one in _rivals(found, runtime) if one.sqnr is not None and one.bytes <= SIMILAR * size
    ]
    if not rivals:
        return Goal(text, None, "no peer has similar bytes")
    best, peer = max(rivals)
    return Goal(text, ours - best >= AHEAD_DB, f"{ours:.1f} dB against {best:.1f} of {peer}")


def _fastest(found: Sequence[Line], runtime: str) -> Goal:
    rivals = [line for line in _rivals(found, runtime) if line.ratio is not None]
    text = f"{runtime}: no slower than the fastest int8 peer"
    if not rivals:
        return Goal(text, None, "not measured")
    best = min(rivals, key=lambda line: line.ratio or 0.0)
    ratio = 1 / (best.ratio or 1.0)
    return Goal(text, ratio <= 1 + NOISE, f"{ratio:.2f} times the time of {best.peer}")


def _quickest(network: Mapping[str, Any]) -> Goal:
    """Compile time against the quickest way to an ONNX and a TFLite file, which takes two peers."""
    text = f"ONNX, TFLite and Core ML together at least {TIMES_FASTER:.0f} times faster than peers make ONNX and TFLite"
    built = {row["peer"]: row for row in network["rows"] if "seconds" in row}
    onnx, tflite = (
        sorted(
            (row["seconds"], peer)
            for peer, row in built.items()
            if f"model.{kind}" in row["artefacts"] and "float" not in peer
        )
        for kind in ("onnx", "tflite")
    )
    if PHIZ not in built or not onnx or not tflite:
        return Goal(text, None, "not measured")
    ours, theirs = built[PHIZ]["seconds"], onnx[0][0] + tflite[0][0]
    busy = sum(built[peer]["processor"] for peer in (onnx[0][1], tflite[0][1])) / built[PHIZ]["processor"]
    said = (
        f"{ours:.1f} s against {theirs:.1f} of {onnx[0][1]} and {tflite[0][1]}: {theirs / ours:.1f} times, "
        f"{busy:.1f} in processor time"
    )
    return Goal(text, theirs >= TIMES_FASTER * ours, said)


def _own(found: Sequence[Line], runtime: str) -> list[Line]:
    """phiz's artefact as it comes, where only that target is asked for, as peers are."""
    return [line for line in found if line.peer in ALONE and line.runtime == runtime]


def _rivals(found: Sequence[Line], runtime: str) -> list[Line]:
    return [line for line in found if not line.ours and line.int8 and line.runtime == runtime]


def _ratio(rounds: Sequence[float] | None, base: Sequence[float] | None) -> float | None:
    if not rounds or not base:
        return None
    ratios = sorted(one / other for one, other in zip(rounds, base, strict=True))
    return ratios[len(ratios) // 2]
