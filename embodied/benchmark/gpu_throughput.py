"""Measures GPU simulation: environments, and the bare physics of the same worlds.

Both are timed alternately within one run, so that other load on the machine affects both
and their ratio stays valid.
"""

from __future__ import annotations

import gc
import importlib
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
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
from embodied.wording import counted

NUM_ENVS = (1024, 4096, 8192)
CONTROL_HZ = 20  # a usual control rate of reinforcement learning
# control steps: the first compiles kernels, the second is captured as a CUDA graph, and
# the third launches that graph
WARM_UP_STEPS = 3
STEPS_PER_ACTION = 5  # control steps for which each random action is repeated
PACKAGES = ("mujoco", "mujoco-warp", "warp-lang", "torch")


@dataclass(frozen=True)
class Effort:
    """How long to measure."""

    repeats: int = 7  # timings of each speed
    steps: int = 50  # control steps of each timing


@dataclass(frozen=True)
class WorldSpeed:
    """The simulation speed of one task and robot with a given number of worlds.

    Speeds are in physics steps per second, summed over all worlds.
    """

    task: str
    robot: str
    num_worlds: int
    device: str
    env: Median  # step, observation, reward and reset
    bare: Median  # mujoco_warp's own step of the same worlds, as a CUDA graph
    ratio: Median  # env over bare, within each repeat
    captured: bool  # whether the environment's step ran as one CUDA graph
    bytes_per_world: int
    # fault -> number of episodes that ended with it during the measurement
    faults: dict[str, int] = field(default_factory=dict)

    @property
    def real_time_factor(self) -> float:
        """Simulated seconds per second, summed over all worlds."""
        return self.env.median / PHYSICS_HZ

    @property
    def robot_hours_per_day(self) -> float:
        """Hours of work of one robot that the device simulates per day."""
        return 24 * self.real_time_factor

    @property
    def key(self) -> tuple[str, str, int, str]:
        """Identifies the measurement: task, robot, number of worlds and device."""
        return self.task, self.robot, self.num_worlds, self.device


def measure_world_speeds(
    tasks: Sequence[str],
    num_envs: Sequence[int],
    device: str,
    on_refusal: Callable[[str], None],
    effort: Effort,
) -> Iterator[WorldSpeed]:
    """Measures each task with its default robot, for each number of worlds.

    A measurement that does not fit onto the device is skipped, and `on_refusal` gets the
    reason.
    """
    for task in tasks:
        robot = get_task(task).default_robot
        for num in num_envs:
            release_memory(device)
            try:
                yield measure_world_speed(task, robot, num, device, effort)
            except EmbodiedError as error:
                # without a GPU every other measurement would fail, too
                if device == "cuda" and not torch.cuda.is_available():
                    raise
                on_refusal(f"{task}, {counted(num, 'world')}: {error}")


def measure_world_speed(
    task: str, robot: str, num: int, device: str, effort: Effort
) -> WorldSpeed:
    """Times environments and bare physics alternately.

    Both start from the same distribution and follow the same actuator targets.

    Args:
        task: name of the task.
        robot: name of the robot.
        num: the number of worlds.
        device: Warp's name of the device.
        effort: how much is timed.
    """
    arguments: dict[str, Any] = {
        "robot": robot,
        "control_hz": CONTROL_HZ,
        "engine": "warp",
        "device": device,
    }
    env: Any = gymnasium.make_vec(get_task(task).env_id, num, **arguments)
    with closing(env):
        return _measured_speed(env, task=task, robot=robot, effort=effort)


def _measured_speed(env: Any, task: str, robot: str, effort: Effort) -> WorldSpeed:
    """Times an environment of Warp's and the bare physics of its worlds, alternately.

    Args:
        env: the environment.
        task: name of its task.
        robot: name of its robot.
        effort: how much is timed.
    """
    worlds = env.unwrapped.worlds
    num = worlds.num_worlds
    # Warm up both, so that nothing is compiled or captured during the timing:
    # `_actuator_targets` steps the environments, and the loop steps the bare physics.
    num_actions = effort.steps + WARM_UP_STEPS
    actions = _random_actions(env.action_space.shape, num_actions, worlds.device)
    targets = _actuator_targets(env, actions)
    bare_step = _bare_step(worlds)
    for target in targets[:WARM_UP_STEPS]:
        bare_step(target)

    env_speeds: list[float] = []
    bare_speeds: list[float] = []
    # physics steps of all worlds in each repeat; a control step has `ticks_per_step`
    ticks = num * effort.steps * worlds.ticks_per_step
    for _ in range(effort.repeats):
        env.reset()
        seconds = _time_calls(env.step, actions[: effort.steps], worlds.device)
        env_speeds.append(ticks / seconds)

        env.reset()
        seconds = _time_calls(bare_step, targets[: effort.steps], worlds.device)
        bare_speeds.append(ticks / seconds)

    return WorldSpeed(
        task=task,
        robot=robot,
        num_worlds=num,
        device=device_name(worlds.device),
        env=nonempty_median(env_speeds),
        bare=nonempty_median(bare_speeds),
        ratio=nonempty_median(
            [env / bare for env, bare in zip(env_speeds, bare_speeds, strict=True)]
        ),
        captured=worlds.captured,
        bytes_per_world=worlds.engine.bytes_per_world,
        faults=worlds.fault_counts(),
    )


