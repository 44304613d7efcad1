"""What every peer program does: build its environment, then measure whenever it is told to.

Runs in the peer's own virtual environment, so nothing but the standard library is imported here. One
JSON document a line: first what was built, then one rate for every line read, until the input ends.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any


def measure(step: Callable[[], None], num_envs: int, seconds: float) -> float:
    """Env steps a second of ``step``, which advances ``num_envs`` environments by one env step."""
    count, began = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - began) < seconds or count == 0:
        step()
        count += 1
    return count * num_envs / elapsed


def serve(build: Callable[[dict[str, Any]], tuple[Callable[[], None], int, dict[str, Any]]]) -> None:
    """``build(settings)`` gives a step, its number of environments, and facts worth writing down.

    ``settings`` is the JSON document of the first argument; a line of input holds seconds to measure.
    """
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # the libraries may print; the answers stay clean
    settings = json.loads(sys.argv[1])
    step, num_envs, facts = build(settings)
    measure(step, num_envs, 0.5)
    _answer(answers, {"num_envs": num_envs, **facts})
    with contextlib.suppress(KeyboardInterrupt):
        for line in sys.stdin:
            _answer(answers, {"env_steps_per_s": measure(step, num_envs, float(line))})


def _answer(stream: Any, document: dict[str, Any]) -> None:
    stream.write(json.dumps(document) + "\n")
    stream.flush()
