"""What the report's tables and sentences say: plain rows made from a report's data, no HTML."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from blueprint_tune.config.flat import flat
from blueprint_tune.evaluation.statistics import wilson_interval
from blueprint_tune.reporting.curves import SUCCESS, TrialCurves

MISSING = "–"
NOT_MEASURED = "not measured"


@dataclass(frozen=True)
class Verdict:
    """The first thing a reader sees.

    Attributes:
        rate: "92%". sentence: what was counted. comparison: how it stands against the baselines.
        good: whether the interval lies above every baseline's; None without baselines.
    """

    rate: str
    sentence: str
    comparison: str
    good: bool | None


@dataclass(frozen=True)
class TrialRow:
    """A line of the trial table; ``settings`` in the order of the table's setting columns."""

    number: int
    trial_id: str
    best: bool
    status: str
    settings: tuple[str, ...]
    env_steps: str
    last: str
    highest: str
    share: float
    """The last success rate, 0 when there is none."""
    interval: tuple[float, float] | None
    """95 % of the last success rate; None when there is none."""


@dataclass(frozen=True)
class TrialTable:
    """Trials from best to worst, and the names of the settings that differ between them."""

    columns: tuple[str, ...]
    rows: tuple[TrialRow, ...]


@dataclass(frozen=True)
class SettingsGroup:
    """A part of the resolved config.

    Attributes:
        rows: (dotted key, value, the default where it is another; None where it is the same).
        changed: how many differ from their defaults.
    """

    name: str
    rows: tuple[tuple[str, str, str | None], ...]
    changed: int


def short(value: float) -> str:
    """A number in six characters or so: 2.46M, 12.3k, 0.0312, 3e-05."""
    size = abs(value)
    if 0 < size < 1e-3 or size >= 1e12:
        return f"{value:.2g}"
    # Not 1e3k: what rounds up to a thousand of a unit is shown in the next one.
    for unit, factor in (("", 1.0), ("k", 1e3), ("M", 1e6)):
        shown = f"{value / factor:.3g}"
        if "e" not in shown and (unit or size < 9999.5) and (abs(float(shown)) < 1000 or not unit):
            return shown + unit
    return f"{value / 1e9:.3g}G"


def percent(rate: float | None) -> str:
    """A rate in whole percent."""
    return MISSING if rate is None else f"{100 * rate:.0f}%"


def interval(low: float, high: float) -> str:
    """The bounds of a rate in whole percent."""
    return f"{100 * low:.0f} to {100 * high:.0f}%"


def number(value: float | None) -> str:
    """A number in few characters, or a dash."""
    return MISSING if value is None else short(value)


