"""The Gymnasium environment of one world."""

from __future__ import annotations

import contextlib
import sys
from typing import Any

import gymnasium
import mujoco
import numpy as np
import pytest

import embodied
from embodied.envs.env import GroundEnv
from embodied.envs.infos import RESET_KEYS
from embodied.envs.register import register_tasks
from embodied.envs.registry import get_robot, get_task, task_names
from embodied.errors import EmbodiedError
from embodied.sim import window as window_module
from embodied.sim.engine import FAULTS
from tests.commands import run_python
from tests.ground import env_config, idle_action, random_actions, shorten_horizon

ID = "embodied/ToteTransfer-v0"


def make(**settings: Any) -> GroundEnv:
    return gymnasium.make(ID, **{"num_threads": 1, **settings}).unwrapped


@pytest.fixture(scope="module")
def ground() -> GroundEnv:
    return make()


def test_every_task_is_registered_without_a_time_limit() -> None:
    for name in task_names():
        spec = gymnasium.spec(get_task(name).env_id)
        assert spec.max_episode_steps is None
        assert isinstance(spec.entry_point, str)
        assert isinstance(spec.vector_entry_point, str)


def test_registering_again_does_no_harm() -> None:
    before = dict(gymnasium.registry)
    register_tasks()  # a warning would be an error here
    assert gymnasium.registry == before


def test_ids_are_known_without_loading_the_simulator() -> None:
    code = f"import sys, embodied, gymnasium; assert {ID!r} in gymnasium.registry; print('mujoco' in sys.modules)"
    assert run_python("-c", code).strip() == "False"
    assert embodied.__version__


def test_what_it_shows(ground: GroundEnv) -> None:
    observation, info = ground.reset(seed=1)
    assert list(observation) == ["agent_pos", "environment_state"]
    assert [part.dtype for part in observation.values()] == [np.float32] * 2
    assert tuple(info) == RESET_KEYS
    assert info["is_success"] is False
    assert info["fault"] == ""

    action = ground.action_space.sample()
    # Gymnasium asks for Python's own types, not for NumPy's.
    observation, reward, terminated, truncated, info = ground.step(action)
    assert ground.observation_space.contains(observation)
    assert [type(x) for x in (reward, terminated, truncated)] == [float, bool, bool]
    types = {name: type(value) for name, value in info.items()}
    assert types == {
        "is_success": bool,
        "progress": float,
        "fault": str,
        "contact_force_n": float,
        "collision": bool,
        "joint_margin_rad": float,
        "dropped": int,
    }


def test_bounds_are_finite_and_actions_normalised(ground: GroundEnv) -> None:
    for box in ground.observation_space.spaces.values():
        assert np.isfinite([box.low, box.high]).all()
    assert (ground.action_space.low == -1).all()
    assert (ground.action_space.high == 1).all()
    assert ground.action_space.dtype == np.float32


@pytest.mark.parametrize(
    ("obs", "keys"),
    [
        ("state", ["agent_pos", "environment_state"]),
        ("pixels", ["agent_pos", "pixels", "pixels_age"]),
        ("both", ["agent_pos", "environment_state", "pixels", "pixels_age"]),
    ],
)
def test_obs_chooses_what_is_shown(obs: str, keys: list[str]) -> None:
    env = make(
        obs=obs, image_size=32, cameras=None if obs != "both" else ("wrist", "overview")
    )
    observation, _ = env.reset(seed=0)
    assert list(observation) == keys
    if obs == "both":
        assert list(observation["pixels"]) == ["wrist", "overview"]
    for frame in observation.get("pixels", {}).values():
        assert frame.shape == (32, 32, 3)
        assert frame.dtype == np.uint8
    env.close()


def test_a_held_frame_is_shown_with_its_age() -> None:
    # control steps of 20 ticks, a frame each 50
    env = make(obs="pixels", image_size=32, camera_hz=8)
    observation, _ = env.reset(seed=0)
    frames = [observation["pixels"]["overview"]]
    ages = [float(observation["pixels_age"][0])]

    for action in random_actions(env.worlds, 6)[:, 0]:
        observation = env.step(action)[0]
        assert env.observation_space.contains(observation)
        frames.append(observation["pixels"]["overview"])
        ages.append(float(observation["pixels_age"][0]))

    # due at ticks 0, 50, 100
    assert ages == pytest.approx([0, 0.05, 0.1, 0, 0.05, 0, 0.05])

    # a frame that is shown again is a copy of its own
    assert (frames[0] == frames[2]).all()
    assert not np.shares_memory(frames[0], frames[2])
    assert (frames[2] != frames[3]).any()
    env.close()


