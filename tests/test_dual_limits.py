"""Reference limits and the safe stop."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from embodied.core import Observation
from embodied.policies.limits import HoldAction, ReferenceLimits

unhurried = settings(deadline=None)  # machines may be busy

STEP = 0.1
GO = np.array([False, False])
STOP = np.array([True, True])


def observed(joints: np.ndarray | None = None) -> Observation:
    joints = np.zeros((2, 3)) if joints is None else joints
    return Observation(np.zeros(2, np.int64), joints, np.zeros((2, 0)), ("", ""))


def limits(hold_action: HoldAction | None = None) -> ReferenceLimits:
    made = ReferenceLimits(2, STEP, (-1,), hold_action)
    made.reset(np.arange(2))
    return made


def run(
    made: ReferenceLimits, action: np.ndarray, stop: np.ndarray, steps: int
) -> np.ndarray:
    return np.array([made.apply(action, stop, observed()) for _ in range(steps)])


unit = st.floats(-1, 1, width=32)


@unhurried
@given(arrays(np.float32, (20, 2, 3), elements=unit), arrays(bool, (20, 2)))
def test_no_element_but_the_gripper_ever_jumps(
    actions: np.ndarray, stops: np.ndarray
) -> None:
    made = limits()
    last = np.zeros((2, 3), np.float32)
    last[:, -1] = 1
    for action, stop in zip(actions, stops, strict=True):
        out = made.apply(action, stop, observed())
        assert (np.abs(out - last)[:, :-1] <= STEP + 1e-6).all()
        # free, or kept
        np.testing.assert_array_equal(
            out[:, -1], np.where(stop, last[:, -1], action[:, -1])
        )
        target = np.where(stop[:, None], 0, action)[:, :-1]
        # never away from it
        assert (
            np.abs(out[:, :-1] - target) <= np.abs(last[:, :-1] - target) + 1e-6
        ).all()
        last = out


def test_an_action_within_the_limit_is_left_as_it_is() -> None:
    made = limits()
    action = np.full((2, 3), 0.05, np.float32)
    np.testing.assert_array_equal(made.apply(action, GO, observed()), action)


def test_a_stop_ramps_to_zero_keeps_the_gripper_and_is_left_by_a_ramp() -> None:
    made = limits()
    action = np.tile(np.float32([0.5, -1, -0.7]), (2, 1))
    run(made, action, GO, 10)
    # only world 0 is told to stop
    stopping = run(made, -action, np.array([True, False]), 12)
    np.testing.assert_allclose(stopping[:5, 0, 0], [0.4, 0.3, 0.2, 0.1, 0], atol=1e-6)
    assert np.abs(stopping[10:, 0, :2]).max() < 1e-6
    assert (stopping[:, 0, 2] == np.float32(-0.7)).all()
    assert stopping[-1, 1, 0] == pytest.approx(-0.5)
    np.testing.assert_allclose(
        run(made, action, GO, 3)[:, 0, 0], [0.1, 0.2, 0.3], atol=1e-6
    )


def test_before_the_first_action_a_stop_is_rest_with_the_gripper_open() -> None:
    np.testing.assert_array_equal(
        run(limits(), np.full((2, 3), -1.0), STOP, 3)[-1], [[0, 0, 1], [0, 0, 1]]
    )


def test_an_absolute_mode_holds_the_pose_at_the_start_of_the_stop() -> None:
    made = limits(lambda observation: observation.agent_pos)
    start = np.tile([0.4, -0.4, 0.3], (2, 1))
    # no jump from zero
    np.testing.assert_allclose(made.apply(start, GO, observed(start)), start)
    for _ in range(20):
        made.apply(np.full((2, 3), 0.8), GO, observed(start))
    sagging = [
        made.apply(np.ones((2, 3)), STOP, observed(start - 0.01 * k)) for k in range(20)
    ]
    np.testing.assert_allclose(sagging[0][:, :2], [[0.7, 0.7]] * 2, atol=1e-6)
    # the pose of k = 0, not a later one
    np.testing.assert_allclose(sagging[-1][:, :2], start[:, :2], atol=1e-6)
    # the gripper as commanded, not as measured
    assert (sagging[-1][:, 2] == np.float32(0.8)).all()


def test_each_world_holds_the_pose_of_its_own_stop() -> None:
    made = limits(lambda observation: observation.agent_pos)
    held = np.zeros((2, 3))
    # world 1 stops ten steps after world 0; the measured pose changes all the time
    for step in range(20):
        stop = np.array([True, step >= 10])
        held = made.apply(np.ones((2, 3)), stop, observed(np.full((2, 3), 0.01 * step)))
    np.testing.assert_allclose(held[:, 0], [0.0, 0.1], atol=1e-6)


def test_what_is_not_finite_passes_through_and_harms_nothing_else() -> None:
    clean = limits()
    made = limits()
    good = np.full((2, 3), 0.3)
    bad = np.full((2, 3), 0.3)
    bad[1] = [np.nan, np.inf, 0.2]
    expected = clean.apply(good, GO, observed())
    got = made.apply(bad, GO, observed())
    np.testing.assert_array_equal(got[0], expected[0])
    assert np.isnan(got[1, 0])
    assert np.isposinf(got[1, 1])
    assert got[1, 2] == np.float32(0.2)
    after = made.apply(good, GO, observed())
    np.testing.assert_array_equal(after[0], clean.apply(good, GO, observed())[0])
    # goes on from the last finite action
    np.testing.assert_allclose(after[1, :2], 0.1, atol=1e-6)


def test_a_reset_world_starts_at_rest_and_the_others_go_on() -> None:
    made = limits()
    action = np.full((2, 3), 0.9)
    run(made, action, GO, 9)
    made.reset(np.array([0]))
    out = made.apply(action, GO, observed())
    np.testing.assert_allclose(out[:, 0], [STEP, 0.9], atol=1e-6)


def test_the_caller_may_write_into_what_it_gets_and_gives() -> None:
    made = limits()
    action = np.full((2, 3), 0.05, np.float32)
    made.apply(action, GO, observed())[:] = 7
    action[:] = 0.1
    np.testing.assert_allclose(
        made.apply(action, GO, observed())[:, :2], 0.1, atol=1e-6
    )


@pytest.mark.parametrize("shape", [(3, 3), (3,), (2, 3, 1)])
def test_a_wrong_number_of_rows_is_an_error(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"expected \(2, action size\)"):
        limits().apply(np.zeros(shape), GO, observed())


def test_a_changed_action_size_is_an_error() -> None:
    made = limits()
    made.apply(np.zeros((2, 3)), GO, observed())
    with pytest.raises(ValueError, match=r"\(2, 4\), expected \(2, 3\)"):
        made.apply(np.zeros((2, 4)), GO, observed())
