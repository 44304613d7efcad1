"""Whose memory is full, and what is halved then."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from blueprint_tune.config.schema import ExperimentConfig
from blueprint_tune.config.validate import apply_overrides
from blueprint_tune.tuning.memory import halved, out_of_device_memory, why_not_comparable


@pytest.mark.parametrize(
    ("error", "full"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."), True),
        (RuntimeError("Failed to allocate 4294967296 bytes on device 'cuda:0'"), True),
        (RuntimeError("PhysX error: PxgCudaDeviceMemoryAllocator fail to allocate: out of memory"), True),
        (ValueError("RESOURCE_EXHAUSTED: out of memory while trying to allocate on GPU"), True),
        (RuntimeError("CUDA error: an illegal memory access was encountered"), False),
        (MemoryError("out of memory"), False),
        (OSError("No space left on device"), False),
    ],
)
def test_whose_memory_is_full(error: Exception, full: bool) -> None:
    assert (out_of_device_memory(error) is not None) is full
    wrapped = RuntimeError("the scene cannot be built")
    wrapped.__cause__ = error
    assert out_of_device_memory(wrapped) == (str(error) if full else None)


def test_half_the_environments_and_twice_the_rollout(config: Callable[..., ExperimentConfig]) -> None:
    cfg = config("backend=pointmass", "backend.num_envs=12", "agent.rollouts=16")
    sample = {"agent.learning_rate": 1e-3}
    assert why_not_comparable(cfg, sample) is None
    first = halved(cfg, sample)
    assert first == {"agent.learning_rate": 1e-3, "backend.num_envs": 6, "agent.rollouts": 32}
    second = halved(cfg, first)
    assert second is not None and (second["backend.num_envs"], second["agent.rollouts"]) == (3, 64)
    assert halved(cfg, second) is None, "three environments have no half"
    smaller = apply_overrides(cfg, second)
    assert smaller.backend.num_envs * smaller.agent.rollouts == cfg.backend.num_envs * cfg.agent.rollouts
    told = why_not_comparable(cfg, second)
    assert told is not None
    assert told.startswith("not comparable: out of memory with 12 environments, so it ran 3 of them for 64 ")
    searched = halved(cfg, {"agent.rollouts": 8})
    assert searched == {"backend.num_envs": 6, "agent.rollouts": 16}
    assert halved(cfg, first, ranks=2) is None, "two ranks cannot share three environments"
