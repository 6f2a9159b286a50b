"""How many pictures of its worlds a device makes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch

from embodied.benchmark.gpu import Effort, device_name, median_of, release, settle
from embodied.benchmark.statistics import Median
from embodied.envs.config import EnvConfig
from embodied.envs.registry import get_task
from embodied.envs.warp.worlds import WarpWorlds
from embodied.errors import EmbodiedError

IMAGE_SIZE = 64
MOST_STARTS = 64  # of which the worlds begin
LATE = 1 << 30  # ticks: when each world's next frame is due


@dataclass(frozen=True)
class Pictures:
    """One task in so many worlds."""

    task: str
    num_worlds: int
    device: str
    frames: Median  # of one world, of 64x64 pixels, a second, over all worlds

    @property
    def cell(self) -> tuple[str, int, str]:
        """What was measured, whatever came of it."""
        return self.task, self.num_worlds, self.device


def measure_all_pictures(
    tasks: Sequence[str],
    num: int,
    device: str,
    on_refusal: Callable[[str], None],
    effort: Effort,
) -> Iterator[Pictures]:
    """Each task in so many worlds; `on_refusal` is told why one was left out."""
    for name in tasks:
        release(device)
        try:
            yield measure_pictures(name, num, device, effort)
        except EmbodiedError as error:
            on_refusal(f"{name}, pictures of {num} worlds: {error}")


def measure_pictures(task: str, num: int, device: str, effort: Effort) -> Pictures:
    """Of the task's first camera: what a step adds where pixels are shown.

    Worlds move between turns, not between the pictures of one. Raises EmbodiedError as
    `WarpWorlds` does.
    """
    camera = get_task(task).cameras[:1]
    config = EnvConfig(
        task,
        engine="warp",
        device=device,
        obs="pixels",
        image_size=IMAGE_SIZE,
        cameras=camera,
    )
    worlds = WarpWorlds(config, num, min(num, MOST_STARTS), device)
    worlds.reset()
    feed = worlds.feed
    tick = torch.full((num,), LATE, dtype=torch.int64, device=worlds.device)
    assert feed is not None  # as `obs` asks for it
    still = torch.zeros((num, len(worlds.interface.low)), device=worlds.device)
    rates = []
    for _ in range(effort.repeats):
        worlds.step(still)
        settle(worlds.device)
        begun = time.perf_counter()
        for _ in range(effort.steps):
            feed.take(tick.add_(1))
        settle(worlds.device)
        rates.append(num * effort.steps / (time.perf_counter() - begun))
    worlds.engine.close()
    return Pictures(task, num, device_name(worlds.device), median_of(rates))
