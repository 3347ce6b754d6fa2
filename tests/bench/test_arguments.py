"""What a benchmark says to arguments that it cannot use."""

from __future__ import annotations

from importlib import import_module

import pytest


@pytest.mark.parametrize(
    ("bench", "arguments", "message"),
    [
        ("latency", [], "usage: "),
        ("latency", ["nowhere"], "nowhere is no build folder"),
        ("stream", [], "usage: "),
        ("stream", ["nowhere"], "usage: "),
        ("audit", [], "usage: "),
        ("audit", ["nowhere"], "usage: "),
        ("audit", ["build", "--runs", "x"], "--runs takes a number"),
        ("compile", ["student", "--runs"], "--runs takes a number"),
        ("compile", ["student", "--runs", "0"], "--runs takes a number"),
    ],
)
def test_it_says_what_is_wrong(bench, arguments, message):
    with pytest.raises(SystemExit, match=message):
        import_module(f"bench.{bench}").main(arguments)
