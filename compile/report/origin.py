"""What was built from what, by what: passes, versions, digests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from compile.audit.render.page.markup import Markup, join, tag
from compile.audit.render.words import brief

_LISTED = 100


def origin(manifest: Mapping[str, Any]) -> Markup:
    """The facts of ``manifest.json`` that tell one build from another."""
    calibration = manifest["calibration"]
    counts = f"{calibration['samples']:,} samples to calibrate, {calibration['judged']:,} others to judge"
    heard = f"{calibration['origin']}, {counts}"
    facts = {
        "Model": tag("code", manifest["model"]["sha256"]),
        "Calibration": join((f"{heard} ", tag("code", calibration["sha256"]))),
        "Python": f"{manifest['platform']['python']}, {manifest['platform']['machine']}",
    }
    versions = {name: version or "not installed" for name, version in manifest["versions"].items()}
    files = {
        name: join((f"{file['bytes']:,} bytes ", tag("code", file["sha256"])))
        for artifact in manifest["artifacts"].values()
        for name, file in artifact["files"].items()
    }
    simplify = manifest.get("simplify", {})
    return tag(
        "section",
        tag("h2", "Origin", id="origin"),
        *(_facts(heading, found) for heading, found in (("", facts), ("Files", files), ("Versions", versions))),
        _list("What simplify did", simplify.get("rewrites", ())),
        _list("What it left, and why", simplify.get("refusals", ())),
        class_="origin-of-build",
    )


def _facts(heading: str, found: Mapping[str, str]) -> Markup:
    rows = (tag("tr", tag("th", brief(name, 96), scope="row"), tag("td", said)) for name, said in found.items())
    return join((tag("h3", heading) if heading else Markup(""), tag("table", tag("tbody", *rows), class_="facts")))


def _list(heading: str, lines: Sequence[str]) -> Markup:
    if not lines:
        return Markup("")
    shown = [tag("li", brief(line, 300)) for line in lines[:_LISTED]]
    if len(lines) > _LISTED:
        shown.append(tag("li", f"[{len(lines) - _LISTED:,} others]"))
    return tag("details", tag("summary", f"{heading} ({len(lines):,})"), tag("ul", *shown))
