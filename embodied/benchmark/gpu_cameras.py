"""Measures how fast a GPU renders the camera frames of its worlds."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch

from embodied.benchmark.gpu_throughput import (
    Effort,
    device_name,
    nonempty_median,
    release_memory,
    wait_for,
)
from embodied.benchmark.statistics import Median
from embodied.envs.config import EnvConfig
from embodied.envs.registry import get_task
from embodied.envs.warp.worlds import WarpWorlds
from embodied.errors import EmbodiedError
from embodied.wording import counted

IMAGE_SIZE = 64  # px
MAX_STARTS = 64  # the most distinct starts; more worlds than this share them
# The tick at which the frames are timed. It is far in the future, so that the next frame
# of every world is due.
FAR_TICK = 1 << 30


@dataclass(frozen=True)
class CameraSpeed:
    """The rendering speed of one task with a given number of worlds."""

    task: str
    num_worlds: int
    device: str
    frames: Median  # frames of IMAGE_SIZE per second, summed over all worlds

    @property
    def key(self) -> tuple[str, int, str]:
        """Identifies the measurement: task, number of worlds and device."""
        return self.task, self.num_worlds, self.device


def measure_camera_speeds(
    tasks: Sequence[str],
    num: int,
    device: str,
    on_refusal: Callable[[str], None],
    effort: Effort,
) -> Iterator[CameraSpeed]:
    """Measures each task with `num` worlds.

    A task that the device cannot run is skipped, and `on_refusal` gets the reason.
    """
    for task in tasks:
        release_memory(device)
        try:
            yield measure_camera_speed(task, num, device, effort)
        except EmbodiedError as error:
            on_refusal(f"{task}, frames of {counted(num, 'world')}: {error}")


def measure_camera_speed(
    task: str, num: int, device: str, effort: Effort
) -> CameraSpeed:
    """Times the frames of the task's first camera, as a step with pixels renders them.

    Worlds move between repeats, but not between the frames of one repeat.

    Raises:
        EmbodiedError: the device is missing, or the worlds do not fit onto it.
    """
    config = EnvConfig(
        task,
        engine="warp",
        device=device,
        obs="pixels",
        image_size=IMAGE_SIZE,
        cameras=get_task(task).cameras[:1],
    )
    worlds = WarpWorlds(config, num, min(num, MAX_STARTS), device)
    worlds.reset()
    feed = worlds.feed
    assert feed is not None  # worlds with `obs="pixels"` have a feed

    # A frame is due whenever this clock moves on, as it is ahead of every world's own.
    tick = torch.full((num,), FAR_TICK, dtype=torch.int64, device=worlds.device)
    zero_action = torch.zeros((num, len(worlds.interface.low)), device=worlds.device)

    rates = []
    for _ in range(effort.repeats):
        worlds.step(zero_action)
        wait_for(worlds.device)

        start_s = time.perf_counter()
        for _ in range(effort.steps):
            feed.take(tick.add_(1))
        wait_for(worlds.device)
        rates.append(num * effort.steps / (time.perf_counter() - start_s))

    worlds.engine.close()
    return CameraSpeed(task, num, device_name(worlds.device), nonempty_median(rates))
