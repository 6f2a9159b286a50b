"""A mistake in a task of one's own is one line, before it crashes or goes wrong in
silence: it names the task, the method and what was expected.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from embodied.core import Layout, skill_index
from embodied.envs.measures import Measure
from embodied.envs.task import Outcome, TaskSpec, TaskStage
from embodied.envs.variation import Choice, Interval, Variation, row
from embodied.errors import EmbodiedError
from embodied.plan import Payload, PlanShape
from embodied.policies.plans import check_payload
from embodied.policies.registry import find_policy
from embodied.rollout.rollout import rollout
from tests.own_tasks import (
    cube_to_plate,
    own_tasks_forgotten,
    with_method,
    worlds_of,
)

SPILLED = Measure("spilled", "1", "share of the water that missed the cup")


@pytest.fixture(scope="module")
def cube() -> TaskSpec:
    with own_tasks_forgotten():
        return cube_to_plate()


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    with own_tasks_forgotten():
        yield


def message(action: Any, *arguments: Any, **named: Any) -> str:
    """The one line with which something is refused."""
    with pytest.raises(EmbodiedError) as caught:
        action(*arguments, **named)
    text = str(caught.value)
    assert "\n" not in text
    return text


def judged(**changes: Any) -> Any:
    """A method `judge` whose outcome differs from the tutorial's."""

    def judge(self: Any) -> Outcome:
        outcome = type(self).__mro__[1].judge(self)
        return replace(outcome, **{k: make(outcome) for k, make in changes.items()})

    return judge


def reset_message(spec: TaskSpec) -> str:
    worlds = worlds_of(spec)
    return message(worlds.reset, np.arange(2), [0, 1])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": "Cube To Plate"}, "a task's name consists of"),
        ({"summary": ""}, "summary must be a phrase"),
        ({"cameras": "overview"}, "cameras must be a tuple of names"),
        ({"cameras": ("hand/eye",)}, "unlike 'hand/eye'"),
        ({"horizon_s": 0}, "horizon_s must be seconds above 0"),
        ({"horizon_s": float("nan")}, "horizon_s must be seconds above 0"),
        ({"horizon_s": "15"}, "horizon_s must be seconds above 0"),
        ({"driving_s": -1.0}, "driving_s must be seconds of at least 0"),
        ({"base_start": (0.0, 1.0)}, "base_start must be x, y in m and yaw"),
        ({"places": ((0.0, 1.0),)}, "places must each be x, y in m and yaw"),
        ({"build": None}, "build must be a function"),
        ({"expert": "expert"}, "expert must be a function"),
        ({"table": ()}, "table must be a tuple of rows"),
        ({"table": ({"name": "x"},)}, "which is no row"),
        ({"table": (row("cube_x", "layout", L1=1.0),)}, "add *COMMON to it"),
        ({"constant": "plate_pos_w.0"}, "constant must be a tuple of names"),
        ({"stages": (TaskStage("a", 0.5, 5.0),) * 2}, "two stages of the name 'a'"),
        ({"measures": (SPILLED,) * 2}, "two measures of the name 'spilled'"),
    ],
)
def test_a_spec_is_checked_when_it_is_made(
    cube: TaskSpec, changes: dict[str, Any], said: str
) -> None:
    text = message(replace, cube, **changes)
    assert said in text
    assert "name" in changes or text.startswith("task CubeToPlate: ")


def test_a_table_has_no_name_twice(cube: TaskSpec) -> None:
    text = message(replace, cube, table=(*cube.table, cube.table[0]))
    assert "two rows of the name 'cube_x'" in text


