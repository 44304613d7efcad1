"""Launching the application."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from typing import Any

from isaac_physics import session
from isaac_physics.application import SimulationApp


class AppLauncher:
    def __init__(self, launcher_args: argparse.Namespace | dict | None = None, **kwargs: Any) -> None:
        given = vars(launcher_args) if isinstance(launcher_args, argparse.Namespace) else launcher_args or {}
        if twice := sorted(given.keys() & kwargs.keys()):
            raise ValueError(f"launcher_args and kwargs both give {twice}.")
        args = given | kwargs
        device = args.get("device", "cuda:0")
        if "cuda" not in device and "cpu" not in device:
            raise ValueError(f"Invalid device '{device}': expected cpu, cuda or cuda:<id>.")
        if session.current.app is not None:
            raise RuntimeError("This process has launched its app already.")
        if os.environ.get("ISAAC_DOUBLE_START") == "hang":
            threading.Event().wait()
        self._app = session.current.app = SimulationApp()
        session.current.cameras_enabled = bool(args.get("enable_cameras", False))
        sys.stdout = sys.__stdout__  # it was silenced meanwhile, and what had been put there is lost
        for number in (signal.SIGTERM, signal.SIGABRT, signal.SIGSEGV):
            signal.signal(number, self._close_on_signal)

    @property
    def app(self) -> SimulationApp:
        return self._app

    def _close_on_signal(self, number: int, frame: object) -> None:
        self._app.close()
