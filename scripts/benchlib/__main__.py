"""Command line of ``scripts/bench``."""

from __future__ import annotations

import argparse
import importlib
import sys
from pathlib import Path

from benchlib.record import RESULTS
from blueprint_tune.errors import BlueprintTuneError

COMMANDS = {
    "physics": "the environment against bare MuJoCo, and against mjlab and gymnasium-robotics",
    "speed": "every policy type's environment against bare MuJoCo",
    "training": "PPO end to end against its parts, rsl_rl and Stable-Baselines3",
    "learning": "train and evaluate every policy type on several seeds; goes on where it stopped",
    "startup": "start-up times, trial switch, memory",
    "sweeps": "trial switch, overhead of a trial, driver memory, restart after kill -9",
    "integrity": "damage checkpoints and bundles at random places; whether it is noticed",
    "package-fuzz": "thousands of damaged task packages through the reader",
    "storage": "break uploads into emulated buckets a thousand times, and let claims race",
    "search": "a sweep of half an hour against the default settings, both on fresh seeds",
    "readme": "put the measured table into README.md",
    "isaaclab": "the backend isaaclab on Isaac Lab itself, and beside MuJoCo (scripts/test-gpu isaaclab)",
    "policies": "write docs/policies.md: pictures, roles, success, rewards and learning curves",
}


def main() -> None:
    """Run one subcommand."""
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    if name not in COMMANDS:
        print("scripts/bench SUBCOMMAND [--help]\n", file=sys.stderr)
        print("  peers-install    make the virtual environments of the peers", file=sys.stderr)
        print("\n".join(f"  {key:<16} {text}" for key, text in COMMANDS.items()), file=sys.stderr)
        raise SystemExit(0 if name in ("-h", "--help") else 2)
    module = importlib.import_module(f"benchlib.{name.replace('-', '_')}")
    parser = argparse.ArgumentParser(f"scripts/bench {name}", description=COMMANDS[name])
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the result files")
    module.add_arguments(parser)
    try:
        module.run(parser.parse_args(sys.argv[2:]), ["scripts/bench", *sys.argv[1:]])
    except BlueprintTuneError as error:
        raise SystemExit(str(error)) from None
    except KeyboardInterrupt:
        print("\nStopped. 'learning' and 'search' go on from here when run again.", file=sys.stderr)
        raise SystemExit(130) from None


if __name__ == "__main__":
    main()
