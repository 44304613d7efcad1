"""``blueprint-tune evaluate``: the benchmark of a policy that exists already."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from blueprint_tune.errors import ConfigError

HELP = """\
blueprint-tune evaluate POLICY [OVERRIDES…] [--out FOLDER] [--against OTHER]

Play the benchmark with a policy that exists already, and write benchmark_report.json, eval_results.json and
eval_config.json. The same seeds give the same report whatever the number of environments, but for
the line that tells how many. POLICY is one of

  EXPERIMENT   the folder of an experiment whose search is over: its best trial
  CHECKPOINT   a checkpoint's folder or its checkpoint.pt, inside an experiment
  BUNDLE       a published policy's folder, or its policy.pt or policy.onnx alone

Overrides are settings, as for run: evaluation.seeds=[7,8], evaluation.episodes_per_seed=100,
evaluation.robustness=off, backend.num_envs=64, or another scene: +scene=lab_001. What the policy was not made
for (another robot, other observations or actions) is refused, with what differs.

  --out FOLDER      where to write (default: output_dir/evaluations/<eval id>)
  --against OTHER   an evaluation's folder or its eval_results.json: how much better than that policy it is at
                    the same task, start by start where both played the same ones"""


def run(words: Sequence[str]) -> None:
    """Evaluate, write the documents, print what they say. Raises ConfigError for what cannot be played."""
    names, overrides, options = _parse(words)
    if len(names) != 1:
        raise ConfigError(
            f"evaluate takes one policy, not {len(names)}: an experiment, a checkpoint or a bundle."
            " blueprint-tune evaluate --help says more."
        )
    from blueprint_tune.evaluating.against import read_against

    against = read_against(options["--against"]) if "--against" in options else None
    from blueprint_tune.evaluating.play import evaluate
    from blueprint_tune.evaluating.subject import find_subject
    from blueprint_tune.evaluating.text import as_text

    subject = find_subject(Path(names[0]).expanduser())
    cfg = subject.compose(overrides)
    folder, report = evaluate(subject, cfg, options.get("--out"), against)
    print(as_text(report), end="")
    print(f"  documents  {folder}")


def _parse(words: Sequence[str]) -> tuple[list[str], list[str], dict[str, str]]:
    """Names, overrides, and options with their values."""
    names: list[str] = []
    overrides: list[str] = []
    options: dict[str, str] = {}
    rest = list(words)
    while rest:
        word = rest.pop(0)
        flag, equals, value = word.partition("=")
        if flag in ("--out", "--against"):
            options[flag] = value if equals else rest.pop(0) if rest else ""
            if not options[flag]:
                raise ConfigError(f"{flag} needs a path.")
        elif word.startswith("--"):
            raise ConfigError(f"evaluate has no option {word}. blueprint-tune evaluate --help lists them.")
        elif not names and (not equals or Path(word).exists()):
            names.append(word)
        elif equals or word.startswith("~"):
            overrides.append(word)
        else:
            names.append(word)
    return names, overrides, options
