"""One training in several processes, as ``torchrun`` starts them; alone, everything here does nothing.

Every process computes its rows of the same global batch, with the mean and variance of *all* rows in every batch norm
and with gradients averaged over processes, so that N processes make the step that one would make, up to the order of
floating-point sums. torch's own ``SyncBatchNorm`` does that on GPUs only. Only rank 0 writes.

Importing this module imports torch.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from compile.errors import UserError

DEVICES = ("auto", "cpu", "cuda", "mps")
PATIENCE = timedelta(days=7)  # processes wait for rank 0, which may have hours of speech to label


@dataclass(frozen=True)
class World:
    """Who this process is among how many, and the torch device that it computes on."""

    rank: int = 0
    ranks: int = 1
    device: str = "cpu"

    @property
    def first(self) -> bool:
        """Whether this process is the one that writes and speaks."""
        return self.rank == 0


ALONE = World()


@contextmanager
def join(device: str = "auto") -> Iterator[World]:
    """Join the group of processes that ``torchrun`` started; alone without it.

    Args:
        device: ``cpu``, ``cuda``, ``mps``, or ``auto``: the first GPU there is, else the processor.

    Raises:
        UserError: there is no such device, or this machine lacks it.
    """
    rank, ranks, local = (int(os.environ.get(name, default)) for name, default in _TORCHRUN)
    name = _device(device, local)
    if ranks == 1:
        yield World(device=name)
        return
    dist.init_process_group("nccl" if name.startswith("cuda") else "gloo", timeout=PATIENCE)
    try:
        yield World(rank, ranks, name)
    finally:
        dist.destroy_process_group()


_TORCHRUN = (("RANK", "0"), ("WORLD_SIZE", "1"), ("LOCAL_RANK", "0"))


def _device(wanted: str, local: int) -> str:
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if wanted not in DEVICES:
        raise UserError(f"unknown device '{wanted}'", where="--device", fix=f"choose one of: {', '.join(DEVICES)}")
    if wanted != "auto" and not there[wanted]:
        raise UserError(f"this machine, or its torch, has no {wanted}", where="--device", fix="leave it out")
    kind = next(name for name, is_there in there.items() if is_there) if wanted == "auto" else wanted
    if kind != "cuda":
        return kind
    if local >= torch.cuda.device_count():
        raise UserError(
            f"there are {torch.cuda.device_count()} GPUs for process {local + 1} of this machine",
            where="--device",
            fix="give torchrun as many processes as there are GPUs",
        )
    torch.cuda.set_device(local)
    return f"cuda:{local}"


def distributed(network: nn.Module, world: World) -> nn.Module:
    """``network`` whose gradients are those of the whole batch, as long as the result lives; :func:`synchronise` it."""
    if world.ranks == 1:
        return network
    return nn.parallel.DistributedDataParallel(network)


def synchronise(network: nn.Module, world: World) -> None:
    """Let the batch norms within ``network`` normalise by the whole batch, in place."""
    if world.ranks == 1:
        return
    for module in network.modules():
        if type(module) is nn.BatchNorm1d:
            module.__class__ = _WholeBatchNorm  # the same state and names, another forward


def mean(terms: Mapping[str, Tensor], world: World) -> dict[str, float]:
    """Scalars, each averaged over processes."""
    values = torch.stack([term.detach().float() for term in terms.values()])
    if world.ranks > 1:
        dist.all_reduce(values)
        values /= world.ranks
    return dict(zip(terms, values.tolist(), strict=True))


def variance(x: Tensor, world: World) -> Tensor:
    """Mean squared distance of vectors ``[batch, frames, width]`` to their mean, over the batches of all processes."""
    with torch.no_grad():
        middle, size = x.float().mean((0, 1)), world.ranks
        if size > 1:
            dist.all_reduce(middle)
        spread = (x.float() - middle / size).square().mean()
        if size > 1:
            dist.all_reduce(spread)
        return spread / size


def agreed(number: float, world: World) -> float:
    """The ``number`` of rank 0."""
    if world.ranks == 1:
        return number
    told = torch.tensor([number], dtype=torch.float64, device=world.device)
    dist.broadcast(told, 0)
    return float(told)


def first_then_all(world: World, perform: Callable[[], None]) -> None:
    """Rank 0 performs, the others wait until it is done."""
    if world.first:
        perform()
    if world.ranks > 1:
        dist.barrier()


class _WholeBatchNorm(nn.BatchNorm1d):
    """Batch norm ``[batch, channels, time]`` over the batches of all processes, which have equally many rows."""

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            usual: Tensor = super().forward(x)
            return usual
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        wide = x.float()
        count = x.shape[0] * x.shape[2] * dist.get_world_size()
        middle = _total(wide.sum((0, 2))) / count
        centred = wide - middle[:, None]
        variance = _total(centred.square().sum((0, 2))) / count
        with torch.no_grad():
            self.num_batches_tracked += 1
            share = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
            self.running_mean.lerp_(middle, share)
            self.running_var.lerp_(variance * (count / (count - 1)), share)
        scale: Tensor = self.weight * (variance + self.eps).rsqrt()
        return (centred * scale[:, None] + self.bias[:, None]).to(x.dtype)


class _Total(torch.autograd.Function):
    """The sum over processes; the gradient of each part is the sum of what all of them made of the whole."""

    @staticmethod
    def forward(_: Any, part: Tensor) -> Tensor:
        total = part.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(_: Any, gradient: Tensor) -> Tensor:
        return _Total.forward(_, gradient)


def _total(part: Tensor) -> Tensor:
    total: Tensor = _Total.apply(part)  # type: ignore[no-untyped-call]  # torch leaves it untyped
    return total
