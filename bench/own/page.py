"""What phiz costs, as a page and a picture."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.peers.report import IMAGES, described
from bench.results import NOTHING, Sheet, markdown
from compile.files import write_atomically

PICTURE = "costs.png"
POWERS = np.arange(1, 400) / 100
STEADY = 0.15  # what grows by less from the smallest to the largest is constant: memory comes in steps
LINEAR = 1.1  # an exponent up to which growth is called linear: what was measured is not exact
GROWTHS = (
    ("sizes", "parameters", ("compile", "audit")),
    ("lengths", "minutes", ("label", "calibrate", "bake")),
)


def write(results: Mapping[str, Any], page: Path) -> None:
    """Write ``page``, its JSON beside it, and its picture in ``images/``."""
    write_atomically(page.with_suffix(".json"), (json.dumps(results, indent=1, sort_keys=True) + "\n").encode())
    write_atomically(page.parent / IMAGES / PICTURE, picture(results))
    write_atomically(page, render(results))


def render(results: Mapping[str, Any]) -> bytes:
    """The page."""
    return b"".join(_parts(results))


def exponent(points: Sequence[tuple[float, float]]) -> float | None:
    """The ``k`` of ``cost = fixed + c * size**k`` that fits best; 0: it hardly grows; None: too few points to tell.

    Best is by the squares of relative errors, so that small sizes count as much as large ones. ``fixed``, a start that
    would hide how the rest grows, is never negative.
    """
    if len(points) < 3:
        return None
    sizes, costs = np.array(points).T
    if costs[-1] <= (1 + STEADY) * costs.min():
        return 0.0
    return float(min(POWERS, key=lambda power: _misfit((sizes / sizes.max()) ** power, costs)))


def _misfit(grown: NDArray[np.float64], costs: NDArray[np.float64]) -> float:
    """What is left of ``costs`` by the best ``fixed + c * grown``, relative and squared."""
    parts = np.stack([np.ones_like(grown), grown], axis=1) / costs[:, None]
    shares = np.linalg.lstsq(parts, np.ones_like(costs), rcond=None)[0]
    if shares[0] < 0:
        shares = np.array([0.0, parts[:, 1].sum() / np.square(parts[:, 1]).sum()])
    return float(np.square(parts @ shares - 1).sum())


def growths(results: Mapping[str, Any]) -> Iterator[tuple[str, str, float | None]]:
    """What grows with what, of which figure, and by which power."""
    for kind, over, commands in GROWTHS:
        for command in commands:
            for figure in ("processor", "peak"):
                points = [(one[over], one[command][figure]) for one in results[kind]]
                yield f"{command} by {over}", {"processor": "time", "peak": "memory"}[figure], exponent(points)


def verdict(power: float | None) -> str:
    """A power in words."""
    if power is None:
        return NOTHING
    return "constant" if power == 0 else "linear or better" if power <= LINEAR else "**worse than linear**"


def _parts(results: Mapping[str, Any]) -> Iterator[bytes]:
    yield (
        "# What phiz itself costs\n\nWritten by `python -m bench own`; do not edit. "
        "[benchmarking.md](benchmarking.md) says how to run it.\n\n"
        f"{described(results['machine'])} Medians of {results['runs']}.\n\n![Growth]({IMAGES}/{PICTURE})\n\n"
    ).encode()
    rows = tuple((name, *_start(took)) for name, took in results["start"].items())
    yield markdown([Sheet("The start of every command", ("command", "ms", "processor ms", "peak MB"), rows)])
    spent = results["stages"]["stages"]
    parts = tuple((name, f"{one['clock']:.2f}", f"{one['processor']:.2f}") for name, one in spent.items())
    total = tuple(f"{sum(one[kind] for one in spent.values()):.2f}" for kind in ("clock", "processor"))
    heads = ("stage", "seconds", "processor")
    title = "`phiz compile` of the reference student for three targets"
    yield markdown([Sheet(title, heads, (*parts, ("the whole command", *total)), last=1)])
    yield markdown([_sizes(results["sizes"]), _lengths(results["lengths"]), _growths(results)])


def _start(took: Mapping[str, float]) -> tuple[str, str, str]:
    return f"{1000 * took['seconds']:.0f}", f"{1000 * took['processor']:.0f}", f"{took['peak'] / 1e6:.0f}"


def _sizes(sizes: Sequence[Mapping[str, Any]]) -> Sheet:
    heads = ("parameters", "compile s", "processor s", "peak MB", "audit s", "processor s", "peak MB", "dearest stage")
    rows = []
    for one in sizes:
        stage, seconds = max(one["stages"].items(), key=lambda item: item[1])
        rows.append(
            (f"{one['parameters']:,}", *_cost(one["compile"]), *_cost(one["audit"]), f"{stage}, {seconds:.1f} s")
        )
    return Sheet("By the size of the network, three targets", heads, tuple(rows))


def _lengths(lengths: Sequence[Mapping[str, Any]]) -> Sheet:
    commands = ("label", "calibrate", "bake")
    figures = tuple(head for name in commands for head in (f"{name} s", "processor s", "peak MB"))
    rows = tuple((f"{one['minutes']:.1f}", *(c for name in commands for c in _cost(one[name]))) for one in lengths)
    return Sheet("By minutes of speech", ("minutes", *figures), rows)


def _growths(results: Mapping[str, Any]) -> Sheet:
    rows = tuple(
        (what, figure, NOTHING if power is None else f"{power:.2f}", verdict(power))
        for what, figure, power in growths(results)
    )
    return Sheet("Growth: the power of the size, beside a fixed cost", ("", "of", "power", ""), rows)


def _cost(took: Mapping[str, float]) -> tuple[str, str, str]:
    return f"{took['seconds']:.1f}", f"{took['processor']:.1f}", f"{took['peak'] / 1e6:,.0f}"


def picture(results: Mapping[str, Any]) -> bytes:
    """Processor time by size and by length, PNG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    for panel, (kind, over, commands) in zip(figure.subplots(1, 2), GROWTHS, strict=True):
        for command in commands:
            points = [(one[over], one[command]["processor"]) for one in results[kind]]
            panel.plot(*zip(*points, strict=True), "o-", label=f"phiz {command}")
        panel.set(xlabel=over, ylabel="processor seconds", xscale="log", yscale="log")
        panel.grid(alpha=0.3)
        panel.legend()
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=110, metadata={"Software": None})
    return data.getvalue()