def test_what_lerobot_asks_for(ground: GroundEnv) -> None:
    ground.reset(seed=0)
    assert ground.task == "ToteTransfer"
    assert ground._max_episode_steps == 400
    assert "tote" in ground.task_description
    assert ground.task_description == ground.worlds.variation_of(0)["instruction"]


def test_model_and_data_are_of_this_world() -> None:
    env = make(level="L3")
    env.reset(seed=4)
    for action in random_actions(env.worlds, 5)[:, 0]:
        env.step(action)

    model = env.model
    data = env.data
    assert isinstance(model, mujoco.MjModel)
    assert (data.qpos == env.worlds.engine.view("qpos")[0]).all()
    assert data.time == pytest.approx(5 / 20)
    assert (model.geom_size == env.worlds.engine.model_view("geom_size")[0]).all()

    # writing to the copy does nothing to the world
    before = env.worlds.checksum()
    data.qpos[:] = 0
    assert env.worlds.checksum() == before


def test_the_same_seed_is_the_same_episode(ground: GroundEnv) -> None:
    first, again, other = (ground.reset(seed=seed)[0] for seed in (7, 7, 8))
    assert all((first[key] == again[key]).all() for key in first)
    assert (first["environment_state"] != other["environment_state"]).any()


def test_later_episodes_follow_from_the_first_seed(ground: GroundEnv) -> None:
    ground.reset(seed=7)
    second, third = (ground.reset()[0]["environment_state"] for _ in range(2))
    ground.reset(seed=7)
    assert (second == ground.reset()[0]["environment_state"]).all()
    assert (second != third).any()


@pytest.mark.parametrize("seed", [-1, 2**63, 2**70, 1.5, "a"])
def test_a_seed_that_is_none_is_refused(ground: GroundEnv, seed: Any) -> None:
    with pytest.raises(
        EmbodiedError,
        match=r"a seed must be a whole number from 0 to 2\*\*63 - 1, not ",
    ):
        ground.reset(seed=seed)


def test_unseeded_environments_differ() -> None:
    states = [make().reset()[0]["environment_state"] for _ in range(2)]
    assert (states[0] != states[1]).any()


def test_it_truncates_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    shorten_horizon(monkeypatch, 0.3)
    env = gymnasium.make(ID, num_threads=1)
    env.reset(seed=0)
    ends = [env.step(idle_action(env.unwrapped.worlds)[0])[2:4] for _ in range(6)]
    assert env.unwrapped._max_episode_steps == 6
    assert ends == [(False, False)] * 5 + [(False, True)]


@pytest.mark.parametrize("ends", [False, True])
def test_success_is_held_half_a_second_and_ends_the_episode_only_if_asked(
    ends: bool,
) -> None:
    """The named tote is put where it belongs, and left alone."""
    env = make(level="L1", factors={"slot": 2}, terminate_on_success=ends)
    env.reset(seed=0)
    put_into_slot(env)

    successes = []
    endings = []
    for _ in range(20):
        _, reward, terminated, truncated, info = env.step(idle_action(env.worlds)[0])
        successes.append(info["is_success"])
        endings.append(terminated)
        assert not truncated
        if info["is_success"]:
            assert reward == info["progress"] == 1.0

    # Success needs 0.5 s at rest, which is 10 steps of 20 Hz, once the tote has
    # settled.
    first = successes.index(True)
    assert 10 <= first + 1 <= 14
    assert all(successes[first:])
    assert endings[first] == ends


