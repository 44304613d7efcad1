"""Packages that are damaged, hostile or absurd: what the reader has to survive."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

FILES = (
    "env_cfg.py", "reward_functions.py", "randomizations.py", "train_cfg.yaml", "generation_metadata.json",
    ".isaac_lab_complete", "__init__.py",
)  # fmt: skip
_PYTHON = FILES[:3]
_JSON = FILES[4:6]
_TRAP = "__import__('os').system('touch {trap}')"
_VALUES = (
    "1e999", "-1e999", ".nan", "NaN", "null", "None", "[]", "{}", "''", "'x'", "-1", "0", "0x" + "f" * 4000,
    "9" * 4500, "True", "(lambda: 1)()", "..", "'../../etc/passwd'", "'\\x00'", "*", "&a", "!!binary x",
)  # fmt: skip


def damage(folder: Path, trap: Path, seed: int) -> str:
    """Damage the package in ``folder`` in one to three ways; returns their names.

    ``trap`` is a file that the package's code would make if any of it were run.
    """
    chance = random.Random(seed)
    names = []
    for _ in range(chance.choice((1, 1, 2, 3))):
        name = chance.choice(sorted(WAYS))
        names.append(name)
        WAYS[name](folder, trap, chance)
    return "+".join(names)


def _write(folder: Path, name: str, data: bytes | str) -> None:
    file = folder / name
    if file.is_dir() and not file.is_symlink():
        shutil.rmtree(file)
    elif file.is_symlink() or file.exists() or os.path.lexists(file):
        file.unlink()
    file.write_bytes(data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data)


def _read(folder: Path, name: str) -> bytes:
    file = folder / name
    return file.read_bytes() if file.is_file() and not file.is_symlink() else b"x = 1\n"


def _truncated(folder: Path, trap: Path, chance: random.Random) -> None:
    name = chance.choice(FILES)
    data = _read(folder, name)
    _write(folder, name, data[: chance.randrange(len(data) + 1)])


def _flipped(folder: Path, trap: Path, chance: random.Random) -> None:
    name = chance.choice(FILES)
    data = bytearray(_read(folder, name) or b"x")
    for _ in range(chance.choice((1, 3, 30))):
        data[chance.randrange(len(data))] = chance.randrange(256)
    _write(folder, name, bytes(data))


def _binary(folder: Path, trap: Path, chance: random.Random) -> None:
    _write(folder, chance.choice(FILES), chance.randbytes(chance.choice((0, 1, 100, 5000, 200_000))))


def _lines(folder: Path, trap: Path, chance: random.Random) -> None:
    name = chance.choice(FILES)
    lines = _read(folder, name).splitlines(keepends=True) or [b"\n"]
    for _ in range(chance.choice((1, 5, 40))):
        at = chance.randrange(len(lines))
        what = chance.randrange(4)
        if what == 0 and len(lines) > 1:
            del lines[at]
        elif what == 1:
            lines.insert(at, lines[chance.randrange(len(lines))])
        elif what == 2:
            lines[at] = b" " * chance.randrange(8) + lines[at].lstrip()
        else:
            lines.insert(at, _TRAP.format(trap=trap).encode() + b"\n")
    _write(folder, name, b"".join(lines))


def _values(folder: Path, trap: Path, chance: random.Random) -> None:
    """Constants become what nobody expects."""
    name = chance.choice((*_PYTHON, "train_cfg.yaml", *_JSON))
    words = _read(folder, name).decode("utf-8", "replace").split(" ")
    for _ in range(chance.choice((1, 3, 20))):
        words[chance.randrange(len(words))] = chance.choice(_VALUES)
    _write(folder, name, " ".join(words))


def _huge(folder: Path, trap: Path, chance: random.Random) -> None:
    name = chance.choice(FILES)
    data = _read(folder, name) or b"x = 1\n"
    size = chance.choice((60_000, 120_000, 250_000, 1_000_000, 8_000_000))
    _write(folder, name, (data * (size // len(data) + 1))[:size])


def _dense(folder: Path, trap: Path, chance: random.Random) -> None:
    """As many nodes as the size limits allow."""
    name, limit = chance.choice(
        (("env_cfg.py", 262_000), ("reward_functions.py", 131_000), ("randomizations.py", 131_000))
    )
    text = chance.choice(("x=[" + "1," * limit, "a;" * limit, "x=" + "{}," * limit, "def f():pass\n" * limit))
    closing = "]" if "[" in text[:4] else ""
    _write(folder, name, text[: limit - 2] + closing)


def _deep_python(folder: Path, trap: Path, chance: random.Random) -> None:
    depth = chance.choice((50, 65, 90, 900, 5000, 60_000))
    text = chance.choice(
        (
            "x=" + "[" * depth + "]" * depth,
            "x=" + "(" * depth,
            "x=" + "-" * depth + "1",
            "x=" + "not " * depth + "1",
            "x=a" + ".b" * depth,
            "x=1" + "+1" * depth,
            "x=1" + " if a else 1" * depth,
            "x=" + "lambda:" * depth + "1",
            "x=" + "f(" * depth + ")" * depth,
            "x=a" + "[0]" * depth,
            "x=1" + "**1" * depth,
            "x=a" + " and a" * depth,
            "x=a" + "<a" * depth,
            "".join(" " * i + "if x:\n" for i in range(min(depth, 300))),
            "".join(" " * i + "class A:\n" for i in range(min(depth, 300))),
            "x=" + "{1:" * depth + "}" * depth,
            "class E" + "(A" * depth + ")" * depth + ":pass",
            "@a\n" * depth + "def f():pass",
        )
    )
    start = chance.choice(("", "SCENE_ENTITY_MAP = {}\n"))
    _write(folder, chance.choice((*_PYTHON, "__init__.py")), start + text + "\n")


def _sharing(folder: Path, trap: Path, chance: random.Random) -> None:
    """Constants that double with every line."""
    lines = ["x0 = [1, 1]"] + [f"x{i + 1} = [x{i}, x{i}]" for i in range(40)]
    more = ["SCENE_ENTITY_MAP = {'a': x40, 'b': x40}", "class E1EnvCfg(A):", "  def __post_init__(self):"]
    _write(
        folder,
        "env_cfg.py",
        "\n".join([*lines, *more, "    self.sim.dt = x40", "    self.sim.substeps = x40\n"]),
    )


def _getting(folder: Path, trap: Path, chance: random.Random) -> None:
    """The same, by way of a table's ``get``."""
    start = chance.choice(("{'k': 'a'}", "{'k': [1, 1]}", "{'k': {'a': 1}}"))
    item = chance.choice(("[T{i}.get('k'), T{i}.get('k')]", "{{'a': T{i}.get('k'), 'b': T{i}.get('k')}}"))
    lines = [f"T0 = {start}"] + [f"T{i + 1} = {{'k': {item.format(i=i)}}}" for i in range(40)]
    more = ["class ActionsCfg:", "  a = {'class_type': T40.get('k')}", "SCENE_ENTITY_MAP = T40"]
    _write(folder, "env_cfg.py", "\n".join([*lines, *more, ""]))


