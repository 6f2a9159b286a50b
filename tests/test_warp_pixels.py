"""Environments of the engine `warp` that show pixels, on Warp's CPU device: in tensors,
in numpy arrays and for SB3.
"""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.wrappers.vector import ArrayConversion
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import VecMonitor

from embodied.core import PHYSICS_HZ
from embodied.envs.infos import RESET_KEYS, STEP_KEYS
from embodied.envs.sb3 import SB3VecEnv, flat
from embodied.envs.warp.vector_env import WarpVectorEnv
from embodied.envs.warp.worlds import WarpWorlds
from tests.ground import TOTE_TRANSFER, env_config, image_distance

pytestmark = pytest.mark.slow

ON_CPU = {"engine": "warp", "device": "cpu"}


def warp_env(num_envs: int = 2, **settings: Any) -> WarpVectorEnv:
    options = {"obs": "pixels", "image_size": 32, "level": "L1", **ON_CPU, **settings}
    env: Any = gymnasium.make_vec(
        f"embodied/{TOTE_TRANSFER}-v0", num_envs=num_envs, **options
    )
    return env


def still(env: WarpVectorEnv) -> torch.Tensor:
    return torch.zeros(env.action_space.shape or ())


@pytest.mark.parametrize("obs", ["pixels", "both"])
def test_spaces_and_observations_are_the_cpus(obs: str) -> None:
    settings: dict[str, Any] = {
        "obs": obs,
        "cameras": ("wrist", "overview"),
        "camera_hz": 8,
    }
    env = warp_env(**settings)
    on_cpu = gymnasium.make_vec(
        f"embodied/{TOTE_TRANSFER}-v0",
        num_envs=2,
        image_size=32,
        level="L1",
        **settings,
    )
    assert env.observation_space == on_cpu.observation_space

    # The first seed's start is the same on both engines.
    observation = env.reset()[0]
    (expected, _) = on_cpu.reset(seed=0)
    for _ in range(6):
        assert list(flat(observation)) == list(flat(expected))

        in_numpy = {name: part.numpy() for name, part in flat(observation).items()}
        for name, part in flat(expected).items():
            assert (in_numpy[name].shape, in_numpy[name].dtype) == (
                part.shape,
                part.dtype,
            )

        np.testing.assert_allclose(
            observation["pixels_age"], expected["pixels_age"], atol=1e-6
        )
        assert (
            image_distance(in_numpy["pixels/overview"], expected["pixels"]["overview"])
            < 2
        )

        observation = env.step(still(env))[0]
        (expected, *_) = on_cpu.step(np.zeros(on_cpu.action_space.shape or ()))
    env.close()
    on_cpu.close()


def test_frames_wait_until_they_are_due_in_each_world() -> None:
    env = warp_env(camera_hz=8)
    env.reset()
    ages = []
    frames = []

    for step in range(9):
        actions = torch.full_like(still(env), 0.5)
        actions[1, 0] = torch.nan if step == 3 else 0.5  # world 1 begins anew
        shown, *_, info = env.step(actions)
        ages.append(
            [round(float(age) * PHYSICS_HZ) for age in shown["pixels_age"][:, 0]]
        )
        frames.append(shown["pixels"]["overview"])
        if step == 3:
            assert info["_final_obs"].tolist() == [False, True]
            assert info["final_obs"]["pixels_age"][1] > 0

    # frames are due at 0, 50, 100, 150 ticks
    assert [row[0] for row in ages] == [20, 40, 0, 20, 0, 20, 40, 0, 20]
    assert [row[1] for row in ages] == [20, 40, 0, 0, 20, 40, 0, 20, 0]

    # a frame changes when it is new, and only then
    for before, after, age in zip(frames, frames[1:], ages[1:], strict=False):
        assert [bool((before[w] != after[w]).any()) for w in range(2)] == [
            age[w] == 0 for w in range(2)
        ]
    env.close()


def test_an_episode_ends_with_its_last_frame_and_begins_with_its_starts() -> None:
    """In the one step: what is shown of the next start is what its cameras see."""
    env = warp_env(3, horizon_s=0.2)
    first = env.reset()[0]["pixels"]["overview"]
    for _ in range(3):
        env.step(torch.full_like(still(env), 0.5))
    observation, *_, truncated, info = env.step(torch.full_like(still(env), 0.5))
    assert truncated.all()

    last = info["final_obs"]["pixels"]["overview"]
    again = observation["pixels"]["overview"]
    # As many starts as worlds: each world has its own start again.
    assert torch.equal(again, first)
    assert (last != again).flatten(1).any(1).all()

    # What a fresh picture of the worlds shows now.
    feed = env.worlds.feed
    assert feed is not None
    feed.cameras.render()
    assert torch.equal(feed.cameras.rgb("overview"), again)
    env.close()


