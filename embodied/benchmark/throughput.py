"""Measures how fast this machine simulates, renders and records.

Figures are medians of several repeats, with quartiles. Steps are timed by the thread's
processor time, so that other work on the machine disturbs them less. Frames and recording
use more than one thread, so they are timed by wall time.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium
import numpy as np

from embodied.benchmark.stopwatch import Stopwatch, thread_seconds, wall_seconds
from embodied.envs.config import EnvConfig
from embodied.envs.registry import get_task
from embodied.envs.worlds import Worlds
from embodied.policies.channel_profiles import channel_profile
from embodied.policies.collection import Recording, collect, collection_header
from embodied.policies.dual_system import DualSystem, DualSystemConfig
from embodied.policies.episodes import EpisodeRunner, env_config_for
from embodied.policies.registry import find_policy
from embodied.rollout.shards import Workers, default_workers, quiet_stage
from embodied.wording import counted

REPEATS = 7
CONTROL_HZ = 20  # a usual control rate of reinforcement learning
STEPS = {
    1: 100,
    16: 30,
    64: 12,
}  # number of worlds -> calls of `env.step` in each repeat
PHYSICS_STEPS = 1000  # physics steps in each repeat
FRAME_WORLDS = 4  # worlds whose frames are timed
FRAME_STEPS = 10  # frames of each camera and world in each repeat
RECORDINGS = 3  # repeats of the recording, which takes longer than other figures
RECORDED_WORLDS = 16  # worlds that each process records at once
DECISIONS = 200  # calls of the expert's `act` in each repeat
RUNTIME_STEPS = 200  # control steps of a rollout in each repeat: 1 s
SETTLING_S = 1.0  # simulated time after which all objects are at rest


class SteppingBounds(NamedTuple):
    """Bounds that the medians in `SteppingFigures` should keep; "" for no bound."""

    beside_physics: str = ""
    speed: str = ""
    over_physics: str = ""


STEPPING_BOUNDS = {  # number of worlds -> bounds
    1: SteppingBounds(beside_physics="<= 120", speed=">= 60"),
    16: SteppingBounds(speed=">= 80"),
    64: SteppingBounds(over_physics="<= 1.10"),
}


@dataclass(frozen=True)
class Figure:
    """One measured quantity, over several repeats."""

    name: str
    unit: str
    median: float
    lower_quartile: float
    upper_quartile: float
    # bound that the median should keep on two cores of our machine; "" for none
    wanted: str = ""

    @classmethod
    def of(cls, name: str, unit: str, values: list[float], wanted: str = "") -> Figure:
        """Returns the figure of the values of all repeats, in `unit`."""
        lower, middle, upper = np.quantile(values, (0.25, 0.5, 0.75)).tolist()
        return cls(name, unit, middle, lower, upper, wanted)


@dataclass(frozen=True)
class SteppingFigures:
    """The cost of `env.step` for a given number of worlds."""

    beside_physics: Figure  # time outside the physics engine, us per step
    over_physics: Figure  # total time over the time in the physics engine
    speed: Figure  # simulated time over real time


def measure_all(task: str, robot: str | None, episodes: int) -> Iterator[Figure]:
    """Yields every figure as soon as it is measured.

    Args:
        task: name of the task.
        robot: name of the robot; None for the task's default.
        episodes: number of episodes in each repeat of the recording.
    """
    config = bench_config(task, robot)
    yield from measure_physics(config)
    for num in STEPS:
        stepping = measure_stepping(config, num)
        yield from (stepping.beside_physics, stepping.over_physics, stepping.speed)
    yield measure_frames(config)
    yield from measure_recording(config, episodes)
    yield from measure_deciding(config)
    yield from measure_runtime(config)


def bench_config(task: str, robot: str | None) -> EnvConfig:
    """Returns the config of the worlds for timing steps and frames."""
    return EnvConfig(
        task,
        robot=robot,
        control_mode="joint",
        control_hz=CONTROL_HZ,
        level="L1",
        num_threads=1,
    )


def measure_physics(config: EnvConfig) -> Iterator[Figure]:
    """Measures the physics step of one world at rest, and its number of contacts."""
    worlds = Worlds(config)
    worlds.reset([0], [0])
    action = rest_action(worlds)
    for _ in range(int(SETTLING_S * CONTROL_HZ)):
        worlds.step(action)

    steps_us = []
    for repeat in range(REPEATS + 1):
        seconds = thread_seconds(lambda: worlds.engine.step(PHYSICS_STEPS))
        if repeat:  # repeat 0 only warms up
            steps_us.append(1e6 * seconds / PHYSICS_STEPS)
    contacts = float(worlds.engine.world_data(0).ncon)
    worlds.close()

    yield Figure.of("physics step at rest", "us", steps_us, wanted="<= 20")
    yield Figure.of("contacts at rest", "", [contacts], wanted="<= 30")


def measure_stepping(config: EnvConfig, num: int) -> SteppingFigures:
    """Measures `env.step` of `num` worlds, and the share of the physics engine in it."""
    env = _make_env(config, num)
    worlds: Worlds = env.unwrapped.worlds
    env.reset(seed=0)
    # a single environment takes an action (A,), a vector environment (N, A)
    action = rest_action(worlds)[0] if num == 1 else rest_action(worlds)

    # replace the engine's step by one that also adds up its processor time
    engine_step = Stopwatch(worlds.engine.step)
    worlds.engine.step = engine_step.call  # type: ignore[method-assign]

    # seconds per `env.step`, for each repeat: in total, and within the physics engine
    whole_s = []
    engine_s = []
    for repeat in range(REPEATS + 1):
        env.reset(seed=0)
        engine_step.seconds = 0.0
        seconds = thread_seconds(lambda: [env.step(action) for _ in range(STEPS[num])])
        if repeat:  # repeat 0 only warms up
            whole_s.append(seconds / STEPS[num])
            engine_s.append(engine_step.seconds / STEPS[num])
    env.close()

    pairs = list(zip(whole_s, engine_s, strict=True))
    beside_us = [1e6 * (whole - engine) for whole, engine in pairs]
    ratios = [whole / engine for whole, engine in pairs]
    speeds = [num / CONTROL_HZ / whole for whole in whole_s]

    conditions = f"at {CONTROL_HZ} Hz, {counted(num, 'world')}"
    bounds = STEPPING_BOUNDS[num]
    return SteppingFigures(
        beside_physics=Figure.of(
            name=f"Python beside physics {conditions}",
            unit="us per step",
            values=beside_us,
            wanted=bounds.beside_physics,
        ),
        over_physics=Figure.of(
            name=f"env.step over physics {conditions}",
            unit="ratio",
            values=ratios,
            wanted=bounds.over_physics,
        ),
        speed=Figure.of(
            name=f"simulated {conditions}",
            unit="x real time",
            values=speeds,
            wanted=bounds.speed,
        ),
    )


def _make_env(config: EnvConfig, num: int) -> Any:
    """Returns a Gymnasium environment for one world, else a vector environment."""
    arguments: dict[str, Any] = {
        "robot": config.robot,
        "control_mode": config.control_mode,
        "control_hz": config.control_hz,
        "level": config.level,
        "num_threads": config.num_threads,
    }
    env_id = get_task(config.task).env_id
    if num == 1:
        return gymnasium.make(env_id, **arguments)
    return gymnasium.make_vec(env_id, num, **arguments)


def measure_frames(config: EnvConfig) -> Figure:
    """Measures how many images of the task's cameras `Worlds.observe` renders per second.

    Args:
        config: the worlds; it must not set `camera_hz`, so that each `observe` renders
            one image per camera and world.
    """
    worlds = Worlds(replace(config, obs="pixels"), FRAME_WORLDS)
    worlds.reset(np.arange(FRAME_WORLDS), list(range(FRAME_WORLDS)))
    frames_per_step = FRAME_WORLDS * len(worlds.cameras)

    # worlds move between frames, but only the frames are timed
    rates = []
    for repeat in range(REPEATS + 1):
        seconds = 0.0
        for _ in range(FRAME_STEPS):
            worlds.step(rest_action(worlds))
            seconds += wall_seconds(lambda: worlds.observe(privileged=False))
        if repeat:  # repeat 0 only warms up
            rates.append(FRAME_STEPS * frames_per_step / seconds)
    worlds.close()

    size = f"{config.image_size}x{config.image_size}"
    return Figure.of(f"frames at {size}", "per second", rates, ">= 300")


def measure_recording(config: EnvConfig, episodes: int) -> Iterator[Figure]:
    """Measures recording at 200 Hz, as `embodied collect` does it.

    It is measured once without cameras, and once with one camera at 10 Hz.
    """
    robot = _robot_name(config)
    spec = find_policy("expert").spec(config.task, robot)
    plain = env_config_for(spec, config.task, "L2", split="train", robot=robot)
    with_camera = replace(
        plain, obs="both", cameras=get_task(config.task).cameras[:1], camera_hz=10
    )
    kinds = (
        ("without cameras", plain, ">= 40"),
        ("with one camera", with_camera, ">= 15"),
    )

    with Workers(default_workers(episodes)) as workers:
        batch = (
            f"{RECORDED_WORLDS} worlds in each of {counted(workers.count, 'process')}"
        )
        for kind, recorded, bound in kinds:
            dual = DualSystemConfig(mailbox="predictive")  # as `collect` records
            runner = EpisodeRunner("expert", recorded, dual, RECORDED_WORLDS)

            # a warm-up: it includes the imports of the processes and their first frames
            _record(runner, range(episodes), workers)
            speeds = []
            for k in range(RECORDINGS):
                seeds = range(k * episodes, (k + 1) * episodes)
                speeds.append(_record(runner, seeds, workers))
            name = f"recording {kind}, {batch}"
            yield Figure.of(name, "x real time", speeds, bound)


def _record(runner: EpisodeRunner, seeds: range, workers: Workers) -> float:
    """Records one episode per seed into a temporary file.

    Returns:
        Simulated time over wall time.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bench.hdf5"
        recording = Recording(runner, path, collection_header(runner, record_hz=10))

        # timed without a progress bar
        start_s = time.perf_counter()
        results = collect(
            recording, seeds, mode="new", workers=workers, stage=quiet_stage
        )
        wall_s = time.perf_counter() - start_s
    return sum(result.duration_s for result in results) / wall_s


