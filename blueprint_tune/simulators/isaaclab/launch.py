"""Starts Isaac Sim, once a process and before anything else of Isaac Lab is imported.

``SimulationApp.close()`` is never called: it is known to hang, and to end the process with status 0 whatever
has happened (isaac-sim/IsaacLab issues 3288, 3475, 3782). The app lives as long as its process.
"""

from __future__ import annotations

import atexit
import contextlib
import faulthandler
import math
import os
import signal
import sys
import threading
from importlib.util import find_spec
from typing import Any

from blueprint_tune.config.schema import ExperimentConfig
from blueprint_tune.errors import BackendUnavailable, SimulatorError

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGABRT, signal.SIGSEGV)
"""Whose handlers SimulationApp and AppLauncher replace by ones that exit with 0 or close the app."""

_STDERR = 2
"""The process's own, whatever ``sys.stderr`` is by now."""

_launched: _Launched | None = None


class _Launched:
    """The app of this process, and what it was started for."""

    def __init__(self, app: Any, device: str, cameras: bool) -> None:
        self.app, self.device, self.cameras = app, device, cameras


def launch(
    device: str, cameras: bool, start_timeout_s: float | None = None, close_timeout_s: float | None = None
) -> Any:
    """The running ``SimulationApp``, headless; started on ``device`` at the first call.

    A start that takes longer than ``start_timeout_s`` ends the process with status 1, and so does an end of
    the process that takes longer than ``close_timeout_s``; both print where every thread is.
    Raises BackendUnavailable where Isaac Lab is not installed, SimulatorError where it cannot start here.
    """
    global _launched
    if _launched is None:
        check_installed()
        _check_thread()
        _launched = _Launched(_start(device, cameras, start_timeout_s), device, cameras)
        if close_timeout_s is not None:
            atexit.register(_end_within, close_timeout_s)
    elif device != _launched.device or (cameras and not _launched.cameras):
        raise SimulatorError(
            f"Isaac Sim runs in this process with device={_launched.device}, cameras={_launched.cameras} and "
            f"cannot change to device={device}, cameras={cameras}. Start a process of its own for it."
        )
    return _launched.app


def check_here(cfg: ExperimentConfig) -> None:
    """Raise BackendUnavailable where an experiment needs Isaac Lab on this machine and there is none."""
    if cfg.backend.isaac and cfg.cluster.address is None:
        check_installed(cfg.backend.name)


def check_installed(backend: str = "isaaclab") -> None:
    """Raise BackendUnavailable, naming ``backend``, where there is no Isaac Lab; imports nothing of it."""
    if find_spec("isaaclab") is None:
        raise BackendUnavailable(
            f"backend '{backend}' needs NVIDIA Isaac Lab, which is not installed here. Install Isaac Sim and "
            "Isaac Lab with Python 3.11 on a machine with an NVIDIA GPU, as docs/isaac-lab.md says, or use "
            "backend=mujoco."
        )


def _check_thread() -> None:
    if threading.current_thread() is not threading.main_thread():
        raise SimulatorError(
            "Isaac Sim starts on a process's main thread only, and this is the thread "
            f"'{threading.current_thread().name}'. Build the environment on the main thread."
        )


def _start(device: str, cameras: bool, timeout_s: float | None) -> Any:
    """Start the app, leaving signals, standard output and arguments as they were.

    ``sweep.watchdog_s`` does not stand in for the timeout: it is for trials alone, and only knows that no
    report came. This one also guards evaluations, is shorter, and says where the start hangs. It is
    faulthandler's because a start that hangs holds the interpreter, so that no thread of Python would run.
    """
    output, arguments = sys.stdout, list(sys.argv)
    sys.argv[:] = sys.argv[:1]  # Kit takes all of them for its own
    handlers = {number: signal.getsignal(number) for number in _SIGNALS}
    if timeout_s is not None:
        faulthandler.dump_traceback_later(timeout_s, exit=True, file=_STDERR)
    try:
        from isaaclab.app import AppLauncher

        return AppLauncher(headless=True, device=device, enable_cameras=cameras).app
    except ImportError as error:
        raise BackendUnavailable(
            f"backend 'isaaclab': Isaac Lab is installed but cannot be imported: {error}. "
            "See docs/isaac-lab.md."
        ) from error
    except Exception as error:  # Kit raises many kinds
        raise SimulatorError(
            f"Isaac Sim does not start on device={device}: {error}. Is there an NVIDIA GPU with a driver "
            "that it supports, and is its licence accepted (OMNI_KIT_ACCEPT_EULA=YES)? See docs/isaac-lab.md."
        ) from error
    finally:
        if timeout_s is not None:
            faulthandler.cancel_dump_traceback_later()
        sys.stdout, sys.argv[:] = output, arguments
        for number, handler in handlers.items():  # None: what handled it was not Python's
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        faulthandler.enable(_STDERR)  # Kit's crashes would otherwise be silent now


def leave(status: int) -> None:
    """End a process in which the app runs, at once and with this status; otherwise do nothing.

    Kit's own end may hang or crash, and would put its status in the place of ours.
    """
    if _launched is None:
        return
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(status)


def _end_within(timeout_s: float) -> None:
    """The process ends, or is ended: by a signal once the interpreter is gone, when Kit's end begins."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(math.ceil(timeout_s) + 1)
    faulthandler.dump_traceback_later(timeout_s, exit=True, file=_STDERR)