def device_name(device: torch.device | str) -> str:
    """Returns a device's name for people."""
    device = torch.device(device)
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return "Warp's CPU device"


def machine_facts(device: str) -> dict[str, str | int]:
    """Returns facts on the host and the versions of the packages that simulate.

    For a GPU they include the CUDA versions of torch and of the driver; Warp must have
    been initialised.
    """
    facts = host_facts()
    facts["python"] = platform.python_version()
    for package in PACKAGES:
        facts[package] = version(package)

    if device == "cuda":
        driver = importlib.import_module("warp").get_cuda_driver_version()
        facts["CUDA"] = str(torch.version.cuda)
        facts["driver"] = "for CUDA {}.{}".format(*driver)
    return facts


def release_memory(device: str) -> None:
    """Frees the device memory of worlds that are no longer used.

    Worlds and their CUDA graph refer to each other, so only a garbage collection frees
    them. Warp returns the memory to the device on a synchronisation.
    """
    gc.collect()
    if device == "cuda" and torch.cuda.is_available():
        torch.cuda.synchronize()
        torch.cuda.empty_cache()


def wait_for(device: torch.device) -> None:
    """Waits until the device has finished all its work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def nonempty_median(values: Sequence[float]) -> Median:
    """Returns the median of at least one value."""
    result = median(values)
    assert result is not None
    return result


def _random_actions(
    shape: tuple[int, ...], count: int, device: torch.device
) -> list[torch.Tensor]:
    """Returns `count` actions (N, A) for random motion.

    Each random action is repeated for STEPS_PER_ACTION, so that the robot moves instead of
    trembling.
    """
    generator = torch.Generator().manual_seed(0)
    actions: list[torch.Tensor] = []
    while len(actions) < count:
        action = 2 * torch.rand(shape, generator=generator) - 1  # in [-1, 1)
        actions += [action.to(device)] * STEPS_PER_ACTION
    return actions[:count]


def _actuator_targets(
    env: Any, actions: Sequence[torch.Tensor]
) -> list[torch.Tensor]:  # each (N, U)
    """Steps the environments; returns the targets that they give the U actuators."""
    env.reset()
    targets = []
    for action in actions:
        env.step(action)
        targets.append(env.unwrapped.worlds.engine.view("ctrl").clone())
    return targets


def _bare_step(worlds: Any) -> StepGraph:
    """Returns a function that steps the bare physics of the same worlds.

    One call makes the physics steps of one control step, and nothing else: no reward, no
    observation. On a GPU it is captured as a CUDA graph, as the environment's step is. It
    takes actuator targets (N, U), because resting worlds would be faster to simulate.
    """
    # there are no CUDA graphs on Warp's CPU device
    recorder = None
    if worlds.device.type == "cuda":
        recorder = CudaGraphs(worlds.engine.streams, worlds.device)

    ctrl = worlds.engine.view("ctrl")  # (N, U), live view of the engine's memory

    def step(targets: torch.Tensor) -> tuple[torch.Tensor, ...]:
        ctrl[...] = targets
        worlds.engine.bare_step(worlds.ticks_per_step)
        return ()  # no outputs

    return StepGraph(step, tuple(ctrl.shape), worlds.device, recorder)


def _time_calls(
    function: Callable[[torch.Tensor], object],
    arguments: Sequence[torch.Tensor],
    device: torch.device,
) -> float:
    """Returns the wall time, in s, of one call per argument, until the device is idle."""
    wait_for(device)
    start_s = time.perf_counter()
    for argument in arguments:
        function(argument)
    wait_for(device)
    return time.perf_counter() - start_s