def put_into_slot(env: GroundEnv) -> None:
    """Sets the named tote upright into the named slot, at rest."""
    worlds = env.worlds
    parts = worlds.state_layout.slices()
    state = worlds.task.state()[0]
    tote_pos_w = state[parts["tote_pos_w"]]
    slot_pos_w = state[parts["slot_pos_w"]]

    # which of the totes is the one that the state tells of
    positions_w = [env.data.body(f"tote_{k}").xpos for k in range(3)]
    distances_m = np.abs(np.array(positions_w) - tote_pos_w).sum(axis=1)
    joint = worlds.model.joint(f"tote_{np.argmin(distances_m)}")

    x, y, z = slot_pos_w
    pose = [x, y, z + 0.002, 1, 0, 0, 0]
    worlds.engine.view("qpos")[0, joint.qposadr[0] : joint.qposadr[0] + 7] = pose
    worlds.engine.refresh(np.array([0]))


def test_a_tote_out_of_reach_is_the_end() -> None:
    env = make(level="L1")
    env.reset(seed=0)

    # All totes lie on the floor, where the arm cannot reach.
    qpos = env.worlds.engine.view("qpos")
    for k in range(3):
        joint = env.worlds.model.joint(f"tote_{k}")
        qpos[0, joint.qposadr[0] + 2] = 0.2  # m, on the floor
    env.worlds.engine.refresh(np.array([0]))
    _, _, terminated, truncated, info = env.step(idle_action(env.worlds)[0])
    assert (terminated, truncated) == (True, False)
    assert info["fault"] == ""
    assert info["is_success"] is False


def test_a_bad_action_ends_the_episode_by_name() -> None:
    env = make()
    env.reset(seed=0)
    action = idle_action(env.worlds)[0]
    action[2] = np.inf
    observation, reward, terminated, _, info = env.step(action)
    assert terminated
    assert reward == 0.0
    assert info["fault"] == "action_not_finite"
    assert info["fault"] in FAULTS
    assert info["is_success"] is False
    assert env.observation_space.contains(observation)

    # the next episode is a clean one
    env.reset(seed=0)
    assert env.step(idle_action(env.worlds)[0])[4]["fault"] == ""


