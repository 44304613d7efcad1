"""The Ray that an experiment runs on: a private one on this machine, or a cluster the user names."""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import shutil
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any

from blueprint_tune.config.schema import ClusterConfig
from blueprint_tune.errors import ConfigError

OBJECT_STORE_BYTES = 200 * 2**20
"""Only configs and checkpoints of a few megabytes pass through Ray's object store."""
_TEMP_PREFIX = "bt-ray-"


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

    def __init__(self, cluster: ClusterConfig, log: Path, min_cpus: int = 1) -> None:
        """``log`` receives what Ray and Tune have to say; ``min_cpus`` is what the largest trial needs."""
        self._cluster, self._log, self._min_cpus = cluster, log, min_cpus
        self._temp: Path | None = None
        self._started = False
        self._set: list[str] = []

    def __enter__(self) -> RaySession:
        """Start nothing yet."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Shut down the Ray that :meth:`start` started, if it did."""
        if self._started:
            import ray

            ray.shutdown()
            self._started = False
        if self._temp is not None:
            shutil.rmtree(self._temp, ignore_errors=True)
        for name in self._set:
            os.environ.pop(name, None)

    def start(self) -> int:
        """Connect (at most once) and return the number of CPUs Ray may hand out.

        Raises ConfigError if the named cluster does not answer.
        """
        self._environment()
        import ray

        if not ray.is_initialized():
            self._init()
            self._started = True
        quieten(self._log)
        return int(ray.cluster_resources().get("CPU", 0))

    def _environment(self) -> None:
        """Settings that Ray reads from the environment, at import or in its workers."""
        settings = {
            "RAY_AIR_NEW_OUTPUT": "0",
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_CHDIR_TO_TRIAL_DIR": "0",
            "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
            "TUNE_GLOBAL_CHECKPOINT_S": "1",
            "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
            "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
        }
        if self._cluster.address is None:
            # Ray 2.60 authenticates with a token, which it would leave in the home folder.
            settings["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
        for name, value in settings.items():
            if name not in os.environ:
                os.environ[name] = value
                self._set.append(name)

    def _init(self) -> None:
        import ray

        options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
        if self._cluster.address is None:
            cpus = max(self._cluster.num_cpus or available_cpus(), self._min_cpus)
            self._temp = _temp_dir()
            # An explicit "local": without it Ray may join any cluster it finds on the machine.
            options |= {
                "address": "local",
                "num_cpus": cpus,
                "include_dashboard": False,
                "object_store_memory": OBJECT_STORE_BYTES,
                "_temp_dir": str(self._temp),
            }
        else:
            options["address"] = self._cluster.address
        try:
            ray.init(**options)
        except (ConnectionError, ValueError, RuntimeError) as error:
            if self._cluster.address is None:
                raise
            raise ConfigError(
                f"cluster.address={self._cluster.address}: no Ray cluster answers there "
                f"({str(error).splitlines()[0]}). Leave cluster.address out to run on this machine."
            ) from error


def quieten(log: Path) -> None:
    """Send what Ray's and Tune's Python loggers say to a file instead of the terminal."""
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
