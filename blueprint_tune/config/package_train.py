"""What a package's train_cfg.yaml and physics settings contribute to an experiment.

A preset or agent that is named on the command line is the command line's: what the generator writes into
every train_cfg.yaml then steps back, and so do sizes (environments, updates, lengths).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from blueprint_tune.config.train_cfg import FIRST_RUNG, REPORTS, TABLE, Unfit
from blueprint_tune.packages.check_files import control_step_s
from blueprint_tune.packages.check_terms import Reward
from blueprint_tune.packages.knowledge import LARGEST_ROLLOUT, PROFILE_STEPS, TEMPLATE
from blueprint_tune.packages.model import Package

_COUNTED = ("env.episode_length", "runner.max_iterations", "runner.save_interval")
"""Keys counted in other units here."""


@dataclass
class Layer:
    """What a package contributes.

    Attributes:
        words: overrides to be put in front of the typed ones. typed: keys and groups that were typed.
        sources: dotted key -> 'path/train_cfg.yaml:34: '. adaptations: a sentence each.
        problems: why the package cannot be used like this.
    """

    package: Package
    typed: frozenset[str]
    rewards: tuple[Reward, ...] = ()
    words: list[str] = field(default_factory=list)
    sources: dict[str, str] = field(default_factory=dict)
    adaptations: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def is_typed(self, key: str) -> bool:
        """Whether the command line gives a setting: itself, or a mapping that holds it.

        The choice of a group's file (``policy=…``) is a name without a dot, and gives no setting.
        """
        return any(word == key or ("." in word and key.startswith(f"{word}.")) for word in self.typed)

    def set(self, key: str, text: str, source: str = "") -> None:
        """Give a setting the value that ``text`` writes, unless it was typed."""
        if not self.is_typed(key):
            self.words.append(f"{key}={text}")
            self.sources[key] = source


def quoted(text: str) -> str:
    """``text`` as Hydra's grammar reads it back."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def set_training(layer: Layer, num_envs: object) -> None:
    """train_cfg.yaml's settings, as far as the command line (``num_envs`` on it) leaves room for them."""
    values = _with_a_say(layer)
    steps, envs = values.get("algo.rollout_steps"), num_envs or values.get("env.num_envs")
    episode = layer.package.setting("env.episode_length")
    whole = isinstance(steps, int) and isinstance(episode, int) and steps >= episode
    if steps is not None and isinstance(envs, int) and (whole or steps * envs > LARGEST_ROLLOUT):
        layer.adaptations.append(
            f"train_cfg.yaml asks for {steps} steps of {envs} environments, {steps * envs:,} env steps held"
            " in memory, before each update; the agent file's agent.rollouts is used instead."
        )
        del values["algo.rollout_steps"]
    for key, value in values.items():
        if key not in _COUNTED:
            layer.set(TABLE[key].setting, _written(value), _source(layer, key))
    _set_length(layer, values)


def _source(layer: Layer, key: str) -> str:
    return f"{layer.package.path}/{layer.package.train_place(key)}: "


def _with_a_say(layer: Layer) -> dict[str, Any]:
    """Values by key, without those that step back for the command line, which are told."""
    values: dict[str, Any] = {}
    usual: dict[str, list[str]] = {}
    for key, value in _values(layer):
        kept, last = _whose(key, value, layer), key.rpartition(".")[2]
        if kept is None:
            values[key] = value
        elif value == _usual(key):
            usual.setdefault(kept, []).append(last)
        else:
            layer.adaptations.append(
                f"train_cfg.yaml's {last} {_written(value)} steps back, as {kept}=… was given;"
                f" {TABLE[key].setting}=… sets it."
            )
    layer.adaptations += [
        f"{len(keys)} settings of train_cfg.yaml that upstream gives every package step back, as {kept}=…"
        f" was given: {', '.join(keys)}."
        for kept, keys in usual.items()
    ]
    return values


def _values(layer: Layer) -> Iterator[tuple[str, Any]]:
    """The settings of train_cfg.yaml that have a counterpart; what they cannot be is a problem."""
    for key, entry in TABLE.items():
        given = layer.package.setting(key)
        if given is None or layer.is_typed(entry.setting):
            continue
        try:
            yield key, entry.read(given)
        except Unfit as error:
            place = layer.package.train_place(key)
            layer.problems.append(
                f"{layer.package.path}/{place}: {key} is {str(given)[:40]!r}; expected {error}."
                f" Correct it, or add {entry.setting}=… to the command."
            )


def _whose(key: str, value: Any, layer: Layer) -> str | None:
    """The word of the command line whose file has the say about a setting, None where the package has."""
    about = TABLE[key].about
    if about == "agent" and "agent" in layer.typed:
        return "agent"
    named = "preset" in layer.typed
    return "preset" if named and (about == "size" or (about == "agent" and value == _usual(key))) else None


def _usual(key: str) -> Any:
    """What the generator writes, as a setting of this program."""
    return TABLE[key].read(TEMPLATE[key])


def _set_length(layer: Layer, values: dict[str, Any]) -> None:
    """Episodes in seconds, updates in env steps, checkpoints in reports."""
    if (steps := values.get("env.episode_length")) is not None:
        step_s = control_step_s(layer.package) or 0.016
        layer.set("policy.episode_s", f"{steps * step_s:.6g}", _source(layer, "env.episode_length"))
    if (updates := values.get("runner.max_iterations")) is None:
        return
    whole = "${updates_of:%d,${agent.rollouts},${backend.num_envs}}" % updates  # noqa: UP031  braces are Hydra's
    layer.set("budget.env_steps", quoted(whole), _source(layer, "runner.max_iterations"))
    for key, share in (("budget.report_env_steps", REPORTS), ("budget.first_rung_env_steps", FIRST_RUNG)):
        layer.set(key, quoted("${share_of:${budget.env_steps},%g}" % share))  # noqa: UP031
    if (between := values.get("runner.save_interval")) is not None:
        reports = max(1, round(between / (REPORTS * updates)))
        layer.set("budget.checkpoint_every_reports", str(reports), _source(layer, "runner.save_interval"))


def _written(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "[" + ",".join(map(str, value)) + "]" if isinstance(value, list) else str(value)


def set_physics(layer: Layer) -> None:
    """A step that no profile of upstream's has was chosen by somebody; any other is the policy file's."""
    sim = layer.package.sim
    dt, substeps = (sim[key].value if key in sim else None for key in ("sim.dt", "sim.substeps"))
    if not isinstance(dt, float) or not isinstance(substeps, int) or isinstance(substeps, bool):
        return
    if (dt, substeps) in PROFILE_STEPS or layer.typed & {"physics", "physics.dt_s", "physics.substeps"}:
        return
    layer.set("physics.dt_s", str(dt), f"{layer.package.path}/{sim['sim.dt'].place}: ")
    layer.set("physics.substeps", str(substeps), f"{layer.package.path}/{sim['sim.substeps'].place}: ")
    layer.adaptations.append(f"env_cfg.py's own physics step is used: {substeps} x {dt:g} s a control step.")
