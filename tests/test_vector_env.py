"""The native vector environment is what Gymnasium makes of single environments, world
by world.
"""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

from embodied.envs.env import GroundEnv
from embodied.envs.vector_env import GroundVectorEnv
from embodied.errors import EmbodiedError
from tests.ground import env_config, idle_action, random_actions, shorten_horizon

ID = "embodied/ToteTransfer-v0"


def make(num_envs: int = 3, **settings: Any) -> GroundVectorEnv:
    return gymnasium.make_vec(ID, num_envs=num_envs, **{"num_threads": 1, **settings})


def same(a: Any, b: Any, where: str = "") -> None:
    """Equal values, bit for bit, of equal types, all the way down."""
    assert type(a) is type(b), where
    if isinstance(a, dict):
        assert a.keys() == b.keys(), where
        for key in a:
            same(a[key], b[key], f"{where}.{key}")
    elif isinstance(a, tuple) or (isinstance(a, np.ndarray) and a.dtype == object):
        for i, (x, y) in enumerate(zip(a, b, strict=True)):
            same(x, y, f"{where}[{i}]")
    else:
        assert np.array_equal(a, b), where
        assert getattr(a, "dtype", None) == getattr(b, "dtype", None), where


def test_spaces_and_metadata() -> None:
    env = make()
    assert env.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    assert env.observation_space.contains(env.reset(seed=0)[0])
    assert env.single_action_space == GroundEnv(env_config()).action_space
    assert env.single_observation_space == GroundEnv(env_config()).observation_space
    assert env.action_space.shape == (3, 8)
    assert env.task == "ToteTransfer"
    assert env._max_episode_steps == 400
    assert len(env.task_description) == 3


@pytest.mark.parametrize("obs", ["state", "both"])
def test_it_equals_gymnasiums_own_vector_of_single_environments(
    monkeypatch: pytest.MonkeyPatch, obs: str
) -> None:
    """Observations, rewards, ends, infos with masks, and what comes after the
    autoreset; with one bad action.
    """
    shorten_horizon(monkeypatch, 0.3)
    settings = {
        "obs": obs,
        "image_size": 32,
        "num_threads": 1,
        "level": "L3",
        "camera_hz": 8.0,
    }

    # ours, and single environments side by side
    native = gymnasium.make_vec(ID, num_envs=3, **settings)
    kwargs = {"autoreset_mode": AutoresetMode.SAME_STEP}
    single = gymnasium.make_vec(
        ID, num_envs=3, vectorization_mode="sync", vector_kwargs=kwargs, **settings
    )

    same(native.reset(seed=11), single.reset(seed=11))
    actions = random_actions(native.worlds, 15)
    actions[3, 1, 4] = np.nan  # so that the worlds are reset at different steps
    for action in actions:
        same(native.step(action), single.step(action))
    assert native.worlds.instructions == single.get_attr("task_description")
    native.close()
    single.close()


def test_later_episodes_do_not_depend_on_the_number_of_worlds() -> None:
    few = make(2)
    many = make(5)
    alone = GroundEnv(env_config())
    for env in (few, many):
        env.reset(seed=3)
    alone.reset(seed=4)
    for _ in range(2):
        states = [env.reset()[0]["environment_state"] for env in (few, many, alone)]
        assert (states[0] == states[1][:2]).all()
        assert (states[0][1] == states[2]).all()


def test_seeds_may_be_given_one_by_one() -> None:
    env = make()
    by_list = env.reset(seed=[5, 9, 6])[0]["environment_state"]
    in_row = env.reset(seed=5)[0]["environment_state"]
    assert (by_list[[0, 2]] == in_row[[0, 1]]).all()
    assert (by_list[1] != in_row[2]).any()
    with pytest.raises(EmbodiedError, match="2 seeds for 3 worlds"):
        env.reset(seed=[1, 2])


def test_final_info_tells_of_the_fault_and_the_next_episode_is_clean() -> None:
    env = make()
    env.reset(seed=0)

    action = idle_action(env.worlds)
    action[1, 0] = np.nan
    _, reward, terminated, truncated, info = env.step(action)

    assert terminated.tolist() == [False, True, False]
    assert not truncated.any()
    assert reward[1] == 0
    assert info["_final_info"].tolist() == [False, True, False]
    assert info["final_info"]["fault"].tolist() == [None, "action_not_finite", None]

    # The infos of the next episode, which has begun in the same step, are clean.
    assert info["fault"].tolist() == ["", "", ""]
    assert not env.step(idle_action(env.worlds))[2].any()


@pytest.mark.parametrize("name", ["DISABLED", "disabled", AutoresetMode.DISABLED])
def test_autoreset_by_value_or_name_in_any_case(name: Any) -> None:
    assert (
        make(1, autoreset_mode=name).metadata["autoreset_mode"]
        is AutoresetMode.DISABLED
    )


def test_autoreset_disabled_waits_for_the_mask(monkeypatch: pytest.MonkeyPatch) -> None:
    env = make(autoreset_mode="Disabled")
    assert env.metadata["autoreset_mode"] is AutoresetMode.DISABLED
    env.reset(seed=0)

    # world 1 ends
    action = idle_action(env.worlds)
    action[1, 0] = np.nan
    shown, _, terminated, _, info = env.step(action)

    assert terminated.tolist() == [False, True, False]
    assert "final_obs" not in info
    with pytest.raises(EmbodiedError, match=r"worlds \[1\].*over.*reset_mask"):
        env.step(idle_action(env.worlds))

    # it begins anew, and the others stand where they stood
    again, info = env.reset(seed=100, options={"reset_mask": terminated})
    assert info["_progress"].tolist() == [False, True, False]
    assert (
        again["environment_state"][[0, 2]] == shown["environment_state"][[0, 2]]
    ).all()
    fresh = make().reset(seed=100)[0]["environment_state"]
    assert (again["environment_state"][1] == fresh[1]).all()
    env.step(idle_action(env.worlds))


