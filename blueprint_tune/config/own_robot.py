"""A user's own robot: a model file and, beside it under the same name, a short YAML about it.

``robot.model=arm.urdf`` with an ``arm.yaml`` beside it stands for a whole robot file: the YAML has the same
keys as those in ``conf/robot``, few of them required, and the rest is worked out from the model here.
What is assumed rather than read is listed in ``robot.guesses``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from blueprint_tune.config import paths
from blueprint_tune.config.robot_model import ModelJoint, RobotModel, missing_meshes, read_model
from blueprint_tune.errors import ConfigError, nearest

Tree = dict[str, Any]

EFFORT = {False: 50.0, True: 50.0}
"""N m of a joint that turns, N of one that slides (True), where neither model nor YAML says."""
SPEED = {False: 2.0, True: 0.1}
"""rad/s, m/s, likewise."""
TURNS_RAD = 2 * math.pi
"""Range to either side of a joint that turns without limits."""
STRETCH = 0.9
"""Share of the stretched arm's length that counts as its reach."""
WORK = 0.6
"""Share of the reach at which an arm works best: that of the shipped ones lies between 0.54 and 0.79."""
BASE_RADIUS_M = 0.15


def replace_own_robot(tree: Tree, overrides: Sequence[str]) -> list[str]:
    """Put a user's own robot in the place of ``tree['robot']``, if ``robot.model`` is one; problems found.

    Settings given on the command line (``robot.<key>=…``) win over the YAML.
    """
    robot = tree.get("robot")
    if not isinstance(robot, dict) or not isinstance(robot.get("model"), str):
        return []
    path = Path(robot["model"])
    if not path.is_file() or path.resolve().parent == (paths.assets_dir() / "robots").resolve():
        return []
    about = path.with_suffix(".yaml")
    try:
        model = read_model(path.absolute())
        if not about.is_file():
            return _unlike(model, about, robot)
        given = yaml.safe_load(about.read_text()) or {}
    except ConfigError as error:
        return [str(error)]
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        return [f"{about}: cannot be read as YAML: {' '.join(str(error).split())}"]
    if not isinstance(given, dict):
        return [f"{about}: expected lines like ee: tool0, home_rad: [0, 0, …] (docs/robots.md)."]
    keys = [override.split("=")[0].lstrip("+").split(".") for override in overrides]
    for _, *key in (key for key in keys if key[0] == "robot" and len(key) > 1 and key[1] != "model"):
        _put(given, key, _get(robot, key))
    own = _OwnRobot(model, about, given)
    if own.problems:
        return own.problems
    tree["robot"] = own.tree
    return []


def _unlike(model: RobotModel, about: Path, robot: Tree) -> list[str]:
    """A model without a YAML must be a variant of the robot chosen by ``robot=…``."""
    lost = [name for name in robot.get("arm_joints") or () if name not in model.joints]
    if not lost:
        return missing_meshes(model)
    return [
        f"robot.model={model.path} has no joint '{lost[0]}', which robot={robot.get('name')} has. A robot of "
        f"your own needs a short description beside it, {about.name}: its end effector (ee), home posture "
        "(home_rad) and gripper, as in docs/robots.md."
    ]


def _get(tree: Any, key: Sequence[str]) -> Any:
    for part in key:
        tree = tree.get(part) if isinstance(tree, dict) else None
    return tree


def _put(tree: Tree, key: Sequence[str], value: Any) -> None:
    for part in key[:-1]:
        tree = tree.setdefault(part, {})
    tree[key[-1]] = value


