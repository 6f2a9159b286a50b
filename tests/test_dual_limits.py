"""The limits of how fast actions change, and the safe stop."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from embodied.core import Observation
from embodied.policies.limits import HoldAction, ReferenceLimits

unhurried = settings(deadline=None)  # machines may be busy

# Two worlds with actions of three elements, the last of which is the gripper.
MAX_STEP = 0.1
GO = np.array([False, False])
STOP = np.array([True, True])


def observation_of(joints: np.ndarray | None = None) -> Observation:  # joints (2, 3)
    joints = np.zeros((2, 3)) if joints is None else joints
    return Observation(np.zeros(2, np.int64), joints, np.zeros((2, 0)), ("", ""))


def measured_joints(observation: Observation) -> np.ndarray:
    """The hold action of an absolute mode: stay where you are."""
    return observation.agent_pos


def make_limits(hold_action: HoldAction | None = None) -> ReferenceLimits:
    limits = ReferenceLimits(2, MAX_STEP, (-1,), hold_action)
    limits.reset(np.arange(2))
    return limits


def run(
    limits: ReferenceLimits, action: np.ndarray, stop: np.ndarray, steps: int
) -> np.ndarray:
    """What comes of the same action and stop at each step, (steps, 2, 3)."""
    return np.array(
        [limits.apply(action, stop, observation_of()) for _ in range(steps)]
    )


@unhurried
@given(
    actions=arrays(np.float32, (20, 2, 3), elements=st.floats(-1, 1, width=32)),
    stops=arrays(bool, (20, 2)),
)
def test_no_element_but_the_gripper_ever_jumps(
    actions: np.ndarray, stops: np.ndarray
) -> None:
    limits = make_limits()
    last = np.zeros((2, 3), np.float32)
    last[:, -1] = 1

    for action, stop in zip(actions, stops, strict=True):
        limited = limits.apply(action, stop, observation_of())

        # The gripper is free, or keeps its last value in a stop.
        gripper = np.where(stop, last[:, -1], action[:, -1])
        np.testing.assert_array_equal(limited[:, -1], gripper)

        # The others change by a step at most, and never away from their target.
        joints = limited[:, :-1]
        last_joints = last[:, :-1]
        assert (np.abs(joints - last_joints) <= MAX_STEP + 1e-6).all()
        target = np.where(stop[:, None], 0, action)[:, :-1]
        distance = np.abs(joints - target)
        assert (distance <= np.abs(last_joints - target) + 1e-6).all()
        last = limited


def test_an_action_within_the_limit_is_left_as_it_is() -> None:
    action = np.full((2, 3), 0.05, np.float32)

    limited = make_limits().apply(action, GO, observation_of())

    np.testing.assert_array_equal(limited, action)


def test_a_stop_ramps_to_zero_keeps_the_gripper_and_is_left_by_a_ramp() -> None:
    limits = make_limits()
    action = np.tile(np.float32([0.5, -1, -0.7]), (2, 1))
    run(limits, action, GO, steps=10)

    # Only world 0 is told to stop.
    stopping = run(limits, -action, np.array([True, False]), steps=12)
    going_on = run(limits, action, GO, steps=3)

    np.testing.assert_allclose(stopping[:5, 0, 0], [0.4, 0.3, 0.2, 0.1, 0], atol=1e-6)
    assert np.abs(stopping[10:, 0, :2]).max() < 1e-6
    assert (stopping[:, 0, 2] == np.float32(-0.7)).all()
    assert stopping[-1, 1, 0] == pytest.approx(-0.5)
    np.testing.assert_allclose(going_on[:, 0, 0], [0.1, 0.2, 0.3], atol=1e-6)


def test_before_the_first_action_a_stop_is_rest_with_the_gripper_open() -> None:
    stopping = run(make_limits(), np.full((2, 3), -1.0), STOP, steps=3)

    np.testing.assert_array_equal(stopping[-1], [[0, 0, 1], [0, 0, 1]])


def test_an_absolute_mode_holds_the_pose_at_the_start_of_the_stop() -> None:
    limits = make_limits(measured_joints)
    start = np.tile([0.4, -0.4, 0.3], (2, 1))

    # There is no jump from zero at the first action.
    first = limits.apply(start, GO, observation_of(start))
    np.testing.assert_allclose(first, start)

    for _ in range(20):
        limits.apply(np.full((2, 3), 0.8), GO, observation_of(start))

    # The arm sags while it is stopped.
    stopping = []
    for step in range(20):
        sagging = observation_of(start - 0.01 * step)
        stopping.append(limits.apply(np.ones((2, 3)), STOP, sagging))

    # It ramps to the pose of the first step, with the gripper as commanded.
    np.testing.assert_allclose(stopping[0][:, :2], [[0.7, 0.7]] * 2, atol=1e-6)
    np.testing.assert_allclose(stopping[-1][:, :2], start[:, :2], atol=1e-6)
    assert (stopping[-1][:, 2] == np.float32(0.8)).all()


def test_each_world_holds_the_pose_of_its_own_stop() -> None:
    limits = make_limits(measured_joints)

    # World 1 stops ten steps after world 0; the measured pose changes all the time.
    limited = np.zeros((2, 3))
    for step in range(20):
        stop = np.array([True, step >= 10])
        observation = observation_of(np.full((2, 3), 0.01 * step))
        limited = limits.apply(np.ones((2, 3)), stop, observation)

    np.testing.assert_allclose(limited[:, 0], [0.0, 0.1], atol=1e-6)


def test_what_is_not_finite_passes_through_and_harms_nothing_else() -> None:
    clean = make_limits()
    poisoned = make_limits()
    good = np.full((2, 3), 0.3)
    bad = np.full((2, 3), 0.3)
    bad[1] = [np.nan, np.inf, 0.2]

    expected = clean.apply(good, GO, observation_of())
    limited = poisoned.apply(bad, GO, observation_of())

    np.testing.assert_array_equal(limited[0], expected[0])
    assert np.isnan(limited[1, 0])
    assert np.isposinf(limited[1, 1])
    assert limited[1, 2] == np.float32(0.2)

    # The next action goes on from the last finite one.
    expected = clean.apply(good, GO, observation_of())
    limited = poisoned.apply(good, GO, observation_of())
    np.testing.assert_array_equal(limited[0], expected[0])
    np.testing.assert_allclose(limited[1, :2], 0.1, atol=1e-6)


def test_a_reset_world_starts_at_rest_and_the_others_go_on() -> None:
    limits = make_limits()
    action = np.full((2, 3), 0.9)
    run(limits, action, GO, steps=9)

    limits.reset(np.array([0]))
    limited = limits.apply(action, GO, observation_of())

    np.testing.assert_allclose(limited[:, 0], [MAX_STEP, 0.9], atol=1e-6)


def test_the_caller_may_write_into_what_it_gets_and_gives() -> None:
    limits = make_limits()
    action = np.full((2, 3), 0.05, np.float32)

    limits.apply(action, GO, observation_of())[:] = 7
    action[:] = 0.1
    limited = limits.apply(action, GO, observation_of())

    np.testing.assert_allclose(limited[:, :2], 0.1, atol=1e-6)


@pytest.mark.parametrize("shape", [(3, 3), (3,), (2, 3, 1)])
def test_a_wrong_number_of_rows_is_an_error(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"expected \(2, action size\)"):
        make_limits().apply(np.zeros(shape), GO, observation_of())


def test_a_changed_action_size_is_an_error() -> None:
    limits = make_limits()
    limits.apply(np.zeros((2, 3)), GO, observation_of())

    with pytest.raises(ValueError, match=r"\(2, 4\), expected \(2, 3\)"):
        limits.apply(np.zeros((2, 4)), GO, observation_of())
