"""What a population changes and who copies whom."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from types import SimpleNamespace

import pytest
from ray import cloudpickle, tune
from ray.tune.schedulers import PopulationBasedTraining

from blueprint_tune.tuning.population import copying_the_better, mutations, within


@dataclass(frozen=True)
class Member:
    """As much of a trial as Ray asks when it ranks a population."""

    number: int

    def is_finished(self) -> bool:
        return False


def test_numbers_stay_in_their_range_and_choices_become_lists() -> None:
    space = {
        "rate": tune.loguniform(1e-4, 1e-2),
        "epochs": tune.randint(3, 9),
        "discount": tune.choice([0.9, 0.95, 0.99]),
    }
    made = mutations(space, ["hyperparam_mutations", "custom_explore_fn"])
    assert made["hyperparam_mutations"]["discount"] == [0.9, 0.95, 0.99]
    explore = made["custom_explore_fn"]
    sample = {"rate": 0.012, "epochs": 10, "discount": 0.99}
    assert explore(sample) == {"rate": 1e-2, "epochs": 8, "discount": 0.99}
    assert explore({"rate": 1e-5, "epochs": 2}) == {"rate": 1e-4, "epochs": 3}
    assert pickle.loads(pickle.dumps(explore))(sample) == explore(sample)
    bounds = mutations({"rate": space["rate"]}, ["hyperparam_bounds"])
    assert bounds["hyperparam_bounds"] == {"rate": [1e-4, 1e-2]}


def test_what_has_no_range_is_left_alone() -> None:
    assert within({}, {"a": 3}) == {"a": 3}


@pytest.mark.parametrize(
    ("scores", "bottom", "top"),
    [
        ([0.0, 0.0, 0.0, 0.0], [], [3]),
        ([0.0, 0.0, 0.0, 0.1], [0], [3]),
        ([0.5, 0.2, 0.9, 0.4], [1], [2]),
        ([0.3], [], []),
    ],
)
def test_nobody_copies_an_equal(scores: list[float], bottom: list[int], top: list[int]) -> None:
    """Ray has the first of equals copy the last one, each time, while none has learned anything."""
    scheduler = copying_the_better(PopulationBasedTraining)(
        metric="m", mode="max", hyperparam_mutations={"a": [1, 2]}
    )
    trials = [Member(k) for k in range(len(scores))]
    scheduler._trial_state = {t: SimpleNamespace(last_score=s) for t, s in zip(trials, scores)}
    found = [[t.number for t in part] for part in scheduler._quantiles()]
    assert found == [bottom, top]


def test_it_survives_being_written_down() -> None:
    scheduler = copying_the_better(PopulationBasedTraining)(hyperparam_mutations={"a": [1, 2]})
    again = cloudpickle.loads(cloudpickle.dumps(scheduler))
    assert isinstance(again, PopulationBasedTraining) and again._quantiles() == ([], [])
