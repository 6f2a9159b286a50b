"""Stable-Baselines3 takes the batch of worlds for one of its own vector environments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import DummyVecEnv, VecMonitor

from embodied.envs.env import GroundEnv
from embodied.envs.sb3 import SB3VecEnv, flat
from embodied.envs.warp.vector_env import WarpVectorEnv
from embodied.errors import EmbodiedError
from tests.commands import run_python
from tests.ground import env_config, idle_action, random_actions, shorten_horizon

ID = "embodied/ToteTransfer-v0"


def make(num_envs: int = 2, **settings: Any) -> SB3VecEnv:
    return SB3VecEnv(
        gymnasium.make_vec(ID, num_envs=num_envs, **{"num_threads": 1, **settings})
    )


def single(**settings: Any) -> Callable[[], GroundEnv]:
    return lambda: GroundEnv(env_config(**settings))


def test_nothing_else_loads_it() -> None:
    code = "import sys, embodied.envs.vector_env; print('stable_baselines3' in sys.modules or 'torch' in sys.modules)"
    assert run_python("-c", code).strip() == "False"


def test_it_equals_stable_baselines_own_vector(monkeypatch: pytest.MonkeyPatch) -> None:
    shorten_horizon(monkeypatch, 0.3)
    ours = make()
    reference = DummyVecEnv([single(), single()])
    for env in (ours, reference):
        env.seed(5)
    assert_same(ours.reset(), reference.reset())
    assert ours.reset_infos == reference.reset_infos

    # Episodes end at the horizon, after 6 of 9 steps, and by a fault.
    actions = random_actions(ours.env.worlds, 9)
    actions[2, 1, 0] = np.nan
    for action in actions:
        parts = zip(ours.step(action), reference.step(action), strict=True)
        for part, expected in parts:
            assert_same(part, expected)
    assert ours.reset_infos == reference.reset_infos


def assert_same(a: Any, b: Any) -> None:
    if isinstance(a, list):
        for x, y in zip(a, b, strict=True):
            assert_same(x, y)
    elif isinstance(a, dict):
        assert a.keys() == b.keys()
        for key in a:
            assert_same(a[key], b[key])
    else:
        assert np.array_equal(a, b)
        assert getattr(a, "dtype", None) == getattr(b, "dtype", None)


def test_infos_tell_how_an_episode_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    shorten_horizon(monkeypatch, 0.1)
    env = make()
    env.reset()

    # World 0 comes to its horizon in the step in which world 1 breaks.
    still = idle_action(env.env.worlds)
    env.step(still)
    bad = still.copy()
    bad[1, 0] = np.nan
    observation, reward, over, infos = env.step(bad)

    assert reward.dtype == np.float32
    assert over.tolist() == [True, True]
    assert [info["TimeLimit.truncated"] for info in infos] == [True, False]
    assert [info["fault"] for info in infos] == ["", "action_not_finite"]
    assert [info["is_success"] for info in infos] == [False, False]

    # The last observation is not the first of the next episode.
    first_states = flat(observation)["environment_state"]
    for info, first_state in zip(infos, first_states, strict=True):
        last = info["terminal_observation"]
        assert env.observation_space.contains(last)
        assert (last["environment_state"] != first_state).any()


def test_pixels_are_one_level_deep() -> None:
    env = make(
        1,
        obs="pixels",
        image_size=40,
        cameras=("wrist", "overview"),
        render_mode="rgb_array",
    )

    # Stable-Baselines3 takes no dictionaries in dictionaries.
    observation = env.reset()
    names = ["agent_pos", "pixels/wrist", "pixels/overview", "pixels_age"]
    assert list(observation) == names
    for name, part in observation.items():
        assert part[0] in env.observation_space[name], name
    assert env.render().shape == (480, 640, 3)
    env.close()

    assert flat({"a": {"b": {"c": 1}}, "d": 2}) == {"a/b/c": 1, "d": 2}


def test_attributes_are_those_of_all_worlds() -> None:
    env = make(3)
    env.reset()
    assert env.get_attr("task_description", [2]) == [env.env.task_description[2]]
    assert env.get_attr("render_mode") == [None] * 3
    assert not env.has_attr("colour")
    assert env.env_is_wrapped(gymnasium.Wrapper) == [False] * 3
    for refused in (lambda: env.set_attr("x", 1), lambda: env.env_method("reset")):
        with pytest.raises(EmbodiedError, match="worlds of a batch have no"):
            refused()


def test_it_needs_the_same_step_autoreset() -> None:
    with pytest.raises(
        EmbodiedError, match="autoreset_mode Disabled: Stable-Baselines3 needs SameStep"
    ):
        make(autoreset_mode="Disabled")


@pytest.mark.slow
def test_ppo_learns_on_state_and_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    """It runs, without a warning, through episode ends, and logs success."""
    shorten_horizon(monkeypatch, 0.4)
    env = VecMonitor(make(obs="both", image_size=40, level="L1"))
    model = PPO(
        "MultiInputPolicy", env, n_steps=16, batch_size=16, n_epochs=1, device="cpu"
    )
    model.learn(64)
    assert len(model.ep_info_buffer) == 8
    assert list(model.ep_success_buffer) == [False] * 8
    env.close()


def test_an_episode_can_end_a_while_after_success() -> None:
    """Success holds for 0.5 s, and is then watched for 1 s more."""
    env = SB3VecEnv(
        gymnasium.make_vec(
            ID, num_envs=2, num_threads=1, goal_progress=0.001, horizon_s=3.0
        ),
        after_success_s=1.0,
    )
    env.seed(3)
    first = env.reset()

    still = idle_action(env.env.worlds)
    steps = 0
    over = np.zeros(2, bool)
    while not over.any():
        observation, _, over, infos = env.step(still)
        steps += 1
    # 0.5 s and 1 s, in steps of 0.05 s.
    assert steps == 30

    info = infos[int(np.flatnonzero(over)[0])]
    assert info["is_success"]
    assert info["TimeLimit.truncated"]
    assert env.observation_space.contains(info["terminal_observation"])
    for world in np.flatnonzero(over).tolist():
        last = infos[world]["terminal_observation"]["environment_state"]
        assert (last != observation["environment_state"][world]).any()
        assert (
            first["environment_state"][world] != observation["environment_state"][world]
        ).any()


def test_the_engine_warp_ends_episodes_by_itself() -> None:
    env = object.__new__(WarpVectorEnv)
    env.metadata = {"autoreset_mode": AutoresetMode.SAME_STEP}
    with pytest.raises(EmbodiedError, match="leave out after_success_s"):
        SB3VecEnv(env, after_success_s=1.0)
