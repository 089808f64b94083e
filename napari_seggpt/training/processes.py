"""Several processes that train one model together, each on batches of its own.

They are started by torch's own launcher (`torchrun`), one for every GPU.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import distributed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import nn


@dataclass(frozen=True, slots=True, kw_only=True)
class Processes:
    """The place of a process among all; it is alone unless several were joined.

    Attributes
    ----------
    rank, count : int
        Its number, from 0, and how many there are.
    """

    rank: int = 0
    count: int = 1

    @classmethod
    def here(cls) -> Processes:
        """Return the processes that were joined."""
        if not (distributed.is_available() and distributed.is_initialized()):
            return cls()
        return cls(rank=distributed.get_rank(), count=distributed.get_world_size())

    @property
    def is_first(self) -> bool:
        """Whether it is the one that writes."""
        return self.rank == 0

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Give every process the mean of their gradients.

        A parameter that a process did not use counts as one without slope there.
        """
        if self.count == 1:
            return
        learning = [one for one in parameters if one.requires_grad]
        for one in learning:
            if one.grad is None:
                one.grad = torch.zeros_like(one)
        gradients = [one.grad for one in learning if one.grad is not None]
        every = torch.cat([gradient.flatten() for gradient in gradients])
        distributed.all_reduce(every)
        every /= self.count
        parts = every.split([gradient.numel() for gradient in gradients])
        for gradient, part in zip(gradients, parts, strict=True):
            gradient.copy_(part.view_as(gradient))

    def of_first(self, value: float, device: torch.device) -> float:
        """Return the value of the first process: clocks differ."""
        if self.count == 1:
            return value
        shared = torch.tensor(value, dtype=torch.float64, device=device)
        distributed.broadcast(shared, src=0)
        return shared.item()


def join_processes(device: torch.device) -> Processes:
    """Join what `torchrun` started; each process has a GPU of its own, if there are.

    Raises
    ------
    ValueError
        If there are fewer GPUs than processes on this machine.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return Processes()
    if device.type == "cuda":
        local, gpus = int(os.environ["LOCAL_RANK"]), torch.cuda.device_count()
        if local >= gpus:
            raise ValueError(f"Expected a GPU for each process, got {gpus} GPUs.")
        torch.cuda.set_device(local)
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    return Processes.here()
