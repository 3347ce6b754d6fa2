"""Rigs: the controls of a studio's own face, as a linear map of the teacher's.

A rig says what its controls are called, how each is made of the teacher's (ARKit's, or any others, such as the
components of a PCA), and whether they live in [0, 1]. The student learns the rig's controls, so nothing is left to map
at run time.

As JSON, for people::

    {"format": "phiz rig 1", "name": "hero", "bounded": false,
     "controls": {"jaw_drop": {"jawOpen": 1.2, "mouthClose": -0.3}, "lip_press": {"mouthPressLeft": 1}},
     "offset": {"jaw_drop": 0.05}}

``source`` lists the teacher's controls where they are not ARKit's; ``offset`` is 0 where it is not given. As NPZ, for
programs: ``name``, ``controls`` [C] and ``source`` [S] (text), ``matrix`` [C, S], ``offset`` [C], ``bounded``; all but
``controls`` and ``matrix`` may be absent.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compile.errors import UserError
from compile.files import contents
from distill.arrays import open_npz
from distill.controls import ARKIT
from distill.students.architectures import MOST_CONTROLS

FORMAT = "phiz rig 1"
_LARGEST = 64_000_000  # bytes of a file, or of an array in it
_ENORMOUS = float(np.finfo(np.float32).max)
_ARRAYS = ("name", "bounded", "controls", "source", "matrix", "offset")


@dataclass(frozen=True)
class Rig:
    """A face's controls: ``source @ matrix.T + offset``.

    Attributes:
        name: for reports.
        controls: names, in order.
        matrix: float32 ``[controls, source]``.
        offset: float32 ``[controls]``, the face at rest.
        bounded: the controls are in [0, 1]; what leaves it is clipped.
        source: names of the teacher's controls, in order.
    """

    name: str
    controls: tuple[str, ...]
    matrix: NDArray[np.float32]
    offset: NDArray[np.float32]
    bounded: bool = True
    source: tuple[str, ...] = ARKIT

    def map(self, curves: NDArray[np.float32]) -> NDArray[np.float32]:
        """Curves of the teacher ``[..., source]`` as this rig's: ``[..., controls]``, clipped where it is bounded."""
        mapped = np.asarray(curves @ self.matrix.T + self.offset, np.float32)
        return mapped.clip(0, 1) if self.bounded else mapped

    def require_source(self, controls: Sequence[str], where: str) -> None:
        """Make sure that this rig can be made of these controls.

        Raises:
            UserError: it is made of others; ``where`` names the labels.
        """
        if tuple(controls) != self.source:
            strangers = [name for name in self.source if name not in controls]
            what = f"they have no '{strangers[0]}'" if strangers else "they have other controls, or in another order"
            raise UserError(f"{what}, which the rig '{self.name}' is made of", where=where, fix="give another rig")


def plain(controls: Sequence[str] = ARKIT, *, name: str = "arkit", bounded: bool = True) -> Rig:
    """The rig that has the teacher's own controls."""
    size = len(controls)
    return Rig(name, tuple(controls), np.eye(size, dtype=np.float32), np.zeros(size, np.float32), bounded, (*controls,))


def read(path: Path) -> Rig:
    """Read a rig, JSON or NPZ.

    Raises:
        UserError: it is missing or malformed, a control has two meanings or none, or a number is not finite; names
            the control.
    """
    try:
        if path.stat().st_size > _LARGEST:
            raise UserError(f"a rig takes less than {_LARGEST:,} bytes", where=str(path))
        npz = contents(path)[:2] == b"PK"
    except OSError as error:
        raise UserError(f"cannot be read: {error.strerror}", where=str(path), fix="check the path") from error
    return _checked(_from_npz(path) if npz else _from_json(path), path)


def _from_json(path: Path) -> dict[str, Any]:
    try:
        facts = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise UserError(f"is not JSON: {error}", where=str(path)) from error
    if not isinstance(facts, dict) or facts.get("format") != FORMAT:
        raise UserError(f"not a '{FORMAT}' file", where=str(path), fix=f'write "format": "{FORMAT}"')
    unknown = facts.keys() - {"format", "name", "bounded", "controls", "offset", "source"}
    if unknown:
        raise UserError(f"unknown key '{min(unknown)}'", where=str(path))
    controls, offsets = facts.get("controls"), facts.get("offset", {})
    source = facts.get("source", [*ARKIT])
    if not isinstance(controls, dict) or not all(isinstance(parts, dict) for parts in controls.values()):
        raise UserError('\'controls\' is no table like {"jaw": {"jawOpen": 1}}', where=str(path))
    _require_names(source, "source", path)
    _require_names([*controls], "controls", path)
    columns = {name: index for index, name in enumerate(source)}
    if not isinstance(offsets, dict) or (offsets.keys() - controls.keys()):
        raise UserError("'offset' names what is no control", where=str(path))
    matrix = np.zeros((len(controls), len(source)), np.float32)
    offset = np.zeros(len(controls), np.float32)
    for row, (name, parts) in enumerate(controls.items()):
        for part, weight in parts.items():
            if part not in columns:
                raise UserError(f"control '{name}' is made of '{part}', which is none of the source", where=str(path))
            matrix[row, columns[part]] = _number(weight, name, path)
        offset[row] = _number(offsets.get(name, 0), name, path)
    return {**facts, "controls": [*controls], "source": source, "matrix": matrix, "offset": offset}


def _from_npz(path: Path) -> dict[str, Any]:
    archive = open_npz(path)
    arrays = {name: archive.read(name, limit=_LARGEST) for name in archive.headers if name in _ARRAYS}
    if not {"controls", "matrix"} <= arrays.keys():
        raise UserError("a rig has the arrays 'controls' and 'matrix'", where=str(path))
    parts: dict[str, Any] = {"source": [*ARKIT], "offset": np.zeros(arrays["controls"].shape, np.float32), **arrays}
    # Text, lists of text and a truth value come as arrays, too.
    return parts | {key: arrays[key].tolist() for key in ("name", "controls", "source", "bounded") if key in arrays}


def _checked(parts: Mapping[str, Any], path: Path) -> Rig:
    controls, source = parts["controls"], parts["source"]
    _require_names(controls, "controls", path)
    _require_names(source, "source", path)
    name, bounded = parts.get("name", path.stem), parts.get("bounded", True)
    if not isinstance(name, str) or not isinstance(bounded, bool):
        raise UserError("'name' must be text, 'bounded' true or false", where=str(path))
    arrays = []
    for key, shape in {"matrix": (len(controls), len(source)), "offset": (len(controls),)}.items():
        array = np.asarray(parts[key])
        if array.shape != shape or array.dtype.kind not in "fiu":
            raise UserError(
                f"'{key}' is {array.dtype} {list(array.shape)}; expected numbers {list(shape)}", where=str(path)
            )
        if not (np.abs(array) < _ENORMOUS).all():
            raise UserError(f"'{key}' has NaN, infinite or enormous values", where=str(path))
        arrays.append(array.astype(np.float32))
    return Rig(name, tuple(controls), arrays[0], arrays[1], bounded, tuple(source))


def _require_names(names: Any, key: str, path: Path) -> None:
    if (
        not isinstance(names, list)
        or not 0 < len(names) <= MOST_CONTROLS
        or not all(isinstance(name, str) and name for name in names)
        or len(set(names)) != len(names)
    ):
        raise UserError(f"'{key}' must list 1 to {MOST_CONTROLS} different names", where=str(path))


def _number(value: Any, control: str, path: Path) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < _ENORMOUS:
        raise UserError(f"control '{control}' has {value!r} where a number is due", where=str(path))
    return float(value)
