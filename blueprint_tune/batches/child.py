"""The process of one experiment of a batch: runs it on the share of the batch's Ray that it is lent.

Its job is one line of JSON on standard input, which then stays open: when the batch dies, however it dies,
the line breaks and this process ends with it. What the experiment says goes to its log.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from blueprint_tune.errors import BlueprintTuneError

FAILED, INTERRUPTED = 2, 130


def main(run: Callable[[dict[str, Any]], None]) -> int:
    """``run`` the job; returns 0, FAILED with the reason in the job's file, or INTERRUPTED."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a batch in the background may ignore it
    with open(0, "rb", buffering=0, closefd=False) as line:
        job: dict[str, Any] = json.loads(line.readline())
    threading.Thread(target=_end_with_the_batch, daemon=True).start()
    try:
        run(job)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BlueprintTuneError as error:
        print(error, flush=True)
        Path(job["reason_file"]).write_text(str(error))
        return FAILED
    except Exception as error:  # a mistake of ours: one row of the batch, with its traceback in the log
        traceback.print_exc()
        first = (str(error).strip().splitlines() or [""])[0]
        Path(job["reason_file"]).write_text(f"{type(error).__name__}: {first} (traceback in {job['log']})")
        return FAILED
    return 0


def _run(job: dict[str, Any]) -> None:
    from blueprint_tune.config.compose import compose
    from blueprint_tune.pipeline import run_experiment
    from blueprint_tune.tuning.session import Lent

    run_experiment(compose(job["overrides"]), job["overrides"], Lent(*job["lent"]))


def _end_with_the_batch() -> None:
    os.read(0, 1)
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)  # with everything it has started
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(_run))