def test_starts_are_all_known_where_there_are_fewer_worlds() -> None:
    worlds = WarpWorlds(
        env_config(obs="pixels", image_size=32, level="L3", **ON_CPU), 2, 5, "cpu"
    )
    worlds.reset()
    assert worlds.start_index.tolist() == [0, 1]

    feed = worlds.feed
    assert feed is not None
    # Every start's first picture was rendered in advance; it differs from a fresh one
    # by the sensor's noise alone.
    for start in range(5):
        worlds.start_index[...] = start
        worlds.reset()
        feed.cameras.render()
        sigma = float(feed._sigma_of_start[start])
        newest = feed.newest()["overview"].numpy()
        fresh = feed.cameras.rgb("overview").numpy()
        distance = image_distance(newest, fresh)
        assert abs(distance - 0.8 * sigma) < 0.3


def test_noise_has_its_size_and_repeats_with_the_start() -> None:
    frames = []
    for sigma in (0.0, 5.0, 5.0):
        env = warp_env(factors={"pixel_noise": sigma})
        first = env.reset()[0]["pixels"]["overview"]
        frames.append(
            (
                first.numpy().astype(int),
                env.step(still(env))[0]["pixels"]["overview"].numpy().astype(int),
            )
        )
        env.close()

    clean, noisy, again = frames
    assert (noisy[0] == again[0]).all()
    assert (noisy[1] == again[1]).all()

    # clipped pixels would look quieter
    unclipped = (clean[0] > 20) & (clean[0] < 235)
    difference = (noisy[0] - clean[0])[unclipped]
    assert abs(difference.mean()) < 0.3
    assert 4.5 < difference.std() < 5.5
    assert 6 < (noisy[0] - noisy[1])[unclipped].std() < 8  # another draw in each frame
    assert (
        np.abs(
            np.corrcoef(
                noisy[0][0].ravel() - clean[0][0].ravel(),
                noisy[0][1].ravel() - clean[0][1].ravel(),
            )[0, 1]
        )
        < 0.1
    )


def test_gymnasiums_conversion_gives_numpy_arrays() -> None:
    env = ArrayConversion(warp_env(obs="both"), env_xp=torch, target_xp=np)
    shown, _ = env.reset(seed=0)
    shown, *judged, info = env.step(np.zeros(env.action_space.shape or (), np.float32))
    parts = {**flat(shown), **flat(info["final_obs"]), "is_success": info["is_success"]}
    assert {type(part) for part in (*parts.values(), *judged)} == {np.ndarray}
    assert shown["pixels"]["overview"].dtype == np.uint8
    env.close()


def test_stable_baselines_takes_it_and_learns() -> None:
    env = SB3VecEnv(warp_env(obs="both", horizon_s=0.4, image_size=40))
    env.reset()
    assert env.get_attr("task_description", [1]) == [env.env.worlds.instructions[1]]

    actions = np.zeros(env.env.action_space.shape, np.float32)
    for _ in range(7):
        _, _, done, infos = env.step(actions)
        assert not done.any()
        assert infos[0].keys() == {*RESET_KEYS, *STEP_KEYS, "TimeLimit.truncated"}

    # world 0 breaks in the step in which world 1 is truncated
    actions[0, 0] = np.nan
    shown, reward, done, infos = env.step(actions)
    assert reward.dtype == np.float32
    assert done.tolist() == [True, True]
    assert [info["fault"] for info in infos] == ["action_not_finite", ""]
    assert [info["TimeLimit.truncated"] for info in infos] == [False, True]

    assert all(
        env.observation_space.contains(info["terminal_observation"]) for info in infos
    )
    assert all(part[0] in env.observation_space[name] for name, part in shown.items())

    monitored = VecMonitor(env)
    model = PPO(
        "MultiInputPolicy",
        monitored,
        n_steps=16,
        batch_size=16,
        n_epochs=1,
        device="cpu",
    )
    model.learn(32)
    assert len(model.ep_success_buffer) == 4
    env.close()
