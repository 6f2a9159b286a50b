"""Evaluation: policies run through equal seeds, cell by cell, into a results file."""

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
from embodied.benchmark.results_file import resume_results, write_results
from embodied.benchmark.stopping import LOOK, StoppingRule
from embodied.benchmark.trials import Trial
from embodied.errors import EmbodiedError, in_one_line
from embodied.policies.episodes import EpisodeRunner
from embodied.policies.registry import find_policy
from embodied.rollout.advance import Advances
from embodied.rollout.endings import FAULT
from embodied.rollout.executor import Executor
from embodied.rollout.film import Clip, Film, Shot
from embodied.rollout.rollout import EpisodeResult
from embodied.rollout.shards import Report, Stage

POLICY_RAISED = "policy_raised"  # the fault of an episode whose policy raised


@dataclass(frozen=True)
class Playing:
    """The work of one process: runs episodes of a policy.

    An episode in which the policy raises is lost, and flagged; the others are not.
    """

    runner: EpisodeRunner
    weights: str = ""  # SHA-256 that the policy's weights have to have; "" for any

    def __call__(self, seeds: Sequence[int], report: Report) -> list[EpisodeResult]:
        self._require_weights()
        results: dict[int, EpisodeResult] = {}

        def keep(result: EpisodeResult) -> None:
            results[result.seed] = result
            report(result)

        try:
            self.runner.run(seeds, on_result=keep)
        except (EmbodiedError, OSError, MemoryError):
            raise
        except Exception:
            # Run each episode without a result again, alone, to find the one whose
            # policy raises. No result depends on how many run together.
            for seed in seeds:
                if seed not in results:
                    keep(self._alone(seed))
        return [results[seed] for seed in seeds]

    def _require_weights(self) -> None:
        """Raises EmbodiedError where this machine has another policy of that name."""
        if not self.weights:
            return
        found = find_policy(self.runner.policy).weights_hash
        if found != self.weights:
            raise EmbodiedError(
                f"the policy {self.runner.policy} has other weights on the machine "
                f"{platform.node()}, or by now: copy the run there, or use a shared folder"
            )

    def _alone(self, seed: int) -> EpisodeResult:
        """Runs one episode; where the policy raises, its result says so."""
        runner = replace(self.runner, num_envs=1)
        try:
            return runner.run([seed])[0]
        except (EmbodiedError, OSError, MemoryError):
            raise
        except Exception as error:
            return lost_episode(seed, in_one_line(error))


def lost_episode(seed: int, error: str) -> EpisodeResult:
    """Returns the result of an episode in which the policy raised an error."""
    return EpisodeResult(
        # nothing of what was done until then counts
        index=0,
        seed=seed,
        instruction="",
        success_once=False,
        success_at_end=False,
        progress_max=0.0,
        progress_end=0.0,
        time_to_success_s=None,
        duration_s=0.0,
        fault=POLICY_RAISED,
        reward_sum=0.0,
        ended=FAULT,
        error=error,
    )


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


