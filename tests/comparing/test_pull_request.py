"""Changes of configuration files in a real repository, composed by this program."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from blueprint_tune import cli
from blueprint_tune.comparing.pull_request import Comparison, compare
from blueprint_tune.comparing.revisions import Repository
from blueprint_tune.comparing.text import as_json, as_markdown, as_text

Commit = Callable[[dict[str, str | None]], str]
Git = Callable[..., str]

PAIRS = {
    "dexterous_pick_place in kitchen_001",
    "drawer_manipulation in kitchen_001",
    "drawer_manipulation in office_001",
    "dexterous_pick_place in office_001",
}


def edited(name: str, old: str, new: str) -> dict[str, str | None]:
    text = Path(name).read_text()
    assert old in text
    return {name: text.replace(old, new)}


def blocks(found: Comparison) -> dict[frozenset[str], list[tuple[str, object, object, str]]]:
    return {
        frozenset(c.label for c in block.commands): [(c.key, c.before, c.after, f) for c, f in block.changes]
        for block in found.blocks
    }


def test_a_line_of_a_base_file_is_one_block(commit: Commit, git: Git) -> None:
    base = commit({})
    git("checkout", "-q", "-b", "work")
    commit(edited("conf/policy/_place.yaml", "weight: -0.01}", "weight: -0.02}"))
    git("checkout", "-q", "main")
    commit(edited("conf/agent/ppo.yaml", "learning_rate: 3.0e-4", "learning_rate: 9.0e-4"))
    status = git("status", "--porcelain")
    found = compare(Repository(), "main", "work")
    key = "policy.rewards.action_jerk_penalty.weight"
    places = {pair for pair in PAIRS if pair.startswith("dexterous")}
    assert blocks(found) == {frozenset(places): [(key, -0.01, -0.02, "conf/policy/_place.yaml")]}
    assert found.base == f"main ({base[:8]})", "what main has done since is not the branch's doing"
    assert (set(map(str, (p.label for p in found.pairs))), found.files) == (
        PAIRS,
        ("conf/policy/_place.yaml",),
    )
    assert git("status", "--porcelain") == status
    assert git("worktree", "list").count("\n") == 0
    text = as_markdown(found)
    assert text.startswith("<!--") and "dexterous_pick_place in kitchen_001 and office_001" in text
    assert f"| `{key}` | `-0.01` | `-0.02` | conf/policy/_place.yaml |" in text
    assert f"  {key}  -0.01 -> -0.02  conf/policy/_place.yaml" in as_text(found)


def test_every_kind_of_change_is_told_in_its_place(commit: Commit, git: Git) -> None:
    base = commit({})
    changed = {
        **edited("conf/agent/ppo.yaml", "learning_rate: 3.0e-4", "learning_rate: 9.0e-4"),
        **edited("conf/agent/ppo_cpu.yaml", "desired_kl", "desird_kl"),
        **edited("searchspaces/ppo_core.yaml", "upper: 2.0e-3", "upper: 4.0e-3"),
        **edited("conf/scene/office_001.yaml", "policy: drawer_manipulation", "policy: dexterous_pick_place"),
        "conf/robot/ur10.yaml": "name: [\n",
        "conf/policy/drawer_manipulation.yaml": None,
        "conf/policy/lifting.yaml": "defaults: [dexterous_pick_place, _self_]\nname: lifting\n",
    }
    head = commit(changed)
    found = compare(Repository(), base, head)
    told = blocks(found)
    shared = frozenset(pair for pair in PAIRS if pair.startswith("dexterous"))
    assert told[shared] == [("agent.learning_rate", 0.0003, 0.0009, "conf/agent/ppo.yaml")]
    assert told[frozenset({"searchspace=ppo_core", "sweep=random"})] == [
        ("searchspace ppo_core: agent.learning_rate.upper", 0.002, 0.004, "searchspaces/ppo_core.yaml")
    ]
    assert told[frozenset({"+scene=office_001"})] == [
        ("policy=", "drawer_manipulation", "dexterous_pick_place", "")
    ]
    assert len(told) == 4, "the rest is what ppo_cpu says now"
    assert {c.label for c in found.removed} == {pair for pair in PAIRS if pair.startswith("drawer")}
    assert [c.label for c in found.added] == ["lifting in kitchen_001"]
    refused = {r.problem: {c.label for c in r.commands} for r in found.refusals if not r.solved}
    (broken,) = (labels for problem, labels in refused.items() if "robot/ur10.yaml" in problem)
    assert broken == {"robot=ur10"}
    misspelt = (
        "conf/agent/ppo_cpu.yaml: agent.desird_kl: there is no such setting. Did you mean 'desired_kl'?"
    )
    assert refused[misspelt] == {"agent=ppo_cpu", "preset=smoke"}
    assert json.loads(json.dumps(as_json(found)))["added"][0]["name"] == "lifting in kitchen_001"
    back = compare(Repository(), head, git("commit-tree", f"{base}^{{tree}}", "-p", head, "-m", "x"))
    assert {r.problem for r in back.refusals if r.solved} == set(refused)


def test_files_of_ones_own_are_added_to_the_programs(commit: Commit, repository: Path) -> None:
    for folder in ("conf", "searchspaces"):
        for file in (repository / folder).rglob("*.yaml"):
            file.unlink()
    mine = "defaults: [dexterous_pick_place, _self_]\nname: lifting\nepisode_s: {}\n"
    base = commit({"conf/policy/lifting.yaml": mine.format("4.0")})
    commit({"conf/policy/lifting.yaml": mine.format("5.0")})
    found = compare(Repository(), base, "HEAD")
    (block,) = found.blocks
    assert [c.policy for c in block.commands] == ["lifting"]
    assert [(c.key, c.after, file) for c, file in block.changes] == [
        ("policy.episode_s", 5.0, "conf/policy/lifting.yaml")
    ]


def test_one_command_in_two_revisions(commit: Commit, capsys: pytest.CaptureFixture[str]) -> None:
    base = commit({})
    commit(edited("conf/agent/ppo_cpu.yaml", "discount_factor: 0.97", "discount_factor: 0.98"))
    command = ["+scene=kitchen_001", "policy=dexterous_pick_place"]
    assert cli.main(["diff", base, "HEAD", *command, "preset=smoke"]) == 0
    assert "agent.discount_factor  0.97 -> 0.98  conf/agent/ppo_cpu.yaml" in capsys.readouterr().out
    assert cli.main(["diff", base, "HEAD", *command]) == 0
    assert "no resolved setting changes" in capsys.readouterr().out
    assert cli.main(["diff", base, "HEAD", "+scene=kitchen_001", "policy=dexterous"]) == 2
    assert "Did you mean 'dexterous_pick_place'?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--git", "main", "wrok"], "has no revision 'wrok'. Did you mean 'work'?"),
        (["main", "kitchen"], "'kitchen' is neither an experiment"),
        (["main"], "takes two experiments or two revisions, not 1"),
        (["--git", "main", "--format", "html"], "--format html: "),
        (["--quiet", "main", "work"], "diff has no option --quiet"),
        (["--git", "empty", "main"], "has no folder conf/"),
    ],
)
def test_what_cannot_be_compared_is_said(
    commit: Commit, git: Git, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    commit({})
    git("branch", "work")
    nothing = git("hash-object", "-t", "tree", "-w", "--stdin")
    git("branch", "empty", git("commit-tree", nothing, "-m", "x"))
    assert cli.main(["diff", *words]) == 2
    assert said in capsys.readouterr().err


def test_outside_a_repository_there_are_no_revisions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["diff", "--git", "main"]) == 2
    assert "not a git repository" in capsys.readouterr().err
