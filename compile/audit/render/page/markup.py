"""HTML from Python calls, escaped unless it is HTML already: no name out of an artefact can become markup.

A page is whole in itself, and its policy says so: it requests nothing.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable

# Not text: control characters, half surrogate pairs, and marks that turn the order of what surrounds them.
_INVISIBLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")
_VOID = ("meta", "input", "br", "path", "rect", "line")


class Markup(str):
    """A string that is HTML; any other string is text."""

    __slots__ = ()


def text(value: str) -> Markup:
    """``value`` escaped, what cannot be shown replaced by U+FFFD."""
    return Markup(html.escape(_INVISIBLE.sub("\ufffd", value)))


def join(parts: Iterable[str]) -> Markup:
    """All parts in their order, each escaped if it is text."""
    return Markup("".join(part if isinstance(part, Markup) else text(part) for part in parts))


def tag(name: str, /, *children: str, **attributes: str | int | bool | None) -> Markup:
    """An element.

    Args:
        name: of the element.
        children: its content; text is escaped.
        attributes: by name, with ``_`` for ``-`` and one at the end dropped (``class_``); True is an attribute without
            value; None, False and an empty string leave it out.
    """
    said = []
    for key, value in attributes.items():
        if value is None or value is False or value == "":
            continue
        key = key.rstrip("_").replace("_", "-")
        said.append(f" {key}" if value is True else f' {key}="{text(str(value))}"')
    opening = f"<{name}{''.join(said)}>"
    return Markup(opening) if name in _VOID and not children else Markup(f"{opening}{join(children)}</{name}>")


def glossary(heading: str, terms: Iterable[tuple[str, str]]) -> Markup:
    """The foot of a page: what its words mean."""
    entries = join(join((tag("dt", term), tag("dd", meaning))) for term, meaning in terms)
    return tag("footer", tag("h2", heading), tag("dl", entries))


def page(title: str, styles: Iterable[str], body: Markup, script_source: str = "", *, media_source: str = "") -> bytes:
    """A whole document, UTF-8, in light and dark.

    Args:
        title: of the page.
        styles: CSS, one after the other.
        body: the element.
        script_source: which scripts its policy admits, as Content-Security-Policy writes it; empty: none.
        media_source: which sounds, likewise.
    """
    scripts = f"script-src {script_source}; " if script_source else ""
    media = f"media-src {media_source}; " if media_source else ""
    policy = f"default-src 'none'; style-src 'unsafe-inline'; {scripts}{media}base-uri 'none'; form-action 'none'"
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", name="referrer", content="no-referrer"),
        tag("title", title),
        *(tag("style", Markup(style)) for style in styles),
    )
    whole = join((Markup("<!doctype html>\n"), tag("html", head, Markup("\n"), body, lang="en"), Markup("\n")))
    return whole.encode("utf-8")
