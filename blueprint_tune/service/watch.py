"""The watcher: looks at storage, claims what waits, runs it, and says what becomes of it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from blueprint_tune.errors import BlueprintTuneError, ClaimTaken, ConfigError, StorageError
from blueprint_tune.service.heart import Heart, Held
from blueprint_tune.service.jobs import Ended, Job, claim, finish, give_up, hopeless, start, tend
from blueprint_tune.service.lease import Observer
from blueprint_tune.service.look import Look, asked_by, look, rank
from blueprint_tune.service.marker import Marker, scenes_below
from blueprint_tune.service.push import Announced, push_server
from blueprint_tune.service.settings import Place, WatchSettings
from blueprint_tune.tuning.signals import interrupts

_TICK_S = 0.25
Say = Callable[[str, str], None]
"""Told of a scene (or "" for the watcher itself) and what is to be said of it."""


@dataclass(frozen=True)
class Mode:
    """How the watcher was asked to watch.

    Attributes:
        once: end when all that is there is dealt with. retry_failed: take failed requests once more.
        push_address: serve pushes there.
    """

    once: bool = False
    retry_failed: bool = False
    push_address: str | None = None


class Watch:
    """One watcher; ``words`` are the overrides of every job."""

    def __init__(
        self, place: Place, settings: WatchSettings, words: Sequence[str], mode: Mode, say: Say
    ) -> None:
        self._place, self._settings, self._words, self._mode = place, settings, list(words), mode
        self._asked, self._say = asked_by(words, settings), say
        self._observer = Observer(settings.lease_s)
        self._cursor: dict[str, str] = {}
        """Scene -> the request that is known to be answered, so that its claim need not be read again."""
        self._looked = False
        self._retried: set[str] = set()
        self._waiting: dict[str, Look] = {}
        self._elsewhere: dict[str, Look] = {}
        self._running: list[Job] = []
        self._pushed = Announced()
        self._pressed = 0
        self.ended: list[Ended] = []
        self.refused: dict[str, Look] = {}

    @property
    def stopped(self) -> bool:
        """Whether it was told to stop."""
        return self._pressed > 0

    def run(self) -> None:
        """Watch until it is told to stop; with ``once`` until there is nothing left to do.

        Raises StorageError when storage refuses, with ``once`` only: otherwise it tries again.
        """
        due_s = 0.0
        with contextlib.ExitStack() as stack:
            heart = stack.enter_context(Heart(self._settings.heartbeat_s))
            stack.enter_context(interrupts(self._interrupt))
            if self._mode.push_address is not None:
                server = push_server(self._mode.push_address, str(self._place.root), self._pushed.add)
                self._say("", f"pushes are taken on port {stack.enter_context(server)}")
            stack.callback(self._kill_all)  # only when something below was raised
            while True:
                if not self.stopped and time.monotonic() >= due_s:
                    self._patiently(self._look_around, first=due_s == 0)
                    due_s = time.monotonic() + self._pause_s()
                self._patiently(self._take_pushes)
                self._patiently(lambda: self._begin(heart))
                self._tend(heart)
                if self._over():
                    return
                time.sleep(_TICK_S)

    def _pause_s(self) -> float:
        """Seconds to the next look around; a held claim has to be seen several times within a lease."""
        if self._mode.once:
            return min(self._settings.poll_s, self._settings.lease_s / 6)
        return self._settings.poll_s

    def _over(self) -> bool:
        if self._running:
            return False
        return self.stopped or (self._mode.once and not self._waiting and not self._elsewhere)

    def _patiently(self, work: Callable[[], None], first: bool = False) -> None:
        """Do something that storage may refuse now and grant later."""
        try:
            work()
        except StorageError as error:
            if self._mode.once or first:
                raise
            self._waiting.clear()  # the next look around finds it again
            self._say("", f"{error} Trying again in {self._settings.poll_s:g} s.")

    def _look_around(self) -> None:
        if self._mode.once and self._looked:  # what came after the first look is another time's
            self._look_at(list(self._elsewhere))
            return
        scenes, refused = scenes_below(self._place.root)
        for sentence in refused:
            self._say("", sentence)
        if not scenes:
            self._say("", f"there is no scene in {self._place.root / 'scenes'}")
        self._look_at(scenes)
        self._looked = True
        self._count()

    def _take_pushes(self) -> None:
        self._look_at(self._pushed.take())

    def _look_at(self, scenes: Iterable[str]) -> None:
        """One scene that cannot be read stops no other; two in a row are storage's own trouble."""
        trouble = False
        for scene_id in scenes:
            if any(job.marker.scene_id == scene_id for job in self._running):
                continue
            try:
                found = look(self._place.root, scene_id, self._asked, self._observer, self._cursor)
            except StorageError as error:
                if trouble:
                    raise
                trouble, found = True, Look(scene_id, "refused", None, "", None, str(error))
            else:
                trouble = False
            self._sort(scene_id, found)

    def _sort(self, scene_id: str, found: Look | None) -> None:
        """Remember what is to be done about a scene."""
        self._waiting.pop(scene_id, None)
        self._elsewhere.pop(scene_id, None)
        if found is None:
            return
        retry = self._mode.retry_failed and found.request not in self._retried
        if found.todo == "waiting" or (found.todo == "failed" and retry):
            self._waiting[scene_id] = found
        elif found.todo == "elsewhere" and not (self._mode.once and self._observer.moved(scene_id)):
            self._elsewhere[scene_id] = found
        elif found.todo == "refused":
            self.refused[scene_id] = found
        elif found.todo in ("done", "failed"):
            self._cursor[scene_id] = found.request
        self._say(scene_id, f"{found.todo} {found.because}".strip())

    def _begin(self, heart: Heart) -> None:
        """Start what waits, as far as there is room."""
        while self._waiting and len(self._running) < self._settings.jobs_at_once and not self.stopped:
            scene_id = min(self._waiting, key=lambda scene: rank(self._waiting[scene], self._settings))
            self._look_at([scene_id])  # it may have changed, or be another watcher's, since
            if (found := self._waiting.pop(scene_id, None)) is None:
                continue
            held = claim(self._place, found, self._settings)
            if held is not None and found.marker is not None:
                self._retried.add(found.request)
                heart.hold(held)
                if (job := self._work_on(found.marker, held, heart)) is not None:
                    heart.guard(held, job.process.kill)
                    self._running.append(job)
                    self._say(found.scene_id, f"training; its log is {job.process.log}")
                self._count()

    def _work_on(self, marker: Marker, held: Held, heart: Heart) -> Job | None:
        """Start a job whose claim is ours, unless there is no sense in it; what fails here gives it back."""
        try:
            if (reason := hopeless(held, marker, self._settings)) is None:
                return start(self._place, held, marker, self._words, self._settings)
            self._tell_end(give_up(self._place, held, marker, reason))
        except ClaimTaken as error:
            self._tell_end(Ended(marker.scene_id, "lost", str(error)))
        except (OSError, StorageError) as error:
            with contextlib.suppress(StorageError):
                held.let_go()
            heart.drop(held)
            if isinstance(error, StorageError):
                raise
            raise ConfigError(
                f"output_dir={self._place.output_dir}: the job's log cannot be written "
                f"({error.strerror or error}). Choose a folder you may write to: output_dir=…"
            ) from error
        heart.drop(held)
        return None

    def _tend(self, heart: Heart) -> None:
        """See to what runs, and write down what has ended."""
        for job in list(self._running):
            exit_status = job.process.ended()
            if exit_status is None:
                if self.stopped:  # it may have been started while the signal came
                    job.stop(None)
                tend(job, self._settings.stop_s)
                continue
            if (ended := self._finished(job, exit_status)) is None:
                continue
            heart.drop(job.held)
            self._running.remove(job)
            if ended.end in ("completed", "failed"):
                self._cursor[job.marker.scene_id] = job.held.request
            self._tell_end(ended)

    def _finished(self, job: Job, exit_status: int) -> Ended | None:
        """How a job ended, written down; None when storage refused and is asked again at the next tick."""
        try:
            return finish(self._place, job, exit_status, self._settings.command is not None)
        except StorageError as error:
            said = f"its end could not be written down: {error}"
            job.ended_at = job.ended_at or time.monotonic()
            given_up = self._pressed > 1 or time.monotonic() - job.ended_at > self._settings.lease_s
            if given_up or job.held.lost():  # whoever takes the claim next finds what was published
                return Ended(job.marker.scene_id, "lost", said)
            self._say(job.marker.scene_id, f"{said} Trying again.")
            return None

    def _tell_end(self, ended: Ended) -> None:
        self.ended.append(ended)
        self._say(ended.scene_id, f"{ended.end}: {ended.text}")
        self._count()

    def _count(self) -> None:
        ends = [ended.end for ended in self.ended]
        self._say(
            "",
            f"{len(self._waiting)} waiting, {len(self._running)} training, {len(self._elsewhere)} elsewhere, "
            f"{ends.count('completed')} completed, {ends.count('failed')} failed",
        )

    def _kill_all(self) -> None:
        for job in self._running:
            job.process.kill()

    def _interrupt(self, at_once: bool) -> None:
        """The user wants it to end; in good order the first time."""
        self._pressed += 1
        for job in self._running:
            if at_once:
                job.process.kill()
            else:
                job.stop(None)


def overview(place: Place, settings: WatchSettings, words: Sequence[str]) -> list[Look]:
    """Every scene that has a marker, those first that wait, in their order. Nothing is written."""
    scenes, _ = scenes_below(place.root)
    observer = Observer(settings.lease_s)
    asked = asked_by(words, settings)
    found = [look(place.root, scene_id, asked, observer, {}) for scene_id in scenes]
    known = [each for each in found if each is not None]
    waiting = [each for each in known if each.todo == "waiting"]
    waiting.sort(key=lambda each: rank(each, settings))
    return [*waiting, *(each for each in known if each.todo != "waiting")]


def failure(watch: Watch) -> BlueprintTuneError | None:
    """What a watcher that ended by itself has to complain about."""
    failed = sorted({ended.scene_id for ended in watch.ended if ended.end in ("failed", "lost")})
    bad = [*failed, *watch.refused]
    if not bad:
        return None
    return BlueprintTuneError(f"Not trained, for the reasons above: {', '.join(bad)}.")