class _OwnRobot:
    """Fills in the settings of one robot.

    Attributes:
        tree: complete settings, if there are no problems. problems: a sentence each.
    """

    def __init__(self, model: RobotModel, about: Path, given: Tree) -> None:
        self._model, self._about = model, about
        self.problems = [*model.problems, *missing_meshes(model)]
        self.tree: Tree = dict(given)
        self._guesses: list[str] = []
        self.tree |= {"model": str(model.path), "name": given.get("name", model.path.stem)}
        hand = self._gripper(given.get("gripper"))
        body = self._end_effector(given.get("ee"))
        if body is None or self.problems:
            return
        self._arm(body, hand)
        if not self.problems:
            self._size(body)
            self._motors()
            self.tree["guesses"] = self._guesses

    def _problem(self, text: str) -> None:
        self.problems.append(f"{self._about}: {text}")

    def _guess(self, text: str) -> None:
        self._guesses.append(f"robot '{self.tree['name']}': {text}")

    def _known(self, kind: str, name: str, known: Sequence[str], key: str) -> bool:
        if name in known:
            return True
        self._problem(
            f"{key} names the {kind} '{name}', which {self._model.path.name} has not. {nearest(name, known)}"
        )
        return False

    def _end_effector(self, given: Any) -> str | None:
        """The body that carries the end effector; None and a problem without one."""
        model = self._model
        frames = [*model.sites, *model.bodies]
        if given is None and "ee_site" in self.tree:
            given = self.tree["ee_site"]
        if given is None:
            self._problem(f"ee is missing: the end effector's site, body or link. {nearest('ee', frames)}")
            return None
        name = given.get("body") if isinstance(given, dict) else given
        if not self._known("frame", str(name), frames, "ee"):
            return None
        if isinstance(given, str) and given in model.sites:
            self.tree |= {"ee_site": given, "ee": None}
            return model.sites[given]
        body = model.sites.get(str(name), str(name))
        self.tree["ee_site"] = "ee"
        self.tree["ee"] = {**given, "body": body} if isinstance(given, dict) else {"body": body}
        return body

    def _gripper(self, given: Any) -> list[str]:
        """The gripper's joints; fills in ``gripper`` and ``grippers``."""
        if "grippers" in self.tree:
            hands = [hand for hand in self.tree["grippers"].values() if hand]
            return [name for hand in hands for name in hand.get("joints", ())]
        if not isinstance(given, dict):
            self.tree |= {"gripper": "none", "grippers": {"none": None}}
            return []
        joints = [str(name) for name in given.get("joints") or ()]
        if not joints:
            self._problem(f"gripper.joints is missing. {nearest('', self._model.joints)}")
        found = [
            self._model.joints[n]
            for n in joints
            if self._known("joint", n, list(self._model.joints), "gripper.joints")
        ]
        for finger in given.get("fingers") or ():
            self._known("body", str(finger), list(self._model.bodies), "gripper.fingers")
        ranges = [joint.range for joint in found if joint.range is not None]
        hand = {"fingers": [joint.body for joint in found], **given, "joints": joints}
        if not {"open_m", "closed_m"} <= given.keys():
            if not ranges:
                self._problem(
                    "gripper.open_m and gripper.closed_m are missing, and its joints have no limits."
                )
                return joints
            hand = {"closed_m": ranges[0][0], "open_m": ranges[0][1], **hand}
            self._guess(f"its gripper is closed at {hand['closed_m']:g} m and open at {hand['open_m']:g} m.")
        if "max_width_m" not in given:
            hand["max_width_m"] = len(joints) * abs(hand["open_m"] - hand["closed_m"])
            self._guess(f"its gripper takes things up to {hand['max_width_m']:g} m wide.")
        self.tree |= {"gripper": "parallel", "grippers": {"parallel": hand}}
        return joints

    def _arm(self, body: str, hand: list[str]) -> None:
        model, bodies = self._model, self._model.chain(body)
        self.tree.setdefault("base_body", bodies[0])
        self._known("body", self.tree["base_body"], list(model.bodies), "base_body")
        self.tree.setdefault("base_joints", [])
        apart = {*hand, *self.tree["base_joints"]}
        along = [joint.name for joint in model.joints_of(bodies) if joint.name not in apart]
        arm = self.tree.setdefault("arm_joints", along)
        if not arm:
            self._problem(f"no joint moves the end effector's body '{body}'. {nearest('', model.joints)}")
        for name in [*arm, *self.tree["base_joints"]]:
            self._known("joint", str(name), list(model.joints), "arm_joints or base_joints")
        home = self.tree.get("home_rad")
        if isinstance(home, dict):
            for name in home:
                self._known("joint", str(name), arm, "home_rad")
            self.tree["home_rad"] = [home.get(name, 0.0) for name in arm]
        elif home is None:
            self._problem(
                f"home_rad is missing: one angle (m for a joint that slides) each for {', '.join(arm)}."
            )
        locked = [name for name in model.joints if name not in {*arm, *apart}]
        if locked:
            self._guess(f"{', '.join(locked)} stand still at 0.")

    def _size(self, body: str) -> None:
        """Reach, shoulder, and what they lead to."""
        model, bodies = self._model, self._model.chain(body)
        first = bodies.index(model.joints[self.tree["arm_joints"][0]].body)
        base = bodies.index(self.tree["base_body"]) if self.tree["base_body"] in bodies else 0
        lengths = [model.bodies[name][1] for name in bodies]
        offset = (self.tree.get("ee") or {}).get("offset_m") or [0.0]
        stretched = sum(lengths[first + 1 :]) + math.hypot(*offset)
        if "reach_m" not in self.tree:
            self.tree["reach_m"] = round(max(STRETCH * stretched, 0.05), 3)
            self._guess(f"it reaches {self.tree['reach_m']:g} m, {STRETCH:.0%} of the stretched arm.")
        if "shoulder_m" not in self.tree:
            self.tree["shoulder_m"] = round(sum(lengths[base + 1 : first + 1]), 3)
            self._guess(f"its shoulder is {self.tree['shoulder_m']:g} m above its base.")
        if "base_radius_m" not in self.tree:
            self.tree["base_radius_m"] = BASE_RADIUS_M
            self._guess(f"its base needs {BASE_RADIUS_M:g} m around its axis.")
        self.tree.setdefault("work_m", round(WORK * self.tree["reach_m"], 3))
        self.tree.setdefault("mount", "pedestal")
        self.tree.setdefault("base", "held")
        hand = self.tree["grippers"].get(self.tree["gripper"])
        self.tree.setdefault("tool_bodies", [] if hand else [body])
        touching = {*(hand["fingers"] if hand else ()), *self.tree["tool_bodies"]}
        self.tree.setdefault("collision_bodies", [name for name in bodies[-3:] if name not in touching])

    def _motors(self) -> None:
        """Servos for joints that have no actuator."""
        servos = self.tree["servos"] = dict(self.tree.get("servos") or {})
        for name in servos:
            self._known("joint", str(name), list(self._model.joints), "servos")
        hand = self.tree["grippers"].get(self.tree["gripper"]) or {}
        for name in (*self.tree["base_joints"], *self.tree["arm_joints"], *hand.get("joints", ())):
            joint = self._model.joints.get(name)
            if joint is not None and (name in servos or name not in self._model.actuated):
                servos[name] = self._motor(joint, servos.get(name) or {})

    def _motor(self, joint: ModelJoint, given: Tree) -> Tree:
        motor: Tree = dict(given)
        unit = ("N", "m/s") if joint.slides else ("N m", "rad/s")
        for key, stated, usual, measure in (
            ("effort", joint.effort, EFFORT[joint.slides], unit[0]),
            ("speed", joint.speed, SPEED[joint.slides], unit[1]),
        ):
            if key not in motor:
                motor[key] = stated if stated is not None else usual
                if stated is None:
                    self._guess(f"joint '{joint.name}' has a motor with {key} {usual:g} {measure}.")
        if joint.range is None and not motor.get("range"):
            if joint.slides:
                self._problem(
                    f"joint '{joint.name}' slides without limits; give it some: "
                    f"servos: {{{joint.name}: {{range: [<m>, <m>]}}}}."
                )
            motor["range"] = [-TURNS_RAD, TURNS_RAD]
            self._guess(f"joint '{joint.name}' turns by {TURNS_RAD:.2f} rad to either side.")
        return motor
