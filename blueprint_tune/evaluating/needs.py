"""What a policy needs of an environment, and how an environment differs from that."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blueprint_tune.config.flat import flat
from blueprint_tune.config.schema import ExperimentConfig
from blueprint_tune.errors import ConfigError, StorageError
from blueprint_tune.storage.path import check_id

if TYPE_CHECKING:
    from blueprint_tune.envs.base import VecEnv

_MEANING = ("term", "scale", "frame", "parameters")
"""What a contract says of an observation that a policy was trained with."""
_OF_AN_ACTION = ("scale", "meaning")
"""What a contract says of an action of a task with an environment of its own."""
_OF_THE_ROBOT = ("lower", "upper")
"""Numbers of a controller that are the robot's, whatever the policy."""


@dataclass(frozen=True)
class Needs:
    """What a policy was made for.

    Attributes:
        job, scene, policy, robot: names. observations: name -> size, in order; None where a size is not
            known, None altogether where a task of its own decides.
        meanings: name -> what its numbers are: term, scale, parameters, and frame where known.
        actions: names; None = not known. effects: name -> scale and meaning, where known.
        control_hz: actions a second; None = not known.
        controller: what turns actions into joint targets, in numbers.
    """

    job: str
    scene: str
    policy: str
    robot: str
    observations: Mapping[str, int | None] | None
    meanings: Mapping[str, Mapping[str, Any]]
    actions: tuple[str, ...] | None
    effects: Mapping[str, Mapping[str, Any]]
    control_hz: float | None
    controller: Mapping[str, Any]


def config_needs(cfg: ExperimentConfig) -> Needs:
    """Of a policy that was trained with these settings."""
    from blueprint_tune.mdp.describe import parameters

    step_s = cfg.physics.dt_s * cfg.physics.substeps * cfg.policy.action_repeat
    return Needs(
        job=cfg.name or cfg.policy.name,
        scene=cfg.scene.id,
        policy=cfg.policy.name,
        robot=cfg.robot.name,
        observations=None if cfg.backend.own_task else dict.fromkeys(cfg.policy.observations),
        meanings={
            name: _meaning({"term": entry["term"], "scale": 1.0, "parameters": parameters(entry)})
            for name, entry in cfg.policy.observations.items()
        },
        actions=None,
        effects={},
        control_hz=None if cfg.backend.own_task else 1.0 / step_s,
        controller=_controller(cfg),
    )


def _meaning(said: Mapping[str, Any]) -> dict[str, Any]:
    """What is ``said`` of an observation, its scale in one place."""
    parameters = dict(said["parameters"])
    return {**said, "scale": float(parameters.pop("scale", said["scale"])), "parameters": parameters}


def _controller(cfg: ExperimentConfig) -> dict[str, Any]:
    """What turns actions into joint targets, in numbers that are the policy's."""
    from blueprint_tune.export.contract import controller
    from blueprint_tune.export.onnx import joint_numbers

    if cfg.backend.own_task:
        return {"action_scale": cfg.backend.action_scale}
    return controller(cfg.policy.actions, cfg.robot, ()) or joint_numbers(cfg.policy.actions, cfg.robot)


def bundle_needs(file: Path, config: Mapping[str, Any]) -> Needs:
    """Out of ``policy_config.json``, or of what an ONNX graph says of itself under the same names.

    Raises ConfigError for a file that does not say what it is for.
    """
    try:
        controller = config["controller"] or config["joint_targets"] or {}
        return Needs(
            job=_id(config, "job_id"),
            scene=_id(config, "scene"),
            policy=_id(config, "policy_id"),
            robot=_text(config, "robot"),
            observations={part["name"]: int(part["shape"][0]) for part in config["observations"]},
            actions=tuple(action["name"] for action in config["actions"]),
            effects={
                action["name"]: {key: action[key] for key in _OF_AN_ACTION if key in action}
                for action in config["actions"]
            },
            control_hz=float(config["control_hz"]),
            meanings={
                part["name"]: _meaning({key: part[key] for key in _MEANING})
                for part in config["observations"]
            },
            controller={k: v for k, v in controller.items() if k not in _OF_THE_ROBOT},
        )
    except StorageError as error:
        raise ConfigError(f"{file}: {error}") from error
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ConfigError(
            f"{file}: it does not say what it was made for ({error} is missing or unreadable). "
            "Only policies that blueprint-tune exported can be evaluated."
        ) from error


