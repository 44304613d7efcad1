"""The policy as one ONNX graph that needs no code of ours.

The graph takes raw ``observations`` and gives ``actions``; normaliser and clipping are inside. Where
actions are joint position deltas it also takes the measured ``joint_positions`` and the
``previous_targets`` and gives ``joint_targets``, what the robot's position controllers want next. That is
one graph with three required inputs rather than two graphs or inputs with default values: a deployer
who forgets to feed the measured joints gets an error from the runtime instead of a robot that jumps to
targets made from a default pose. ``actions`` depends on ``observations`` alone; who wants only them may
feed zeros for the joints.
"""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from blueprint_tune.config.policy_schema import ActionConfig
from blueprint_tune.config.schema import RobotConfig
from blueprint_tune.envs.actions import JointPositionDelta
from blueprint_tune.errors import ConfigError, ExportMismatch

OPSET = 20
Feeds = dict[str, NDArray[np.float32]]


@dataclass(frozen=True)
class JointTargets:
    """What turns actions into joint targets.

    Attributes:
        joints: R names, the order of positions and targets. limits: (R, 2) rad or m.
        compute: actions (N, A), joint positions and previous targets (N, R) -> targets (N, R); the
            environment's own code, so that the graph cannot drift from what was trained.
        numbers: the same in plain numbers, for people who write their own.
    """

    joints: tuple[str, ...]
    limits: Tensor
    compute: Callable[[Tensor, Tensor, Tensor], Tensor]
    numbers: Mapping[str, Any]


def joint_targets(
    actions: ActionConfig, robot: RobotConfig, joint_limits: NDArray[np.float64]
) -> JointTargets | None:
    """The joint targets of a robot; ``joint_limits``, (>= R, 2) rad or m, has the robot's joints first.

    None where targets need the robot's Jacobian (``ee_delta``): ``contract.controller`` describes those.
    """
    if actions.kind != "joint_position_delta":
        return None
    joints = tuple(robot.joints)
    limits = torch.as_tensor(joint_limits[: len(joints)], dtype=torch.float32)
    range_ = {"lower": limits[:, 0].tolist(), "upper": limits[:, 1].tolist()}
    numbers = joint_numbers(actions, robot) | range_
    return JointTargets(joints, limits, JointPositionDelta(actions, robot, limits).targets, numbers)


def joint_numbers(actions: ActionConfig, robot: RobotConfig) -> dict[str, Any]:
    """Everything but the joints' range that turns ``joint_position_delta`` into joint targets."""
    gripper = robot.hand
    return {
        "kind": actions.kind,
        "joints": list(robot.joints),
        "arm_joints": list(robot.chain),
        "scale_rad": actions.scale_rad,
        "windup_rad": actions.windup_rad,
        "gripper": actions.gripper if gripper else "none",
        "gripper_open_m": gripper.open_m if gripper else None,
        "gripper_closed_m": gripper.closed_m if gripper else None,
    }


class OnnxPolicy:
    """An exported policy through onnxruntime: ``policy(observations)`` gives actions, (N, O) -> (N, A).

    ``model`` is a file or the content of one.
    """

    def __init__(self, model: Path | bytes) -> None:
        self._session = _session(model)
        self._others = [i for i in self._session.get_inputs() if i.name != "observations"]

    def __call__(self, observations: Tensor) -> Tensor:
        """Actions on the observations' device; joint inputs, which they do not depend on, are fed zeros."""
        feeds = {"observations": observations.cpu().numpy()}
        for other in self._others:
            feeds[other.name] = np.zeros((len(observations), other.shape[1]), dtype=np.float32)
        return torch.from_numpy(self._session.run(["actions"], feeds)[0]).to(observations.device)


def export_onnx(
    policy: nn.Module,
    observations: Tensor,
    path: Path,
    tolerance: float,
    metadata: Mapping[str, str],
    joints: JointTargets | None = None,
) -> float:
    """Write ``policy`` to ``path`` and check it on recorded ``observations``, (N, O) with N >= 1.

    Returns the largest absolute difference between the graph and the module over batches of 1, 3 and N.
    Raises ExportMismatch, leaving no file, when it exceeds ``tolerance`` or is not a number.
    """
    policy = copy.deepcopy(policy).eval().cpu()
    observations = observations.float().cpu()
    module, feeds = deployed(policy, observations, joints)
    try:
        _write(module, feeds, path, metadata)
        difference = largest_difference(policy, joints, feeds, _runner(path))
        check_difference(path.name, difference, tolerance, len(observations))
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return difference


def deployed(
    policy: nn.Module, observations: Tensor, joints: JointTargets | None
) -> tuple[nn.Module, dict[str, Tensor]]:
    """What is exported, and inputs by name to check it with: the recorded observations, joints anywhere."""
    module = policy if joints is None else _JointTargetPolicy(policy, joints)
    return module, _example(observations, joints)


