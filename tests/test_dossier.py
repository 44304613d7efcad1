"""What is reported and published about a searched experiment."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from blueprint_tune.config.compose import compose
from blueprint_tune.config.schema import ExperimentConfig
from blueprint_tune.dossier import Dossier, is_published
from blueprint_tune.errors import CheckpointDamaged
from blueprint_tune.publish import PublishedPaths
from blueprint_tune.tuning.checkpoints import Reached, write_reached
from blueprint_tune.tuning.folder import ExperimentFolder
from blueprint_tune.tuning.lineage import write_origin
from blueprint_tune.tuning.records import TrialRecord, load_records

TYPED = ["+scene=kitchen_001", "preset=smoke", "sweep=random", "agent.rollouts=32", "storage.root=elsewhere"]


def record(index: int, score: float | None, **sample: Any) -> TrialRecord:
    checkpoints = () if score is None else ((1, "trials/a/c0"), (2, "trials/a/c1"))
    status = "failed" if score is None else "completed"
    values = {k.replace("__", "."): v for k, v in sample.items()}
    return TrialRecord(f"t{index}", index, status, values, 10, score, checkpoints, 1.0, None)


def make(folder: Path, typed: list[str] = TYPED, *records: TrialRecord) -> Dossier:
    trials = records or (record(0, 0.5, agent__learning_rate=3e-4), record(1, 0.9, agent__learning_rate=5e-4))
    tree = {"overrides": typed, "input_hash": "i", "content_hash": "c", "created": "now"}
    return Dossier(compose(typed), cast(Any, None), ExperimentFolder(folder / "exp"), tree, tuple(trials))


def test_the_best_trial_gives_the_config(tmp_path: Path) -> None:
    dossier = make(tmp_path)
    assert dossier.best.trial_id == "t1"
    assert dossier.best_cfg.agent.learning_rate == 5e-4
    assert dossier.best_cfg.name == "exp"


def test_failed_trials_and_ties_do_not_win(tmp_path: Path) -> None:
    trials = [record(0, None), record(1, 0.5), record(2, 0.5)]
    assert make(tmp_path, TYPED, *trials).best.index == 1


def test_changes_are_what_was_typed_and_what_was_sampled(tmp_path: Path) -> None:
    plain = compose(["+scene=kitchen_001", "preset=smoke", "sweep=random"])
    assert make(tmp_path).changes() == {
        "agent.rollouts": (plain.agent.rollouts, 32),
        "agent.learning_rate": (plain.agent.learning_rate, 5e-4),
    }


def test_without_what_was_typed_the_sample_is_still_a_change(tmp_path: Path) -> None:
    dossier = replace(make(tmp_path), tree={"overrides": []})
    assert set(dossier.changes()) == {"agent.learning_rate"}
    assert dossier.command.startswith("#")


def test_the_command_can_be_pasted(tmp_path: Path) -> None:
    typed = [*TYPED, "searchspace=[ppo_core,network]"]
    assert make(tmp_path, typed).command.endswith("storage.root=elsewhere 'searchspace=[ppo_core,network]'")


def test_the_command_tells_no_secret(tmp_path: Path) -> None:
    secret = "+cluster.runtime_env.env_vars.API_TOKEN=hunter2"
    command = make(tmp_path, [*TYPED, secret]).command
    assert "hunter2" not in command and "API_TOKEN=(hidden)" in command


@pytest.fixture
def cfg(tmp_path: Path) -> ExperimentConfig:
    return compose(["+scene=kitchen_001", f"storage.root={tmp_path / 'store'}"])


def test_published_means_complete_and_in_this_storage(cfg: ExperimentConfig, tmp_path: Path) -> None:
    run = cast(Any, SimpleNamespace(cfg=cfg, job=SimpleNamespace(job_id="exp")))
    root = tmp_path / "store/scenes/kitchen_001/rl_training"
    here, there = (PublishedPaths(str(r), "", "", "", "", "") for r in (root, tmp_path))
    assert not is_published(run, here)
    (root / "jobs/exp").mkdir(parents=True)
    (root / "jobs/exp/.complete").write_text("{}")
    assert is_published(run, here) and not is_published(run, there)


def test_the_checkpoint_before_stands_in_for_a_damaged_best_one(tmp_path: Path) -> None:
    dossier, notes = make(tmp_path, [*TYPED, "evaluation.reevaluation=off"]), list[str]()
    for updates, name in dossier.best.checkpoints:
        (dossier.folder.path / name).mkdir(parents=True)
        (dossier.folder.path / name / "checkpoint.pt").write_text("weights")
        write_reached(dossier.folder.path / name, Reached(updates, updates, 1.0, False, {}))
    assert dossier.undamaged(notes.append) == dossier and notes == []
    first, last = (dossier.folder.path / name / "checkpoint.pt" for _, name in dossier.best.checkpoints)
    last.write_text("Weights")
    whole = dossier.undamaged(notes.append)
    assert whole.best.checkpoints == ((1, "trials/a/c0"),) and whole.records[0] == dossier.records[0]
    assert "c1 is damaged: checkpoint.pt" in notes[0] and "Going on from trials/a/c0" in notes[1]
    dossier.folder.evaluation.mkdir()
    dossier.outcome_file.write_text("{}")
    with pytest.raises(CheckpointDamaged, match="the one that was evaluated"):
        dossier.undamaged(notes.append)
    last.write_text("weights")
    first.unlink()
    assert dossier.undamaged(notes.append).best.checkpoints == ((2, "trials/a/c1"),)
    shutil.rmtree(first.parent)
    said = len(notes)
    assert dossier.undamaged(notes.append).best.checkpoints == ((2, "trials/a/c1"),)
    assert len(notes) == said, "what was not kept on purpose is no damage"


def test_a_kill_between_evaluation_and_records_is_made_up_for(tmp_path: Path) -> None:
    trials = [scored(k, k / 10) for k in (9, 8, 7, 6)]
    dossier = make(tmp_path, [*TYPED, "evaluation.reevaluation.trials=3"], *trials)
    assert dossier.settled() is dossier, "nobody has played again"
    dossier.folder.evaluation.mkdir(parents=True)
    again = {"reevaluated": {"t9": 0.2, "t8": 0.4, "t7": 0.3, "t6": 1.0}}
    dossier.outcome_file.write_text(json.dumps(again))
    assert dossier.best.trial_id == "t9"
    assert dossier.settled().best.trial_id == "t8"
    kept = load_records(dossier.folder.records)
    assert [r.reevaluated for r in kept] == [0.2, 0.4, 0.3, None], "the fourth may not win"


def test_the_checkpoint_gone_on_from_is_the_best_from_then_on(tmp_path: Path) -> None:
    trial = replace(
        scored(0, 0.9, agent__learning_rate=9.0),
        trial_id="a",
        checkpoints=((1, "trials/a/c0"), (3, "trials/a/c1")),
    )
    dossier, notes = make(tmp_path, TYPED, trial), list[str]()
    for (updates, name), rate in zip(trial.checkpoints, (1.0, 9.0), strict=True):
        folder = dossier.folder.path / name
        folder.mkdir(parents=True)
        (folder / "checkpoint.pt").write_text("weights")
        write_origin(folder, "a", {"agent.learning_rate": rate})
        write_reached(folder, Reached(updates, updates, 1.0, False, {}))
    rows = [
        {"training_iteration": k, "updates": k, "env_steps": k, "eval/success_rate": rate}
        for k, rate in enumerate((0.2, 0.4, 0.9), start=1)
    ]
    told = dossier.folder.trials / "a/result.json"
    told.write_text("".join(json.dumps(row) + "\n" for row in rows))
    (dossier.folder.path / "trials/a/c1/checkpoint.pt").write_text("Weights")
    whole = dossier.undamaged(notes.append)
    assert whole.best.checkpoint == "trials/a/c0" and whole.best.sample == {"agent.learning_rate": 1.0}
    assert whole.best.score == whole.best.scores["eval/success_rate"] == pytest.approx(0.3)
    assert load_records(dossier.folder.records) == whole.records
    dossier.folder.evaluation.mkdir()
    dossier.outcome_file.write_text("{}")
    later, said = replace(dossier, records=load_records(dossier.folder.records)), len(notes)
    assert later.undamaged(notes.append) == later and len(notes) == said


def test_who_comes_up_among_the_best_is_looked_at_too(tmp_path: Path) -> None:
    trials = [replace(scored(k, k / 10), checkpoints=((1, f"trials/t{k}/c0"),)) for k in (9, 8, 7, 6, 5)]
    dossier, notes = make(tmp_path, [*TYPED, "evaluation.reevaluation.trials=3"], *trials), list[str]()
    for number in (8, 7, 5):
        folder = dossier.folder.path / f"trials/t{number}/c0"
        folder.mkdir(parents=True)
        write_reached(folder, Reached(1, 1, 1.0, False, {}))
    assert [r.index for r in dossier.undamaged(notes.append).rivals()[0]] == [8, 7, 5]
    assert len(notes) == 2 and "t9/c0" in notes[0] and "t6/c0" in notes[1]


def test_another_trial_goes_on_where_the_best_has_lost_its_checkpoints(tmp_path: Path) -> None:
    best, other = (
        replace(scored(k, k / 10), checkpoints=((1, f"trials/t{k}/c0"),), trial_id=f"t{k}") for k in (9, 5)
    )
    dossier, notes = make(tmp_path, TYPED, best, other), list[str]()
    folder = dossier.folder.path / "trials/t5/c0"
    folder.mkdir(parents=True)
    write_reached(folder, Reached(1, 1, 1.0, False, {}))
    assert dossier.best.trial_id == "t9"
    assert dossier.undamaged(notes.append).best.trial_id == "t5" and "t9/c0 is not whole" in notes[0]
    shutil.rmtree(folder)
    with pytest.raises(CheckpointDamaged, match="No checkpoint is left"):
        dossier.undamaged(notes.append)


def scored(index: int, score: float, **sample: Any) -> TrialRecord:
    return replace(record(index, score, **sample), scores={"eval/success_rate": score})


def test_the_best_few_play_again_and_repeats_of_the_default_only_for_comparison(tmp_path: Path) -> None:
    trials = [scored(0, 0.1), *(scored(k, k / 10, agent__learning_rate=k * 1e-4) for k in range(2, 6))]
    trials += [scored(6, 0.05, seed=2), replace(scored(7, 0.04, seed=3), status="stopped")]
    rivals, eligible = make(tmp_path, TYPED, *trials).rivals()
    assert [r.index for r in rivals] == [5, 4, 3] and eligible == 3
    rivals, eligible = make(tmp_path, [*TYPED, "evaluation.noise_floor=3"], *trials).rivals()
    assert [r.index for r in rivals] == [5, 4, 3, 0, 6] and eligible == 3


def test_the_luckiest_of_a_search_over_seeds_are_no_repeats(tmp_path: Path) -> None:
    trial = scored(0, 0.9, seed=2)
    assert not make(tmp_path, TYPED, trial)._repeats_default(trial)
    assert make(tmp_path, [*TYPED, "evaluation.noise_floor=3"], trial)._repeats_default(trial)


@pytest.mark.parametrize("word", ["evaluation.reevaluation=off", "sweep=optuna_multi"])
def test_nobody_plays_again_where_that_would_decide_nothing(tmp_path: Path, word: str) -> None:
    trials = [scored(0, 0.5), scored(1, 0.9)]
    rivals, eligible = make(tmp_path, [*TYPED, word], *trials).rivals()
    assert [r.index for r in rivals] == [1] and eligible == 1
