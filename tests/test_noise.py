"""Disturbed actions: how much, how long, for whom."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from embodied.core import PHYSICS_HZ, Array, Observation, PolicySpec
from embodied.errors import EmbodiedError
from embodied.policies.noise import NoisyPolicy

HZ = 200
SIZE = 3
TICKS = PHYSICS_HZ // HZ


def make_observation(ticks: list[int]) -> Observation:
    """Returns what worlds show at these ticks of their own clocks."""
    num = len(ticks)
    return Observation(
        tick=np.array(ticks),
        agent_pos=np.zeros((num, 0)),
        environment_state=np.zeros((num, 0)),
        instruction=("",) * num,
    )


class Holding:
    """No motion, the gripper held open or closed."""

    def __init__(self, grip: float) -> None:
        self.spec = PolicySpec(control_hz=HZ)
        self._grip = grip

    def reset(self, ids: Array, observation: Observation, seeds: Sequence[int]) -> None:
        """Nothing is remembered."""

    def act(self, observation: Observation) -> np.ndarray:
        action = np.zeros((len(observation.tick), SIZE), np.float32)
        action[:, -1] = self._grip
        return action


def actions(
    seeds: list[int],
    steps: int,
    sigma: float = 0.1,
    grip: float = 1.0,
    restart: tuple[int, int] = (-1, 0),
) -> np.ndarray:
    """Returns the actions of a policy that is shoved.

    Args:
        seeds: of the N episodes.
        steps: how many steps they go on.
        sigma: standard deviation of the shoves.
        grip: what the policy wants of its gripper.
        restart: the step before which an episode begins anew, and its world.

    Returns:
        (steps, N, A).
    """
    policy = NoisyPolicy(Holding(grip), sigma)
    ticks = [0] * len(seeds)
    policy.reset(np.arange(len(seeds)), make_observation(ticks), seeds)

    restart_step, restart_world = restart
    rows = []
    for step in range(steps):
        if step == restart_step:
            ticks[restart_world] = 0
            ids = np.array([restart_world])
            policy.reset(ids, make_observation(ticks), [seeds[restart_world]])

        # The noise is on top of what the policy intends, and leaves the gripper alone.
        rows.append(policy.act(make_observation(ticks)))
        assert (policy.intended == [0, 0, np.float32(grip)]).all()
        ticks = [tick + TICKS for tick in ticks]
    return np.array(rows)


def test_how_much_and_how_often() -> None:
    moved = actions(list(range(30)), 2000)[..., :-1]
    disturbed = moved[moved != 0]
    assert 0.1 < disturbed.size / moved.size < 0.9
    assert disturbed.std() == pytest.approx(0.1, rel=0.15)
    assert abs(disturbed.mean()) < 0.02


def test_what_is_held_is_not_dropped() -> None:
    assert (actions([0, 1, 2], 1000, grip=-1.0)[..., -1] == -1).all()
    opened = actions([0, 1, 2], 1000, grip=1.0)[..., -1]
    assert set(np.unique(opened)) <= {-1.0, 1.0}
    assert (opened == 1).mean() > 0.8


def test_actions_stay_in_bounds() -> None:
    assert np.abs(actions([1, 2], 1000, sigma=1.0)).max() == 1.0


def test_an_episode_depends_on_its_seed_alone() -> None:
    together = actions([5, 6, 7], 600)
    for world, seed in enumerate((5, 6, 7)):
        assert (actions([seed], 600)[:, 0] == together[:, world]).all()
    assert (together[:, 0] != together[:, 1]).any()
    later = actions([5, 6, 7], 900, restart=(300, 1))
    assert (later[300:, 1] == together[:, 1]).all()
    assert (later[:600, [0, 2]] == together[:, [0, 2]]).all()


@pytest.mark.parametrize("sigma", [-0.1, 1.5, float("nan")])
def test_wrong_sigma(sigma: float) -> None:
    with pytest.raises(EmbodiedError, match="from 0 to 1"):
        NoisyPolicy(Holding(1.0), sigma)
