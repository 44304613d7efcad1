"""The verbs ``batch`` and ``leaderboard``."""

from __future__ import annotations

import json
from pathlib import Path

from blueprint_tune.config.options import split_options
from blueprint_tune.errors import BlueprintTuneError, ConfigError

_OUTPUT = "outputs"

BATCH_HELP = """\
blueprint-tune batch OVERRIDES…

Run one experiment for each combination of values, on one Ray, as many at once as there are CPUs.

  blueprint-tune batch +scene=kitchen_001 policy=all sweep=asha
  blueprint-tune batch +scene=kitchen_001,office_001 policy=drawer_manipulation,door_manipulation
  blueprint-tune batch +scene=all preset=quick                each scene's own policy type
  blueprint-tune batch +scene=lab_001 seed=1,2,3 agent.learning_rate=1e-3,3e-4

Several values: a,b,c, range(1,4), glob(d*) or, for files of a group, all. What cannot work (a scene
without what a policy type needs) is left out with the reason where it came from all or glob(…), and
refused where it was named; the others run. A failed experiment stops no other.
Each experiment is as run would have made it, in its own folder: resume continues it, and so does the
same batch again, which offers those that are finished. The batch's own folder, outputs/batches/<name>,
holds batch.yaml, every experiment's log, and the leaderboard, while it runs and afterwards.

  name=NAME          of the batch; null = from the time and its experiments
  --dry-run          list the combinations, and run nothing
  --at-once N        experiments at once; otherwise as many as there are CPUs and memory for
  --config-dir DIR   look for configuration files in DIR too
Exits 0 if all that was asked for has finished, 2 otherwise, 130 after Ctrl-C."""

LEADERBOARD_HELP = """\
blueprint-tune leaderboard [FOLDER…]

A table and an HTML page over all experiments in FOLDER: success with its 95 % interval, time, hours of
CPU and GPU (and cost, if cluster.cpu_hour_price or cluster.gpu_hour_price was set), the winner's
settings, failures, and what changed since the last batch; champions are marked. Also while experiments
run.

  FOLDER     an output folder, a batch, an experiment, or a storage (a folder or bucket with scenes/);
             outputs if none is given
  --json     print the rows as JSON and write nothing

The page is written to FOLDER/leaderboard.html; with several folders, or of a storage, to the working
directory."""


def batch(words: list[str]) -> None:
    """The verb ``batch``. Raises BlueprintTuneError if not all that was asked for has finished."""
    words, options = split_options("batch", words, ("--dry-run",), ("--at-once", "--config-dir"))
    if (folder := options.get("--config-dir")) is not None:
        from blueprint_tune.config import paths

        paths.add_user_conf_dir(folder)
    at_once = options.get("--at-once")
    if at_once is not None and not (at_once.isdigit() and int(at_once) > 0):
        raise ConfigError(f"--at-once {at_once}: give a whole number of experiments, 1 or more.")
    from blueprint_tune.batches.run import list_batch, run_batch

    if "--dry-run" in options:
        list_batch(words)
        return
    result = run_batch(words, None if at_once is None else int(at_once))
    if not result.good:
        bad = sum(row["state"] != "finished" for row in result.rows)
        bad += sum(refused["named"] for refused in result.refused)
        asked = len(result.rows) + sum(refused["named"] for refused in result.refused)
        raise BlueprintTuneError(
            f"{bad} of {asked} experiments did not finish; the reasons stand above. "
            "The same command tries them again."
        )


def leaderboard(words: list[str]) -> None:
    """The verb ``leaderboard``."""
    words, options = split_options("leaderboard", words, ("--json",))
    words = words or [_OUTPUT]
    storage = [word for word in words if "://" in word or (Path(word) / "scenes").is_dir()]
    folders = [Path(word) for word in words if word not in storage]
    for folder in folders:
        if not folder.is_dir():
            raise ConfigError(
                f"{folder}: there is no such folder. Give an output folder, a batch, an experiment, or a "
                "storage (a folder with scenes/)."
            )
    from blueprint_tune.batches.board import folder_board, write_board
    from blueprint_tune.storage.path import open_path

    board = folder_board(folders, [open_path(word) for word in storage])
    if "--json" in options:
        print(json.dumps(board, indent=2))
        return
    from blueprint_tune.batches.table import show_board, wide_console

    console = wide_console()
    page = write_board(board, folders[0] if len(folders) == 1 and not storage else Path())
    show_board(board, console)
    console.print(f"\nleaderboard  {page.absolute()}", markup=False, soft_wrap=True)
