"""Forecasts how long a demo will take on this machine.

It runs and times a small amount of each kind of work, and scales the times up.
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

# The horizons of the timed episodes, in simulated time. Jobs with brief episodes show the
# fixed time of a job; the difference to jobs with long episodes is the time to simulate.
BRIEF_S = 0.2
LONG_S = 1.2
SUCCESS_S = 7.0  # mean duration of a successful episode, in simulated time
# Training needs at least one episode that is held out for validation; seed 14 is.
TRAINING_SEEDS = range(13, 16)
# The timed training gets this budget, but is stopped earlier, see `_RowClock`.
MAX_TRAINING_STEPS = 400
# The training is timed over this many rows of figures after the first row.
TIMED_ROWS = 2


@dataclass(frozen=True)
class Cost:
    """The wall time of a kind of job, on all processes together."""

    job_s: float  # fixed time of each job
    per_simulated_s: float  # additional time per simulated second of one world

    def of(self, jobs: int, simulated_s: float) -> float:
        """Returns the wall time of `jobs` jobs that together simulate `simulated_s`."""
        return jobs * self.job_s + simulated_s * self.per_simulated_s


def forecast(demo: Demo, workers: Workers) -> dict[str, float]:
    """Measures this machine; returns stage -> expected wall time in s."""
    return {
        "collect": _collecting_s(demo, workers),
        "train": _training_s(demo, workers),
        "evaluate": _evaluating_s(demo, workers),
        "film": _filming_s(demo, workers),
    }


def _collecting_s(demo: Demo, workers: Workers) -> float:
    """Returns the wall time of collecting, with one job per level."""
    counts = [episodes for _, episodes in demo.size.demonstrations]
    cost = _cost(Playing, demo.demonstrator("L1"), workers, min(counts))
    return cost.of(len(counts), sum(counts) * SUCCESS_S)


def _training_s(demo: Demo, workers: Workers) -> float:
    """Returns the wall time of the training, measured over a few of its steps."""
    from embodied.policies.training.imitation import train_imitation  # loads torch

    with tempfile.TemporaryDirectory() as scratch:
        dataset = Path(scratch) / "demonstrations.hdf5"
        # complete episodes, because a policy is trained only on successful ones
        recording = demo.recording(demo.demonstrator("L1"), dataset)
        collect(recording, TRAINING_SEEDS, "new", workers=workers, stage=quiet_stage)

        # the same config as the demo's, so that figures and checkpoints are as frequent
        config = demo.training([dataset], min(demo.size.steps, MAX_TRAINING_STEPS))
        clock = _RowClock()
        with suppress(_TimedError):
            train_imitation(config, Path(scratch) / "run", clock)
    return demo.size.steps * clock.step_s


class _TimedError(Exception):
    """Stops the timed training."""


class _RowClock:
    """Receives the rows of figures of a training, and stops it after TIMED_ROWS + 1."""

    def __init__(self) -> None:
        self._times_s: list[float] = []
        self._steps: list[float] = []

    def __call__(self, row: Mapping[str, float]) -> None:
        """Stores the time and the steps of a row of the training's history."""
        self._times_s.append(time.monotonic())
        self._steps.append(row["steps"])
        # the time before the first row does not count, because it includes the start
        if len(self._steps) > TIMED_ROWS:
            raise _TimedError

    @property
    def step_s(self) -> float:
        """Time of one step, including its share of figures and checkpoints."""
        steps = self._steps[-1] - self._steps[0]
        return (self._times_s[-1] - self._times_s[0]) / steps


def _evaluating_s(demo: Demo, workers: Workers) -> float:
    """Returns the wall time of the evaluation, with one job per trial.

    The pretrained policy stands for the policy that is still to be trained.
    """
    episodes = demo.size.episodes
    costs: dict[bool, Cost] = {}
    total_s = 0.0
    for trial in demo.trials(trained="pretrained"):
        # measure once with and once without cameras, because rendering takes time
        has_cameras = bool(trial.runner.config.cameras)
        if has_cameras not in costs:
            costs[has_cameras] = _cost(Playing, trial.runner, workers, episodes)
        total_s += costs[has_cameras].of(1, episodes * _episode_s(demo, trial))
    return total_s


def _filming_s(demo: Demo, workers: Workers) -> float:
    """Returns the wall time of the films, with one job per film."""
    trials = demo.filmed(demo.trials(trained="pretrained"))
    shot = Shot(get_task(TASK).beauty_camera, "", fps=FPS)

    def filming(runner: EpisodeRunner) -> Filming:
        return Filming(runner, shot)

    # a film shows the same number of successes and failures; failures last longest
    num_each = demo.size.films
    cost = _cost(filming, trials[0].runner, workers, 2 * num_each)
    film_s = num_each * SUCCESS_S + num_each * get_task(TASK).horizon_s
    return len(trials) * cost.of(1, film_s)


def _episode_s(demo: Demo, trial: Trial) -> float:
    """Returns the expected duration of an episode of a trial, in simulated s."""
    if trial.condition.policy in ("expert", demo.size.subject):
        return SUCCESS_S
    return get_task(TASK).horizon_s


def _cost(
    work: Callable[[EpisodeRunner], Work[Any]],
    runner: EpisodeRunner,
    workers: Workers,
    episodes: int,
) -> Cost:
    """Measures the cost of a kind of job, with episodes that are cut off early.

    Args:
        work: a function that makes the job of a runner, such as `Playing`.
        runner: the runner of the episodes.
        workers: the processes that share a job.
        episodes: the number of episodes of a job in the demo.
    """
    at_once = min(episodes, runner.num_envs * workers.count)

    def timed_job_s(horizon_s: float) -> float:
        """Runs a job whose episodes end at a horizon; returns its wall time."""
        # the horizon is too short for success, so all episodes last until the horizon
        config = replace(runner.config, horizon_s=horizon_s)
        begun_s = time.monotonic()
        workers.run(work(replace(runner, config=config)), range(at_once))
        return time.monotonic() - begun_s

    timed_job_s(BRIEF_S)  # not counted, because it starts the processes
    brief_job_s = timed_job_s(BRIEF_S)
    long_job_s = timed_job_s(LONG_S)

    # both jobs have the same fixed time, so the difference is the time to simulate
    simulated_s = at_once * (LONG_S - BRIEF_S)
    per_simulated_s = max(0.0, long_job_s - brief_job_s) / simulated_s
    job_s = max(0.0, brief_job_s - per_simulated_s * at_once * BRIEF_S)
    return Cost(job_s, per_simulated_s)
