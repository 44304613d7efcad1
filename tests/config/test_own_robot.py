"""A user's own robot: the short YAML beside a model becomes a whole robot, or says what is missing."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from blueprint_tune.config.compose import complete, compose, to_config, to_dict
from blueprint_tune.config.identity import input_hash
from blueprint_tune.config.robot_model import find_mesh, read_model
from blueprint_tune.config.schema import RobotConfig
from blueprint_tune.config.tree import load
from blueprint_tune.errors import ConfigError

EXAMPLE = Path(__file__).parents[2] / "examples/robots/six_axis.urdf"
MJCF = """
<mujoco>
  <compiler angle="{angle}"/>
  <default><default class="arm">
    <joint type="hinge" range="-90 90"/>
    <default class="rail"><joint type="slide" range="0 0.5"/></default>
  </default></default>
  <worldbody>
    <body name="foot" childclass="arm">
      <body name="carriage" pos="0 0 0.3"><joint name="rail" class="rail"/><geom size="0.1"/>
        <frame pos="0 0 0.4"><body name="link"><joint name="turn"/><geom size="0.1"/>
          <site name="tip" pos="0 0 0.5"/>
        </body></frame>
      </body>
    </body>
  </worldbody>
  <actuator><position name="m" joint="rail"/></actuator>
</mujoco>
"""

Own = Callable[..., Path]


@pytest.fixture
def own(tmp_path: Path) -> Own:
    """own(change, **about) -> a copy of the example, its URDF text changed, its YAML's keys replaced."""

    def make(change: Callable[[str], str] = str, **about: Any) -> Path:
        model = tmp_path / "my_arm.urdf"
        model.write_text(change(EXAMPLE.read_text()))
        tree = yaml.safe_load(EXAMPLE.with_suffix(".yaml").read_text()) | about
        tree = {key: value for key, value in tree.items() if value is not None}
        model.with_suffix(".yaml").write_text(yaml.safe_dump(tree))
        return model

    return make


def composed(model: Path, *overrides: str) -> RobotConfig:
    return compose(["+scene=kitchen_001", f"robot.model={model}", *overrides]).robot


def problems(model: Path, *overrides: str) -> str:
    with pytest.raises(ConfigError) as caught:
        composed(model, *overrides)
    return str(caught.value)


def test_the_example_is_a_whole_robot(own: Own) -> None:
    robot = composed(own())
    assert robot.name == "my_arm" and robot.base_body == "base" and robot.gripper == "parallel"
    assert robot.arm_joints == ["waist", "shoulder", "elbow", "forearm_roll", "wrist", "tool_roll"]
    assert robot.home_rad == [0.0, 0.1, 1.9, 0.0, 1.14, 0.0]
    assert robot.hand is not None and robot.hand.fingers == ["left_finger", "right_finger"]
    assert (robot.hand.closed_m, robot.hand.open_m, robot.hand.max_width_m) == (0.0, 0.045, 0.09)
    assert robot.reach_m == pytest.approx(0.9 * (0.14 + 0.32 + 0.26 + 0.02 + 0.07 + 0.02 + 0.125), abs=1e-3)
    assert robot.shoulder_m == pytest.approx(0.12)
    assert robot.servos["elbow"].effort == 80 and robot.servos["elbow"].speed == 3.0
    assert robot.servos["tool_roll"].range == pytest.approx([-6.2832, 6.2832], abs=1e-4)


def test_what_is_assumed_is_listed(own: Own) -> None:
    guesses = " ".join(composed(own()).guesses)
    for words in (
        "reaches 0.86 m",
        "'tool_roll' turns by 6.28 rad",
        "up to 0.09 m wide",
        "shoulder is 0.12 m",
    ):
        assert words in guesses
    unknown = own(lambda text: text.replace(' effort="80" velocity="3.0"', ""))
    guesses = " ".join(composed(unknown).guesses)
    assert "joint 'elbow' has a motor with effort 50 N m." in guesses
    assert "joint 'elbow' has a motor with speed 2 rad/s." in guesses
    told = composed(own(reach_m=0.7, shoulder_m=0.1, base_radius_m=0.2))
    assert not any("reaches" in g or "shoulder" in g or "radius" in g for g in told.guesses)
    assert (told.reach_m, told.shoulder_m, told.base_radius_m) == (0.7, 0.1, 0.2)


