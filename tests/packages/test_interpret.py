import ast

import pytest

from blueprint_tune.packages.interpret import judge
from blueprint_tune.packages.reader import read_package

AS_GENERATED = {"robot": "ArticulationCfg", "mug_0": "RigidObjectCfg", "light": "AssetBaseCfg"}
WHOLE = ("robot", "object", "handle", "dishes", "articulated_object")


def _verdicts(package, entities):
    module = read_package(package()).modules["reward_functions.py"]
    return {
        name.removeprefix("reward_"): judge(function, {}, entities, module.constants)
        for name, function in module.functions.items()
        if name.startswith("reward_")
    }


@pytest.mark.parametrize(
    ("term", "kind", "why"),
    [
        ("grasp_success", "live", ""),
        ("smooth_motion", "live", ""),
        ("action_jerk_penalty", "live", ""),
        ("efficiency", "live", ""),
        ("placement_accuracy", "raises", "the environment has no 'target_pos'"),
        ("joint_progress", "raises", "no entity 'articulated_object'"),
        ("collision_penalty", "raises", "'robot' has no 'net_contact_forces_w'"),
        ("handle_grasp", "zero", "no entity 'handle'"),
        ("dish_placed", "zero", "no entity 'dishes'"),
        ("rack_utilization", "zero", "no entity 'dishes'"),
        ("breakage_penalty", "zero", "no entity 'dishes'"),
        ("force_control", "zero", "'robot' has no 'net_contact_forces_w'"),
        ("throughput", "zero", "no 'tasks_completed'"),
        ("smooth_ee_velocity", "shape", "(N, 1)"),
    ],
)
def test_verdicts_in_the_scene_that_upstream_generates(package, term, kind, why):
    verdict = _verdicts(package, AS_GENERATED)[term]
    assert verdict.kind == kind and why in verdict.why


def test_a_handle_in_the_scene_shows_the_wrong_shape(package):
    verdicts = _verdicts(package, dict.fromkeys(WHOLE, "RigidObjectCfg"))
    assert verdicts["handle_grasp"].kind == "shape" and "(N, N)" in verdicts["handle_grasp"].why
    assert verdicts["joint_progress"].kind == verdicts["dish_placed"].kind == "live"
    assert verdicts["breakage_penalty"].kind == "zero"  # no asset's data has contact forces


def test_signs_are_told_also_of_what_raises(package):
    module = read_package(package()).modules["reward_functions.py"]
    found = {
        name: judge(function, {}, {}, module.constants, generous=True).negative
        for name, function in module.functions.items()
    }
    negative = {name.removeprefix("reward_") for name, is_negative in found.items() if is_negative}
    assert negative == {
        "collision_penalty", "smooth_motion", "smooth_ee_velocity", "action_jerk_penalty",
        "action_magnitude_penalty", "breakage_penalty", "force_control", "efficiency",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("body", "params", "kind"),
    [
        ("return torch.zeros(env.num_envs)", {}, "zero"),
        ("return torch.ones(env.num_envs) * 0.0", {}, "zero"),
        ("return scale * torch.ones(env.num_envs)", {"scale": 0.0}, "zero"),
        ("return scale * torch.ones(env.num_envs)", {"scale": 2.0}, "live"),
        ("x = None\n return x.float()", {}, "raises"),
        ("return env.scene[name].data.root_pos_w[:, 2]", {"name": "mug_0"}, "live"),
        ("return env.scene[name].data.root_pos_w[:, 2]", {"name": "cup"}, "raises"),
        ("if env.num_envs > 3:\n  y = torch.zeros(1)\n else:\n  y = torch.ones(1)\n return y", {}, "live"),
        ("pass", {}, "unknown"),
        ("while True:\n  pass", {}, "unknown"),
    ],
)
def test_verdicts_on_small_functions(body, params, kind):
    arguments = "".join(f", {name}" for name in params)
    function = ast.parse(f"def f(env{arguments}):\n {body}").body[0]
    assert judge(function, params, AS_GENERATED, {}).kind == kind


def test_many_branches_take_no_time():
    branches = "\n".join(f" if env.num_envs > {i}:\n  v{i} = env.device" for i in range(3000))
    function = ast.parse(f"def f(env):\n{branches}\n return v1").body[0]
    assert judge(function, {}, {}, {}).kind == "unknown"


def test_what_is_too_deep_to_follow_is_unknown():
    function = ast.parse("def f(env):\n return 1").body[0]
    for _ in range(5000):
        function.body[0].value = ast.UnaryOp(ast.USub(), function.body[0].value)
    assert judge(function, {}, {}, {}).kind == "unknown"
