"""Students that ship with phiz: one folder each, and a name like ``phiz:tiny`` wherever a student folder is meant.

A folder holds the weights in float16 and ``student.json``, as any student folder does; a model card, ``README.md``;
and ``student.onnx``, the int8 artefact that `phiz compile` made of it, which needs core phiz only.
``python -m bench.ship`` makes them of trained students.
"""

from __future__ import annotations

from pathlib import Path

from compile.errors import UserError

SHIPPED = "phiz:"
CARD, ARTEFACT = "README.md", "student.onnx"


def names() -> tuple[str, ...]:
    """The students that this installation has, in order."""
    return tuple(sorted(folder.parent.name for folder in Path(__file__).parent.glob("*/student.json")))


def folder(name: str) -> Path:
    """The folder of the student that ships as ``name``.

    Raises:
        UserError: there is none; lists those that there are.
    """
    if name not in names():
        known = ", ".join(SHIPPED + shipped for shipped in names())
        fix = f"there are: {known}" if known else "none ships yet: name a student or a build of your own"
        raise UserError("no such student ships with phiz", where=SHIPPED + name, fix=fix)
    return Path(__file__).parent / name


def locate(reference: str | Path) -> Path:
    """The folder that ``phiz:NAME`` means; whatever else is named, itself; raises as :func:`folder`."""
    text = str(reference)
    return folder(text.removeprefix(SHIPPED)) if text.startswith(SHIPPED) else Path(reference)
