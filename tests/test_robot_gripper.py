"""The gripper: its speed, its force, and what it holds."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest

from embodied.robots.franka.arm import HOME
from embodied.robots.franka.hand import GRIPPER_FORCE_N
from tests.robot_models import HZ, arm_spec, at_home, touching_bodies

GRIPPER = 7  # the actuator, and the first of the two fingers in qpos


def pad_forces_n(model: mujoco.MjModel, data: mujoco.MjData, body: str) -> np.ndarray:
    """The normal force in N of the left and of the right pad on a body, (2,)."""
    forces = np.zeros(2)
    wrench = np.zeros(6)
    for number, pair in enumerate(data.contact.geom):
        bodies = [model.body(model.geom_bodyid[geom]).name for geom in pair]
        if body in bodies:
            mujoco.mj_contactForce(model, data, number, wrench)
            side = int("finger_right" in bodies)
            forces[side] += wrench[0]
    return forces


def pos_in_tcp(data: mujoco.MjData, body: str) -> np.ndarray:
    """The position of a body in the frame of the TCP, (3,)."""
    tcp = data.site("tcp")
    return tcp.xmat.reshape(3, 3).T @ (data.body(body).xpos - tcp.xpos)


def test_it_is_one_width_that_closes_and_opens_in_under_half_a_second() -> None:
    model = arm_spec().compile()
    data = at_home(model)
    fingers_m = data.qpos[GRIPPER:]

    for width_m, sign in ((0.0, -1), (0.08, 1)):
        # It moves at a steady speed, and does not slam.
        data.ctrl[GRIPPER] = width_m
        for _ in range(int(0.2 * HZ)):
            mujoco.mj_step(model, data)
            assert abs(data.qvel[GRIPPER:].sum()) < 0.21
            assert abs(fingers_m[0] - fingers_m[1]) < 1e-4
        assert 0.03 < fingers_m.sum() < 0.05
        assert data.sensor("gripper_force").data[0] == sign * GRIPPER_FORCE_N

        mujoco.mj_step(model, data, int(0.3 * HZ))
        assert abs(fingers_m.sum() - width_m) < 1e-3


@pytest.mark.parametrize("width_m", [0.004, 0.03, 0.06])
def test_closing_force_saturates_at_70_n_without_chatter(width_m: float) -> None:
    # A block that cannot move, between the fingers.
    spec = arm_spec()
    block = spec.worldbody.add_body(name="block", pos=(0.45, 0, 0.25))
    block.add_geom(type=mujoco.mjtGeom.mjGEOM_BOX, size=(0.02, width_m / 2, 0.01))
    model = spec.compile()
    data = at_home(model)

    data.ctrl[GRIPPER] = 0
    forces = []
    for _ in range(HZ):
        mujoco.mj_step(model, data)
        forces.append(pad_forces_n(model, data, "block"))

    settled = np.array(forces[HZ // 2 :])
    np.testing.assert_allclose(settled, 70, rtol=0.1)
    assert np.max(forces) < 2 * GRIPPER_FORCE_N
    assert data.sensor("gripper_force").data[0] == pytest.approx(-70)


def test_a_thin_wall_is_held_without_slip() -> None:
    """A plate of 0.6 kg and 4 mm, gripped 5 cm off its centre, is lifted and held."""
    spec = arm_spec()
    plate = spec.worldbody.add_body(name="plate", pos=(0.48, 0, 0.21))
    plate.add_freejoint()
    plate.add_geom(type=mujoco.mjtGeom.mjGEOM_BOX, size=(0.12, 0.002, 0.06), mass=0.6)
    spec.delete(spec.key("home"))  # it has no entry for the plate
    model = spec.compile()

    data = mujoco.MjData(model)
    data.qpos[:9] = (*HOME, 0.003, 0.003)
    data.qpos[9:12] = plate.pos
    data.ctrl[:] = (*HOME, 0)

    # It closes without gravity, so that the plate does not fall before it is held.
    model.opt.gravity[:] = 0
    mujoco.mj_step(model, data, HZ // 4)
    model.opt.gravity[2] = -9.81
    held = pos_in_tcp(data, "plate")

    # It is lifted for a second, and held for another.
    lifted = HOME + np.array([0, -0.1, 0, 0.1, 0, 0.2, 0])
    for tick in range(2 * HZ):
        data.ctrl[:7] = HOME + min(tick / HZ, 1) * (lifted - HOME)
        mujoco.mj_step(model, data)

    assert data.body("plate").xpos[2] > 0.24, "it was lifted"
    np.testing.assert_allclose(pos_in_tcp(data, "plate"), held, atol=1.5e-3)
    by_both_fingers = {("finger_left", "plate"), ("finger_right", "plate")}
    assert touching_bodies(model, data) >= by_both_fingers
