"""How fast a GPU renders frames of its worlds."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch

from embodied.benchmark.gpu_throughput import (
    Effort,
    device_name,
    median_of,
    release_memory,
    wait_for,
)
from embodied.benchmark.statistics import Median
from embodied.envs.config import EnvConfig
from embodied.envs.registry import get_task
from embodied.envs.warp.worlds import WarpWorlds
from embodied.errors import EmbodiedError

IMAGE_SIZE = 64  # px
MAX_STARTS = 64  # different ones that the worlds begin from
FAR_TICK = 1 << 30  # later than the tick at which any world's next frame is due


@dataclass(frozen=True)
class CameraSpeed:
    """How fast frames of a number of worlds of one task are rendered."""

    task: str
    num_worlds: int
    device: str
    frames: Median  # of IMAGE_SIZE, per second, of all worlds together

    @property
    def place(self) -> tuple[str, int, str]:
        """What was measured, without the result."""
        return self.task, self.num_worlds, self.device


def measure_camera_speeds(
    tasks: Sequence[str],
    num: int,
    device: str,
    on_refusal: Callable[[str], None],
    effort: Effort,
) -> Iterator[CameraSpeed]:
    """Measures each task in a number of worlds.

    What the device refuses is left out; `on_refusal` is told why.
    """
    for task in tasks:
        release_memory(device)
        try:
            yield measure_camera_speed(task, num, device, effort)
        except EmbodiedError as error:
            on_refusal(f"{task}, frames of {num} worlds: {error}")


def measure_camera_speed(
    task: str, num: int, device: str, effort: Effort
) -> CameraSpeed:
    """Times the frames of the task's first camera, as a step with pixels takes them.

    Worlds move between repeats, not between the frames of one repeat.

    Raises:
        EmbodiedError: the worlds don't fit onto the device, or it is not there.
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
    assert feed is not None  # as `obs` asks for it

    # a frame is due at each of these ticks, later than any world's clock; `still` is an
    # action of zeros
    tick = torch.full((num,), FAR_TICK, dtype=torch.int64, device=worlds.device)
    still = torch.zeros((num, len(worlds.interface.low)), device=worlds.device)

    rates = []
    for _ in range(effort.repeats):
        worlds.step(still)
        wait_for(worlds.device)

        start_s = time.perf_counter()
        for _ in range(effort.steps):
            feed.take(tick.add_(1))
        wait_for(worlds.device)
        rates.append(num * effort.steps / (time.perf_counter() - start_s))

    worlds.engine.close()
    return CameraSpeed(task, num, device_name(worlds.device), median_of(rates))