def measure_deciding(config: EnvConfig) -> Iterator[Figure]:
    """Measures the expert's controller at steps without a new plan."""
    robot = _robot_name(config)
    spec = find_policy("expert").spec(config.task, robot)
    expert_config = env_config_for(spec, config.task, "L1", split="train", robot=robot)
    for num in (1, RECORDED_WORLDS):
        name = f"controller tick of the expert, {counted(num, 'world')}"
        yield Figure.of(name, "us", _decision_times_us(Worlds(expert_config, num)))


def _decision_times_us(worlds: Worlds) -> list[float]:
    """Returns the time of one call of the expert's `act` in us, for each repeat.

    The observation, and with it the clock, stays the same, so the planner never runs.
    """
    ids = np.arange(worlds.num_worlds)
    worlds.reset(ids, ids.tolist())
    policy = find_policy("expert").make(worlds)
    observation = worlds.observe()
    policy.reset(ids, observation, ids.tolist())
    policy.act(observation)  # this call makes the first plan; the next is not yet due

    times_us = []
    for _ in range(REPEATS):
        seconds = thread_seconds(
            lambda: [policy.act(observation) for _ in range(DECISIONS)]
        )
        times_us.append(1e6 * seconds / DECISIONS)
    return times_us


def measure_runtime(config: EnvConfig) -> Iterator[Figure]:
    """Measures the overhead of the dual-system runtime: channel, mailbox, scheduling.

    The expert acts in rollouts. Stopwatches measure its planner, its controller and the
    whole policy; the rest of the policy's time is the runtime's.
    """
    robot = _robot_name(config)
    spec = find_policy("expert").spec(config.task, robot)
    expert_config = env_config_for(spec, config.task, "L1", split="train", robot=robot)

    # For one world the figure is the runtime's cost per control step; for many worlds it is
    # the factor by which the runtime lengthens a rollout.
    for num, unit, bound in (
        (1, "us per step", "<= 100"),
        (RECORDED_WORLDS, "ratio", "<= 1.05"),
    ):
        times = _runtime_times(Worlds(expert_config, num))
        if num == 1:
            name = f"runtime in a tick, {counted(num, 'world')}"
            values = [1e6 * t.runtime_s / RUNTIME_STEPS for t in times]
        else:
            name = f"rollout over one without the runtime, {counted(num, 'world')}"
            values = [t.whole_s / (t.whole_s - t.runtime_s) for t in times]
        yield Figure.of(name, unit, values, bound)


