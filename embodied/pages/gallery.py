"""The training ground filmed: every task with each of its robots and its expert."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from embodied.core import PHYSICS_HZ, Observation
from embodied.envs.registry import get_task
from embodied.envs.worlds import Worlds
from embodied.policies.episodes import EpisodeRunner, env_config_for
from embodied.policies.registry import find_policy
from embodied.rollout.film import Clip, Film, Shot
from embodied.rollout.rollout import EpisodeResult, Step
from embodied.rollout.shards import Report

FILM_SIZE = (480, 640)  # (H, W)
FILM_FPS = 10  # of simulated time
CANDIDATES = 6  # episodes among which one that succeeds is looked for
MOMENT_PROGRESS = 0.6  # by which most of the work has begun


@dataclass(frozen=True)
class FilmPlan:
    """What one film shows."""

    task: str
    robot: str
    level: str
    first_seed: int

    @property
    def name(self) -> str:
        return f"{self.task}_{self.robot}"


@dataclass(frozen=True)
class Take:
    """A filmed episode, and the index of the frame in which something happens."""

    plan: FilmPlan
    clip: Clip
    moment: int

    def frame_at(self, share: float) -> np.ndarray:  # (H, W, 3)
        """Returns the frame after a share of the episode, in [0, 1]."""
        return self.clip.frame(round(share * (len(self.clip.frames) - 1)))


@dataclass
class ProgressTrace:
    """A rollout hook that keeps world 0's progress at the frames of a film of `fps`."""

    fps: int
    values: list[float] = field(default_factory=list)

    def on_start(
        self,
        worlds: Worlds,
        ids: np.ndarray,
        indices: np.ndarray,
        observation: Observation,
    ) -> None:
        self.values = [0.0]

    def on_step(self, worlds: Worlds, step: Step) -> None:
        # a film takes frame k at k / fps: the frames due by now get the progress of now
        tick = int(step.before.tick[0]) + worlds.ticks_per_step
        num_missing = tick * self.fps // PHYSICS_HZ + 1 - len(self.values)
        self.values.extend([float(step.result.progress[0])] * num_missing)

    def on_end(self, worlds: Worlds, world: int, result: EpisodeResult) -> None:
        """Does nothing: there is one episode."""

    @property
    def moment(self) -> int:
        """The first frame by which most of the work has begun.

        In an episode that does not get so far, it is the frame of most progress.
        """
        values = np.array(self.values)
        has_begun = values >= MOMENT_PROGRESS
        return int(np.argmax(has_begun if has_begun.any() else values))


@dataclass(frozen=True)
class FilmWork:
    """The work of one process: films some of the plans.

    The plans' indices take the place of the seeds that are shared out among processes.
    """

    plans: tuple[FilmPlan, ...]

    def __call__(self, seeds: Sequence[int], report: Report) -> list[Take]:
        takes = []
        for k in seeds:
            takes.append(film(self.plans[k]))
            report(takes[-1].plan)
        return takes


def film(plan: FilmPlan) -> Take:
    """Films the first candidate that succeeds, else the one of most progress."""
    spec = find_policy("expert").spec(plan.task, plan.robot)
    config = env_config_for(spec, plan.task, plan.level, "train", plan.robot)

    seeds = range(plan.first_seed, plan.first_seed + CANDIDATES)
    candidates = EpisodeRunner("expert", config, num_envs=CANDIDATES).run(seeds)
    # among equals the first, whose index is the smallest
    best = max(
        candidates,
        key=lambda result: (result.success_at_end, result.progress_max, -result.index),
    )

    # it is run once more, with the same outcome, because only one candidate is filmed
    shot = Shot(get_task(plan.task).beauty_camera, plan.name, FILM_SIZE, FILM_FPS)
    film_hook = Film(shot, [0])
    trace = ProgressTrace(FILM_FPS)
    EpisodeRunner("expert", config, num_envs=1).run([best.seed], [film_hook, trace])
    return Take(plan, film_hook.clips[0], trace.moment)
