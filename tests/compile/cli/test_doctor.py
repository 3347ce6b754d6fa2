"""phiz doctor: all that phiz can do has a line, and the extra `all` is enough for what the documents run."""

from __future__ import annotations

from pathlib import Path

from compile.cli.doctor import PARTS
from compile.tables import parse

ROOT = Path(__file__).parents[3]
EXTRAS: dict[str, list[str]] = parse(ROOT / "pyproject.toml")["project"]["optional-dependencies"]


def test_every_extra_has_a_line() -> None:
    assert {part.extra for part in PARTS} - {""} == set(EXTRAS) - {"all", "peers", "test"}


def test_all_is_enough_for_the_recipes() -> None:
    recipes = [path.read_text(encoding="utf-8") for path in (ROOT / "examples/recipes").glob("*.toml")]
    assert any("\nevents" in recipe for recipe in recipes)
    assert "tensorboard" in EXTRAS["all"][0]