class _RuntimeTime(NamedTuple):
    """Processor time of RUNTIME_STEPS control steps."""

    whole_s: float
    runtime_s: float  # the share of the dual-system runtime


def _runtime_times(worlds: Worlds) -> list[_RuntimeTime]:
    """Returns the times of a rollout of the expert, for each repeat."""
    timing = DualSystemConfig(latency=channel_profile("cloud-4g").latency)
    policy = find_policy("expert").make(worlds, timing)
    if not isinstance(policy, DualSystem):
        raise TypeError("the expert is a dual system")
    plan = Stopwatch(policy.planner.plan)
    act = Stopwatch(policy.controller.act)
    decide = Stopwatch(policy.act)
    policy.planner.plan = plan.call  # type: ignore[method-assign]
    policy.controller.act = act.call  # type: ignore[method-assign]

    ids = np.arange(worlds.num_worlds)
    times = []
    for repeat in range(REPEATS + 1):
        worlds.reset(ids, ids.tolist())
        policy.reset(ids, worlds.observe(), ids.tolist())
        for stopwatch in (plan, act, decide):
            stopwatch.seconds = 0.0
        whole_s = thread_seconds(
            lambda: [
                worlds.step(decide.call(worlds.observe())) for _ in range(RUNTIME_STEPS)
            ]
        )
        policy.take_plans()  # empties the policy's list of plans, which would grow
        if repeat:  # repeat 0 only warms up
            runtime_s = decide.seconds - plan.seconds - act.seconds
            times.append(_RuntimeTime(whole_s, runtime_s))
    worlds.close()
    return times


def rest_action(worlds: Worlds) -> np.ndarray:
    """Returns actions (N, A) that hold the robots at their current joint targets.

    After a reset these are the start pose, with open grippers.
    """
    action: np.ndarray = worlds.interface.to_normalized(
        worlds.control.joint_target
    ).astype(np.float32)
    return action


def _robot_name(config: EnvConfig) -> str | None:
    """Returns the robot's name; None if the config has a robot object or no robot."""
    return config.robot if isinstance(config.robot, str) else None
