"""Worlds continue bit for bit from a snapshot: here, elsewhere, and in other processes."""

from __future__ import annotations

import copy
import pickle  # noqa: TID251  (as users do with environments)
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gymnasium
import mujoco
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embodied.envs.env import GroundEnv
from embodied.envs.registry import get_task, task_names
from embodied.envs.snapshot import Snapshot
from embodied.envs.vector_env import GroundVectorEnv
from embodied.envs.worlds import Worlds
from embodied.errors import EmbodiedError
from embodied.robots.robot import Robot
from embodied.seeding import generator_at, generator_words
from embodied.sim.cpu import CpuEngine
from tests.commands import run_python
from tests.ground import (
    TOTE_TRANSFER,
    env_config,
    every_case,
    random_actions,
    some_of,
)

some_tasks = pytest.mark.parametrize("task", some_of(task_names(), 3, pytest.mark.slow))
STEPS = 14  # after the snapshot
# Noisy frames at a rate of their own; surprises; and a success that is soon held.
EVENTFUL = {
    "level": "L4",
    "split": "all",
    "obs": "both",
    "image_size": 16,
    "camera_hz": 7,
    "factors": {"pixel_noise": 5.0},
    "goal_progress": 1e-30,
}


def flat(value: Any) -> bytes:
    """All bits of nested values, for comparison."""
    if isinstance(value, Mapping):
        return b"".join(name.encode() + flat(value[name]) for name in value)
    if isinstance(value, tuple | list):
        return b"".join(flat(part) for part in value)
    if isinstance(value, np.ndarray) and value.dtype != object:
        return value.tobytes()
    return repr(value).encode()


def eventful_worlds(num: int, first_seed: int, **settings: Any) -> Worlds:
    worlds = Worlds(env_config(**{**EVENTFUL, **settings}), num)
    worlds.reset(np.arange(num), range(first_seed, first_seed + num))
    worlds.observe()
    return worlds


def shown(worlds: Worlds, world: int) -> bytes:
    """All that one world shows."""
    observation = worlds.observe().rows([world])
    views = [values[world] for values in worlds.engine.model_views().values()]
    safety = [values[world] for values in vars(worlds.safety(20)).values()]
    return flat(
        [
            *vars(observation).values(),
            worlds.variation_of(world),
            safety,
            views,
            worlds.checksum()[world],
            worlds.integration_state()[world],
        ]
    )


def future(worlds: Worlds, world: int, actions: np.ndarray) -> list[bytes]:
    """All that one world shows and gets for `actions` (steps, A), like its neighbours.

    In the middle it breaks, and is put back to its start.
    """
    rows = [shown(worlds, world)]
    for step, action in enumerate(actions):
        everywhere = np.tile(action, (worlds.num_worlds, 1))
        if step == len(actions) // 2:
            everywhere[world, 0] = np.nan
        result = worlds.step(everywhere)
        scored = [values[world] for values in vars(result).values()]
        rows.append(flat(scored) + shown(worlds, world))
    return rows


@pytest.mark.usefixtures("few_threads")
@every_case
def test_a_world_continues_from_a_snapshot_anywhere(
    task: str, robot: str, mode: str
) -> None:
    """In its own place, in another, and in worlds that are new or were used otherwise."""
    settings = {"task": task, "robot": robot, "control_mode": mode}
    rng = np.random.default_rng([ord(letter) for letter in task + robot + mode])
    worlds = eventful_worlds(2, 40, **settings)
    actions = random_actions(worlds, 60, 1)
    before = int(rng.integers(1, 40))
    for action in actions[:before]:
        worlds.step(action)
        worlds.observe()

    snapshot = worlds.snapshot(1)
    coming = actions[before : before + STEPS, 1]
    expected = future(worlds, 1, coming)

    # where it was, though it has gone on and broken since
    worlds.restore(snapshot, 1)
    assert future(worlds, 1, coming) == expected

    # in place of a neighbour
    worlds.restore(snapshot, 0)
    assert future(worlds, 0, coming) == expected

    # in new worlds, and in worlds of another number with another episode behind them
    new = Worlds(env_config(**{**EVENTFUL, **settings}), 1)
    new.restore(snapshot)
    assert future(new, 0, coming) == expected
    used = eventful_worlds(3, 90, **settings)
    for action in actions[:9, :1]:
        used.step(np.repeat(action, 3, axis=0))
    used.restore(pickle.loads(pickle.dumps(snapshot)), 2)
    assert future(used, 2, coming) == expected


