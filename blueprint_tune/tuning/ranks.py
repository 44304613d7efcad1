"""The ranks of a trial beside its own process: actors in the other bundles of its placement group.

The trainable is rank 0 and does the talking to Tune. It tells the others what to do and waits for them; what
they learn together goes through :mod:`blueprint_tune.learning.together`. All of them live and die together: a
rank that fails takes the trial down, and its restart starts all of them from the checkpoint.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from blueprint_tune.config.compose import apply_overrides, to_config
from blueprint_tune.errors import BlueprintTuneError
from blueprint_tune.learning.together import ALONE, Alone, Group
from blueprint_tune.tuning.environment import learning_device, new_env
from blueprint_tune.tuning.records import original, reason

if TYPE_CHECKING:
    from ray.actor import ActorHandle

    from blueprint_tune.envs.base import VecEnv
    from blueprint_tune.learning.trainer import Trainer

T = TypeVar("T")
_EXPLAIN_S = 15.0
"""How long after a broken connection a rank may take to say why, before the connection is the reason."""
_OTHERS_S = 1.0


class RankFailed(BlueprintTuneError):
    """Another rank of the trial died."""


class Peer:
    """One rank beside the trial's own process; keeps its environments from trial to trial."""

    def __init__(self, base: Mapping[str, Any], num_threads: int, rank: int, size: int) -> None:
        """See :class:`Peers`."""
        self._base, self._num_threads, self._rank, self._size = base, num_threads, rank, size
        self._env: VecEnv | None = None
        self._trainer: Trainer | None = None
        self._together: Alone = ALONE

    def host(self) -> str:
        """The address of its node; the answer also says that its process runs."""
        return _own_host()

    def join(self, address: str) -> None:
        """Meet the other ranks."""
        self._together = Group(self._rank, self._size, address, self._device(self._base))

    def begin(self, sample: Mapping[str, Any], dump_dir: str) -> None:
        """Take up a trial: :meth:`Trial._begin` for its share of the environments."""
        from blueprint_tune.learning.trainer import Trainer

        self._trainer = None
        cfg = apply_overrides(to_config(self._base), sample)
        if self._env is not None and self._env.num_envs != cfg.backend.num_envs // self._size:
            self._env.close()  # one of the two trials was halved for want of memory
            self._env = None
        if self._env is None:
            self._env = new_env(cfg, self._num_threads, self._size)
        events = self._base["policy"]["events"]
        folder = Path(dump_dir) / f"rank_{self._rank}"
        self._trainer = Trainer(self._env, cfg, folder, events, self._together, self._device(self._base))

    def _device(self, base: Mapping[str, Any]) -> str:
        return learning_device(to_config(base))

    def train(self) -> None:
        """Up to the next report, which rank 0 makes. A failure also wakes ranks that wait for this one."""
        assert self._trainer is not None
        try:
            self._trainer.train_until_report()
        except BaseException:
            self._together.close()
            raise

    def share(self) -> dict[str, Any]:
        """Its part of a checkpoint."""
        assert self._trainer is not None
        return self._trainer.share()

    def load(self, saved: dict[str, Any]) -> None:
        """Continue from a checkpoint of all ranks."""
        assert self._trainer is not None
        self._trainer.load_state(saved)

    def adopt(self, keys: Sequence[str]) -> None:
        """Put this trial's own settings in force after it has copied another one."""
        assert self._trainer is not None
        self._trainer.adopt(keys)