def test_the_command_line_wins_and_the_experiment_keeps_it_all(own: Own) -> None:
    model = own()
    config = compose(["+scene=kitchen_001", f"robot.model={model}", "robot.reach_m=0.6"])
    assert config.robot.reach_m == 0.6 and config.robot.work_m == pytest.approx(0.36)
    model.with_suffix(".yaml").unlink()
    assert to_config(to_dict(config)) == config


def test_the_command_line_composes_it_too(own: Own) -> None:
    overrides = ["+scene=kitchen_001", f"robot.model={own()}"]
    assert complete(load(overrides).tree, overrides) == compose(overrides)
    with pytest.raises(ConfigError, match="ee names the frame 'nose'"):
        complete(load(overrides).tree, [f"robot.model={own(ee='nose')}"])


def test_another_mesh_is_another_question(own: Own) -> None:
    """Results are found again by content: of the model, its meshes and a gripper's own model."""
    ball = '<mesh filename="meshes/ball.stl"/>'
    model = own(lambda text: text.replace('<sphere radius="0.045"/>', ball))
    mesh = model.parent / "meshes/ball.stl"
    mesh.parent.mkdir()
    hashes = []
    for content in ("one", "two"):
        mesh.write_text(content)
        hashes.append(input_hash(compose(["+scene=kitchen_001", f"robot.model={model}"]), "scene"))
    assert hashes[0] != hashes[1]


def test_a_robot_without_a_gripper_touches_with_its_last_link(own: Own) -> None:
    robot = composed(own(gripper=None, ee="flange"), "policy=drawer_manipulation")
    assert robot.hand is None and robot.touching == ["flange"]
    assert "robot 'my_arm' has no gripper; policy 'dexterous_pick_place' grasps." in problems(
        own(gripper=None, ee="flange"), "policy=dexterous_pick_place"
    )


@pytest.mark.parametrize(
    ("about", "says"),
    [
        ({"ee": "tool_0"}, "ee names the frame 'tool_0', which my_arm.urdf has not. "),
        ({"ee": {"body": "hnad"}}, "the frame 'hnad', which my_arm.urdf has not. Did you mean 'hand'?"),
        ({"ee": None}, "ee is missing: the end effector's site, body or link. Available: base, flange"),
        ({"home_rad": None}, "home_rad is missing: one angle (m for a joint that slides) each for waist, sh"),
        ({"home_rad": {"elbo": 1.0}}, "home_rad names the joint 'elbo', which my_arm.urdf has not. "
                                      "Did you mean 'elbow'?"),
        ({"home_rad": [0.0]}, "robot.home_rad has 1 angles for 6 joints"),
        ({"arm_joints": ["waist", "sholder"]}, "names the joint 'sholder', which my_arm.urdf has not. "
                                               "Did you mean 'shoulder'?"),
        ({"gripper": {"joints": ["finger"]}}, "names the joint 'finger', which my_arm"),
        ({"gripper": {"joints": ["left_finger_joint"], "fingers": ["thumb"]}}, "names the body 'th"),
        ({"servos": {"elbw": {}}}, "servos names the joint 'elbw', which my_arm.urdf has not. Did"),
        ({"base_body": "foot"}, "the body 'foot', which my_arm.urdf has not. Available: base,"),
        ({"speling": 1}, "robot.speling: there is no such setting."),
    ],
)  # fmt: skip
def test_what_is_missing_is_named_with_what_exists(own: Own, about: dict[str, Any], says: str) -> None:
    assert says in problems(own(**about))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda text: text[:200], "cannot be read as XML"),
        (lambda text: "<scene/>", "expected a URDF (<robot>) or an MJCF (<mujoco>), not <scene>"),
        (lambda text: text.replace('parent link="turret"', 'parent link="turet"'), "do not exist (turet)"),
        (lambda text: text.replace('<parent link="base"/><child link="turret"/>', ""), "have no parent"),
        (lambda text: text.replace('name="waist" type="revolute"', 'name="waist" type="floating"'),
         "joint 'waist' is floating; only revolute, continuous, prismatic and fixed"),
        (lambda text: text.replace('<sphere radius="0.045"/>', '<mesh filename="package://arm/ball.stl"/>'),
         "1 mesh files of its collision shapes are not found: package://arm/ball.stl."),
    ],
)  # fmt: skip
def test_a_file_that_cannot_serve_says_why(own: Own, change: Callable[[str], str], says: str) -> None:
    assert says in problems(own(change))


