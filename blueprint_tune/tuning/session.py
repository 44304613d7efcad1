"""The Ray that an experiment runs on: a private one on this machine, or a cluster the user names."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import secrets
import shutil
import socket
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

from blueprint_tune.config.schema import ClusterConfig
from blueprint_tune.errors import BlueprintTuneError, ConfigError
from blueprint_tune.tuning.lifeline import Lifeline

_AUTH_TOKEN = secrets.token_hex(32)
"""One for the life of the process: Ray keeps the first it was given, also for a later private Ray."""
OBJECT_STORE_BYTES = 200 * 2**20
"""Only configs and checkpoints of a few megabytes pass through Ray's object store."""
_TUNE_SETTINGS = {
    "RAY_AIR_NEW_OUTPUT": "0",  # its tables would fill the terminal
    "TUNE_GLOBAL_CHECKPOINT_S": "1",  # after kill -9 finished trials are still finished
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # reports are written by our own callback
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
}
_RAY_SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",  # relative paths mean the same in a trial
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_worker_register_timeout_seconds": "300",  # a busy machine is slow, not broken
}
_PACKAGE_ROOT = str(Path(__file__).resolve().parents[2])
_TEMP_PREFIX = "bt-ray-"
_AGAIN = "The same command again goes on from there."


class Node(NamedTuple):
    """What Ray may hand out on one machine."""

    cpus: int
    gpus: int = 0


class Machines(NamedTuple):
    """The machines that Ray runs on; ``home`` is this process's, where the experiment's folder is."""

    nodes: tuple[Node, ...]
    home: Node

    @property
    def cpus(self) -> int:
        """Of all nodes."""
        return sum(node.cpus for node in self.nodes)

    def within(self, cpus: int) -> Machines:
        """As many of the CPUs, those beside GPUs first; GPUs are shared with whoever else runs here."""
        nodes, left = list[Node](), cpus
        for node in sorted(self.nodes, key=lambda n: (-n.gpus, -n.cpus)):
            nodes.append(Node(min(node.cpus, left), node.gpus))
            left -= nodes[-1].cpus
        return Machines(tuple(nodes), Node(min(self.home.cpus, cpus), self.home.gpus))

    def __str__(self) -> str:
        gpus = sum(node.gpus for node in self.nodes)
        where = f" on {len(self.nodes)} nodes (at most {max(n.cpus for n in self.nodes)} CPUs on one)"
        return f"Ray has {self.cpus} CPUs and {gpus} GPUs{where if len(self.nodes) > 1 else ''}"


def one_machine(cpus: int, gpus: int = 0) -> Machines:
    """What a private Ray runs on."""
    return Machines((Node(cpus, gpus),), Node(cpus, gpus))


class Lent(NamedTuple):
    """A share of a running Ray: where it answers, and the CPUs of it that an experiment may use."""

    address: str
    cpus: int


