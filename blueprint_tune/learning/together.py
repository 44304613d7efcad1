"""What the processes that train one agent together tell each other.

Each rank steps its share of the environments and learns from it; gradients, the statistics of the normalisers
and the numbers that decide anything are shared, so that every rank makes the same step. :class:`Alone`
is the common case: nothing is shared, nothing is computed, torch.distributed is not touched.
"""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from blueprint_tune.errors import BlueprintTuneError

TIMEOUT_S = 900.0
"""Longest that a rank waits for the others; a dead one is noticed at once, this is for one that hangs."""
_POLL_S = 50e-6
_ALIVE_EVERY_S = 1.0


class Alone:
    """One process: what is shared comes back as it is.

    Attributes:
        rank: 0 … size - 1. size: processes that train the agent.
    """

    rank, size = 0, 1

    def sum(self, values: Tensor) -> Tensor:
        """The sum over all ranks, the same on each to the bit."""
        return values

    def mean(self, values: Tensor) -> Tensor:
        """The mean over all ranks."""
        return values

    def average_gradients(self, parameters: Sequence[nn.Parameter]) -> None:
        """Replace the gradients by their means over all ranks."""

    def moments(self, mean: Tensor, variance: Tensor, count: int) -> tuple[Tensor, Tensor, int]:
        """Mean, unbiased variance and count of all ranks' samples, from those of this rank's."""
        return mean, variance, count

    def mean_and_std(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """Of all ranks' values, as many on each."""
        return values.mean(), values.std()

    def agree(self, fingerprint: int) -> None:
        """Raise BlueprintTuneError unless ``fingerprint`` (32 bits) is the same on all ranks."""

    def close(self) -> None:
        """Leave the group; ranks that wait for this one fail."""


ALONE = Alone()


class Group(Alone):
    """Several processes on torch.distributed: nccl between GPUs, gloo between CPUs."""

    def __init__(
        self, rank: int, size: int, address: str, device: str, check_others: Callable[[], None] = lambda: None
    ) -> None:
        """Wait for all ranks to come to ``address`` (``tcp://host:port`` of rank 0).

        ``check_others`` raises when another rank is known to have failed: with nccl nothing else says so.
        """
        import torch.distributed as dist

        self.rank, self.size = rank, size
        self._device, self._check_others = torch.device(device), check_others
        self._blocks = self._device.type == "cpu"
        dist.init_process_group(
            "gloo" if self._blocks else "nccl",
            init_method=address,
            rank=rank,
            world_size=size,
            timeout=datetime.timedelta(seconds=TIMEOUT_S),
            device_id=None if self._blocks else self._device,
        )

    def sum(self, values: Tensor) -> Tensor:
        """See :meth:`Alone.sum`."""
        import torch.distributed as dist

        shared = values.to(self._device, copy=True)
        self._wait(dist.all_reduce(shared, async_op=True))
        return shared.to(values.device)

    def _wait(self, work: torch.distributed.Work) -> None:
        """Gloo raises when another rank dies; nccl never ends, so the others are asked about now and then."""
        asked = time.monotonic()
        while not self._blocks and not work.is_completed():
            if time.monotonic() - asked > _ALIVE_EVERY_S:
                self._check_others()
                asked = time.monotonic()
            time.sleep(_POLL_S)
        work.wait()

    def mean(self, values: Tensor) -> Tensor:
        """See :meth:`Alone.mean`."""
        return self.sum(values) / self.size

    def average_gradients(self, parameters: Sequence[nn.Parameter]) -> None:
        """One message for all of them."""
        gradients = [p.grad for p in parameters if p.grad is not None]
        shared, begin = self.mean(torch.cat([gradient.flatten() for gradient in gradients])), 0
        for gradient in gradients:
            gradient.copy_(shared[begin : begin + gradient.numel()].view_as(gradient))
            begin += gradient.numel()

    def moments(self, mean: Tensor, variance: Tensor, count: int) -> tuple[Tensor, Tensor, int]:
        """Combined as in Chan, Golub, LeVeque: Updating Formulae and a Pairwise Algorithm, 1979, eq. 2.1."""
        total = count * self.size
        overall = self.mean(mean.double())
        squares = variance.double() * (count - 1) + count * (mean.double() - overall).square()
        return overall.to(mean.dtype), (self.sum(squares) / (total - 1)).to(variance.dtype), total

    def mean_and_std(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """See :meth:`Alone.mean_and_std`."""
        mean, variance, _ = self.moments(values.mean(), values.var(), values.numel())
        return mean, variance.sqrt()

    def agree(self, fingerprint: int) -> None:
        """See :meth:`Alone.agree`."""
        mine = torch.zeros(self.size, dtype=torch.int64)
        mine[self.rank] = fingerprint
        found = self.sum(mine).tolist()
        if len(set(found)) > 1:
            raise BlueprintTuneError(
                f"The {self.size} ranks of this trial no longer hold the same policy (fingerprints {found}): "
                "what they learn is not what it should be. Have all nodes the same libraries and devices?"
            )

    def close(self) -> None:
        """See :meth:`Alone.close`."""
        import torch.distributed as dist

        if dist.is_initialized():
            dist.destroy_process_group()
