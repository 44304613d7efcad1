"""The scene of a package without a manifest, and a package that lies in a bucket."""

import shutil
from types import SimpleNamespace

import pytest
from benchlib.buckets import bucket as bucket_of

from blueprint_tune.config.compose import compose
from blueprint_tune.config.paths import assets_dir
from blueprint_tune.errors import TaskPackageError
from blueprint_tune.packages import fetch
from blueprint_tune.packages.reader import read_package
from blueprint_tune.tasks.package import read_package_scene
from blueprint_tune.tasks.spec import bind_task

KITCHEN = assets_dir() / "scenes/kitchen_001/scene_manifest.json"
OBJECTS = ("mug_0", "plate_1", "dishwasher_rack_001", "drawer_2", "table_3", "floor_001", "gizmo_9", "odd id")


def test_entities_become_objects_by_their_names_each_a_listed_guess(package):
    scene = read_package_scene(str(package("dish_loading", objects=OBJECTS)), None)
    by_id = scene.by_id
    assert set(by_id) == {
        "mug_0",
        "plate_1",
        "dishwasher_rack_001",
        "drawer_2",
        "table_3",
        "gizmo_9",
        "odd_id",
        "guessed_table",
    }
    assert by_id["mug_0"].movable and by_id["gizmo_9"].movable and not by_id["table_3"].movable
    assert by_id["drawer_2"].joint is not None and by_id["drawer_2"].joint.kind == "prismatic"
    told = "\n".join(guess.text for guess in scene.guesses)
    assert all(name in told for name in by_id)
    assert "mug_0: no scene manifest; taken for a mug by its name" in told
    tops = {name: by_id[name].bounds[0][2] for name in ("mug_0", "plate_1", "gizmo_9")}
    assert all(bottom == pytest.approx(0.75, abs=1e-6) for bottom in tops.values()), "they stand on the table"


@pytest.mark.parametrize("policy", ["drawer_manipulation", "dexterous_pick_place"])
def test_a_policy_binds_to_a_guessed_scene(package, policy):
    folder = package(policy, objects=OBJECTS)
    cfg = compose(["+scene=package", f"scene.package={folder}", "preset=smoke"])
    task = bind_task(cfg)
    assert task.roles["target"].id in {"drawer_2", "odd_id", "gizmo_9"}
    assert any("there is no scene manifest" in note for note in task.notes)


def test_without_manifest_and_objects_it_is_refused(package):
    with pytest.raises(Exception, match="names no objects either"):
        compose(["+scene=package", f"scene.package={package(objects=())}"])


def test_scene_and_package_both_are_in_the_digest(package, tmp_path):
    folder, other = package(), tmp_path / "other.json"
    other.write_text(KITCHEN.read_text() + " ")
    digests = [read_package_scene(str(folder), str(place)).digest for place in (KITCHEN, KITCHEN, other)]
    assert digests[0] == digests[1] != digests[2]
    (folder / "train_cfg.yaml").write_text("env: {num_envs: 2}\n")
    assert read_package_scene(str(folder), str(KITCHEN)).digest != digests[0]


@pytest.fixture(scope="session")
def emulator():
    """An emulated bucket of Amazon S3, which the real client talks to."""
    with bucket_of("s3") as found:
        yield found


@pytest.fixture
def bucket(package, emulator, monkeypatch):
    """bucket.folder is a package, bucket.uri where its copy lies; ``bucket.put()`` copies it again."""
    for name, value in emulator.environment().items():
        monkeypatch.setenv(name, value)
    folder = package()
    (folder.parent / "assets/interactive/obj_1").mkdir(parents=True)
    shutil.copy(KITCHEN, folder.parent / "assets")
    (folder.parent / "assets/interactive/obj_1/1.urdf").write_text("<robot/>")
    (folder.parent / "assets/huge_texture.png").write_bytes(b"x")
    root = emulator.root("scenes/kitchen")

    def put():
        fetch._fetched.cache_clear()
        for file in folder.parent.rglob("*"):
            if file.is_file():
                (root / str(file.relative_to(folder.parent))).write_bytes(file.read_bytes())

    put()
    return SimpleNamespace(folder=folder, uri=f"{root}/isaac_lab", put=put)


def test_a_package_in_a_bucket_is_copied_once_under_its_digest(bucket, tmp_path):
    cache = tmp_path / "cache"
    folder = fetch.local_package(bucket.uri, cache)
    assert read_package(folder).digest == read_package(bucket.folder).digest
    files = [file for file in (folder.parent / "assets").rglob("*") if file.is_file()]
    kept = sorted(str(file.relative_to(folder.parent)) for file in files)
    assert kept == ["assets/interactive/obj_1/1.urdf", "assets/scene_manifest.json"]
    fetch._fetched.cache_clear()
    assert fetch.local_package(bucket.uri, cache) == folder and len(list(cache.iterdir())) == 1
    (bucket.folder / "train_cfg.yaml").write_text("env: {num_envs: 3}\n")
    bucket.put()
    assert fetch.local_package(bucket.uri, cache) != folder


def test_an_experiment_from_a_bucket_names_where_it_was_copied_from(bucket, tmp_path):
    words = [
        "+scene=package",
        f"scene.package={bucket.uri}",
        f"output_dir={tmp_path / 'out'}",
        "preset=smoke",
    ]
    cfg = compose(words)
    assert cfg.scene.package.startswith(str(tmp_path / "out/.packages"))
    assert cfg.scene.manifest.startswith(str(tmp_path / "out/.packages"))
    assert any(f"copied from {bucket.uri}" in text for text in cfg.scene.adaptations)


@pytest.mark.parametrize("place", ["s3://abc", "s3://abc/", "s3://abc/x/.."])
def test_what_names_no_folder_of_a_bucket_is_refused(place, tmp_path):
    with pytest.raises(TaskPackageError, match="expected the folder of a package"):
        fetch.local_package(place, tmp_path)


def test_where_no_package_is_in_a_bucket_it_is_told(bucket, tmp_path):
    with pytest.raises(TaskPackageError, match="no file of a task package"):
        fetch.local_package(bucket.uri.replace("kitchen", "nothing"), tmp_path)


def test_too_much_is_not_fetched(bucket, monkeypatch, tmp_path):
    monkeypatch.setattr(fetch, "_MAX_BYTES", 100)
    with pytest.raises(TaskPackageError, match="Copy what is needed"):
        fetch.local_package(bucket.uri, tmp_path)
