from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from blueprint_tune.config.evaluation_schema import GatesConfig
from blueprint_tune.config.identity import task_digest
from blueprint_tune.config.schema import StorageConfig
from blueprint_tune.config.validate import to_config
from blueprint_tune.errors import ConfigError, StorageError
from blueprint_tune.registry.champions import current, log
from blueprint_tune.registry.of_runs import incumbent, promote_published
from blueprint_tune.registry.promote import promote
from blueprint_tune.registry.published import Published, find
from blueprint_tune.schemas import load_schema
from blueprint_tune.storage.path import open_path

Publish = Callable[..., Published]
Change = Callable[..., None]
SCENE, POLICY, ROBOT, FIRST = "kitchen_001", "dexterous_pick_place", "franka", "first"
GATES = GatesConfig(min_success_rate=0.5, min_smoothness=0.9, max_jerk=0.2)


def champion_of(store: Path) -> str | None:
    found = current(open_path(str(store)), SCENE, POLICY, ROBOT)
    return None if found is None else found.name


def document(store: Path) -> dict[str, Any]:
    folder = store / "scenes" / SCENE / "rl_training/champions" / POLICY / ROBOT
    return json.loads((folder / "champion.json").read_text())


def test_the_first_champion_beats_the_baselines_and_the_next_one_the_champion(
    store: Path, publish: Publish
) -> None:
    first = promote(publish(FIRST, 70), GATES)
    assert first.champion is None and first.decision is not None and first.decision["promoted"]
    assert first.decision["comparison"]["against"] == "zero actions"
    tie = promote(publish("tie", 73), GATES)
    assert tie.champion is not None and tie.champion.name == FIRST
    assert tie.decision is not None and not tie.decision["promoted"]
    assert tie.decision["comparison"]["only_candidate"] == 3 and tie.decision["comparison"]["enough"] == 5
    assert champion_of(store) == FIRST, "a tie stays with the champion"
    better = promote(publish("better", 80), GATES)
    assert better.decision is not None and better.decision["promoted"]
    assert champion_of(store) == "better"
    assert document(store)["policy_name"] == "better" and document(store)["decision"] == 3
    assert [d["promoted"] for d in log(open_path(str(store)), SCENE, POLICY, ROBOT).decisions()] == [
        True,
        False,
        True,
    ]


def test_what_is_recorded_is_what_the_schemas_say(store: Path, publish: Publish) -> None:
    promote(publish(FIRST, 70), GATES)
    promote(publish("blind", 30, seeds=(1, 2)), GATES, force="other seeds from now on")
    for number in (1, 2):
        folder = store / "scenes" / SCENE / "rl_training/champions" / POLICY / ROBOT
        file = folder / f"decisions/{number:06d}.json"
        Draft202012Validator(load_schema("decision")).validate(json.loads(file.read_text()))
    Draft202012Validator(load_schema("champion")).validate(document(store))
    assert document(store)["forced"] == "other seeds from now on"


def test_a_policy_that_fails_a_gate_or_only_waits_is_no_champion(store: Path, publish: Publish) -> None:
    shaky = promote(publish("shaky", 90, smoothness=0.5), GATES)
    assert shaky.decision is not None and not shaky.decision["promoted"]
    idle = promote(publish("idle", 4), GatesConfig())
    assert idle.decision is not None and not idle.decision["promoted"]
    assert idle.decision["reasons"] == [
        "no better than zero actions beyond chance: +0.04 (-0.00 to +0.08) on the same 100 starts"
    ]
    assert champion_of(store) is None


def test_a_dry_run_records_nothing(store: Path, publish: Publish) -> None:
    outcome = promote(publish(FIRST, 70), GATES, dry_run=True)
    assert outcome.decision is not None and outcome.decision["promoted"] and outcome.recorded is None
    assert not (store / "scenes" / SCENE / "rl_training/champions").exists()


