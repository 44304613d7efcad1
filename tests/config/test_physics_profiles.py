"""Upstream's physics profiles, value by value (physics_profiles.json), and where each value went."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest

from blueprint_tune.config import paths
from blueprint_tune.config.compose import compose

FIELDS = (
    "dt_s",
    "substeps",
    "solver_iterations",
    "solver_type",
    "enable_gyroscopic_forces",
    "enable_stabilization",
    "contact_offset_m",
    "rest_offset_m",
    "bounce_threshold_velocity_mps",
    "friction_offset_threshold_m",
    "friction_correlation_distance_m",
)
"""Upstream's ``simulation`` and ``contact``, in its order."""
RANGES = ("dt_jitter_range_s", "solver_iteration_range", "contact_offset_range_m", "friction_scale_range")
"""Upstream's ``randomization``, in its order."""
PROFILES: dict[str, tuple[tuple[Any, ...], tuple[list[float], ...]]] = {
    "manipulation_contact_rich": (
        (0.004, 4, 32, "TGS", True, True, 0.005, 0.001, 0.2, 0.02, 0.025),
        ([0.003, 0.005], [24, 40], [0.003, 0.008], [0.8, 1.2]),
    ),
    "manipulation_standard": (
        (0.008, 2, 16, "TGS", True, True, 0.005, 0.001, 0.5, 0.04, 0.025),
        ([0.006, 0.012], [12, 24], [0.003, 0.008], [0.85, 1.15]),
    ),
    "navigation": (
        (0.016, 1, 8, "PGS", False, False, 0.01, 0.002, 2.0, 0.1, 0.05),
        ([0.012, 0.020], [4, 12], [0.005, 0.015], [0.7, 1.3]),
    ),
    "vision_only": (
        (0.033, 1, 4, "PGS", False, False, 0.02, 0.005, 5.0, 0.2, 0.1),
        ([0.025, 0.050], [2, 8], [0.01, 0.03], [0.5, 1.5]),
    ),
    "deformable": (
        (0.002, 8, 48, "TGS", True, True, 0.003, 0.0005, 0.1, 0.01, 0.015),
        ([0.0015, 0.003], [32, 64], [0.002, 0.005], [0.9, 1.1]),
    ),
}
SOLVER_META_RANDOMIZATION = {
    "dt_noise_ratio": 0.15,
    "solver_iteration_noise": 4,
    "contact_offset_noise_ratio": 0.3,
    "friction_combine_modes": ["average", "min", "multiply"],
    "restitution_combine_modes": ["average", "min", "multiply"],
}
"""Upstream's ``parameters``. Its ``enabled`` is whether a policy has an event of kind ``solver``; its
``randomize_per: episode`` is how every event is drawn."""
OURS = {"name", "impratio", "mujoco_solver", "randomization"}
CHOSEN = {"precision_insertion": "manipulation_contact_rich", "laundry_sorting": "deformable"}


def test_every_profile_of_upstream_ships_and_no_other() -> None:
    assert paths.group_options("physics") == sorted(PROFILES)


@pytest.mark.parametrize("name", PROFILES)
def test_values_are_upstreams(name: str) -> None:
    found = asdict(compose(["+scene=kitchen_001", f"physics={name}"]).physics)
    values, ranges = PROFILES[name]
    assert {field: found[field] for field in FIELDS} == dict(zip(FIELDS, values, strict=True))
    assert found["name"] == name and set(found) == {*FIELDS, *OURS}
    expected = dict(zip(RANGES, ranges, strict=True)) | {"solver_noise": SOLVER_META_RANDOMIZATION}
    assert found["randomization"] == expected


@pytest.mark.parametrize("policy", paths.group_options("policy"))
def test_policies_choose_the_profile_that_upstreams_rules_choose(policy: str) -> None:
    """Insertion: contact rich; cloth: deformable; anything that does not drive, see or fold: standard."""
    config = compose(["+scene=kitchen_001", f"policy={policy}", "robot=fetch", "robot.base=planar"])
    assert config.physics.name == CHOSEN.get(policy, "manipulation_standard")


def test_randomisation_is_switched_on_from_the_command_line() -> None:
    """The ways that the policy files' comments name."""
    config = compose(
        [
            "+scene=kitchen_001",
            "policy=drawer_manipulation",
            "+policy.events.solver={kind: solver}",
            "+policy.events.delay={kind: action_delay, steps: [0, 2]}",
            "+policy.events.seen={kind: observation_delay, steps: [0, 1]}",
        ]
    )
    assert config.policy.events["solver"] == {"kind": "solver"}
    assert config.policy.events["delay"] == {"kind": "action_delay", "steps": [0, 2]}
    assert list(config.policy.events) == ["drawer_state", "solver", "delay", "seen"]
