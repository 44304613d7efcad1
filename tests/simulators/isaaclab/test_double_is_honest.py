"""The test double offers nothing that Isaac Lab 2.3.2 does not have: held against the wheel's own sources."""

from __future__ import annotations

import ast
import subprocess
import sys
import textwrap
import zipfile
from pathlib import Path

import pytest

from blueprint_tune.config.paths import conf_dir
from tests.simulators.isaaclab.honesty import lies, modules, view_lies, wanted
from tests.simulators.isaaclab.surface import Sources

VERSION = "2.3.2"
DOUBLE = Path(__file__).parents[2] / "isaac_double"
BACKEND = Path(__file__).parents[3] / "blueprint_tune" / "simulators" / "isaaclab"
WHERE = ["--platform", "manylinux_2_35_x86_64", "--python-version", "3.11", "--implementation", "cp"]


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the wheel's sources; unpacked, never installed."""
    folder = tmp_path_factory.mktemp("isaaclab")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", *WHERE]
    done = subprocess.run(
        [*command, "--abi", "cp311", "--dest", str(folder), f"isaaclab=={VERSION}"],
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["pip said nothing"]
        pytest.skip(f"The package index gives no isaaclab {VERSION} here: {said[-1]}")
    (file,) = folder.glob("*.whl")
    with zipfile.ZipFile(file) as archive:
        archive.extractall(folder, [name for name in archive.namelist() if name.endswith((".py", ".toml"))])
    return folder / "isaaclab" / "source"


@pytest.fixture(scope="session")
def real(wheel: Path) -> Sources:
    return Sources(wheel / "isaaclab", wheel / "isaaclab_assets")


@pytest.fixture(scope="session")
def texts(wheel: Path) -> dict[Path, str]:
    return {path: path.read_text() for path in wheel.rglob("*.py")}


@pytest.mark.package_index
def test_all_that_the_double_offers_is_in_the_wheel(real: Sources, texts: dict[Path, str]) -> None:
    uses, double = "\n".join(texts.values()), Sources(DOUBLE)
    names = [*modules(DOUBLE, "isaaclab"), *modules(DOUBLE, "isaaclab_assets")]
    assert len(names) > 8
    found = [lie for module in names for lie in lies(double, real, module, uses)]
    assert not found, "\n".join(found)


@pytest.mark.package_index
def test_what_stands_for_isaac_sim_is_called_as_isaac_lab_calls_it(texts: dict[Path, str]) -> None:
    trees = [ast.parse(text) for text in texts.values() if "physx_view" in text or "app.close" in text]
    calls = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Call)]
    double, uses = Sources(DOUBLE), "\n".join(texts.values())
    outside = [double.tree(f"isaac_physics.{module}") for module in ("views", "application")]
    classes = [node for tree in outside for node in tree.body if isinstance(node, ast.ClassDef)]
    assert len(classes) == 4
    found = [lie for view in classes for lie in view_lies(view, calls, uses)]
    assert not found, "\n".join(found)


@pytest.mark.package_index
def test_isaac_labs_version_and_assets_are_as_the_double_says(real: Sources, wheel: Path) -> None:
    from importlib.metadata import PathDistribution

    (own,) = DOUBLE.glob("*.dist-info")
    assert PathDistribution(own).version == VERSION
    assigned = ast.unparse(Sources(DOUBLE).resolve("isaaclab", "__version__")[1])
    extension = (wheel / "isaaclab" / "config" / "extension.toml").read_text()
    assert f'version = "{ast.literal_eval(assigned.partition(" = ")[2])}"' in extension
    for module, values in ASSET_NUMBERS.items():
        text = ast.unparse(real.tree(module))
        assert [value for value in values if value not in text] == []


ASSET_NUMBERS = {
    "isaaclab_assets.robots.franka": (
        "panda_instanceable.usd",
        "'panda_joint2': -0.569",
        "'panda_joint4': -2.81",
        "'panda_joint6': 3.037",
        "'panda_joint7': 0.741",
        "actuators['panda_shoulder'].stiffness = 400.0",
        "actuators['panda_forearm'].damping = 80.0",
        "spawn.rigid_props.disable_gravity = True",
    ),
    "isaaclab_assets.robots.universal_robots": (
        "ur10_instanceable.usd",
        "'shoulder_lift_joint': -1.712",
        "effort_limit_sim=87.0, stiffness=800.0, damping=40.0",
    ),
}