@pytest.mark.parametrize(
    ("name", "factor", "ranges", "said"),
    [
        ("x", "layout", {"L1": (0.52, 0.44)}, "row 'x', L1: the interval (0.52, 0.44)"),
        ("x", "layout", {"L1": 0.5, "L3": (2.0, 1.0)}, "row 'x', L3: "),
        ("x", "layout", {"L1": 0.5, "held_out": (2.0, 1.0)}, "row 'x', held_out: "),
        ("x", "layout", {"L1": (0.1, 0.2, 0.3)}, "write [0.1, 0.2, 0.3]"),
        ("x", "layout", {"L1": (0.1, np.nan)}, "two finite numbers"),
        ("x", "layout", {"L1": ("a", "b")}, "two finite numbers"),
        ("x", "layout", {"L1": []}, "at least one value"),
        ("x", "layout", {"L1": "red", "L2": (0.1, 0.2)}, "'red' stands beside an int"),
        ("x", "place", {"L1": 0.5}, "unknown factor 'place'"),
        ("the x", "layout", {"L1": 0.5}, "unlike 'the x'"),
    ],
)
def test_a_row_is_checked_when_it_is_made(
    name: str, factor: str, ranges: dict[str, Any], said: str
) -> None:
    assert said in message(row, name, factor, **ranges)


def test_ranges_take_numpys_numbers() -> None:
    assert Interval(np.float32(0.5), np.int64(1)).high == 1
    assert message(Interval, 0.52, 0.44).endswith("write (0.44, 0.52)")
    assert "at least one value" in message(Choice, ())


@pytest.mark.parametrize(
    ("measured", "said"),
    [
        ({}, "arrays (N,) by the names of its spec, spilled"),
        ({"spilled": np.zeros(2), "other": np.zeros(2)}, "the names of its spec"),
        (None, "the names of its spec"),
        ({"spilled": np.full(2, np.nan)}, "finite numbers: spilled is nan"),
        ({"spilled": np.zeros((2, 2))}, "spilled must be an array (N,)"),
        ({"spilled": 0.5}, "spilled must be an array (N,)"),
    ],
)
def test_what_a_task_measures_is_checked(
    cube: TaskSpec, measured: Any, said: str
) -> None:
    spec = with_method(cube, "measures", lambda self: measured)
    worlds = worlds_of(replace(spec, measures=(SPILLED,)))
    worlds.reset(np.arange(2), [0, 1])
    text = message(worlds.measures_of, 0)
    assert said in text
    assert text.startswith("task Variant: measures")


def test_a_task_with_measures_has_the_method(cube: TaskSpec) -> None:
    text = message(worlds_of, replace(cube, measures=(SPILLED,)))
    assert "which has no method 'measures'" in text


@pytest.mark.parametrize("goal_progress", [0.0, 1.5, float("nan"), "half"])
def test_a_stage_is_checked_when_it_is_made(goal_progress: Any) -> None:
    text = message(TaskStage, "reach", goal_progress, 5.0)
    assert "stage reach: goal_progress must be above 0 and at most 1" in text


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"cameras": ("overveiw",)}, "task Other: cameras names one that"),
        ({"beauty_camera": "hallway"}, "task Other: beauty_camera names one that"),
        ({"build": lambda robot: None}, "task Other: build: it must return the scene"),
        (
            {"build": lambda robot: {}["x"]},
            "task Other: build raised KeyError: 'x' (te",
        ),
        ({"bind": lambda engine, robot: 1 / 0}, "task Other: bind raised ZeroDivision"),
        ({"bind": lambda engine, robot: None}, "has no method 'start'"),
    ],
)
def test_a_scene_is_checked_when_worlds_are_made(
    cube: TaskSpec, changes: dict[str, Any], said: str
) -> None:
    assert said in message(worlds_of, replace(cube, name="Other", **changes))


