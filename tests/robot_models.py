"""What the tests of robots share: models at home, contacts, and views of cameras."""

from __future__ import annotations

import mujoco
import numpy as np

from embodied.robots.arm import ARM
from embodied.sim.physics import apply_defaults

HZ = 400  # physics steps per second

# The group of what cameras draw.
VISUAL_GROUP = np.array([0, 0, 1, 0, 0, 0], np.uint8)


def arm_spec() -> mujoco.MjSpec:
    """The arm on its stand, at the origin."""
    spec = ARM.build()
    spec.body("stand").pos = [0, 0, 0]
    apply_defaults(spec)
    return spec


def at_home(model: mujoco.MjModel) -> mujoco.MjData:
    data = mujoco.MjData(model)
    mujoco.mj_resetDataKeyframe(model, data, model.key("home").id)
    mujoco.mj_forward(model, data)
    return data


def touching_bodies(model: mujoco.MjModel, data: mujoco.MjData) -> set[tuple[str, str]]:
    """The pairs of bodies that touch, each in alphabetical order."""
    pairs = set()
    for geoms in data.contact.geom:
        one, other = sorted(model.body(model.geom_bodyid[geom]).name for geom in geoms)
        pairs.add((one, other))
    return pairs


def half_view(model: mujoco.MjModel, camera: str) -> float:
    """The tangent of half the camera's field of view."""
    return float(np.tan(np.radians(model.cam(camera).fovy[0]) / 2))


def check_in_view(
    model: mujoco.MjModel, data: mujoco.MjData, camera: str, points_w: np.ndarray
) -> None:
    """Checks that points (n, 3) lie within the picture of a camera."""
    view = data.cam(camera)
    axes = view.xmat.reshape(3, 3)
    limit = half_view(model, camera)
    for x, y, z in (points_w - view.xpos) @ axes:
        assert z < 0
        assert max(abs(x), abs(y)) < -z * limit


def follow_random_targets(model: mujoco.MjModel, data: mujoco.MjData) -> None:
    """Steps for 5 s towards random targets; checks that all stays finite."""
    rng = np.random.default_rng(3)
    for step in range(2000):
        # A 20 Hz policy that wants anything at all.
        if step % 20 == 0:
            data.ctrl[:] = rng.uniform(*model.actuator_ctrlrange.T)
        mujoco.mj_step(model, data)
        assert np.isfinite(data.qpos).all()
        assert np.isfinite(data.sensordata).all()

    assert not any(warning.number for warning in data.warning)


def bodies_in_picture(
    model: mujoco.MjModel, data: mujoco.MjData, camera: str, size: int
) -> list[str]:
    """The body that each of size x size pixels shows; "" where it shows none."""
    view = data.cam(camera)
    axes = view.xmat.reshape(3, 3)
    limit = half_view(model, camera)
    geom = np.zeros(1, np.int32)

    # One ray through the middle of each pixel; a camera looks along its own -z.
    names = []
    grid = np.linspace(-limit, limit, size)
    for x in grid:
        for y in grid:
            ray = axes @ [x, y, -1]
            mujoco.mj_ray(model, data, view.xpos, ray, VISUAL_GROUP, 1, -1, geom)
            hit = int(geom[0])
            name = model.body(model.geom_bodyid[hit]).name if hit >= 0 else ""
            names.append(name)

    return names
