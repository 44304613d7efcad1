"""What a published evaluation measured, and what it was asked: enough to compare two policies fairly."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from blueprint_tune.config.flat import changes, shown
from blueprint_tune.config.identity import task_digest, task_settings
from blueprint_tune.errors import BlueprintTuneError, ConfigError, StorageError
from blueprint_tune.evaluation.statistics import wilson_interval
from blueprint_tune.registry.published import Published, read_json
from blueprint_tune.storage.path import StoragePath, check_id

Start = tuple[int, int]
"""(seed, slot)."""
Successes = Mapping[Start, bool]
_SHOWN = 6


@dataclass(frozen=True)
class Evaluation:
    """One evaluation of one policy.

    Attributes:
        success: of each start. baselines: name -> the same of those that acted without a policy.
        smoothness, jerk: of ``sim2real_indicators``; None where not measured.
        benchmark_version: of the documents. task_digest: of what decides starts and success.
        task: that itself, dotted key -> value; empty for an evaluation with settings of its own, which are
        not known. timestamp: ISO 8601.
    """

    eval_id: str
    job_id: str
    success: Successes
    baselines: Mapping[str, Successes]
    smoothness: float | None
    jerk: float | None
    benchmark_version: str
    task_digest: str
    task: Mapping[str, Any]
    timestamp: str

    @property
    def successes(self) -> int:
        """Starts that succeeded."""
        return sum(self.success.values())

    @property
    def rate(self) -> float:
        """Of success."""
        return self.successes / len(self.success)

    @property
    def interval(self) -> tuple[float, float]:
        """The rate's 95 % Wilson interval."""
        return wilson_interval(self.successes, len(self.success))


