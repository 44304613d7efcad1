"""What needs a card; scripts/test-gpu runs it. Elsewhere all of it is skipped."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from blueprint_tune.config.schema import ExperimentConfig
from blueprint_tune.envs.factory import make_env
from blueprint_tune.learning.agents import load_policy
from blueprint_tune.learning.together import Group
from blueprint_tune.learning.trainer import Trainer

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="PyTorch sees no GPU"),
]
SMALL = ("backend=pointmass", "backend.num_envs=32", "agent.rollouts=16", "budget.report_env_steps=1024")


def test_learning_on_a_card_is_learning_on_the_cpu(
    config: Callable[..., ExperimentConfig], tmp_path: Path
) -> None:
    """The first update agrees up to rounding; checkpoints move between the devices."""
    cfg = config(*SMALL)
    reports, trainers = [], []
    for device in ("cpu", "cuda:0"):
        trainers.append(Trainer(make_env(cfg, 1), cfg, tmp_path, device=device))
        reports.append(trainers[-1].train_until_report())
    on_cpu, on_card = trainers
    for a, b in zip(on_cpu.agent._parameters(), on_card.agent._parameters(), strict=True):
        assert b.is_cuda
        torch.testing.assert_close(a, b.cpu(), atol=1e-3, rtol=1e-2)
    for name in ("loss/policy", "loss/value", "agent/kl", "train/return"):
        assert reports[0][name] == pytest.approx(reports[1][name], rel=1e-2, abs=1e-3, nan_ok=True), name
    on_card.save(tmp_path / "card.pt")
    on_cpu.load(tmp_path / "card.pt")
    assert on_cpu.agent.fingerprint() == on_card.agent.fingerprint()
    on_cpu.save(tmp_path / "cpu.pt")
    on_card.load(tmp_path / "cpu.pt")
    assert on_card.train_until_report()["updates"] == on_cpu.train_until_report()["updates"]
    env: Any = on_cpu._env
    policy = load_policy(tmp_path / "card.pt", cfg, env.num_observations, env.num_actions)
    assert not next(policy.parameters()).is_cuda


def _rank(rank: int, address: str, folder: str, cfg: ExperimentConfig) -> None:
    """One of two processes, each with a card of its own."""
    device = f"cuda:{rank}"
    torch.cuda.set_device(rank)
    together = Group(rank, 2, address, device)
    trainer = Trainer(make_env(cfg, 1, 2), cfg, Path(folder), together=together, device=device)
    reports = [trainer.train_until_report() for _ in range(2)]
    torch.save([trainer.agent.fingerprint(), reports], Path(folder) / f"rank_{rank}.pt")
    together.close()


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="two cards are needed")
def test_two_cards_hold_the_same_after_every_report(
    config: Callable[..., ExperimentConfig], tmp_path: Path
) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{probe.getsockname()[1]}"
    torch.multiprocessing.spawn(_rank, (address, str(tmp_path), config(*SMALL)), nprocs=2)
    first, second = (torch.load(tmp_path / f"rank_{rank}.pt", weights_only=False) for rank in range(2))
    assert first[0] == second[0]
    for mine, theirs in zip(first[1], second[1], strict=True):
        assert {k: v for k, v in mine.items() if k.startswith(("loss/", "agent/", "eval/"))} == {
            k: v for k, v in theirs.items() if k.startswith(("loss/", "agent/", "eval/"))
        }
