"""Results to files: JSON, a page of Markdown, and two pictures."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.peers import plots
from bench.peers.standing import Line, behind, failures, goals, least, lines, pairs
from bench.results import NOTHING, Sheet, markdown
from compile.files import write_atomically

IMAGES = "images"
PRECISION, LATENCY = "benchmark-precision.png", "benchmark-latency.png"
GOAL_OF = "reference"
WHY = {
    "smaller": "weights that phiz keeps in float for the sake of precision",
    "faster": "float layers for the sake of precision, and quantising at run time in the head",
    "built sooner": "phiz tries plans on speech that did not calibrate, and checks and audits what it wrote; "
    "the others write the one plan that they have",
    "leaner in memory": "buffers of float layers beside those of int8",
    "better at closing lips": "less than a sentence's worth of closures apart: chance",
    "more precise": "more of it in float",
}

COLUMNS = ("peer", "bytes", "/ least", "SQNR dB", "lips F1", "µs", "p99", "/ phiz", "memory MB")
MAKING = ("peer", "what is set", "seconds", "processor", "peak MB", "lines", "installed MB", "same bytes twice")


def write(results: Mapping[str, Any], page: Path) -> None:
    """Write ``page``, its JSON beside it, and its pictures in ``images/``."""
    write_atomically(page.with_suffix(".json"), (json.dumps(results, indent=1, sort_keys=True) + "\n").encode())
    write_atomically(page.parent / IMAGES / PRECISION, plots.precision(results))
    write_atomically(page.parent / IMAGES / LATENCY, plots.latency(results))
    write_atomically(page, render(results))


def render(results: Mapping[str, Any]) -> bytes:
    """The page."""
    return b"".join(_parts(results))


def _parts(results: Mapping[str, Any]) -> Iterator[bytes]:
    speech, manner = results["speech"], results["manner"]
    yield (
        "# phiz beside its peers\n\n"
        "Written by `python -m bench`; do not edit. [benchmarking.md](benchmarking.md) says how to run it, what is "
        "measured how, and how to add a peer.\n\n"
        f"{described(results['machine'])}\n\n"
        f"All got the same networks and the same {speech['calibrate']} sentences to calibrate on, and were judged on "
        f"{speech['judge']} others, {speech['seconds']:.0f} s by voices never heard. Speech is espeak-ng's. "
        f"Each peer built each network {times(manner['builds'])}; files were timed in {manner['rounds']} rounds.\n\n"
        f"![Bytes against precision]({IMAGES}/{PRECISION})\n\n![Latency]({IMAGES}/{LATENCY})\n\n"
    ).encode()
    yield b"## In short\n\nphiz as it comes, and on the same runtime the int8 peer that is most precise.\n\n"
    yield markdown([_short(results)])
    for network in results["networks"]:
        if network["name"] == GOAL_OF:
            yield b"## Goals, on the reference student\n\n"
            words = {True: "holds", False: "**does not hold**", None: "not measured"}
            rows = tuple((goal.text, words[goal.holds], goal.detail) for goal in goals(results, network))
            yield markdown([Sheet("What phiz is to be", ("goal", "", "figures"), rows)])
    yield from _ahead(results)
    for network in results["networks"]:
        yield from _network(results, network)
    yield from _made(results)


def times(count: int) -> str:
    """How often, in words."""
    return {1: "once", 2: "twice"}.get(count, f"{count} times")


def _short(results: Mapping[str, Any]) -> Sheet:
    """Of each network and runtime two lines in one: phiz's, and that of its most precise rival."""
    half = ("/ least", "dB", "lips F1", "µs")
    rows = []
    for network in results["networks"]:
        for ours, theirs in pairs(lines(results, network)):
            rows.append((network["name"], ours.runtime, *_brief(ours), theirs.peer, *_brief(theirs)))
    return Sheet("phiz, and the best of the others", ("", "on", *half, "the peer", *half), tuple(rows))


def _brief(line: Line) -> tuple[str, str, str, str]:
    return _figure(line.least, ".2f"), _figure(line.sqnr, ".1f"), _figure(line.f1, ".2f"), _figure(line.median, ".0f")


def described(machine: Mapping[str, Any]) -> str:
    """The machine in a sentence."""
    memory = f", {machine['memory'] / 1e9:.0f} GB" if machine["memory"] else ""
    with_ = f" ({', '.join(machine['instructions'])})" if machine["instructions"] else ""
    of = f"{machine['usable']} of " if machine["usable"] != machine["cores"] else ""
    return (
        f"{machine['processor']}{with_}, {of}{machine['cores']} cores{memory}, {machine['system']}, "
        f"Python {machine['python']}. Runtimes had one thread."
    )


