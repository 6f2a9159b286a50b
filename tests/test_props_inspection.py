"""Props of the inspection room, each alone."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest

from embodied.envs.props import sign
from embodied.envs.props.sign import Signs, SignStyle, add_sign, add_text, draw_text
from embodied.sim.cameras import Camera
from embodied.sim.cpu import CpuEngine
from embodied.sim.physics import apply_defaults, stiff_friction

STYLE = SignStyle((0.2, 0.06), ink=(0, 0, 0), paper=(1, 1, 1))


def empty_spec() -> mujoco.MjSpec:
    spec = mujoco.MjSpec()
    spec.compiler.degree = False
    apply_defaults(spec)
    spec.visual.headlight.ambient, spec.visual.headlight.diffuse = [1.0] * 3, [0.0] * 3
    return spec


@pytest.mark.parametrize(
    ("quat", "right", "facing"),
    [
        (sign.FACING_MINUS_X, (0, -1, 0), (-1, 0, 0)),
        (sign.FACING_PLUS_X, (0, 1, 0), (1, 0, 0)),
        (sign.FACING_MINUS_Y, (1, 0, 0), (0, -1, 0)),
        (sign.FACING_PLUS_Y, (-1, 0, 0), (0, 1, 0)),
        (sign.FACING_UP, (0, -1, 0), (0, 0, 1)),
    ],
)
def test_a_plate_faces_where_its_name_says(quat: np.ndarray, right: np.ndarray, facing: np.ndarray) -> None:
    matrix = np.zeros(9)
    mujoco.mju_quat2Mat(matrix, np.asarray(quat, float))
    np.testing.assert_allclose(matrix.reshape(3, 3)[:, 0], right, atol=1e-12)
    np.testing.assert_allclose(matrix.reshape(3, 3)[:, 2], facing, atol=1e-12)


@pytest.mark.parametrize("text", ["I", "COOLING", "Pump\nroom 7", "a long line of words that must become small"])
def test_text_fills_its_plate_and_stays_inside(text: str) -> None:
    image = np.asarray(draw_text(text, STYLE).convert("L"))
    rows, columns = np.nonzero(image < 128)
    height, width = image.shape
    assert width / height == pytest.approx(0.2 / 0.06, rel=0.05)
    free = (rows.min(), height - 1 - rows.max(), columns.min(), width - 1 - columns.max())
    assert min(free) >= 0.06 * height
    assert min(rows.max() - rows.min(), 999) > 0.6 * height or columns.max() - columns.min() > 0.8 * width


def test_a_camera_sees_the_text_the_right_way_round_and_the_one_that_was_written() -> None:
    spec = empty_spec()
    add_sign(spec, spec.worldbody, "plate", "FL", (1, 0, 0), STYLE)
    add_text(spec, "other", "J", STYLE)
    fovy = 2 * np.degrees(np.arctan(0.03 / 0.999))
    spec.worldbody.add_camera(name="front", quat=(0.5, 0.5, -0.5, -0.5), fovy=fovy)  # at the origin, looking along +x
    engine = CpuEngine(spec.compile(), 2, 1)
    signs = Signs(engine, ("plate",), ("plate", "other"))
    signs.write(1, [1])
    engine.refresh(np.arange(2))
    camera = Camera(engine, 60, 200)
    seen = [camera.rgb(world, "front").mean(axis=2) for world in range(2)]
    camera.close()
    for found, text in zip(seen, ("FL", "J"), strict=True):
        expected = np.asarray(draw_text(text, STYLE).convert("L").resize((200, 60)), float)
        assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.95
        assert np.ptp(found) > 180  # crisp


@pytest.mark.parametrize("kind", [mujoco.mjtJoint.mjJNT_HINGE, mujoco.mjtJoint.mjJNT_SLIDE])
def test_stiff_friction_holds_below_its_force_and_gives_way_above(kind: mujoco.mjtJoint) -> None:
    moved = []
    for share in (0.9, 1.2):
        spec = empty_spec()
        spec.option.gravity = [0, 0, 0]
        body = spec.worldbody.add_body(mass=0.3, inertia=[1e-3] * 3, explicitinertial=True)
        stiff_friction(body.add_joint(type=kind, axis=[1, 0, 0]), 1.5)
        model = spec.compile()
        data = mujoco.MjData(model)
        data.qfrc_applied[0] = share * 1.5
        mujoco.mj_step(model, data, 4000)  # 10 s
        moved.append(data.qpos[0])
    assert abs(moved[0]) < 2e-4
    assert moved[1] > 1.0