@pytest.mark.parametrize("shape", [(), (7,), (1, 8), (9,)])
def test_an_action_of_another_shape_is_refused(
    ground: GroundEnv, shape: tuple[int, ...]
) -> None:
    ground.reset(seed=0)
    with pytest.raises(
        EmbodiedError,
        match=r"actions of shape .*, expected \(1, 8\).*arm.joint1.*gripper.width",
    ):
        ground.step(np.zeros(shape))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"robot": "leg"}, "unknown robot 'leg'.*arm"),
        ({"obs": "touch"}, "unknown obs 'touch'.*both, pixels, state"),
        (
            {"control_mode": "torque"},
            "unknown control_mode 'torque'.*ee_delta, joint, joint_delta",
        ),
        ({"control_hz": 30}, "control_hz 30 must divide .* 400 Hz"),
        ({"control_hz": 0}, "control_hz 0 must divide"),
        (
            {"cameras": ("front",), "obs": "pixels"},
            "unknown camera 'front'.*overview.*wrist",
        ),
        (
            {"cameras": "wrist", "obs": "pixels"},
            "cameras must be a tuple of names, or None, not 'wrist'",
        ),
        ({"cameras": (), "obs": "pixels"}, "must name at least one"),
        (
            {"cameras": (3,), "obs": "pixels"},
            r"cameras must be a tuple of names, not \(3,\)",
        ),
        ({"image_size": "big"}, "image_size must be a whole number, not 'big'"),
        ({"control_hz": "x"}, "control_hz must be a whole number, not 'x'"),
        ({"control_hz": 20.0}, "control_hz must be a whole number, not 20.0"),
        ({"camera_hz": "x"}, "camera_hz must be a number or None, not 'x'"),
        ({"level": 3}, "level must be a name, not 3"),
        ({"robot": 3}, "robot must be a name, a Robot or None, not 3"),
        ({"factors": 3}, "factors must map variables to values, such as"),
        (
            {"terminate_on_success": "no"},
            "terminate_on_success must be True or False, not 'no'",
        ),
        ({"num_threads": -1}, "num_threads -1 must be at least 0"),
        ({"horizon_s": float("inf")}, "horizon_s inf must be above 0, and finite"),
        ({"camera_hz": 0}, "camera_hz 0 must be above 0"),
        ({"image_size": 5}, "image_size 5 must be from 16 to 512"),
        ({"level": "L9"}, "unknown level 'L9'.*L1, L2, L3, L4"),
        ({"split": "test"}, "unknown split 'test'.*all"),
        (
            {"factors": {"tote": 2}},
            "unknown factor variable 'tote'. Did you mean 'totes'?",
        ),
        ({"engine": "gpu"}, "unknown engine 'gpu'.*cpu"),
        ({"colour": "red"}, "unknown argument 'colour'.*control_mode"),
    ],
)
def test_bad_arguments_say_what_there_is(
    settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(EmbodiedError, match=message):
        make(**settings)


def test_an_unknown_render_mode_is_refused_after_gymnasiums_warning() -> None:
    with (
        pytest.raises(
            EmbodiedError, match="unknown render_mode 'ansi'.*human, rgb_arr"
        ),
        pytest.warns(UserWarning, match="not in the possible render_modes"),
    ):
        make(render_mode="ansi")


def test_an_unknown_task_names_those_there_are() -> None:
    with pytest.raises(
        EmbodiedError, match="unknown task 'ToteTransfr'. Did you mean 'ToteTransfer'"
    ):
        GroundEnv(env_config(task="ToteTransfr"))


def test_a_robot_may_be_given_itself() -> None:
    env = make(robot=get_robot("arm"))
    assert env.worlds.metadata()["config"]["robot"] == "arm"


def test_nothing_is_answered_without_an_episode() -> None:
    env = make(render_mode="rgb_array")
    still = idle_action(env.worlds)[0]

    for ask in (lambda: env.step(still), env.render):
        with pytest.raises(
            EmbodiedError, match="no episode has begun: call reset first"
        ):
            ask()

    # nor after it was closed
    env.reset(seed=0)
    env.step(still)
    env.close()

    for ask in (lambda: env.step(still), env.render, env.reset):
        with pytest.raises(EmbodiedError, match="closed: make a new one"):
            ask()


def test_pictures_for_people() -> None:
    env = make(render_mode="rgb_array")
    env.reset(seed=0)
    picture = env.render()
    assert picture.shape == (480, 640, 3)
    assert picture.std() > 20
    env.close()
    env.close()


def test_render_without_a_mode_says_how(ground: GroundEnv) -> None:
    with pytest.warns(UserWarning, match="render_mode='rgb_array'"):
        assert ground.render() is None


@pytest.fixture
def no_display(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setattr(sys, "platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def test_a_window_needs_a_display(no_display: pytest.MonkeyPatch) -> None:
    with pytest.raises(EmbodiedError, match="a window needs a display.*rgb_array"):
        make(render_mode="human")
    assert make().metadata["render_modes"] == ["rgb_array"]
    no_display.setenv("DISPLAY", ":0")
    assert make().metadata["render_modes"] == ["human", "rgb_array"]


def test_a_display_that_is_none_is_named(no_display: pytest.MonkeyPatch) -> None:
    # the viewer's own thread would die, and leave us waiting
    no_display.setenv("DISPLAY", ":4711")
    with pytest.raises(
        EmbodiedError, match="no window can be opened on the display ':4711'"
    ):
        make(render_mode="human")


class FakeViewer:
    """Stands for MuJoCo's window: notes what it was asked to draw."""

    def __init__(self, model: mujoco.MjModel, data: mujoco.MjData) -> None:
        self.model = model
        self.data = data
        self.times = []
        self.open = True

    def is_running(self) -> bool:
        return self.open

    def lock(self) -> Any:
        return contextlib.nullcontext()

    def sync(self) -> None:
        self.times.append(self.data.time)

    def close(self) -> None:
        self.open = False


def test_a_window_follows_the_world(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(window_module, "_check_display", lambda: None)
    monkeypatch.setattr(window_module, "_open", FakeViewer)
    env = make(render_mode="human", level="L3")

    viewer = env._window._handle
    env.reset(seed=0)
    first = viewer.model.geom_size.copy()
    for action in random_actions(env.worlds, 3)[:, 0]:
        env.step(action)

    # it shows each state, and of the next episode its sizes, too
    assert viewer.times == pytest.approx([0, 0.05, 0.10, 0.15])
    assert (viewer.data.qpos == env.data.qpos).all()
    env.reset(seed=1)
    assert (viewer.model.geom_size != first).any()

    viewer.open = False  # the user closes it: the world goes on
    env.step(idle_action(env.worlds)[0])
    assert len(viewer.times) == 5
    env.close()