def test_forces_of_a_long_control_step_are_remembered() -> None:
    """TableWipe looks at them before the next step."""
    settings = {"task": "TableWipe", "control_hz": 5, "obs": "state"}
    worlds, others = (eventful_worlds(1, 5, **settings) for _ in range(2))
    for action in random_actions(worlds, 4):
        worlds.step(action)
    # as if the pad had been pressed and let go within the step
    for watcher in worlds.engine.watchers:
        watcher.memory()["earlier"][...] = 7.0
    worlds.engine.version += 1  # what was computed of it is forgotten
    others.restore(worlds.snapshot())
    ticks = worlds.ticks_per_step
    assert others.safety(ticks).contact_force_n == 7.0
    assert flat(vars(others.safety(ticks))) == flat(vars(worlds.safety(ticks)))
    for action in random_actions(worlds, 4, 1):
        worlds.step(action)
        others.step(action)
        assert shown(others, 0) == shown(worlds, 0)
        assert flat(vars(others.safety(ticks))) == flat(vars(worlds.safety(ticks)))


def test_the_neighbours_of_a_restored_world_do_not_notice() -> None:
    worlds, alone = (eventful_worlds(3, 5) for _ in range(2))
    actions = random_actions(worlds, 30)
    snapshot = worlds.snapshot(0)
    for step, action in enumerate(actions):
        if step == 15:
            worlds.restore(snapshot, 1)
        worlds.step(action)
        alone.step(action)
        for world in (0, 2):
            assert shown(worlds, world) == shown(alone, world)


def test_frames_that_were_given_out_stay_as_they_are() -> None:
    worlds = eventful_worlds(1, 5)
    snapshot = worlds.snapshot()
    worlds.step(np.ones((1, len(worlds.interface.low))))
    for action in random_actions(worlds, 10):
        worlds.step(action)
    given = worlds.observe()
    before = flat(given.pixels)
    worlds.restore(snapshot)
    assert flat(given.pixels) == before
    assert flat(worlds.observe().pixels) != before


def test_a_snapshot_does_not_change_with_its_worlds() -> None:
    worlds = eventful_worlds(2, 5)
    snapshot = worlds.snapshot()
    before = pickle.dumps(snapshot)
    worlds.restore(snapshot.rows(np.array([1, 0])))
    for action in random_actions(worlds, 10):
        worlds.step(action)
        worlds.observe()
    worlds.reset([0], [99])
    assert pickle.dumps(snapshot) == before


def test_one_row_for_all_and_rows_in_any_order() -> None:
    worlds = eventful_worlds(3, 5)
    three = [shown(worlds, world) for world in range(3)]
    snapshot = worlds.snapshot()
    assert len(snapshot) == 3

    worlds.restore(worlds.snapshot(2))
    assert [shown(worlds, world) for world in range(3)] == [three[2]] * 3
    worlds.restore(snapshot.rows(np.array([1, 0])), [0, 2])
    assert [shown(worlds, world) for world in range(3)] == [
        three[1],
        three[2],
        three[0],
    ]


def test_an_ended_success_hold_and_a_fault_are_remembered() -> None:
    worlds = eventful_worlds(2, 5)
    actions = random_actions(worlds, 12)
    actions[2, 1] = np.nan
    for action in actions:
        result = worlds.step(action)
    assert result.success.tolist() == [True, False]
    assert result.fault.astype(bool).tolist() == [False, True]

    again = eventful_worlds(2, 70)
    again.restore(worlds.snapshot())
    result = again.step(actions[0])
    assert result.success.tolist() == [True, False]
    assert result.terminated.tolist() == [False, True]


CHILD = """
import pickle, sys
from pathlib import Path
import numpy as np
from tests.ground import env_config
from tests.test_snapshot import EVENTFUL, future
from embodied.envs.worlds import Worlds

settings, snapshot, actions = pickle.loads(Path("moment").read_bytes())
worlds = Worlds(env_config(**EVENTFUL, **settings), 2)
worlds.restore(snapshot, 1)
Path("future").write_bytes(pickle.dumps(future(worlds, 1, actions)))
"""


