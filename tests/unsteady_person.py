"""Demonstrations by hand without a hand, as sources for `embodied data generate`.

    python -m tests.unsteady_person DrawerTidy -o hand.hdf5 --episodes 16

The takes go through the teleoperation layer, from a scripted device. It has from the
task's planner where to go and when to grip, as `SeeingPerson`; how it gets there is its
own: it looks seldom, acts late and at a pace that changes, trembles, and stops to look
before it does something else. A take that fails it does again. No person was here.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np

from embodied.cli.teleop import PATIENCE, PERSON, SPEC
from embodied.datasets.schema import RECORD_HZ, Header
from embodied.datasets.writer import EpisodeWriter
from embodied.envs.registry import get_robot, get_task
from embodied.envs.worlds import Worlds
from embodied.policies.episodes import env_config_for
from embodied.policies.expert import EXPERT
from embodied.policies.teleop.device import Command
from embodied.policies.teleop.operator import Operator
from embodied.policies.teleop.takes import Labels, Takes
from embodied.rollout.rollout import EpisodeResult
from embodied.seeding import episode_generator
from tests.teleop_person import GAIN_PER_S, SeeingPerson, shares

STREAM = 1002  # of this person's random numbers
# How often the person looks, and how late the hand does what was decided then.
LOOK_S = (0.12, 0.3)
LAG_S = 0.12
PACE = (0.5, 0.95)  # of the steady one; another at each look
PAUSE_SHARE = 0.4  # of the times at which something else is to be done
PAUSE_S = (0.3, 1.2)
# Trembling: as a share of the commanded speed, and of the top speed.
TREMOR_SHARE = 0.15
TREMOR = 0.015
TREMOR_S = 0.15


class UnsteadyPerson(SeeingPerson):
    """A person who sees late, trembles, and stops to look now and then."""

    name = "unsteady"

    def __init__(self, worlds: Worlds, seed: int = 0) -> None:
        super().__init__(worlds)
        self._rng = episode_generator(seed, STREAM)
        self._has_done_it = False
        self._step_s = 1 / worlds.config.control_hz
        self._forget()

    def _forget(self) -> None:
        """Begins a take."""
        self._seen = Command()  # what the person decided at the last look
        self._skill = -1
        self._next_look_s = 0.0
        self._pause_until_s = 0.0
        self._now_s = 0.0
        self._moves = np.zeros(3)  # what the hand does by now
        self._drives = np.zeros(4)
        self._tremor = np.zeros(3)

    def _decision(self) -> Command:
        """Keeps a take that succeeded, and does another one again."""
        self._is_over = False
        self._forget()
        return Command(events=frozenset({"keep" if self._has_done_it else "discard"}))

    def ended_with(self, result: EpisodeResult) -> None:
        """Is told how a take ended."""
        self._has_done_it = result.success_at_end
        self.ended()

    def _motion(self) -> Command:
        if self._now_s >= self._next_look_s:
            self._look()
        self._now_s += self._step_s

        wanted = np.array(self._seen.move)
        driving = np.array(self._seen.drive)
        if self._now_s < self._pause_until_s:
            wanted *= 0
            driving *= 0
        # the hand follows late, and trembles more when it is fast
        following = self._step_s / LAG_S
        self._moves += following * (wanted - self._moves)
        self._drives += following * (driving - self._drives)
        fading = self._step_s / TREMOR_S
        self._tremor *= 1 - fading
        self._tremor += np.sqrt(2 * fading) * self._rng.standard_normal(3)
        size = TREMOR + TREMOR_SHARE * np.linalg.norm(self._moves)
        moves = self._moves + size * self._tremor * (not driving.any())
        return Command(
            move=shares(moves), drive=shares(self._drives), grip=self._seen.grip
        )

    def _look(self) -> None:
        """Sees what is to be done, and decides."""
        self._reads = 0  # so that the planner is asked
        pace = self._rng.uniform(*PACE)
        self._gain_per_s = pace * GAIN_PER_S
        seen = super()._motion()
        self._seen = replace(seen, move=_at_most(pace, seen.move))
        skill = int(self._plan.subtask[0])
        self._next_look_s = self._now_s + self._rng.uniform(*LOOK_S)
        if skill != self._skill and self._rng.random() < PAUSE_SHARE:
            self._pause_until_s = self._now_s + self._rng.uniform(*PAUSE_S)
        self._skill = skill


class Watching:
    """A screen that tells the person how a take ended."""

    def __init__(self, person: UnsteadyPerson) -> None:
        self._person = person

    def on_start(self, *_: object) -> None:
        """The person looks at the world itself."""

    def on_step(self, *_: object) -> None:
        """The person looks at the world itself."""

    def on_end(self, worlds: Worlds, world: int, result: EpisodeResult) -> None:
        self._person.ended_with(result)

    def ask(self, result: EpisodeResult) -> None:
        """The person has been told already."""


def _at_most(speed: float, move: Sequence[float]) -> tuple[float, ...]:
    """Returns a move, slower where it is faster than a speed."""
    return tuple(np.array(move) * min(1.0, speed / max(np.linalg.norm(move), speed)))


def record(path: Path, task: str, robot: str, level: str, seeds: range) -> list[float]:
    """Records takes, each until it succeeds; returns how long each lasted, in s."""
    config = env_config_for(SPEC, task, level, "train", robot)
    horizon_s = PATIENCE * get_task(task).horizon_for(get_robot(robot))
    with closing(Worlds(replace(config, horizon_s=horizon_s))) as worlds:
        person = UnsteadyPerson(worlds, seeds.start)
        header = Header(worlds.metadata(), PERSON, RECORD_HZ, EXPERT.planner_hz)
        with EpisodeWriter(path, header) as writer:
            takes = Takes(
                worlds,
                Operator(worlds, person),
                person,
                writer,
                Labels("nobody", person.name),
                Watching(person),
            )
            return [result.duration_s for result in takes.record(seeds)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("task")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--episodes", type=int, default=16)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--level", default="L2")
    parser.add_argument("--robot")
    args = parser.parse_args()
    robot = args.robot or get_task(args.task).default_robot
    seeds = range(args.seed, args.seed + args.episodes)
    lasted_s = record(args.output, args.task, robot, args.level, seeds)
    mean_s = np.mean(lasted_s)
    sys.stdout.write(f"{len(lasted_s)} takes of {mean_s:.1f} s in the mean\n")


if __name__ == "__main__":
    main()
