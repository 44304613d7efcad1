"""Packages that are small and would take for ever, or end in a traceback, if nothing were bounded."""

import ast

import pytest

from blueprint_tune.errors import TaskPackageError
from blueprint_tune.packages import reader, validate
from blueprint_tune.packages.interpret import Steps, judge
from blueprint_tune.packages.reader import read_package
from blueprint_tune.packages.static import constants
from blueprint_tune.packages.validate import examine

HUGE = "0x" + "f" * 5000


def test_what_a_table_holds_is_not_shared_into_what_multiplies():
    lines = ["T0 = {'k': [1, 1]}"] + [
        f"T{i + 1} = {{'k': [T{i}.get('k'), T{i}.get('k')]}}" for i in range(40)
    ]
    found = constants(
        ast.parse("\n".join([*lines, "W = {'a': 2.0}.get", "X = {'a': 2.0}", "Y = X.get('a')"]))
    )
    assert found["Y"] == 2.0 and found["T0"] == {"k": [1, 1]}
    assert "T1" not in found


def test_a_class_type_that_is_no_text_is_none(package):
    folder = package(
        edit={"env_cfg.py": ("joint_vel = {", 'other = {"class_type": [1, 2]}\n    joint_vel = {')}
    )
    assert [(term.name, bool(term.func)) for term in read_package(folder).actions] == [
        ("other", False),
        ("joint_vel", True),
    ]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("env_cfg.py", "if a: pass\n" + "elif a: pass\n" * 1500),
        (
            "randomizations.py",
            "def randomize_a(env):\n  env.write_root_pose_to_sim(objects)\n  if a: pass\n"
            + "  elif a: pass\n" * 1500,
        ),
        ("train_cfg.yaml", f"algo:\n  rollout_steps: {HUGE}\nenv:\n  num_envs: 4\n"),
        ("reward_functions.py", f"def reward_joint_progress(env, **params):\n    return env.scene[{HUGE}]\n"),
        ("reward_functions.py", "def reward_joint_progress(env, a=None.b):\n    return env.scene\n"),
    ],
)
def test_what_python_takes_and_recursion_or_printing_does_not_is_judged(package, name, content):
    folder = package()
    (folder / name).write_text(content)
    assert examine(read_package(folder)).status in (1, 2)


def test_a_whole_number_that_is_no_setting_is_told_with_its_line(package):
    folder = package()
    for number in (HUGE, f"-{HUGE}", str(2**63 + 1), "[1, {a: " + HUGE + "}]"):
        (folder / "train_cfg.yaml").write_text(f"env:\n  num_envs: 4\nalgo:\n  rollout_steps: {number}\n")
        (problem,) = read_package(folder).problems
        assert problem.line == 4 and "beyond 2^63" in problem.text
    (folder / "train_cfg.yaml").write_text(f"seed: {2**63}\n")
    assert read_package(folder).problems == []


def test_steps_are_those_of_the_whole_package():
    function = ast.parse("def f(env):\n" + "  x = env.device\n" * 1000 + "  return x").body[0]
    steps = Steps(5000)
    verdicts = [judge(function, {}, {}, {}, steps=steps) for _ in range(100)]
    assert verdicts[0].kind == "live" and verdicts[-1].kind == "unknown" and "too much" in verdicts[-1].why
    assert steps.left > -2 * len(verdicts)


@pytest.mark.parametrize("kind", ["RewardsCfg", "ObservationsCfg", "TerminationsCfg"])
def test_thousands_of_terms_are_not_followed(package, kind):
    inner = "  class A:\n  " if kind == "ObservationsCfg" else ""
    terms = "".join(f"{inner}  t{i} = TermCfg(func='f')\n" for i in range(4500))
    folder = package()
    (folder / "env_cfg.py").write_text(f"class {kind}:\n{terms}")
    (folder / "randomizations.py").write_text("def f(env):\n" + "  env.device\n" * 9000 + "  return env")
    found = read_package(folder)
    assert examine(found).status in (1, 2)
    assert any("more than 200 terms" in problem.text for problem in found.problems)
    assert len([*found.rewards, *found.observations, *found.terminations]) == 200


def test_thousands_of_classes_are_one_finding(package):
    folder = package()
    (task,) = folder.glob("task_*.py")
    task.write_text("".join(f"class A{i}Task: pass\n" for i in range(6000)))
    unused = [f for f in examine(read_package(folder)).findings if f.code == "task-class-unused"]
    assert [finding.what for finding in unused] == ["class A0Task and 5999 more"]


def test_what_nobody_foresaw_is_a_sentence(package, monkeypatch):
    def fail(*given):
        raise RecursionError("too deep")

    found = read_package(package())
    monkeypatch.setattr(validate, "hook_findings", fail)
    with pytest.raises(TaskPackageError, match=r"cannot be judged \(RecursionError: 'too deep'\).*report it"):
        examine(found)
    monkeypatch.setattr(reader, "_identify", fail)
    with pytest.raises(TaskPackageError, match="report it"):
        read_package(package())