@pytest.mark.parametrize(
    ("attribute", "value", "said"),
    [
        ("state_layout", (("cube_pos_w", 3),), "state_layout must be a Layout"),
        ("state_layout", Layout((("a", 0),)), "width of 'a' must be a whole number"),
        ("state_layout", Layout((("a", 1), ("a", 2))), "unlike 'a'"),
        ("state_layout", Layout((("a b", 1),)), "unlike 'a b'"),
        ("memory", lambda self: None, "memory must return a dictionary"),
        ("memory", lambda self: {"x": 0.0}, "memory()['x'] must be an array (N, ...)"),
        ("memory", lambda self: {"x": np.zeros(3)}, "with N = 2 worlds"),
        ("memory", lambda self: {"x": np.zeros(2)}, "another array at each call"),
        ("memory", lambda self: {"a/b": np.zeros(2)}, "a name consists of the"),
        ("memory", lambda self: {"x": np.array(["a", "b"])}, "must hold numbers"),
        ("memory", lambda self: self.nothing, "memory raised AttributeError"),
    ],
)
def test_a_task_is_checked_when_it_is_bound(
    cube: TaskSpec, attribute: str, value: Any, said: str
) -> None:
    text = message(worlds_of, with_method(cube, attribute, value))
    assert text.startswith("task Variant: ")
    assert said in text


@pytest.mark.parametrize(
    ("method", "said"),
    [
        (lambda self, world, seed, variation: None, "must return a dictionary"),
        (lambda self, world, seed, variation: {"x": 1}, "a sentence as 'instruction'"),
        (
            lambda self, world, seed, variation: {"instruction": ""},
            "not ''; it returned",
        ),
        (lambda self, world, seed, variation: {"instruction": 3}, "not 3; it returned"),
        (lambda self, world, seed, variation: {}["x"], "start raised KeyError: 'x'"),
        (
            lambda self, world, seed, variation: variation.sample(seed, "cube_z"),
            "unknown variable of the table 'cube_z'. Did you mean 'cube_",
        ),
    ],
)
def test_what_an_episode_starts_with_is_checked(
    cube: TaskSpec, method: Any, said: str
) -> None:
    text = reset_message(with_method(cube, "start", method))
    assert text.startswith("task Variant: start")
    assert said in text


def wider(self: Any) -> np.ndarray:
    return np.zeros((2, 16))


def with_nan(self: Any) -> np.ndarray:
    state = np.zeros((2, 15))
    state[1, 12] = np.nan
    return state


@pytest.mark.parametrize(
    ("method", "said"),
    [
        (wider, "of shape (2, 15), for 2 worlds and the 15 numbers of state_layout"),
        (lambda self: np.zeros((2, 14)), "not a ndarray of shape (2, 14)"),
        (lambda self: np.zeros(15), "not a ndarray of shape (15,)"),
        (lambda self: [[0.0] * 15] * 2, "not a list"),
        (lambda self: None, "not None"),
        (lambda self: np.zeros((2, 15), int), "floating-point numbers"),
        (with_nan, "finite numbers: plate_pos_w has nan"),
    ],
)
def test_a_state_is_checked_at_the_first_reset(
    cube: TaskSpec, method: Any, said: str
) -> None:
    text = reset_message(with_method(cube, "state", method))
    assert text.startswith("task Variant: state must return ")
    assert said in text


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"progress": lambda o: 0.5}, "progress must be an array of numbers in [0, 1]"),
        ({"progress": lambda o: o.progress[:, None]}, "not a ndarray of shape (2, 1)"),
        ({"progress": lambda o: o.progress + 1}, "progress must be in [0, 1]"),
        ({"progress": lambda o: o.progress - 1}, "progress must be in [0, 1]"),
        ({"progress": lambda o: o.progress * np.nan}, "reward, not nan"),
        ({"progress": lambda o: o.success}, "not of the dtype bool"),
        ({"success": lambda o: False}, "success must be an array of bool"),
        ({"success": lambda o: o.progress}, "not of the dtype float64"),
        ({"success": lambda o: o.success[:1]}, "of shape (2,), one for each world"),
        ({"lost": lambda o: None}, "lost must be an array of bool"),
        ({"lost": lambda o: o.lost.astype(int)}, "not of the dtype int64"),
        ({"dropped": lambda o: 0.5}, "dropped must be an array of counts"),
        ({"dropped": lambda o: o.progress}, "not of the dtype float64"),
    ],
)
def test_a_judgement_is_checked_at_the_first_reset(
    cube: TaskSpec, changes: dict[str, Any], said: str
) -> None:
    text = reset_message(with_method(cube, "judge", judged(**changes)))
    assert text.startswith("task Variant: judge: ")
    assert said in text