class Peers:
    """Rank 0's hold on the others; with one rank there are none, and nothing happens.

    Attributes:
        together: what the trainer of rank 0 is given.
    """

    def __init__(
        self, base: Mapping[str, Any], num_threads: int, bundles: Sequence[Mapping[str, float]]
    ) -> None:
        """Start them. ``bundles``: what each rank reserves in this process's placement group, own first."""
        self.together: Alone = ALONE
        self._pending: list[Any] = []
        self._actors = [_start(rank, base, num_threads, bundles) for rank in range(1, len(bundles))]
        if self._actors:
            self._meet(learning_device(to_config(base)))

    def _meet(self, device: str) -> None:
        own, size = _own_host(), len(self._actors) + 1
        self._ask("host")
        hosts = self._answers()
        host = "127.0.0.1" if set(hosts) == {own} else own
        address = f"tcp://{host}:{_free_port()}"
        self._ask("join", address)
        self.together = Group(0, size, address, device, self._raise_failure)
        self._answers()

    def begin(self, sample: Mapping[str, Any], dump_dir: str) -> None:
        """Let them take up a trial, while this process does; :meth:`ready` waits for them."""
        self._ask("begin", sample, dump_dir)

    def ready(self) -> None:
        """Wait until they have done what they were told; raises the failure of one that has failed."""
        self._answers()

    def train(self, own: Callable[[], T]) -> T:
        """Let all train up to the next report; ``own`` is this process's part, whose result is returned.

        Raises what a rank's training raised (the rank is named), or RankFailed for one that died.
        """
        self._ask("train")
        try:
            result = own()
        except BlueprintTuneError:
            raise
        except RuntimeError:  # how a broken connection shows; the rank that broke it knows more
            self._raise_failure(_EXPLAIN_S)
            raise
        self._answers()
        return result

    def shares(self) -> list[dict[str, Any]]:
        """Their parts of a checkpoint, in order of rank."""
        self._ask("share")
        return self._answers()

    def load(self, saved: dict[str, Any]) -> None:
        """Let them continue from a checkpoint."""
        if self._actors:
            import ray

            self._ask("load", ray.put(saved))
            self._answers()

    def adopt(self, keys: Sequence[str]) -> None:
        """Let them put this trial's own settings in force after it has copied another one."""
        self._ask("adopt", keys)
        self._answers()

    def close(self) -> None:
        """End their processes."""
        import ray

        self.together.close()
        for actor in self._actors:
            with contextlib.suppress(Exception):
                ray.kill(actor)

    def _ask(self, method: str, *arguments: Any) -> None:
        self._pending = [getattr(actor, method).remote(*arguments) for actor in self._actors]

    def _answers(self) -> list[Any]:
        if not self._pending:
            return []
        import ray

        left = list(self._pending)
        while left:
            _, left = ray.wait(left)
            self._raise_failure()
        answers, self._pending = ray.get(self._pending), []
        return answers

    def _raise_failure(self, patience_s: float = 0.0) -> None:
        """Raise what went wrong in another rank, if something did (or does within ``patience_s``)."""
        import ray

        first, _ = ray.wait(self._pending, timeout=patience_s)
        # one failure breaks the connections of all; the cause may come a little later than the symptoms
        more_s = _OTHERS_S if first and patience_s else 0.0
        done, _ = ray.wait(self._pending, num_returns=len(self._pending), timeout=more_s)
        failures: dict[int, BaseException] = {}
        for reference in done:
            try:
                ray.get(reference)
            except Exception as error:  # whatever a rank raised
                failures[1 + self._pending.index(reference)] = original(error)
        if failures:
            rank = min(failures, key=lambda r: (_is_symptom(failures[r]), r))
            raise _named(failures[rank], rank, len(self._actors) + 1) from failures[rank]


def _start(
    rank: int, base: Mapping[str, Any], num_threads: int, bundles: Sequence[Mapping[str, float]]
) -> ActorHandle:
    import ray
    from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

    where = PlacementGroupSchedulingStrategy(
        placement_group=ray.util.get_current_placement_group(), placement_group_bundle_index=rank
    )
    cpus, gpus = bundles[rank]["CPU"], bundles[rank].get("GPU", 0.0)
    options = ray.remote(Peer).options(num_cpus=cpus, num_gpus=gpus, scheduling_strategy=where)
    actor: ActorHandle = options.remote(base, num_threads, rank, len(bundles))
    return actor


def _is_symptom(error: BaseException) -> bool:
    """Whether a rank only noticed that another was gone."""
    return isinstance(error, RuntimeError) and not isinstance(error, BlueprintTuneError)


def _named(error: BaseException, rank: int, size: int) -> BaseException:
    """The failure of another rank as one of this process, its kind kept where the program knows it."""
    if isinstance(error, BlueprintTuneError):
        return type(error)(f"rank {rank} of {size}: {error}")
    return RankFailed(f"rank {rank} of {size}: {reason(error)}")


def _own_host() -> str:
    import ray

    return str(ray.util.get_node_ip_address())


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("", 0))
        return int(probe.getsockname()[1])
