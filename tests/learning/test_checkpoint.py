"""Checkpoint files: whole or absent, harmless to load, and clear about what is wrong with them."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from blueprint_tune.config.schema import ExperimentConfig
from blueprint_tune.errors import CheckpointDamaged, ObjectNotFound, StorageError
from blueprint_tune.learning.agents import load_policy
from blueprint_tune.learning.checkpoint import FORMAT, read_checkpoint, write_checkpoint
from blueprint_tune.learning.trainer import Trainer
from blueprint_tune.storage.digests import seal_zip

STATE: dict[str, Any] = {"a": torch.arange(6.0).view(2, 3), "nested": {"count": 3, "name": "x", "rate": 0.5}}


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    write_checkpoint(path, STATE)
    found = read_checkpoint(path)
    assert torch.equal(found["a"], STATE["a"]) and found["nested"] == STATE["nested"]
    assert [file.name for file in tmp_path.iterdir()] == ["checkpoint.pt"]


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "checkpoint.pt"
    write_checkpoint(path, STATE)

    def full_disk(file: Path, content: bytes) -> None:
        with file.open("wb") as sink:
            sink.write(content[: len(content) // 2])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full_disk)
    with pytest.raises(OSError, match="No space left"):
        write_checkpoint(path, {"a": torch.zeros(1)})
    assert torch.equal(read_checkpoint(path)["a"], STATE["a"])


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ObjectNotFound, match=r"There is no checkpoint .*nowhere\.pt"):
        read_checkpoint(tmp_path / "nowhere.pt")


@pytest.mark.parametrize("damage", ["cut", "text", "empty"])
def test_a_damaged_file_is_named(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "checkpoint.pt"
    write_checkpoint(path, STATE)
    whole = path.read_bytes()
    path.write_bytes({"cut": whole[: len(whole) // 2], "text": b"not a checkpoint", "empty": b""}[damage])
    with pytest.raises(StorageError, match=r"checkpoint\.pt is damaged"):
        read_checkpoint(path)


def test_any_byte_that_is_not_as_it_was_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    write_checkpoint(path, STATE)
    whole = path.read_bytes()
    for position in range(len(whole)):
        damaged = bytearray(whole)
        damaged[position] ^= 1 << position % 8
        path.write_bytes(damaged)
        with pytest.raises(CheckpointDamaged):
            read_checkpoint(path)
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        with pytest.raises(CheckpointDamaged):
            read_checkpoint(path)


def test_a_sealed_file_is_still_what_torch_and_zip_read(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    write_checkpoint(path, STATE)
    assert torch.equal(torch.load(path, weights_only=True)["a"], STATE["a"])
    assert zipfile.ZipFile(path).testzip() is None


def test_a_checkpoint_from_before_there_were_seals_is_read(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    torch.save({"format": 1, **STATE}, path)
    assert torch.equal(read_checkpoint(path)["a"], STATE["a"])


def test_another_programs_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    for content in ({"a": 1}, {"format": FORMAT + 1}, {"format": FORMAT}, [1, 2]):
        torch.save(content, path)
        with pytest.raises(StorageError, match="another version of this program"):
            read_checkpoint(path)
        path.write_bytes(seal_zip(path.read_bytes()))
        if content == {"format": FORMAT}:
            continue
        with pytest.raises(StorageError, match="another version of this program"):
            read_checkpoint(path)


class Mischief:
    """An object that writes a file when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Callable[..., object], tuple[Path, str]]:
        return Path.write_text, (self.trace, "code ran")


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_loading_runs_no_code(tmp_path: Path) -> None:
    path, trace = tmp_path / "checkpoint.pt", tmp_path / "trace"
    state = {"format": FORMAT, "a": Mischief(trace)}
    torch.save(state, path)
    as_torch = path.read_bytes()
    for content in (as_torch, pickle.dumps(state)):
        path.write_bytes(content)
        with pytest.raises(StorageError):
            read_checkpoint(path)
        assert not trace.exists()
    pickle.loads(content)
    assert trace.read_text() == "code ran", "it would have"


def test_a_trainers_checkpoint_gives_its_policy(
    new_trainer: Callable[..., Trainer], config: Callable[..., ExperimentConfig], tmp_path: Path
) -> None:
    trainer, path = new_trainer("backend=pointmass"), tmp_path / "checkpoint.pt"
    trainer.train_until_report()
    trainer.save(path)
    observations = torch.randn(50, trainer._env.num_observations)
    sizes = trainer._env.num_observations, trainer._env.num_actions
    policy = load_policy(path, config("backend=pointmass"), *sizes)
    torch.testing.assert_close(policy(observations), trainer.agent.mean_actions(observations))
    assert not policy.training
    for settings, wrong in (
        (config("backend=pointmass"), (sizes[0] + 1, sizes[1])),
        (config("backend=pointmass", "agent.policy_hidden_dims=[8,8]"), sizes),
    ):
        with pytest.raises(StorageError, match=rf"does not fit a policy with {wrong[0]} observations"):
            load_policy(path, settings, *wrong)
