from __future__ import annotations

import re
from pathlib import Path

import pytest

from blueprint_tune.config import paths
from blueprint_tune.config.axes import combinations, without_globs
from blueprint_tune.errors import ConfigError

SCENE = "+scene=kitchen_001"


def test_every_value_with_every_other_in_the_order_of_the_command() -> None:
    found = combinations([SCENE, "seed=range(1,3)", "policy=drawer_manipulation,dish_loading"])
    assert [c.overrides for c in found] == [
        (SCENE, f"seed={seed}", f"policy={policy}")
        for seed in (1, 2)
        for policy in ("drawer_manipulation", "dish_loading")
    ]
    assert found[1].axes == {"seed": "1", "policy": "dish_loading"}
    assert not any(c.broad for c in found)


def test_what_takes_one_value_stays_as_it_was_typed() -> None:
    words = ["+scene=manifest", "scene.manifest='a b.json'", "agent.policy_hidden_dims=[1,2]", "seed=3"]
    (one,) = combinations(words)
    assert (list(one.overrides), one.axes) == (words, {})


def test_a_list_of_lists_is_an_axis() -> None:
    found = combinations(["agent.policy_hidden_dims=[1,2],[3]"])
    assert [c.axes["agent.policy_hidden_dims"] for c in found] == ["[1,2]", "[3]"]


def test_all_means_every_file_that_can_be_used_as_it_is() -> None:
    scenes = [c.axes["scene"] for c in combinations(["+scene=all"], everything=True)]
    assert scenes == [name for name in paths.group_options("scene") if name not in ("manifest", "package")]
    found = combinations([SCENE, "policy=all"], everything=True)
    assert [c.axes["policy"] for c in found] == paths.group_options("policy")
    assert all(c.broad for c in found)
    assert combinations(["policy=all"])[0].axes == {}, "only where it is asked for"


def test_a_file_called_all_is_that_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "policy").mkdir()
    (tmp_path / "policy" / "all.yaml").touch()
    monkeypatch.setenv(paths.CONF_ENV, str(tmp_path))
    assert combinations(["policy=all"], everything=True)[0].overrides == ("policy=all",)


def test_globs_leave_out_files_that_only_others_build_on() -> None:
    (words,) = [without_globs([SCENE, "policy=glob(*,exclude=d*)", "seed=1,2"])]
    assert (words[0], words[2]) == (SCENE, "seed=1,2")
    names = words[1].removeprefix("policy=").split(",")
    assert names == [name for name in paths.group_options("policy") if name[0] != "d"]
    assert len(combinations([SCENE, "policy=glob(*,exclude=d*)", "seed=1,2"])) == 2 * len(names)


@pytest.mark.parametrize(
    ("word", "sentence"),
    [
        ("policy=glob(zz*)", "no policy is called like that. Available: articulated_access"),
        ("polcy=glob(*)", "Did you mean 'policy'?"),
        ("seed=interval(1,3)", "give a list of values"),
        ("seed=[1", "'seed=[1' cannot be read"),
    ],
)
def test_mistakes_are_sentences(word: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(sentence)):
        combinations([SCENE, word])