def test_a_judgement_of_another_type_is_refused(cube: TaskSpec) -> None:
    text = reset_message(with_method(cube, "judge", lambda self: (True, 0.5, False)))
    assert "judge must return an Outcome(success, progress, lost), not a tuple" in text


def test_what_goes_wrong_later_is_found_later(cube: TaskSpec) -> None:
    """After 1, 2, 4, ... steps."""
    calls = []

    def progress(outcome: Outcome) -> np.ndarray:
        calls.append(0)
        return outcome.progress + (len(calls) > 12)

    worlds = worlds_of(with_method(cube, "judge", judged(progress=progress)))
    worlds.reset(np.arange(2), [0, 1])

    def run() -> None:
        for _ in range(20):
            worlds.step(np.zeros((2, 8)))

    assert "progress must be in [0, 1]" in message(run)


def test_a_world_that_broke_is_not_checked(cube: TaskSpec) -> None:
    worlds = worlds_of(cube)
    worlds.reset(np.arange(2), [0, 1])
    for _ in range(4):
        actions = np.zeros((2, 8))
        actions[1] = np.nan
        worlds.step(actions)


def test_the_checks_change_no_bit(cube: TaskSpec) -> None:
    """They cost some at the first steps only, and their reads have no effect."""
    first = worlds_of(cube, level="L3")
    later = worlds_of(cube, level="L3")
    later.reset(np.arange(2), [8, 9])
    for _ in range(3):
        later.step(np.zeros((2, 8)))

    for worlds in (first, later):
        worlds.reset(np.arange(2), [0, 1])
    for _ in range(5):
        one = first.step(np.full((2, 8), 0.3))
        two = later.step(np.full((2, 8), 0.3))
        assert one.reward.tobytes() == two.reward.tobytes()
        assert (first.checksum() == later.checksum()).all()


def test_an_unknown_skill_is_named() -> None:
    assert "unknown skill 'grap'. Did you mean 'grasp'?" in message(skill_index, "grap")


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("subtask", np.array([99, 0]), "below 16, the number of SKILLS, not 99"),
        ("subtask", np.array([0.0, 1.0]), "whole numbers"),
        ("subtask", "grasp", "must be an array of shape (2,)"),
        ("goal_pos_w", np.zeros((2, 3)), "of shape (2, 1, 3)"),
        (
            "goal_pos_w",
            np.full((2, 1, 3), np.nan),
            "goal_pos_w of a plan must be finite",
        ),
        ("gripper", 1.0, "not 1.0"),
    ],
)
def test_a_planners_first_plans_are_checked(
    cube: TaskSpec, field: str, value: Any, said: str
) -> None:
    good = Payload.empty(2, PlanShape())
    check_payload(good, 2, PlanShape())
    bad = replace(good, **{field: value})
    assert said in message(check_payload, bad, 2, PlanShape())

    def expert(agent: Layout, state: Layout, robot: Any) -> Any:
        planner, controller = cube.expert(agent, state, robot)
        planner.plan = lambda observation, ids: bad
        return planner, controller

    spec = replace(cube, name="Planned", expert=expert)
    worlds = worlds_of(spec, control_mode="ee_delta", control_hz=200)
    assert said in message(rollout, worlds, find_policy("expert").make(worlds), [0, 1])


def test_a_sample_of_an_unknown_variable_is_refused(cube: TaskSpec) -> None:
    variation = Variation(cube.table, "L1", "train")
    text = message(variation.sample, 0, "cube_xx")
    assert "unknown variable of the table 'cube_xx'. Did you mean 'cube_x'?" in text
