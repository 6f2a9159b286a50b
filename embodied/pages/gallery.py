"""Films the expert in every task with each of its robots, for the gallery."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from embodied.core import PHYSICS_HZ, Observation
from embodied.envs.registry import get_task
from embodied.envs.worlds import Worlds
from embodied.names import TEAM_SIGN
from embodied.policies.episodes import EpisodeRunner, env_config_for
from embodied.policies.registry import find_policy
from embodied.rollout.film import Clip, Film, Shot
from embodied.rollout.rollout import EpisodeResult, Step
from embodied.rollout.shards import Report

FILM_SIZE = (480, 640)  # (H, W)
FILM_FPS = 10  # frames per second of simulated time
CANDIDATES = 6  # episodes from which a successful one is chosen
MOMENT_PROGRESS = 0.6  # progress at which most of the work has begun


@dataclass(frozen=True)
class FilmPlan:
    """The content of one film."""

    task: str
    robot: str
    level: str
    first_seed: int

    @property
    def name(self) -> str:
        # a description's path is shortened to the name of its file
        members = [Path(member).stem for member in self.robot.split(TEAM_SIGN)]
        return f"{self.task}_{TEAM_SIGN.join(members)}"


@dataclass(frozen=True)
class Take:
    """A filmed episode, and the index of its frame for the contact sheet."""

    plan: FilmPlan
    clip: Clip
    moment: int


@dataclass
class ProgressTrace:
    """A rollout hook that keeps world 0's progress at each frame of a film."""

    fps: int
    values: list[float] = field(default_factory=list)

    def on_start(
        self,
        worlds: Worlds,
        ids: np.ndarray,
        indices: np.ndarray,
        observation: Observation,
    ) -> None:
        """Begins the trace with the first frame, which shows no progress yet."""
        self.values = [0.0]

    def on_step(self, worlds: Worlds, step: Step) -> None:
        # frame k is due k / fps seconds after the start; all frames that became due in this
        # step get the current progress
        tick = int(step.before.tick[0]) + worlds.ticks_per_step
        num_missing = tick * self.fps // PHYSICS_HZ + 1 - len(self.values)
        self.values.extend([float(step.result.progress[0])] * num_missing)

    def on_end(self, worlds: Worlds, world: int, result: EpisodeResult) -> None:
        """Does nothing: there is one episode."""

    @property
    def moment(self) -> int:
        """The index of the first frame with at least MOMENT_PROGRESS.

        If the episode never gets so far, the index of the frame with the highest progress.
        """
        values = np.array(self.values)
        has_begun = values >= MOMENT_PROGRESS
        return int(np.argmax(has_begun if has_begun.any() else values))


@dataclass(frozen=True)
class FilmWork:
    """The work of one process: films some of the plans, and reports each take.

    `Workers` distributes seeds; here the "seeds" are indices of the plans.
    """

    plans: tuple[FilmPlan, ...]

    def __call__(self, seeds: Sequence[int], report: Report) -> Sequence[None]:
        """Films the plans whose indices are passed as `seeds`."""
        for k in seeds:
            report(film(self.plans[k]))
        return ()


def film(plan: FilmPlan) -> Take:
    """Films candidates until one succeeds.

    If none succeeds, returns the first one with the highest progress.
    """
    best = _film_episode(plan, plan.first_seed)
    for seed in range(plan.first_seed + 1, plan.first_seed + CANDIDATES):
        if best.clip.result.success_at_end:
            break
        take = _film_episode(plan, seed)
        if _quality(take) > _quality(best):
            best = take
    return best


def _quality(take: Take) -> tuple[bool, float]:
    """Returns a key that is greater for better episodes."""
    result = take.clip.result
    return result.success_at_end, result.progress_max


def _film_episode(plan: FilmPlan, seed: int) -> Take:
    """Films the episode with this seed."""
    spec = find_policy("expert").spec(plan.task, plan.robot)
    config = env_config_for(
        spec, plan.task, plan.level, split="train", robot=plan.robot
    )
    shot = Shot(get_task(plan.task).beauty_camera, plan.name, FILM_SIZE, FILM_FPS)
    film_hook = Film(shot, [0])
    trace = ProgressTrace(FILM_FPS)
    EpisodeRunner("expert", config, num_envs=1).run([seed], [film_hook, trace])
    return Take(plan, film_hook.clips[0], trace.moment)
