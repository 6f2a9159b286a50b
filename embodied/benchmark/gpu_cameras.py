"""How many pictures of its worlds a device makes."""

from __future__ import annotations

import time
from dataclasses import replace

import torch

from embodied.benchmark.throughput import REPEATS, Figure
from embodied.envs.config import EnvConfig
from embodied.envs.device_worlds import DeviceWorlds
from embodied.envs.registry import get_task

IMAGE_SIZE = 64
RENDERS = 10  # in each repeat
WANTED = {1024: ">= 50000"}  # number of worlds -> frames a second
MOST_STARTS = 64  # of which the worlds begin
LATE = 1 << 30  # ticks: when each world's next frame is due


def gpu_frames(config: EnvConfig, num_worlds: int, repeats: int = REPEATS, renders: int = RENDERS) -> Figure:
    """World-frames per second of the first of the task's cameras at 64x64: what a step adds where pixels are shown.

    Worlds move between repeats, not between the renders of one. Raises EmbodiedError as `DeviceWorlds` does.
    """
    shown = replace(config, engine="warp", obs="pixels", image_size=IMAGE_SIZE)
    worlds = DeviceWorlds(_one_camera(shown), num_worlds, min(num_worlds, MOST_STARTS), config.device)
    worlds.reset()
    feed, tick = worlds.feed, torch.full((num_worlds,), LATE, dtype=torch.int64, device=worlds.device)
    assert feed is not None  # as `obs` asks for it
    still = torch.zeros((num_worlds, len(worlds.interface.low)), device=worlds.device)
    rates = []
    for _ in range(repeats):
        worlds.step(still)
        _wait(worlds.device)
        begun = time.perf_counter()
        for _ in range(renders):
            feed.take(tick.add_(1))
        _wait(worlds.device)
        rates.append(num_worlds * renders / (time.perf_counter() - begun))
    worlds.engine.close()
    what = f"frames at {IMAGE_SIZE}x{IMAGE_SIZE}, {num_worlds} worlds on {worlds.device}"
    return Figure.of(what, "world-frames a second", rates, WANTED.get(num_worlds, ""))


def _one_camera(config: EnvConfig) -> EnvConfig:
    return replace(config, cameras=(config.cameras or get_task(config.task).cameras)[:1])


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
