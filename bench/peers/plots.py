"""The two pictures of the page."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

from bench.peers.standing import Line, lines

PHIZ, OTHER, REFERENCE = "#c2185b", "#37474f", "#b0bec5"
MARKS = {"onnxruntime": "o", "litert": "s", "coreml": "^", "openvino": "D", "executorch": "P", "ncnn": "X", "mnn": "v"}
METADATA = {"Software": None}  # the same figures give the same bytes


def precision(results: Mapping[str, Any]) -> bytes:
    """Bytes over the least, against SQNR: a panel a network, PNG."""
    from matplotlib.figure import Figure

    networks = results["networks"]
    figure = Figure(figsize=(4.6 * len(networks), 4.2), layout="constrained")
    for panel, network in zip(figure.subplots(1, len(networks), squeeze=False)[0], networks, strict=True):
        found = [one for one in lines(results, network) if one.int8 and one.sqnr is not None and one.least is not None]
        for line in found:
            panel.scatter(line.least, line.sqnr, marker=MARKS[line.runtime], color=_colour(line), s=42, zorder=3)
        for line in _labelled(found):
            panel.annotate(line.peer, (line.least, line.sqnr), (4, 4), textcoords="offset points", fontsize=7)
        panel.set(title=network["name"], xlabel="bytes / least", ylabel="SQNR, dB", xscale="log")
        panel.xaxis.set_major_formatter("{x:.2f}")
        panel.xaxis.set_minor_formatter("{x:.2f}")
        panel.tick_params(axis="x", which="both", labelsize=7)
        panel.grid(alpha=0.3)
    used = [name for name in MARKS if any(one.runtime == name for n in networks for one in lines(results, n))]
    handles = [panel.scatter([], [], marker=MARKS[name], color=OTHER, label=name) for name in used]
    figure.legend(
        handles=[*handles, panel.scatter([], [], color=PHIZ, label="phiz")], loc="outside lower center", ncols=8
    )
    return _png(figure)


def latency(results: Mapping[str, Any]) -> bytes:
    """Microseconds a window, bars by runtime: a panel a network, PNG."""
    from matplotlib.figure import Figure

    networks = results["networks"]
    timed = [[one for one in lines(results, network) if one.median is not None] for network in networks]
    figure = Figure(figsize=(4.6 * len(networks), 1.2 + 0.2 * max(map(len, timed), default=1)), layout="constrained")
    for panel, network, found in zip(figure.subplots(1, len(networks), squeeze=False)[0], networks, timed, strict=True):
        ordered = sorted(found, key=lambda line: (-list(MARKS).index(line.runtime), -(line.median or 0)))
        places = range(len(ordered))
        panel.barh(places, [line.median for line in ordered], color=[_colour(line) for line in ordered])
        panel.plot([line.p99 for line in ordered], places, "|", color="black", markersize=6)
        panel.set_yticks(places, [f"{line.peer} · {line.runtime}" for line in ordered], fontsize=7)
        slowest = max((line.median or 0 for line in ordered), default=1)
        panel.set(title=network["name"], xlabel="µs a window; | 99th percentile", xlim=(0, 1.3 * slowest))
        panel.grid(axis="x", alpha=0.3)
    return _png(figure)


def _labelled(found: list[Line]) -> list[Line]:
    """Those that nobody beats in both, and phiz's."""
    return [
        line
        for line in found
        if line.ours or not any(o.bytes < line.bytes and (o.sqnr or 0) > (line.sqnr or 0) for o in found if not o.ours)
    ]


def _colour(line: Line) -> str:
    return PHIZ if line.ours else OTHER if line.int8 else REFERENCE


def _png(figure: Any) -> bytes:
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=110, metadata=METADATA)
    return data.getvalue()
