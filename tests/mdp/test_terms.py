"""Binding: names and numbers of a policy file become references, or one sentence says why not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

import blueprint_tune.mdp.metrics  # noqa: F401  registers terms that only evaluations use
from blueprint_tune.errors import ConfigError
from blueprint_tune.mdp.state import Catalog, Command, Contact, ContactRequest, Frame, Joint, SceneState
from blueprint_tune.mdp.terms import REGISTRY, bind_term, bind_terms, term

WHERE = "conf/policy/test.yaml"


def refused(catalog: Catalog, kind: str, entry: dict[str, Any]) -> str:
    with pytest.raises(ConfigError) as caught:
        bind_term(kind, "probe", entry, catalog, WHERE)
    message = str(caught.value)
    assert message.startswith(f"{WHERE}: {kind} 'probe'")
    return message


def test_names_become_references(catalog: Catalog) -> None:
    assert catalog.frame("target", WHERE) == Frame(1)
    assert catalog.frame("command/goal", WHERE) == Frame(-1, "goal")
    assert catalog.joint("drawer/joint", WHERE) == Joint(2, outward=1.0)
    assert (
        catalog.command("opening", WHERE) == catalog.command("command/opening", WHERE) == Command("opening")
    )


def test_contact_requests_are_collected_once(catalog: Catalog) -> None:
    assert catalog.contact("robot/gripper", "target", WHERE) == Contact((0, 1))
    assert catalog.contact("robot/arm", None, WHERE) == Contact((2, 3))
    assert catalog.contact("robot/gripper", "target", WHERE) == Contact((0, 1))
    assert catalog.contact("robot/gripper", "drawer/handle", WHERE) == Contact((4, 5))
    assert catalog.contacts == [
        ContactRequest("left", "box_1"),
        ContactRequest("right", "box_1"),
        ContactRequest("wrist", None),
        ContactRequest("hand", None),
        ContactRequest("left", "drawer_1_handle"),
        ContactRequest("right", "drawer_1_handle"),
    ]


@pytest.mark.parametrize(
    ("kind", "entry", "says"),
    [
        ("reward", {"term": "distance_kernal"}, "Did you mean 'distance_kernel'?"),
        ("reward", {"term": "relative_position"}, "uses term 'relative_position'. "),
        ("observation", {"term": "grasped", "by": "robot/gripper"}, "uses term 'grasped'. "),
        ("reward", {"term": None}, "uses term 'None'. "),
        ("success", {"a": "target"}, "has no 'term'. Terms for it: all_of, apart, every_member, "),
        (
            "reward",
            {"term": "lifted", "frame": "target"},
            "needs 'by' (term 'lifted' takes by, frame, height_m, region, force_n, what).",
        ),
        ("reward", {"term": "action_rate", "of": 1}, "has 'of'. "),
        ("reward", {"term": "success_bonus", "wieght": 2.0}, "has 'wieght'. Did you mean 'weight'?"),
        ("reward", {"term": "success_bonus", "weight": "2"}, "weight must be a number, not '2'."),
        ("reward", {"term": "success_bonus", "weight": True}, "weight must be a number, not True."),
        (
            "observation",
            {"term": "frame_axes", "frame": "targt"},
            "there is no frame 'targt'. Did you mean 'target'?",
        ),
        ("observation", {"term": "frame_height", "frame": "command/gaol"}, "Did you mean 'command/goal'?"),
        (
            "observation",
            {"term": "frame_axes", "frame": "command/opening"},
            "there is no frame 'command/opening'.",
        ),
        ("observation", {"term": "joint_fraction", "joint": "drawer/jont"}, "Did you mean 'drawer/joint'?"),
        ("observation", {"term": "command", "of": "openning"}, "Did you mean 'opening'?"),
        (
            "reward",
            {"term": "grasped", "by": "robot/griper", "what": "target"},
            "Did you mean 'robot/gripper'?",
        ),
        ("reward", {"term": "grasped", "by": "robot/gripper", "what": "targe"}, "Did you mean 'target'?"),
        (
            "reward",
            {"term": "distance_kernel", "a": "robot/ee", "b": "target", "std_m": "wide"},
            "'std_m' must be a number, not 'wide'.",
        ),
        (
            "reward",
            {"term": "distance_kernel", "a": "robot/ee", "b": "target", "std_m": 0},
            "'std_m' must be greater than 0, not 0.",
        ),
        (
            "success",
            {"term": "within_distance", "a": "target", "b": "command/goal", "distance_m": -0.1},
            "'distance_m' must be greater than 0, not -0.1.",
        ),
    ],
)
def test_mistakes_name_the_place_and_what_is_nearest(
    catalog: Catalog, kind: str, entry: dict[str, Any], says: str
) -> None:
    assert says in refused(catalog, kind, entry)


def test_a_weight_belongs_to_the_entry_not_to_the_term(
    catalog: Catalog, scene: Callable[[], SceneState]
) -> None:
    bound = bind_term("reward", "bonus", {"term": "success_bonus", "weight": -3}, catalog, WHERE)
    assert (bound.name, bound.weight) == ("bonus", -3.0)
    assert bound.function(scene()).tolist() == [0.0, 1.0], "raw"
    assert bind_term("reward", "bonus", {"term": "success_bonus"}, catalog, WHERE).weight == 1.0


def test_terms_keep_the_order_of_the_file(catalog: Catalog) -> None:
    entries = {"b": {"term": "last_action"}, "a": {"term": "elapsed_fraction"}}
    assert [bound.name for bound in bind_terms("observation", entries, catalog, WHERE)] == ["b", "a"]


def test_success_is_widened_by_its_margin_for_starts(
    catalog: Catalog, scene: Callable[[], SceneState]
) -> None:
    entry = {"term": "within_distance", "a": "target", "b": "command/goal", "distance_m": 0.47}
    near = bind_term("success", "success", entry, catalog, WHERE)
    assert near.function(scene()).tolist() == [False, True]
    assert near.widened(scene()).tolist() == [True, True], "0.5 m apart, 0.47 + 0.05 allowed"
    entry = {"term": "joint_at", "joint": "drawer/joint", "at": "opening", "tolerance": 0.5}
    at = bind_term("success", "success", entry, catalog, WHERE)
    assert at.function(scene()).tolist() == [False, False]
    assert at.widened(scene()).tolist() == [True, False], "0.75 of the range away, 0.5 + 0.3 allowed"


def test_every_term_is_documented_and_has_a_kind() -> None:
    kinds = {"reward", "observation", "success", "termination", "metric"}
    for name, registered in REGISTRY.items():
        assert registered.kinds <= kinds and registered.kinds, name
        assert registered.function.__doc__, name


def test_a_term_is_registered_under_one_name_only() -> None:
    with pytest.raises(AssertionError):

        @term("reward")
        def grasped(state: SceneState) -> torch.Tensor:
            return state.elapsed_steps
