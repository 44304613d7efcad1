"""``blueprint-tune watch``: train whenever a task package is complete."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from blueprint_tune.config.options import split_options

if TYPE_CHECKING:
    from blueprint_tune.service.settings import Place, WatchSettings

HELP = """\
blueprint-tune watch OVERRIDES… [--once] [--dry-run] [--retry-failed] [--push-port [HOST:]PORT]

Train whenever a task package is complete: scenes/{id}/isaac_lab/.isaac_lab_complete appears or changes below
storage.root. The result is published to scenes/{id}/rl_training below the same root. OVERRIDES are every
job's and win over what the package says (policy, robot, settings of learning).

  blueprint-tune watch storage.root=gs://bucket preset=quick
  blueprint-tune watch storage.root=/data/blueprint watch.jobs_at_once=2 sweep=asha

Any number of watchers may share a root: a job is claimed in storage, so exactly one trains it. A claim whose
watcher died is taken over after watch.lease_s; the job goes on from its checkpoints if output_dir is a folder
that both see. What was trained with the same input is not trained again, and what failed is left alone until
its marker or the overrides change.
After Ctrl-C or SIGTERM running jobs save themselves at their next report; the same command goes on with them.

  --once             deal with what is there, and end; exits 2 if something could not be trained
  --dry-run          list what would be trained, and write nothing
  --retry-failed     take what failed once more
  --push-port PORT   listen for Pub/Sub pushes and EventArc events too (on 127.0.0.1, or HOST:PORT): they only
                     make the watcher look straight away. Answers 204, 400 to what is no push,
                     503 to too many; GET /health 200
  --config-dir DIR   look for configuration files in DIR too

watch.KEY=VALUE sets what conf/watch.yaml lists: poll_s, heartbeat_s, lease_s, stop_s, jobs_at_once,
max_runtime_hours, attempts, priorities={kitchen_001: 5}, command=[program, argument]. A marker may hold
priority and max_runtime_hours of its own."""

_FLAGS = ("--once", "--dry-run", "--retry-failed")
_VALUES = ("--push-port",)


def run(words: Sequence[str]) -> None:
    """Watch. Raises BlueprintTuneError for mistakes and, with ``--once``, when something was not trained."""
    overrides, options = split_options("watch", words, _FLAGS, _VALUES)
    from blueprint_tune.service.settings import check_overrides, read_place, read_settings

    settings, overrides = read_settings(overrides)
    check_overrides(overrides)
    place = read_place(overrides, settings.lease_s)
    if "--dry-run" in options:
        _list(place, settings, overrides)
        return
    from blueprint_tune.service.watch import Mode, Watch, failure

    mode = Mode("--once" in options, "--retry-failed" in options, options.get("--push-port"))
    say = Lines()
    say("", f"watching {place.root}, {settings.jobs_at_once} at once, experiments in {place.output_dir}")
    watch = Watch(place, settings, overrides, mode, say)
    watch.run()
    if mode.once:
        if watch.stopped:
            raise KeyboardInterrupt
        if (error := failure(watch)) is not None:
            raise error


class Lines:
    """One line for each thing that changes."""

    def __init__(self) -> None:
        self._said: dict[str, str] = {}

    def __call__(self, scene_id: str, text: str) -> None:
        """Say ``text`` of a scene, or of the watcher, unless it was the last thing said."""
        if self._said.get(scene_id) != text:
            self._said[scene_id] = text
            print(f"{datetime.now():%H:%M:%S}  {scene_id or '-'}  {text}", flush=True)


def _list(place: Place, settings: WatchSettings, overrides: Sequence[str]) -> None:
    """Print every scene with a marker and what would become of it."""
    import shlex

    from blueprint_tune.service.look import priority
    from blueprint_tune.service.overrides import command_of
    from blueprint_tune.service.watch import overview

    found = overview(place, settings, overrides)
    for each in found:
        print(f"{each.scene_id}: {each.todo} {each.because}".rstrip())
        if each.todo == "waiting" and each.marker is not None:
            given = priority(each.marker, settings)
            words = command_of(each.marker, place.root, overrides, settings)
            print(f"  {f'priority {given}: ' if given else ''}blueprint-tune {shlex.join(words)}")
    waiting = sum(each.todo == "waiting" for each in found)
    print(f"{waiting} of {len(found)} packages below {place.root} would be trained.")
