"""Film of what was measured: the first episodes that ended well beside the first that
did not.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, zip_longest

from embodied.benchmark.evaluation import Trial, film
from embodied.benchmark.report import Exhibit
from embodied.benchmark.results import Condition, Results
from embodied.benchmark.timing import CONSTANT
from embodied.benchmark.views import place_of, scenes, seeds_to_film
from embodied.envs.registry import get_task
from embodied.rollout.film import Shot
from embodied.rollout.grid import grid_video
from embodied.rollout.shards import Stage, Workers

FPS = 10  # of simulated time; rendering is most of the work


def gentlest(results: Results, trials: Sequence[Trial]) -> list[Trial]:
    """The trial of each policy at each level that had the smallest delay."""
    chosen = [cell.condition for scene in scenes(results) for cell in scene.cells]
    return [trial for trial in trials if trial.condition in chosen]


def footage(
    results: Results,
    trials: Sequence[Trial],
    count: int,
    workers: Workers,
    stage: Stage,
) -> list[Exhibit]:
    """A video of each trial: up to `count` successes on the left, and as many failures
    on the right.
    """
    filmed = [trial.condition for trial in trials]
    unseen = [cell.condition for cell in results.cells if cell.condition not in filmed]
    return (
        [_exhibit(results, trial, count, unseen, workers, stage) for trial in trials]
        if count
        else []
    )


def _exhibit(
    results: Results,
    trial: Trial,
    count: int,
    unseen: Sequence[Condition],
    workers: Workers,
    stage: Stage,
) -> Exhibit:
    cell = results.find(trial.condition)
    assert cell is not None
    good, bad = (seeds_to_film(cell, succeeded, count) for succeeded in (True, False))
    shot = Shot(get_task(trial.player.config.task).beauty_camera, trial.label, fps=FPS)
    clips = film(trial, [*good, *bad], shot, workers, stage)
    pairs = zip_longest(clips[: len(good)], clips[len(good) :])
    beside = [clip for clip in chain.from_iterable(pairs) if clip is not None]
    caption = (
        f"{_shown(trial.condition, unseen)} {_caption(good, bad, len(cell.episodes))}"
    )
    return Exhibit(trial.title, caption.lstrip(), grid_video(beside))


def _shown(what: Condition, unseen: Sequence[Condition]) -> str:
    """Returns under which of its conditions a policy that plans is shown."""
    if what.planner_hz is None:
        return ""

    others = set()
    for condition in unseen:
        if condition.policy == what.policy and place_of(condition) == place_of(what):
            others.add(condition.delay_ms)
    others.discard(what.delay_ms)

    text = f"Plans are {what.delay_ms:g} ms late"
    if what.latency != CONSTANT:
        text += f" ({what.latency})"
    if what.drop_rate:
        text += f", {what.drop_rate:.0%} of them lost"
    if what.freeze:
        text += f", the planner frozen for {what.freeze}"
    if others:
        delays = ", ".join(f"{ms:g}" for ms in sorted(others))
        text += f"; measured but not filmed: {delays} ms"
    return f"{text}."


def _caption(good: Sequence[int], bad: Sequence[int], episodes: int) -> str:
    """Which seeds are shown, and why these."""
    parts = [
        f"{what} {', '.join(map(str, seeds))}"
        for what, seeds in (("succeeded", good), ("failed", bad))
        if seeds
    ]
    missing = (
        f" None of {episodes} {'failed' if good else 'succeeded'}."
        if not (good and bad)
        else ""
    )
    return f"The first seeds that {' and that '.join(parts)}.{missing}"
