"""Every shipped sweep on a real Ray: from its file to its trials."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from ray.tune.schedulers import pb2

import blueprint_tune
from blueprint_tune.config.compose import compose
from blueprint_tune.config.schema import ExperimentConfig
from blueprint_tune.config.searchspace import load_searchspace
from blueprint_tune.errors import BlueprintTuneError
from blueprint_tune.tuning.experiment import run_search
from blueprint_tune.tuning.folder import ExperimentFolder, anchored, describe, open_folder
from blueprint_tune.tuning.lineage import Exploit, read_lineage, read_origin
from blueprint_tune.tuning.progress import Progress
from blueprint_tune.tuning.records import TrialRecord, read_reports
from blueprint_tune.tuning.schedulers import check_sweep, default_point, search_space
from blueprint_tune.tuning.session import RaySession

SIZES = ["backend=pointmass", "backend.num_envs=8", "agent.rollouts=16", "evaluation.selection.episodes=2"]
SHORT = ["budget.env_steps=512", "budget.report_env_steps=128", "budget.first_rung_env_steps=128"]
BASE = ["+scene=kitchen_001", "preset=smoke", "policy.episode_s=1.0", *SIZES, *SHORT]


def search(
    folder: Path, *overrides: str
) -> tuple[ExperimentConfig, ExperimentFolder, tuple[TrialRecord, ...]]:
    """As the pipeline calls it, on the Ray that the tests share."""
    cfg = anchored(compose([*BASE, f"output_dir={folder}", *overrides]))
    space = load_searchspace(cfg.searchspace, cfg)
    check_sweep(cfg, space)
    experiment, _ = open_folder(cfg, describe(cfg, space, "digest"))
    with RaySession(cfg.cluster, experiment.log) as session:
        return cfg, experiment, run_search(cfg, space, experiment, session, Progress("off", "test"))


@pytest.mark.parametrize(
    ("sweep", "trials", "more"),
    [
        ("grid", 5, ()),
        ("asha", 4, ("sweep.scheduler.reduction_factor=2", "+sweep.scheduler.brackets=1")),
        ("hyperband", 6, ("searchspace=[ppo_core,randomization]",)),
        ("median", 5, ("sweep.scheduler.min_samples_required=1", "sweep.keep_checkpoints=2")),
        ("pb2", 4, ("sweep.scheduler.perturbation_interval=128", "sweep.metric=eval/action_smoothness")),
        ("asha_optuna", 4, ("searchspace=[ppo_core,network]",)),
        ("optuna_multi", 4, ("sweep.searcher.sampler.n_startup_trials=1",)),
    ],
)
def test_a_shipped_sweep_runs_and_begins_with_the_defaults(
    tmp_path: Path, local_ray: None, sweep: str, trials: int, more: tuple[str, ...]
) -> None:
    if sweep == "pb2" and hasattr(pb2, "GPy"):
        pytest.skip("this Ray's PB2 needs GPy")
    samples = () if sweep == "grid" else (f"sweep.num_samples={trials}",)
    cfg, folder, records = search(tmp_path, f"sweep={sweep}", "sweep.concurrent_trials=1", *samples, *more)
    assert [r.index for r in records] == list(range(trials))
    assert {r.status for r in records} <= {"completed", "stopped"}, [r.error for r in records]
    assert "completed" in {r.status for r in records}
    distributions = search_space(load_searchspace(cfg.searchspace, cfg))
    if sweep != "pb2":  # whose trial 0 may have copied another one
        assert records[0].sample == default_point(cfg, distributions)
        assert len({str(r.sample) for r in records}) == trials, "each trial tries something else"
    for record in records:
        rows = read_reports(folder.trials / record.trial_id)
        assert all({"eval/success_rate", "eval/action_smoothness"} <= set(row) for row in rows)
        assert set(record.scores) == set(cfg.sweep.metrics)
        kept = list((folder.trials / record.trial_id).glob("checkpoint_*"))
        assert folder.path / str(record.checkpoint) in kept
        assert not isinstance(cfg.sweep.keep_checkpoints, int) or len(kept) <= cfg.sweep.keep_checkpoints


def test_a_time_budget_ends_the_search_with_what_there_is(tmp_path: Path, local_ray: None) -> None:
    endless = ["sweep.num_samples=1000", "budget.env_steps=1000000000", "budget.report_env_steps=1024"]
    _, folder, records = search(
        tmp_path, "sweep=random", *endless, "sweep.concurrent_trials=1", "sweep.time_budget_s=4"
    )
    assert [r.index for r in records] == [0], "trials that never began are not told"
    assert records[0].status == "stopped"
    assert records[0].checkpoint is not None
    assert (folder.path / records[0].checkpoint).is_dir()


def test_a_time_budget_too_short_for_anything_says_so(tmp_path: Path, local_ray: None) -> None:
    with pytest.raises(BlueprintTuneError, match=r"sweep\.time_budget_s ended before"):
        search(
            tmp_path,
            "sweep=random",
            "sweep.num_samples=2",
            "sweep.time_budget_s=0.01",
            "budget.checkpoint_every_reports=4",
        )


def test_all_ranks_of_a_trial_go_on_with_what_it_was_given(tmp_path: Path, local_ray: None) -> None:
    """Else they would learn with different rates, and say so at the next report."""
    pbt = ["sweep=pbt", "sweep.num_samples=2", "sweep.scheduler.perturbation_interval=128"]
    fresh = "evaluation.selection.max_time_fraction=0.5"
    metric = "sweep.metric=eval/action_smoothness"
    _, folder, records = search(tmp_path, *pbt, metric, fresh, "sweep.resources.ranks=2")
    assert {r.status for r in records} == {"completed"}, [r.error for r in records]
    copies = read_lineage(folder.trials)
    assert any("agent.learning_rate" in copy.changed for copy in copies)


@pytest.fixture(scope="module")
def population(local_ray: None, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, tuple[Exploit, ...]]:
    """A whole run of four members that copy each other, compared by what differs without learning."""
    folder = tmp_path_factory.mktemp("population")
    pbt = ["sweep=pbt", "sweep.num_samples=4", "sweep.scheduler.perturbation_interval=128"]
    places = [f"output_dir={folder / 'out'}", f"storage.root={folder / 'store'}"]
    space = "searchspace=[in_flight,reward_weights_place]"
    words = [*BASE, *pbt, space, "sweep.metric=eval/action_smoothness", "budget.env_steps=896", *places]
    result = blueprint_tune.run(words)
    return result, read_lineage(result.path / "trials")


def test_members_train_with_what_they_were_given(population: tuple[Any, tuple[Exploit, ...]]) -> None:
    result, exploits = population
    assert len(exploits) >= 2, "members copied each other"
    for exploit in exploits:
        assert exploit.trial != exploit.donor
        assert exploit.in_force.keys() == exploit.changed.keys()
        for key, (_, now) in exploit.changed.items():
            assert exploit.in_force[key] == pytest.approx(now, rel=1e-6)
        rows = read_reports(result.path / "trials" / exploit.trial)
        later = [row for row in rows if row["env_steps"] > exploit.env_steps]
        assert later[0]["env_steps"] == exploit.env_steps + 128, "reports go on from the donor's env steps"
        for key in ("agent.ratio_clip", "agent.entropy_loss_scale", "agent.discount_factor"):
            if key in exploit.changed:
                assert later[0][key.replace(".", "/")] == pytest.approx(exploit.changed[key][1])
    assert any("agent.learning_rate" in e.changed for e in exploits)
    assert any(key.startswith("policy.rewards.") for e in exploits for key in e.changed)
    assert {r.status for r in result.trials} == {"completed"}


def test_a_record_says_what_its_best_checkpoint_was_trained_with(
    population: tuple[Any, tuple[Exploit, ...]],
) -> None:
    result, _ = population
    for record in result.trials:
        assert read_origin(result.path / str(record.checkpoint)) == (record.trial_id, record.sample)
        bounds = load_searchspace(result.best_config.searchspace, result.best_config)
        for key, entry in bounds.items():
            if "lower" in entry and record.index != 0:  # the defaults need not lie within
                assert entry["lower"] <= record.sample[key] <= entry["upper"], key


def test_the_lineage_is_in_the_report_as_a_picture(population: tuple[Any, tuple[Exploit, ...]]) -> None:
    result, exploits = population
    html = (result.path / "report.html").read_text()
    assert "Who copied whom" in html and 'id="lineage-title"' in html
    assert html.count("copied trial") > len(exploits)
    saved = json.loads((result.path / "search.json").read_text())
    assert [r["scores"] for r in saved] == [dataclasses.asdict(r)["scores"] for r in result.trials]
