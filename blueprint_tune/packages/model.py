"""A task package as data."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from blueprint_tune.packages.files import Problem


@dataclass(frozen=True)
class Place:
    """A line of one of the package's files."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


@dataclass(frozen=True)
class Term:
    """An entry of a RewardsCfg, ObservationsCfg, TerminationsCfg, EventsCfg or ActionsCfg.

    Attributes:
        name: of the entry. func: as written: a dotted name, or the content of a string; '' for none.
        how: 'name' for a reference, 'string' for a name in quotes, 'dict' for a plain dictionary.
        module, function: where a reference leads inside the package, None for elsewhere.
        params: constant parameters. weight: of a reward; None where it is none or cannot be read.
    """

    name: str
    func: str
    how: Literal["name", "string", "dict", "none"]
    place: Place
    module: str | None = None
    function: ast.FunctionDef | None = field(default=None, compare=False)
    params: dict[str, Any] = field(default_factory=dict)
    weight: float | None = None
    mode: str | None = None


@dataclass(frozen=True)
class SceneItem:
    """A field of the package's SceneCfg.

    Attributes:
        kind: the class it is made of (ArticulationCfg, RigidObjectCfg, …).
        usd_path, prim_path: as written, None where they are not constant. usd_line: 0 where there is none.
        joints: names that ``init_state`` gives positions. fields: arguments given.
    """

    name: str
    kind: str
    place: Place
    prim_path: str | None = None
    usd_path: str | None = None
    usd_line: int = 0
    joints: tuple[str, ...] = ()
    fields: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Setting:
    """A constant that env_cfg.py assigns, for example ``self.sim.dt``."""

    value: Any
    place: Place


@dataclass(frozen=True)
class Module:
    """One of the package's Python files: its functions and classes by name."""

    file: str
    tree: ast.Module = field(compare=False)
    functions: dict[str, ast.FunctionDef] = field(compare=False)
    classes: dict[str, ast.ClassDef] = field(compare=False)
    constants: dict[str, Any] = field(compare=False)
    nodes: tuple[ast.AST, ...] = field(compare=False)
    """All nodes of ``tree``, in no particular order."""


@dataclass
class Package:
    """What a task package says. Fields of files that are missing or unreadable are empty.

    Attributes:
        digest: sha256 of its Python files that are read (one task_*.py of them) and of train_cfg.yaml;
            not of metadata, marker, the scene's manifest and other files.
        namespace: 'isaaclab' or 'omni.isaac.lab', None where neither is imported.
        policy, robot, scene_id, environment, task_name: as the package states them, else None.
        sources: where policy and robot are stated. shape: 'real' or 'specified' metadata, None without.
        entities: SCENE_ENTITY_MAP with its lines. scene: fields of SceneCfg. env_class: the EnvCfg class.
        sim: settings of ``self.sim`` and ``self.scene`` by dotted name.
        train, train_lines: train_cfg.yaml and the line of each dotted key.
        metadata, marker: generation_metadata.json and .isaac_lab_complete, None where they are not read.
    """

    path: Path
    digest: str
    names: tuple[str, ...] = ()
    problems: list[Problem] = field(default_factory=list)
    modules: dict[str, Module] = field(default_factory=dict)
    namespace: str | None = None
    policy: str | None = None
    robot: str | None = None
    scene_id: str | None = None
    environment: str | None = None
    task_name: str | None = None
    sources: dict[str, str] = field(default_factory=dict)
    shape: Literal["real", "specified"] | None = None
    entities: dict[str, Setting] = field(default_factory=dict)
    scene: dict[str, SceneItem] = field(default_factory=dict)
    env_class: ast.ClassDef | None = None
    env_fields: dict[str, Setting] = field(default_factory=dict)
    sim: dict[str, Setting] = field(default_factory=dict)
    rewards: tuple[Term, ...] = ()
    observations: tuple[Term, ...] = ()
    actions: tuple[Term, ...] = ()
    events: tuple[Term, ...] = ()
    terminations: tuple[Term, ...] = ()
    train: dict[str, Any] = field(default_factory=dict)
    train_lines: dict[str, int] = field(default_factory=dict)
    metadata: dict[str, Any] | None = None
    marker: dict[str, Any] | None = None

    def setting(self, key: str) -> Any:
        """The value of a dotted key of train_cfg.yaml, None where there is none."""
        node: Any = self.train
        for part in key.split("."):
            node = node.get(part) if isinstance(node, dict) else None
        return node

    def train_place(self, key: str) -> Place:
        """The line of a dotted key of train_cfg.yaml."""
        return Place("train_cfg.yaml", self.train_lines.get(key, 0))
