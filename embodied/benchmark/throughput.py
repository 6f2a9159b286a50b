"""How fast this machine simulates, renders and records.

Figures are medians of several runs, with their quartiles. Steps are timed by the
thread's own processor time, so that other work on the machine disturbs them less;
frames and recording, which use more than one thread, by wall time.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np

from embodied.envs.config import EnvConfig
from embodied.envs.registry import get_task
from embodied.envs.worlds import Worlds
from embodied.policies.channel_profiles import channel_profile
from embodied.policies.collection import Recording, collect, collection_header
from embodied.policies.dual_system import DualSystem, DualSystemConfig
from embodied.policies.episodes import EpisodeRunner, env_config_for
from embodied.policies.registry import find_policy
from embodied.rollout.shards import Workers, default_workers, quiet_stage

REPEATS = 7
CONTROL_HZ = 20  # of environments as reinforcement learning drives them
STEPS = {1: 100, 16: 30, 64: 12}  # number of worlds -> steps in each repeat
PHYSICS_STEPS = 1000  # in each repeat
FRAME_WORLDS = 4
FRAME_STEPS = 10  # in each repeat
RECORDINGS = 3
RECORDED_WORLDS = 16
DECISIONS = 200  # in each repeat
RUNTIME_STEPS = 200  # control steps of a rollout in each repeat: 1 s
SETTLING_S = 1.0  # until everything is at rest
# Number of worlds -> the bounds that are wanted of: the time of Python beside physics,
# the speed, and the time of `env.step` over that of physics. "" for none.
STEPPING_BOUNDS = {
    1: ("<= 120", ">= 60", ""),
    16: ("", ">= 80", ""),
    64: ("", "", "<= 1.10"),
}


@dataclass(frozen=True)
class Figure:
    """One measured quantity, over several repeats."""

    name: str
    unit: str
    median: float
    lower_quartile: float
    upper_quartile: float
    wanted: str = ""  # the bound that it should keep on two cores of our machine

    @classmethod
    def of(cls, name: str, unit: str, values: list[float], wanted: str = "") -> Figure:
        """Returns the figure of a measurement's repeats, in `unit`."""
        lower, middle, upper = np.quantile(values, (0.25, 0.5, 0.75)).tolist()
        return cls(name, unit, middle, lower, upper, wanted)


@dataclass(frozen=True)
class SteppingFigures:
    """What `env.step` of a number of worlds costs."""

    beside_physics: Figure  # the time that is not the engine's, us per step
    over_physics: Figure  # the whole time over the engine's
    speed: Figure  # simulated time over real time


def measure_all(task: str, robot: str | None, episodes: int) -> Iterator[Figure]:
    """Yields every figure as soon as it is measured.

    `episodes` are recorded in each repeat of the recording.
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
    """Returns the config of all figures but those of recording and deciding."""
    return EnvConfig(
        task,
        robot=robot,
        control_mode="joint",
        control_hz=CONTROL_HZ,
        level="L1",
        num_threads=1,
    )


def measure_physics(config: EnvConfig) -> Iterator[Figure]:
    """Measures a physics step of one world at rest, and counts its contacts."""
    worlds = Worlds(config)
    worlds.reset([0], [0])
    action = rest_action(worlds)
    for _ in range(int(SETTLING_S * CONTROL_HZ)):
        worlds.step(action)

    steps_us = []
    for repeat in range(REPEATS + 1):
        seconds = _thread_seconds(lambda: worlds.engine.step(PHYSICS_STEPS))
        if repeat:  # the first one only warms up
            steps_us.append(1e6 * seconds / PHYSICS_STEPS)
    contacts = float(worlds.engine.world_data(0).ncon)
    worlds.close()

    yield Figure.of("physics step at rest", "us", steps_us, "<= 20")
    yield Figure.of("contacts at rest", "", [contacts], "<= 30")


def measure_stepping(config: EnvConfig, num: int) -> SteppingFigures:
    """Measures `env.step` of `num` worlds, and the engine's step within it."""
    env = _make_env(config, num)
    worlds: Worlds = env.unwrapped.worlds
    env.reset(seed=0)
    # a single environment takes an action (A,), a vector one takes (N, A)
    action = rest_action(worlds)[0] if num == 1 else rest_action(worlds)

    # the environment steps the engine through a stopwatch, which tells its share
    engine_step = _Stopwatch(worlds.engine.step)
    worlds.engine.step = engine_step.call  # type: ignore[method-assign]

    # seconds of a step of all worlds: the whole, and the engine's share
    whole_s = []
    engine_s = []
    for repeat in range(REPEATS + 1):
        env.reset(seed=0)
        engine_step.seconds = 0.0
        seconds = _thread_seconds(lambda: [env.step(action) for _ in range(STEPS[num])])
        if repeat:  # the first one only warms up
            whole_s.append(seconds / STEPS[num])
            engine_s.append(engine_step.seconds / STEPS[num])
    env.close()

    pairs = list(zip(whole_s, engine_s, strict=True))
    beside_us = [1e6 * (whole - engine) for whole, engine in pairs]
    ratios = [whole / engine for whole, engine in pairs]
    speeds = [num / CONTROL_HZ / whole for whole in whole_s]

    at = f"at {CONTROL_HZ} Hz, {_num_worlds(num)}"
    beside_bound, speed_bound, ratio_bound = STEPPING_BOUNDS[num]
    return SteppingFigures(
        beside_physics=Figure.of(
            f"Python beside physics {at}", "us per step", beside_us, beside_bound
        ),
        over_physics=Figure.of(
            f"env.step over physics {at}", "ratio", ratios, ratio_bound
        ),
        speed=Figure.of(f"simulated {at}", "x real time", speeds, speed_bound),
    )


