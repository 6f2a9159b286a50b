"""What ValveTurn says and does: orders, names, surges, success."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embodied.envs.tasks.valve_turn.episode import (
    APART_DEG,
    start_and_target,
    valve_name,
)
from embodied.envs.tasks.valve_turn.task import ANGLE_RAD, ValveTurn
from embodied.envs.tasks.valve_turn.variation import (
    HELD_OUT_SENTENCES,
    TRAIN_SENTENCES,
    command_of,
)
from embodied.envs.worlds import Worlds
from embodied.policies.registry import find_policy
from embodied.rollout.rollout import EpisodeResult, Step, rollout
from tests.ground import expert_worlds, idle_action, started_worlds

TASK = "ValveTurn"
N = 16
orders = st.sampled_from(sorted(TRAIN_SENTENCES))
angles = st.floats(0, 120)


def named(worlds: Worlds) -> np.ndarray:  # (N,)
    return worlds.task.memory()["valve"]


def angles_of(worlds: Worlds) -> np.ndarray:  # (N, K)
    assert isinstance(worlds.task, ValveTurn)
    return worlds.task._props.valves.angles().copy()


def turn_to(worlds: Worlds, world: int, valve: int, angle: float) -> None:
    joint = worlds.model.joint(f"valve_{valve}_handle")
    worlds.engine.view("qpos")[world, joint.qposadr[0]] = angle
    worlds.engine.refresh(np.array([world]))


def rest(worlds: Worlds, seconds: float) -> Any:
    action = idle_action(worlds)
    results = [
        worlds.step(action) for _ in range(int(seconds * worlds.config.control_hz))
    ]
    return results[-1]


@given(order=orders, sampled=angles, angle=angles)
def test_starts_and_targets_are_on_the_scale_and_apart(
    order: str, sampled: float, angle: float
) -> None:
    start, target = start_and_target(order, sampled, angle)
    assert 0 <= start <= 120
    assert 0 <= target <= 120
    assert abs(target - start) >= APART_DEG - 1e-9
    if order in ("more", "less"):
        assert target - start == pytest.approx(90 if order == "more" else -90)
    if order == "turn":
        assert target == angle


@given(sampled=st.lists(angles, min_size=2, max_size=2, unique=True))
def test_different_draws_give_different_starts(sampled: list[float]) -> None:
    starts = [start_and_target("turn", value, 60.0)[0] for value in sampled]
    assert (starts[0] < starts[1]) == (sampled[0] < sampled[1]) or starts[
        0
    ] == pytest.approx(starts[1])


def test_a_name_fits_one_valve_only() -> None:
    assert valve_name(["red", "blue"], 1, "colour") == "blue"
    assert valve_name(["red", "red", "blue"], 1, "colour") == "middle red"
    assert valve_name(["red", "red"], 1, "colour") == "right red"
    assert valve_name(["red", "blue"], 0, "place") == "left"


def test_every_order_has_train_and_held_out_sentences() -> None:
    assert set(TRAIN_SENTENCES) == set(HELD_OUT_SENTENCES)
    for sentences in (TRAIN_SENTENCES, HELD_OUT_SENTENCES):
        for order, texts in sentences.items():
            for text in texts:
                assert command_of(text) == order
                assert ("{angle}" in text) == (order == "turn"), text


@pytest.mark.parametrize("split", ["train", "instruction"])
def test_instructions_say_what_is_asked(split: str) -> None:
    worlds = started_worlds(N, task=TASK, level="L3", split=split)
    for world, sentence in enumerate(worlds.instructions):
        sampled = worlds.variation_of(world)
        colour = sampled["colour"][sampled["target"] % sampled["valves"]]
        assert colour in sentence or any(
            place in sentence for place in ("left", "middle", "right")
        )
        if "{angle}" in sampled["sentence"]:
            assert str(sampled["target_angle"]).removesuffix(".0") in sentence


def test_valves_stay_and_below_l4_nothing_happens() -> None:
    for level in ("L1", "L3"):
        worlds = started_worlds(4, task=TASK, level=level)
        before = angles_of(worlds)
        assert not rest(worlds, 2.5).success.any()
        np.testing.assert_allclose(angles_of(worlds), before, atol=1e-3)


def test_the_named_valve_at_its_angle_is_a_success_once_it_has_stayed() -> None:
    worlds = started_worlds(2, task=TASK, level="L1")
    target = worlds.task.memory()["target"]
    turn_to(worlds, 0, int(named(worlds)[0]), target[0] + 0.8 * ANGLE_RAD)
    assert not rest(worlds, 0.3).success[0]
    result = rest(worlds, 0.4)
    assert result.success.tolist() == [True, False]
    assert result.progress[0] == 1
    turn_to(worlds, 0, int(named(worlds)[0]), target[0] + 1.2 * ANGLE_RAD)
    assert not rest(worlds, 0.1).success_now[0]


def test_another_valve_that_was_moved_must_be_put_back() -> None:
    worlds = started_worlds(1, task=TASK, level="L1")
    valve = int(named(worlds)[0])
    other = (valve + 1) % 3
    before = angles_of(worlds)[0, other]
    turn_to(worlds, 0, valve, worlds.task.memory()["target"][0])
    turn_to(worlds, 0, other, before + np.deg2rad(12) * (1 if before < 1 else -1))
    result = rest(worlds, 0.7)
    assert not result.success_now[0]
    assert not result.terminated[0]
    turn_to(worlds, 0, other, before + np.deg2rad(2))
    assert rest(worlds, 0.7).success[0]


def test_at_l4_a_surge_turns_the_named_valve_alone() -> None:
    worlds = started_worlds(N, task=TASK, level="L4")
    late = np.array([worlds.variation_of(world)["push_late"] for world in range(N)])
    assert 2 < late.sum() < N - 2
    before = angles_of(worlds)

    # Some surges come within 2.5 s, the late ones only once the valve stands right.
    rest(worlds, 2.5)
    moved = np.abs(angles_of(worlds) - before)
    own = moved[np.arange(N), named(worlds)]
    assert not worlds.task.judge().success.any()
    assert (own[~late] > np.deg2rad(12)).all()
    assert (own[late] < 1e-3).all()

    moved[np.arange(N), named(worlds)] = 0
    assert moved.max() < 1e-3

    # The late ones come once their valves stand right, before that counts.
    target = worlds.task.memory()["target"]
    for world in np.flatnonzero(late):
        turn_to(worlds, world, int(named(worlds)[world]), target[world])
    assert not rest(worlds, 1.0).success[late].any()
    away = np.abs(angles_of(worlds)[np.arange(N), named(worlds)] - target)
    assert (away[late] > np.deg2rad(12)).all()


class Others:
    """A hook that keeps how far valves were moved that were not named."""

    moved = 0.0

    def on_start(self, worlds: Worlds, *_: Any) -> None: ...

    def on_step(self, worlds: Worlds, step: Step) -> None:
        moved = np.abs(angles_of(worlds) - worlds.task.memory()["start"])
        moved[np.arange(worlds.num_worlds), named(worlds)] = 0
        self.moved = max(self.moved, moved.max())

    def on_end(self, worlds: Worlds, world: int, result: EpisodeResult) -> None: ...


@pytest.mark.parametrize("kind", ["lever", "wheel"])
@pytest.mark.slow
def test_the_expert_turns_by_the_whole_scale_and_touches_no_other(kind: str) -> None:
    """In both directions, at the outer places too."""
    place = {"lever": 0, "wheel": 1}[kind]

    for angle, start in ((120, 0.0), (0, 120.0)):
        # From one end of the scale to the other, with high friction.
        sampled = {
            "target": place,
            "angle": angle,
            "start_angle": start,
            "sentence": "Turn the {valve} valve to {angle} degrees.",
            "friction": 1.2,
        }
        worlds = expert_worlds(2, task=TASK, level="L3", factors=sampled)

        others = Others()
        results = rollout(worlds, find_policy("expert").make(worlds), [1, 2], [others])
        assert all(result.success_at_end for result in results)
        assert others.moved < np.deg2rad(0.5)
