"""What trials are given: of one machine, of several, of cards shared or had alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from blueprint_tune.config.compose import compose
from blueprint_tune.config.schema import ExperimentConfig
from blueprint_tune.errors import ConfigError
from blueprint_tune.tuning.folder import ExperimentFolder
from blueprint_tune.tuning.resources import Shape, check_saved, min_cpus, save_shape, saved_shape, shape
from blueprint_tune.tuning.session import Machines, Node, one_machine

New = Callable[..., ExperimentConfig]


def cluster(*nodes: Node) -> Machines:
    return Machines(nodes, nodes[0])


@pytest.mark.parametrize(
    ("trials", "machines", "settings", "expected"),
    [
        (1, one_machine(8), (), Shape(8.0, 1, 8)),
        (20, one_machine(8), (), Shape(1.0, 8, 1)),
        (2, one_machine(8), (), Shape(4.0, 2, 4)),
        (20, one_machine(8), ("sweep.resources.cpus=2",), Shape(2.0, 4, 2)),
        (20, one_machine(8), ("sweep.concurrent_trials=3",), Shape(2.0, 3, 2)),
        (20, one_machine(2), ("sweep.resources.cpus=0.5",), Shape(0.5, 4, 1)),
        # a process lies on one node: neither 24 CPUs for one trial, nor 12 for each of two
        (1, cluster(Node(16), Node(8)), (), Shape(16.0, 1, 16)),
        (2, cluster(Node(16), Node(8)), (), Shape(8.0, 2, 8)),
        (9, cluster(Node(0), Node(4), Node(4)), (), Shape(1.0, 8, 1)),
        # ranks: each has its CPUs, the trial has all of them, and they may lie on several nodes
        (1, one_machine(8), ("sweep.resources.ranks=2",), Shape(8.0, 1, 4, 2)),
        (20, one_machine(8), ("sweep.resources={ranks: 2, cpus: 1}",), Shape(2.0, 4, 1, 2)),
        (20, one_machine(7), ("sweep.resources.ranks=2",), Shape(2.0, 3, 1, 2)),
        (1, cluster(Node(4), Node(4)), ("sweep.resources.ranks=2",), Shape(8.0, 1, 4, 2)),
        # cards: a rank for each, or several trials on one
        (20, one_machine(16, 4), ("sweep.resources={gpus: 2}",), Shape(8.0, 2, 4, 2, 2.0)),
        (20, one_machine(16, 2), ("sweep.resources={gpus: 0.5}",), Shape(4.0, 4, 4, 1, 0.5)),
        (20, one_machine(16, 2), ("sweep.resources={gpus: 0.4}",), Shape(4.0, 4, 4, 1, 0.4)),
        (20, one_machine(2, 4), ("sweep.resources={gpus: 0.5}",), Shape(1.0, 2, 1, 1, 0.5)),
        (
            1,
            cluster(Node(8), Node(4, 1), Node(4, 1)),
            ("sweep.resources={gpus: 2}",),
            Shape(8.0, 1, 4, 2, 2.0),
        ),
    ],
)
def test_trials_share_what_there_is(
    config: New, trials: int, machines: Machines, settings: tuple[str, ...], expected: Shape
) -> None:
    found = shape(config(*settings), trials, machines)
    assert found == expected
    assert found.concurrent * found.cpus_per_trial <= machines.cpus, "never more than there is"
    assert sum(bundle["CPU"] for bundle in found.bundles) == found.cpus_per_trial
    assert sum(bundle.get("GPU", 0) for bundle in found.bundles) == found.gpus_per_trial


@pytest.mark.parametrize(
    ("machines", "settings", "said"),
    [
        (
            one_machine(2),
            ("sweep.resources.cpus=3",),
            "asks for sweep.resources.cpus=3; Ray has 2 CPUs and 0 GPUs",
        ),
        (
            cluster(Node(16), Node(8)),
            ("sweep.resources.cpus=20",),
            "24 CPUs.* on 2 nodes .at most 16 CPUs on one",
        ),
        (
            one_machine(8, 1),
            ("sweep.resources.gpus=2",),
            "1 CPU for each of its 2 ranks and .*gpus=2; .*1 GPUs",
        ),
        (one_machine(8), ("sweep.resources.gpus=0.5",), "gpus=0.5; Ray has 8 CPUs and 0 GPUs"),
        (one_machine(1), ("sweep.resources.ranks=2",), "1 CPU for each of its 2 ranks; Ray has 1 CPUs"),
        (one_machine(4), ("sweep.concurrent_trials=5",), "concurrent_trials=5: only 4 at once have room"),
    ],
)
def test_more_than_there_is_is_refused_with_what_there_is(
    config: New, machines: Machines, settings: tuple[str, ...], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        shape(config(*settings), 20, machines)


def test_of_a_cluster_that_grows_nothing_is_refused_and_nothing_guessed(config: New) -> None:
    grows = ("cluster.address=auto", "cluster.grows=true")
    named = (*grows, "sweep.resources={cpus: 4, gpus: 1}", "sweep.concurrent_trials=16")
    assert shape(config(*named), 20, cluster(Node(0))) == Shape(4.0, 16, 4, 1, 1.0)
    with pytest.raises(ConfigError, match="Name sweep.resources.cpus and sweep.concurrent_trials"):
        shape(config(*grows), 20, cluster(Node(0)))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (("sweep.resources.ranks=3",), "backend.num_envs=32 cannot be split among the 3 ranks.*num_envs=33"),
        (("sweep.resources.ranks=32", "agent.rollouts=6"), "mini_batches=4 does not divide a rank's rollout"),
        (("sweep.resources.gpus=1.5",), "neither a whole number nor a share of one card. Use 1 or 2"),
        (("sweep.resources={gpus: 2, ranks: 4}",), "ranks=4 does not go with sweep.resources.gpus=2"),
        (("sweep.resources={gpus: 0.5, ranks: 2}",), "one rank for each GPU"),
        (("agent.device=cuda",), "the trials are given none. Add sweep.resources.gpus=1"),
        (("sweep.resources.gpu=1",), "Did you mean 'sweep.resources.gpus'"),
    ],
)
def test_what_cannot_work_is_refused_when_composed(settings: tuple[str, ...], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        compose(["+scene=kitchen_001", "preset=smoke", *settings])


def test_a_resumed_search_keeps_its_share_or_says_that_it_cannot(tmp_path: Path) -> None:
    folder = ExperimentFolder(tmp_path)
    fit = Shape(6.0, 1, 3, 2, 2.0)
    save_shape(folder, fit)
    assert saved_shape(folder) is None and min_cpus(folder) == 1, "no trial has begun"
    folder.trials.mkdir()
    (folder.trials / "tuner.pkl").touch()
    (folder.trials / "experiment_state-1.json").touch()
    assert saved_shape(folder) == fit and min_cpus(folder) == 6
    check_saved(fit, cluster(Node(3, 1), Node(3, 1)))
    with pytest.raises(
        ConfigError, match="gave each trial 6 CPUs and 2 GPUs on 2 ranks; Ray has 6 CPUs and 1 GPUs"
    ):
        check_saved(fit, one_machine(6, 1))
