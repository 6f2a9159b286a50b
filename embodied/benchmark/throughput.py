"""How fast this machine simulates, renders and records: medians of several runs, with
their quartiles.

Steps are timed by the thread's own processor time, so that other work on the machine
blurs them less; frames and recording, which use more than one thread, by the clock on
the wall.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np

from embodied.envs.config import EnvConfig
from embodied.envs.registry import get_task
from embodied.envs.worlds import Worlds
from embodied.policies.collection import Recording, collect, collection_header
from embodied.policies.dual_system import DualSystemConfig
from embodied.policies.episodes import EpisodeRunner, env_config_for
from embodied.policies.registry import find_policy
from embodied.rollout.shards import Report, Workers, default_workers

REPEATS = 7
CONTROL_HZ = 20  # of environments as reinforcement learning drives them
STEPS = {1: 100, 16: 30, 64: 12}  # worlds -> environment steps in each repeat
RECORDINGS = 3
RECORDED_WORLDS = 16
STILL_S = 1.0  # until everything is at rest


@dataclass(frozen=True)
class Figure:
    """One measured quantity; `wanted` is the bound that it is meant to keep, on two
    cores of the reference machine.
    """

    name: str
    unit: str
    median: float
    lower_quartile: float
    upper_quartile: float
    wanted: str = ""

    @classmethod
    def of(cls, name: str, unit: str, values: list[float], wanted: str = "") -> Figure:
        """From the repeats of a measurement."""
        lower, middle, upper = (
            float(x) for x in np.quantile(values, (0.25, 0.5, 0.75))
        )
        return cls(name, unit, middle, lower, upper, wanted)


def measure_all(task: str, robot: str | None, episodes: int) -> Iterator[Figure]:
    """Every figure, as soon as it is there. `episodes` are recorded in each repeat of
    the recording.
    """
    config = bench_config(task, robot)
    yield from physics(config)
    for num in STEPS:
        yield from stepping(config, num)
    yield frames(config)
    yield from recording(config, episodes)
    yield from deciding(config)


def bench_config(task: str, robot: str | None) -> EnvConfig:
    """Worlds as all figures but those of recording and deciding take them."""
    return EnvConfig(
        task,
        robot=robot,
        control_mode="joint",
        control_hz=CONTROL_HZ,
        level="L1",
        num_threads=1,
    )


def physics(config: EnvConfig) -> Iterator[Figure]:
    """One world at rest."""
    worlds = Worlds(config)
    worlds.reset([0], [0])
    still = rest_action(worlds)
    for _ in range(int(STILL_S * CONTROL_HZ)):
        worlds.step(still)
    ticks = 1000
    steps = [
        1e6 * _seconds(lambda: worlds.engine.step(ticks)) / ticks
        for _ in range(REPEATS + 1)
    ]
    # the first one only warms up
    yield Figure.of("physics step at rest", "us", steps[1:], "<= 20")
    yield Figure.of(
        "contacts at rest", "", [float(worlds.engine.world_data(0).ncon)], "<= 30"
    )
    worlds.close()


def stepping(config: EnvConfig, num: int) -> Iterator[Figure]:
    """`env.step` of `num` worlds beside the engine's own step within it."""
    arguments: dict[str, Any] = {
        "robot": config.robot,
        "control_mode": config.control_mode,
        "control_hz": config.control_hz,
        "level": config.level,
        "num_threads": config.num_threads,
    }
    env_id = get_task(config.task).env_id
    env: Any = (
        gymnasium.make(env_id, **arguments)
        if num == 1
        else gymnasium.make_vec(env_id, num, **arguments)
    )
    worlds: Worlds = env.unwrapped.worlds
    env.reset(seed=0)
    action = rest_action(worlds)[0] if num == 1 else rest_action(worlds)
    engine = _Stopwatch(worlds.engine.step)
    worlds.engine.step = engine  # type: ignore[method-assign]
    whole = []
    bare = []
    for repeat in range(REPEATS + 1):
        env.reset(seed=0)
        engine.seconds = 0.0
        seconds = _seconds(lambda: [env.step(action) for _ in range(STEPS[num])])
        if repeat:  # the first one only warms up
            whole.append(seconds / STEPS[num])
            bare.append(engine.seconds / STEPS[num])
    env.close()
    at = f"at {CONTROL_HZ} Hz, {_worlds(num)}"
    wanted = {
        1: ("<= 120", ">= 60", ""),
        16: ("", ">= 80", ""),
        64: ("", "", "<= 1.10"),
    }[num]
    beside = [1e6 * (a - b) for a, b in zip(whole, bare, strict=True)]
    yield Figure.of(f"Python beside physics {at}", "us a step", beside, wanted[0])
    yield Figure.of(
        f"env.step over physics {at}",
        "ratio",
        [a / b for a, b in zip(whole, bare, strict=True)],
        wanted[2],
    )
    yield Figure.of(
        f"simulated {at}",
        "x real time",
        [num / CONTROL_HZ / a for a in whole],
        wanted[1],
    )