def test_it_continues_in_another_process(tmp_path: Path) -> None:
    settings = {"task": "ParcelSort", "control_mode": "ee_delta"}
    worlds = eventful_worlds(1, 8, **settings)
    actions = random_actions(worlds, 40)[:, 0]
    for action in actions[:20]:
        worlds.step(action[None])
    worlds.observe()

    moment = (settings, worlds.snapshot(), actions[20:])
    (tmp_path / "moment").write_bytes(pickle.dumps(moment))
    run_python("-c", CHILD, folder=tmp_path)
    there = pickle.loads((tmp_path / "future").read_bytes())
    assert there == future(worlds, 0, actions[20:])


# Gymnasium's environments


def make(task: str = TOTE_TRANSFER, **settings: Any) -> gymnasium.Env[Any, Any]:
    arguments = {**EVENTFUL, "num_threads": 1, **settings}
    return gymnasium.make(get_task(task).env_id, **arguments)


def episodes(env: gymnasium.Env[Any, Any], steps: int = 30) -> list[bytes]:
    """What an environment gives for its own random actions, resets included."""
    rows = []
    for step in range(steps):
        action = env.action_space.sample()
        rows.append(flat([action, *env.step(action)]))
        if step == steps // 2:
            rows.append(flat(env.reset()))
            rows.append(env.unwrapped.task_description.encode())
    return rows


@some_tasks
@pytest.mark.usefixtures("few_threads")
@pytest.mark.parametrize(
    "duplicate", [copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))]
)
def test_a_copy_of_an_environment_does_what_it_does(task: str, duplicate: Any) -> None:
    env = make(task)
    env.reset(seed=4)
    env.action_space.seed(1)
    episodes(env, 12)
    twin = duplicate(env)
    assert twin.unwrapped.spec == env.unwrapped.spec
    assert episodes(twin) == episodes(env)
    twin.close()

    # the copy closed, the first goes on
    env.step(env.action_space.sample())
    env.close()


def test_a_copy_shares_the_robot_so_that_nothing_is_compiled_anew() -> None:
    env = make(robot="wheeled_arm")
    twin = copy.deepcopy(env)
    assert isinstance(twin.unwrapped.worlds.robot, Robot)
    assert twin.unwrapped.worlds.robot is env.unwrapped.worlds.robot


def test_copies_of_environments_without_an_episode() -> None:
    env = make()
    with pytest.raises(EmbodiedError, match="no episode has begun"):
        env.unwrapped.snapshot()
    twin = copy.deepcopy(env)
    assert flat(twin.reset(seed=1)) == flat(env.reset(seed=1))

    env.close()
    closed = copy.deepcopy(env)
    for ended in (env.unwrapped, closed.unwrapped):
        with pytest.raises(EmbodiedError, match="closed"):
            ended.snapshot()
        with pytest.raises(EmbodiedError, match="closed"):
            ended.restore(twin.unwrapped.snapshot())


def test_an_environment_goes_back_and_shows_what_it_showed() -> None:
    env = make().unwrapped
    assert isinstance(env, GroundEnv)
    env.reset(seed=2)
    observation = env.step(env.action_space.sample())[0]
    snapshot = env.snapshot()
    env.action_space.seed(0)
    expected = episodes(env)

    new = make().unwrapped  # without a reset of its own
    for place in (env, new):
        assert flat(place.restore(snapshot)) == flat(observation)
        place.action_space.seed(0)
        assert episodes(place) == expected


def vector_env(num: int = 3, **settings: Any) -> GroundVectorEnv:
    arguments = {**EVENTFUL, "num_threads": 1, "horizon_s": 0.8, **settings}
    env = gymnasium.make_vec("embodied/PanelReset-v0", num_envs=num, **arguments)
    assert isinstance(env, GroundVectorEnv)
    return env


