"""What every registered task keeps to, with each of its robots, in each control mode."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import array_api_compat.torch as xp_torch
import gymnasium
import mujoco
import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env
from stable_baselines3.common.env_checker import check_env as check_env_sb3

from embodied.envs.registry import get_task, task_names
from embodied.envs.scoring import StepResult
from embodied.envs.tasks.panel_reset.variation import HELD_OUT_PLACES
from embodied.envs.variation import LEVELS, SPLITS
from embodied.envs.worlds import Worlds
from embodied.errors import EmbodiedError
from embodied.policies.registry import find_policy
from embodied.robots.control import RobotControl
from embodied.rollout.rollout import EpisodeResult, Step, rollout
from embodied.sim.engine import FAULTS, Engine
from tests.ground import (
    CASES,
    TASKS_AND_ROBOTS,
    env_config,
    expert_worlds,
    random_actions,
    started_worlds,
)

# Observation elements that do not change by design, at a level and all below it.
CONSTANT = {
    "ToteTransfer": {
        # all totes have one width, that of the gripper's approach
        "L3": {"tote_size.1"},
        "L1": {"tote_size.0", "belt_speed.0"},
    },
    "TableWipe": {"L1": {"table_z.0"}},
    "ValveTurn": {
        "L1": {
            "valve_pos_w.0",
            "valve_pos_w.2",
            *(f"other_valves_pos_w.{k}" for k in (0, 2, 3, 5)),
        }
    },
    "PanelReset": {
        "L1": {
            *(f"panel_pos_w.{k}" for k in range(3)),
            *(f"lamps.{k}" for k in HELD_OUT_PLACES),
        }
    },
    "DrawerTidy": {"L3": {"drawer_pos_w.2"}},  # the counter's height
    "ParcelSort": {
        # no random motion gets a parcel under the scanner
        "L3": {f"parcel_scanned.{k}" for k in range(3)},
        # parcels of one size on a belt at rest, no third one, scanner and bins where
        # they belong
        "L1": {
            *("belt_speed.0", "parcel_wanted.2", "scanner_xy_w.0", "scanner_xy_w.1"),
            *(
                "parcel_bin_xy_w.4",
                "parcel_bin_xy_w.5",
                *(f"parcel_size.{k}" for k in range(9)),
            ),
            *(
                f"{name}.{k}"
                for name in ("parcel_pos_w", "parcel_vel_w", "label_w")
                for k in (6, 7, 8)
            ),
            *(f"parcel_rot6d.{k}" for k in range(12, 18)),
        },
    },
}
BROAD = ("train", "all")  # splits
RESTING_M = 1e-3  # how deep things may sink into each other at a start
every_case = pytest.mark.parametrize(("task", "robot", "mode"), CASES)
every_pair = pytest.mark.parametrize(("task", "robot"), TASKS_AND_ROBOTS)
# the same where it takes long: slow but with each task's default robot
every_pair_partly_slow = pytest.mark.parametrize(
    ("task", "robot"),
    [
        (task, robot)
        if robot == get_task(task).default_robot
        else pytest.param(task, robot, marks=pytest.mark.slow)
        for task, robot in TASKS_AND_ROBOTS
    ],
)
every_task = pytest.mark.parametrize("task", task_names())


def settings(task: str, robot: str, mode: str) -> dict[str, Any]:
    return {"task": task, "robot": robot, "control_mode": mode}


def make(task: str, robot: str, mode: str, **more: Any) -> gymnasium.Env[Any, Any]:
    return gymnasium.make(
        get_task(task).env_id, robot=robot, control_mode=mode, num_threads=1, **more
    )


def trace(worlds: Worlds, actions: np.ndarray) -> list[tuple[np.ndarray, ...]]:
    """All that N worlds give out, step by step, each part (N, ...)."""
    rows = []

    for action in actions:
        result = worlds.step(action)
        observation = worlds.observe()
        # The result's fields stand first: `results_of` reads them back.
        parts = (
            *vars(result).values(),
            observation.agent_pos,
            observation.environment_state,
            worlds.integration_state(),
        )
        rows.append(parts)

    return rows


def results_of(rows: list[tuple[np.ndarray, ...]]) -> list[StepResult]:
    """Returns the step results in the rows of a trace."""
    num_fields = len(StepResult.__dataclass_fields__)
    return [StepResult(*row[:num_fields]) for row in rows]


def assert_same(
    a: list[tuple[np.ndarray, ...]],
    b: list[tuple[np.ndarray, ...]],
    ids: Any = slice(None),
) -> None:
    """Bit for bit, for the worlds `ids` of both."""
    for step, (row_a, row_b) in enumerate(zip(a, b, strict=True)):
        for k, (x, y) in enumerate(zip(row_a, row_b, strict=True)):
            assert x[ids].tobytes() == y[ids].tobytes(), f"step {step}, part {k}"


@every_case
def test_gymnasiums_checker(task: str, robot: str, mode: str) -> None:
    env = make(task, robot, mode)
    check_env(env.unwrapped, skip_render_check=True)  # a warning would be an error
    env.close()


@every_task
@pytest.mark.parametrize("obs", ["pixels", "both"])
def test_gymnasiums_checker_with_pixels_and_pictures(task: str, obs: str) -> None:
    for camera_hz in (None, 8):
        env = gymnasium.make(
            get_task(task).env_id,
            obs=obs,
            camera_hz=camera_hz,
            image_size=32,
            num_threads=1,
        )
        check_env(env.unwrapped, skip_render_check=camera_hz is not None)
        env.close()


@every_case
def test_stable_baselines_checker(task: str, robot: str, mode: str) -> None:
    check_env_sb3(make(task, robot, mode).unwrapped, skip_render_check=True)


def test_stable_baselines_checker_finds_nothing_but_that_pixels_are_nested() -> None:
    env = gymnasium.make(
        f"embodied/{task_names()[0]}-v0", obs="both", image_size=40, num_threads=1
    )
    # another one would be an error
    with pytest.warns(UserWarning, match="Nested observation spaces"):
        check_env_sb3(env.unwrapped, skip_render_check=True)
    env.close()


@every_case
def test_the_same_seed_and_actions_give_the_same_bits(
    task: str, robot: str, mode: str
) -> None:
    first, again = (
        started_worlds(4, **settings(task, robot, mode), level="L4") for _ in range(2)
    )
    actions = random_actions(first, 30)
    one = trace(first, actions)
    assert_same(one, trace(again, actions))
    first.reset(np.arange(4), range(4))  # and in worlds that were used before
    assert_same(one, trace(first, actions))


@every_case
def test_a_world_alone_is_the_world_among_sixteen(
    task: str, robot: str, mode: str
) -> None:
    many = started_worlds(16, **settings(task, robot, mode), level="L3")
    alone = started_worlds(1, 9, **settings(task, robot, mode), level="L3")
    actions = random_actions(many, 40)
    for among, single in zip(
        trace(many, actions), trace(alone, actions[:, 9:10]), strict=True
    ):
        for k, (x, y) in enumerate(zip(among, single, strict=True)):
            assert x[9].tobytes() == y[0].tobytes(), f"part {k}"


@every_case
def test_two_threads_give_the_bits_of_one(task: str, robot: str, mode: str) -> None:
    one, two = (
        started_worlds(8, **settings(task, robot, mode), num_threads=n) for n in (1, 2)
    )
    actions = random_actions(one, 30)
    assert_same(trace(one, actions), trace(two, actions))


@every_case
def test_observations_are_finite_and_within_their_bounds(
    task: str, robot: str, mode: str
) -> None:
    env = make(task, robot, mode, level="L3")
    space = cast(gymnasium.spaces.Dict, env.observation_space)
    observation, _ = env.reset(seed=0)
    rng = np.random.default_rng(0)

    # Actions at their limits drive the robot as far as it goes.
    for k in range(100):
        assert space.contains(observation)
        observation, reward, *_, info = env.step(
            rng.choice([-1, 1], env.action_space.shape).astype(np.float32)
        )
        assert 0 <= reward <= 1
        assert 0 <= info["progress"] <= 1
        if k % 40 == 39:
            observation, _ = env.reset()

    # Clipping is for broken worlds only.
    raw = env.unwrapped.worlds.observe()
    assert (np.abs(raw.agent_pos) <= space["agent_pos"].high + 1e-6).all()
    assert (
        np.abs(raw.environment_state) <= space["environment_state"].high + 1e-6
    ).all()


@every_pair_partly_slow
@pytest.mark.parametrize("level", ["L1", "L3"])
def test_no_observed_element_is_constant(task: str, robot: str, level: str) -> None:
    """Over 2,000 random steps in several episodes: what never changes is a dead sensor."""
    worlds = started_worlds(
        10, task=task, robot=robot, level=level, control_mode="joint"
    )

    rows = []
    for episode in range(4):
        worlds.reset(np.arange(10), range(10 * episode, 10 * episode + 10))
        for action in random_actions(worlds, 50, episode):
            worlds.step(action)
            observation = worlds.observe()
            parts = [observation.agent_pos, observation.environment_state]
            rows.append(np.concatenate(parts, axis=1))
    values = np.concatenate(rows)
    assert len(values) == 2000

    names = [
        f"{name}.{k}"
        for layout in (worlds.agent_layout, worlds.state_layout)
        for name, width in layout.parts
        for k in range(width)
    ]
    spreads = np.ptp(values, axis=0)
    constant = {
        name for name, spread in zip(names, spreads, strict=True) if spread == 0
    }

    # Some elements vary only from a certain level on.
    expected = [elements for at, elements in CONSTANT[task].items() if level <= at]
    assert constant == set().union(*expected)


@every_task
def test_consecutive_resets_differ(task: str) -> None:
    env = make(task, get_task(task).default_robot, "joint_delta", level="L1")
    states = [env.reset(seed=0)[0], env.reset()[0], env.reset()[0]]
    for one, other in pairwise(states):
        assert all(
            (one[key] != other[key]).any() for key in ("agent_pos", "environment_state")
        )


@every_task
def test_a_reset_forgets_the_episode_before(task: str) -> None:
    """What was done, sampled, broken or timed."""
    used = started_worlds(2, 50, task=task, level="L4")
    fresh = started_worlds(2, 3, task=task, level="L4")

    # 3 s with their surprises, at whose end world 1 breaks.
    actions = random_actions(used, 60)
    actions[-1, 1] = np.nan
    trace(used, actions)
    used.reset(np.arange(2), range(3, 5))

    observation = used.observe()
    expected = fresh.observe()
    assert observation.agent_pos.tobytes() == expected.agent_pos.tobytes()
    assert (
        observation.environment_state.tobytes() == expected.environment_state.tobytes()
    )
    assert observation.instruction == expected.instruction
    assert_same(trace(used, actions[:20]), trace(fresh, actions[:20]))


@every_case
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_bad_action_ends_only_its_world(
    task: str, robot: str, mode: str, value: float
) -> None:
    clean, hurt = (started_worlds(4, **settings(task, robot, mode)) for _ in range(2))
    actions = random_actions(clean, 12)
    # One element of one world's action, at the sixth of twelve steps.
    bad = actions.copy()
    bad[5, 2, 1] = value

    expected = trace(clean, actions)
    rows = trace(hurt, bad)
    assert_same(expected, rows, [0, 1, 3])

    # World 2 is faulty from that step on, and still shows finite numbers.
    results = results_of(rows)
    faults = [FAULTS[int(result.fault[2])] for result in results]
    assert faults == [""] * 5 + ["action_not_finite"] * 7
    terminated = [bool(result.terminated[2]) for result in results]
    assert terminated == [False] * 5 + [True] * 7
    assert all(r.reward[2] == 0 and not r.success[2] for r in results[5:])
    assert all(np.isfinite(part).all() for row in rows for part in row)


@every_task
@pytest.mark.parametrize(
    ("field", "value"), [("qvel", 1e12), ("qpos", np.nan), ("qpos", 1e15)]
)
def test_a_diverging_world_is_flagged_and_leaves_no_log(
    task: str, field: str, value: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # MuJoCo writes its warnings into the working directory.
    monkeypatch.chdir(tmp_path)
    clean, hurt = (started_worlds(3, task=task) for _ in range(2))
    actions = random_actions(clean, 8)

    # After three steps, world 1 gets a state that physics can't go on from.
    expected = trace(clean, actions[:3])
    rows = trace(hurt, actions[:3])
    hurt.engine.view(field)[1, 0] = value
    expected += trace(clean, actions[3:])
    rows += trace(hurt, actions[3:])
    assert_same(expected, rows, [0, 2])

    results = results_of(rows[3:])
    assert {FAULTS[int(r.fault[1])] for r in results} == {"diverged"}
    assert all(r.terminated.tolist() == [False, True, False] for r in results)
    assert all(np.isfinite(part).all() for row in rows for part in row)
    assert list(tmp_path.iterdir()) == []


@every_task
def test_a_world_that_broke_costs_no_more_than_the_others(task: str) -> None:
    """It goes on from its start, where nothing overlaps."""
    worlds = started_worlds(2, task=task, level="L1")
    hurt = random_actions(worlds, 1)[0]
    hurt[1] = np.nan
    worlds.step(hurt)
    worlds.step(np.zeros_like(hurt))
    assert abs(worlds.engine.world_data(1).ncon - worlds.engine.world_data(0).ncon) < 20


@every_case
def test_actions_of_another_shape_are_refused_by_name(
    task: str, robot: str, mode: str
) -> None:
    worlds = started_worlds(2, **settings(task, robot, mode))
    before = worlds.checksum()
    size = len(worlds.interface.low)

    # No batch, a batch of the wrong size, one element too many, one axis too many.
    for shape in ((size,), (1, size), (2, size + 1), (2, size, 1)):
        with pytest.raises(EmbodiedError) as caught:
            worlds.step(np.zeros(shape))
        message = str(caught.value)
        for text in (str(shape), str((2, size)), *worlds.interface.labels):
            assert text in message

    assert (worlds.checksum() == before).all()


@every_pair
@pytest.mark.parametrize(
    ("level", "split"),
    [
        (level, split)
        for split in SPLITS
        for level in LEVELS
        if level == "L3" or split in BROAD
    ],
)
def test_every_level_and_split_starts_clear_of_collisions_and_unsolved(
    task: str, robot: str, level: str, split: str
) -> None:
    worlds = started_worlds(8, 1000, task=task, robot=robot, level=level, split=split)
    outcome = worlds.task.judge()
    assert not outcome.success.any()
    assert not outcome.lost.any()

    for world in range(8):
        data = worlds.engine.world_data(world)
        model = worlds.engine.world_model(world)
        mujoco.mj_forward(model, data)
        for contact in data.contact[: data.ncon]:
            bodies = [model.body(model.geom_bodyid[geom]).name for geom in contact.geom]
            assert contact.dist > -RESTING_M, (
                f"seed {1000 + world}: {bodies} overlap by {-contact.dist * 1000:.1f} mm"
            )

    # Nothing ends by itself in the first steps, either.
    still = np.zeros((8, len(worlds.interface.low)))
    assert not any(worlds.step(still).terminated.any() for _ in range(5))
    assert np.isfinite(worlds.integration_state()).all()


@every_case
@pytest.mark.parametrize("level", LEVELS)
def test_a_recorded_start_and_its_actions_give_the_same_bits(
    task: str, robot: str, mode: str, level: str
) -> None:
    """In new worlds, of another number, in another place, which had another episode
    before.
    """
    first = started_worlds(3, 20, **settings(task, robot, mode), level=level)
    start = first.episode_start(2)
    actions = random_actions(first, 50)

    # World 2 of three is restored as world 1 of two.
    again = started_worlds(2, 90, **settings(task, robot, mode), level=level)
    again.step(actions[0, :2])
    again.restore(1, start)
    assert again.instructions[1] == first.instructions[2]
    assert (
        again.observe().agent_pos[1].tobytes() == first.observe().agent_pos[2].tobytes()
    )

    for action in actions:
        recorded = first.step(action)
        repeated = again.step(action[[0, 2]])
        assert first.checksum()[2] == again.checksum()[1]
        assert recorded.reward[2] == repeated.reward[1]
    assert (
        first.observe().environment_state[2].tobytes()
        == again.observe().environment_state[1].tobytes()
    )


class StateLog:
    """A hook that keeps the worlds' whole states, and the judgement of each, 5 times per
    second.
    """

    def __init__(self) -> None:
        self.states: list[
            tuple[np.ndarray, dict[str, np.ndarray], dict[str, np.ndarray]]
        ] = []
        self.judged: list[tuple[np.ndarray, np.ndarray]] = []

    def on_start(self, worlds: Worlds, *_: Any) -> None: ...

    def on_step(self, worlds: Worlds, step: Step) -> None:
        due = int(step.before.tick[0]) % 80 == 0
        if not (due and step.active.all()) or step.result.fault.any():
            return

        # Copies, because the worlds go on in the same arrays.
        parameters = {
            name: values.copy() for name, values in worlds.task.memory().items()
        }
        varied = {
            name: values.copy() for name, values in worlds.engine.model_views().items()
        }
        self.states.append((worlds.integration_state(), varied, parameters))
        self.judged.append(
            (step.result.success_now.copy(), step.result.progress.copy())
        )

    def on_end(self, worlds: Worlds, world: int, result: EpisodeResult) -> None: ...


@every_pair_partly_slow
def test_what_was_judged_is_judged_again_of_the_recorded_state(
    task: str, robot: str
) -> None:
    """The expert's way to success, frame by frame, in new worlds; and the expert does
    succeed.
    """
    worlds = expert_worlds(2, task=task, robot=robot, level="L2")
    log = StateLog()
    results = rollout(worlds, find_policy("expert").make(worlds), [3, 4], [log])
    assert all(result.success_at_end for result in results), [
        result.progress_max for result in results
    ]

    # The new worlds begin with other seeds: all that counts must come from the record.
    again = expert_worlds(2, task=task, robot=robot, level="L2")
    again.reset(np.arange(2), [8, 9])
    for (state, varied, parameters), (success, progress) in zip(
        log.states, log.judged, strict=True
    ):
        for name, values in varied.items():
            again.engine.model_view(name)[...] = values
        for name, values in parameters.items():
            again.task.memory()[name][...] = values
        again.engine.state()[...] = state
        again.engine.refresh(np.arange(2))

        outcome = again.task.judge()
        assert (outcome.success == success).all()
        np.testing.assert_allclose(outcome.progress, progress, atol=1e-9)
    assert len(log.states) > 5


@every_task
def test_a_start_of_another_model_is_refused(task: str) -> None:
    worlds = started_worlds(1, task=task)
    start = worlds.episode_start(0)
    short = type(start)(start.seed, start.state[:-1], start.fields)
    with pytest.raises(
        EmbodiedError, match="recorded state has .* numbers, this model"
    ):
        worlds.restore(0, short)


class TorchView:
    """The same worlds as torch tensors, as a GPU engine will give them."""

    xp = xp_torch

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.model = engine.model
        self.num_worlds = engine.num_worlds

    @property
    def version(self) -> int:
        return self._engine.version

    def view(self, field: str) -> torch.Tensor:
        values = self._engine.view(field)
        return (
            torch.from_numpy(values) if values.flags.writeable else torch.tensor(values)
        )

    def model_view(self, field: str) -> torch.Tensor:
        return torch.from_numpy(self._engine.model_view(field))


@pytest.fixture
def double_precision() -> Any:
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


@every_task
@pytest.mark.usefixtures("double_precision")
def test_judgement_and_state_run_on_torch(task: str) -> None:
    worlds = started_worlds(6, task=task, level="L4")
    for action in random_actions(worlds, 60):
        worlds.step(action)

    # The same task on torch tensors, over the same worlds' state.
    on_torch = worlds.spec.bind(TorchView(worlds.engine), worlds.robot)
    for name, values in worlds.task.memory().items():
        on_torch.memory()[name][...] = torch.from_numpy(values)

    np.testing.assert_allclose(
        on_torch.state().numpy(), worlds.task.state(), rtol=1e-12, atol=1e-15
    )

    outcome = on_torch.judge()
    for name, values in vars(worlds.task.judge()).items():
        judged = getattr(outcome, name)
        if name == "dropped" and isinstance(judged, int):
            continue  # a task in which nothing can fall
        assert isinstance(judged, torch.Tensor), name
        np.testing.assert_allclose(judged.numpy(), values, rtol=1e-9)

    # What a task changes before a step (belts, pushes) is the same from either.
    tick = np.arange(6) * 300
    worlds.task.before_step(tick)
    expected = {
        name: values.copy() for name, values in worlds.engine.model_views().items()
    }
    on_torch.before_step(torch.from_numpy(tick))
    assert all(
        (values == expected[name]).all()
        for name, values in worlds.engine.model_views().items()
    )


@every_case
@pytest.mark.usefixtures("double_precision")
def test_control_runs_on_torch(task: str, robot: str, mode: str) -> None:
    worlds = started_worlds(6, **settings(task, robot, mode))
    on_torch = RobotControl(
        worlds.robot, TorchView(worlds.engine), mode, worlds.config.control_hz
    )
    on_torch.reset(torch.ones(6, dtype=torch.bool))

    # Both control the same worlds; on torch first, so that NumPy's commands are those
    # that move them.
    for action in random_actions(worlds, 10).astype(np.float64):
        on_torch.apply(torch.from_numpy(action))
        worlds.control.apply(action)
        np.testing.assert_allclose(
            on_torch.joint_target.numpy(),
            worlds.control.joint_target,
            rtol=1e-9,
            atol=1e-12,
        )
        worlds.engine.step(20)


def test_a_config_is_the_key_to_its_worlds() -> None:
    """Metadata say enough to build the same worlds again."""
    worlds = Worlds(
        env_config(
            level="L3", split="light", control_mode="ee_delta", factors={"mass": 0.5}
        ),
        1,
    )
    saved = worlds.metadata()["config"]
    again = Worlds(env_config(**{**saved, "cameras": None}), 1)
    assert again.metadata() == worlds.metadata()
