"""A short film of a policy at work, as a GIF that a page or a document can show."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from blueprint_tune.envs.base import VecEnv
from blueprint_tune.evaluation.benchmark import Act

MAX_BYTES = 300_000
WIDTH, HEIGHT = 320, 240
FRAME_S = 0.1
"""At least so long between two frames."""
_AFTERWARDS_S = 0.5
"""Shown after success."""
_COLOURS = (64, 32, 16)
"""Sizes of the palette that are tried, the finest first; then every other frame is left out."""


@dataclass(frozen=True)
class Film:
    """(H, W, 3) frames of one episode, ``frame_s`` seconds apart, and whether it was a success."""

    frames: Sequence[NDArray[np.uint8]]
    frame_s: float
    success: bool


def film(env: VecEnv, act: Act, seed: int) -> Film:
    """Environment 0 plays episode 0 of a seed, seen from one place; it ends soon after success.

    Raises SimulatorError where nothing can draw.
    """
    every = max(1, round(FRAME_S / env.control_dt_s))
    slots = np.arange(env.num_envs)
    observations = env.reset(np.full(env.num_envs, seed, dtype=np.int64), slots)
    view = env.viewpoint(0)
    frames = [env.render(0, WIDTH, HEIGHT, view)]
    last, success = env.max_episode_steps - 1, False
    for step in range(env.max_episode_steps):
        with torch.no_grad():
            result = env.step(act(observations.cpu()).clamp(-1.0, 1.0).to(env.device))
        observations = result.observations
        if bool(result.success_now[0]) and not success:
            success, last = True, min(last, step + round(_AFTERWARDS_S / env.control_dt_s))
        if bool((result.terminated | result.truncated)[0]):
            break  # what could be drawn is the next episode's start
        if (step + 1) % every == 0:
            frames.append(env.render(0, WIDTH, HEIGHT, view))
        if step >= last:
            break
    return Film(frames, every * env.control_dt_s, success)


def to_gif(shown: Film) -> bytes:
    """An endless GIF of at most ``MAX_BYTES``, in as many colours as that leaves room for."""
    every = 1
    while True:
        for colours in _COLOURS:
            data = _encoded(shown.frames[::every], colours, shown.frame_s * every)
            if len(data) <= MAX_BYTES or every >= len(shown.frames):
                return data
        every *= 2


def _encoded(frames: Sequence[NDArray[np.uint8]], colours: int, frame_s: float) -> bytes:
    # one palette for all frames, so that what stands still stays the same and costs nothing
    strip = Image.fromarray(np.concatenate([frames[0], frames[len(frames) // 2], frames[-1]]))
    palette = strip.quantize(colours, dither=Image.Dither.NONE)
    pictures = [Image.fromarray(f).quantize(palette=palette, dither=Image.Dither.NONE) for f in frames]
    file = io.BytesIO()
    milliseconds = round(frame_s * 1000)
    pictures[0].save(
        file, "GIF", save_all=True, append_images=pictures[1:], duration=milliseconds, loop=0, optimize=False
    )
    return file.getvalue()