def test_worlds_of_a_vector_environment_go_back_one_by_one() -> None:
    """With the episodes that follow, in the same step."""
    env = vector_env()
    env.reset(seed=0)
    actions = np.random.default_rng(0).uniform(-1, 1, (40, 3, 8)).astype(np.float32)
    for action in actions[:5]:
        env.step(action)

    snapshot = env.snapshot(2)
    rows = [env.step(action[[0, 1, 2]]) for action in actions[5:]]
    env.restore(snapshot, 0)
    again = [env.step(action[[2, 1, 0]]) for action in actions[5:]]
    for row, repeated in zip(rows, again, strict=True):
        for part, other in zip(row[1:4], repeated[1:4], strict=True):
            assert part[2] == other[0]
        for name, values in row[0].items():
            if name == "pixels":
                continue
            assert values[2].tobytes() == repeated[0][name][0].tobytes(), name
        for name, frames in row[0]["pixels"].items():
            assert (frames[2] == repeated[0]["pixels"][name][0]).all()
    assert any(row[3].any() for row in rows)


def test_a_vector_environment_is_copied_whole() -> None:
    env = vector_env()
    env.reset(seed=0)
    env.action_space.seed(3)
    twin = copy.deepcopy(env)
    for _ in range(30):
        action = env.action_space.sample()
        assert (action == twin.action_space.sample()).all()
        one = env.step(action)
        other = twin.step(action)
        assert flat(one[:4]) == flat(other[:4])
        assert list(one[4]) == list(other[4])


def test_an_episode_that_has_ended_has_ended_in_its_snapshot() -> None:
    env = vector_env(2, autoreset_mode="Disabled")
    env.reset(seed=0)
    while not env.step(env.action_space.sample())[3].any():
        pass
    ended = env.snapshot(0)
    env.reset()
    running = env.snapshot(1)
    env.restore(ended, 1)
    with pytest.raises(EmbodiedError, match=r"episodes of worlds \[1\] are over"):
        env.step(env.action_space.sample())
    env.restore(running, 1)
    env.step(env.action_space.sample())


def test_one_world_of_many_continues_in_an_environment_and_back() -> None:
    """And in worlds without cameras, as those of a planner are."""
    env = make("PanelReset").unwrapped
    many = vector_env(horizon_s=None)
    many.reset(seed=7)
    actions = np.random.default_rng(0).uniform(-1, 1, (20, 8)).astype(np.float32)
    many.step(actions[[0, 1, 2]])
    observation = env.restore(many.snapshot(1))

    blind = vector_env(4, obs="state", camera_hz=None, horizon_s=None)
    blind.restore(env.snapshot())
    for action in actions:
        observation, reward, *_ = env.step(action)
        seen, rewards, *_ = blind.step(np.tile(action, (4, 1)))
        assert (rewards == reward).all()
        assert (seen["agent_pos"] == observation["agent_pos"]).all()
    many.restore(env.snapshot(), [0, 2])


# What does not fit


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"task": "PanelReset"},
            "of task 'ToteTransfer', these worlds are of 'PanelReset'",
        ),
        ({"robot": "wheeled_arm"}, "of robot 'arm', these worlds are of 'wheeled_arm'"),
        ({"control_mode": "ee_delta"}, "of control_mode 'joint_delta'"),
        ({"obs": "both"}, "has no 'cameras/frames/overview'.*the same cameras"),
    ],
)
def test_a_snapshot_of_other_worlds_is_refused(
    settings: dict[str, Any], message: str
) -> None:
    snapshot = Worlds(env_config(), 1).snapshot()
    others = Worlds(env_config(**settings), 1)
    before = others.integration_state()
    with pytest.raises(EmbodiedError, match=message):
        others.restore(snapshot)
    assert (others.integration_state() == before).all()


def test_frames_of_another_size_and_other_things_are_refused() -> None:
    worlds = Worlds(env_config(obs="both", image_size=32), 2)
    small = Worlds(env_config(obs="both", image_size=16), 1).snapshot()
    with pytest.raises(EmbodiedError, match=r"shape \(16, 16, 3\).*\(32, 32, 3\)"):
        worlds.restore(small, 0)
    with pytest.raises(EmbodiedError, match="expected a Snapshot.*dict"):
        worlds.restore({})  # type: ignore[arg-type]
    with pytest.raises(EmbodiedError, match="a snapshot of 2 worlds for 1"):
        worlds.restore(worlds.snapshot(), 0)


