"""The verbs promote, list and show, as a user types them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from blueprint_tune import cli
from blueprint_tune.config import paths
from blueprint_tune.registry.published import Published

Publish = Callable[..., Published]
SCENE, POLICY, FIRST = "kitchen_001", "dexterous_pick_place", "first"
NAME = f"{SCENE}-{POLICY}-single-0123456789ab"


@pytest.fixture(autouse=True)
def _a_terminal_of_80_columns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(paths.CONF_ENV, "")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TTY_COMPATIBLE", "1")


def run(*words: str) -> int:
    try:
        return cli.main(words)
    except SystemExit as left:
        return int(left.code or 0)


def said_by(capsys: pytest.CaptureFixture[str]) -> str:
    """What was printed, without colours."""
    return re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)


def test_a_promotion_in_a_terminal(store: Path, publish: Publish, capsys: pytest.CaptureFixture[str]) -> None:
    root = f"storage.root={store}"
    publish(NAME, 70)
    assert run("promote", NAME, root) == 0
    said = said_by(capsys)
    assert "no champion so far" in said and "it alone in 70, the other alone in 0." in said
    table = [line.rstrip() for line in said.splitlines() if line.startswith(("min_", "max_", "diff"))]
    assert [line.split()[0] for line in table] == [
        "min_success_rate",
        "min_smoothness",
        "max_jerk",
        "difference",
    ]
    assert all(line.endswith("pass") and len(line) <= 80 for line in table)
    assert run("promote", NAME, root) == 0
    assert "the champion already" in said_by(capsys)
    publish("tie", 71)
    assert run("promote", "tie", root) == 1
    said = said_by(capsys)
    assert "not promoted" in said and "It alone in 5 would have been beyond chance." in said
    assert "decisions/000002.json" in said
    assert run("promote", "tie", root, "--force", "the other one scratches", "--dry-run") == 0
    said = said_by(capsys)
    assert "forced: the other one scratches" in said and "nothing was recorded" in said
    publish("good", 90)
    assert run("promote", "good", root, "evaluation.gates.min_success_rate=0.95") == 1
    assert "min_success_rate is 0.9, at least 0.95 is wanted" in said_by(capsys)


def test_an_experiment_or_an_address_names_a_policy_too(
    published: Path, store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("promote", str(published / "out" / FIRST), "--dry-run") in (0, 1)
    assert str(published / "store") not in capsys.readouterr().err
    address = f"{store}/scenes/{SCENE}/rl_training/policies/{FIRST}"
    for word in (address, f"{address}/", f"{address}/policy.onnx"):
        assert run("show", word) == 0
        assert f"{address}/policy.onnx" in said_by(capsys)


def test_the_list(store: Path, publish: Publish, capsys: pytest.CaptureFixture[str]) -> None:
    publish("good", 90), publish("weak", 60), publish("fetches", 70, robot="fetch")
    assert run("promote", "good", f"storage.root={store}") == 0
    capsys.readouterr()
    assert run("list", str(store)) == 0
    lines = [line.rstrip() for line in said_by(capsys).splitlines() if line.strip()]
    assert lines[1] == f"{SCENE}  {POLICY}  fetch"
    assert lines[3] == f"{SCENE}  {POLICY}  franka"
    assert [line.split() for line in lines if line.startswith("  good")] == [
        ["good", "0.90", "(0.83", "to", "0.94)", "champion"]
    ]
    assert sum(line.endswith("champion") for line in lines) == 1
    assert run("list", "--json", f"storage.root={store}") == 0
    rows = json.loads(said_by(capsys))
    assert {row["name"]: row["champion"] for row in rows} == {
        "good": True, "weak": False, "fetches": False, FIRST: False,
    }  # fmt: skip
    assert run("list", "nowhere") == 0
    assert "Nothing has been published to" in said_by(capsys)


def test_one_policy(store: Path, publish: Publish, capsys: pytest.CaptureFixture[str]) -> None:
    publish("good", 90), publish("tie", 91)
    root = f"storage.root={store}"
    assert [run("promote", name, root) for name in ("good", "tie")] == [0, 1]
    capsys.readouterr()
    assert run("show", "tie", root) == 0
    said = said_by(capsys)
    assert "0.91 (0.84 to 0.95), 100 episodes" in said
    assert "good, since decision 1" in said
    assert f"python -m blueprint_tune +scene={SCENE} policy={POLICY}" in said
    assert "2  20" in said and "no better than good beyond chance" in said
    assert run("show", "good", root, "--json") == 0
    facts = json.loads(said_by(capsys))
    assert facts["champion"] and len(facts["decisions"]) == 1
    assert Path(facts["files"]["onnx"]).is_file() and Path(facts["files"]["report"]).is_file()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "promote takes one policy, not 0"),
        (("a", "b"), "promote takes one policy, not 2"),
        (("frist",), "Did you mean 'first'?"),
        (("../../etc/passwd",), "neither an experiment here nor"),
        (("..",), "cannot name a folder in storage"),
        (("/tmp/scenes/../rl_training/policies/x",), "cannot name a folder in storage"),
        (("x/scenes/kitchen_001/rl_training/policies/..",), "cannot name a folder in storage"),
        ((FIRST, "--froce"), "promote has no option --froce"),
        ((FIRST, "--force"), "--force needs a reason"),
        ((FIRST, "policy=knob_manipulation"), "only settings of storage and evaluation matter here"),
        ((FIRST, "evaluation.gates.max_jrk=1"), "Did you mean 'evaluation.gates.max_jerk'?"),
        ((FIRST, "evaluation.gates.max_jerk=-1"), "evaluation.gates.max_jerk=-1"),
    ],
)
def test_mistakes_are_sentences(
    store: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], said: str
) -> None:
    before = sorted(store.rglob("*"))
    assert run("promote", *words, f"storage.root={store}") == 2
    error = capsys.readouterr().err
    assert said in error and "Traceback" not in error
    assert sorted(store.rglob("*")) == before


@pytest.mark.parametrize("damage", ["{", '{"policies": {"x": {}}}', '{"policies": {"x": 3}}', None])
def test_a_damaged_index_hides_no_other(
    store: Path, damage: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    other = store / "scenes/a_scene/rl_training/.rl_training_complete"
    other.parent.mkdir(parents=True)
    if damage is None:
        other.mkdir()  # a folder in its place
    else:
        other.write_text(damage)
    (store / "scenes/not a scene").mkdir()
    assert run("list", str(store)) == 0
    said = " ".join(said_by(capsys).split())
    assert f"  {FIRST}"[2:] in said and "a_scene/rl_training/.rl_training_complete" in said
    assert run("list", str(store), "--json") == 0
    printed = capsys.readouterr()
    assert [row["name"] for row in json.loads(printed.out)] == [FIRST]
    assert "a_scene" in printed.err
    assert run("show", FIRST, f"storage.root={store}") == 0
    capsys.readouterr()
    assert run("show", "x", f"storage.root={store}") == 2
    assert "It may be in what cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize(
    "entry",
    [
        {"success_rate_95ci": None}, {"success_rate_95ci": [0.1, None]}, {"success_rate_95ci": [0.1]},
        {"success_rate": "much"}, {"success_rate": True}, {"robot_type": "../x"}, {"policy_id": []},
    ],
)  # fmt: skip
def test_a_damaged_entry_hides_no_other(
    store: Path, publish: Publish, entry: dict[str, object], capsys: pytest.CaptureFixture[str]
) -> None:
    publish("good", 90)
    marker = store / "scenes" / SCENE / "rl_training/.rl_training_complete"
    tree = json.loads(marker.read_text())
    tree["policies"][FIRST] |= entry
    marker.write_text(json.dumps(tree))
    assert run("list", str(store)) == 0
    said = " ".join(said_by(capsys).split())
    assert "good 0.90" in said and f"the entry of '{FIRST}'" in said
    assert run("promote", "good", f"storage.root={store}") == 0
    assert run("show", str(store / "scenes" / SCENE / "rl_training/policies/good")) == 0
    capsys.readouterr()
    assert run("show", str(store / "scenes" / SCENE / f"rl_training/policies/{FIRST}")) == 2
    assert f"the entry of '{FIRST}'" in capsys.readouterr().err


@pytest.mark.parametrize(
    "decision",
    [b"\0torn", b"[]", b'{"decision": 1}', b'{"decision": 1, "champion_decision": 1, "candidate": {}}'],
)
def test_a_damaged_decision_hides_no_policy(
    store: Path, publish: Publish, decision: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    publish("good", 90), publish("fetches", 70, robot="fetch")
    root = f"storage.root={store}"
    assert run("promote", "good", root) == 0 and run("promote", "fetches", root) == 0
    training = store / "scenes" / SCENE / "rl_training"
    (training / f"champions/{POLICY}/franka/decisions/000001.json").write_bytes(decision)
    capsys.readouterr()
    assert run("list", root, "--json") == 0
    printed = capsys.readouterr()
    rows = {row["name"]: row["champion"] for row in json.loads(printed.out)}
    assert rows["fetches"] and not rows["good"]
    assert f"{SCENE} / {POLICY} / franka" in printed.err and "000001.json is damaged" in printed.err
    for verb in ("show", "promote"):
        assert run(verb, "good", root) == 2
        error = capsys.readouterr().err
        assert "000001.json is damaged" in error and "Traceback" not in error


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("list", "~nosuchuser/x"), "~nosuchuser/x is no place to store in"),
        (("show", "~nosuchuser/x"), "neither an experiment here nor"),
        (("show", "a" * 300), "cannot name a folder in storage"),
        (("show", "a" * 300 + "/b"), "neither an experiment here nor"),
        (("show", "a\0/b"), "neither an experiment here nor"),
        (("list", "store", "bogus=1"), "only settings of storage and evaluation matter here"),
        (("list", "s3://bkt/x", "storage.endpoint=localhost:9000"), "must begin with http:// or https://"),
    ],
)
def test_other_verbs_mistakes_are_sentences(
    capsys: pytest.CaptureFixture[str], words: tuple[str, ...], said: str
) -> None:
    assert run(*words) == 2
    error = capsys.readouterr().err
    assert said in " ".join(error.split()) and "Traceback" not in error


def test_an_unpublished_experiment_says_how_to_go_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "begun").mkdir()
    (tmp_path / "begun/experiment.yaml").touch()
    assert run("promote", "begun") == 2
    assert "blueprint-tune resume begun" in capsys.readouterr().err


def test_every_verb_has_help(capsys: pytest.CaptureFixture[str]) -> None:
    for verb in ("promote", "list", "show"):
        assert run(verb, "--help") == 0
        text = said_by(capsys)
        assert text.startswith(f"blueprint-tune {verb} ") and max(map(len, text.splitlines())) <= 110
