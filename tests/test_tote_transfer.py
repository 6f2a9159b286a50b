"""What the task says and does: names, events, success."""

from __future__ import annotations

import numpy as np
import pytest

from embodied.envs.config import EnvConfig
from embodied.envs.tasks.tote_transfer import ToteTransfer
from embodied.envs.tasks.tote_transfer_start import name_of
from embodied.envs.worlds import Worlds

N = 24


@pytest.fixture(scope="module")
def changing() -> Worlds:
    return Worlds(EnvConfig("ToteTransfer", level="L4", num_threads=1), N)


def test_colours_name_one_tote() -> None:
    assert name_of(["red", "blue"], 1) == "blue"
    assert name_of(["red", "red", "blue"], 1) == "second red"
    assert name_of(["red", "blue", "red"], 0) == "first red"


def test_at_l4_one_thing_happens_in_each_episode(changing: Worlds) -> None:
    changing.reset(np.arange(N), list(range(N)))
    drawn = [changing.variation_of(world) for world in range(N)]
    slots = changing.state_layout.slices()
    rest, state = np.zeros((N, 8)), changing.observe().environment_state
    moved = np.zeros(N)  # how far each named tote went across the belt
    start = state[:, slots["tote_pos_w"]][:, 0]
    for _ in range(int(4.2 * 20)):
        changing.step(rest)
        state = changing.observe().environment_state
        moved = np.maximum(moved, np.abs(state[:, slots["tote_pos_w"]][:, 0] - start))
    speed = state[:, slots["belt_speed"]][:, 0]
    pushed = np.array([max(map(abs, row["push_n"])) > 0 for row in drawn])
    changed = np.array([row["belt_speed_after"] != row["belt_speed"] for row in drawn])
    assert (pushed ^ changed).all()
    assert 4 < pushed.sum() < N - 4
    assert np.allclose(speed, [row["belt_speed_after"] for row in drawn])
    across = np.array([abs(row["push_n"][0]) > 0.7 * max(map(abs, row["push_n"])) for row in drawn])
    assert (moved[across & pushed] > 0.01).all()  # where the rails let it
    assert (moved[~pushed] < 0.005).all()


@pytest.mark.parametrize("level", ["L1", "L2", "L3"])
def test_below_l4_nothing_happens(level: str) -> None:
    worlds = Worlds(EnvConfig("ToteTransfer", level=level, num_threads=1), 4)
    worlds.reset(np.arange(4), [1, 2, 3, 4])
    for world in range(4):
        drawn = worlds.variation_of(world)
        assert drawn["belt_speed_after"] == drawn["belt_speed"]
        assert drawn["push_n"] == (0.0, 0.0)


def test_a_tote_put_into_its_slot_is_a_success_once_it_has_stood_there() -> None:
    worlds = Worlds(EnvConfig("ToteTransfer", level="L1", num_threads=1), 2)
    worlds.reset(np.arange(2), [5, 6])
    state, slots = worlds.observe().environment_state, worlds.state_layout.slices()
    task = worlds.task
    assert isinstance(task, ToteTransfer)
    target = int(task.parameters()["tote"][0])
    task._totes.place(0, target, state[0, slots["slot_pos_w"]] + [0, 0, 0.001], yaw=0.0)
    worlds.engine.refresh(np.array([0]))
    results = [worlds.step(np.zeros((2, 8))) for _ in range(20)]
    held = [bool(result.success[0]) for result in results]
    assert not held[5]
    assert held[-1]
    assert held.index(True) in range(9, 13)  # 0.5 s at 20 Hz
    assert results[-1].progress[0] == 1
    assert not any(result.success[1] for result in results)