class _JointTargetPolicy(nn.Module):
    """The policy, then what the environment does with its actions."""

    def __init__(self, policy: nn.Module, joints: JointTargets) -> None:
        super().__init__()
        self.policy = policy
        self._compute = joints.compute

    def forward(
        self, observations: Tensor, joint_positions: Tensor, previous_targets: Tensor
    ) -> tuple[Tensor, Tensor]:
        """(N, O), (N, R), (N, R) -> actions (N, A) and joint targets (N, R)."""
        actions = self.policy(observations)
        return actions, self._compute(actions, joint_positions, previous_targets)


def _example(observations: Tensor, joints: JointTargets | None) -> dict[str, Tensor]:
    """Inputs to check with: the recorded observations and joints anywhere between their limits."""
    if joints is None:
        return {"observations": observations}
    generator = torch.Generator().manual_seed(0)
    lower, upper = joints.limits[:, 0].clamp(min=-10.0), joints.limits[:, 1].clamp(max=10.0)

    def anywhere() -> Tensor:
        return lower + torch.rand(len(observations), len(lower), generator=generator) * (upper - lower)

    return {"observations": observations, "joint_positions": anywhere(), "previous_targets": anywhere()}


def _write(module: nn.Module, feeds: Mapping[str, Tensor], path: Path, metadata: Mapping[str, str]) -> None:
    import onnx

    batch = torch.export.Dim("batch")
    rows = [_batch(tensor, 2) for tensor in feeds.values()]
    with _quiet():
        torch.onnx.export(
            module,
            tuple(rows),
            str(path),
            input_names=list(feeds),
            output_names=["actions", "joint_targets"][: 1 if len(feeds) == 1 else 2],
            dynamic_shapes=tuple({0: batch} for _ in rows),
            opset_version=OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    model = onnx.load(str(path))
    onnx.helper.set_model_props(model, dict(metadata))
    onnx.save(model, str(path))


def largest_difference(
    policy: nn.Module,
    joints: JointTargets | None,
    feeds: Mapping[str, Tensor],
    run: Callable[[dict[str, Tensor]], Sequence[Tensor]],
) -> float:
    """Between ``run`` and the module, over batches of 1, 3 and all rows; NaN when either gives one."""
    worst = 0.0
    for size in (1, 3, len(feeds["observations"])):
        batch = {name: _batch(tensor, size) for name, tensor in feeds.items()}
        with torch.no_grad():
            answers = run(batch)
            expected = [policy(batch["observations"])]
            if joints is not None:
                # From the export's own actions: a binary gripper may rightly fall either side of zero.
                expected.append(
                    joints.compute(answers[0], batch["joint_positions"], batch["previous_targets"])
                )
        for answer, tensor in zip(answers, expected, strict=True):
            with np.errstate(invalid="ignore"):
                worst = float(np.maximum(worst, np.abs(answer.numpy() - tensor.numpy()).max()))
    return worst


def check_difference(file: str, difference: float, tolerance: float, rows: int) -> None:
    """Raises ExportMismatch when a difference exceeds the tolerance or is not a number."""
    if not difference <= tolerance:
        raise ExportMismatch(
            f"{file}: the exported policy differs from the trained one by {difference:.3g} on "
            f"{rows} recorded observations; evaluation.onnx_tolerance is {tolerance:.3g}. "
            "Nothing was exported. Are there observations or weights of extreme size?"
        )


def _batch(tensor: Tensor, size: int) -> Tensor:
    """``size`` rows, repeating from the start when there are fewer."""
    return tensor[torch.arange(size) % len(tensor)]


def read_metadata(path: Path) -> dict[str, str]:
    """What an exported graph says of itself. Raises ConfigError for a file that is no graph."""
    try:
        return dict(_session(path).get_modelmeta().custom_metadata_map)
    except Exception as error:  # onnxruntime has kinds of its own for a damaged file
        raise ConfigError(f"{path} is no ONNX graph, or is damaged: {str(error).splitlines()[0]}") from error


def _runner(path: Path) -> Callable[[dict[str, Tensor]], list[Tensor]]:
    session = _session(path)

    def run(batch: dict[str, Tensor]) -> list[Tensor]:
        answers = session.run(None, {name: tensor.numpy() for name, tensor in batch.items()})
        return [torch.from_numpy(answer) for answer in answers]

    return run


def _session(model: Path | bytes) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(
        model if isinstance(model, bytes) else str(model), options, providers=["CPUExecutionProvider"]
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """The exporter warns about its own internals and about torchvision, which is not needed."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
