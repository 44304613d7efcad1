"""Starting Ray, without starting it: what is checked and cleaned up around it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from blueprint_tune.config.schema import ClusterConfig
from blueprint_tune.errors import ConfigError
from blueprint_tune.tuning import session
from blueprint_tune.tuning.session import Lent, Machines, Node, RaySession, available_cpus, one_machine


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize("prefix", ["", "ray://"])
def test_a_cluster_that_does_not_answer_is_a_sentence(tmp_path: Path, prefix: str) -> None:
    # in a process of its own: the tests' shared Ray may be connected in this one
    code = (
        "from pathlib import Path\n"
        "from blueprint_tune.config.schema import ClusterConfig\n"
        "from blueprint_tune.errors import ConfigError\n"
        "from blueprint_tune.tuning.session import RaySession\n"
        f"cluster = ClusterConfig('{prefix}127.0.0.1:{free_port()}', None)\n"
        f"with RaySession(cluster, Path('{tmp_path}/log')) as s:\n"
        "    try: s.start()\n"
        "    except ConfigError as error: print(error)\n"
    )
    env = {**os.environ, "PYTHONPATH": session._PACKAGE_ROOT}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, check=True)
    assert "no Ray cluster answers there" in done.stdout and "Leave cluster.address out" in done.stdout


def test_processes_of_a_run_get_the_runtime_environment(tmp_path: Path) -> None:
    code = (
        "import os, ray\n"
        "from pathlib import Path\n"
        "from blueprint_tune.config.schema import ClusterConfig\n"
        "from blueprint_tune.tuning.session import RaySession\n"
        "cluster = ClusterConfig(None, 1, runtime_env={'env_vars': {'GREETING': 'hello'}})\n"
        f"with RaySession(cluster, Path('{tmp_path}/log')) as s:\n"
        "    s.start()\n"
        "    print(ray.get(ray.remote(lambda: os.environ.get('GREETING')).remote()))\n"
    )
    env = {**os.environ, "PYTHONPATH": session._PACKAGE_ROOT}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, check=True)
    assert done.stdout.split() == ["hello"]


def test_what_a_private_ray_has_is_known_before_it_starts(tmp_path: Path) -> None:
    def machine(cluster: ClusterConfig, least: int = 1) -> Machines | None:
        return RaySession(cluster, tmp_path / "log", least).private

    assert machine(ClusterConfig(None, None)) == one_machine(available_cpus())
    assert machine(ClusterConfig(None, 3, num_gpus=2)) == one_machine(3, 2)
    assert machine(ClusterConfig(None, 3), least=8) == one_machine(8), "a resumed trial keeps its CPUs"
    assert machine(ClusterConfig("10.0.0.1:6379", None)) is None
    lent = RaySession(ClusterConfig(None, 8), tmp_path / "log", lent=Lent("10.0.0.1:6379", 2))
    assert lent.private == one_machine(2), "no more than the batch lends"


def test_a_lent_share_is_of_the_nodes_with_cards_first() -> None:
    machines = Machines((Node(4), Node(8, 1), Node(2)), Node(4))
    assert machines.within(10) == Machines((Node(8, 1), Node(2), Node(0)), Node(4))
    assert machines.within(3) == Machines((Node(3, 1), Node(0), Node(0)), Node(3))
    assert machines.within(99).cpus == 14


def test_the_environment_is_left_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "/mine")
    monkeypatch.setenv("TUNE_GLOBAL_CHECKPOINT_S", "7")
    monkeypatch.delenv("RAY_AIR_NEW_OUTPUT", raising=False)
    with RaySession(ClusterConfig(None, 1), tmp_path / "log") as it:
        it._set_environment(session._TUNE_SETTINGS)
        it._set_environment({"PYTHONPATH": "/ours"}, override=True)
        assert os.environ["RAY_AIR_NEW_OUTPUT"] == "0" and os.environ["PYTHONPATH"] == "/ours"
        assert os.environ["TUNE_GLOBAL_CHECKPOINT_S"] == "7", "what the user has set counts"
    assert "RAY_AIR_NEW_OUTPUT" not in os.environ and os.environ["PYTHONPATH"] == "/mine"


def test_temporary_folders_are_short_and_those_of_dead_processes_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session.tempfile, "gettempdir", lambda: str(tmp_path / ("x" * 60)))
    made = session._temp_dir()
    made.rmdir()
    assert len(str(made)) < 40, "Ray's sockets must fit 107 characters"
    short = Path("/tmp") / f"t{os.getpid()}"
    short.mkdir()
    try:
        monkeypatch.setattr(session.tempfile, "gettempdir", lambda: str(short))
        (short / "bt-ray-999999999-x").mkdir()
        (short / f"bt-ray-{os.getpid()}-x").mkdir()
        made = session._temp_dir()
        assert sorted(p.name for p in short.iterdir()) == sorted([f"bt-ray-{os.getpid()}-x", made.name])
    finally:
        for folder in short.iterdir():
            folder.rmdir()
        short.rmdir()


def test_an_address_without_a_port_is_left_to_ray() -> None:
    session._check_answers("auto")
    with pytest.raises(ConfigError, match="no Ray cluster answers"):
        session._check_answers(f"127.0.0.1:{free_port()}")


def test_a_driver_outside_the_cluster_is_told_how_to_get_in() -> None:
    with pytest.raises(
        ConfigError, match=r"runs on a node of the cluster.*cluster\.address=auto.*ray job submit"
    ):
        session._refuse_remote_driver("ray://10.0.0.1:10001")
    session._refuse_remote_driver("10.0.0.1:6379")