def test_the_champion_needs_no_second_decision(store: Path, publish: Publish) -> None:
    promote(publish(FIRST, 70), GATES)
    again = promote(find(FIRST, StorageConfig(None, str(store))), GATES)
    assert again.decision is None and again.champion is not None
    assert log(open_path(str(store)), SCENE, POLICY, ROBOT).state()[0] == 1


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"seeds": (1, 2)}, "starts: 20 of each of the seeds 42, 123"),
        ({"settings": {"scene_digest": "0" * 64}}, "scene.digest: "),
        ({"settings": {"config.policy.success.distance_m": 0.5}}, "policy.success.distance_m: 0.03 and 0.5"),
        ({"settings": {"config.policy.events": {}}}, "policy.events"),
    ],
)
def test_other_questions_are_not_compared(
    store: Path, publish: Publish, changes: dict[str, Any], said: str
) -> None:
    promote(publish(FIRST, 70), GATES)
    other = publish("other", 20 * len(changes.get("seeds", range(5))), **changes)
    with pytest.raises(ConfigError) as error:
        promote(other, GATES)
    assert said in str(error.value) and "blueprint-tune evaluate" in str(error.value)
    assert log(open_path(str(store)), SCENE, POLICY, ROBOT).state()[0] == 1, "nothing was decided"


def test_a_champion_that_was_evaluated_again_is_compared(
    store: Path, publish: Publish, change: Change
) -> None:
    promote(publish(FIRST, 70), GATES)
    again = publish("again", 20, seeds=(1, 2))
    root = store / "scenes" / SCENE / "rl_training/evaluations"
    for name in ("eval_results.json", "benchmark_report.json", "eval_config.json"):
        file = root / "eval_first_again" / name
        file.parent.mkdir(exist_ok=True)
        file.write_bytes((root / "eval_again" / name).read_bytes())
    change(root / "eval_first_again/eval_results.json", job_id=FIRST, eval_id="eval_first_again")
    outcome = promote(again, GATES)
    assert outcome.decision is not None and outcome.decision["comparison"]["against"] == FIRST
    assert outcome.decision["comparison"]["starts"] == 40 and not outcome.decision["promoted"]


def test_a_replaced_champion_is_judged_by_what_was_promoted(store: Path, publish: Publish) -> None:
    promote(publish(FIRST, 70), GATES)
    publish(FIRST, 0, fails_first=True)
    weak = promote(publish("weak", 60), GATES)
    assert weak.decision is not None and weak.decision["comparison"]["other_successes"] == 70
    assert champion_of(store) == FIRST


def test_robots_have_champions_of_their_own(store: Path, publish: Publish) -> None:
    promote(publish(FIRST, 90), GATES)
    outcome = promote(publish("fetches", 70, robot="fetch"), GATES)
    assert outcome.champion is None and outcome.decision is not None and outcome.decision["promoted"]
    root = open_path(str(store))
    assert [current(root, SCENE, POLICY, r).name for r in (ROBOT, "fetch")] == [FIRST, "fetches"]  # type: ignore[union-attr]


@pytest.mark.parametrize("file", ["policy.onnx", "policy.pt", "policy_config.json"])
def test_a_damaged_bundle_is_never_promoted(store: Path, publish: Publish, file: str) -> None:
    policy = publish(FIRST, 90)
    bundle = store / "scenes" / SCENE / "rl_training/policies" / FIRST
    content = (bundle / file).read_bytes()
    (bundle / file).write_bytes(content.replace(b"0", b"1", 1))
    with pytest.raises(StorageError, match=f"damaged: {file} is not what was written"):
        promote(policy, GATES, force="it must go on")
    assert champion_of(store) is None
    (bundle / "checksums.sha256").write_text("")
    with pytest.raises(StorageError, match=r"checksums\.sha256"):
        promote(policy, GATES)


