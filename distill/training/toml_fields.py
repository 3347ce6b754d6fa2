"""Dataclasses out of TOML tables: every key known, every value of the kind and within the limits of its field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any, TypeVar

from compile.errors import UserError
from compile.tables import choose, table
from distill.training import losses

T = TypeVar("T")
NUMBER = (int, float)

# By the annotation of a field: what TOML has for it. Pairs are ranges.
KINDS: Mapping[str, tuple[type, ...]] = {
    "int": (int,),
    "float": NUMBER,
    "float | None": NUMBER,
    "bool": (bool,),
    "str": (str,),
    "tuple[float, float]": (list,),
    "tuple[float, float] | None": (list,),
    "tuple[float, ...] | None": (list,),
    "Mapping[str, float]": (dict,),
}
# What is possible: [least, most]; of all numbers of a list or table.
_ANY, _SHARE, _WEIGHT = (-1e9, 1e9), (0, 1), (0, 1e6)
LIMITS: Mapping[str, tuple[float, float]] = {
    **{name.name: _WEIGHT for name in fields(losses.Weights)},
    "steps": (1, 1e9),
    "batch": (1, 65_536),
    "frames": (2, 3000),
    "learning_rate": (1e-9, 1),
    "weight_decay": _SHARE,
    "warm_up": (1, 1e9),
    "seed": (0, 2**63 - 1),
    "time_limit": (0.1, 1e8),
    "ema": (0, 0.999999),
    "shares": _WEIGHT,
    "speakers": (0, 2),
    "checkpoint_every": (1, 1e9),
    "evaluate_every": (0, 1e9),
    "synthetic": (0, 1_000_000),
    "offset": (-10, 10),
    "held_out": (0, 0.9),
    "jobs": (1, 256),
}
CHOICES: Mapping[str, tuple[str, ...]] = {
    "alignment": ("face", "heard"),
    "precision": ("float32", "bfloat16", "auto"),
    "split_by": ("speaker", "file"),
}


def fill(base: T, values: Mapping[str, Any], where: str) -> T:
    """The frozen dataclass ``base`` with ``values`` out of TOML in it; its annotations say which kinds they have.

    Raises:
        UserError: an unknown key, or a value of the wrong kind or that cannot be.
    """
    kinds: dict[str, str] = {item.name: str(item.type) for item in fields(base)}  # type: ignore[arg-type]  # is one
    table(values, {name: KINDS[kind] for name, kind in kinds.items() if kind in KINDS}, where)
    found = {key: _converted(key, kinds[key], value, where) for key, value in values.items()}
    try:
        return replace(base, **found)  # type: ignore[type-var]  # a dataclass
    except UserError as error:  # it looks at itself
        raise UserError(error.what, where=where, fix=error.fix) from error


def _converted(key: str, kind: str, value: Any, where: str) -> Any:
    check(key, value, where)
    if kind.startswith("float"):
        return float(value)
    if kind.startswith("tuple[float, float]"):
        if len(value) != 2 or value[0] > value[1]:
            raise UserError(f"'{key}' is {value!r}", where=where, fix="write a range: [least, most]")
        return (float(value[0]), float(value[1]))
    if kind.startswith("tuple"):
        return tuple(float(number) for number in value)
    if kind.startswith("Mapping"):
        return {name: float(number) for name, number in value.items()}
    return value


def check(key: str, value: Any, where: str) -> None:
    """Refuse what cannot be: a number out of its limits, or a word that is no choice."""
    if key in CHOICES and value not in CHOICES[key]:
        raise UserError(f"'{key}' is {value!r}", where=where, fix=choose(value, CHOICES[key]))
    least, most = LIMITS.get(key, _ANY)
    numbers = value if isinstance(value, list) else value.values() if isinstance(value, dict) else [value]
    for number in numbers:
        if isinstance(value, str | bool):
            continue
        if isinstance(number, bool) or not isinstance(number, int | float) or not least <= number <= most:
            raise UserError(f"'{key}' is {number!r}", where=where, fix=f"write a number from {least:g} to {most:g}")
