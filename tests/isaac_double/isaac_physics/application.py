"""What runs behind ``AppLauncher``."""

from __future__ import annotations

import os
import threading


class SimulationApp:
    """What ``AppLauncher.app`` is; in Isaac Sim ``isaacsim.SimulationApp``."""

    def __init__(self) -> None:
        self._running = True

    def is_running(self) -> bool:
        return self._running

    def close(self) -> None:
        """As ISAAC_DOUBLE_CLOSE says: return, ``hang``, or ``exit`` with status 0, whatever went wrong."""
        self._running = False
        wanted = os.environ.get("ISAAC_DOUBLE_CLOSE")
        if wanted == "hang":
            threading.Event().wait()
        if wanted == "exit":
            os._exit(0)
