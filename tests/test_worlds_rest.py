"""Worlds whose episode is over rest until the next one."""

from __future__ import annotations

from contextlib import closing

import numpy as np

from embodied.envs.config import EnvConfig
from embodied.envs.worlds import Worlds
from tests.commands import TASK


def test_worlds_rest_once_their_episode_is_over() -> None:
    """It saves time, and changes nothing in the worlds that go on."""
    config = EnvConfig(TASK, control_mode="joint_delta", control_hz=200, level="L1")
    with closing(Worlds(config, 2)) as worlds:
        worlds.reset(np.arange(2), [0, 1])
        action = np.zeros((2, len(worlds.interface.labels)))
        worlds.step(action)
        before = worlds.physics_state()

        worlds.rest(np.array([0]))
        worlds.step(action)
        after = worlds.physics_state()
        assert (after[0] == before[0]).all()
        assert after[1, 0] > before[1, 0]
        assert worlds.observe().tick.tolist() == [2, 4]

        # a snapshot of a world that goes on, and a reset, wake it
        worlds.restore(worlds.snapshot(1), 0)
        worlds.step(action)
        assert worlds.observe().tick.tolist() == [6, 6]
        assert (worlds.checksum()[0] == worlds.checksum()[1]).all()
        worlds.rest(np.array([0, 1]))
        worlds.step(action)
        worlds.reset(np.array([0]), [5])
        worlds.step(action)
        assert worlds.observe().tick.tolist() == [2, 6]
