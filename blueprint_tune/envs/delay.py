"""Actions that reach the robot late and observations that reach the policy late.

How late is drawn for each episode, in whole env steps, by events of kind ``action_delay`` and
``observation_delay``. What terms read, ``last_action`` and the penalties on actions included, is what the
policy put out; an observation arrives late as a whole, what it says of the last action with it.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from blueprint_tune.config.policy_schema import PolicyConfig
from blueprint_tune.envs.episodes import Episodes, Ints

KINDS = {"actions": "action_delay", "observations": "observation_delay"}
"""What arrives late, and the kind of event that makes it."""


class DelayLine:
    """The last values of every environment, of which each gets the one that is as old as its delay.

    A ring: ``values`` is (L, N, D), row ``newest`` holds the newest values, the rows before it older ones.
    ``steps`` is (N,), each environment's delay in env steps, below L.
    """

    def __init__(self, values: Tensor, steps: Tensor, newest: int = 0) -> None:
        self.values, self.steps, self.newest = values, steps, newest
        self._everyone = torch.arange(values.shape[1], device=values.device)

    def push(self, values: Tensor) -> Tensor:
        """Take the newest values, (N, D); returns the delayed ones, (N, D)."""
        self.newest = (self.newest + 1) % len(self.values)
        self.values[self.newest] = values
        return self.values[(self.newest - self.steps) % len(self.values), self._everyone]

    def restart(self, env_ids: Ints, values: Tensor, steps: Ints | None) -> None:
        """Begin episodes: nothing but ``values``, (k, D), has been there; ``steps``, (k,): their delays."""
        self.values[:, env_ids] = values
        self.steps[env_ids] = 0 if steps is None else torch.from_numpy(steps).to(self.steps.device)

    def grown(self, length: int) -> DelayLine:
        """The same line with room for delays below ``length``; its oldest values stand for older ones."""
        by_age = self.values.roll(-1 - self.newest, dims=0)
        older = by_age[:1].expand(length - len(by_age), -1, -1)
        return DelayLine(torch.cat([older, by_age]), self.steps.clone(), length - 1)


class Delays:
    """What arrives late in all environments of a policy; costs nothing where nothing does."""

    def __init__(self, policy: PolicyConfig, device: str = "cpu") -> None:
        self._device = device
        self._lines: dict[str, DelayLine] = {}
        self.fit(policy)

    def fit(self, policy: PolicyConfig) -> None:
        """Make room for a policy's delays; episodes that run keep theirs."""
        self._lengths = {name: 1 + _longest(policy, kind) for name, kind in KINDS.items()}

    def _line(self, name: str, values: Tensor) -> DelayLine | None:
        """The line that ``values``, (N, D), travel through; None if nothing can delay them."""
        line, length = self._lines.get(name), self._lengths[name]
        if line is None and length > 1:
            nothing_late = torch.zeros(len(values), dtype=torch.int64, device=self._device)
            line = self._lines[name] = DelayLine(values.expand(length, -1, -1).clone(), nothing_late)
        elif line is not None and len(line.values) < length:
            line = self._lines[name] = line.grown(length)
        return line

    def begin_actions(self, env_ids: Ints, actions: Tensor, episodes: Episodes) -> None:
        """Episodes begin. ``actions``: (N, A), zero in rows ``env_ids``."""
        line = self._line("actions", actions)
        if line is not None:
            line.restart(env_ids, actions[env_ids], episodes.delays.get("actions"))

    def begin_observations(self, env_ids: Ints, first: Tensor, others: Tensor, episodes: Episodes) -> Tensor:
        """Episodes begin, as rows ``env_ids`` of ``first`` show; returns what every policy sees, (N, O).

        ``others``: what those see whose episodes go on.
        """
        line = self._line("observations", others)
        if line is None:
            return first
        line.restart(env_ids, first[env_ids], episodes.delays.get("observations"))
        seen = others.clone()
        seen[env_ids] = first[env_ids]
        return seen

    def observations(self, newest: Tensor) -> Tensor:
        """(N, O) observations as they arrive."""
        line = self._line("observations", newest)
        return newest if line is None else line.push(newest)

    def actions(self, newest: Tensor) -> Tensor:
        """(N, A) actions as they arrive."""
        line = self._line("actions", newest)
        return newest if line is None else line.push(newest)

    def hold(self, targets: Tensor, before: Tensor, elapsed_steps: Tensor) -> Tensor:
        """Joint targets (N, R), those from ``before`` where no action of the episode has arrived yet."""
        line = self._lines.get("actions")
        if line is None:
            return targets
        return torch.where((elapsed_steps >= line.steps).unsqueeze(1), targets, before)

    def state_dict(self) -> dict[str, Any]:
        """Everything under way."""
        return {
            name: {"values": line.values.clone(), "steps": line.steps.clone(), "newest": line.newest}
            for name, line in self._lines.items()
        }

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Restore :meth:`state_dict`."""
        self._lines = {
            name: DelayLine(self._own(line["values"]), self._own(line["steps"]), line["newest"])
            for name, line in saved.items()
        }

    def _own(self, saved: Tensor) -> Tensor:
        """A copy of a saved tensor, where the values live."""
        return saved.to(self._device, copy=True)


def _longest(policy: PolicyConfig, kind: str) -> int:
    return max((event["steps"][1] for event in policy.events.values() if event["kind"] == kind), default=0)
