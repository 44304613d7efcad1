"""Starting Isaac Sim: on the main thread, within its time, and leaving the process as it was."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap

import pytest

from blueprint_tune.errors import BackendUnavailable
from blueprint_tune.simulators.isaaclab import launch as module


def run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A process of its own, with the double where the fixture put it."""
    import os

    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, **environment},
    )


def test_without_isaac_lab_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    monkeypatch.setattr(module, "_launched", None)
    with pytest.raises(BackendUnavailable, match=r"needs NVIDIA Isaac Lab.*isaac-lab.md.*backend=mujoco"):
        module.launch("cuda:0", cameras=False)


def test_it_starts_once_and_leaves_signals_output_and_arguments_alone(isaac_double: str) -> None:
    done = run(
        """
        import signal, sys
        from blueprint_tune.simulators.isaaclab.launch import launch
        ours = lambda number, frame: None
        signal.signal(signal.SIGTERM, ours)
        signal.signal(signal.SIGINT, ours)
        sys.stdout, sys.argv = sys.stderr, ["program", "--capture=no", "x"]
        app = launch("cpu", False, 30.0, 30.0)
        assert launch("cpu", False) is app
        assert signal.getsignal(signal.SIGTERM) is ours
        assert signal.getsignal(signal.SIGINT) is ours
        assert signal.getsignal(signal.SIGABRT) == signal.SIG_DFL
        assert sys.stdout is sys.stderr and sys.argv == ["program", "--capture=no", "x"]
        from blueprint_tune.errors import SimulatorError
        for change in (("cuda:0", False), ("cpu", True)):
            try:
                launch(*change)
            except SimulatorError as error:
                assert "cannot change to" in str(error), error
            else:
                raise AssertionError(change)
        raise SystemExit(3)
        """
    )
    assert done.returncode == 3, done.stderr


def test_it_starts_on_the_main_thread_only(isaac_double: str) -> None:
    done = run(
        """
        import threading
        from blueprint_tune.errors import SimulatorError
        from blueprint_tune.simulators.isaaclab.launch import launch
        def start():
            try:
                launch("cpu", False)
            except SimulatorError as error:
                print(error)
        thread = threading.Thread(target=start, name="worker")
        thread.start(); thread.join()
        """
    )
    assert "main thread only" in done.stdout and "'worker'" in done.stdout, done.stderr


def test_a_start_that_hangs_ends_the_process_and_says_where(isaac_double: str) -> None:
    done = run(
        """
        from blueprint_tune.simulators.isaaclab.launch import launch
        launch("cpu", False, start_timeout_s=2.0)
        """,
        ISAAC_DOUBLE_START="hang",
    )
    assert done.returncode == 1
    assert "Timeout" in done.stderr and "isaaclab/app.py" in done.stderr


@pytest.mark.parametrize("close", ["hang", "exit"])
def test_the_end_takes_no_result_with_it(isaac_double: str, close: str) -> None:
    """The app is not closed: neither a close that hangs nor one that exits with 0 can hide a failure."""
    done = run(
        """
        from blueprint_tune.simulators.isaaclab.launch import launch
        launch("cpu", False, 30.0, 30.0)
        print("result", flush=True)
        raise RuntimeError("failed")
        """,
        ISAAC_DOUBLE_CLOSE=close,
    )
    assert done.returncode == 1 and done.stdout == "result\n" and "failed" in done.stderr


def test_an_end_that_hangs_is_ended(isaac_double: str) -> None:
    done = run(
        """
        import atexit, time
        from blueprint_tune.simulators.isaaclab.launch import launch
        atexit.register(time.sleep, 100)
        launch("cpu", False, 30.0, close_timeout_s=1.0)
        print("result", flush=True)
        """
    )
    assert done.stdout == "result\n" and "Timeout" in done.stderr


def test_an_end_that_hangs_after_the_interpreter_is_ended_too(isaac_double: str) -> None:
    """Kit's own end runs when Python is gone, and faulthandler with it."""
    done = run(
        """
        import ctypes
        from blueprint_tune.simulators.isaaclab.launch import launch
        libc = ctypes.CDLL(None)
        getattr(libc, "__cxa_atexit")(ctypes.cast(libc.pause, ctypes.c_void_p), None, None)
        launch("cpu", False, 30.0, close_timeout_s=0.5)
        print("result", flush=True)
        """
    )
    assert done.stdout == "result\n" and done.returncode == -signal.SIGALRM


@pytest.mark.parametrize("status", [0, 3])
def test_a_program_leaves_with_its_own_status(isaac_double: str, status: int) -> None:
    done = run(
        f"""
        import ctypes
        from blueprint_tune.simulators.isaaclab.launch import launch, leave
        leave(9)  # nothing runs yet
        libc = ctypes.CDLL(None)
        getattr(libc, "__cxa_atexit")(ctypes.cast(libc.abort, ctypes.c_void_p), None, None)
        launch("cpu", False, 30.0, 30.0)
        print("result")
        leave({status})
        """
    )
    assert (done.stdout, done.returncode) == ("result\n", status)