def duration(seconds: float) -> str:
    """ "45 s", "7 min 20 s", "2 h 5 min"."""
    whole = round(seconds)
    if seconds < 10:
        return f"{seconds:.1f} s"
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s" if whole % 60 else f"{whole // 60} min"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def verdict(benchmark: Mapping[str, Any]) -> Verdict:
    """From the document ``benchmark_report.json``."""
    summary, config = benchmark["summary"], benchmark["evaluation_config"]
    low, high = summary["success_rate_95ci"]
    baselines = benchmark["comparison_to_baseline"]["baselines"]
    sentence = (
        f"{summary['successes']} of {config['num_episodes']} episodes succeeded, on "
        f"{len(config['fixed_seeds'])} fixed seeds with the policy's mean actions. "
        f"The 95% interval is {percent(low)} to {percent(high)}."
    )
    if not baselines:
        return Verdict(percent(summary["success_rate"]), sentence, "No baseline was run.", None)
    good = all(low > b["success_rate_95ci"][1] for b in baselines.values())
    rates = " and ".join(f"{name} actions {percent(b['success_rate'])}" for name, b in baselines.items())
    judgement = (
        f"Clearly better than doing nothing or acting at random: {rates}, from the same starts."
        if good
        else f"Not clearly better than a baseline: {rates}, from the same starts. Do not rely on this policy."
    )
    return Verdict(percent(summary["success_rate"]), sentence, judgement, good)


def trial_table(trials: Sequence[TrialCurves], best_trial: str, episodes: int) -> TrialTable:
    """The best trial first, then by last success; trials keep the number they were started under.

    ``episodes``: of one selection evaluation.
    """
    columns = tuple(dict.fromkeys(key for trial in trials for key in trial.sampled))
    rows = [
        _trial_row(index, trial, trial.trial_id == best_trial, columns, episodes)
        for index, trial in enumerate(trials)
    ]
    return TrialTable(columns, tuple(sorted(rows, key=lambda row: (not row.best, -row.share, row.number))))


def _trial_row(index: int, trial: TrialCurves, best: bool, columns: Sequence[str], episodes: int) -> TrialRow:
    last = trial.last(SUCCESS)
    return TrialRow(
        number=index,
        trial_id=trial.trial_id,
        best=best,
        status=trial.status,
        settings=tuple(
            setting(trial.sampled.get(key), 3) if key in trial.sampled else "default" for key in columns
        ),
        env_steps=number(trial.last("env_steps")),
        last=percent(last),
        highest=percent(trial.best()),
        share=last or 0.0,
        interval=None if last is None else wilson_interval(round(last * episodes), episodes),
    )


def incidents(trials: Sequence[TrialCurves]) -> tuple[tuple[int, str], ...]:
    """(number of the trial, what went wrong or sets it apart), trials in the order they were made."""
    return tuple(
        (number, text)
        for number, trial in enumerate(trials)
        for text in (*trial.failures, *filter(None, [trial.not_comparable]))
    )


def setting(value: Any, digits: int = 12) -> str:
    """A config value as a reader would type it, floats rounded to ``digits``."""
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, float):
        return f"{value:.{digits}g}"
    return value if isinstance(value, str) else json.dumps(value)


def action_rows(policy: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(action, what an output of 1 does) from the document ``policy_config.json``."""
    mapping = (
        policy["joint_targets"] or policy["controller"] or {"kind": policy["action_space"]["control_mode"]}
    )
    return [(name, _meaning(name, mapping)) for name in policy["action_space"]["names"]]


def _meaning(name: str, mapping: Mapping[str, Any]) -> str:
    if name == "gripper" and "gripper" in mapping:
        return {"binary": "opens above 0, closes otherwise", "continuous": "closed at -1, open at 1"}[
            mapping["gripper"]
        ]
    if mapping["kind"] == "joint_position_delta" and "scale_rad" in mapping:
        return f"shifts the joint's target by up to {mapping['scale_rad']:g} rad"
    if mapping["kind"] == "ee_delta" and name in ("x", "y", "z"):
        return f"shifts the end effector's target by up to {mapping['scale_m']:g} m along {name}"
    if mapping["kind"] == "ee_delta" and name in _TURNS:
        return f"turns the end effector's target by up to {mapping['scale_rad']:g} rad about {_TURNS[name]}"
    return str(mapping["kind"])


_TURNS = {"yaw": "z", "twist": "the way it points", "rx": "x", "ry": "y", "rz": "z"}


def provenance_rows(provenance: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(name, value) of versions and the like; groups such as ``libraries`` are laid open."""
    return [
        (key.rpartition(".")[2].replace("_", " "), setting(value)) for key, value in flat(provenance).items()
    ]


def config_groups(config: Mapping[str, Any], changes: Mapping[str, tuple[Any, Any]]) -> list[SettingsGroup]:
    """The resolved config by its top-level parts; what is no part of any comes first, as ``general``."""
    parts: dict[str, dict[str, Any]] = {"general": {}}
    for key, value in config.items():
        if isinstance(value, Mapping) and value:
            parts[key] = flat(value, key)
        else:
            parts["general"][key] = value
    return [_group(name, settings, changes) for name, settings in parts.items() if settings]


def _group(name: str, settings: Mapping[str, Any], changes: Mapping[str, tuple[Any, Any]]) -> SettingsGroup:
    rows = tuple(
        (key, setting(value), setting(changes[key][0]) if key in changes else None)
        for key, value in settings.items()
    )
    return SettingsGroup(name, rows, sum(default is not None for _, _, default in rows))