def _make_env(config: EnvConfig, num: int) -> Any:
    """Returns the Gymnasium environment of one world, or the vector one of several."""
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
    """Measures how fast the task's cameras are rendered for observations."""
    worlds = Worlds(replace(config, obs="pixels"), FRAME_WORLDS)
    worlds.reset(np.arange(FRAME_WORLDS), list(range(FRAME_WORLDS)))
    frames_per_step = FRAME_WORLDS * len(worlds.cameras)

    # worlds move between frames, but only the frames are timed
    rates = []
    for repeat in range(REPEATS + 1):
        seconds = 0.0
        for _ in range(FRAME_STEPS):
            worlds.step(rest_action(worlds))
            seconds += _wall_seconds(lambda: worlds.observe(privileged=False))
        if repeat:  # the first one only warms up
            rates.append(FRAME_STEPS * frames_per_step / seconds)
    worlds.close()

    size = f"{config.image_size}x{config.image_size}"
    return Figure.of(f"frames at {size}", "per second", rates, ">= 300")


def measure_recording(config: EnvConfig, episodes: int) -> Iterator[Figure]:
    """Measures recording at 200 Hz as `embodied collect` does it.

    It is measured without cameras, and with one camera at 10 Hz.
    """
    robot = _robot_name(config)
    spec = find_policy("expert").spec(config.task, robot)
    plain = env_config_for(spec, config.task, "L2", "train", robot)
    with_camera = replace(
        plain, obs="both", cameras=get_task(config.task).cameras[:1], camera_hz=10
    )
    kinds = (
        ("without cameras", plain, ">= 40"),
        ("with one camera", with_camera, ">= 15"),
    )

    with Workers(default_workers(episodes)) as workers:
        at = f"{RECORDED_WORLDS} worlds in each of {workers.count} processes"
        for kind, recorded, bound in kinds:
            dual = DualSystemConfig(mailbox="predictive")
            runner = EpisodeRunner("expert", recorded, dual, RECORDED_WORLDS)

            # the first one includes the processes' imports and first frames
            _record(runner, range(episodes), workers)
            speeds = []
            for k in range(RECORDINGS):
                seeds = range(k * episodes, (k + 1) * episodes)
                speeds.append(_record(runner, seeds, workers))
            yield Figure.of(f"recording {kind}, {at}", "x real time", speeds, bound)


def _record(runner: EpisodeRunner, seeds: range, workers: Workers) -> float:
    """Records an episode per seed, then deletes them; returns simulated over wall time."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bench.hdf5"
        recording = Recording(runner, path, collection_header(runner, record_hz=10))

        start_s = time.perf_counter()
        results = collect(
            recording, seeds, mode="new", workers=workers, stage=quiet_stage
        )
        wall_s = time.perf_counter() - start_s
    return sum(result.duration_s for result in results) / wall_s


def measure_deciding(config: EnvConfig) -> Iterator[Figure]:
    """Measures the expert's controller, between two plans of its planner."""
    robot = _robot_name(config)
    spec = find_policy("expert").spec(config.task, robot)
    expert_config = env_config_for(spec, config.task, "L1", "train", robot)
    for num in (1, RECORDED_WORLDS):
        name = f"controller tick of the expert, {_num_worlds(num)}"
        yield Figure.of(name, "us", _decision_times_us(Worlds(expert_config, num)))


