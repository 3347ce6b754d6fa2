"""Tensors on disk: safetensors, never pickle, and nothing is believed of a file before it is checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from compile.errors import MissingExtra, UserError

if TYPE_CHECKING:
    from torch import Tensor


def to_bytes(weights: Mapping[str, Tensor], where: Path, *, half: bool = False) -> bytes:
    """Weights as a safetensors file, float32, or float16 where ``half``; equal weights give equal bytes.

    Raises:
        UserError: a weight is NaN or infinite, or no float16; ``where`` names the file.
    """
    from safetensors.torch import save

    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}
    if half:
        plain = {name: tensor.half() for name, tensor in plain.items()}
    _check_finite(plain, where, "train the student again")
    return bytes(save(plain))


def read(
    path: Path,
    expected: Mapping[str, tuple[int, ...]],
    *,
    renamed: Callable[[str], str] | None = None,
    fix: str = "train the student again",
) -> dict[str, Tensor]:
    """The expected tensors of a safetensors file; floats become float32, and none is read before all shapes are right.

    Args:
        path: of the file.
        expected: shape by name.
        renamed: what a tensor of the file is called here; then the file may hold others, too, which are left out. None:
            names are as they are, and no other tensor may be there.
        fix: what to do about a file that is missing, damaged or not finite.

    Raises:
        UserError: the file is missing or malformed, or a tensor is missing, superfluous, of another shape, NaN or
            infinite; the message names the tensor.
        MissingExtra: torch or safetensors is not installed.
    """
    try:
        import torch  # noqa: F401 (what safe_open reads into)
        from safetensors import SafetensorError, safe_open
    except ModuleNotFoundError as error:
        raise MissingExtra("reading weights", "torch", error.name or "torch") from error
    if not path.is_file():
        raise UserError("there is no such file", where=str(path), fix=fix)
    try:
        with safe_open(path, framework="pt") as file:
            stored = {renamed(name) if renamed else name: name for name in file.keys()}  # noqa: SIM118 (no dict)
            found = {
                name: tuple(file.get_slice(stored[name]).get_shape())
                for name in stored
                if name in expected or renamed is None
            }
            _check_shapes(expected, found, path)
            weights = {name: file.get_tensor(stored[name]) for name in expected}
    except (SafetensorError, OSError) as error:
        raise UserError(f"not a safetensors file: {error}", where=str(path), fix=fix) from error
    _check_finite(weights, path, fix)
    return {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in weights.items()}


def _check_shapes(expected: Mapping[str, tuple[int, ...]], found: Mapping[str, tuple[int, ...]], path: Path) -> None:
    for name, shape in expected.items():
        if name not in found:
            raise UserError(f"tensor '{name}' is missing; expected shape {list(shape)}", where=str(path))
        if found[name] != shape:
            raise UserError(
                f"tensor '{name}' has shape {list(found[name])}; expected {list(shape)}",
                where=str(path),
                fix="are these the weights of another architecture?",
            )
    for name in found:
        if name not in expected:
            raise UserError(f"tensor '{name}' is not part of this architecture", where=str(path))


def _check_finite(weights: Mapping[str, Tensor], path: Path, fix: str) -> None:
    for name, tensor in weights.items():
        if not bool(tensor.isfinite().all()):
            raise UserError(f"tensor '{name}' has NaN or infinite values", where=str(path), fix=fix)
