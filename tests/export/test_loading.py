"""Bundles that are damaged, incomplete, of another version, or made to mislead."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from blueprint_tune.config.schema import ExperimentConfig
from blueprint_tune.errors import BundleDamaged, ObjectNotFound, StorageError
from blueprint_tune.export.bundle import PolicyFacts, write_bundle
from blueprint_tune.export.checksums import CHECKSUMS, checksums_text, parse_checksums
from blueprint_tune.export.loading import REQUIRED, Bundle, load_bundle
from blueprint_tune.learning.networks import DeployablePolicy
from blueprint_tune.storage.digests import sha256
from blueprint_tune.storage.local import LocalStore
from blueprint_tune.storage.path import StoragePath


@pytest.fixture(scope="module")
def written(
    tmp_path_factory: pytest.TempPathFactory,
    policy: DeployablePolicy,
    observations: Tensor,
    cfg: ExperimentConfig,
    facts: PolicyFacts,
) -> Path:
    folder = tmp_path_factory.mktemp("written") / "bundle"
    write_bundle(folder, policy, observations, cfg, facts, {"job_id": "a"})
    return folder


@pytest.fixture
def folder(written: Path, tmp_path: Path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(written, tmp_path / "bundle"))


def relist(folder: Path) -> None:
    """Write a right list of what is there now, as somebody would who means to mislead."""
    files = {file.name: file.read_bytes() for file in folder.iterdir() if file.name != CHECKSUMS}
    (folder / CHECKSUMS).write_text(checksums_text(files))


def test_a_bundle_is_read_from_a_folder_and_from_storage(folder: Path) -> None:
    inside = StoragePath(LocalStore(folder.parent), "") / folder.name
    assert load_bundle(folder).files == load_bundle(inside).files


def test_one_flipped_bit_anywhere_is_noticed_and_the_file_named(folder: Path) -> None:
    draw = np.random.default_rng(0)
    for file in sorted(folder.iterdir()):
        whole = file.read_bytes()
        positions = {0, len(whole) - 1, *draw.integers(0, len(whole), 20).tolist()}
        if file.name == CHECKSUMS:
            positions = set(range(len(whole)))
        for position in positions:
            damaged = bytearray(whole)
            damaged[position] ^= 1 << int(draw.integers(8))
            file.write_bytes(damaged)
            with pytest.raises(BundleDamaged, match=file.name.replace(".", r"\.")) as error:
                load_bundle(folder)
            others = [name for name in REQUIRED if name != file.name and name in str(error.value)]
            assert not others, (position, str(error.value))
        file.write_bytes(whole)
    load_bundle(folder)


@pytest.mark.parametrize("name", [*REQUIRED, CHECKSUMS])
def test_a_missing_or_cut_file_is_named(folder: Path, name: str) -> None:
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(BundleDamaged, match=name.replace(".", r"\.")):
        load_bundle(folder)
    (folder / name).unlink()
    with pytest.raises(BundleDamaged, match=rf"{name} is missing.*blueprint-tune export EXPERIMENT"):
        load_bundle(folder)


def test_all_that_is_wrong_is_said_at_once(folder: Path) -> None:
    (folder / "policy.pt").unlink()
    (folder / "policy.onnx").write_bytes(b"no graph")
    with pytest.raises(BundleDamaged, match=r"policy.onnx is not what was written, policy.pt is missing"):
        load_bundle(folder)


def test_a_file_that_is_not_listed_is_not_trusted(folder: Path) -> None:
    relist(folder)
    load_bundle(folder)
    (folder / "policy.ts").write_bytes(b"slipped in")
    with pytest.raises(BundleDamaged, match=r"does not list policy\.ts"):
        load_bundle(folder)
    (folder / "policy.ts").unlink()
    (folder / "policy.onnx").rename(folder / "other.onnx")
    relist(folder)
    with pytest.raises(BundleDamaged, match=r"does not list policy\.onnx"):
        load_bundle(folder)


@pytest.mark.parametrize(
    "name", ["../secret", "/etc/passwd", "..", "a/b", ".hidden", "", "a\\b", "x\0y", "é"]
)
def test_names_that_lead_elsewhere_are_refused(folder: Path, name: str) -> None:
    (folder.parent / "secret").write_text("not of this bundle")
    lines = (folder / CHECKSUMS).read_text().rpartition("#")[0] + f"{sha256(b'')}  {name}\n"
    (folder / CHECKSUMS).write_text(f"{lines}# sha256 of the lines above: {sha256(lines.encode())}\n")
    with pytest.raises(BundleDamaged, match=r"names no file of a bundle"):
        load_bundle(folder)


def test_a_name_listed_twice_is_refused() -> None:
    text = checksums_text({"a": b"1"})
    line = text.partition("\n")[0] + "\n"
    twice = f"{line}{line}"
    with pytest.raises(BundleDamaged, match="names no file"):
        parse_checksums(f"{twice}# sha256 of the lines above: {sha256(twice.encode())}\n".encode(), "here")


@pytest.mark.parametrize(
    ("version", "said"),
    [(2, "newer version of blueprint-tune: its format is 2, this program reads 1. Update"), (0, "format 0")],
)
def test_a_bundle_of_another_version_is_refused(folder: Path, version: object, said: str) -> None:
    config = json.loads((folder / "policy_config.json").read_text())
    (folder / "policy_config.json").write_text(json.dumps({**config, "format_version": version}))
    relist(folder)
    with pytest.raises(StorageError, match=said):
        load_bundle(folder)


@pytest.mark.parametrize("content", [{"format_version": 2}, [1, 2]])
def test_weights_of_another_format_are_refused(folder: Path, content: object) -> None:
    torch.save(content, folder / "policy.pt")
    relist(folder)
    with pytest.raises(StorageError, match=r"policy\.pt (was written by a newer|has the format None)"):
        load_bundle(folder).torch_policy()


def test_what_is_no_bundle_is_said_to_be_none(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(ObjectNotFound, match=r"is not a bundle: it holds no checksums\.sha256"):
            load_bundle(folder)


def test_what_was_verified_is_what_is_used(folder: Path) -> None:
    bundle: Bundle = load_bundle(folder)
    (folder / "policy.onnx").write_bytes(b"changed after the look")
    assert bundle.onnx_policy()(torch.zeros(1, 12)).shape == (1, 8)
