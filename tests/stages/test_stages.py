"""Single stages on an experiment that is finished, unfinished, damaged, or none."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

import blueprint_tune
from blueprint_tune.cli import main
from blueprint_tune.errors import ConfigError
from blueprint_tune.export.loading import load_bundle
from blueprint_tune.schemas import load_schema
from blueprint_tune.stages.experiment import evaluated, parse
from blueprint_tune.tuning.records import load_records, save_records

Say = Callable[..., tuple[int, str]]
WORDS = [
    "+scene=kitchen_001", "policy=drawer_manipulation", "preset=smoke", "backend=pointmass", "name=done",
    "backend.num_envs=16", "agent.rollouts=16", "budget.env_steps=768", "budget.report_env_steps=256",
    "evaluation.selection.episodes=2", "evaluation.video=false", "evaluation.robustness=off",
    "policy.episode_s=1.0",
]  # fmt: skip


@pytest.fixture(scope="module")
def finished(local_ray: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished experiment."""
    folder = tmp_path_factory.mktemp("run")
    words = [*WORDS, f"output_dir={folder / 'out'}", f"storage.root={folder / 'store'}"]
    return blueprint_tune.run(words).path


@pytest.fixture
def done(finished: Path, tmp_path: Path) -> Path:
    """A copy of it to damage, as if it had been run here."""
    path = tmp_path / "out" / finished.name
    shutil.copytree(finished, path)
    document = path / "experiment.yaml"
    document.write_text(document.read_text().replace(str(finished.parents[1]), str(tmp_path)))
    return path


@pytest.fixture
def say(done: Path, capsys: pytest.CaptureFixture[str]) -> Say:
    """say(words…) -> exit status and what the command line printed, in one line."""

    def run(*words: str) -> tuple[int, str]:
        status = main([*words, f"output_dir={done.parent}"])
        said = capsys.readouterr()
        return status, " ".join(f"{said.out}{said.err}".split())

    return run


