"""What to do when a device's memory does not suffice: the same update from half the environments."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from blueprint_tune.config.schema import ExperimentConfig

NUM_ENVS, ROLLOUTS = "backend.num_envs", "agent.rollouts"
_TYPES = ("OutOfMemoryError",)
"""torch.OutOfMemoryError, also under its older name in torch.cuda."""
_SIGNS = (
    ("out of memory",),  # CUDA's and PhysX's own words
    ("failed to allocate", "device"),  # Warp: Failed to allocate … bytes on device 'cuda:0'
    ("resource_exhausted",),  # XLA
)
"""Messages of what has no type of its own: all words of one line."""
_DEVICES = ("cuda", "gpu", "device", "physx")


def out_of_device_memory(error: BaseException) -> str | None:
    """What an error, or one it was raised from, says about a GPU's memory being full; None if nothing."""
    for e in _chain(error):
        if type(e).__name__ in _TYPES or _says_so(str(e)):
            return (str(e).strip().splitlines() or [type(e).__name__])[0]
    return None


def _says_so(message: str) -> bool:
    text = message.lower()
    return any(device in text for device in _DEVICES) and any(
        all(word in text for word in words) for words in _SIGNS
    )


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def halved(cfg: ExperimentConfig, sample: Mapping[str, Any], ranks: int = 1) -> dict[str, Any] | None:
    """The sample with half the environments and twice the rollout; None where they cannot be halved.

    ``ranks``: of a trial, each of which has an equal share of them. An update still learns from as many env
    steps, so minibatches, rungs and budgets stay what they were.
    """
    num_envs = int(sample.get(NUM_ENVS, cfg.backend.num_envs))
    rollouts = int(sample.get(ROLLOUTS, cfg.agent.rollouts))
    if num_envs % (2 * ranks):
        return None
    return {**sample, NUM_ENVS: num_envs // 2, ROLLOUTS: 2 * rollouts}


def why_not_comparable(cfg: ExperimentConfig, sample: Mapping[str, Any]) -> str | None:
    """Why a trial cannot be compared with the others of its experiment; None if it can.

    The number of environments is never searched, so a sample that has it was halved.
    """
    num_envs = sample.get(NUM_ENVS, cfg.backend.num_envs)
    if num_envs == cfg.backend.num_envs:
        return None
    return (
        f"not comparable: out of memory with {cfg.backend.num_envs} environments, "
        f"so it ran {num_envs} of them for {sample[ROLLOUTS]} env steps between updates"
    )
