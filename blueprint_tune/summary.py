"""The last thing a run says: what came out, where it is, how to look at it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console

if TYPE_CHECKING:
    from blueprint_tune.pipeline import RunResult
    from blueprint_tune.tuning.records import TrialRecord


def summarise(result: RunResult) -> None:
    """What came out, where it is, how to look at it."""
    console = Console(highlight=False)
    low, high = result.success_interval
    best = next(t for t in result.trials if t.trial_id == result.best_trial)
    baselines = [f"{name} actions {rate:.2f}" for name, rate in result.metrics["baselines"].items()]
    lines = {
        "success": f"{result.success_rate:.2f}   95 % interval {low:.2f} to {high:.2f}, "
        f"{result.metrics['episodes']} episodes on fixed seeds",
        "baselines": ", ".join(baselines),
        "trial": _trial_line(result.trials, best),
        "time": f"{result.duration_s / 60:.1f} min",
        "report": result.published.report,
        "policy": f"{result.published.policy}/policy.onnx",
        "curves": f"tensorboard --logdir {result.path / 'trials'}" if _has_events(result) else "",
    }
    console.print(f"\n{result.name}", style="bold", markup=False)
    for name, text in lines.items():
        if text:
            console.print(f"  {name:<10}{text}", markup=False, soft_wrap=True)


def _trial_line(trials: tuple[TrialRecord, ...], best: TrialRecord) -> str:
    """Which trial won, and what became of the others."""
    return "\n".join([*_winner(trials, best), *_incidents(trials)])


def _winner(trials: tuple[TrialRecord, ...], best: TrialRecord) -> list[str]:
    if len(trials) == 1:
        return []
    settings = ", ".join(
        f"{k}={v:.3g}" if isinstance(v, float) else f"{k}={v}" for k, v in best.sample.items()
    )
    counts = [
        (n, state)
        for state in ("completed", "stopped", "failed")
        if (n := sum(t.status == state for t in trials))
    ]
    states = ", ".join(f"{n} {state}" for n, state in counts)
    return [f"{best.index} of {len(trials)} ({states}): {settings}"]


def _incidents(trials: tuple[TrialRecord, ...]) -> list[str]:
    """Every failure with its reason, also of trials that a restart saved, and what is not comparable."""
    told = [
        f"trial {t.index} {text}" for t in trials for text in (*t.failures, *filter(None, [t.not_comparable]))
    ]
    return [text if not k and len(trials) == 1 else f"            {text}" for k, text in enumerate(told)]


def _has_events(result: RunResult) -> bool:
    return any((result.path / "trials" / result.best_trial).glob("events.out.tfevents.*"))