def test_what_does_not_belong_together_is_refused(
    store: Path, publish: Publish, change: Change, seal: Change
) -> None:
    policy, root = publish(FIRST, 90), store / "scenes" / SCENE / "rl_training"
    bundle, rows = root / "policies" / FIRST, root / "evaluations" / f"eval_{FIRST}" / "eval_results.json"
    change(rows, robot_type="ur10", scene_id="office_001")
    with pytest.raises(ConfigError, match="'office_001', not 'kitchen_001'; robot_type is 'ur10'"):
        promote(policy, GATES)
    change(rows, robot_type=ROBOT, scene_id=SCENE, episodes=[])
    with pytest.raises(StorageError, match="no episodes"):
        promote(policy, GATES)
    rows.write_text("{")
    with pytest.raises(StorageError, match="not a JSON document"):
        promote(policy, GATES)
    seal(bundle, compatible_robots=["ur10"])
    with pytest.raises(ConfigError, match=r"compatible_robots is \['ur10'\], without 'franka'"):
        promote(policy, GATES)
    seal(bundle, compatible_robots=[ROBOT], format_version=2)
    with pytest.raises(StorageError, match="written by a newer version of blueprint-tune"):
        promote(policy, GATES, force="new")
    assert champion_of(store) is None


@pytest.mark.parametrize(
    "entry",
    [{"eval_path": "evaluations/../../x.json"}, {"eval_path": "/etc/passwd"}, {"job_id": "../../other"}],
)
def test_paths_in_the_index_lead_nowhere_else(store: Path, publish: Publish, entry: dict[str, str]) -> None:
    publish(FIRST, 90)
    marker = store / "scenes" / SCENE / "rl_training/.rl_training_complete"
    tree = json.loads(marker.read_text())
    tree["policies"][FIRST] |= entry
    marker.write_text(json.dumps(tree))
    with pytest.raises(StorageError, match="cannot name a folder in storage"):
        promote(find(FIRST, StorageConfig(None, str(store))), GATES)
    tree["policies"]["../up"] = tree["policies"].pop(FIRST)
    marker.write_text(json.dumps(tree))
    with pytest.raises(StorageError, match="cannot name a folder"):
        find(FIRST, StorageConfig(None, str(store)))


def test_a_baseline_is_needed_before_there_is_a_champion(
    store: Path, publish: Publish, change: Change
) -> None:
    policy = publish(FIRST, 90)
    rows = store / "scenes" / SCENE / f"rl_training/evaluations/eval_{FIRST}/eval_results.json"
    change(rows, baselines={})
    with pytest.raises(ConfigError, match="evaluation.baselines=true"):
        promote(policy, GATES)
    forced = promote(policy, GATES, force="measured on the robot")
    assert forced.decision is not None and forced.decision["comparison"] is None


def test_a_reason_must_be_given(publish: Publish) -> None:
    with pytest.raises(ConfigError, match="--force needs a reason"):
        promote(publish(FIRST, 90), GATES, force=" ")


def test_a_marker_that_lags_behind_the_log_is_put_right(store: Path, publish: Publish) -> None:
    promote(publish(FIRST, 70), GATES)
    promote(publish("better", 80), GATES)
    file = store / "scenes" / SCENE / f"rl_training/champions/{POLICY}/{ROBOT}/champion.json"
    file.write_text(file.read_text().replace('"decision": 2', '"decision": 1').replace("better", FIRST))
    assert champion_of(store) == "better", "the log says so"
    promote(publish("tie", 81), GATES)
    assert document(store)["policy_name"] == "better" and document(store)["decision"] == 2


RACER = """
import sys, time
from pathlib import Path
from blueprint_tune.config.evaluation_schema import GatesConfig
from blueprint_tune.config.identity import task_digest
from blueprint_tune.config.validate import to_config
from blueprint_tune.registry.promote import promote
from blueprint_tune.config.schema import StorageConfig
from blueprint_tune.registry.published import find
store, name = sys.argv[1:]
policy = find(name, StorageConfig(None, store))
Path(store, name + ".ready").touch()
while not Path(store, "go").exists():
    time.sleep(0.001)
print(promote(policy, GatesConfig(0.5, 0.9, 0.2)).decision["decision"])
"""


