"""Drive a robot with a bundle. Needs numpy and onnxruntime, nothing else:  python examples/deploy.py BUNDLE

As it stands it replays, at the control rate, the observations that were recorded with the bundle, and says
how far this computer's actions are from those recorded. On a robot, give ``run`` your own ``read`` and
``write``.
"""

import hashlib
import json
import sys
import time
from pathlib import Path

import numpy as np
import onnxruntime


def load(folder):
    """The policy, and what it expects and gives; no damaged file is used."""
    content = (folder / "checksums.sha256").read_bytes()
    lines, _, own = content.rpartition(b"# sha256 of the lines above: ")
    digests = {name: digest for digest, name in (line.split("  ", 1) for line in lines.decode().splitlines())}
    damaged = [n for n in digests if hashlib.sha256((folder / n).read_bytes()).hexdigest() != digests[n]]
    if damaged or own.decode() != hashlib.sha256(lines).hexdigest() + "\n":
        sys.exit(f"{folder} is damaged: {', '.join(damaged) or 'checksums.sha256'} is not what was written")
    config = json.loads((folder / "policy_config.json").read_text())
    return onnxruntime.InferenceSession(folder / "policy.onnx"), config


def run(policy, config, read, write, steps):
    """At ``control_hz``: read() -> (part -> measured, further inputs), write(actions[, joint targets])."""
    period, due = 1.0 / config["control_hz"], time.monotonic()
    for _ in range(steps):
        measured, inputs = read()
        parts = [np.ravel(measured[part["name"]]) * part["scale"] for part in config["observations"]]
        inputs = {"observations": np.concatenate(parts), **inputs}
        write(*policy.run(None, {name: np.float32(values)[None] for name, values in inputs.items()}))
        due += period
        time.sleep(max(0.0, due - time.monotonic()))


def replay(folder):
    """Take the recorded observations apart as a robot would measure them, and put them together again."""
    policy, config = load(folder)
    recorded, parts, worst = np.load(folder / "recorded.npz"), config["observations"], [0.0]
    rows, expected = iter(recorded["observations"]), iter(recorded["actions"])
    joints = {i.name: np.zeros(i.shape[1]) for i in policy.get_inputs()[1:]}  # where the graph asks for them

    def read():
        pieces = np.split(next(rows), np.cumsum([part["shape"][0] for part in parts])[:-1])
        return {part["name"]: piece / part["scale"] for part, piece in zip(parts, pieces)}, joints

    def write(actions, targets=None):
        worst[0] = max(worst[0], np.abs(actions[0] - next(expected)).max())

    run(policy, config, read, write, len(recorded["actions"]))
    print(f"{len(recorded['actions'])} steps at {config['control_hz']:g} Hz for {config['robot']}: actions")
    names = [action["name"] for action in config["actions"]]
    print(f"{names} differ from the recorded ones by {worst[0]:.1e}")


if __name__ == "__main__":
    replay(Path(sys.argv[1]))