def _elifs(folder: Path, trap: Path, chance: random.Random) -> None:
    """Conditions that are long, and by their syntax tree deep."""
    count = chance.choice((50, 1500, 9000))
    block = "if a: pass\n" + "elif a: pass\n" * count
    inner = "  if a: pass\n" + "  elif a: pass\n" * count
    hook = f"def randomize_a(env):\n  env.write_root_pose_to_sim(objects)\n{inner}"
    text = chance.choice((block, hook))
    _write(folder, chance.choice(_PYTHON), text)


def _numbers(folder: Path, trap: Path, chance: random.Random) -> None:
    """Whole numbers that Python reads and cannot print."""
    number = chance.choice(("0x" + "f" * 5000, "-0x" + "f" * 5000, "0b" + "1" * 20_000, "0o" + "7" * 7000))
    name = chance.choice(("env_cfg.py", "reward_functions.py", "train_cfg.yaml"))
    text = {
        "env_cfg.py": f"X = {number}\nclass RewardsCfg:\n  a = TermCfg(func=f, weight={number})\n",
        "reward_functions.py": f"def reward_joint_progress(env, a={number}):\n  return env.scene[{number}]\n",
        "train_cfg.yaml": f"algo:\n  rollout_steps: {number}\nenv: {{num_envs: {number}}}\n",
    }
    _write(folder, name, text[name])


def _many(folder: Path, trap: Path, chance: random.Random) -> None:
    """As many terms, or classes, as the size limits allow."""
    if chance.randrange(2):
        file = next(folder.glob("task_*.py"), folder / "task_dish_loading.py")
        _write(folder, file.name, "".join(f"class A{i}Task: pass\n" for i in range(6000)))
        return
    kind = chance.choice(("RewardsCfg", "ObservationsCfg", "TerminationsCfg"))
    inner = "  class A:\n  " if kind == "ObservationsCfg" else ""
    terms = "".join(f"{inner}  t{i} = TermCfg(func='f')\n" for i in range(4500))
    _write(folder, "env_cfg.py", f"class {kind}:\n{terms}"[:262_000])
    body = chance.choice(("  env.device\n" * 9000, "  pass\n" * 18_000, f"  x = [{'1, ' * 40_000}]\n"))
    _write(folder, "randomizations.py", f"def f(env):\n{body}  return env.device\n")


