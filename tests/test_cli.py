from __future__ import annotations

import os
import re
import subprocess
import sys
import types
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from blueprint_tune import cli
from blueprint_tune.config import paths
from blueprint_tune.config.schema import ExperimentConfig
from blueprint_tune.errors import TrainingDiverged

SCENE = "+scene=kitchen_001"
HEAVY = ("torch", "ray", "mujoco", "skrl", "onnx", "onnxruntime", "matplotlib", "scipy", "gymnasium")


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(paths.CONF_ENV, "")
    monkeypatch.delenv("BLUEPRINT_TUNE_DEBUG", raising=False)
    monkeypatch.setattr(sys, "argv", ["blueprint-tune"])


@pytest.fixture
def pipeline(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[object]]:
    """Puts a recorder where experiments would start; ``pipeline(error)`` makes it raise."""

    def install(error: BaseException | None = None) -> list[object]:
        calls: list[object] = []

        def record(argument: object, overrides: Sequence[str] = ()) -> None:
            calls.append(argument)
            module.overrides = list(overrides)  # type: ignore[attr-defined]
            if error is not None:
                raise error

        module = types.ModuleType("blueprint_tune.pipeline")
        module.run_experiment = module.resume_experiment = record  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "blueprint_tune.pipeline", module)
        return calls

    return install


def run(*words: str) -> int:
    try:
        return cli.main(words)
    except SystemExit as left:
        return int(left.code or 0)


