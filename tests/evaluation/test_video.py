"""Films: as long as an episode, small enough for a page, seen from one place."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image

from blueprint_tune.config.compose import compose
from blueprint_tune.envs.base import VecEnv
from blueprint_tune.envs.factory import make_env
from blueprint_tune.errors import SimulatorError
from blueprint_tune.evaluation.video import FRAME_S, HEIGHT, MAX_BYTES, WIDTH, Film, film, to_gif


@pytest.fixture
def env() -> VecEnv:
    return make_env(
        compose(["+scene=kitchen_001", "preset=smoke", "backend=pointmass", "backend.num_envs=2"]), 1
    )


def test_physics_is_filmed_or_the_reason_tells_what_to_do() -> None:
    words = ["+scene=kitchen_001", "preset=smoke", "backend.num_envs=2", "policy.episode_s=1.0"]
    env = make_env(compose(words), 1)
    try:
        shown = film(env, lambda o: torch.ones(len(o), env.num_actions), seed=7)
    except SimulatorError as error:
        reason = str(error)
        assert "MUJOCO_GL" in reason
        return
    changed = (shown.frames[0] != shown.frames[-1]).any(axis=2).mean()
    assert 0 < changed < 0.5, "the robot moves, the camera does not"
    assert len(to_gif(shown)) <= MAX_BYTES


def frames_of(data: bytes) -> list[Image.Image]:
    picture = Image.open(io.BytesIO(data))
    found = []
    for index in range(picture.n_frames):
        picture.seek(index)
        found.append(picture.convert("RGB"))
    return found


def test_it_lasts_as_long_as_the_episode_and_shows_what_moves(env: VecEnv) -> None:
    shown = film(env, lambda o: torch.full((len(o), env.num_actions), 0.3), seed=7)
    seconds = env.max_episode_steps * env.control_dt_s
    assert not shown.success and shown.frame_s >= 0.9 * FRAME_S
    assert len(shown.frames) * shown.frame_s == pytest.approx(seconds, abs=2 * shown.frame_s)
    assert (shown.frames[0] != shown.frames[-1]).any()
    decoded = frames_of(to_gif(shown))
    assert len(decoded) > 1 and decoded[0].size == (WIDTH, HEIGHT)


def test_the_same_seed_gives_the_same_film(env: VecEnv) -> None:
    first, second = (film(env, lambda o: torch.zeros(len(o), env.num_actions), seed=3) for _ in range(2))
    np.testing.assert_array_equal(np.stack(first.frames), np.stack(second.frames))


def test_what_is_too_large_loses_colours_and_then_frames() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (12, HEIGHT, WIDTH, 3), dtype=np.uint8)
    data = to_gif(Film(list(noise), 0.1, success=True))
    assert len(data) <= MAX_BYTES
    assert 1 <= len(frames_of(data)) < 12
