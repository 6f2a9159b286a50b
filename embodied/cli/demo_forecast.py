"""How long a demo will take on this machine.

A little of each kind of its work is done and timed, and the times are scaled to how
much there is to do.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from embodied.benchmark.evaluation import Filming, Playing
from embodied.benchmark.footage import FPS
from embodied.benchmark.trials import Trial
from embodied.cli.demo_stages import TASK, Demo
from embodied.envs.registry import get_task
from embodied.policies.collection import collect
from embodied.policies.episodes import EpisodeRunner
from embodied.rollout.film import Shot
from embodied.rollout.shards import Work, Workers, quiet_stage

# Horizons of the episodes that are timed. The brief ones show what a job costs before
# it simulates anything; the difference between the two shows what simulation costs.
BRIEF_S = 0.2
LONG_S = 1.2
# mean length of an episode of a policy that succeeds
SUCCESS_S = 7.0
# seed 14 is one of those kept for validation, and training needs one
TRAINING_SEEDS = range(13, 16)
MAX_TRAINING_STEPS = 400  # in all, were it not ended before
TIMED_ROWS = 2


@dataclass(frozen=True)
class Cost:
    """What a kind of job takes, in wall seconds of all processes together."""

    job_s: float  # for each job, however small
    per_simulated_s: float  # for each simulated second of one world

    def of(self, jobs: int, simulated_s: float) -> float:
        """Returns the wall seconds of jobs that simulate `simulated_s` in all."""
        return jobs * self.job_s + simulated_s * self.per_simulated_s


def forecast(demo: Demo, workers: Workers) -> dict[str, float]:
    """Measures this machine; returns stage -> the seconds that it will take."""
    return {
        "collect": _collecting_s(demo, workers),
        "train": _training_s(demo, workers),
        "evaluate": _evaluating_s(demo, workers),
        "film": _filming_s(demo, workers),
    }


def _collecting_s(demo: Demo, workers: Workers) -> float:
    """Returns the wall seconds of the demonstrations, one job a level."""
    counts = [episodes for _, episodes in demo.size.demonstrations]
    cost = _cost(Playing, demo.demonstrator("L1"), workers, min(counts))
    return cost.of(len(counts), sum(counts) * SUCCESS_S)


def _training_s(demo: Demo, workers: Workers) -> float:
    """Returns the wall seconds of the training, from a few of its steps."""
    from embodied.policies.training.imitation import train_imitation

    with tempfile.TemporaryDirectory() as scratch:
        dataset = Path(scratch) / "demonstrations.hdf5"
        # whole episodes, since a policy is trained on successful ones alone
        recording = demo.recording(demo.demonstrator("L1"), dataset)
        collect(recording, TRAINING_SEEDS, "new", workers, quiet_stage)

        # begun as in earnest, so that figures and checkpoints come as often
        config = demo.training([dataset], min(demo.size.steps, MAX_TRAINING_STEPS))
        clock = _RowClock()
        with suppress(_TimedError):
            train_imitation(config, Path(scratch) / "run", clock)
    return demo.size.steps * clock.step_s


class _TimedError(Exception):
    """Ends a training that was begun only to be timed."""


class _RowClock:
    """Is called with the rows of a training, and ends it after some of them."""

    def __init__(self) -> None:
        self._times_s: list[float] = []
        self._steps: list[float] = []

    def __call__(self, row: Mapping[str, float]) -> None:
        self._times_s.append(time.monotonic())
        self._steps.append(row["steps"])
        # the time until the first row is not counted: beginning takes longer
        if len(self._steps) > TIMED_ROWS:
            raise _TimedError

    @property
    def step_s(self) -> float:
        """Seconds of a step, with its share of the figures and checkpoints."""
        steps = self._steps[-1] - self._steps[0]
        return (self._times_s[-1] - self._times_s[0]) / steps


def _evaluating_s(demo: Demo, workers: Workers) -> float:
    """Returns the wall seconds of the evaluation, one job a trial.

    The pretrained policy is timed in place of the one that is yet to be trained.
    """
    episodes = demo.size.episodes
    costs: dict[bool, Cost] = {}
    total_s = 0.0
    for trial in demo.trials(trained="pretrained"):
        # rendering makes the difference: policies without cameras cost about the same
        has_cameras = bool(trial.runner.config.cameras)
        if has_cameras not in costs:
            costs[has_cameras] = _cost(Playing, trial.runner, workers, episodes)
        total_s += costs[has_cameras].of(1, episodes * _episode_s(demo, trial))
    return total_s


def _filming_s(demo: Demo, workers: Workers) -> float:
    """Returns the wall seconds of the films, one job a film."""
    trials = demo.filmed(demo.trials(trained="pretrained"))
    shot = Shot(get_task(TASK).beauty_camera, "", fps=FPS)

    def filming(runner: EpisodeRunner) -> Filming:
        return Filming(runner, shot)

    successes = failures = demo.size.films
    cost = _cost(filming, trials[0].runner, workers, successes + failures)
    clips_s = successes * SUCCESS_S + failures * get_task(TASK).horizon_s
    return len(trials) * cost.of(1, clips_s)


def _episode_s(demo: Demo, trial: Trial) -> float:
    """Returns how many seconds an episode of a trial is expected to last."""
    if trial.condition.policy in ("expert", demo.size.subject):
        return SUCCESS_S
    return get_task(TASK).horizon_s


def _cost(
    work: Callable[[EpisodeRunner], Work[Any]],
    runner: EpisodeRunner,
    workers: Workers,
    episodes: int,
) -> Cost:
    """Times jobs with as many episodes as run at once, all cut off early.

    Args:
        work: makes the job of a runner, such as `Playing`.
        runner: of the episodes.
        workers: the processes that share a job.
        episodes: of a job in the demo; no more run at once.
    """
    at_once = min(episodes, runner.num_envs * workers.count)

    # So short an episode lasts to its horizon: nobody succeeds before.
    def seconds(horizon_s: float) -> float:
        config = replace(runner.config, horizon_s=horizon_s)
        begun = time.monotonic()
        workers.run(work(replace(runner, config=config)), range(at_once))
        return time.monotonic() - begun

    seconds(BRIEF_S)  # starts the processes, which load what they need
    brief_s = seconds(BRIEF_S)
    long_s = seconds(LONG_S)

    # Both have the same fixed cost, so their difference is simulation alone.
    per_simulated_s = max(0.0, long_s - brief_s) / (at_once * (LONG_S - BRIEF_S))
    job_s = max(0.0, brief_s - per_simulated_s * at_once * BRIEF_S)
    return Cost(job_s, per_simulated_s)
