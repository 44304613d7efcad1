"""``evaluate`` on a real experiment's folder, its checkpoint and its bundle, made once without Ray."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from blueprint_tune.cli import main
from blueprint_tune.config.compose import compose, to_dict
from blueprint_tune.config.schema import ExperimentConfig
from blueprint_tune.envs.factory import make_env
from blueprint_tune.errors import ConfigError
from blueprint_tune.evaluating import needs
from blueprint_tune.evaluating.against import read_against
from blueprint_tune.evaluating.subject import _with_words, find_subject
from blueprint_tune.learning.trainer import Trainer
from blueprint_tune.schemas import SCHEMAS, load_schema
from blueprint_tune.tuning.lineage import write_origin
from blueprint_tune.tuning.records import TrialRecord, load_records, save_records
from blueprint_tune.tuning.workers import Finalist, Job

WORDS = [
    "+scene=kitchen_001",
    "policy=dexterous_pick_place",
    "preset=smoke",
    "backend=pointmass",
    "policy.episode_s=0.5",
    "evaluation.robustness=off",
    "logger.progress=off",
]
SAMPLE = {"agent.policy_hidden_dims": [8, 8]}
QUICK = ("evaluation.episodes_per_seed=1", "logger.progress=off")


def finished(home: Path, cfg: ExperimentConfig) -> Path:
    """An experiment as a search and its closing stages leave it, with an untrained policy."""
    checkpoint = home / "trials/a_0/checkpoint_000000"
    checkpoint.mkdir(parents=True)
    env = make_env(cfg, 1)
    Trainer(env, replace(cfg, agent=replace(cfg.agent, policy_hidden_dims=[8, 8]))).save(
        checkpoint / "checkpoint.pt"
    )
    env.close()
    write_origin(checkpoint, "a_0", SAMPLE)
    path = "trials/a_0/checkpoint_000000"
    save_records(
        home / "search.json", [TrialRecord("a_0", 0, "completed", SAMPLE, 10, 0.5, ((1, path),), 1.0, None)]
    )
    document = {"config": to_dict(cfg), "searchspace": {}, "input_hash": "i", "overrides": WORDS}
    (home / "experiment.yaml").write_text(yaml.safe_dump(document, sort_keys=False))
    job = Job(
        config=to_dict(cfg),
        sample=SAMPLE,
        checkpoint=str(checkpoint / "checkpoint.pt"),
        evaluation_dir=str(home / "evaluation"),
        bundle_dir=str(home / "bundle"),
        name="exp",
        policy_name="exp",
        eval_id="eval_exp",
        timestamp="2026-01-01T00:00:00+00:00",
        summary={},
        updates=1,
        env_steps=256,
        training_time_s=1.0,
        input_hash="0" * 12,
        content_hash="1" * 12,
        num_threads=1,
    )
    it = Finalist(job)
    for method in ("prepare", "benchmark", "export", "documents"):
        getattr(it, method)()
    return home


@pytest.fixture(scope="module")
def experiment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return finished(tmp_path_factory.mktemp("outputs") / "exp", replace(compose(WORDS), name="exp"))


def evaluated(out: Path, *words: str | Path) -> dict[str, Any]:
    """The report of a command that succeeds."""
    assert main(["evaluate", *map(str, words), "--out", str(out)]) == 0
    for name in ("benchmark_report.json", "eval_results.json", "eval_config.json"):
        Draft202012Validator(load_schema(SCHEMAS[name])).validate(json.loads((out / name).read_text()))
    report: dict[str, Any] = json.loads((out / "benchmark_report.json").read_text())
    return report


def told(report: dict[str, Any]) -> dict[str, Any]:
    """What of a report depends on the policy and the starts alone."""
    return {
        key: report[key]
        for key in ("results", "per_seed_results", "sim2real_indicators", "task_specific_metrics")
    }


def test_an_experiment_plays_its_benchmark_again(experiment: Path, tmp_path: Path, capsys: Any) -> None:
    report = evaluated(tmp_path / "out", experiment)
    before = json.loads((experiment / "evaluation/benchmark_report.json").read_text())
    assert told(report) == told(before)
    assert report["comparison_to_baseline"]["baselines"].keys() == {"zero", "random"}
    printed = capsys.readouterr().out
    assert (
        "success    0.00   95 % interval 0.00 to" in printed and f"documents  {tmp_path / 'out'}" in printed
    )


def test_checkpoint_bundle_and_graph_are_the_same_policy(
    experiment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundled = ("backend=pointmass", "policy.episode_s=0.5", "evaluation.robustness=off", *QUICK)
    expected = told(evaluated(tmp_path / "0", experiment, *QUICK))
    checkpoint = experiment / "trials/a_0/checkpoint_000000"
    assert told(evaluated(tmp_path / "1", checkpoint, *QUICK)) == expected
    assert told(evaluated(tmp_path / "2", experiment / "bundle", *bundled)) == expected
    alone = tmp_path / "alone"
    alone.mkdir()
    for number, name in enumerate(("policy.pt", "policy.onnx")):
        shutil.copy(experiment / "bundle" / name, alone)
        report = evaluated(tmp_path / f"alone{number}", alone / name, *bundled)
        assert report["results"]["mean_reward"] == pytest.approx(expected["results"]["mean_reward"], abs=1e-3)
        assert report["policy_checkpoint"] == name and report["job_id"] == "exp"


def test_seeds_and_episodes_are_the_users(experiment: Path, tmp_path: Path) -> None:
    report = evaluated(tmp_path / "out", experiment, "evaluation.seeds=[7]", "evaluation.episodes_per_seed=3")
    assert (
        report["evaluation_config"]["fixed_seeds"] == [7] and report["evaluation_config"]["num_episodes"] == 3
    )


def test_another_scene_with_the_same_observations(experiment: Path, tmp_path: Path) -> None:
    report = evaluated(tmp_path / "out", experiment, "+scene=lab_001", *QUICK)
    assert report["scene_id"] == "lab_001" and report["policy_id"] == "dexterous_pick_place"


def test_against_another_evaluation(experiment: Path, tmp_path: Path, capsys: Any) -> None:
    report = evaluated(tmp_path / "out", experiment, *QUICK, "--against", experiment)
    last = report["comparison_to_baseline"]["last_promoted"]
    assert last["paired_episodes"] == 5 and last["improvement_points"] == 0.0
    assert "against    exp: 0.00" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["+scene=lab_001"], "its scene_id is 'kitchen_001', here it is 'lab_001'"),
        (["policy.episode_s=0.4"], "start, events, success or episode are others"),
    ],
)
def test_another_task_is_not_compared_with(
    experiment: Path, tmp_path: Path, capsys: Any, words: list[str], says: str
) -> None:
    told = ["--against", str(experiment), "--out", str(tmp_path / "out")]
    assert main(["evaluate", str(experiment), *words, *QUICK, *told]) == 2
    printed = capsys.readouterr().err
    assert "that policy played another task" in printed and says in printed


def test_results_alone_are_compared_by_their_rates(experiment: Path, tmp_path: Path, capsys: Any) -> None:
    shutil.copy(experiment / "evaluation/eval_results.json", tmp_path)
    report = evaluated(tmp_path / "out", experiment, *QUICK, "--against", tmp_path)
    assert report["comparison_to_baseline"]["last_promoted"]["paired_episodes"] == 0
    asked = json.loads((experiment / "evaluation/eval_config.json").read_text()) | {"eval_id": "other"}
    (tmp_path / "eval_config.json").write_text(json.dumps(asked))
    assert read_against(str(tmp_path)).task_digest is None, "it only lies beside"


def test_documents_go_beside_the_outputs_unless_told(
    experiment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["evaluate", str(experiment), "evaluation.seeds=[7]", *QUICK]) == 0
    (folder,) = (tmp_path / "outputs/evaluations").iterdir()
    assert folder.name.startswith("eval_exp-") and len(list(folder.iterdir())) == 3


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (
            ["robot=fetch"],
            ["robot: it was trained for 'franka', this is 'fetch'", "observation 'joint_pos': "],
        ),
        (
            ["policy=drawer_manipulation"],
            ["policy type: it was trained for 'dexterous_pick_place', this is 'drawer_manipulation'"],
        ),
        (["policy.action_repeat=6"], ["control rate: it acts at 20.8333 Hz, here at 10.4167 Hz"]),
        (["policy.actions.scale_m=0.02"], ["controller.scale_m: 0.04 there, 0.02 here"]),
    ],
)
def test_what_the_policy_was_not_made_for_is_refused(
    experiment: Path, capsys: Any, words: list[str], says: list[str]
) -> None:
    bundle = experiment / "bundle"
    assert (
        main(["evaluate", str(bundle), "backend=pointmass", *QUICK, "evaluation.robustness=off", *words]) == 2
    )
    printed = capsys.readouterr().err
    assert f"{bundle / 'policy.pt'} was not made for this environment:" in printed
    assert (
        "Traceback" not in printed and "trained in kitchen_001 as dexterous_pick_place with franka" in printed
    )
    for part in says:
        assert part in printed


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "evaluate takes one policy, not 0"),
        (["a", "b"], "evaluate takes one policy, not 2"),
        (
            ["nowhere"],
            "nowhere: this is no experiment, checkpoint or bundle (there is no such file or folder)",
        ),
        (["{exp}", "--outt", "x"], "evaluate has no option --outt"),
        (["{exp}", "--out"], "--out needs a path."),
        (["{exp}", "--against", "nowhere"], "--against nowhere: there is no eval_results.json"),
        (["{exp}", "evaluation.sedes=[1]"], "Did you mean 'evaluation.seeds'"),
        (["{exp}", "evaluation.seeds=1,2"], "evaluation.seeds=1,2: one experiment takes one value."),
        (["{exp}", "--out", "{exp}/experiment.yaml/x"], "Choose another one: --out FOLDER"),
    ],
)
def test_mistakes_get_a_sentence(experiment: Path, capsys: Any, words: list[str], says: str) -> None:
    assert main(["evaluate", *(word.format(exp=experiment) for word in words)]) == 2
    assert says in capsys.readouterr().err


def test_files_that_are_no_policies_get_a_sentence(experiment: Path, tmp_path: Path, capsys: Any) -> None:
    for name in ("policy.pt", "policy.onnx"):
        (tmp_path / name).write_text("hello")
        assert main(["evaluate", str(tmp_path / name)]) == 2
        assert "or is damaged" in capsys.readouterr().err
    shutil.copy(experiment / "trials/a_0/checkpoint_000000/checkpoint.pt", tmp_path)
    assert main(["evaluate", str(tmp_path / "checkpoint.pt")]) == 2
    assert "Evaluate it where it was trained, or the bundle" in capsys.readouterr().err
    (tmp_path / "other.json").write_text("{}")
    assert main(["evaluate", str(experiment), "--against", str(tmp_path / "other.json")]) == 2
    assert "this is not the eval_results.json" in capsys.readouterr().err


def test_a_search_that_is_not_over_has_no_best(experiment: Path, tmp_path: Path, capsys: Any) -> None:
    shutil.copy(experiment / "experiment.yaml", tmp_path)
    assert main(["evaluate", str(tmp_path)]) == 2
    assert "its search is not over" in capsys.readouterr().err


def test_the_best_is_the_one_that_was_evaluated_though_a_kill_kept_the_records(
    experiment: Path, tmp_path: Path
) -> None:
    home = tmp_path / "exp"
    shutil.copytree(experiment, home)
    (first,) = load_records(home / "search.json")
    other = replace(first, trial_id="b_1", index=1, checkpoints=((1, "trials/b_1/checkpoint_000000"),))
    save_records(home / "search.json", [first, other])
    again = {"reevaluated": {"a_0": 0.1, "b_1": 0.2}}
    (home / "evaluation/outcome.json").write_text(json.dumps(again))
    assert find_subject(home).file == home / "trials/b_1/checkpoint_000000/checkpoint.pt"


def test_a_scene_of_ones_own_is_asked_for(experiment: Path, tmp_path: Path) -> None:
    subject = find_subject(experiment / "bundle")
    lost = replace(subject.needs, scene="attic")
    from blueprint_tune.evaluating import subject as module

    with pytest.raises(ConfigError, match="trained in scene 'attic', which has no file here. Add it"):
        module._composed(Path("p"), lost, ["backend=pointmass"])


JOINTS = ["policy.actions.kind=joint_position_delta", "policy.actions.scale_rad=0.08"]


@pytest.fixture(scope="module")
def bound() -> Any:
    env = make_env(compose([*WORDS, *JOINTS]), 1)
    yield env
    env.close()


def test_a_bundle_knows_what_its_observations_are_and_what_moves_the_joints(bound: Any) -> None:
    from blueprint_tune.export.contract import PolicyFacts, contract
    from blueprint_tune.export.onnx import joint_targets

    cfg, limits = compose([*WORDS, *JOINTS]), bound.simulator.joint_limits
    facts = PolicyFacts(
        "p", "p", bound.describe_observations(), bound.action_names,
        bound.facts.joints, bound.task.robot_base, {}, bound.control_dt_s,
        1, 1, 1.0, None, "0", "1",
    )  # fmt: skip
    said = contract(cfg, facts, joint_targets(cfg.policy.actions, cfg.robot, limits))
    said = json.loads(json.dumps(said))
    needs.check_fits(Path("p"), needs.bundle_needs(Path("p"), said), cfg, bound)
    needs.check_fits(Path("p"), needs.config_needs(cfg), cfg, bound)
    said["observations"][1] |= {"scale": 0.4, "parameters": {"scale": 0.4}}
    said["observations"][4] |= {"parameters": said["observations"][4]["parameters"] | {"b": "command/goal"}}
    said["observations"][6] |= {"frame": "target", "term": "other"}
    said["joint_targets"] |= {"scale_rad": 0.05}
    with pytest.raises(ConfigError) as error:
        needs.check_fits(Path("p"), needs.bundle_needs(Path("p"), said), cfg, bound)
    lines = [line.removeprefix("  - ") for line in str(error.value).splitlines()[1:-1]]
    assert lines == [
        "observation 'joint_vel'.scale: 0.4 there, 0.2 here",
        "observation 'target_rel'.parameters.b: 'command/goal' there, 'target' here",
        "observation 'target_turn'.term: 'other' there, 'folded_angle' here",
        "observation 'target_turn'.frame: 'target' there, 'robot/ee' here",
        "controller.scale_rad: 0.05 there, 0.08 here",
    ]


@pytest.mark.parametrize(
    "words", [["policy.observations.joint_vel.scale=0.4"], ["policy.actions.scale_rad=0.05"]]
)
def test_a_checkpoint_knows_as_much_from_its_settings(bound: Any, words: list[str]) -> None:
    trained = needs.config_needs(compose([*WORDS, *JOINTS, *words]))
    with pytest.raises(ConfigError, match=r"scale(_rad)?: 0\.\d+ there, 0\.\d+ here"):
        needs.check_fits(Path("p"), trained, compose([*WORDS, *JOINTS]), bound)


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("job_id", "../../../escaped/x", "job_id '../../../escaped/x' cannot name a folder"),
        ("job_id", "a\0b", "cannot name a folder"),
        ("scene", "../x", "scene '../x' cannot name a folder"),
        ("policy_id", "a/b", "policy_id 'a/b' cannot name a folder"),
        ("robot", 7, "a text as robot is missing"),
        ("job_id", ["x"], "a text as job_id is missing"),
        ("joint_targets", "x", "is missing or unreadable"),
    ],
)
def test_names_in_a_foreign_file_cannot_lead_elsewhere(
    experiment: Path, key: str, value: Any, says: str
) -> None:
    said = json.loads((experiment / "bundle/policy_config.json").read_text())
    changed = said | {key: value} | ({"controller": None} if key == "joint_targets" else {})
    with pytest.raises(ConfigError) as error:
        needs.bundle_needs(Path("there/policy.pt"), changed)
    assert says in str(error.value) and str(error.value).startswith("there/policy.pt: ")


def test_another_backend_takes_no_settings_of_the_one_it_was_trained_on() -> None:
    trained = ["+scene=kitchen_001", "backend=isaaclab", "backend.device=cpu", "seed=7"]
    cfg = _with_words(compose(trained), trained, ["backend=mujoco"])
    assert (cfg.backend.name, cfg.backend.num_envs, cfg.seed) == ("mujoco", 128, 7)