def available_cpus() -> int:
    """CPUs this process may use: its affinity, and a container's quota where there is one."""
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with contextlib.suppress(OSError, ValueError):
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        cpus = min(cpus, max(1, int(quota) // int(period)))
    return cpus


class RaySession:
    """Starts Ray on first use and stops what it started, and nothing else.

    A Ray that this process is connected to already (a user's own program, a test session) is used
    as it is and left running.
    """

    def __init__(
        self,
        cluster: ClusterConfig,
        log: Path,
        min_cpus: int = 1,
        go_on: str = _AGAIN,
        lent: Lent | None = None,
    ) -> None:
        """``log`` receives what Ray and Tune have to say; ``min_cpus`` is what the largest trial needs.

        ``go_on``: what the user is told if a private Ray dies. ``lent``: the share of a Ray that a batch
        started, used instead of what ``cluster`` says.
        """
        self._cluster, self._log, self._min_cpus, self._go_on = cluster, log, min_cpus, go_on
        self._lifeline: Lifeline | None = None
        self._lent = lent
        if lent is not None:
            self._cluster = dataclasses.replace(cluster, address=lent.address)
        self._temp: Path | None = None
        self._started = False
        self._handler: logging.Handler | None = None
        self._before: dict[str, str | None] = {}

    def __enter__(self) -> RaySession:
        """Start nothing yet."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Shut down the Ray that :meth:`start` started, if it did."""
        if self._lifeline is not None:
            self._lifeline.cut()
            self._lifeline = None
        if self._started:
            import ray

            ray.shutdown()
            self._started = False
        if self._temp is not None:
            shutil.rmtree(self._temp, ignore_errors=True)
        if self._handler is not None:
            logging.getLogger("ray").removeHandler(self._handler)
            self._handler.close()
        for name, before in self._before.items():
            if before is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = before

    @property
    def private(self) -> Machines | None:
        """What a private Ray will have, or a batch lends; None for a cluster, which has to be asked.

        GPUs are those that are named.
        """
        cluster = self._cluster
        if self._lent is not None:
            return one_machine(self._lent.cpus, cluster.num_gpus or 0)
        if cluster.address is not None:
            return None
        return one_machine(max(cluster.num_cpus or available_cpus(), self._min_cpus), cluster.num_gpus or 0)

    def start(self) -> Machines:
        """Connect (at most once) and return what Ray may hand out.

        Raises ConfigError if the named cluster does not answer, BlueprintTuneError if a private Ray
        fails to start.
        """
        import ray

        self._set_environment(_TUNE_SETTINGS)
        if not ray.is_initialized():
            self._init()
            self._started = True
        if self._handler is None:
            self._handler = quieten(self._log)
        nodes = {
            node["NodeID"]: Node(int(node["Resources"].get("CPU", 0)), int(node["Resources"].get("GPU", 0)))
            for node in ray.nodes()
            if node["Alive"]
        }
        machines = Machines(tuple(nodes.values()), nodes[ray.get_runtime_context().get_node_id()])
        return machines if self._lent is None else machines.within(self._lent.cpus)

    def lend(self, cpus: int) -> Lent:
        """A share of this session's Ray for another process on this machine."""
        import ray

        address = self._cluster.address or ray.get_runtime_context().gcs_address
        return Lent(address, cpus)

    def _set_environment(self, settings: Mapping[str, str], override: bool = False) -> None:
        """Set what the user has not set, until the session ends."""
        for name, value in settings.items():
            if override or name not in os.environ:
                self._before.setdefault(name, os.environ.get(name))
                os.environ[name] = value

    def _init(self) -> None:
        import ray

        options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
        if self._cluster.runtime_env:
            options["runtime_env"] = self._cluster.runtime_env
        self._set_environment(_RAY_SETTINGS)
        if self._cluster.address is None:
            # Ray 2.60 authenticates with a token, which it would leave in the home folder.
            self._set_environment({"RAY_AUTH_TOKEN": _AUTH_TOKEN})
            # Workers start elsewhere and must find this package, also in a checkout that is not installed.
            path = [_PACKAGE_ROOT, *filter(None, [os.environ.get("PYTHONPATH")])]
            self._set_environment({"PYTHONPATH": os.pathsep.join(path)}, override=True)
            self._temp = _temp_dir()
            # An explicit "local": without it Ray may join any cluster it finds on the machine.
            options |= {
                "address": "local",
                "num_cpus": self.private.home.cpus if self.private else None,
                "num_gpus": self._cluster.num_gpus,
                "include_dashboard": False,
                "object_store_memory": OBJECT_STORE_BYTES,
                "_temp_dir": str(self._temp),
            }
        else:
            _check_answers(self._cluster.address)
            _refuse_remote_driver(self._cluster.address)
            options["address"] = self._cluster.address
        try:
            ray.init(**options)
        except Exception as error:  # Ray raises its own, built-in and bare ones
            if self._cluster.address is None:
                raise BlueprintTuneError(
                    f"Ray did not start: {error}\nIs the machine very busy, or out of memory or disk space? "
                    f"Its temporary files go to {self._temp}."
                ) from error
            raise _no_cluster(self._cluster.address, error) from error
        _silence_raylet()
        if self._cluster.address is None:
            self._lifeline = Lifeline(self._go_on)


def _silence_raylet() -> None:
    """Ray prints a page for each process that dies, whatever its log level; the search tells what died."""
    with contextlib.suppress(ImportError, AttributeError):
        from ray._private.ray_logging import global_worker_stdstream_dispatcher

        global_worker_stdstream_dispatcher.remove_handler("ray_print_logs")


def _check_answers(address: str) -> None:
    """Ray itself would try for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdigit():
        return  # "auto", or a form that Ray may know
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except OSError as error:
        raise _no_cluster(address, error) from error


def _refuse_remote_driver(address: str) -> None:
    """Through Ray Client this process would be on no node, and its folder on none."""
    if address.startswith("ray://"):
        raise ConfigError(
            f"cluster.address={address}: an experiment runs on a node of the cluster, because it evaluates "
            "the best policy and writes its folder there. Start it on the head, with cluster.address=auto, "
            "or submit it: ray job submit --address http://HEAD:8265 -- blueprint-tune … cluster.address=auto"
        )


def _no_cluster(address: str, error: Exception) -> ConfigError:
    why = (str(error) or type(error).__name__).splitlines()[0]
    return ConfigError(
        f"cluster.address={address}: no Ray cluster answers there ({why}). "
        "Leave cluster.address out to run on this machine."
    )


def quieten(log: Path) -> logging.Handler:
    """Send what Ray's and Tune's loggers say to a file instead of the terminal; returns the handler."""
    logger = logging.getLogger("ray")
    handler = logging.FileHandler(log, delay=True)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    for old in logger.handlers[:]:
        logger.removeHandler(old)
    logger.addHandler(handler)
    logger.setLevel(logging.WARNING)
    logger.propagate = False
    for name in [n for n in logging.root.manager.loggerDict if n.startswith("ray.")]:
        logging.getLogger(name).setLevel(logging.WARNING)
    return handler


def _temp_dir() -> Path:
    """A short path of our own (Ray's sockets live in it); those of dead processes are removed."""
    root = Path(tempfile.gettempdir())
    if len(str(root)) > 30:
        root = Path("/tmp")
    for old in root.glob(f"{_TEMP_PREFIX}*"):
        pid = old.name.removeprefix(_TEMP_PREFIX).split("-")[0]
        if pid.isdigit() and not _alive(int(pid)):
            shutil.rmtree(old, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"{_TEMP_PREFIX}{os.getpid()}-", dir=root))


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
