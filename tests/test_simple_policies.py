"""The baselines that learn nothing."""

import numpy as np
import pytest

from embodied.core import Observation
from embodied.policies.simple import HoldPolicy, RandomPolicy


def make_observation(num: int, value: float = 0.0) -> Observation:
    """Returns what `num` worlds show, whose proprioception is `value`."""
    return Observation(
        tick=np.zeros(num, np.int64),
        agent_pos=np.full((num, 3), value),
        environment_state=np.zeros((num, 0)),
        instruction=("",) * num,
    )


def random_actions(
    seeds: list[int], steps: int, reset_after: dict[int, tuple[int, int]] | None = None
) -> np.ndarray:
    """Returns the actions of a random policy.

    Args:
        seeds: of the N episodes.
        steps: how many steps they go on.
        reset_after: after how many steps a world begins anew: step -> (world, seed).

    Returns:
        (steps, N, 4).
    """
    observation = make_observation(len(seeds))
    policy = RandomPolicy(4)
    policy.reset(np.arange(len(seeds)), observation, seeds)

    rows = []
    for step in range(steps):
        if reset_after and step in reset_after:
            world, seed = reset_after[step]
            policy.reset(np.array([world]), observation, [seed])
        rows.append(policy.act(observation))
    return np.array(rows)


def test_random_actions_fill_the_range_and_change_each_step() -> None:
    actions = random_actions([0, 1, 2], 2000)
    assert actions.dtype == np.float32
    assert np.abs(actions).max() <= 1
    assert np.abs(actions.mean(axis=0)).max() < 0.06
    assert actions.std(axis=0) == pytest.approx(np.full((3, 4), 3**-0.5), rel=0.05)
    assert len(np.unique(actions[:, 0, 0])) > 1990


def test_a_random_episode_depends_on_its_seed_alone() -> None:
    alone = random_actions([11], 20)[:, 0]
    among = random_actions([3, 11, 5], 30, reset_after={10: (2, 11), 4: (0, 9)})
    # another place, other worlds reset meanwhile
    np.testing.assert_array_equal(among[:20, 1], alone)
    np.testing.assert_array_equal(among[10:, 2], alone)  # another moment
    assert not np.array_equal(among[:20, 0], alone)


def test_hold_repeats_the_action_of_each_world_s_first_observation() -> None:
    policy = HoldPolicy(lambda observation: observation.agent_pos)
    policy.reset(np.arange(2), make_observation(2, 0.5), [0, 1])
    policy.act(make_observation(2, 0.9))[:] = 7  # the caller's own array
    policy.reset(np.array([1]), make_observation(2, 0.7), [2])
    np.testing.assert_array_equal(
        policy.act(make_observation(2, 0.1)), np.float32([[0.5] * 3, [0.7] * 3])
    )


def test_hold_needs_a_reset() -> None:
    with pytest.raises(ValueError, match="reset the policy"):
        HoldPolicy(lambda observation: observation.agent_pos).act(make_observation(1))
