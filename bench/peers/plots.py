"""The two pictures of the page: a panel a network."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bench.peers.standing import PHIZ, Line, lines

OURS, OTHER, REFERENCE = "#c2185b", "#37474f", "#b0bec5"
MARKS = {"onnxruntime": "o", "litert": "s", "coreml": "^", "openvino": "D", "executorch": "P", "ncnn": "X", "mnn": "v"}
COLUMNS = 3
NEAR = 0.06  # points closer than this, of a panel's width and height, have one label
METADATA = {"Software": None}  # the same figures give the same bytes


def precision(results: Mapping[str, Any]) -> bytes:
    """Bytes over the least, against SQNR, PNG."""
    from matplotlib.figure import Figure

    networks = results["networks"]
    figure = Figure(figsize=_size(len(networks), 4.0), layout="constrained")
    used = set()
    for panel, network in _panels(figure, networks):
        found = [one for one in _shown(results, network) if one.int8 and one.sqnr is not None and one.least is not None]
        for line in found:
            panel.scatter(line.least, line.sqnr, marker=MARKS[line.runtime], color=_colour(line), s=42, zorder=3)
            used.add(line.runtime)
        for name, at in names(found):
            panel.annotate(name, at, (6, -2.5), textcoords="offset points", fontsize=7)
        panel.set(title=network["name"], xlabel="bytes / least", ylabel="SQNR, dB", xscale="log")
        for set_form in (panel.xaxis.set_major_formatter, panel.xaxis.set_minor_formatter):
            set_form("{x:.2f}")
        panel.tick_params(axis="x", which="both", labelsize=7)
        panel.margins(x=0.15)
        panel.grid(alpha=0.3)
    _legend(figure, [(name, MARKS[name], OTHER) for name in MARKS if name in used] + [("phiz", "o", OURS)])
    return _png(figure)


def latency(results: Mapping[str, Any]) -> bytes:
    """Microseconds a window, bars by runtime, PNG."""
    from matplotlib.figure import Figure

    networks = results["networks"]
    timed = {n["name"]: [one for one in _shown(results, n) if one.median is not None] for n in networks}
    figure = Figure(
        figsize=_size(len(networks), 1.2 + 0.17 * max(map(len, timed.values()), default=1)), layout="constrained"
    )
    for panel, network in _panels(figure, networks):
        ordered = sorted(timed[network["name"]], key=lambda line: (-_rank(line), -(line.median or 0)))
        places = range(len(ordered))
        panel.barh(places, [line.median for line in ordered], color=[_colour(line) for line in ordered])
        panel.plot([line.p99 for line in ordered], places, "|", color="black", markersize=6)
        panel.set_yticks(places, [f"{line.peer} · {line.runtime}" for line in ordered], fontsize=6.5)
        panel.set(title=network["name"], xlabel="µs a window; | 99th percentile", xlim=(0, _limit(ordered)))
        panel.grid(axis="x", alpha=0.3)
    _legend(figure, [("phiz", "s", OURS), ("int8 peers", "s", OTHER), ("float", "s", REFERENCE)])
    return _png(figure)


def _shown(results: Mapping[str, Any], network: Mapping[str, Any]) -> list[Line]:
    """All but what phiz makes of several targets at once, which are the same files again, or nearly."""
    return [line for line in lines(results, network) if line.peer != PHIZ]


def _panels(figure: Any, networks: Sequence[Mapping[str, Any]]) -> Iterator[tuple[Any, Mapping[str, Any]]]:
    rows, columns = _grid(len(networks))
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for panel in panels[len(networks) :]:
        panel.remove()
    yield from zip(panels, networks, strict=False)


def _grid(count: int) -> tuple[int, int]:
    columns = max(1, min(COLUMNS, count))
    return max(1, math.ceil(count / columns)), columns


def _size(count: int, height: float) -> tuple[float, float]:
    rows, columns = _grid(count)
    return max(6.0, 4.6 * columns), rows * height + 0.4


def _labelled(found: Sequence[Line]) -> list[Line]:
    """phiz's, and peers that none beats in both."""
    peers = [line for line in found if not line.ours]
    return [
        line
        for line in found
        if line.ours or not any(o.bytes < line.bytes and (o.sqnr or 0) > (line.sqnr or 0) for o in peers)
    ]


def names(found: Sequence[Line]) -> list[tuple[str, tuple[float, float]]]:
    """Labels, each with the point that it stands right of; points that lie on one another share one."""
    points = [(line.least or 0.0, line.sqnr or 0.0) for line in found]
    wide, high = (NEAR * (max(sizes) - min(sizes)) for sizes in zip(*points, strict=True)) if points else (0.0, 0.0)
    groups: list[dict[str, tuple[float, float]]] = []
    for line in sorted(_labelled(found), key=lambda line: line.least or 0.0):
        x, y = line.least or 0.0, line.sqnr or 0.0
        near = (g for g in groups if all(abs(a - x) <= wide and abs(b - y) <= high for a, b in g.values()))
        group = next(near, None)
        if group is None:
            groups.append(group := {})
        group[line.peer] = (x, y)
    return [(", ".join(group), max(group.values())) for group in groups]


def _limit(found: Sequence[Line]) -> float:
    """Where the axis ends: behind the slowest median, wherever the tails end."""
    return 1.15 * max((line.median or 0.0 for line in found), default=1.0)


def _rank(line: Line) -> int:
    return [*MARKS].index(line.runtime)


def _colour(line: Line) -> str:
    return OURS if line.ours else OTHER if line.int8 else REFERENCE


def _legend(figure: Any, entries: Sequence[tuple[str, str, str]]) -> None:
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], linestyle="", marker=mark, color=colour, label=name) for name, mark, colour in entries]
    figure.legend(handles=handles, loc="outside lower center", ncols=4)


def _png(figure: Any) -> bytes:
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=100, metadata=METADATA)
    return data.getvalue()