def read_evaluation(policy: Published, eval_id: str | None = None) -> Evaluation:
    """The evaluation of ``policy`` that its index names, or another one.

    Raises ConfigError for one of another policy, scene or robot; StorageError for one that is damaged.
    """
    name = check_id("evaluation id", eval_id or policy.evaluation)
    folder = policy.training / "evaluations" / name
    rows = read_json(folder / "eval_results.json")
    report = read_json(folder / "benchmark_report.json")
    _check_identity(policy, str(folder), rows)
    digest, task = _task(policy, read_json(folder / "eval_config.json").get("task_digest"))
    try:
        indicators = report["sim2real_indicators"]
        return Evaluation(
            eval_id=name,
            job_id=policy.job,
            success=_successes(rows["episodes"]),
            baselines={name: _successes(episodes) for name, episodes in rows["baselines"].items()},
            smoothness=_number(indicators.get("action_smoothness")),
            jerk=_number(indicators.get("mean_action_jerk")),
            benchmark_version=str(report["benchmark_version"]),
            task_digest=digest,
            task=task,
            timestamp=str(rows["timestamp"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise StorageError(f"{folder} is not an evaluation as this version writes them: {error!r}.") from None


def evaluations_of(policy: Published) -> Iterator[Evaluation]:
    """All published evaluations of the policy that can be read, the newest first."""
    folder = policy.training / "evaluations"
    ids = [name.split("/")[0] for name in folder.walk() if name.endswith("/eval_results.json")]
    documents = [(_read_or_nothing(folder / name / "eval_results.json"), name) for name in ids]
    own = [(str(rows.get("timestamp")), name) for rows, name in documents if rows.get("job_id") == policy.job]
    for _, name in sorted(own, reverse=True):
        with contextlib.suppress(BlueprintTuneError):  # one that is being written, for example
            yield read_evaluation(policy, name)


def _read_or_nothing(path: StoragePath) -> dict[str, Any]:
    try:
        return read_json(path)
    except StorageError:
        return {}


def differences(a: Evaluation, b: Evaluation) -> list[str]:
    """Why success of ``a`` and ``b`` cannot be compared start by start, in words; empty when it can."""
    found = []
    if a.benchmark_version != b.benchmark_version:
        found.append(f"benchmark_version: {a.benchmark_version} and {b.benchmark_version}")
    if a.task_digest != b.task_digest:
        found += _task_differences(a, b)
    if a.success.keys() != b.success.keys():
        found.append(f"starts: {_starts(a.success)} and {_starts(b.success)}")
    return found


def _task_differences(a: Evaluation, b: Evaluation) -> list[str]:
    differing = changes(a.task, b.task) if a.task and b.task else []
    if not differing:
        return [f"task_digest, of the settings that decide success: {a.task_digest} and {b.task_digest}"]
    found = [f"{c.key}: {shown(c.before, 30)} and {shown(c.after, 30)}" for c in differing[:_SHOWN]]
    more = len(differing) - _SHOWN
    return [*found, f"{more} more settings"] if more > 0 else found


def by_seed(success: Successes) -> dict[str, str]:
    """Seed -> a digit a slot, 1 for success: the form in which decisions keep what was compared."""
    return {
        str(seed): "".join(str(int(success[s])) for s in sorted(success) if s[0] == seed)
        for seed in dict.fromkeys(seed for seed, _ in success)
    }


def from_seeds(digits: Mapping[str, str]) -> dict[Start, bool]:
    """The inverse of :func:`by_seed`."""
    return {
        (int(seed), slot): digit == "1" for seed, text in digits.items() for slot, digit in enumerate(text)
    }


def _starts(success: Successes) -> str:
    digits = by_seed(success)
    lengths = sorted({len(text) for text in digits.values()})
    return f"{'/'.join(map(str, lengths))} of each of the seeds {', '.join(digits)}"


def _check_identity(policy: Published, where: str, rows: Mapping[str, Any]) -> None:
    wanted = {
        "scene_id": policy.scene, "policy_id": policy.policy, "robot_type": policy.robot, "job_id": policy.job
    }  # fmt: skip
    wrong = [f"{k} is {rows.get(k)!r}, not {v!r}" for k, v in wanted.items() if rows.get(k) != v]
    if wrong:
        raise ConfigError(
            f"{where} is not an evaluation of policy '{policy.name}': {'; '.join(wrong)}. Evaluate the "
            f"policy itself:  blueprint-tune evaluate {policy.bundle}"
        )


def _successes(episodes: Any) -> dict[Start, bool]:
    """Raises ValueError unless every slot from 0 of every seed is there once."""
    found = {(int(e["seed"]), int(e["slot"])): bool(e["success"]) for e in episodes}
    if not found or len(found) != len(episodes):
        raise ValueError("no episodes, or one of them twice")
    if from_seeds(by_seed(found)) != found:
        raise ValueError("an episode is missing")
    return found


def _task(policy: Published, recorded: object) -> tuple[str, dict[str, Any]]:
    """Digest of what decides starts and success, and that itself if it was what the job was made with.

    An evaluation records the digest; for one of an earlier version it is that of the job.
    """
    tree = read_experiment(policy)
    try:
        given = tree["config"], tree.get("scene_digest")
        digest, task = task_digest(*given), task_settings(*given)
    except (KeyError, TypeError, AttributeError):
        raise StorageError(
            f"{policy.training}/jobs/{policy.job}/config/experiment.yaml holds no complete config. "
            "Publish the experiment again."
        ) from None
    return (digest, task) if recorded in (None, digest) else (str(recorded), {})


def read_experiment(policy: Published) -> dict[str, Any]:
    """The published ``experiment.yaml`` of the policy's job. Raises StorageError for a damaged one."""
    path = policy.training / "jobs" / policy.job / "config" / "experiment.yaml"
    try:
        tree = yaml.load(path.read_text(), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (yaml.YAMLError, UnicodeDecodeError):
        tree = None
    if not isinstance(tree, dict):
        raise StorageError(f"{path} is damaged: it is not a YAML document. Publish the experiment again.")
    return tree


def _number(value: Any) -> float | None:
    return None if value is None else float(value)