@pytest.mark.parametrize("worlds", [2, -1, [0, 2], [], 0.5, "0", [[0]]])
def test_worlds_that_do_not_exist_are_refused(worlds: Any) -> None:
    with pytest.raises(EmbodiedError, match="expected whole numbers from 0 to 1"):
        Worlds(env_config(), 2).snapshot(worlds)


def test_a_world_stands_there_only_once() -> None:
    with pytest.raises(EmbodiedError, match="only once"):
        Worlds(env_config(), 2).snapshot([1, 1])


# The parts


FALLING = """
<mujoco>
  <worldbody>
    <body name="ball" pos="0 0 1">
      <freejoint/>
      <geom name="ball" size="0.1" mass="1"/>
      <site name="s"/>
    </body>
    <geom name="floor" type="plane" size="5 5 1"/>
  </worldbody>
  <sensor><accelerometer site="s"/><framepos objtype="site" objname="s"/></sensor>
</mujoco>
"""


def falling(num: int = 2) -> CpuEngine:
    engine = CpuEngine(mujoco.MjModel.from_xml_string(FALLING), num, 1)
    engine.refresh(np.arange(num))
    return engine


def test_an_engine_shows_forces_as_they_were() -> None:
    """Accelerations belong to the substep before, from which nothing is kept."""
    engine = falling()
    engine.view("qfrc_applied")[:, 2] = [3.0, 20.0]
    sensors = engine.view("sensordata")
    forces = engine.view("qfrc_constraint")
    engine.step(150)
    before = [sensors[1].copy(), forces[1].copy()]
    assert before[0].any()
    kept = engine.keep(np.array([1]))

    other = falling(3)
    other.recall(np.array([0]), kept)
    assert other.view("sensordata")[0].tobytes() == before[0].tobytes()
    assert other.view("qfrc_constraint")[0].tobytes() == before[1].tobytes()
    assert not other.view("sensordata").flags.writeable


def test_an_engine_computes_constants_of_what_they_were_computed_of() -> None:
    """A mass that was changed since counts as a mass, but not yet in what follows from
    it; and a field in which worlds differ here only, is the model's.
    """
    engine = falling()
    engine.view("qvel")[:, 0] = 1.0
    engine.model_view("body_mass")[:, 1] = [2.0, 3.0]
    engine.refresh(np.arange(2))
    engine.model_view("body_mass")[:, 1] = [5.0, 7.0]
    engine.step(10)
    kept = engine.keep(np.array([1]))

    other = falling()
    other.model_view("geom_friction")[0, 0] = [0.1, 0.0, 0.0]
    other.recall(np.array([0]), kept)
    assert (other.model_view("geom_friction")[0] == other.model.geom_friction).all()
    for one, place in ((engine, 1), (other, 0)):
        model = one.world_model(place)
        assert model.body_mass[1] == 7.0
        assert model.body_subtreemass[1] == 3.0
    for _ in range(5):
        engine.step(50)
        other.step(50)
        assert engine.state()[1].tobytes() == other.state()[0].tobytes()


@given(
    st.integers(0, 2**63),
    st.lists(st.sampled_from(["int", "float", "half"]), max_size=9),
)
def test_a_generator_goes_on_from_its_words(seed: int, draws: list[str]) -> None:
    generator = np.random.default_rng(seed)
    for kind in draws:
        if kind == "half":  # leaves half of a word for the next draw
            generator.integers(2**31, dtype=np.uint32)
        else:
            generator.integers(2**63) if kind == "int" else generator.normal()
    words = generator_words(generator)
    assert words.dtype == np.uint64
    again = generator_at(words)
    assert generator.integers(2**31, size=3, dtype=np.uint32).tolist() == (
        again.integers(2**31, size=3, dtype=np.uint32).tolist()
    )
    assert (generator.random(5) == again.random(5)).all()


def test_a_generator_of_another_kind_is_refused() -> None:
    with pytest.raises(EmbodiedError, match="MT19937: expected PCG64"):
        generator_words(np.random.Generator(np.random.MT19937(0)))


def test_a_snapshot_is_plain_data() -> None:
    snapshot = eventful_worlds(2, 1).snapshot()
    assert isinstance(snapshot, Snapshot)
    assert all(type(values) is np.ndarray for values in snapshot.arrays.values())
    assert all(values.dtype != object for values in snapshot.arrays.values())
    assert {len(values) for values in snapshot.arrays.values()} == {2}