def evaluate(
    path: Path,
    provenance: Provenance,
    trials: Sequence[Trial],
    workers: Executor,
    stage: Stage,
    rules: Sequence[StoppingRule | None] = (),
) -> Results:
    """Measures the cells, or the episodes of cells, that are not in the file at `path`.

    The file is whole at any moment. It gets each cell at once, and the episodes of an
    unfinished one now and then and when something stops the work.

    Args:
        path: of the results file.
        provenance: where the results come from.
        trials: the cells.
        workers: shares out the work.
        stage: shows the progress.
        rules: for each trial, what may stop it before all its episodes are run; () for
            none at all.

    Raises:
        ResultsError: the file holds results of something else, or a cell of the same
            condition over other seeds.
        EmbodiedError: a trial cannot be run, or processes died again and again.
        KeyboardInterrupt: says how many episodes of the running cell are kept.
    """
    # all trials are checked before the first is run, which may take hours
    results = resume_results(path, provenance)
    for trial in trials:
        results.require_extensible(trial.condition)

    rules = rules or [None] * len(trials)
    for trial, rule in zip(trials, rules, strict=True):
        results = results.without_outdated(trial.condition)
        if results.find(trial.condition) is None:
            keeper = EpisodeKeeper(path, results, trial.condition)
            cell = measure(trial, workers, stage, keeper, rule)
            # A rule may have stopped the cell before, so that the file holds it with
            # fewer episodes than the trial's. It stops at as many now, or at fewer.
            if not results.covers(cell.condition):
                results = results.with_cell(cell)
            write_results(path, results)
    return results


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
        workers: shares out the work.
        stage: shows the progress.
        keeper: knows the episodes that need not be run, and keeps the others; None for
            none.
        rule: what may stop it before all episodes are run; None for nothing. It is asked
            after every LOOK episodes, in the order of the seeds, so that the number of
            processes changes no result.

    Raises:
        EmbodiedError: the policy raised in every episode, or what `Executor.run` raises.
    """
    # only what is not yet known is run
    condition = trial.condition
    kept = UnfinishedCell(condition, 0.0) if keeper is None else keeper.cell
    known = {episode.seed: episode for episode in kept.episodes}
    missing = [seed for seed in condition.seeds if seed not in known]

    start_s = time.monotonic()
    try:
        with stage(trial.title, len(missing)) as report:

            def on_episode(episode: EpisodeResult) -> None:
                report(episode)
                # one whose policy raised is tried again when the work is resumed
                if keeper is not None and not episode.error:
                    keeper.add(episode)

            def run(seeds: Sequence[int]) -> None:
                new = [seed for seed in seeds if seed not in known]
                playing = Playing(trial.runner, condition.weights)
                at_once = trial.runner.num_envs
                for episode in workers.run(playing, new, on_episode, at_once):
                    known[episode.seed] = episode

            count = _run_as_needed(run, known, trial, workers.count, rule)
    except BaseException as stop:  # Ctrl-C as well: whatever stops it, nothing is lost
        if keeper is None:
            raise
        keeper.keep()
        if isinstance(stop, KeyboardInterrupt):
            raise KeyboardInterrupt(_kept_words(trial, keeper.cell)) from None
        raise

    wall_s = kept.wall_s + time.monotonic() - start_s
    cell = _cell_of(trial, known, count, wall_s)
    return replace(cell, rule=rule.words) if rule is not None else cell


def _cell_of(
    trial: Trial, known: Mapping[int, EpisodeResult], count: int, wall_s: float
) -> Cell:
    """Returns the cell of the first `count` episodes of a trial.

    Raises:
        EmbodiedError: the policy raised in every one of them.
    """
    # an episode's index was its place in the part of one process: now it is the cell's
    seeds = trial.condition.seeds[:count]
    ordered = tuple(replace(known[seed], index=k) for k, seed in enumerate(seeds))
    if all(episode.error for episode in ordered):
        raise EmbodiedError(
            f"the policy {trial.label} raised in each of {count} episodes, first: "
            f"{ordered[0].error}"
        )
    return Cell(
        condition=replace(trial.condition, num_episodes=count),
        label=trial.label,
        wall_s=wall_s,
        episodes=ordered,
        view=trial.view,
        abilities=trial.abilities,
    )


def _run_as_needed(
    run: Callable[[Sequence[int]], None],
    known: Mapping[int, EpisodeResult],
    trial: Trial,
    processes: int,
    rule: StoppingRule | None,
) -> int:
    """Runs the episodes of a trial, or as many as a rule needs; returns how many.

    Args:
        run: runs the episodes of these seeds.
        known: seed -> the episodes that have been run.
        trial: the cell.
        processes: how many share the work.
        rule: what may stop it; None for nothing.
    """
    seeds = trial.condition.seeds
    if rule is None:
        run(seeds)
        return len(seeds)

    # A block keeps all processes busy, and is a multiple of LOOK. Its episodes after
    # the one where the rule is met are dropped.
    busy = processes * trial.runner.num_envs
    block = -(-busy // LOOK) * LOOK
    for start in range(0, len(seeds), block):
        run(seeds[start : start + block])
        for count in range(start + LOOK, min(start + block, len(seeds)) + 1, LOOK):
            if rule.is_met([known[seed] for seed in seeds[:count]]):
                return count
    return len(seeds)


def _kept_words(trial: Trial, cell: UnfinishedCell) -> str:
    """Returns what a user who stopped the work reads about what is in the file."""
    count = len(cell.episodes)
    return (
        f"Kept: the cells that were finished, and {count} of "
        f"{trial.condition.num_episodes} episodes of {trial.title}"
    )


def film(
    trial: Trial, seeds: Sequence[int], shot: Shot, workers: Executor, stage: Stage
) -> list[Clip]:
    """Runs episodes of a cell once more and films them; their outcome is the same."""
    with stage(f"film {trial.title}", len(seeds)) as report:
        return workers.run(Filming(trial.runner, shot), seeds, report)