def _id(config: Mapping[str, Any], key: str) -> str:
    """A name that becomes part of a path, out of a file that may come from anywhere. Raises StorageError."""
    return check_id(key, _text(config, key))


def _text(config: Mapping[str, Any], key: str) -> str:
    if not isinstance(config[key], str):
        raise TypeError(f"a text as {key}")
    return str(config[key])


def check_fits(file: Path, needs: Needs, cfg: ExperimentConfig, env: VecEnv) -> None:
    """Raises ConfigError naming all that an environment does otherwise than the policy was made for."""
    if problems := list(_differences(needs, cfg, env)):
        lines = "\n".join(f"  - {problem}" for problem in problems)
        raise ConfigError(
            f"{file} was not made for this environment:\n{lines}\n"
            f"It was trained in {needs.scene} as {needs.policy} with {needs.robot}. Another scene, seeds and "
            "events are fine as long as what the policy sees and does stays the same."
        )


def _differences(needs: Needs, cfg: ExperimentConfig, env: VecEnv) -> Iterator[str]:
    for what, theirs, here in (
        ("robot", needs.robot, cfg.robot.name),
        ("policy type", needs.policy, cfg.policy.name),
    ):
        if theirs != here:
            yield f"{what}: it was trained for '{theirs}', this is '{here}'"
    if needs.observations is not None:
        yield from _observations(needs.observations, dict(env.observation_names))
    if needs.actions is not None and needs.actions != env.action_names:
        yield f"actions: it has {', '.join(needs.actions)}; here {', '.join(env.action_names)} are taken"
    if needs.control_hz is not None and abs(needs.control_hz * env.control_dt_s - 1.0) > 1e-6:
        yield f"control rate: it acts at {needs.control_hz:g} Hz, here at {1.0 / env.control_dt_s:g} Hz"
    for part in env.describe_observations():
        here_too = _meaning({key: getattr(part, key) for key in _MEANING})
        if part.name in needs.meanings:
            yield from _changed(f"observation '{part.name}'", needs.meanings[part.name], here_too)
    yield from _effects(needs.effects, env)
    if needs.controller:
        yield from _changed("controller", needs.controller, _controller(cfg))


def _effects(theirs: Mapping[str, Mapping[str, Any]], env: VecEnv) -> Iterator[str]:
    """What actions do otherwise to a task of its own; those of this program are told by the controller."""
    from blueprint_tune.export.contract import own_action

    for name, range_ in zip(env.action_names, env.facts.action_ranges):
        if name in theirs:
            yield from _changed(f"action '{name}'", theirs[name], own_action(name, *range_))


def _changed(what: str, theirs: Mapping[str, Any], here: Mapping[str, Any]) -> Iterator[str]:
    """What of ``theirs`` is otherwise here."""
    flat_here = flat(json.loads(json.dumps(here)))  # a bundle's numbers have been JSON, which has no tuples
    for key, value in flat(json.loads(json.dumps(theirs))).items():
        if value != flat_here.get(key):
            yield f"{what}.{key}: {value!r} there, {flat_here.get(key)!r} here"


def _observations(theirs: Mapping[str, int | None], here: Mapping[str, int]) -> Iterator[str]:
    for name in theirs:
        if name not in here:
            yield f"observation '{name}': there is none here"
        elif theirs[name] not in (None, here[name]):
            yield f"observation '{name}': {theirs[name]} numbers there, {here[name]} here"
    for name in here:
        if name not in theirs:
            yield f"observation '{name}': the policy does not know it"
    if set(theirs) == set(here) and list(theirs) != list(here):
        yield f"observations come in another order: {', '.join(theirs)} there, {', '.join(here)} here"
