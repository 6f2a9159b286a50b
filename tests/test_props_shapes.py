"""Shapes and free bodies agree with what MuJoCo computes from the same measures."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embodied.envs.props.free_body import FreeBodies, FreeBody, add_free_box
from embodied.envs.props.parking import parked_w
from embodied.envs.props.shapes import (
    VISUAL_GROUP,
    Mesh,
    add_visual_box,
    add_visual_mesh,
    box_inertia,
    join_meshes,
    upright,
)
from embodied.rotations import quat_rotate
from embodied.sim.cpu import CpuEngine
from tests.prop_bench import floor_spec

# a sloped square: vertices (4, 3), faces (2, 3)
SQUARE: Mesh = (
    np.array([(0.0, 0.0, 0.0), (1.0, 0.0, 0.0), (1.0, 1.0, 0.5), (0.0, 1.0, 0.5)]),
    np.array([(0, 1, 2), (0, 2, 3)]),
)
sides = st.floats(0.01, 2.0)


@given(yaw=st.floats(-10, 10))
def test_what_is_upright_turns_about_the_vertical_alone(yaw: float) -> None:
    quat = upright(yaw)
    x_axis = quat_rotate(quat, np.array([1.0, 0.0, 0.0]))
    z_axis = quat_rotate(quat, np.array([0.0, 0.0, 1.0]))

    assert np.linalg.norm(quat) == pytest.approx(1)
    np.testing.assert_allclose(x_axis, [np.cos(yaw), np.sin(yaw), 0], atol=1e-12)
    np.testing.assert_allclose(z_axis, [0, 0, 1], atol=1e-12)


@given(x=sides, y=sides, z=sides, mass=st.floats(0.01, 50))
def test_a_boxs_inertia_is_that_which_mujoco_computes(
    x: float, y: float, z: float, mass: float
) -> None:
    spec = mujoco.MjSpec()
    body = spec.worldbody.add_body(name="box")
    half = (x / 2, y / 2, z / 2)
    body.add_geom(type=mujoco.mjtGeom.mjGEOM_BOX, size=half, mass=mass)
    compiled = spec.compile().body("box").inertia  # the largest first

    assert sorted(box_inertia((x, y, z), mass)) == pytest.approx(sorted(compiled))


@given(count=st.integers(1, 5))
def test_joined_meshes_keep_their_triangles(count: int) -> None:
    vertices, faces = SQUARE
    meshes = [(vertices + k, faces) for k in range(count)]
    joined_vertices, joined_faces = join_meshes(meshes)

    assert joined_vertices.shape == (4 * count, 3)
    corners = joined_vertices[joined_faces].reshape(count, 2, 3, 3)
    for k in range(count):
        np.testing.assert_array_equal(corners[k], vertices[faces] + k)


def test_visual_shapes_are_seen_and_not_touched() -> None:
    spec = floor_spec()
    # It overlaps the floor, and has its mass from elsewhere.
    body = spec.worldbody.add_body(name="thing", pos=(0, 0, 0.01))
    body.add_freejoint()
    body.mass = 1
    body.inertia = (1, 1, 1)
    body.explicitinertial = True
    add_visual_box(body, (0, 0, 0), (0.1, 0.1, 0.1), (1, 0, 0, 1), "box")
    add_visual_mesh(spec, body, "square", SQUARE)
    model = spec.compile()
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)

    assert data.ncon == 0
    assert model.body("thing").mass[0] == 1
    assert model.geom("box").group[0] == VISUAL_GROUP
    assert model.geom("square").group[0] == VISUAL_GROUP


@pytest.fixture(scope="module")
def engine() -> CpuEngine:
    """Two worlds of two cubes over a floor."""
    spec = floor_spec()
    for name in ("red", "blue"):
        add_free_box(spec, name, (0.1, 0.1, 0.1), 0.5, (1, 1, 1, 1))
    return CpuEngine(spec.compile(), 2, 1)


@pytest.fixture
def cubes(engine: CpuEngine) -> FreeBodies:
    """The cubes side by side in the air, at rest, in either world."""
    bodies = FreeBodies(engine, ("red", "blue"), [["red_box"], ["blue_box"]], ())
    engine.reset(np.arange(2))
    engine.view("xfrc_applied")[...] = 0
    for world in range(2):
        for which in range(2):
            bodies.place(world, which, (float(which), 0.0, 1.0 + world), 0.5)
            bodies.set_present(world, which, True)
    engine.refresh(np.arange(2))
    return bodies


def test_bodies_are_read_all_together_or_one_a_world(cubes: FreeBodies) -> None:
    which = np.array([1, 0])
    rows = np.arange(2)
    positions_w = cubes.positions_w()
    pos_w, xmat = cubes.pose_of(which)

    assert positions_w[:, :, 2].tolist() == [[1, 1], [2, 2]]
    np.testing.assert_array_equal(pos_w, positions_w[rows, which])
    np.testing.assert_array_equal(xmat.reshape(2, 3, 3), cubes.rotations()[rows, which])

    # several bodies of each world, in any order
    positions, xmats = cubes.poses_of(np.array([[1, 0], [0, 1]]))
    np.testing.assert_array_equal(positions, [positions_w[0, ::-1], positions_w[1]])
    np.testing.assert_array_equal(xmats[:, 0], xmat)


def test_a_push_moves_the_named_body_of_each_world(
    engine: CpuEngine, cubes: FreeBodies
) -> None:
    named = np.array([0, 1])
    cubes.push(named, np.array([[0.5, 0.0], [0.0, 1.0]]))
    engine.step(40)  # 0.1 s

    # 0.5 kg, so 1 m/s2 along x in the first world and 2 m/s2 along y in the second
    expected = [[0.1, 0.0], [0.0, 0.2]]
    speed = cubes.velocity_of(named)[:, :2]
    others = cubes.velocity_of(1 - named)[:, :2]
    np.testing.assert_allclose(speed, expected, atol=1e-6)
    np.testing.assert_allclose(others, 0, atol=1e-9)


def test_a_body_that_is_absent_hangs_unseen(
    engine: CpuEngine, cubes: FreeBodies
) -> None:
    # The first of the two is taken out of world 1.
    cubes.set_present(1, 0, False)
    engine.refresh(np.arange(2))
    before = cubes.positions_w()[:, :, 2].copy()
    engine.step(40)
    fallen = before - cubes.positions_w()[:, :, 2]

    assert fallen[1, 0] == pytest.approx(0, abs=1e-9)
    assert (fallen[[0, 0, 1], [0, 1, 1]] > 0.04).all()
    red_box = engine.model.geom("red_box").id
    assert engine.model_view("geom_rgba")[:, red_box, 3].tolist() == [1, 0]


def test_one_free_body_is_placed_upright_at_rest(engine: CpuEngine) -> None:
    red = FreeBody(engine, "red")
    engine.view("qvel")[...] = 3.0
    red.place(0, (0.2, -0.3, 0.4), yaw=np.pi / 2)
    engine.refresh(np.arange(2))

    np.testing.assert_allclose(red.pos_w()[0], [0.2, -0.3, 0.4])
    np.testing.assert_allclose(red.rot6d()[0], [0, 1, 0, -1, 0, 0], atol=1e-12)
    assert (red.vel_w()[0] == 0).all()
    assert (red.vel_w()[1] == 3).all()


def test_parking_places_are_apart_and_overhead() -> None:
    places = np.array([parked_w(k) for k in range(20)])
    gaps = np.linalg.norm(places[:, None] - places, axis=-1)
    gaps[np.diag_indices(20)] = np.inf

    assert gaps.min() > 0.7
    assert (places[:, 2] == 8).all()
