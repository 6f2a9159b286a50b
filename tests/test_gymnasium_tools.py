"""What Gymnasium, its wrappers and Stable-Baselines3 ask of an environment is there.

That is its metadata, its spec, its attributes and calls. The lists below were made by
walking through the code of Gymnasium 1.4 and Stable-Baselines3 2.9.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import wrappers
from gymnasium.envs.registration import EnvSpec
from gymnasium.utils.env_match import check_environments_match
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv
from gymnasium.wrappers import vector as vector_wrappers
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import (
    DummyVecEnv,
    VecCheckNan,
    VecExtractDictObs,
    VecFrameStack,
    VecMonitor,
    VecNormalize,
    VecVideoRecorder,
)

from embodied.envs import making
from embodied.envs.env import GroundEnv
from embodied.envs.registry import task_id, task_names
from embodied.envs.sb3 import SB3VecEnv
from embodied.errors import EmbodiedError
from tests.ground import idle_action

ID = "embodied/ToteTransfer-v0"
SMALL = {"num_threads": 1, "image_size": 32}
PICTURE = (480, 640, 3)


def make(**settings: Any) -> gymnasium.Env[Any, Any]:
    return gymnasium.make(ID, **{**SMALL, **settings})


def make_many(**settings: Any) -> VectorEnv[Any, Any, Any]:
    return gymnasium.make_vec(ID, num_envs=2, **{**SMALL, **settings})


def test_pictures_are_collected() -> None:
    env = make(render_mode="rgb_array_list")
    env.reset(seed=0)
    env.step(env.action_space.sample())
    frames = env.render()
    assert [frame.shape for frame in frames] == [PICTURE] * 2
    assert env.render() == []
    assert env.render_mode == "rgb_array_list"
    assert "rgb_array_list" in env.metadata["render_modes"]
    env.close()

    # one environment's list does not reach the next one's metadata
    assert make().metadata["render_modes"] == make().unwrapped.metadata["render_modes"]
    assert "rgb_array_list" not in make().metadata["render_modes"]
    assert making.make_env.metadata == {"render_modes": ["human", "rgb_array"]}


def test_pictures_are_collected_in_gymnasiums_own_vector() -> None:
    envs = make_many(vectorization_mode="sync", render_mode="rgb_array_list")
    envs.reset(seed=0)
    envs.step(envs.action_space.sample())
    frames = envs.render()
    assert [[frame.shape for frame in each] for each in frames] == [[PICTURE] * 2] * 2
    envs.close()


@pytest.mark.parametrize("name", task_names())
def test_every_task_declares_its_render_modes_and_rate(name: str) -> None:
    env = gymnasium.make(task_id(name), num_threads=1, control_hz=50)
    assert env.metadata["render_fps"] == 50
    assert "rgb_array" in env.metadata["render_modes"]
    assert env.render_mode is None


def test_a_spec_makes_the_same_environment_again() -> None:
    env = make(level="L1", control_hz=40, render_mode="rgb_array")
    text = env.spec.to_json()
    for spec in (env.spec, EnvSpec.from_json(text)):
        again = gymnasium.make(spec)
        check_environments_match(env, again, 3, seed=1, skip_render=True)
        assert again.spec == env.spec

    many = make_many(level="L1")
    for spec in (many.spec, EnvSpec.from_json(many.spec.to_json())):
        assert gymnasium.make_vec(spec).num_envs == 2
        assert gymnasium.make_vec(spec).spec == many.spec


WRAPPERS: dict[str, Callable[[Any], gymnasium.Env[Any, Any]]] = {
    "AddRenderObservation": wrappers.AddRenderObservation,
    "AddWhiteNoise": lambda env: wrappers.AddWhiteNoise(env, 0.1),
    "Autoreset": wrappers.Autoreset,
    "ClipAction": wrappers.ClipAction,
    "DelayObservation": lambda env: wrappers.DelayObservation(env, 2),
    "DiscretizeAction": lambda env: wrappers.DiscretizeAction(env, 3),
    "FilterObservation": lambda env: wrappers.FilterObservation(env, ["agent_pos"]),
    "FlattenObservation": wrappers.FlattenObservation,
    "FrameStackObservation": lambda env: wrappers.FrameStackObservation(env, 2),
    "MaxAndSkipObservation": lambda env: wrappers.MaxAndSkipObservation(
        wrappers.FlattenObservation(env)
    ),
    "NormalizeObservation": lambda env: wrappers.NormalizeObservation(
        wrappers.FlattenObservation(env)
    ),
    "NormalizeReward": wrappers.NormalizeReward,
    "RecordEpisodeStatistics": wrappers.RecordEpisodeStatistics,
    "RenderCollection": wrappers.RenderCollection,
    "RescaleAction": lambda env: wrappers.RescaleAction(env, -2, 2),
    "StickyAction": lambda env: wrappers.StickyAction(env, 0.2),
    "TimeAwareObservation": lambda env: wrappers.TimeAwareObservation(
        wrappers.TimeLimit(env, 5)
    ),
}


@pytest.fixture(scope="module")
def single() -> Any:
    env = make(obs="both", render_mode="rgb_array")
    yield env
    env.close()


@pytest.mark.parametrize("name", WRAPPERS)
def test_wrappers(single: gymnasium.Env[Any, Any], name: str) -> None:
    env = WRAPPERS[name](single)
    observation, _ = env.reset(seed=0)
    assert env.observation_space.contains(observation)
    for _ in range(2):
        assert env.observation_space.contains(env.step(env.action_space.sample())[0])

    pictures = env.render()
    for picture in pictures if isinstance(pictures, list) else [pictures]:
        assert picture.shape == PICTURE
    assert env.metadata["render_fps"] == 20
    assert env.get_wrapper_attr("task") == "ToteTransfer"
    assert env.unwrapped is single.unwrapped


def test_wrappers_for_torch() -> None:
    import torch

    env = wrappers.NumpyToTorch(make(obs="both"))
    observation, _ = env.reset(seed=0)
    assert isinstance(observation["pixels"]["overview"], torch.Tensor)
    action = torch.zeros(env.action_space.shape)
    assert isinstance(env.step(action)[0]["agent_pos"], torch.Tensor)


VECTOR_WRAPPERS: dict[str, Callable[[Any], VectorEnv[Any, Any, Any]]] = {
    "ClipAction": vector_wrappers.ClipAction,
    "ClipReward": lambda envs: vector_wrappers.ClipReward(envs, 0, 1),
    "DictInfoToList": vector_wrappers.DictInfoToList,
    "FilterObservation": lambda envs: vector_wrappers.FilterObservation(
        envs, ["agent_pos"]
    ),
    "FlattenObservation": vector_wrappers.FlattenObservation,
    "NormalizeReward": vector_wrappers.NormalizeReward,
    "RecordEpisodeStatistics": vector_wrappers.RecordEpisodeStatistics,
    "RescaleAction": lambda envs: vector_wrappers.RescaleAction(envs, -2, 2),
}


@pytest.mark.parametrize("name", VECTOR_WRAPPERS)
def test_vector_wrappers(name: str) -> None:
    envs = VECTOR_WRAPPERS[name](
        make_many(autoreset_mode="Disabled", render_mode="rgb_array")
    )
    observation, _ = envs.reset(seed=0)
    assert envs.observation_space.contains(observation)
    envs.step(envs.action_space.sample())

    # Gymnasium's recorder of videos wants a sequence with one picture per world
    assert [picture.shape for picture in envs.render()] == [PICTURE] * 2
    assert envs.metadata["render_fps"] == 20
    assert isinstance(envs.metadata["autoreset_mode"], AutoresetMode)
    assert envs.spec.id == ID
    envs.close()
    assert envs.closed


def test_a_vector_answers_as_gymnasiums_own_does() -> None:
    ours = make_many(render_mode="rgb_array")
    reference = make_many(render_mode="rgb_array", vectorization_mode="sync")
    assert isinstance(reference, SyncVectorEnv)
    for envs in (ours, reference):
        envs.reset(seed=4)

    for a, b in zip(ours.call("render"), reference.call("render"), strict=True):
        assert np.array_equal(a, b)
    for name in ("task", "task_description", "_max_episode_steps", "render_mode"):
        assert ours.get_attr(name) == reference.get_attr(name)
    assert ours.np_random_seed == reference.np_random_seed[0]
    ours.reset()

    with pytest.raises(EmbodiedError, match="cannot set 'level'.*gymnasium.make_vec"):
        ours.set_attr("level", "L1")
    for envs in (ours, reference):
        envs.close()
    with pytest.warns(UserWarning, match="needs a render_mode"):
        assert make_many().call("render") == (None, None)


@pytest.mark.parametrize("number", [1, 7, 10**6])
def test_a_limit_of_steps_is_the_same_for_one_world_and_many(number: int) -> None:
    limited = make_many(max_episode_steps=number, horizon_s=0.5)
    assert limited.get_attr("_max_episode_steps") == (min(number, 10),) * 2
    env = make(max_episode_steps=number, horizon_s=0.5)

    for envs in (limited, env):
        envs.reset(seed=0)
    still = idle_action(limited.unwrapped.worlds)
    ends = []
    for _ in range(min(number, 10)):
        truncated = limited.step(still)[3]
        assert (truncated == env.step(still[0])[3]).all()
        ends.append(bool(truncated[0]))
    assert ends == [False] * (len(ends) - 1) + [True]


def test_a_limit_of_steps_that_is_none() -> None:
    assert make_many(max_episode_steps=-1).get_attr("_max_episode_steps") == (400, 400)
    with pytest.raises(EmbodiedError, match="max_episode_steps must be a whole number"):
        make_many(max_episode_steps=0.5)


def test_actions_are_clipped_and_steps_after_the_end_go_on() -> None:
    """As the docstring of the environment says."""
    env = make(horizon_s=0.1)
    other = make(horizon_s=0.1)
    size = env.action_space.shape
    for each, action in ((env, 5.0), (other, 1.0)):
        each.reset(seed=0)
        states = [each.step(np.full(size, action, np.float32)) for _ in range(4)]
        assert [state[3] for state in states] == [False, True, True, True]
        assert not any(state[2] for state in states)
    assert np.array_equal(env.unwrapped.data.qpos, other.unwrapped.data.qpos)

    # after a fault the world stands at its start
    bad = np.full(size, np.nan, np.float32)
    for action in (bad, np.zeros(size, np.float32)):
        _, reward, terminated, _, info = env.step(action)
        assert (reward, terminated) == (0.0, True)
        assert info["fault"] == "action_not_finite"


@pytest.fixture(scope="module")
def batch() -> Any:
    env = SB3VecEnv(make_many(obs="both", render_mode="rgb_array", control_hz=40))
    yield env
    env.close()


@pytest.mark.parametrize(
    "wrap",
    [
        VecMonitor,
        VecCheckNan,
        lambda env: VecFrameStack(env, 2),
        lambda env: VecExtractDictObs(env, "agent_pos"),
        lambda env: VecNormalize(env, norm_obs_keys=["agent_pos"]),
    ],
)
def test_wrappers_of_stable_baselines(batch: SB3VecEnv, wrap: Any) -> None:
    env = wrap(batch)
    env.seed(0)
    env.reset()
    env.step(np.zeros((2, *batch.action_space.shape), np.float32))
    assert env.render().shape == (2 * 480, 640, 3)  # tiled
    assert env.env_is_wrapped(Monitor) == [False, False]
    assert env.get_attr("task") == ["ToteTransfer"] * 2


def test_stable_baselines_films_at_the_control_rate(
    batch: SB3VecEnv, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "moviepy", object())  # it is not needed here
    recorder = VecVideoRecorder(VecMonitor(batch), str(tmp_path), lambda step: False)
    assert recorder.frames_per_sec == 40
    assert batch.spec.id == ID


def test_stable_baselines_makes_its_own_vector_of_state_observations() -> None:
    env = make_vec_env(ID, n_envs=2, seed=3, env_kwargs=SMALL)
    assert isinstance(env, DummyVecEnv)
    env.reset()
    env.step(np.zeros((2, *env.action_space.shape), np.float32))
    assert env.get_images()[0].shape == PICTURE
    env.close()


@pytest.mark.parametrize(
    "build",
    [
        make,
        lambda: make().unwrapped,
        lambda: make_many(vectorization_mode="sync"),
        lambda: vector_wrappers.RecordEpisodeStatistics(make_many()),
    ],
)
def test_the_adapter_says_what_it_takes(build: Callable[[], Any]) -> None:
    with pytest.raises(EmbodiedError, match=r"takes what gymnasium.make_vec\(...\)"):
        SB3VecEnv(build())


def test_pictures_that_stable_baselines_refuses_lead_to_the_adapter() -> None:
    """Its own words are in our documentation, so that a search finds the cure."""
    with pytest.raises(NotImplementedError) as refused:
        DummyVecEnv([lambda: make(obs="pixels")])
    words = " ".join(str(refused.value).split()[:6])
    for text in (GroundEnv.__doc__, SB3VecEnv.__doc__, page("README.md")):
        assert words in " ".join(text.split())
    assert words in " ".join(page("docs/contracts.md").split())


def page(name: str) -> str:
    return (Path(__file__).parent.parent / name).read_text(encoding="utf-8")