def test_of_racing_promotions_all_are_recorded_and_one_champion_results(
    store: Path, publish: Publish
) -> None:
    names = [f"racer{k}" for k in range(5)]
    for k, name in enumerate(names):
        publish(name, 60 + 8 * k)
    racers = [
        subprocess.Popen([sys.executable, "-c", RACER, str(store), name], stdout=subprocess.PIPE, text=True)
        for name in names
    ]
    while not all((store / f"{name}.ready").exists() for name in names):
        assert all(racer.poll() is None for racer in racers)
        time.sleep(0.01)
    (store / "go").touch()
    numbers = [int(racer.communicate(timeout=60)[0]) for racer in racers]
    assert sorted(numbers) == [1, 2, 3, 4, 5]
    champion = None
    for decision in log(open_path(str(store)), SCENE, POLICY, ROBOT).decisions():
        assert decision["incumbent_decision"] == champion, "each was taken against the one before"
        champion = decision["decision"] if decision["promoted"] else champion
        assert decision["champion_decision"] == champion
    assert champion_of(store) == "racer4", "the best, whoever came first"
    assert document(store)["decision"] == champion


def test_an_evaluation_says_what_was_asked(store: Path) -> None:
    root = store / "scenes" / SCENE / "rl_training"
    recorded = json.loads((root / f"evaluations/eval_{FIRST}/eval_config.json").read_text())["task_digest"]
    tree = yaml.safe_load((root / f"jobs/{FIRST}/config/experiment.yaml").read_text())
    assert recorded == task_digest(tree["config"], tree["scene_digest"])
    tree["config"]["evaluation"]["seeds"] = [1]
    tree["config"]["agent"]["learning_rate"] = 1.0
    tree["config"]["policy"]["rewards"] = {}
    assert recorded == task_digest(tree["config"], tree["scene_digest"])
    assert recorded != task_digest(tree["config"], "another scene")


def test_a_run_is_compared_with_the_champion_and_may_be_promoted(
    store: Path, publish: Publish, tmp_path: Path
) -> None:
    tree = yaml.safe_load(
        (store / f"scenes/{SCENE}/rl_training/jobs/{FIRST}/config/experiment.yaml").read_text()
    )
    cfg = to_config(tree["config"] | {"storage": tree["config"]["storage"] | {"root": str(store)}})
    assert incumbent(cfg, tree["scene_digest"]) is None
    address = str(publish(FIRST, 70).bundle)
    assert promote_published(cfg, address).startswith("Promoted: better than zero actions: +0.70")
    assert promote_published(cfg, address) == "It is the champion already."
    found = incumbent(cfg, tree["scene_digest"])
    assert found is not None and found["job_id"] == FIRST
    assert sum(row["success"] for row in found["episodes"]) == 70 and len(found["episodes"]) == 100
    assert incumbent(cfg, "another scene") is None
    publish("tie", 71)
    assert promote_published(cfg, str(find("tie", StorageConfig(None, str(store))).bundle)).startswith(
        "Not promoted"
    )
    assert promote_published(cfg, f"{store}/scenes/{SCENE}/rl_training/policies/gone").startswith(
        "Not promoted: "
    )


def test_only_an_evaluation_of_its_own_task_stands_in(store: Path, publish: Publish, change: Change) -> None:
    policy, root = publish(FIRST, 90), store / "scenes" / SCENE / "rl_training/evaluations"
    again = root / "eval_first_again"
    shutil.copytree(root / f"eval_{FIRST}", again)
    change(root / f"eval_{FIRST}/eval_results.json", baselines={})
    digest = json.loads((again / "eval_config.json").read_text())["task_digest"]
    change(again / "eval_config.json", task_digest="0" * 12)
    (root / "eval_begun").mkdir()
    (root / "eval_begun/eval_results.json").write_text("{")
    with pytest.raises(ConfigError, match="did not play the candidate's starts"):
        promote(policy, GATES)
    change(again / "eval_config.json", task_digest=digest)
    outcome = promote(policy, GATES)
    assert outcome.decision is not None and outcome.decision["promoted"]
    assert outcome.decision["candidate"]["eval_id"] == "eval_first_again"
