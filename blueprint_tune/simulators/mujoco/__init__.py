"""Native MuJoCo: every environment is one simulation of a ``mujoco.batch.Batch`` on CPU threads."""

from __future__ import annotations

import os
import sys
from ctypes.util import find_library


def _choose_opengl() -> None:
    """Without a display MuJoCo's own choice cannot draw; it is made when mujoco is first imported."""
    if sys.platform != "linux" or os.environ.get("MUJOCO_GL") or os.environ.get("DISPLAY"):
        return
    for platform, library in (("osmesa", "OSMesa"), ("egl", "EGL")):
        if find_library(library):
            os.environ["MUJOCO_GL"] = platform
            return


_choose_opengl()