def test_a_finger_without_limits_must_be_given_some(own: Own) -> None:
    endless = own(lambda text: text.replace('lower="0" upper="0.045" ', ""))
    said = problems(endless)
    assert "gripper.open_m and gripper.closed_m are missing, and its joints have no limits" in said
    gripper = {"joints": ["left_finger_joint", "right_finger_joint"], "open_m": 0.04, "closed_m": 0.0}
    said = problems(own(lambda text: text.replace('lower="0" upper="0.045" ', ""), gripper=gripper))
    assert (
        "joint 'left_finger_joint' slides without limits; give it some: servos: {left_finger_joint:" in said
    )


def test_a_model_without_a_description_says_how_to_write_one(tmp_path: Path) -> None:
    model = tmp_path / "bare.urdf"
    shutil.copy(EXAMPLE, model)
    said = problems(model)
    assert "has no joint 'panda_joint1', which robot=franka has" in said and "bare.yaml" in said


@pytest.mark.parametrize(("angle", "limit"), [("degree", 1.5708), ("radian", 90.0)])
def test_an_mjcf_is_read_with_its_classes_frames_and_units(tmp_path: Path, angle: str, limit: float) -> None:
    path = tmp_path / "arm.xml"
    path.write_text(MJCF.format(angle=angle))
    model = read_model(path)
    assert model.bodies == {"foot": (None, 0.0), "carriage": ("foot", 0.3), "link": ("carriage", 0.4)}
    assert model.joints["rail"].slides and model.joints["rail"].range == (0.0, 0.5)
    assert model.joints["turn"].range == pytest.approx((-limit, limit), abs=1e-4)
    assert model.sites == {"tip": "link"} and model.actuated == {"rail"}
    path.with_suffix(".yaml").write_text("{ee: tip, home_rad: [0.1, 0]}")
    robot = composed(path, "policy=drawer_manipulation")
    assert robot.ee_site == "tip" and robot.ee is None and robot.arm_joints == ["rail", "turn"]
    assert list(robot.servos) == ["turn"], "the rail has its own actuator"


def test_an_mjcf_may_include_others(tmp_path: Path) -> None:
    whole = MJCF.format(angle="radian")
    head, tail = whole.split("<actuator>")
    (tmp_path / "arm.xml").write_text(head + '<include file="motors.xml"/></mujoco>')
    (tmp_path / "motors.xml").write_text("<mujoco><actuator>" + tail)
    assert read_model(tmp_path / "arm.xml").actuated == {"rail"}
    (tmp_path / "motors.xml").unlink()
    with pytest.raises(ConfigError, match=r"its include .*motors\.xml cannot be read"):
        read_model(tmp_path / "arm.xml")


def test_meshes_are_found_in_packages(tmp_path: Path) -> None:
    model = tmp_path / "my_robot/urdf/arm.urdf"
    mesh = tmp_path / "my_robot/meshes/link.stl"
    for path in (model, mesh):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    for reference in ("package://my_robot/meshes/link.stl", "../meshes/link.stl", str(mesh)):
        found = find_mesh(model, reference)
        assert found is not None and found.resolve() == mesh, reference
    assert find_mesh(model, "package://my_robot/meshes/other.stl") is None
