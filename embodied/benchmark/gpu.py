"""How fast a GPU simulates: worlds of a task as environments, beside the bare physics
of the same worlds.

Both are timed in turns within one run, so that the ratio holds whatever else the
machine does.
"""

from __future__ import annotations

import gc
import importlib
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

import gymnasium
import torch

from embodied.benchmark.provenance import host_facts
from embodied.benchmark.statistics import Median, median
from embodied.core import PHYSICS_HZ
from embodied.envs.registry import get_task
from embodied.envs.warp.graph import CudaGraphs, StepGraph
from embodied.errors import EmbodiedError

NUM_ENVS = (1024, 4096, 8192)
CONTROL_HZ = 20  # as reinforcement learning drives them
# control steps: the first compiles, the second is captured, the third is launched
WARM_UP = 3
HELD = 5  # control steps that a random action is held for
PACKAGES = ("mujoco", "mujoco-warp", "warp-lang", "torch")


@dataclass(frozen=True)
class Speed:
    """One task and robot in so many worlds; speeds in physics steps of one world a
    second, over all worlds.
    """

    task: str
    robot: str
    num_worlds: int
    device: str
    env: Median  # step, observation, reward and reset
    bare: Median  # mujoco_warp's own step, captured, of the same model and worlds
    ratio: Median  # of the two in each turn
    captured: bool  # the environment's step was one CUDA graph
    bytes_a_world: int
    # episodes that broke during the measurement
    faults: dict[str, int] = field(default_factory=dict)

    @property
    def real_time_factor(self) -> float:
        """Simulated seconds of all worlds in a second."""
        return self.env.median / PHYSICS_HZ

    @property
    def robot_hours_a_day(self) -> float:
        """Hours of one robot's work that one device simulates in a day."""
        return 24 * self.real_time_factor

    @property
    def cell(self) -> tuple[str, str, int, str]:
        """What was measured, whatever came of it."""
        return self.task, self.robot, self.num_worlds, self.device


@dataclass(frozen=True)
class Effort:
    """How long to measure."""

    repeats: int = 7  # turns
    steps: int = 50  # control steps in each


def measure_speeds(
    tasks: Sequence[str],
    num_envs: Sequence[int],
    device: str,
    on_refusal: Callable[[str], None],
    effort: Effort,
) -> Iterator[Speed]:
    """Each task with its first robot in each number of worlds; `on_refusal` is told why
    one was left out.
    """
    for name in tasks:
        for num in num_envs:
            release(device)
            try:
                yield measure_speed(name, get_task(name).robots[0], num, device, effort)
            except EmbodiedError as error:
                if device == "cuda" and not torch.cuda.is_available():
                    raise
                on_refusal(f"{name}, {num} worlds: {error}")


def measure_speed(
    task: str, robot: str, num: int, device: str, effort: Effort
) -> Speed:
    """Environments and bare physics in turns, from like starts and with the same
    actuator targets.
    """
    arguments: dict[str, Any] = {
        "robot": robot,
        "control_hz": CONTROL_HZ,
        "engine": "warp",
        "device": device,
    }
    env: Any = gymnasium.make_vec(get_task(task).env_id, num, **arguments)
    worlds = env.unwrapped.worlds
    actions = _actions(env.action_space.shape, effort.steps + WARM_UP, worlds.device)
    targets = _targets(env, actions)
    bare = _bare(worlds)
    for values in targets[:WARM_UP]:
        bare(values)
    speeds: dict[str, list[float]] = {"env": [], "bare": []}
    for _ in range(effort.repeats):
        for name, work, given in (("env", env.step, actions), ("bare", bare, targets)):
            env.reset()
            seconds = _seconds(work, given[: effort.steps], worlds.device)
            speeds[name].append(num * effort.steps * worlds.ticks_per_step / seconds)
    ratios = [a / b for a, b in zip(speeds["env"], speeds["bare"], strict=True)]
    found = Speed(
        task=task,
        robot=robot,
        num_worlds=num,
        device=device_name(worlds.device),
        env=median_of(speeds["env"]),
        bare=median_of(speeds["bare"]),
        ratio=median_of(ratios),
        captured=worlds.captured,
        bytes_a_world=worlds.engine.bytes_a_world,
        faults=worlds.fault_counts(),
    )
    env.close()
    return found


def device_name(device: torch.device) -> str:
    """For people."""
    return (
        torch.cuda.get_device_name(device)
        if device.type == "cuda"
        else "Warp's CPU device"
    )


def machine_facts(device: str) -> dict[str, str | int]:
    """The host, the packages that do the work and, once Warp has found a GPU, torch's
    CUDA and the driver.
    """
    versions = {name: version(name) for name in PACKAGES}
    facts: dict[str, str | int] = {
        **host_facts(),
        "python": platform.python_version(),
        **versions,
    }
    if device == "cuda":
        driver = importlib.import_module("warp").get_cuda_driver_version()
        facts |= {
            "CUDA": str(torch.version.cuda),
            "driver": "for CUDA {}.{}".format(*driver),
        }
    return facts


def _targets(env: Any, actions: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """What the environments make of the actions: each control step's actuator targets
    (N, U).
    """
    env.reset()
    found = []
    for action in actions:
        env.step(action)
        found.append(env.unwrapped.worlds.engine.view("ctrl").clone())
    return found


def _bare(worlds: Any) -> StepGraph:
    """Mujoco_warp's own step of the same worlds, as often as a control step has it, as
    a graph of the same kind.

    It is given actuator targets: worlds in which nothing moves are quicker to solve.
    """
    recorder = (
        CudaGraphs(worlds.engine.streams, worlds.device)
        if worlds.device.type == "cuda"
        else None
    )
    targets = worlds.engine.view("ctrl")

    def step(values: torch.Tensor) -> tuple[torch.Tensor, ...]:
        targets[...] = values
        worlds.engine.bare_step(worlds.ticks_per_step)
        return ()

    return StepGraph(step, tuple(targets.shape), worlds.device, recorder)


def _actions(
    shape: tuple[int, ...], count: int, device: torch.device
) -> list[torch.Tensor]:
    """Random ones, each held for a few steps so that they lead somewhere."""
    generator = torch.Generator().manual_seed(0)
    drawn = [
        (2 * torch.rand(shape, generator=generator) - 1).to(device)
        for _ in range(-(-count // HELD))
    ]
    return [drawn[k // HELD] for k in range(count)]


def _seconds(
    work: Callable[[torch.Tensor], object],
    given: Sequence[torch.Tensor],
    device: torch.device,
) -> float:
    """Of a call with each, from a device at rest until it has done them."""
    settle(device)
    begun = time.perf_counter()
    for values in given:
        work(values)
    settle(device)
    return time.perf_counter() - begun


def release(device: str) -> None:
    """The memory of worlds that are gone: they and their graph know each other, so only
    a collection frees them.

    Warp gives back what it freed when the device is waited for.
    """
    gc.collect()
    if device == "cuda" and torch.cuda.is_available():
        torch.cuda.synchronize()
        torch.cuda.empty_cache()


def settle(device: torch.device) -> None:
    """Waits until the device has done all its work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def median_of(values: Sequence[float]) -> Median:
    """Of at least one value."""
    found = median(values)
    assert found is not None
    return found
