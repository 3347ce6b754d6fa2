"""What the float model and the artefacts say of the same input, laid over each other."""

from __future__ import annotations

import numpy as np

from compile.audit.render.page.charts import HUES, SECOND, key, panel, seconds_below, sound
from compile.audit.render.page.markup import Markup, tag
from compile.audit.render.words import brief
from compile.report.spoken import FLOAT, Spoken

_PANELS = 6
_STEP = 1 / 50  # seconds that a judged sample is drawn as, where nobody knows how long it is


def curves(spoken: Spoken, trusted: bool) -> Markup:
    """A section with the channels that move most; ``trusted`` unless the samples are noise."""
    original = spoken.lines[FLOAT]
    hues = {name: "st" if name == FLOAT else f"s{(index - 1) % HUES}" for index, name in enumerate(spoken.lines)}
    rows, passage = [], spoken.passage
    step = _STEP if passage is None else 1 / passage.frame_rate
    seconds = len(original) * step
    if passage is not None:
        rows.append(tag("div", sound(passage.audio), class_="row sound", aria_hidden="true"))
    for channel in np.argsort(-original.std(axis=0), kind="stable")[:_PANELS]:
        lines = {name: line[:, channel] for name, line in spoken.lines.items()}
        apart = max((float(np.abs(line - lines[FLOAT]).max()) for line in lines.values()), default=0.0)
        rows.append(
            panel(f"{brief(spoken.names[channel], 60)} · at most {apart:.2g} apart", lines, hues, seconds, step)
        )
    if passage is not None:
        rows.append(seconds_below(seconds))
    drawn = tag("div", *rows, style=f"--wide:{SECOND * seconds:.1f}rem")
    return tag(
        "section",
        tag("h2", "Float and compiled", id="curves"),
        tag("p", _what(spoken, trusted), class_="note"),
        key((hue, name) for name, hue in hues.items()),
        tag("div", drawn, class_="scroll example", tabindex="0", role="region", aria_labelledby="curves"),
    )


def _what(spoken: Spoken, trusted: bool) -> str:
    shown = min(_PANELS, len(spoken.names))
    those = f"The {shown} of {len(spoken.names)} outputs that move most" if shown > 1 else "The output"
    where = "the loudest seconds of speech that calibration never heard, frame by frame"
    if spoken.passage is None:
        where = f"{'samples' if trusted else 'noise'} that calibration never saw, in their order"
    left = f" Not drawn: {', '.join(spoken.left)}." if spoken.left else ""
    return f"{those}, over {where}.{left}"
