"""What outside tasks are written with: a free box, and the planner that takes it and
sets it down.
"""

from __future__ import annotations

import ast
from pathlib import Path

import array_api_compat.torch as xp_torch
import mujoco
import numpy as np
import pytest
import torch

from embodied import envs
from embodied.core import SKILLS, Layout, Observation
from embodied.envs.props.free_body import FreeBody, add_free_box
from embodied.envs.skills.pick_and_place import PickAndPlace
from embodied.envs.skills.scripted import ScriptedPlanner
from embodied.sim.cpu import CpuEngine

SIZE = (0.04, 0.05, 0.06)
AGENT = Layout((("gripper_width", 1), ("tcp_pos_w", 3), ("tcp_rot6d", 6)))
STATE = Layout((("box_pos_w", 3), ("box_rot6d", 6), ("spot_pos_w", 3)))
BOX = np.array([0.5, -0.2, 0.73])
SPOT = np.array([0.45, 0.15, 0.70])
PLANNER = ScriptedPlanner(AGENT, STATE, PickAndPlace("box", "spot", SIZE).decide)
ON_SPOT = np.array([0.45, 0.15, 0.70 + SIZE[2] / 2])


def above(point: np.ndarray, height_m: float, aside_m: float = 0.0) -> np.ndarray:
    return point + np.array([aside_m, 0, height_m])


def free_boxes(num: int = 2) -> tuple[CpuEngine, FreeBody]:
    spec = mujoco.MjSpec()
    spec.worldbody.add_geom(type=mujoco.mjtGeom.mjGEOM_PLANE, size=[1, 1, 1])
    add_free_box(spec, "box", SIZE, 0.3, (1, 0, 0, 1))
    engine = CpuEngine(spec.compile(), num, 1)
    return engine, FreeBody(engine, "box")


def test_a_free_box_weighs_what_a_solid_one_does() -> None:
    engine, _ = free_boxes()
    solid = mujoco.MjSpec()
    body = solid.worldbody.add_body(name="box")
    body.add_geom(type=mujoco.mjtGeom.mjGEOM_BOX, size=[s / 2 for s in SIZE], mass=0.3)
    expected = solid.compile().body("box")
    body = engine.model.body("box")
    assert body.mass == pytest.approx(expected.mass)
    np.testing.assert_allclose(body.inertia, expected.inertia)


def test_a_free_box_is_where_it_was_put_and_falls() -> None:
    engine, box = free_boxes()
    box.place(1, (0.1, 0.2, 0.5), yaw=0.3)
    engine.refresh(np.arange(2))

    np.testing.assert_allclose(box.pos_w()[1], (0.1, 0.2, 0.5))
    # The two first columns of the rotation about z.
    np.testing.assert_allclose(
        box.rot6d()[1],
        (np.cos(0.3), np.sin(0.3), 0, -np.sin(0.3), np.cos(0.3), 0),
        atol=1e-12,
    )

    engine.step(5)
    assert box.vel_w()[1, 2] < 0

    # After 5 s it lies on the floor.
    engine.step(2000)
    assert box.pos_w()[1, 2] == pytest.approx(SIZE[2] / 2, abs=1e-3)
    np.testing.assert_allclose(box.vel_w()[1], 0, atol=1e-3)


def observed(
    tcp: np.ndarray, box: np.ndarray, width: float, yaw: float = 0.0
) -> Observation:
    agent = np.concatenate([[width], tcp, [1, 0, 0, 0, -1, 0]])
    state = np.concatenate(
        [box, [np.cos(yaw), np.sin(yaw), 0, -np.sin(yaw), np.cos(yaw), 0], SPOT]
    )
    return Observation(np.zeros(1, np.int64), agent[None], state[None], ("",))


@pytest.mark.parametrize(
    ("skill", "tcp", "box", "width", "goal", "gripper"),
    [
        ("reach", (0.4, 0.0, 1.0), BOX, 0.08, above(BOX, 0.1), 1),
        ("grasp", above(BOX, 0.05, 0.005), BOX, 0.08, BOX, 1),
        ("grasp", above(BOX, 0.004, 0.002), BOX, 0.08, BOX, -1),
        (
            "lift",
            above(BOX, 0.003),
            BOX,
            0.05,
            (0.5, -0.2, ON_SPOT[2] + 0.1 + 0.003),
            -1,
        ),
        ("carry", (0.5, -0.2, 0.83), (0.5, -0.2, 0.83), 0.05, above(ON_SPOT, 0.1), -1),
        ("place", above(ON_SPOT, 0.08), above(ON_SPOT, 0.08), 0.05, ON_SPOT, -1),
        (
            "release",
            above(ON_SPOT, 0.002),
            above(ON_SPOT, 0.002),
            0.05,
            above(ON_SPOT, 0.002),
            1,
        ),
        ("retreat", ON_SPOT, ON_SPOT, 0.07, (*SPOT[:2], ON_SPOT[2] + 0.2), 1),
        # a gripper half closed far away holds nothing
        ("reach", (0.4, 0.0, 1.0), BOX, 0.05, above(BOX, 0.1), 1),
    ],
)
def test_the_planner_says_what_the_state_asks_for(
    skill, tcp, box, width, goal, gripper
) -> None:
    payload = PLANNER.plan(observed(np.array(tcp), np.array(box), width), np.arange(1))
    assert SKILLS[payload.subtask[0]] == skill
    np.testing.assert_allclose(payload.goal_pos_w[0, 0], goal, atol=1e-9)
    assert payload.gripper[0, 0] == gripper
    assert 0 <= payload.completion[0] <= 1


@pytest.mark.parametrize(
    ("yaw", "turned"), [(0.3, 0.3), (1.4, 1.4 - np.pi / 2), (-2.0, -2.0 + np.pi / 2)]
)
def test_the_hand_turns_as_little_as_it_must(yaw: float, turned: float) -> None:
    payload = PLANNER.plan(observed(np.zeros(3), BOX, 0.08, yaw), np.arange(1))
    half = turned / 2  # a turn about z of the quaternion (0, 1, 0, 0) that points down
    np.testing.assert_allclose(
        payload.goal_quat_wxyz[0, 0], (0, np.cos(half), np.sin(half), 0), atol=1e-12
    )


def test_the_planner_runs_on_torch() -> None:
    one = observed(above(BOX, 0.05, 0.005), BOX, 0.08, 0.4)
    tick, agent, state = (
        torch.from_numpy(x) for x in (one.tick, one.agent_pos, one.environment_state)
    )
    payload = PLANNER.plan(Observation(tick, agent, state, ("",)), torch.arange(1))
    expected = PLANNER.plan(one, np.arange(1))
    assert isinstance(payload.goal_pos_w, xp_torch.Tensor)
    for name, value in vars(expected).items():
        if value is None:  # it gives no action chunk
            assert getattr(payload, name) is None
            continue
        np.testing.assert_allclose(
            getattr(payload, name).numpy(), value, rtol=1e-6, atol=1e-7
        )


def test_the_kit_names_the_same_things_to_people_and_to_type_checkers() -> None:
    tree = ast.parse(Path(envs.__file__).read_text(encoding="utf-8"))
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    checked = {
        statement.module: tuple(alias.name for alias in statement.names)
        for statement in block.body
    }
    assert checked == envs._EXPORTS
