"""Terms and the managers that run them, after Isaac Lab 2.3.2."""

from collections.abc import Callable
from dataclasses import MISSING
from typing import Any

import torch

from isaaclab.utils import configclass


@configclass
class ManagerTermBaseCfg:
    """A function of the environment."""

    func: Callable = MISSING
    params: dict[str, Any] = {}  # noqa: RUF012


@configclass
class ObservationTermCfg(ManagerTermBaseCfg):
    """A part of an observation."""


@configclass
class RewardTermCfg(ManagerTermBaseCfg):
    """Weighted, and multiplied by the seconds of a step."""

    weight: float = MISSING


@configclass
class TerminationTermCfg(ManagerTermBaseCfg):
    """An episode's end: by time, or for good."""

    time_out: bool = False


@configclass
class EventTermCfg(ManagerTermBaseCfg):
    """What happens at a reset."""

    mode: str = MISSING


@configclass
class ActionTermCfg:
    """What a part of the actions does: here, an acceleration."""

    asset_name: str = MISSING
    scale: float = 1.0
    action_dim: int = 2


@configclass
class ObservationGroupCfg:
    """Terms that are seen together."""

    concatenate_terms: bool = True


class SceneEntityCfg:
    """Names something of the scene; it has no prim_path."""

    def __init__(self, name: str, body_names: str | None = None):
        self.name, self.body_names = name, body_names


def _terms(cfg, kind):
    found = {}
    for name, term in (cfg if isinstance(cfg, dict) else vars(cfg)).items():
        if term is None or name == "concatenate_terms":
            continue
        if not isinstance(term, kind):
            raise TypeError(
                f"Configuration for the term '{name}' is not of type {kind.__name__}."
                f" Received: '{type(term)}'."
            )
        if isinstance(getattr(term, "func", None), str) and ":" not in term.func:
            raise ValueError(f"The input string '{term.func}' cannot be resolved.")
        found[name] = term
    return found


class ObservationManager:
    """Groups of terms."""

    def __init__(self, cfg, env):
        self._env = env
        self._groups = {name: _terms(group, ObservationTermCfg) for name, group in vars(cfg).items()}
        self._concatenate = {name: group.concatenate_terms for name, group in vars(cfg).items()}

    @property
    def active_terms(self):
        return {name: list(terms) for name, terms in self._groups.items()}

    @property
    def group_obs_term_dim(self):
        return {
            name: [tuple(term.func(self._env, **term.params).shape[1:]) for term in terms.values()]
            for name, terms in self._groups.items()
        }

    @property
    def group_obs_concatenate(self):
        return self._concatenate

    def compute(self, update_history: bool = False):
        seen = {}
        for name, terms in self._groups.items():
            values = {term: cfg.func(self._env, **cfg.params) for term, cfg in terms.items()}
            seen[name] = torch.cat(list(values.values()), dim=1) if self._concatenate[name] else values
        return seen


class ActionManager:
    """Splits the actions among its terms."""

    def __init__(self, cfg, env):
        self._terms = _terms(cfg, ActionTermCfg)
        self.action = torch.zeros(env.num_envs, sum(self.action_term_dim), device=env.device)

    @property
    def active_terms(self):
        return list(self._terms)

    @property
    def action_term_dim(self):
        return [term.action_dim for term in self._terms.values()]

    def process_action(self, action):
        self.action[:] = action

    def scaled(self):
        return self.action * next(iter(self._terms.values())).scale


class RewardManager:
    """Weighted sums, kept until an environment is reset."""

    def __init__(self, cfg, env):
        self._env, self._terms = env, _terms(cfg, RewardTermCfg)
        self._reward_buf = torch.zeros(env.num_envs, device=env.device)
        self._episode_sums = {name: torch.zeros(env.num_envs, device=env.device) for name in self._terms}

    @property
    def active_terms(self):
        return list(self._terms)

    def get_term_cfg(self, term_name):
        return self._terms[term_name]

    def compute(self, dt):
        self._reward_buf[:] = 0.0
        for name, term in self._terms.items():
            value = term.func(self._env, **term.params) * term.weight * dt
            self._reward_buf += value
            self._episode_sums[name] += value
        return self._reward_buf

    def reset(self, env_ids):
        extras = {}
        for name, sums in self._episode_sums.items():
            extras["Episode_Reward/" + name] = torch.mean(sums[env_ids]) / self._env.max_episode_length_s
            sums[env_ids] = 0.0
        return extras


class TerminationManager:
    """Which term ended which episode, as of the last step."""

    def __init__(self, cfg, env):
        self._env, self._terms = env, _terms(cfg, TerminationTermCfg)
        self._names = {name: index for index, name in enumerate(self._terms)}
        self._term_dones = torch.zeros(env.num_envs, len(self._terms), device=env.device, dtype=torch.bool)
        self._last_episode_dones = torch.zeros_like(self._term_dones)
        self._truncated_buf = torch.zeros(env.num_envs, device=env.device, dtype=torch.bool)
        self._terminated_buf = torch.zeros_like(self._truncated_buf)

    @property
    def active_terms(self):
        return list(self._terms)

    @property
    def time_outs(self):
        return self._truncated_buf

    @property
    def terminated(self):
        return self._terminated_buf

    def get_term(self, name):
        return self._term_dones[:, self._names[name]]

    def compute(self):
        self._truncated_buf[:] = False
        self._terminated_buf[:] = False
        for index, term in enumerate(self._terms.values()):
            value = term.func(self._env, **term.params)
            if term.time_out:
                self._truncated_buf |= value
            else:
                self._terminated_buf |= value
            self._term_dones[:, index] = value
        rows = self._term_dones.any(dim=1).nonzero(as_tuple=True)[0]
        self._last_episode_dones[rows] = self._term_dones[rows]
        return self._truncated_buf | self._terminated_buf

    def reset(self, env_ids):
        rates = self._last_episode_dones.float().mean(dim=0)
        return {"Episode_Termination/" + name: rates[index].item() for name, index in self._names.items()}