def _branches(folder: Path, trap: Path, chance: random.Random) -> None:
    """Reward functions whose paths double with every line."""
    body = "".join(
        f"  if env.num_envs > {i}:\n    v{i} = env.device\n" for i in range(chance.choice((50, 3000)))
    )
    nest = "".join(" " * (i + 2) + f"if env.step_dt > {i}:\n" for i in range(80)) + " " * 90 + "return env\n"
    chosen = chance.choice((body, nest))
    names = ("joint_progress", "handle_grasp", "smooth_motion", "action_jerk_penalty")
    _write(
        folder, "reward_functions.py", "".join(f"def reward_{n}(env):\n{chosen}  return v\n" for n in names)
    )


def _yaml_bomb(folder: Path, trap: Path, chance: random.Random) -> None:
    levels = "\n".join(
        f"a{i + 1}: &a{i + 1} [{', '.join([f'*a{i}'] * 9)}]" for i in range(chance.choice((3, 9, 40)))
    )
    text = chance.choice(
        (
            f"a0: &a0 [x]\n{levels}\n",
            "a: &a [*a]\n",
            "a: &a {b: *a}\n",
            "&a a: *a\n",
            "a: &x\n  <<: *x\n",
            "a: " + "[" * 50_000,
            "a: " + "{a: " * 5000,
            "- " * 20_000,
            "".join(" " * i + "a:\n" for i in range(300)),
            "? " * 10_000,
            f"!!python/object/apply:os.system ['touch {trap}']\n",
            "!!set {a, b}\n",
            "--- 1\n" * 5000,
            "a: " + "9" * 60_000,
            "a: 0x" + "f" * 60_000,
            "a: 1:" + "2:" * 5000 + "3",
            "a: !!timestamp 99999-99-99\n",
            "a: 9999-99-99\n",
            "%YAML 9.9\n---\na: 1\n",
            "a: |\n" + " x\n" * 20_000,
            '"' + "\\x41" * 15_000 + '": 1\n',
            "? [a, b]\n: 1\n",
            "? {a: b}\n: 1\n",
            "a: \t1\n",
            "\ufeff\ufeffa: 1",
            "a: 1\na: 2\n" * 3000,
        )
    )
    _write(folder, "train_cfg.yaml", text)


def _json_bomb(folder: Path, trap: Path, chance: random.Random) -> None:
    text = chance.choice(
        (
            "[" * 500_000,
            '{"a":' * 150_000,
            "[" + "[]," * 300_000 + "[]]",
            '{"policy_id": ' + "9" * 4200 + "}",
            '{"policy_id": 1e400, "robot_type": [1]}',
            '{"policy_id": "' + "a" * 900_000 + '"}',
            "NaN",
            "Infinity",
            '{"scene_id": "../../../etc"}',
            '{"policy_id": "\\ud800", "scene_id": "\\u0000"}',
            '"x"',
            "null",
            "",
            '{"runtime_validation": {"errors": {"a": 1}, "is_valid": "yes"}, "generated_at": "99999"}',
            '{"validation": [], "validation_errors": 5, "completed_at": {}, "status": [[]]}',
        )
    )
    _write(folder, chance.choice(_JSON), text)


def _no_files(folder: Path, trap: Path, chance: random.Random) -> None:
    """Folders, pipes, devices, loops and nothing in place of files."""
    name = chance.choice(FILES)
    file = folder / name
    if file.is_dir() and not file.is_symlink():
        return
    file.unlink(missing_ok=True)
    what = chance.randrange(7)
    if what == 0:
        file.mkdir()
    elif what == 1:
        os.mkfifo(file)
    elif what == 2:
        file.symlink_to("/dev/zero")
    elif what == 3:
        file.symlink_to(file)
    elif what == 4:
        file.symlink_to("/dev/stdin")
    elif what == 5:
        _write(folder, name, b"x = 1")
        file.chmod(0)


def _swapped(folder: Path, trap: Path, chance: random.Random) -> None:
    one, other = chance.sample(FILES, 2)
    _write(folder, one, _read(folder, other))


def _renamed(folder: Path, trap: Path, chance: random.Random) -> None:
    for task in folder.glob("task_*.py"):
        task.unlink()
    for _ in range(chance.choice((1, 50))):
        name = chance.choice(
            ("task_.py", "task_..py", "task_$(id).py", f"task_{chance.random()}.py", "\u202etask_x.py")
        )
        (folder / name).write_bytes(_TRAP.format(trap=trap).encode())


WAYS: dict[str, Callable[[Path, Path, random.Random], None]] = {
    "truncated": _truncated, "flipped": _flipped, "binary": _binary, "lines": _lines, "values": _values,
    "huge": _huge, "dense": _dense, "deep_python": _deep_python, "sharing": _sharing, "branches": _branches,
    "getting": _getting, "elifs": _elifs, "numbers": _numbers, "many": _many,
    "yaml_bomb": _yaml_bomb, "json_bomb": _json_bomb, "no_files": _no_files, "swapped": _swapped,
    "renamed": _renamed,
}  # fmt: skip
"""By name."""
