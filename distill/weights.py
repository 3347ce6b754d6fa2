"""Tensors on disk: safetensors, never pickle, and nothing is believed of a file before it is checked."""

from __future__ import annotations

from collections.abc import Mapping
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
    _check_finite(plain, where)
    return bytes(save(plain))


def read(path: Path, expected: Mapping[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """The tensors of a safetensors file as float32, if their names and shapes are the expected ones, all of them.

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
    try:
        with safe_open(path, framework="pt") as file:
            found = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118 (no dict)
            _check_shapes(expected, found, path)
            weights = {name: file.get_tensor(name).float() for name in expected}
    except FileNotFoundError as error:
        raise UserError("the weights are missing", where=str(path), fix="train the student again") from error
    except (SafetensorError, OSError) as error:
        raise UserError(f"not a safetensors file: {error}", where=str(path), fix="train the student again") from error
    _check_finite(weights, path)
    return weights


def _check_shapes(expected: Mapping[str, tuple[int, ...]], found: Mapping[str, tuple[int, ...]], path: Path) -> None:
    for name, shape in expected.items():
        if name not in found:
            raise UserError(f"tensor '{name}' is missing; expected shape {list(shape)}", where=str(path))
        if found[name] != shape:
            raise UserError(
                f"tensor '{name}' has shape {list(found[name])}; expected {list(shape)}",
                where=str(path),
                fix="is this the checkpoint of another architecture?",
            )
    for name in found:
        if name not in expected:
            raise UserError(f"tensor '{name}' is not part of this architecture", where=str(path))


def _check_finite(weights: Mapping[str, Tensor], path: Path) -> None:
    for name, tensor in weights.items():
        if not bool(tensor.isfinite().all()):
            raise UserError(
                f"tensor '{name}' has NaN or infinite values", where=str(path), fix="train the student again"
            )