def flip(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


def checkpoints(done: Path) -> list[Path]:
    return sorted(done.glob("trials/*/checkpoint_*"))


def test_the_report_is_written_again(say: Say, done: Path) -> None:
    (done / "report.html").unlink()
    status, said = say("report", "done")
    assert status == 0 and str(done / "report.html") in said
    assert "<html" in (done / "report.html").read_text()[:200]
    assert say("report", str(done), "--open") == (0, str(done / "report.html")), "nothing but the path"


def test_a_bundle_is_written_and_proven_again_with_other_formats(say: Say, done: Path) -> None:
    before = load_bundle(done / "bundle")
    (done / "bundle/policy.onnx").unlink()
    status, said = say("export", "done", "--torchscript")
    assert status == 0 and "policy.ts" in said and "playing the benchmark with the ONNX policy" in said, said
    after = load_bundle(done / "bundle")
    Draft202012Validator(load_schema("policy_config")).validate(dict(after.config))
    assert set(after.config["torch_files"]) == {"policy.ts"}
    kept = set(before.config) - {"torch_files", "onnx"}
    assert {k: after.config[k] for k in kept} == {k: before.config[k] for k in kept}
    assert after.files["recorded.npz"] == before.files["recorded.npz"]
    assert not (done / "bundle.new").exists()
    assert json.loads((done / "evaluation/outcome.json").read_text())["onnx_success_rate"] is not None


def test_a_bundle_that_differs_is_not_kept(say: Say, done: Path) -> None:
    document = done / "experiment.yaml"
    document.write_text(document.read_text().replace("onnx_tolerance: 0.0001", "onnx_tolerance: 1.0e-30"))
    before = load_bundle(done / "bundle").files
    status, said = say("export", "done")
    assert status == 2 and "differs from the trained one" in said, said
    assert load_bundle(done / "bundle").files == before


def test_it_is_published_elsewhere_and_again(say: Say, done: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    status, said = say("publish", "done", f"storage.root={elsewhere}")
    assert status == 0 and str(elsewhere) in said
    root = elsewhere / "scenes/kitchen_001/rl_training"
    index = json.loads((root / ".rl_training_complete").read_text())
    assert index["policies"]["done"]["job_id"] == "done"
    assert load_bundle(root / "policies/done").config["policy_name"] == "done"
    (done / "result.json").unlink()
    assert say("publish", "done")[0] == 0
    assert (tmp_path / "store/scenes/kitchen_001/rl_training/jobs/done/.complete").exists()
    assert (done / "result.json").exists(), "publishing was all that it lacked"


@pytest.mark.parametrize("name", ["policy.onnx", "policy.pt", "policy_config.json", "checksums.sha256"])
def test_a_damaged_bundle_is_not_published(say: Say, done: Path, tmp_path: Path, name: str) -> None:
    flip(done / "bundle" / name)
    status, said = say("publish", "done")
    assert status == 2 and f"{name} is not what was written" in said and "blueprint-tune export" in said
    assert not (tmp_path / "store").exists()


def test_a_damaged_checkpoint_is_left_out_unless_it_is_the_one(say: Say, done: Path, tmp_path: Path) -> None:
    first, *_, last = checkpoints(done)
    flip(first / "checkpoint.pt")
    status, said = say("publish", "done")
    assert status == 0 and f"{first} is damaged: checkpoint.pt is not what was written. It is left" in said
    assert len(list((tmp_path / "store").rglob("checkpoint_*.pt"))) == len(checkpoints(done)) - 1
    flip(last / "origin.json")
    for verb in ("publish", "export"):
        status, said = say(verb, "done")
        assert status == 2 and "the one that was evaluated and exported" in said, said


def test_what_is_not_far_enough_says_how_to_go_on(say: Say, done: Path) -> None:
    shutil.rmtree(done / "evaluation")
    for verb in ("report", "export", "publish"):
        status, said = say(verb, "done")
        assert status == 2 and f"nothing to {verb} yet: its best policy is not evaluated" in said
        assert f"blueprint-tune resume {done}" in said
    (done / "search.json").unlink()
    assert "its trials are not all trained" in say("report", "done")[1]


def test_a_kill_between_evaluation_and_records_is_made_up_for(done: Path) -> None:
    (first,) = load_records(done / "search.json")
    save_records(done / "search.json", [first, replace(first, trial_id="other", index=1)])
    outcome = done / "evaluation/outcome.json"
    again = {"reevaluated": {first.trial_id: 0.1, "other": 0.2}}
    outcome.write_text(json.dumps(json.loads(outcome.read_text()) | again))
    with evaluated(parse("report", [str(done)]), "report", bound=False, quiet=True) as found:
        assert found.dossier.best.trial_id == "other"
    assert [r.reevaluated for r in load_records(done / "search.json")] == [0.1, 0.2]


def test_what_lacks_a_file_says_which_verb_writes_it(say: Say, done: Path) -> None:
    (done / "report.html").unlink()
    assert f"blueprint-tune report {done}" in say("publish", "done")[1]
    shutil.rmtree(done / "bundle")
    assert f"blueprint-tune export {done}" in say("report", "done")[1]
    (done / "result.json").unlink()
    with pytest.raises(ConfigError, match=f"blueprint-tune export {done}"):
        blueprint_tune.resume(done)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["report", "dome"], "'dome' is no experiment.*Did you mean 'done'"),
        (["report"], "takes one experiment, not none"),
        (["report", "done", "other"], "takes one experiment, not 2"),
        (["report", "done", "--html"], "no option --html"),
        (["export", "done", "agent.seed=2"], "cannot set agent.seed, only output_dir"),
        (["publish", "done", "agent.seed=2"], r"cannot set agent.seed, only storage\.… and output_dir"),
        (["publish", "done", "storage.rot=x"], "Did you mean 'storage.root'"),
        (["publish", "done", "storage=lokal"], "Did you mean 'local'"),
    ],
)
def test_a_mistake_gets_a_sentence(say: Say, words: list[str], told: str) -> None:
    import re

    status, said = say(*words)
    assert status == 2 and re.search(told, said), said


@pytest.mark.parametrize("verb", ["export", "report", "publish"])
def test_every_verb_has_help(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([verb, "--help"]) == 0
    assert f"blueprint-tune {verb} EXPERIMENT" in capsys.readouterr().out
