"""Policies that know nothing: baselines, and something to try worlds with."""

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
    """Takes uniform actions in [-1, 1], new ones at each step.

    The actions of an episode depend on its seed alone.
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
        hold_action: the actions that keep the body where an observation shows it. Those
            of an episode's first observation are repeated till its end.
        spec: what it needs of the worlds.
    """

    def __init__(self, hold_action: HoldAction, spec: PolicySpec | None = None) -> None:
        self.spec = spec or PolicySpec()
        self._hold_action = hold_action
        self._action: np.ndarray | None = None  # (N, A)

    def reset(self, ids: Array, observation: Observation, seeds: Sequence[int]) -> None:
        action = np.array(self._hold_action(observation), np.float32)
        if self._action is None or self._action.shape != action.shape:
            self._action = action
        self._action[ids] = action[ids]

    def act(self, observation: Observation) -> np.ndarray:
        if self._action is None:
            raise ValueError("reset the policy before its first act")
        return self._action.copy()


class Baseline:
    """The source of a policy that neither plans nor looks: it acts in any task.

    Args:
        policy_of: makes the policy from the number of action elements.
    """

    planner_hz = None
    weights_hash = ""
    trained_for = None

    def __init__(self, policy_of: Callable[[ActionInterface], Policy]) -> None:
        self._policy_of = policy_of

    def spec(self, task: str, robot: str | None = None) -> PolicySpec:
        # Worlds raise for a task or robot that does not exist.
        with closing(Worlds(EnvConfig(task, robot=robot))):
            return PolicySpec()

    def make(self, worlds: Worlds, dual: DualSystemConfig | None = None) -> Policy:
        return self._policy_of(worlds.interface)


def random_actions(interface: ActionInterface) -> RandomPolicy:
    """Returns a policy of uniform actions."""
    return RandomPolicy(len(interface.low))


def stand_still(interface: ActionInterface) -> HoldPolicy:
    """Returns a policy for modes that command changes: no motion, open grippers."""

    def at_rest(observation: Observation) -> np.ndarray:
        action = np.zeros((len(observation.tick), len(interface.low)), np.float32)
        action[:, list(interface.gripper_elements)] = 1
        return action

    return HoldPolicy(at_rest)


RANDOM = Baseline(random_actions)
HOLD = Baseline(stand_still)