def frames(config: EnvConfig) -> Figure:
    """Pictures for policies, of the task's cameras."""
    worlds = Worlds(replace(config, obs="pixels"), 4)
    worlds.reset(np.arange(4), list(range(4)))
    count = 4 * len(worlds.cameras)
    rates = []
    for repeat in range(REPEATS + 1):
        seconds = 0.0
        for _ in range(10):
            worlds.step(rest_action(worlds))
            seconds += _wall_seconds(lambda: worlds.observe(privileged=False))
        if repeat:
            rates.append(10 * count / seconds)
    worlds.close()
    return Figure.of(
        f"frames at {config.image_size}x{config.image_size}",
        "a second",
        rates,
        ">= 300",
    )


def recording(config: EnvConfig, episodes: int) -> Iterator[Figure]:
    """Demonstrations at 200 Hz as `embodied collect` records them, without and with a
    camera at 10 Hz.
    """
    spec = find_policy("expert").spec(config.task, _name(config))
    plain = env_config_for(spec, config.task, "L2", "train", _name(config))
    camera = replace(
        plain, obs="both", cameras=get_task(config.task).cameras[:1], camera_hz=10
    )
    with Workers(default_workers(episodes)) as workers:
        for what, recorded, wanted in (
            ("without cameras", plain, ">= 40"),
            ("with one camera", camera, ">= 15"),
        ):
            runner = EpisodeRunner(
                "expert",
                recorded,
                DualSystemConfig(mailbox="predictive"),
                RECORDED_WORLDS,
            )
            # the processes' first imports and frames
            _record(runner, range(episodes), workers)
            speeds = [
                _record(runner, range(k * episodes, (k + 1) * episodes), workers)
                for k in range(RECORDINGS)
            ]
            at = f"{RECORDED_WORLDS} worlds in each of {workers.count} processes"
            yield Figure.of(f"recording {what}, {at}", "x real time", speeds, wanted)


def _record(runner: EpisodeRunner, seeds: range, workers: Workers) -> float:
    with tempfile.TemporaryDirectory() as folder:
        recording = Recording(
            runner, Path(folder) / "bench.hdf5", collection_header(runner, record_hz=10)
        )
        begun = time.perf_counter()
        results = collect(recording, seeds, "new", workers, _unseen)
        return sum(result.duration_s for result in results) / (
            time.perf_counter() - begun
        )


@contextmanager
def _unseen(title: str, total: int) -> Iterator[Report]:
    yield lambda item: None


def deciding(config: EnvConfig) -> Iterator[Figure]:
    """The expert's controller, between two of its plans."""
    spec = find_policy("expert").spec(config.task, _name(config))
    ready = env_config_for(spec, config.task, "L1", "train", _name(config))
    for num in (1, RECORDED_WORLDS):
        yield Figure.of(
            f"controller tick of the expert, {_worlds(num)}",
            "us",
            _decide(Worlds(ready, num)),
        )


def _decide(worlds: Worlds) -> list[float]:
    everyone = np.arange(worlds.num_worlds)
    worlds.reset(everyone, everyone.tolist())
    policy = find_policy("expert").make(worlds)
    seen = worlds.observe()
    policy.reset(everyone, seen, everyone.tolist())
    policy.act(seen)  # with the first plan; the next is not yet due
    return [
        1e6 * _seconds(lambda: [policy.act(seen) for _ in range(200)]) / 200
        for _ in range(REPEATS)
    ]


def rest_action(worlds: Worlds) -> np.ndarray:
    """(N, A) joint targets that keep the robots where they start, the gripper open;
    after a reset.
    """
    action: np.ndarray = worlds.interface.to_normalized(
        worlds.control.joint_target
    ).astype(np.float32)
    return action


class _Stopwatch:
    """A function that adds up the time spent in it."""

    def __init__(self, function: Callable[[int], None]) -> None:
        self._function = function
        self.seconds = 0.0

    def __call__(self, nstep: int) -> None:
        begun = time.thread_time()
        self._function(nstep)
        self.seconds += time.thread_time() - begun


def _seconds(work: Callable[[], object]) -> float:
    begun = time.thread_time()
    work()
    return time.thread_time() - begun


def _wall_seconds(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def _name(config: EnvConfig) -> str | None:
    return config.robot if isinstance(config.robot, str) else None


def _worlds(num: int) -> str:
    return "1 world" if num == 1 else f"{num} worlds"
