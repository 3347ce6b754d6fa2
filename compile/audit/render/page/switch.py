"""Several views of one thing behind radio buttons, without JavaScript: the n-th button shows the n-th view."""

from __future__ import annotations

from collections.abc import Mapping

from compile.audit.render.page.markup import Markup, tag


def switch(key: str, legend: str, views: Mapping[str, Markup]) -> Markup:
    """``views`` by their names, of which the first is shown; ids begin with ``key``."""
    parts: list[str] = [tag("legend", legend, class_="unseen")]
    for number, name in enumerate(views):
        own = f"{key}-{number}"
        parts.append(tag("input", type="radio", name=key, id=own, checked=number == 0))
        parts.append(tag("label", name, for_=own))
    parts += [tag("div", view, class_="view") for view in views.values()]
    return tag("fieldset", *parts, class_="switch")
