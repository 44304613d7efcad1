"""What a plan says against what the run does, on a real Ray."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import blueprint_tune
from blueprint_tune import cli
from blueprint_tune.config.compose import compose
from blueprint_tune.config.searchspace import load_searchspace
from blueprint_tune.envs.factory import check_task
from blueprint_tune.errors import ConfigError
from blueprint_tune.planning.plan import Plan
from blueprint_tune.planning.text import plan_text
from blueprint_tune.tuning import schedulers
from blueprint_tune.tuning.experiment import run_search
from blueprint_tune.tuning.folder import anchored, describe, open_folder
from blueprint_tune.tuning.preview import preview
from blueprint_tune.tuning.progress import Progress
from blueprint_tune.tuning.records import TrialRecord
from blueprint_tune.tuning.session import RaySession

TASK = ["+scene=kitchen_001", "policy=dexterous_pick_place", "preset=smoke", "backend=pointmass"]
SMALL = ["backend.num_envs=16", "agent.rollouts=16", "evaluation.selection.episodes=2"]
SHORT = ["budget.env_steps=256", "budget.report_env_steps=256"]
GRID = """
agent.learning_rate: {_target_: ray.tune.loguniform, lower: 1.0e-4, upper: 1.0e-3}
agent.discount_factor: {_target_: ray.tune.grid_search, values: [0.9, 0.97]}
agent.policy_hidden_dims: {_target_: ray.tune.choice, categories: [[8], [8, 8]]}
"""


def words(folder: Path, *more: str) -> list[str]:
    return [*TASK, *SMALL, *SHORT, f"output_dir={folder}", *more]


def planned(folder: Path, *more: str) -> Plan:
    return blueprint_tune.plan(words(folder, *more))


def searched(folder: Path, *more: str) -> tuple[Plan, tuple[TrialRecord, ...], Path]:
    """The plan of a search, made before and after it, and the search."""
    before = planned(folder, *more)
    cfg = anchored(compose(words(folder, *more)))
    space = load_searchspace(cfg.searchspace, cfg)
    opened, _ = open_folder(cfg, describe(cfg, space, "digest"))
    with RaySession(cfg.cluster, opened.log) as session:
        records = run_search(cfg, space, opened, session, Progress("off", "test"))
    return before, records, opened.path


def test_the_run_samples_what_the_plan_says(local_ray: None, tmp_path: Path) -> None:
    space = tmp_path / "space.yaml"
    space.write_text(GRID)
    more = ["sweep=random", "sweep.num_samples=2", f"searchspace={space}"]
    plan, records, path = searched(tmp_path / "out", *more)
    assert len(plan.samples) == plan.num_trials == len(records) == 5
    assert [dict(sample) for sample in plan.samples] == [record.sample for record in records]
    assert plan.samples[0]["agent.policy_hidden_dims"] == json.dumps([128, 128]), "the default settings first"
    assert plan.updates == (1, 1)
    kept = len(list((path / "trials").glob("*/checkpoint_*")))
    assert 0 < kept <= plan.num_trials * plan.checkpoints


def test_what_depends_on_results_is_not_promised() -> None:
    pytest.importorskip("optuna")
    optuna = "{_target_: ray.tune.search.optuna.OptunaSearch}"
    cfg = compose([*TASK, *SMALL, "sweep=random", "sweep.num_samples=30", f"sweep.searcher={optuna}"])
    space = schedulers.search_space(load_searchspace(cfg.searchspace, cfg))
    seen = preview(cfg, space, 30)
    assert seen.depends and 5 <= len(seen.samples) <= 11, "Optuna's random start"
    assert seen.samples[0] == schedulers.default_point(cfg, space)
    assert preview(cfg, space, 30) == seen


def test_it_shows_trials_rungs_and_shares(tmp_path: Path) -> None:
    sizes = ["budget.env_steps=81000", "budget.report_env_steps=1000", "budget.first_rung_env_steps=9000"]
    plan = planned(tmp_path, "sweep=asha", "budget.trials=12", "cluster.num_cpus=4", *sizes)
    assert (plan.num_trials, len(plan.samples), plan.rungs) == (12, 10, (9000, 27000, 81000))
    assert (plan.at_once, plan.fit.cpus_per_trial) == (4, 1.0)
    assert plan.updates == (317, 317), "81000 env steps, 256 an update"
    assert plan.reports == 82
    text = plan_text(plan)
    for said in (
        "ASHAScheduler: rungs at 9.0k, 27k, 81k env steps",
        "and 2 more, not shown",
        "learning_rate",
    ):
        assert said in text, said
    assert list(tmp_path.iterdir()) == [], "nothing is left behind"


def test_it_knows_what_has_a_result_and_what_has_changed(tmp_path: Path) -> None:
    plan = planned(tmp_path)
    cfg = anchored(compose(words(tmp_path)))
    assert plan.state == "new"
    document = describe(cfg, {}, check_task(cfg).scene.digest)
    document["provenance"]["code_digest"] = "0" * 12
    folder, _ = open_folder(cfg, document)
    assert (folder.path, folder.state()) == (plan.folder, "unfinished")
    folder.result.write_text("{}")
    again = planned(tmp_path)
    assert again.state == "finished" and "the program's code" in again.changed[0]
    assert "would be offered again; changed since: the program's code" in plan_text(again)
    assert "made anew (force=true)" in plan_text(planned(tmp_path, "force=true"))
    assert planned(tmp_path, "seed=2").state == "new"


def test_everything_that_cannot_work_is_said_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    space = tmp_path / "space.yaml"
    space.write_text("agent.mini_batches: {_target_: ray.tune.randint, lower: 1, upper: 257}\n")
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "something").write_text("")
    more = [f"searchspace={space}", "sweep=random", "sweep.num_samples=8", "cluster.num_cpus=2"]
    more += ["+policy.roles.target.entity=nothing", "sweep.resources.cpus=64"]
    assert cli.main(["plan", *words(tmp_path, *more), "--no-probe"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    for problem in ("'nothing'", "resources.cpus=64", "A trial would run with agent.mini_batches="):
        assert problem in said.err, said.err
    with pytest.raises(ConfigError, match="taken exists and is not an experiment"):
        planned(tmp_path, "name=taken")


@pytest.mark.parametrize("options", [["--no-probe"], ["--json"]])
def test_the_verb(tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str]) -> None:
    assert cli.main(["plan", *words(tmp_path), *options]) == 0
    text = capsys.readouterr().out
    if options == ["--no-probe"]:
        assert "a first guess" in text and "unknown without a probe" in text
        return
    plan = json.loads(text)
    found = plan["estimate"]
    assert found["measured"] and found["steps_per_s"] > 100
    assert 5e8 < found["memory_bytes"] < 5e9
    assert 2 * 3 * 4 * 128 * 128 < found["disk_bytes"] < 1e8, "at least both networks' hidden layers"
    assert plan["num_envs"] == 16 and plan["trials"] == 1


def test_an_unknown_option_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["plan", *TASK, "--fast"]) == 2
    assert "plan has no option --fast" in capsys.readouterr().err