@pytest.mark.parametrize(
    "mask",
    [[True, False, False], np.array([1, 0, 0]), np.array([True]), np.zeros(3, bool)],
    ids=repr,
)
def test_a_wrong_mask_is_refused(mask: Any) -> None:
    with pytest.raises(
        EmbodiedError, match=r"reset_mask must be a bool array of shape \(3,\)"
    ):
        make().reset(options={"reset_mask": mask})


@pytest.mark.parametrize(
    "seed", [-1, 2**63 - 2, 2**70, [0, 1, -1], ["a"] * 3, {1, 2, 3}, 1.5]
)
def test_a_seed_that_is_none_is_refused(seed: Any) -> None:
    with pytest.raises(EmbodiedError, match="seed"):
        make().reset(seed=seed)


@pytest.mark.parametrize("num_envs", [0, -1, 2.5, "a"])
def test_a_number_of_worlds_that_is_none_is_refused(num_envs: Any) -> None:
    with pytest.raises(
        EmbodiedError, match="num_envs must be a whole number of at least 1, not "
    ):
        make(num_envs)


def test_unknown_words_say_what_there_is() -> None:
    with pytest.raises(EmbodiedError, match="unknown reset option 'mask'.*reset_mask"):
        make().reset(options={"mask": np.ones(3, bool)})
    # Modes of Gymnasium that are not supported are answered likewise.
    with pytest.raises(
        EmbodiedError, match="unknown autoreset_mode .*NextStep.*Disabled, SameStep"
    ):
        make(autoreset_mode=AutoresetMode.NEXT_STEP)
    with pytest.raises(
        EmbodiedError,
        match="unknown render_mode of a vector environment 'human'.*rgb_array",
    ):
        make(render_mode="human")

    with pytest.raises(EmbodiedError, match="unknown argument 'colour'"):
        make(colour="red")


@pytest.mark.parametrize("shape", [(8,), (2, 8), (3, 7)])
def test_actions_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    env = make()
    env.reset(seed=0)
    with pytest.raises(
        EmbodiedError, match=r"expected \(3, 8\): one row per world with \(arm.joint1"
    ):
        env.step(np.zeros(shape))


def test_nothing_given_out_is_written_to_later() -> None:
    env = make(obs="both", image_size=32, camera_hz=8.0)
    outputs = [env.reset(seed=0)]
    copies = [repr_of(outputs[0])]

    for action in random_actions(env.worlds, 4):
        outputs.append(env.step(action))
        copies.append(repr_of(outputs[-1]))

    # neither later, nor through another frame
    assert [repr_of(x) for x in outputs] == copies
    frames = [observation["pixels"]["overview"] for observation, *_ in outputs]
    assert not any(
        np.shares_memory(a, b) for i, a in enumerate(frames) for b in frames[:i]
    )
    env.close()


def repr_of(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: repr_of(part) for key, part in value.items()}
    if isinstance(value, tuple):
        return tuple(repr_of(part) for part in value)
    return (
        value.tobytes()
        if isinstance(value, np.ndarray) and value.dtype != object
        else repr(value)
    )


def test_pictures_of_all_worlds() -> None:
    env = make(2, render_mode="rgb_array")
    env.reset(seed=0)
    first, second = env.render() or (None, None)
    assert first.shape == second.shape == (480, 640, 3)
    assert (first != second).any()
    env.close()
    env.close()
    with pytest.warns(UserWarning, match="render_mode='rgb_array'"):
        assert make(1).render() is None


def test_attributes_of_each_world_as_gymnasiums_own_vector_gives_them() -> None:
    reference = gymnasium.make_vec(
        ID, num_envs=2, vectorization_mode="sync", vector_kwargs={}, num_threads=1
    )
    ours = make(2)

    for env in (ours, reference):
        env.reset(seed=3)

    for name in ("task", "task_description", "_max_episode_steps"):
        assert (
            ours.get_attr(name)
            == ours.call(name)
            == reference.get_attr(name)
            == reference.call(name)
        )

    # the worlds have instructions of their own
    assert len(set(ours.get_attr("task_description"))) == 2
    assert gymnasium.make(ID).get_wrapper_attr("task") == "ToteTransfer"
    with pytest.raises(EmbodiedError, match="'step' is done by all worlds at once"):
        ours.call("step")
    with pytest.raises(AttributeError):
        ours.get_attr("colour")


def test_nothing_is_answered_without_episodes() -> None:
    env = make(2, render_mode="rgb_array", autoreset_mode="Disabled")
    still = idle_action(env.worlds)

    for ask in (lambda: env.step(still), env.render):
        with pytest.raises(
            EmbodiedError, match="no episode has begun: call reset first"
        ):
            ask()

    # one world alone has begun
    env.reset(options={"reset_mask": np.array([True, False])})
    with pytest.raises(
        EmbodiedError, match=r"worlds \[1\] are over, or have not begun"
    ):
        env.step(still)

    # nor after it was closed
    env.reset()
    env.step(still)
    env.close()
    for ask in (lambda: env.step(still), env.render, env.reset):
        with pytest.raises(EmbodiedError, match="closed: make a new one"):
            ask()


def test_gymnasiums_vector_wrappers_work() -> None:
    env = gymnasium.wrappers.vector.RecordEpisodeStatistics(make(2))
    env.reset(seed=0)
    action = idle_action(env.unwrapped.worlds)
    env.step(action)
    action[0, 0] = np.nan
    info = env.step(action)[4]
    assert info["episode"]["l"].tolist() == [2, 0]