def _decision_times_us(worlds: Worlds) -> list[float]:
    """Returns how long one call of the expert takes, in each repeat.

    The observation, and with it the clock, stays the same, so that nothing is planned.
    """
    ids = np.arange(worlds.num_worlds)
    worlds.reset(ids, ids.tolist())
    policy = find_policy("expert").make(worlds)
    observation = worlds.observe()
    policy.reset(ids, observation, ids.tolist())
    policy.act(observation)  # with the first plan; the next is not yet due

    times_us = []
    for _ in range(REPEATS):
        seconds = _thread_seconds(
            lambda: [policy.act(observation) for _ in range(DECISIONS)]
        )
        times_us.append(1e6 * seconds / DECISIONS)
    return times_us


def measure_runtime(config: EnvConfig) -> Iterator[Figure]:
    """Measures what the dual-system runtime adds to planner, controller and worlds.

    The expert acts in rollouts with channel and mailbox, and stopwatches tell the shares
    of its planner, of its controller, and of the whole policy.
    """
    robot = _robot_name(config)
    spec = find_policy("expert").spec(config.task, robot)
    expert_config = env_config_for(spec, config.task, "L1", "train", robot)

    # one world shows what the runtime itself costs, many show its share of a rollout
    for num, unit, bound in (
        (1, "us per step", "<= 100"),
        (RECORDED_WORLDS, "ratio", "<= 1.05"),
    ):
        values = []
        for whole_s, runtime_s in _runtime_times_s(Worlds(expert_config, num)):
            us = 1e6 * runtime_s / RUNTIME_STEPS
            values.append(us if num == 1 else whole_s / (whole_s - runtime_s))

        name = f"runtime in a tick, {_num_worlds(num)}"
        if num > 1:
            name = f"rollout over one without the runtime, {_num_worlds(num)}"
        yield Figure.of(name, unit, values, bound)


def _runtime_times_s(worlds: Worlds) -> list[tuple[float, float]]:
    """Returns how long rollouts take, and the runtime in them, for each repeat."""
    timing = DualSystemConfig(latency=channel_profile("cloud-4g").latency)
    policy = find_policy("expert").make(worlds, timing)
    if not isinstance(policy, DualSystem):
        raise TypeError("the expert is a dual system")
    plan = _Stopwatch(policy.planner.plan)
    act = _Stopwatch(policy.controller.act)
    decide = _Stopwatch(policy.act)
    policy.planner.plan = plan.call  # type: ignore[method-assign]
    policy.controller.act = act.call  # type: ignore[method-assign]

    ids = np.arange(worlds.num_worlds)
    times_s = []
    for repeat in range(REPEATS + 1):
        worlds.reset(ids, ids.tolist())
        policy.reset(ids, worlds.observe(), ids.tolist())
        for stopwatch in (plan, act, decide):
            stopwatch.seconds = 0.0
        whole_s = _thread_seconds(
            lambda: [
                worlds.step(decide.call(worlds.observe())) for _ in range(RUNTIME_STEPS)
            ]
        )
        policy.take_plans()  # else those of all repeats would pile up
        if repeat:  # the first one only warms up
            times_s.append((whole_s, decide.seconds - plan.seconds - act.seconds))
    worlds.close()
    return times_s


def rest_action(worlds: Worlds) -> np.ndarray:
    """Returns actions (N, A) that keep the robots at their present joint targets.

    In worlds that have just been reset, that is where they start, with open grippers.
    """
    action: np.ndarray = worlds.interface.to_normalized(
        worlds.control.joint_target
    ).astype(np.float32)
    return action


class _Stopwatch:
    """Adds up the time spent in a function.

    Attributes:
        call: does what the function does, and takes its time.
        seconds: the time so far.
    """

    call: Callable[..., Any]

    def __init__(self, function: Callable[..., Any]) -> None:
        self.seconds = 0.0

        def call(*arguments: Any) -> Any:
            start_s = time.thread_time()
            result = function(*arguments)
            self.seconds += time.thread_time() - start_s
            return result

        self.call = call


def _thread_seconds(work: Callable[[], object]) -> float:
    """Returns the processor time of this thread that some work takes."""
    start_s = time.thread_time()
    work()
    return time.thread_time() - start_s


def _wall_seconds(work: Callable[[], object]) -> float:
    start_s = time.perf_counter()
    work()
    return time.perf_counter() - start_s


def _robot_name(config: EnvConfig) -> str | None:
    """Returns the robot's name; None, the task's default, for what is not named."""
    return config.robot if isinstance(config.robot, str) else None


def _num_worlds(num: int) -> str:
    return "1 world" if num == 1 else f"{num} worlds"
