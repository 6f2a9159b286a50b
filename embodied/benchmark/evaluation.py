"""Evaluation: policies run through equal seeds, cell by cell, into a results file."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

from embodied.benchmark.keeping import EpisodeKeeper
from embodied.benchmark.results import (
    Cell,
    Condition,
    Provenance,
    Results,
    UnfinishedCell,
)
from embodied.benchmark.results_file import resume_results, write_results
from embodied.benchmark.timing import Timing
from embodied.core import PolicySpec
from embodied.envs.config import EnvConfig
from embodied.envs.registry import get_task
from embodied.policies.episodes import EpisodeRunner, env_config_for
from embodied.policies.registry import find_policy
from embodied.rollout.advance import Advances
from embodied.rollout.film import Clip, Film, Shot
from embodied.rollout.rollout import EpisodeResult
from embodied.rollout.shards import Report, Stage, Workers


@dataclass(frozen=True)
class Place:
    """Where policies are measured."""

    task: str
    split: str = "train"
    robot: str | None = None
    stage: str = ""  # of the task; empty: the whole task

    def config(self, spec: PolicySpec, level: str) -> EnvConfig:
        """Returns the config of worlds there, as a policy needs them.

        Raises:
            EmbodiedError: the task, robot, split, level or stage does not exist.
        """
        config = env_config_for(spec, self.task, level, self.split, self.robot)
        if not self.stage:
            return config

        stage = get_task(self.task).stage(self.stage)
        return replace(
            config, goal_progress=stage.goal_progress, horizon_s=stage.horizon_s
        )


@dataclass(frozen=True)
class Trial:
    """A cell that is to be measured."""

    runner: EpisodeRunner
    condition: Condition
    label: str  # the policy's name for people
    timing: Timing | None = None  # None for a policy that does not plan
    view: tuple[str, ...] = ()  # the command that shows its episodes, but for the seed

    @property
    def title(self) -> str:
        """What is measured, for progress: policy, level and how late plans are."""
        title = f"{self.label} {self.condition.level}"
        if self.condition.planner_hz:
            title += f", {self.condition.delay_ms:g} ms late"
        return title


@dataclass(frozen=True)
class Playing:
    """The work of one process: runs episodes of a policy."""

    runner: EpisodeRunner

    def __call__(self, seeds: Sequence[int], report: Report) -> list[EpisodeResult]:
        return self.runner.run(seeds, on_result=report)


@dataclass(frozen=True)
class Filming:
    """The work of one process: films episodes of a policy, one clip per seed."""

    runner: EpisodeRunner
    shot: Shot

    def __call__(self, seeds: Sequence[int], report: Report) -> list[Clip]:
        # all episodes, by their indices
        film = Film(self.shot, range(len(seeds)))
        # Episodes on film take long, so that their parts are reported, too.
        self.runner.run(seeds, [film, Advances(list(seeds), report)], report)
        return film.clips


def plan_trials(
    policies: Mapping[str, str],
    place: Place,
    levels: Sequence[str],
    timings: Sequence[Timing],
    seeds: range,
    num_envs: int = 16,
) -> list[Trial]:
    """Returns every policy at every level with every timing.

    A policy that does not plan is measured once per level.

    Args:
        policies: label -> name of each policy.
        place: where they are measured.
        levels: how much varies.
        timings: when plans are made and arrive.
        seeds: of the episodes of each cell.
        num_envs: worlds at once in each process; no result depends on it.

    Raises:
        EmbodiedError: a name does not exist, or a run is of another task.
    """
    trials = []
    for (label, name), level in product(policies.items(), levels):
        source = find_policy(name)
        spec = source.spec(place.task, place.robot)
        runner = EpisodeRunner(name, place.config(spec, level), num_envs=num_envs)
        condition = Condition(
            policy=label,
            level=level,
            split=place.split,
            first_seed=seeds.start,
            num_episodes=len(seeds),
            control_mode=spec.control_mode,
            control_hz=spec.control_hz,
            stage=place.stage,
            weights=source.weights_hash,
        )

        # only a policy that plans is measured with each timing
        own_hz = source.planner_hz
        if own_hz is None:
            trials.append(Trial(runner, condition, Path(label).name))
        else:
            trials += [_timed(runner, condition, timing, own_hz) for timing in timings]
    return trials


def _timed(
    runner: EpisodeRunner, condition: Condition, timing: Timing, own_hz: float
) -> Trial:
    """Returns the trial of a policy that plans, `own_hz` times per second by default."""
    dual = timing.dual(own_hz)

    # the condition describes the timing that the dual system gets
    timed = replace(
        condition,
        planner_hz=dual.planner_hz,
        compute_ms=timing.median_compute_ms,
        transport_ms=timing.median_transport_ms,
        latency=timing.latency_words,
        drop_rate=dual.drop,
        freeze=timing.freeze_words,
        mailbox=dual.mailbox,
    )

    label = Path(condition.policy).name
    return Trial(replace(runner, dual=dual), timed, label, timing)


def evaluate(
    path: Path,
    provenance: Provenance,
    trials: Sequence[Trial],
    workers: Workers,
    stage: Stage,
) -> Results:
    """Measures the cells, or the episodes of cells, that are not in the file at `path`.

    The file is whole at any moment. It gets each cell at once, and the episodes of an
    unfinished one now and then and when something stops the work.

    Raises:
        ResultsError: the file holds results of something else, or a cell of the same
            condition over other seeds.
        EmbodiedError: a trial cannot be run, or a process died.
        KeyboardInterrupt: says how many episodes of the running cell are kept.
    """
    # all trials are checked before the first is run, which may take hours
    results = resume_results(path, provenance)
    for trial in trials:
        results.require_extensible(trial.condition)

    for trial in trials:
        results = results.without_outdated(trial.condition)
        if results.find(trial.condition) is None:
            keeper = EpisodeKeeper(path, results, trial.condition)
            cell = measure(trial, workers, stage, keeper)
            results = results.with_cell(cell)
            write_results(path, results)
    return results


def measure(
    trial: Trial, workers: Workers, stage: Stage, keeper: EpisodeKeeper | None = None
) -> Cell:
    """Measures one cell.

    Args:
        trial: the cell.
        workers: the processes that share the work.
        stage: shows the progress.
        keeper: knows the episodes that need not be run, and keeps the others; None for
            none.
    """
    # only what is not yet known is run
    condition = trial.condition
    kept = UnfinishedCell(condition, 0.0) if keeper is None else keeper.cell
    known_seeds = {episode.seed for episode in kept.episodes}
    missing = [seed for seed in condition.seeds if seed not in known_seeds]

    start_s = time.monotonic()
    try:
        with stage(trial.title, len(missing)) as report:

            def on_episode(episode: EpisodeResult) -> None:
                report(episode)
                if keeper is not None:
                    keeper.add(episode)

            new = workers.run(
                Playing(trial.runner), missing, on_episode, trial.runner.num_envs
            )
    except BaseException as stop:  # Ctrl-C as well: whatever stops it, nothing is lost
        if keeper is None:
            raise
        keeper.keep()
        if isinstance(stop, KeyboardInterrupt):
            raise KeyboardInterrupt(_kept_words(trial, keeper.cell)) from None
        raise

    # an episode's index was its place in the part of one process: now it is the cell's
    by_seed = {episode.seed: episode for episode in (*kept.episodes, *new)}
    ordered = tuple(
        replace(by_seed[seed], index=k) for k, seed in enumerate(condition.seeds)
    )
    wall_s = kept.wall_s + time.monotonic() - start_s
    return Cell(condition, trial.label, wall_s, ordered, trial.view)


def _kept_words(trial: Trial, cell: UnfinishedCell) -> str:
    """Returns what a user who stopped the work reads about what is in the file."""
    count = len(cell.episodes)
    return (
        f"Kept: the cells that were finished, and {count} of "
        f"{trial.condition.num_episodes} episodes of {trial.title}"
    )


def film(
    trial: Trial, seeds: Sequence[int], shot: Shot, workers: Workers, stage: Stage
) -> list[Clip]:
    """Runs episodes of a cell once more and films them; their outcome is the same."""
    with stage(f"film {trial.title}", len(seeds)) as report:
        return workers.run(Filming(trial.runner, shot), seeds, report)
