"""Films evaluated policies: successes in the left column, failures in the right."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

from embodied.benchmark.evaluation import film
from embodied.benchmark.report import CaptionedVideo
from embodied.benchmark.results import Condition, Results
from embodied.benchmark.timing import CONSTANT
from embodied.benchmark.trials import Trial
from embodied.benchmark.views import Setting, scoreboards, seeds_to_film
from embodied.envs.registry import get_task
from embodied.rollout.executor import Executor
from embodied.rollout.film import Clip, Shot
from embodied.rollout.grid import grid_video
from embodied.rollout.shards import Stage

FPS = 10  # frames per simulated second; few, because rendering takes most of the time


def least_impaired(results: Results, trials: Sequence[Trial]) -> list[Trial]:
    """Returns the trial of each policy and setting with the least impaired plans.

    A setting is level, split and stage, which cells must share to be compared.
    """
    chosen = [cell.condition for board in scoreboards(results) for cell in board.cells]
    return [trial for trial in trials if trial.condition in chosen]


def film_trials(
    results: Results,
    trials: Sequence[Trial],
    count: int,
    workers: Executor,
    stage: Stage,
) -> list[CaptionedVideo]:
    """Films each trial: successes on the left, and up to as many failures on the right.

    Args:
        results: the results, which hold the outcome of each seed.
        trials: the cells to film, all of them in the results.
        count: the most successes, and the most failures, of a video; 0 films nothing.
        workers: runs the episodes.
        stage: shows the progress.
    """
    if not count:
        return []

    # captions also name the delays that were measured but not filmed
    filmed = [trial.condition for trial in trials]
    unfilmed = [
        cell.condition for cell in results.cells if cell.condition not in filmed
    ]
    videos = []
    for trial in trials:
        cell = results.find(trial.condition)
        assert cell is not None

        # the results hold the outcomes, so only the episodes of the video are run
        good_seeds = seeds_to_film(cell, succeeded=True, count=count)
        bad_seeds = seeds_to_film(cell, succeeded=False, count=count)

        camera = get_task(trial.runner.config.task).beauty_camera
        shot = Shot(camera, trial.label, fps=FPS)
        clips = film(trial, [*good_seeds, *bad_seeds], shot, workers, stage)
        good_clips = clips[: len(good_seeds)]
        bad_clips = clips[len(good_seeds) :]

        plans = plans_sentence(trial.condition, unfilmed)
        episodes = seeds_sentence(good_seeds, bad_seeds, len(cell.episodes))
        caption = f"{plans} {episodes}".lstrip()
        video = grid_video(_side_by_side(good_clips, bad_clips))
        videos.append(CaptionedVideo(trial.title, caption, video))
    return videos


def _side_by_side(left: Sequence[Clip], right: Sequence[Clip]) -> list[Clip]:
    """Returns the clips in the row-by-row order of a grid with two columns."""
    ordered = []
    for row in zip_longest(left, right):
        ordered += [clip for clip in row if clip is not None]
    return ordered


def plans_sentence(filmed: Condition, unfilmed: Sequence[Condition]) -> str:
    """Returns a sentence on the delay and impairments of the plans in a film.

    Args:
        filmed: the condition of the film.
        unfilmed: the conditions that were measured but not filmed.

    Returns:
        The sentence; "" if the policy makes no plans.
    """
    if filmed.planner_hz is None:
        return ""

    other_delays_ms = {
        condition.delay_ms
        for condition in unfilmed
        if condition.policy == filmed.policy
        and Setting.of(condition) == Setting.of(filmed)
    }
    other_delays_ms.discard(filmed.delay_ms)

    # the film's own impairments, then the delays that were not filmed
    sentence = f"Plans are {filmed.delay_ms:g} ms late"
    if filmed.latency != CONSTANT:
        sentence += f" ({filmed.latency})"
    if filmed.drop_rate:
        sentence += f", {filmed.drop_rate:.0%} of them lost"
    for impairment in filmed.interruptions_and_remedies:
        sentence += f", {impairment}"
    if other_delays_ms:
        delays = ", ".join(f"{ms:g}" for ms in sorted(other_delays_ms))
        sentence += f"; measured but not filmed: {delays} ms"
    return f"{sentence}."


def seeds_sentence(good: Sequence[int], bad: Sequence[int], episodes: int) -> str:
    """Returns a sentence on how the seeds of a video were chosen.

    Args:
        good: the seeds of episodes that succeeded.
        bad: the seeds of episodes that failed; at least one of the two has seeds.
        episodes: the number of episodes of the cell.
    """
    parts = []
    if good:
        parts.append(f"the first that succeeded ({', '.join(map(str, good))})")
    if bad:
        kinds = ", one of each kind first" if len(bad) > 1 else ""
        parts.append(f"the first that failed ({', '.join(map(str, bad))}{kinds})")
    sentence = f"Seeds: {' and '.join(parts)}."

    if good and bad:
        return sentence
    missing = "failed" if good else "succeeded"
    return f"{sentence} None of {episodes} {missing}."
