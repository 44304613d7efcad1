"""The app: started on the main thread, before anything else is imported."""

import argparse
import signal
import sys
import threading


class AppLauncher:
    """``AppLauncher(headless=True, device=…, enable_cameras=…).app``."""

    running = False
    cameras = False

    def __init__(self, launcher_args: argparse.Namespace | dict | None = None, **kwargs):
        settings = {
            **(vars(launcher_args) if isinstance(launcher_args, argparse.Namespace) else launcher_args or {})
        }
        settings |= kwargs
        type(self).running, type(self).cameras = True, bool(settings.get("enable_cameras"))
        self.app = App()
        sys.stdout = sys.__stdout__
        if threading.current_thread() is not threading.main_thread():
            raise ValueError("signal only works in main thread of the main interpreter")
        signal.signal(signal.SIGTERM, lambda *_: self.app.close())


class App:
    """Isaac Sim's ``SimulationApp``."""

    def close(self):
        """Known to hang; the double's does."""
        threading.Event().wait()

    def is_running(self):
        """Until it is closed."""
        return True
