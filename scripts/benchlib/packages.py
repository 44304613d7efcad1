"""Task packages as upstream writes them, made of templates written by hand: for tests and for the fuzzer."""

from __future__ import annotations

import json
from pathlib import Path
from string import Template
from typing import Any

UPSTREAM = Path(__file__).resolve().parents[2] / "tests" / "packages" / "upstream"
REWARDS = {
    "drawer_manipulation": ["joint_progress", "handle_grasp", "smooth_motion"],
    "dish_loading": ["dish_placed", "rack_utilization", "collision_penalty", "breakage_penalty"],
    "dexterous_pick_place": ["grasp_success", "placement_accuracy", "collision_penalty"],
}


def _fill(name: str, values: dict[str, str]) -> str:
    return Template((UPSTREAM / f"{name}.txt").read_text()).substitute(values)


def _weights(policy: str, given: dict[str, float] | None) -> dict[str, float]:
    usual = dict.fromkeys(REWARDS.get(policy, ["joint_progress"]), 1.0)
    return given or {**usual, "action_jerk_penalty": 0.01, "action_magnitude_penalty": 0.001}


def _json_files(policy: str, robot: str, shape: str, validated: bool | None) -> dict[str, Any]:
    """generation_metadata.json and .isaac_lab_complete, as they are or as the specification has them."""
    common = {"policy_id": policy, "robot_type": robot}
    if shape == "specified":
        checks = {"syntax_valid": True, "runtime_validated": validated, "sanity_rollout": {"passed": True}}
        place = {"scene_id": "kitchen_001", "environment_type": "kitchen"}
        return {
            "generation_metadata.json": {**common, "generator_version": "2.0.0", "validation": checks},
            ".isaac_lab_complete": {**common, **place, "runtime_validated": validated},
        }
    result = (
        None if validated is None else {"is_valid": validated, "errors": [] if validated else ["No isaaclab"]}
    )
    named = {"scene_id": "kitchen_001", "environment_type": "kitchen", "task_name": f"kitchen_{policy}"}
    stamp = {"generated_at": "2026-02-03T10:00:00Z", "runtime_validation": result}
    marker = {"status": "complete", "policy_id": policy, "task_name": f"kitchen_{policy}"}
    return {
        "generation_metadata.json": {**common, **named, **stamp, "num_envs": 1024},
        ".isaac_lab_complete": {
            **marker, "completed_at": "2026-02-03T10:00:01Z", "runtime_validated": validated,
            "validation_errors": [] if validated in (None, True) else ["No isaaclab"],
        },
    }  # fmt: skip


def write_package(
    root: Path,
    policy: str = "drawer_manipulation",
    namespace: str = "isaaclab",
    shape: str = "real",
    robot: str = "franka",
    objects: tuple[str, ...] = ("mug_0",),
    target: str = "mug_0",
    weights: dict[str, float] | None = None,
    scene_items: str = "",
    validated: bool | None = False,
    dt: float = 0.008,
    substeps: int = 2,
    edit: dict[str, tuple[str, str]] | None = None,
) -> Path:
    """The folder of a package below ``root``; ``edit``: file -> (text in it, what takes its place)."""
    folder = root / "scenes" / policy / "isaac_lab"
    folder.mkdir(parents=True, exist_ok=True)
    found = _weights(policy, weights)
    names = "".join(word.capitalize() for word in f"kitchen_{policy}".split("_"))
    values = {
        "namespace": namespace,
        "task_name": f"kitchen_{policy}",
        "class_name": names,
        "target": target,
        "ee_body": {"ur10": "tool0", "fetch": "gripper_link"}.get(robot, "panda_hand"),
        "entities": "\n".join(f'    "{name}": "/World/Kitchen/Objects/{name}",' for name in objects),
        "scene_items": scene_items,
        "reward_terms": "\n".join(
            f"    {name} = RewardTermCfg(\n        func=reward_functions.reward_{name},\n"
            f"        weight={weight},\n    )"
            for name, weight in found.items()
        ),
        "event_terms": '    drawer_state = EventTermCfg(func="randomize_drawer_state", mode="reset")',
        "weights": "\n".join(f"  {name}: {weight}" for name, weight in found.items()),
        "dt": str(dt),
        "substeps": str(substeps),
    }
    files = {name: _fill(name, values) for name in ("env_cfg.py", "reward_functions.py", "randomizations.py")}
    files["train_cfg.yaml"] = _fill("train_cfg.yaml", values)
    files[f"task_{policy}.py"] = _fill("task.py", values)
    files["__init__.py"] = f"from .env_cfg import {names}EnvCfg\n"
    documents = _json_files(policy, robot, shape, validated)
    files |= {name: json.dumps(tree, indent=2) for name, tree in documents.items()}
    for name, (old, new) in (edit or {}).items():
        assert old in files[name], f"{name} holds no {old!r}"
        files[name] = files[name].replace(old, new)
    for name, text in files.items():
        (folder / name).write_text(text)
    return folder
