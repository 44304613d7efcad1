"""What is used of Isaac Lab to run a task of its own is there in 2.3.2, in the order that is relied on."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.simulators.isaaclab.surface import Sources, parameters
from tests.simulators.isaaclab.test_double_is_honest import wheel  # noqa: F401  a fixture

DOUBLE = Path(__file__).parents[2] / "isaac_task_double"
DOCUMENTATION = Path(__file__).parents[3] / "docs/isaac-lab-task.md"
ENV = (
    "num_envs", "device", "step_dt", "max_episode_length", "max_episode_length_s", "episode_length_buf",
    "extras", "single_observation_space", "single_action_space", "common_step_counter", "cfg",
)  # fmt: skip
ENV_METHODS = {"step": ("action",), "render": ("recompute",), "close": ()}
MANAGERS = ("observation_manager", "action_manager", "reward_manager", "termination_manager")
CLASSES: dict[str, tuple[tuple[str, ...], dict[str, tuple[str, ...]]]] = {
    "isaaclab.envs:ManagerBasedRLEnv": (
        (*ENV, *MANAGERS),
        {**ENV_METHODS, "reset": ("seed", "env_ids", "options")},
    ),
    "isaaclab.envs:DirectRLEnv": (ENV, {**ENV_METHODS, "reset": ("seed", "options")}),
    "isaaclab.envs:ManagerBasedRLEnvCfg": (
        ("seed", "viewer", "scene", "sim", "decimation", "episode_length_s"),
        {},
    ),
    "isaaclab.envs:DirectRLEnvCfg": (
        ("seed", "viewer", "scene", "sim", "decimation", "episode_length_s"),
        {},
    ),
    "isaaclab.envs:DirectMARLEnvCfg": (("possible_agents",), {}),
    "isaaclab.envs:ViewerCfg": (("eye", "lookat", "resolution"), {}),
    "isaaclab.scene:InteractiveSceneCfg": (("num_envs",), {}),
    "isaaclab.sim:SimulationCfg": (("device",), {}),
    "isaaclab.managers:ObservationManager": (("active_terms", "group_obs_term_dim"), {}),
    "isaaclab.managers:ActionManager": (("active_terms", "action_term_dim"), {}),
    "isaaclab.managers:RewardManager": (("active_terms",), {"get_term_cfg": ("term_name",)}),
    "isaaclab.managers:TerminationManager": (
        ("active_terms", "time_outs", "terminated"),
        {"get_term": ("name",)},
    ),
    "isaaclab.managers:RewardTermCfg": (("weight",), {}),
}
FUNCTIONS = {
    "isaaclab_tasks.utils:parse_env_cfg": ("task_name", "device", "num_envs", "use_fabric"),
    "isaaclab.sim.utils.stage:create_new_stage": (),
}


def missing(sources: Sources) -> list[str]:
    """Which of the names the sources lack, or have otherwise."""
    found = []
    for where, names in FUNCTIONS.items():
        module, name = where.split(":")
        resolved = sources.resolve(module, name)
        if not isinstance(resolved, tuple) or not isinstance(resolved[1], ast.FunctionDef):
            found.append(where)
        elif tuple(p.name for p in parameters(resolved[1])) != names:
            found.append(f"{where}: other parameters")
    for where, (values, methods) in CLASSES.items():
        module, name = where.split(":")
        resolved = sources.resolve(module, name)
        if not isinstance(resolved, tuple) or not isinstance(resolved[1], ast.ClassDef):
            found.append(where)
            continue
        there = sources.read_class(resolved[0], resolved[1])
        found += [f"{where}.{value}" for value in values if value not in there.values]
        for method, names in methods.items():
            if method not in there.methods:
                found.append(f"{where}.{method}")
            elif tuple(p.name for p in there.methods[method]) != names:
                found.append(f"{where}.{method}: other parameters")
    return found


@pytest.mark.package_index
def test_all_that_is_used_is_in_the_wheel(wheel: Path) -> None:  # noqa: F811
    assert missing(Sources(wheel / "isaaclab", wheel / "isaaclab_tasks")) == []


@pytest.mark.package_index
def test_a_step_resets_before_it_observes_and_keeps_its_log(wheel: Path) -> None:  # noqa: F811
    source = (wheel / "isaaclab/isaaclab/envs/manager_based_rl_env.py").read_text()
    (step,) = (n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.FunctionDef) and n.name == "step")
    text = ast.unparse(step)
    order = (
        "termination_manager.compute()",
        "reward_manager.compute(",
        "self._reset_idx(",
        "update_history=True",
    )
    assert [text.index(part) for part in order] == sorted(text.index(part) for part in order)
    assert 'self.extras["log"] = dict()' in source and text.count("self.extras") == 1
    rewards = (wheel / "isaaclab/isaaclab/managers/reward_manager.py").read_text()
    assert 'extras["Episode_Reward/" + key] = episodic_sum_avg / self._env.max_episode_length_s' in rewards


def named_tasks() -> dict[str, str]:
    """Tasks of the documentation's commands -> what is to count as success there."""
    found = re.findall(r"backend\.task=(Isaac-\S+)(?: backend\.success=(\S+))?", DOCUMENTATION.read_text())
    assert found, "no command names a task of Isaac Lab"
    return dict(found)


@pytest.mark.package_index
def test_each_task_that_the_documentation_names_is_registered_with_its_sign_of_success(wheel: Path) -> None:  # noqa: F811
    """A termination term of a command is one of the task's family; without one, a return is asked for."""
    manipulation = wheel / "isaaclab_tasks/isaaclab_tasks/manager_based/manipulation"
    for task, success in named_tasks().items():
        (init,) = (file for file in manipulation.rglob("__init__.py") if f'id="{task}"' in file.read_text())
        assert "env_cfg_entry_point" in init.read_text()
        family = manipulation / init.relative_to(manipulation).parts[0]
        (cfg,) = family.glob("*_env_cfg.py")
        text = cfg.read_text()
        (ends,) = (
            node
            for node in ast.parse(text).body
            if isinstance(node, ast.ClassDef) and node.name == "TerminationsCfg"
        )
        terms = [node.targets[0].id for node in ends.body if isinstance(node, ast.Assign)]  # type: ignore[attr-defined]
        kind, _, name = success.partition(":")
        assert (name in terms) if kind == "termination" else (kind == "return" and "success" not in terms)
        assert "self.concatenate_terms = True" in text and "rewards: RewardsCfg = RewardsCfg()" in text


def test_the_double_offers_it_too_and_a_made_up_name_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    assert missing(Sources(DOUBLE)) == []
    monkeypatch.setitem(CLASSES, "isaaclab.envs:DirectRLEnv", (("terminal_obs",), {"reset": ("seed",)}))
    monkeypatch.setitem(FUNCTIONS, "isaaclab.envs:make_env", ())
    assert missing(Sources(DOUBLE)) == [
        "isaaclab.envs:make_env",
        "isaaclab.envs:DirectRLEnv.terminal_obs",
        "isaaclab.envs:DirectRLEnv.reset: other parameters",
    ]
