"""Snapshots of worlds on the engine `warp`, on Warp's CPU device."""

from __future__ import annotations

import copy
import pickle  # noqa: TID251  (as users do with environments)
from typing import Any

import gymnasium
import pytest
import torch

from embodied.envs.config import EnvConfig
from embodied.envs.warp.numpy_env import NumpyVectorEnv
from embodied.envs.warp.vector_env import WarpVectorEnv
from embodied.envs.warp.worlds import WarpWorlds
from embodied.envs.worlds import Worlds
from embodied.errors import EmbodiedError
from tests.ground import TOTE_TRANSFER, env_config

pytestmark = pytest.mark.slow  # kernels compile for a minute, once

SETTINGS: dict[str, Any] = {
    "engine": "warp",
    "device": "cpu",
    "level": "L4",
    "control_mode": "ee_delta",
    "horizon_s": 0.6,  # so that episodes end, and others follow
    "goal_progress": 1e-30,
}
CAMERAS = {
    "obs": "both",
    "image_size": 16,
    "camera_hz": 7,
    "factors": {"pixel_noise": 5.0},
}


def made(num: int = 3, task: str = TOTE_TRANSFER, **more: Any) -> WarpVectorEnv:
    arguments = {**SETTINGS, **more}
    env = gymnasium.make_vec(f"embodied/{task}-v0", num_envs=num, **arguments)
    assert isinstance(env, WarpVectorEnv)
    return env


def bits_of(given: Any, world: int) -> list[bytes]:
    """All bits of one world in nested tensors (N, ...)."""
    if isinstance(given, torch.Tensor):
        return [given[world].numpy().tobytes()]
    parts = given.values() if isinstance(given, dict) else given
    return [bits for part in parts for bits in bits_of(part, world)]


def actions_for(env: WarpVectorEnv, steps: int) -> torch.Tensor:
    """(steps, N, A)"""
    generator = torch.Generator().manual_seed(1)
    shape = (steps, *env.action_space.shape)
    return torch.rand(shape, generator=generator) * 2 - 1


def future(
    env: WarpVectorEnv, world: int, source: int, actions: torch.Tensor
) -> list[list[bytes]]:
    """What a world gets for the actions (steps, N, A) of `source`."""
    rows = []
    for action in actions:
        own = action.clone()
        own[world] = action[source]
        rows.append(bits_of(env.step(own), world))
    return rows


@pytest.mark.parametrize(
    ("task", "more"),
    [
        (TOTE_TRANSFER, CAMERAS),
        ("DrawerTidy", {"robot": "wheeled_arm", "control_mode": "joint_delta"}),
    ],
)
def test_a_world_continues_from_a_snapshot_anywhere(
    task: str, more: dict[str, Any]
) -> None:
    """With its next episode: in its place, in another, and in a new environment."""
    env = made(task=task, **more)
    env.reset(seed=1)
    actions = actions_for(env, 24)
    for action in actions[:8]:
        env.step(action)
    snapshot = env.snapshot(2)
    coming = actions[8:]
    expected = future(env, 2, 2, coming)

    shown = bits_of(env.restore(snapshot, 2), 2)
    assert future(env, 2, 2, coming) == expected
    env.restore(snapshot, 0)
    assert future(env, 0, 2, coming) == expected

    new = made(task=task, **more)  # without a reset of its own
    assert bits_of(new.restore(pickle.loads(pickle.dumps(snapshot)), 1), 1) == shown
    assert future(new, 1, 2, coming) == expected


def test_neighbours_do_not_notice_and_one_row_is_enough_for_all() -> None:
    env, alone = (made() for _ in range(2))
    for one in (env, alone):
        one.reset(seed=0)
    actions = actions_for(env, 12)
    for step, action in enumerate(actions):
        if step == 5:
            env.restore(env.snapshot(0), 1)
        given = env.step(action)
        expected = alone.step(action)
        for world in (0, 2):
            assert bits_of(given, world) == bits_of(expected, world)

    observation = env.restore(env.snapshot(1))
    assert bits_of(observation, 0) == bits_of(observation, 2)


def test_a_copy_of_an_environment_does_what_it_does() -> None:
    env = NumpyVectorEnv(made())
    env.reset(seed=2)
    actions = actions_for(env.env, 16).numpy()
    env.step(actions[0])
    twins = [copy.deepcopy(env), pickle.loads(pickle.dumps(env))]
    for action in actions[1:]:
        expected = env.step(action)
        for twin in twins:
            given = twin.step(action)
            for key in ("agent_pos", "environment_state"):
                assert given[0][key].tobytes() == expected[0][key].tobytes()
            assert given[1].tobytes() == expected[1].tobytes()
            assert twin.task_description == env.task_description


def test_snapshots_of_other_starts_and_engines_are_refused() -> None:
    config = EnvConfig(task=TOTE_TRANSFER)
    worlds = WarpWorlds(config, 2, 2, "cpu")
    worlds.reset()
    others = WarpWorlds(config, 2, 2, "cpu", seed=5)
    with pytest.raises(EmbodiedError, match="of starts_hash"):
        others.restore(worlds.snapshot())
    with pytest.raises(
        EmbodiedError, match="of engine 'cpu', these worlds are of 'warp'"
    ):
        worlds.restore(Worlds(env_config(), 2).snapshot())
    with pytest.raises(EmbodiedError, match="from 0 to 1"):
        worlds.snapshot(2)

    env = made(2)
    with pytest.raises(EmbodiedError, match="no episode has begun"):
        env.snapshot()
    env.close()
    with pytest.raises(EmbodiedError, match="closed"):
        env.restore(worlds.snapshot())
