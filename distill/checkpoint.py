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


def save(
    path: Path,
    run: Mapping[str, Any],
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    at: tuple[int, float, float],
) -> None:
    """Write everything that the next step depends on; ``run`` identifies the run, ``at`` is (step, seconds, loss)."""
    from safetensors.torch import save as serialise

    tensors = {f"student.{name}": tensor for name, tensor in network.state_dict().items()}
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{name}": tensor for name, tensor in state.items()}
    facts = {"run": json.dumps(run, sort_keys=True), "at": json.dumps(at)}
    write_atomically(path, serialise(tensors, metadata=facts))


def resume(
    path: Path, run: Mapping[str, Any], network: nn.Module, optimizer: torch.optim.Optimizer
) -> tuple[int, float, float]:
    """Load a checkpoint of the same run into network and optimizer: (step, seconds, running loss), zeros if none."""
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        return 0, 0.0, 0.0
    try:
        with safe_open(path, framework="pt") as file:
            facts = file.metadata()
            tensors: dict[str, Tensor] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no dict)
        same = facts["run"] == json.dumps(run, sort_keys=True)
        step, seconds, running = json.loads(facts["at"])
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"not a checkpoint: {error}", where=str(path), fix="delete it to start again") from error
    if not same:
        raise UserError(
            "the checkpoint is of another run: network, labels or recipe differ",
            where=str(path),
            fix="delete it to start again, or give another output folder",
        )
    network.load_state_dict({name[8:]: tensor for name, tensor in tensors.items() if name.startswith("student.")})
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith("optimizer."):
            _, index, key = name.split(".")
            state.setdefault(int(index), {})[key] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    return int(step), float(seconds), float(running)
