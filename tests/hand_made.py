"""A policy that demonstrates as a person does by hand, for `--policy hand_made:HAND`.

It is the expert with other timing: it goes at its own pace, stops to look now and then,
and makes no plans. So its episodes are like those of a person at a gamepad.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from embodied.core import PHYSICS_HZ, Array, Observation, Policy, PolicySpec
from embodied.envs.worlds import Worlds
from embodied.policies.dual_system import DualSystemConfig
from embodied.policies.expert import EXPERT
from embodied.seeding import episode_generator

STREAM = 1001  # of this policy's random numbers
STRETCHES = 64  # of one pace, in an episode
STRETCH_S = (0.6, 2.5)
PACE = (0.45, 1.0)
PAUSE_SHARE = 0.25  # of the stretches
PAUSE_S = (0.3, 1.2)


class HandMade:
    """The expert's actions at a pace that changes, without its plans."""

    def __init__(self, expert: Policy, grippers: Sequence[int]) -> None:
        self.spec = expert.spec
        self._expert = expert
        self._grippers = list(grippers)
        self._ends: dict[int, np.ndarray] = {}  # world -> (STRETCHES,) ticks
        self._paces: dict[int, np.ndarray] = {}

    def reset(self, ids: Array, observation: Observation, seeds: Sequence[int]) -> None:
        self._expert.reset(ids, observation, seeds)
        for world, seed in zip(np.asarray(ids).tolist(), seeds, strict=True):
            rng = episode_generator(seed, STREAM)
            pauses = rng.random(STRETCHES) < PAUSE_SHARE
            lasting_s = np.where(
                pauses,
                rng.uniform(*PAUSE_S, STRETCHES),
                rng.uniform(*STRETCH_S, STRETCHES),
            )
            self._ends[world] = np.cumsum(lasting_s) * PHYSICS_HZ
            self._paces[world] = np.where(pauses, 0.0, rng.uniform(*PACE, STRETCHES))

    def act(self, observation: Observation) -> np.ndarray:
        actions = np.array(self._expert.act(observation))
        grips = actions[:, self._grippers].copy()
        for world, ends in self._ends.items():
            stretch = int(np.searchsorted(ends, observation.tick[world]))
            actions[world] *= self._paces[world][min(stretch, STRETCHES - 1)]
        actions[:, self._grippers] = grips
        return actions


class HandMadeSource:
    """Makes the policy; see `embodied.policies.registry.PolicySource`."""

    planner_hz = None
    weights_hash = ""
    trained_for = None

    def spec(self, task: str, robot: str | None = None) -> PolicySpec:
        return EXPERT.spec(task, robot)

    def make(self, worlds: Worlds, dual: DualSystemConfig | None = None) -> HandMade:
        return HandMade(EXPERT.make(worlds), worlds.interface.gripper_elements)


HAND = HandMadeSource()
