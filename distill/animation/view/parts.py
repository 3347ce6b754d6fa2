"""The parts of the page, as HTML that stands on its own; the scripts only move and draw what is here."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from compile.audit.render.page.markup import Markup, join, tag
from compile.audit.render.words import brief
from distill.animation.view.differences import WANTED, differences
from distill.animation.view.lines import MAIN, Line
from distill.animation.view.packed import STEPS
from distill.animation.view.takes import View

if TYPE_CHECKING:
    from distill.animation.head import Head

SPEEDS = (0.25, 0.5, 0.75, 1.0)
WINDOWS = (1, 2, 4, 8, 16)  # seconds of curves in sight
NAMED = 8  # controls of a remark, before the rest are counted
KEYS = (
    ("space", "play and pause."),
    ("← →", "a second back and on; with shift a tenth of it."),
    (", .", "a frame back and on."),
    ("home, end", "to the beginning and to the end."),
    ("l, m, r", "loop, mute, and the camera back to the front."),
    ("mouse, touch", "drag a head to turn it, wheel or pinch to come nearer; drag the curves or the sound to seek."),
)
_ICONS = {
    "play": "M8 5v14l11-7z",
    "pause": "M7 5h4v14H7zM13 5h4v14h-4z",
    "loop": "M7 7h9V4l5 4.5-5 4.5v-3H8v4H5V9zM17 17H8v3l-5-4.500 5-4.500v3h8v-4h3v5z",
    "sound": "M4 9v6h4l5 4V5L8 9zM15.500 8.500a4.500 4.500 0 0 1 0 7v-2a2 2 0 0 0 0-3z",
    "camera": "M12 5V2L7 6.500 12 11V8a5 5 0 1 1-5 5H4a8 8 0 1 0 8-8z",
}


def header(view: View) -> Markup:
    """What is shown."""
    words = [f"{view.seconds:.1f} s"]
    if view.begin:
        words[0] += f" from {view.begin:g} s on"
    words.append("no sound" if view.audio is None else "16 kHz sound, lossless")
    if view.phones:
        words.append(f"phones as {brief(view.ear, 60)} heard them" if view.ear else "phones as they were spoken")
    return tag(
        "header",
        tag("p", "phiz view", class_="brand"),
        tag("h1", brief(view.title, 160)),
        tag("p", " · ".join(words), class_="note"),
        tag("p", f"“{brief(view.text, 400)}”", class_="said") if view.text else "",
    )


def stage(view: View) -> Markup:
    """A canvas for each face."""
    figures = []
    for index, take in enumerate(view.takes):
        name = brief(take.name, 80)
        count = f"{take.frame_rate:.4g} frames/s, {len(take.controls)} controls"
        figures.append(
            tag(
                "figure",
                tag("canvas", role="img", aria_label=f"the head, moved by {name}", tabindex="0"),
                tag(
                    "p", "The head needs WebGL 2, which this browser does not give; the curves do without.", hidden=True
                ),
                tag("figcaption", _stroke(index), tag("b", name, title=brief(take.name)), " ", tag("small", count)),
            )
        )
    return tag("section", *figures, class_=f"stage faces-{len(view.takes)}", aria_label="Faces")


def score(view: View, drawn: tuple[Line, ...]) -> Markup:
    """The curves around now, and what they mean."""
    shown = min((window for window in WINDOWS if window >= view.seconds), default=4)
    options = (tag("option", f"{window} s", value=str(window), selected=window == min(shown, 4)) for window in WINDOWS)
    rows = [_row(view, index, line) for index, line in enumerate(drawn) if line.group == MAIN]
    strokes = [
        tag("li", _stroke(index), brief(take.name, 40)) for index, take in enumerate(view.takes) if len(view.takes) > 1
    ]
    return tag(
        "section",
        tag(
            "div",
            tag("h2", "Curves", id="curves"),
            tag("label", "in sight ", tag("select", *options, id="window"), class_="small"),
            class_="bar-of",
        ),
        tag("canvas", id="score", role="img", aria_label="Sound, phones and curves around this moment"),
        tag("ul", *strokes, class_="strokes") if strokes else "",
        tag("ul", *rows, class_="lines"),
        class_="score",
        aria_labelledby="curves",
    )


def _row(view: View, index: int, line: Line) -> Markup:
    label = brief(line.label, 40)
    values = (tag("output", "", aria_label=brief(take.name, 40), aria_live="off") for take in view.takes)
    return tag(
        "li",
        tag(
            "label",
            tag("input", type="checkbox", checked=line.shown, data_line=str(index)),
            tag("i", style=f"--hue:{line.colour}"),
            tag("span", label),
        ),
        tag("span", *values, class_="values"),
        class_="" if line.moves else "still",
        title="" if line.moves else "no face moves it",
    )


def transport(view: View) -> Markup:
    """Play, seek, speed, loop, mute."""
    speeds = (tag("option", f"{speed:g}\u00d7", value=str(speed), selected=speed == 1) for speed in SPEEDS)
    now = tag("output", id="now", aria_label="Now", aria_live="off")
    silent = view.audio is None
    return tag(
        "section",
        _button("play", "Play", "play", "pause"),
        tag(
            "div",
            tag("canvas", id="overview", aria_hidden="true"),
            tag(
                "input", type="range", id="seek", min="0", max=f"{view.seconds:.3f}", step="0.001", value="0",
                aria_label="Time",
            ),
            class_="seek",
        ),
        tag("span", now, tag("small", id="total"), class_="clock"),
        tag("label", tag("span", "Speed", class_="unseen"), tag("select", *speeds, id="speed"), class_="small"),
        _button("loop", "Loop", "loop", pressed=True),
        _button("mute", "Mute", "sound", pressed=True) if not silent else "",
        _button("front", "Camera to the front", "camera"),
        class_="transport",
        aria_label="Player",
    )  # fmt: skip


def controls(view: View, drawn: tuple[Line, ...]) -> Markup:
    """A box for every control."""
    numbered = [(index, line) for index, line in enumerate(drawn) if line.group != MAIN]
    groups = [
        tag(
            "fieldset",
            tag("legend", group),
            tag("ul", *(_row(view, index, line) for index, line in found), class_="lines"),
        )
        for group, found in groupby(numbered, key=lambda pair: pair[1].group)
    ]
    summary = tag("summary", f"All {len(numbered)} controls")
    return tag("section", tag("details", summary, tag("div", *groups, class_="groups")), class_="all")


def comparison(view: View) -> Markup:
    """How far the faces are from the first."""
    if len(view.takes) < 2:
        return Markup("")
    heads = ("", *WANTED, "worst control", "largest of all")
    rows = []
    for index, one in enumerate(differences(view.takes), 1):
        cells = [_figure(one.groups[group]) for group in WANTED]
        cells.append("–" if one.worst is None else f"{brief(one.worst[0], 40)} {one.worst[1]:.3f}")  # noqa: RUF001
        if one.largest is None:
            cells.append("–")  # noqa: RUF001
        else:
            name, apart, time = one.largest
            at = f"{time + view.begin:.2f}"
            cells.append(join((f"{brief(name, 40)} {apart:.3f} at ", tag("a", f"{at} s", href=f"#t={at}"))))
        rows.append(
            tag(
                "tr",
                tag("th", _stroke(index), brief(one.name, 60), scope="row"),
                *(tag("td", cell) for cell in cells),
            )
        )
    table = tag(
        "table",
        tag("thead", tag("tr", *(tag("th", head, scope="col") for head in heads))),
        tag("tbody", *rows),
    )
    return tag(
        "section",
        tag("h2", "Differences ", tag("small", f"from {brief(view.takes[0].name, 60)}"), id="apart"),
        tag("div", table, class_="scroll", tabindex="0", role="region", aria_labelledby="apart"),
        tag("p", "Mean absolute differences over the controls and the time that both have.", class_="note"),
        class_="apart",
        aria_labelledby="apart",
    )


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"  # noqa: RUF001  (the sign for "not known" is an en dash)


def remarks(view: View, head: Head) -> Markup:
    """What the head cannot show, and how exact the page is."""
    known = {shape.name for shape in head.shapes}
    said = [
        f"{brief(name, 60)}: the head has no shape for {', '.join(brief(one, 40) for one in lacking[:NAMED])}"
        f"{f' and {len(lacking) - NAMED} more' if len(lacking) > NAMED else ''}; the curves show them."
        for name, lacking in unknown(view, known).items()
    ]
    said.append(f"Curves are stored to one part in {2 * STEPS:,} of their range.")
    return tag("section", tag("ul", *(tag("li", one) for one in said), class_="note"), class_="remarks")


def unknown(view: View, known: set[str]) -> dict[str, list[str]]:
    """Controls that a head of ``known`` shapes lacks, by the name of their face."""
    found = {take.name: [name for name in take.controls if name not in known] for take in view.takes}
    return {name: lacking for name, lacking in found.items() if lacking}


def _stroke(index: int) -> Markup:
    return tag("i", class_=f"stroke stroke-{index}", aria_hidden="true")


def _button(identity: str, label: str, *icons: str, pressed: bool = False) -> Markup:
    drawings = (
        tag("svg", tag("path", d=_ICONS[icon]), class_=icon, viewBox="0 0 24 24", aria_hidden="true") for icon in icons
    )
    state = "false" if pressed else None
    return tag("button", *drawings, type="button", id=identity, aria_label=label, title=label, aria_pressed=state)