def test_all_that_the_backend_imports_is_in_the_double() -> None:
    double, missing = Sources(DOUBLE), []
    for path in sorted(BACKEND.glob("*.py")):
        for package in ("isaaclab", "isaaclab_assets"):
            names = set(wanted(path, package))
            missing += [f"{path.name}: {m}.{n}" for m, n in sorted(names) if double.resolve(m, n) is None]
    assert missing == []


def test_the_robots_assets_of_conf_are_in_the_double() -> None:
    """conf/robot names them as module:NAME."""
    found = []
    for path in sorted((conf_dir() / "robot").glob("*.yaml")):
        for line in path.read_text().splitlines():
            module, _, name = line.partition("asset: isaaclab_assets")[2].partition(":")
            if name:
                found.append(Sources(DOUBLE).resolve(f"isaaclab_assets{module}", name.split()[0]))
    assert None not in found


def written(folder: Path, **files: str) -> Sources:
    for name, text in files.items():
        (folder / f"{name}.py").write_text(textwrap.dedent(text))
    return Sources(folder)


REAL = """
    from configs import configclass
    from elsewhere import Simulator, Outer
    from other import *

    @configclass
    class Cfg:
        size: float = 1.0
        path: str = MISSING

    class Thing(Outer):
        def __init__(self, cfg): self.cfg = cfg
        @property
        def data(self): return 1
        def write(self, pose, env_ids=None): self.data.refresh()

    def make(path): ...
"""
TRUE = """
    from configs import configclass

    @configclass
    class Cfg:
        size: float = 2.0
        path: str = MISSING

    class Thing:
        def __init__(self, cfg): ...
        @property
        def data(self): ...
        def write(self, pose, env_ids=None): ...
        def refresh(self): "inherited from what is out of sight, and used"

    class Simulator:
        def refresh(self): ...

    class Shared: ...

    def make(path): ...
    def _own(): ...
"""
OTHER = "class Shared: ...\n"


@pytest.mark.parametrize(
    ("true", "false", "told"),
    [
        ("size: float", "weight: float", "Cfg.weight: there is no such member"),
        ("path: str = MISSING", "path: str = 'x'", "Cfg(path=…)"),
        ("def write(self, pose, env_ids=None)", "def write(self, env_ids=None)", "Thing.write(env_ids=…)"),
        ("env_ids=None", "env_ids", "Thing.write(pose, env_ids)"),
        ("env_ids=None", "ids=None", "Thing.write(pose, ids=…)"),
        ("def __init__(self, cfg)", "def __init__(self, cfg, device)", "Thing.__init__(cfg, device)"),
        ("@property\n        def data", "def data", "Thing.data: a method here"),
        ("def data(self)", "def state(self)", "Thing.state: there is no such member"),
        ("def refresh(self): ...", "def advance(self): ...", "Simulator.advance: never used"),
        ("class Shared", "class Secret", "Secret: there is no such name"),
        ("def make(path)", "def make(path, scale)", "make(path, scale)"),
        ("def _own", "def own", "own: there is no such name"),
    ],
)
def test_a_made_up_name_or_argument_is_found(tmp_path: Path, true: str, false: str, told: str) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "mine").mkdir()
    real = written(tmp_path / "real", lab=REAL, other=OTHER)
    uses = textwrap.dedent(REAL)
    assert list(lies(written(tmp_path / "mine", lab=TRUE), real, "lab", uses)) == []
    assert true in TRUE
    (found,) = lies(written(tmp_path / "mine", lab=TRUE.replace(true, false)), real, "lab", uses)
    assert told in found


def test_a_made_up_module_view_or_import_is_found(tmp_path: Path) -> None:
    assert list(lies(written(tmp_path, lab=TRUE), Sources(tmp_path / "none"), "lab", "")) == [
        "lab: there is no such module"
    ]
    view = ast.parse("class V:\n def set_masses(self, data, indices): ...\n def get_secret(self): ...").body[
        0
    ]
    calls = [ast.parse(code, mode="eval").body for code in ("v.set_masses(m, indices=i)", "v.get_masses()")]
    assert list(view_lies(view, calls, "")) == ["V.get_secret(): never called so"]
    (other,) = view_lies(ast.parse("class V:\n def set_masses(self, data, ids): ...").body[0], calls, "")
    assert "set_masses(data, ids)" in other
    user = tmp_path / "user.py"
    user.write_text("import isaaclab.sim as s\nfrom isaaclab.scene import Scene\ns.Cfg(1)\n")
    assert set(wanted(user, "isaaclab")) == {("isaaclab.sim", "Cfg"), ("isaaclab.scene", "Scene")}
