"""A training run frozen between two steps: weights, optimizer state and position, in one safetensors file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compile.errors import UserError
from compile.files import write_atomically

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

At = tuple[int, float, dict[str, float]]
"""Where a run is: steps done, seconds, the running mean of each term of the loss."""


def save(
    path: Path, run: Mapping[str, Any], parts: Mapping[str, nn.Module], optimizer: torch.optim.Optimizer, at: At
) -> None:
    """Write everything that the next step depends on; the checkpoint before it stays until this one is whole.

    Args:
        path: of the file.
        run: what tells one run from another, JSON-able.
        parts: the network, and whatever else has a state, by name.
        optimizer: of the network.
        at: the position.

    Raises:
        UserError: it cannot be written (a full disk).
    """
    from safetensors.torch import save as serialise

    tensors: dict[str, Tensor] = {}
    for part, module in parts.items():
        tensors |= {f"{part}.{name}": tensor.contiguous() for name, tensor in module.state_dict().items()}
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{name}": tensor.contiguous() for name, tensor in state.items()}
    facts = {"run": json.dumps(run, sort_keys=True), "at": json.dumps(at)}
    write_atomically(path, serialise(tensors, metadata=facts))


def resume(path: Path, run: Mapping[str, Any], parts: Mapping[str, nn.Module], optimizer: torch.optim.Optimizer) -> At:
    """Load a checkpoint of the same run into its parts and the optimizer; where there is none, the run is at 0.

    Raises:
        UserError: it is damaged, or of another run; the message says what differs.
    """
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        return 0, 0.0, {}
    try:
        with safe_open(path, framework="pt") as file:
            facts = file.metadata()
            tensors: dict[str, Tensor] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no dict)
        other, wanted = json.loads(facts["run"]), json.loads(json.dumps(run))
        step, seconds, running = json.loads(facts["at"])
        if differences := sorted(_differences(other, wanted)):
            raise UserError(
                f"the checkpoint is of another run: its {', '.join(differences[:5])} differ",
                where=str(path),
                fix="delete it to start again, or give another output folder",
            )
        for part, module in parts.items():
            module.load_state_dict(_within(part, tensors))
        state: dict[int, dict[str, Tensor]] = {}
        for name, tensor in _within("optimizer", tensors).items():
            index, key = name.split(".")
            state.setdefault(int(index), {})[key] = tensor
        optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
        return int(step), float(seconds), {str(name): float(value) for name, value in running.items()}
    except (SafetensorError, OSError, KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        raise UserError(f"not a checkpoint: {error}", where=str(path), fix="delete it to start again") from error


def _within(part: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name[len(part) + 1 :]: tensor for name, tensor in tensors.items() if name.startswith(f"{part}.")}


def _differences(one: object, other: object, name: str = "run") -> set[str]:
    """Names of the innermost keys in which two runs differ."""
    if not isinstance(one, dict) or not isinstance(other, dict):
        return set() if one == other else {name}
    found: set[str] = set()
    for key in one.keys() | other.keys():
        found |= _differences(one.get(key), other.get(key), key)
    return found
