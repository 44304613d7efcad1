"""What a bundle says about observations is what the terms and the task's names give."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest

from blueprint_tune.envs.manipulation import ManipulationEnv
from blueprint_tune.mdp.describe import ObservationPart
from blueprint_tune.mdp.terms import REGISTRY

UNITS = {"m", "rad", "m/s", "1", "joint", "joint/s", "command"}
Parts = Callable[..., dict[str, ObservationPart]]


@pytest.fixture
def parts(new_env: Callable[..., ManipulationEnv], benchmark: Callable[[str], list[str]]) -> Parts:
    """parts(policy) -> the described parts by name, held to the environment's own sizes."""

    def describe(policy: str, *words: str) -> dict[str, ObservationPart]:
        env = new_env(*benchmark(policy), "backend=pointmass", *words, num_envs=1)
        found = env.describe_observations()
        assert tuple((part.name, part.size) for part in found) == env.observation_names
        for part in found:
            assert len(part.components) == part.size == len(part.units), part
            assert len(set(part.components)) == part.size and part.meaning, part
        return {part.name: part for part in found}

    return describe


def test_every_observation_declares_what_its_numbers_are() -> None:
    observations = {name: term for name, term in REGISTRY.items() if "observation" in term.kinds}
    assert len(observations) > 15
    for name, registered in observations.items():
        assert registered.signal is not None and registered.signal.unit in UNITS, name
        assert (registered.signal.frame is None) == (registered.signal.unit not in ("m", "m/s")) or name in (
            "frame_axes",
            "folded_angle",
        ), f"{name}: what has a direction has axes"


def test_a_drawer(parts: Parts) -> None:
    found = parts("drawer_manipulation")
    assert found["joint_pos"].units == ("rad",) * 7 + ("m",) * 2
    assert found["joint_vel"].units[0] == "rad/s" and found["joint_vel"].scale == 0.2
    assert found["joint_pos"].components[0] == "panda_joint1"
    handle = found["handle_rel"]
    assert (handle.frame, handle.scale, handle.components) == ("world", 5.0, ("x", "y", "z"))
    assert handle.parameters == {"a": "robot/ee", "b": "target/handle", "scale": 5.0}
    assert found["opening_velocity"].units == ("m/s",), "it slides"
    assert found["wanted"].units == ("1",), "a fraction of the range"


def test_a_door_turns(parts: Parts) -> None:
    assert parts("door_manipulation")["opening_velocity"].units == ("rad/s",)


def test_an_insertion(parts: Parts) -> None:
    found = parts("precision_insertion")
    offset = found["hole_offset"]
    assert (offset.frame, offset.units, offset.scale) == ("socket", ("m",) * 3, 10.0)
    assert found["held"].components == ("panda_leftfinger", "panda_rightfinger")
    assert found["held"].parameters["saturation_n"] == 20.0, "also what the file leaves to the default"


def test_a_row_of_buttons(parts: Parts) -> None:
    assert parts("panel_interaction")["whose_turn"].components == ("button_0", "button_1", "button_2")


def test_a_base_that_drives(parts: Parts) -> None:
    found = parts("pallet_handling")["joint_pos"]
    assert found.units[:4] == ("m", "m", "rad", "m"), found.components


def test_a_process_that_has_built_nothing_knows_the_terms() -> None:
    """As `evaluate EXPERIMENT`, which asks what a policy was trained with before anything is built."""
    code = "from blueprint_tune.mdp.describe import parameters; parameters({'term': 'robot_joint_positions'})"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