def process(*words: str, code: str | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *(["-c", code] if code else ["-m", "blueprint_tune"]), *words]
    root = str(Path(cli.__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": root}
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


@pytest.mark.parametrize(
    "words", [["--help"], ["resume", "--help"], [SCENE, "--cfg", "job"], ["--info", "config"]]
)
def test_looking_around_loads_nothing_heavy(words: list[str]) -> None:
    code = (
        "import sys; from blueprint_tune.cli import main\n"
        "try: status = main(sys.argv[1:])\n"
        "except SystemExit as left: status = left.code\n"
        f"print('loaded', [name for name in {HEAVY} if name in sys.modules], status or 0)"
    )
    done = process(*words, code=code)
    assert done.stdout.splitlines()[-1] == "loaded [] 0", done.stderr


def test_help_names_every_file_and_verb(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--help") == 0
    text = capsys.readouterr().out
    for group in paths.GROUPS:
        names = r",\s+".join(paths.group_options(group))
        assert re.search(rf"^  {group} +{names}$", text, re.M)
    for verb in cli.VERBS.values():
        assert verb.summary in text
    assert "_base" not in text
    assert max(map(len, text.splitlines())) <= 120


def test_cfg_job_prints_the_composition_and_runs_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(SCENE, "--cfg", "job", "agent.learning_rate=0.5") == 0
    text = capfd.readouterr().out
    assert "learning_rate: 0.5" in text
    assert "id: kitchen_001" in text
    assert list(Path().iterdir()) == []


def test_an_experiment_starts_with_its_typed_configuration(pipeline: Callable[..., list[object]]) -> None:
    calls = pipeline()
    assert run(SCENE, "sweep=asha", "preset=smoke", "seed=7") == 0
    (config,) = calls
    assert isinstance(config, ExperimentConfig)
    assert (config.seed, config.preset, config.sweep.name) == (7, "smoke", "asha")
    assert sys.modules["blueprint_tune.pipeline"].overrides == [SCENE, "sweep=asha", "preset=smoke", "seed=7"]
    assert list(Path().iterdir()) == []  # Hydra leaves no folder of its own
    assert sys.argv == ["blueprint-tune"]


def test_run_is_the_default_verb(pipeline: Callable[..., list[object]]) -> None:
    calls = pipeline()
    assert run("run", SCENE, "preset=smoke") == 0
    assert len(calls) == 1


def test_multirun_starts_one_experiment_per_value(pipeline: Callable[..., list[object]]) -> None:
    calls = pipeline()
    assert (
        run("-m", SCENE, "preset=smoke", "seed=1,2", "policy=dexterous_pick_place,drawer_manipulation") == 0
    )
    assert {(c.seed, c.policy.name) for c in calls if isinstance(c, ExperimentConfig)} == {
        (seed, policy) for seed in (1, 2) for policy in ("dexterous_pick_place", "drawer_manipulation")
    }


def test_multirun_finds_the_mistakes_of_all_before_the_first(
    pipeline: Callable[..., list[object]], capsys: pytest.CaptureFixture[str]
) -> None:
    calls = pipeline()
    assert (
        run(SCENE, "-m", "agent.learning_rate=0.001,-1", "policy=dexterous_pick_place,drawer", "sed=1") == 2
    )
    text = capsys.readouterr().err
    assert "sed=1: there is no such setting. Did you mean 'seed'?" in text
    assert "agent.learning_rate=-1 should be greater than 0." in text
    assert text.count("policy=drawer: there is no policy 'drawer'.") == 1
    assert calls == []


def test_a_glob_starts_every_policy_type_and_a_failure_stops_no_other(
    pipeline: Callable[..., list[object]], capsys: pytest.CaptureFixture[str]
) -> None:
    calls = pipeline(TrainingDiverged("Observation 'goal' became NaN."))
    assert run("-m", SCENE, "preset=smoke", "policy=glob([p*,dr*])") == 2
    text = capsys.readouterr().err
    named = [c.policy.name for c in calls if isinstance(c, ExperimentConfig)]
    assert named == ["drawer_manipulation", "panel_interaction", "precision_insertion"]
    assert "robot 'franka' stands still; policy 'pallet_handling' drives." in text
    assert text.count("became NaN") == 3
    assert text.count("  +scene=kitchen_001 preset=smoke policy=") == 4 and "Traceback" not in text


BAD = [
    (["+scene=kitchn_001"], "Did you mean 'kitchen_001'?"),
    ([SCENE, "policy=dish_loadin"], "there is no policy 'dish_loadin'"),
    ([SCENE, "agent.learning_rte=1"], "Did you mean 'agent.learning_rate'?"),
    ([SCENE, "agent.learning_rate=-1"], "should be greater than 0"),
    ([SCENE, "physics.dt_s=-0.1"], "should be greater than 0"),
    ([SCENE, "+bogus.key=1"], "bogus: there is no such setting"),
    (["+scene=manifest"], "scene.manifest has no value yet"),
    (["sweep=asha"], "No scene is given"),
    ([SCENE, "--cfg", "job", "agent.learning_rte=1"], "Did you mean 'agent.learning_rate'?"),
    ([SCENE, "--confg", "job"], "--help lists the options"),
    ([SCENE, "--config-dir"], "--config-dir needs a folder"),
    ([SCENE, "--config-dir", "nowhere"], "nowhere does not exist"),
    (["rn", SCENE], "Did you mean 'run'?"),
    (["resume"], "resume takes one experiment"),
    ([SCENE, "seed=1,2"], "with -m"),
    (["-m", SCENE, "x[=1"], "x[=1"),
    (["-m", SCENE, "policy=glob(d*)", "agent.learning_rte=1"], "Did you mean 'agent.learning_rate'?"),
    (["-m", SCENE, "policy=glob(p*)", "policy.episod_s=1"], "Did you mean 'policy.episode_s'?"),
]


@pytest.mark.parametrize(("words", "sentence"), BAD)
def test_a_mistake_gets_a_sentence_and_status_2(
    words: list[str], sentence: str, pipeline: Callable[..., list[object]], capsys: pytest.CaptureFixture[str]
) -> None:
    calls = pipeline()
    assert run(*words) == 2
    out, err = capsys.readouterr()
    assert sentence in err
    assert "Traceback" not in out + err
    assert calls == []


def test_a_failure_of_the_experiment_is_told_the_same_way(
    pipeline: Callable[..., list[object]], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline(TrainingDiverged("Observation 'goal' became NaN."))
    assert run(SCENE, "preset=smoke") == 2
    assert capsys.readouterr().err == "Observation 'goal' became NaN.\n"
    monkeypatch.setenv("BLUEPRINT_TUNE_DEBUG", "1")
    assert run(SCENE, "preset=smoke") == 2
    assert "Traceback (most recent call last)" in capsys.readouterr().err


def test_ctrl_c_leaves_with_130(
    pipeline: Callable[..., list[object]], capsys: pytest.CaptureFixture[str]
) -> None:
    pipeline(KeyboardInterrupt())
    assert run(SCENE, "preset=smoke") == 130
    assert "Traceback" not in capsys.readouterr().err


def test_resume_passes_the_folder_on(pipeline: Callable[..., list[object]]) -> None:
    calls = pipeline()
    assert run("resume", "outputs/mine") == 0
    assert calls == [Path("outputs/mine")]


def test_a_users_folder_adds_files(
    tmp_path: Path, pipeline: Callable[..., list[object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = pipeline()
    folder = tmp_path / "my repo" / "conf"
    (folder / "policy").mkdir(parents=True)
    text = (paths.conf_dir() / "policy" / "drawer_manipulation.yaml").read_text()
    (folder / "policy" / "mine.yaml").write_text(text.replace("name: drawer_manipulation", "name: mine"))
    assert run("--config-dir", str(folder), SCENE, "policy=mine", "preset=smoke") == 0
    monkeypatch.setenv(paths.CONF_ENV, str(folder))
    assert run(SCENE, "preset=smoke", "policy=mine") == 0
    assert [c.policy.name for c in calls if isinstance(c, ExperimentConfig)] == ["mine", "mine"]


def test_tab_completion_answers(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("COMP_LINE", "blueprint-tune physics=man")
    monkeypatch.setenv("COMP_POINT", "26")
    assert run("-sc", "query=bash") == 0
    assert "physics=manipulation_standard" in capfd.readouterr().out


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--version") == 0
    assert capsys.readouterr().out.startswith("blueprint-tune ")


def test_the_module_is_the_program() -> None:
    done = process("+scene=kitchn_001")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "+scene=kitchn_001: there is no scene 'kitchn_001'. Did you mean 'kitchen_001'?\n"


def test_a_reader_that_has_enough_gets_no_traceback() -> None:
    command = [sys.executable, "-u", "-m", "blueprint_tune", "plan", "--no-probe", "+scene=kitchen_001"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    told = process.stderr.read()
    assert process.wait() == 141 and "Traceback" not in told, told