def _ahead(results: Mapping[str, Any]) -> Iterator[bytes]:
    """Where peers are ahead."""
    said = [line for network in results["networks"] for line in behind(results, network)]
    yield b"\n## Where a peer is ahead\n\n"
    if not said:
        yield b"Nowhere in this run.\n"
        return
    yield "".join(f"- {line}\n" for line in said).encode()
    reasons = {word: why for word, why in WHY.items() if any(f" is {word}: " in line for line in said)}
    yield ("\nWhy: " + "; ".join(f"*{word}*: {why}" for word, why in reasons.items()) + ".\n").encode()


def _network(results: Mapping[str, Any], network: Mapping[str, Any]) -> Iterator[bytes]:
    minimum = least(network)
    floats = network["faces"]["float"]
    yield (
        f"\n## {network['name']}\n\n{network['parameters']:,} parameters: {network['about']}. "
        f"The least that int8 weights, int32 biases and a scale a channel can take: "
        f"{f'{minimum:,} bytes' if minimum else 'not known'}. The float model's lips: {shown('F1', floats)}.\n\n"
    ).encode()
    found = lines(results, network)
    groups = dict.fromkeys(line.runtime for line in found)
    yield markdown([_artefacts(runtime, [one for one in found if one.runtime == runtime]) for runtime in groups])
    if streams := network.get("streams"):
        yield markdown([_streams(streams)])
    yield markdown([_making(results, network)], tuple(f"{peer}: {why}" for peer, why in _unlike(failures(network))))


def shown(name: str, figures: Mapping[str, float | None]) -> str:
    """Closures of the float model."""
    value = figures["closure.f1"]
    return f"{name} {NOTHING if value is None else f'{value:.3f}'}"


def _unlike(pairs: Iterator[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    yield from dict.fromkeys(pairs)


def _artefacts(runtime: str, found: Sequence[Line]) -> Sheet:
    rows = tuple(
        (
            f"**{line.peer}**" if line.ours else line.peer if line.int8 else f"*{line.peer}*",
            f"{line.bytes:,}",
            _figure(line.least, ".3f"),
            "float" if line.sqnr == float("inf") else _figure(line.sqnr, ".1f"),
            _figure(line.f1, ".3f"),
            _figure(line.median, ".0f"),
            _figure(line.p99, ".0f"),
            _figure(line.ratio, ".2f"),
            _figure(line.memory and line.memory / 1e6, ".1f"),
        )
        for line in found
    )
    return Sheet(f"On {runtime}", COLUMNS, rows)


def _streams(streams: Sequence[Mapping[str, Any]]) -> Sheet:
    heads = (
        "phiz, hop by hop",
        "bytes",
        "SQNR dB",
        "window µs",
        "hop µs",
        "hops a window",
        "core, windows",
        "core, hops",
    )
    rows = tuple(
        (
            *(one["name"], f"{one['bytes']:,}", f"{one['sqnr']:.1f}", f"{one['window']:.1f}", f"{one['hop']:.1f}"),
            *(f"{one['ratio']:.1f}", f"{one['windows']:.2%}", f"{one['hops']:.2%}"),
        )
        for one in streams
    )
    return Sheet("Streaming, which no peer offers", heads, rows)


def _making(results: Mapping[str, Any], network: Mapping[str, Any]) -> Sheet:
    rows = []
    for row in network["rows"]:
        peer = results["peers"][row["peer"]]
        room = results["rooms"].get(peer["room"])
        size = f"{room['bytes'] / 1e6:,.0f}" if room else NOTHING
        if "error" in row:
            rows.append((row["peer"], peer["about"], "failed", *(NOTHING,) * 3, size, NOTHING))
            continue
        rows.append(
            (
                *(row["peer"], peer["about"], f"{row['seconds']:.1f}", f"{row['processor']:.1f}"),
                *(f"{row['peak'] / 1e6:,.0f}", str(row["lines"]), size),
                {True: "yes", False: "**no**", None: NOTHING}[row["equal"]],
            )
        )
    return Sheet("Making it", MAKING, tuple(rows))


def _made(results: Mapping[str, Any]) -> Iterator[bytes]:
    yield b"\n## Versions\n\n"
    for name, peer in {peer["room"]: peer for peer in results["peers"].values()}.items():
        yield f"- {name}: {', '.join(peer['pins'])}\n".encode()
    for name, why in results["failed rooms"].items():
        yield f"- {name}: **not installed**: {why}\n".encode()


def _figure(value: float | None, form: str) -> str:
    return NOTHING if value is None else f"{value:{form}}"
