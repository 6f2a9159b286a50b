"""Runs episodes in real time, with the planner in another process."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from embodied.core import Observation
from embodied.envs.worlds import Worlds
from embodied.errors import EmbodiedError
from embodied.files import replace_text
from embodied.policies.dual_system import DualSystem
from embodied.policies.episodes import EpisodeRunner
from embodied.policies.latency import FROM_START
from embodied.policies.realtime.planner_process import PlannerProcess
from embodied.policies.realtime.system import RealTimeRecord, RealTimeSystem
from embodied.policies.registry import find_policy
from embodied.rollout.meters import Meters
from embodied.rollout.one_thread import one_thread
from embodied.rollout.rollout import EpisodeResult, Step, rollout


def run_in_real_time(
    runner: EpisodeRunner, seeds: Sequence[int]
) -> tuple[list[EpisodeResult], list[RealTimeRecord]]:
    """Runs one episode per seed, one after the other, on the wall clock.

    Args:
        runner: the policy and its worlds. Its channel must have no simulated delays,
            since real delays are measured.
        seeds: the seeds of the episodes.

    Returns:
        The results, and the timing of each episode.

    Raises:
        EmbodiedError: the policy makes no plans, or the planner's process failed.
    """
    with closing(Worlds(runner.config)) as worlds:
        simulated = find_policy(runner.policy).make(worlds, runner.dual)
        if not isinstance(simulated, DualSystem):
            raise EmbodiedError(
                f"{runner.policy} makes no plans, so there is nothing to run beside its "
                "controller: choose a policy that plans, such as expert"
            )
        # Rendering takes longer than a control step, so the planner's process does it.
        if not getattr(simulated.controller, "sees_frames", True):
            worlds.defer_frames()

        # the planner is made again in another process; everything else runs here
        with PlannerProcess(runner.policy, runner.config) as process:
            system = RealTimeSystem(process, simulated)
            recorder = _TimingRecorder(system)
            meters = Meters(worlds)
            # a second thread of the networks would wait for a core that the planner has
            with one_thread(), _without_garbage_collection():
                all_hooks = [*meters.hooks, recorder]
                results = rollout(worlds, system, seeds, hooks=all_hooks)
    return [meters.measured(result) for result in results], recorder.records


def write_trace(path: Path, record: RealTimeRecord) -> None:
    """Writes the computing times of an episode's plans as a trace of latencies.

    A simulated channel with this trace repeats the episode exactly.
    """
    lines = [FROM_START, f"# seed {record.seed}: ms that each plan took"]
    lines += [f"{ms:g}" for ms in record.compute_ms]
    replace_text(path, "\n".join(lines) + "\n")


@dataclass
class _TimingRecorder:
    """A rollout hook that collects the timing of each episode in `records`."""

    system: RealTimeSystem
    records: list[RealTimeRecord] = field(default_factory=list)

    def on_start(
        self,
        worlds: Worlds,
        ids: np.ndarray,
        indices: np.ndarray,
        observation: Observation,
    ) -> None:
        """Does nothing."""

    def on_step(self, worlds: Worlds, step: Step) -> None:
        """Does nothing."""

    def on_end(self, worlds: Worlds, world: int, result: EpisodeResult) -> None:
        self.records.append(self.system.record())


@contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """Disables Python's garbage collection, which may take longer than a control step."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
