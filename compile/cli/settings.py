"""Flags over ``phiz.toml``: what a command was asked for, from both."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from compile.errors import UserError

if TYPE_CHECKING:
    from compile.config import BuildConfig, Config
    from compile.quantize.recipe import Profile


def merge(
    settings: Config | None,
    cap: str | None,
    target: list[str] | None,
    out: Path | None,
    only: list[str] | None,
    model: str,
) -> list[tuple[BuildConfig, Path]]:
    """The builds to make, each with its folder: flags override the file; without a file, flags suffice.

    Raises:
        UserError: a size is none, or one folder is named for several builds.
    """
    from compile.config import BuildConfig
    from compile.units import parse_size
    from targets.catalogue import USUAL

    limit = parse_size(cap, "--cap") if cap is not None else None
    builds = list(settings.builds) if settings else []
    if only:
        builds = [build for build in builds if build.name in only]
    if not builds:
        name = Path(model.rpartition(":")[2]).stem or "student"
        builds = [BuildConfig(name, tuple(entry.name for entry in USUAL))]
    if target:
        builds = [replace(build, targets=tuple(dict.fromkeys(target))) for build in builds]
    if limit is not None:
        builds = [replace(build, footprint=limit, file=limit) for build in builds]
    if out is not None and len(builds) > 1:
        raise UserError("-o names one folder, but there are several builds", fix="choose one with --build NAME")
    root = settings.folder if settings else Path()
    return [(build, out or root / "build" / build.name) for build in builds]


def named_profile(where: str, name: str, rules: tuple[str, ...], min_sqnr: float | None) -> Profile:
    """The named profile with the user's rules behind its own; the goal is what the user asked for, if anything."""
    from compile.quantize.recipe import PROFILES, parse

    if name not in PROFILES:
        raise UserError(f"unknown scheme '{name}'", where=where, fix=f"choose from: {', '.join(PROFILES)}")
    chosen = PROFILES[name]
    recipe = (*chosen.recipe, *(parse(rule) for rule in rules))
    if chosen.goal is None or min_sqnr is None:
        return replace(chosen, recipe=recipe)
    return replace(chosen, recipe=recipe, goal=min_sqnr, worth=0.0)


def configured_model(settings: Config | None) -> str:
    """The model that the file names, from the file's folder.

    Raises:
        UserError: it names none.
    """
    if settings is None or not settings.model:
        raise UserError("no model is given", fix="name one on the command line, or in phiz.toml: [model] path = …")
    inside = settings.folder / settings.model
    return str(inside) if inside.exists() or ":" not in settings.model else settings.model


def require_builds(settings: Config, only: list[str]) -> None:
    """Raise UserError where one of ``only`` is no build of the file."""
    known = [build.name for build in settings.builds]
    for name in only:
        if name not in known:
            raise UserError(
                f"there is no [build.{name}]", where="--build", fix=f"there are: {', '.join(known) or 'none'}"
            )
