"""Policies that use neither plans nor observations: the baselines `random` and `hold`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing

import numpy as np

from embodied.core import ActionInterface, Array, Observation, Policy, PolicySpec
from embodied.envs.config import EnvConfig
from embodied.envs.worlds import Worlds
from embodied.policies.dual_system import DualSystemConfig
from embodied.policies.limits import HoldAction
from embodied.seeding import Stream, episode_generator


class RandomPolicy:
    """Samples uniform actions in [-1, 1] at each step.

    The actions of an episode depend on its seed only.
    """

    def __init__(self, action_size: int, spec: PolicySpec | None = None) -> None:
        self.spec = spec or PolicySpec()
        self._action_size = action_size
        self._generators: dict[int, np.random.Generator] = {}  # by world

    def reset(self, ids: Array, observation: Observation, seeds: Sequence[int]) -> None:
        for world, seed in zip(ids, seeds, strict=True):
            generator = episode_generator(seed, Stream.RANDOM_POLICY)
            self._generators[int(world)] = generator

    def act(self, observation: Observation) -> np.ndarray:
        worlds = range(len(observation.tick))
        rows = [self._generators[i].uniform(-1, 1, self._action_size) for i in worlds]
        return np.array(rows, np.float32)


class HoldPolicy:
    """Stays where the episode began, in any control mode.

    Args:
        hold_action: returns the actions that keep the robot where it is. It is called
            with the first observation of an episode; its result is repeated to the end.
        spec: the policy's requirements on the worlds.
    """

    def __init__(self, hold_action: HoldAction, spec: PolicySpec | None = None) -> None:
        self.spec = spec or PolicySpec()
        self._hold_action = hold_action
        self._action: np.ndarray | None = None  # (N, A)

    def reset(self, ids: Array, observation: Observation, seeds: Sequence[int]) -> None:
        # `hold_action` takes all worlds; only worlds that begin an episode are updated
        action = np.array(self._hold_action(observation), np.float32)
        if self._action is None or self._action.shape != action.shape:
            self._action = action
        self._action[ids] = action[ids]

    def act(self, observation: Observation) -> np.ndarray:
        if self._action is None:
            raise ValueError("reset the policy before its first act")
        return self._action.copy()


class Baseline:
    """The source of a policy that fits any task.

    Args:
        make_policy: a function that makes the policy for worlds with an action interface.
    """

    planner_hz = None
    weights_hash = ""
    trained_for = None

    def __init__(self, make_policy: Callable[[ActionInterface], Policy]) -> None:
        self._make_policy = make_policy

    def spec(self, task: str, robot: str | None = None) -> PolicySpec:
        # Making worlds raises an error for a task or robot that does not exist.
        with closing(Worlds(EnvConfig(task, robot=robot))):
            return PolicySpec()

    def make(self, worlds: Worlds, dual: DualSystemConfig | None = None) -> Policy:
        return self._make_policy(worlds.interface)


def random_policy(interface: ActionInterface) -> RandomPolicy:
    """Returns a policy of uniform actions in [-1, 1]."""
    return RandomPolicy(len(interface.low))


def hold_policy(interface: ActionInterface) -> HoldPolicy:
    """Returns a policy without motion, with open grippers.

    It suits control modes of velocities and deltas, in which 0 means no motion.
    """

    def no_motion(observation: Observation) -> np.ndarray:
        action = np.zeros((len(observation.tick), len(interface.low)), np.float32)
        action[:, list(interface.gripper_elements)] = 1  # open
        return action

    return HoldPolicy(no_motion)


RANDOM = Baseline(random_policy)
HOLD = Baseline(hold_policy)
