"""Evaluates policies on the same seeds, and writes their episodes into a results file.

The file consists of cells. A cell holds the episodes of one policy under one condition
(task, robot, level, delays and so on), one episode per seed.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from embodied.benchmark.keeping import EpisodeKeeper
from embodied.benchmark.results import (
    Cell,
    Provenance,
    Results,
    UnfinishedCell,
)
from embodied.benchmark.results_file import resume_results
from embodied.benchmark.results_writing import ResultsWriter
from embodied.benchmark.stopping import LOOK, StoppingRule
from embodied.benchmark.trials import Trial
from embodied.errors import EmbodiedError, in_one_line
from embodied.policies.episodes import EpisodeRunner
from embodied.policies.registry import find_policy
from embodied.rollout.advance import Advances, Forecast
from embodied.rollout.endings import FAULT
from embodied.rollout.executor import Executor
from embodied.rollout.film import Clip, Film, Shot
from embodied.rollout.rollout import EpisodeResult
from embodied.rollout.shards import Report, Stage
from embodied.wording import counted

POLICY_RAISED = "policy_raised"  # the fault of an episode whose policy raised


@dataclass(frozen=True)
class Playing:
    """The work of one process: runs episodes of a policy.

    If the policy raises an error, the unfinished episodes are run again one by one. An
    episode that raises an error again gets an error result.
    """

    runner: EpisodeRunner
    weights: str = ""  # expected SHA-256 of the policy's weights; "" accepts any

    def __call__(self, seeds: Sequence[int], report: Report) -> list[EpisodeResult]:
        """Returns the results of the episodes of some seeds, in the order of the seeds.

        An episode that raises an unexpected error becomes a failed result, so that one bad
        start does not end an evaluation. `report` is called with each finished episode.
        """
        self._require_weights()
        results: dict[int, EpisodeResult] = {}

        def keep(result: EpisodeResult) -> None:
            results[result.seed] = result
            report(result)

        try:
            self.runner.run(seeds, on_result=keep)
        except (EmbodiedError, OSError, MemoryError):
            raise  # not the policy's fault: the evaluation cannot go on
        except Exception:
            # The error does not tell which episode of the batch caused it: run each
            # unfinished episode alone. Results do not depend on the batch.
            for seed in seeds:
                if seed not in results:
                    keep(self._run_alone(seed))
        return [results[seed] for seed in seeds]

    def _require_weights(self) -> None:
        """Raises EmbodiedError if the policy has other weights on this machine."""
        if not self.weights:
            return
        weights = find_policy(self.runner.policy).weights_hash
        if weights != self.weights:
            raise EmbodiedError(
                f"the policy {self.runner.policy} has other weights on the machine "
                f"{platform.node()}, or by now: copy the run there, or use a shared folder"
            )

    def _run_alone(self, seed: int) -> EpisodeResult:
        """Runs one episode alone; an error of the policy becomes an error result."""
        runner = replace(self.runner, num_envs=1)
        try:
            return runner.run([seed])[0]
        except (EmbodiedError, OSError, MemoryError):
            raise  # not the policy's fault
        except Exception as error:
            return error_result(seed, in_one_line(error))


def error_result(seed: int, error: str) -> EpisodeResult:
    """Returns the result of an episode in which the policy raised an error.

    Its figures are zero, because what the episode did before the error does not count.
    """
    return EpisodeResult(
        index=0,
        seed=seed,
        instruction="",
        success_once=False,
        success_at_end=False,
        progress_max=0.0,
        progress_end=0.0,
        time_to_success_s=None,
        duration_s=0.0,
        reward_sum=0.0,
        # why the episode does not count
        fault=POLICY_RAISED,
        ended=FAULT,
        error=error,
    )


@dataclass(frozen=True)
class Filming:
    """The work of one process: films episodes of a policy, one clip per seed."""

    runner: EpisodeRunner
    shot: Shot

    def __call__(self, seeds: Sequence[int], report: Report) -> list[Clip]:
        """Returns one clip per seed, in their order."""
        # film every episode of the rollout
        film = Film(self.shot, range(len(seeds)))
        # filmed episodes take long, so `Advances` also reports progress within episodes
        self.runner.run(seeds, [film, Advances(list(seeds), report)], report)
        return film.clips


def evaluate(
    path: Path,
    provenance: Provenance,
    trials: Sequence[Trial],
    workers: Executor,
    stage: Stage,
    rules: Sequence[StoppingRule | None] = (),
) -> Results:
    """Measures the cells and episodes that the results file still lacks.

    The file is valid at any moment. A finished cell is written at once. Episodes of an
    unfinished cell are written periodically, and when the work is interrupted.

    Args:
        path: the path of the results file.
        provenance: how and with which versions the results are measured.
        trials: the cells to measure.
        workers: runs the episodes.
        stage: shows the progress.
        rules: the rule of each trial that may stop it early, or None; () for no rules.

    Raises:
        ResultsError: the file holds results of another setup, or a cell of the same
            condition over other seeds.
        EmbodiedError: a trial cannot be run, or processes died repeatedly.
        KeyboardInterrupt: its message says how many episodes of the cell were kept.
    """
    # check all trials before the first one runs, which may take hours
    results = resume_results(path, provenance)
    for trial in trials:
        results.require_extensible(trial.condition)

    writer = ResultsWriter(path)
    rules = rules or [None] * len(trials)
    for trial, rule in zip(trials, rules, strict=True):
        results = results.without_outdated(trial.condition)
        if results.find(trial.condition) is None:
            keeper = EpisodeKeeper(writer, results, trial.condition)
            cell = measure(trial, workers, stage, keeper, rule)
            # If a rule stopped this cell early in a previous run, `find` above missed it,
            # because it has fewer episodes than the trial. The rule then stops the new
            # cell at the same episode, so the file may hold all of its episodes already.
            if not results.covers(cell.condition):
                results = results.with_cell(cell)
            writer.write(results)
    return results


def episodes_left(results: Results, trials: Sequence[Trial]) -> int:
    """Returns how many episodes of the trials the results still lack."""
    num_left = 0
    for trial in trials:
        known = results.known_episodes(trial.condition)
        num_left += trial.condition.num_episodes - len(known.episodes)
    return num_left


def measure(
    trial: Trial,
    workers: Executor,
    stage: Stage,
    keeper: EpisodeKeeper | None = None,
    rule: StoppingRule | None = None,
) -> Cell:
    """Measures one cell.

    Args:
        trial: the cell.
        workers: runs the episodes.
        stage: shows the progress.
        keeper: holds the episodes that were run before, and saves new ones; None to
            start from nothing and save nothing.
        rule: may stop the cell early; None for all episodes.

    Raises:
        EmbodiedError: the policy raised an error in every episode, or `Executor.run`
            failed.
    """
    # seed -> result, at first those of an earlier run; only the other seeds are run
    condition = trial.condition
    earlier = UnfinishedCell(condition, 0.0) if keeper is None else keeper.cell
    known = {episode.seed: episode for episode in earlier.episodes}
    missing = [seed for seed in condition.seeds if seed not in known]

    start_s = time.monotonic()
    try:
        with stage(trial.title, len(missing)) as report:
            show = report if rule is None else _forecasting(report, rule, known)

            def on_episode(episode: EpisodeResult) -> None:
                show(episode)
                # an episode with an error is not saved: a resumed run tries it again
                if keeper is not None and not episode.error:
                    keeper.add(episode)

            def run(seeds: Sequence[int]) -> None:
                """Runs the episodes of the seeds that are not known yet, into `known`."""
                new = [seed for seed in seeds if seed not in known]
                runner = trial.runner
                playing = Playing(runner, condition.weights)
                episodes = workers.run(playing, new, on_episode, runner.num_envs)
                known.update((episode.seed, episode) for episode in episodes)

            count = _run_as_needed(run, known, trial, workers.count, rule)
            if rule is not None:
                report(Forecast(0))  # no more than those that are done
    except BaseException as stop:
        # whatever stops the work, Ctrl-C included: save the finished episodes
        if keeper is not None:
            keeper.keep()
            if isinstance(stop, KeyboardInterrupt):
                message = _interruption_message(trial, keeper.cell)
                raise KeyboardInterrupt(message) from None
        raise

    wall_s = earlier.wall_s + time.monotonic() - start_s
    return _finished_cell(trial, known, count, wall_s, rule)


def _finished_cell(
    trial: Trial,
    known: Mapping[int, EpisodeResult],
    count: int,
    wall_s: float,
    rule: StoppingRule | None,
) -> Cell:
    """Returns the cell of the first `count` episodes of a trial.

    Raises:
        EmbodiedError: the policy raised an error in each of these episodes.
    """
    # so far an episode's index counts the episodes of its process; in the cell it counts
    # the seeds
    seeds = trial.condition.seeds[:count]
    ordered = tuple(replace(known[seed], index=k) for k, seed in enumerate(seeds))
    if all(episode.error for episode in ordered):
        raise EmbodiedError(
            f"the policy {trial.label} raised in each of its episodes ({count}), first: "
            f"{ordered[0].error}"
        )

    return Cell(
        condition=replace(trial.condition, num_episodes=count),
        label=trial.label,
        wall_s=wall_s,
        episodes=ordered,
        view=trial.view,
        abilities=trial.abilities,
        rule=rule.description if rule is not None else "",
    )


def _run_as_needed(
    run: Callable[[Sequence[int]], None],
    known: Mapping[int, EpisodeResult],
    trial: Trial,
    processes: int,
    rule: StoppingRule | None,
) -> int:
    """Runs the episodes of a trial until they are complete, or until the rule is met.

    Args:
        run: runs the episodes of the seeds that it is given.
        known: seed -> result; `run` adds the results of its episodes.
        trial: the cell.
        processes: number of processes that share the work.
        rule: may stop the cell early; None for all episodes.

    Returns:
        How many of the trial's first episodes make up the cell.
    """
    seeds = trial.condition.seeds
    if rule is None:
        run(seeds)
        return len(seeds)

    # The rule is evaluated after every LOOK episodes in the order of the seeds, so that the
    # number of processes does not affect the result. A block is large enough for all
    # processes, rounded up to a multiple of LOOK. If the rule is met within a block, the
    # cell ends there and later episodes are dropped.
    at_once = processes * trial.runner.num_envs
    block_size = -(-at_once // LOOK) * LOOK
    for start in range(0, len(seeds), block_size):
        stop = min(start + block_size, len(seeds))
        run(seeds[start:stop])
        for count in range(start + LOOK, stop + 1, LOOK):
            if rule.is_met([known[seed] for seed in seeds[:count]]):
                return count
    return len(seeds)


def _forecasting(
    report: Report, rule: StoppingRule, known: Mapping[int, EpisodeResult]
) -> Report:
    """Returns a report of ended episodes that adds how many there will probably be.

    Args:
        report: shows the progress.
        rule: ends the cell.
        known: seed -> result of the episodes of an earlier run.
    """
    earlier = len(known)
    ended = dict(known)

    def show(episode: EpisodeResult) -> None:
        report(episode)
        ended[episode.seed] = episode
        needed = round(rule.forecast(list(ended.values())))
        report(Forecast(needed - earlier))

    return show


def _interruption_message(trial: Trial, cell: UnfinishedCell) -> str:
    """Returns the message for a user who interrupts: what the file holds now."""
    count = len(cell.episodes)
    return (
        f"Kept: the cells that were finished, and {count} of "
        f"{counted(trial.condition.num_episodes, 'episode')} of {trial.title}"
    )


def film(
    trial: Trial, seeds: Sequence[int], shot: Shot, workers: Executor, stage: Stage
) -> list[Clip]:
    """Runs episodes of a cell again, with the same outcome, and films them."""
    with stage(f"film {trial.title}", len(seeds)) as report:
        return workers.run(Filming(trial.runner, shot), seeds, report)
