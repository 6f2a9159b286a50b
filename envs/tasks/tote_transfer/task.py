"""ToteTransfer: the robot takes the tote that the instruction names off the belt and
sets it into the named slot.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from embodied.arrays import dot
from embodied.core import Array, Layout
from embodied.envs.props.belt import Belt
from embodied.envs.props.rack import Rack
from embodied.envs.props.tote import Totes, ToteSize
from embodied.envs.reward import tolerance
from embodied.envs.task import Outcome, TaskSpec, TaskStage
from embodied.envs.tasks.tote_transfer.episode import (
    PUSH_TICKS,
    TOTE,
    draw_start,
    event_tick,
    pose_of,
    target_of,
)
from embodied.envs.tasks.tote_transfer.expert import tote_transfer_expert
from embodied.envs.tasks.tote_transfer.scene import (
    CAMERA,
    TOTES,
    build_tote_station,
    station_of,
)
from embodied.envs.tasks.tote_transfer.variation import COLOURS, TABLE
from embodied.envs.variation import Variation
from embodied.robots.robot import Robot
from embodied.sim.engine import ROT6D_OF_XMAT, Engine

GRASP_DEPTH_M = 0.02  # of the pads' middle below the rim
UPRIGHT_COS = float(np.cos(np.deg2rad(8)))
# below it a tote has fallen; how far above the belt one may still ride to its end
FALLEN_Z_W = 0.45
TIPPED_M = 0.10


class ToteTransfer:
    """N episodes of ToteTransfer on an engine."""

    state_layout = Layout(
        (
            ("tote_pos_w", 3), ("tote_rot6d", 6), ("tote_vel_w", 3), ("tote_size", 2),
            ("slot_pos_w", 3), ("other_totes_pos_w", 6), ("belt_speed", 1),
        )
    )  # fmt: skip

    def __init__(self, engine: Engine, robot: Robot) -> None:
        self._engine = engine
        self._station = station_of(robot)
        xp = engine.xp
        n = engine.num_worlds
        self._totes = Totes(engine, TOTES)
        self._rack = Rack(engine, self._station.rack)
        self._belt = Belt(engine)
        self._tcp = engine.model.site(robot.tcp_site).id
        self._fingers = [
            int(engine.model.joint(name).qposadr[0]) for name in robot.gripper_joints
        ]
        # in the tote's frame, m
        self._grip = xp.asarray([[0.0, -TOTE.width / 2, TOTE.height - GRASP_DEPTH_M]])
        self._grip_weight = xp.asarray([0.75, 1.0, 1.0])
        self._all = xp.broadcast_to(xp.arange(len(TOTES)), (n, len(TOTES)))
        self._others = xp.asarray(
            [[(k + 1) % len(TOTES), (k + 2) % len(TOTES)] for k in range(len(TOTES))]
        )
        self._goal = {
            "tote": xp.zeros(n, dtype=xp.int64),
            "slot": xp.zeros(n, dtype=xp.int64),
            "size": xp.zeros((n, 2)),  # length, width of the named tote, m
            "present": xp.zeros((n, len(TOTES))),
            "speed_after": xp.zeros(n),  # of the belt from event_tick on, m/s
            # N along x and y on the named tote from event_tick on
            "push": xp.zeros((n, 2)),
            "event_tick": xp.zeros(n, dtype=xp.int64),
        }

    def parameters(self) -> dict[str, Array]:
        return self._goal

    def start(self, world: int, seed: int, variation: Variation) -> dict[str, Any]:
        drawn = draw_start(seed, variation, self._station)
        for k in range(len(TOTES)):
            self._place(world, k, drawn)
        self._rack.shift(world, np.array([drawn["rack_x"], drawn["rack_y"]]))
        self._engine.vary("geom_surfacevel")[world, self._belt.geom, 1] = drawn[
            "belt_speed"
        ]
        goal = self._goal
        target = target_of(drawn)
        goal["tote"][world] = target
        goal["slot"][world] = drawn["slot"]
        goal["present"][world] = [k < drawn["totes"] for k in range(len(TOTES))]
        goal["speed_after"][world] = drawn["belt_speed_after"]
        goal["push"][world] = drawn["push_n"]
        goal["size"][world] = (drawn["length"][target], TOTE.width)
        goal["event_tick"][world] = event_tick(drawn)
        return drawn

    def _place(self, world: int, k: int, drawn: dict[str, Any]) -> None:
        present = k < drawn["totes"]
        self._totes.place(world, k, *pose_of(drawn, k, self._station))
        self._totes.show(world, k, present)
        if present:
            self._totes.resize(
                world, k, ToteSize(length=drawn["length"][k], mass=drawn["mass"])
            )
            self._totes.paint(world, k, COLOURS[drawn["colour"][k]])

    def before_step(self, tick: Array) -> None:
        xp = self._engine.xp
        goal = self._goal
        due = tick >= goal["event_tick"]
        self._belt.set_speed(xp.where(due, goal["speed_after"], self._belt.speed()))
        pushing = due & (tick < goal["event_tick"] + PUSH_TICKS)
        self._totes.push(goal["tote"], xp.where(pushing[:, None], goal["push"], 0.0))

    def state(self) -> Array:
        xp = self._engine.xp
        pos, rotation, velocity = self._totes.one(self._goal["tote"])
        others = xp.reshape(
            self._totes.positions_w(self._others[self._goal["tote"]]), (-1, 6)
        )
        parts = [
            pos,
            rotation[:, ROT6D_OF_XMAT],
            velocity,
            self._goal["size"],
            self._rack.slot_w(self._goal["slot"]),
        ]
        return xp.concat([*parts, others, self._belt.speed()[:, None]], axis=1)

    def judge(self) -> Outcome:
        xp = self._engine.xp
        rack = self._station.rack
        pos, rotation, velocity = self._totes.one(self._goal["tote"])
        distance = xp.abs(pos - self._rack.slot_w(self._goal["slot"]))
        grasp_error = self._grasp_error(pos, rotation)
        width = sum(self._engine.view("qpos")[:, finger] for finger in self._fingers)
        held = (xp.abs(width - 0.007) < 0.005) & (grasp_error < 0.03)
        x = distance[:, 0]
        y = distance[:, 1]
        z = distance[:, 2]
        inside = (x < rack.slot_x / 2 - 0.11) & (y < 0.03)
        set_down = inside & (z < 0.012) & (rotation[:, 8] > UPRIGHT_COS)
        success = set_down & ~held & (dot(velocity, velocity) < 0.02**2)
        horizontal = xp.sqrt(x * x + y * y)
        progress = xp.where(
            success, 1.0, self._stages(pos, grasp_error, held | set_down, horizontal)
        )
        lost, dropped = self._losses(pos)
        return Outcome(
            success=success,
            progress=progress,
            lost=lost,
            dropped=dropped,
        )

    def _losses(self, pos: Array) -> tuple[Array, Array]:
        """(N,) bool, the named tote fell or rides to the belt's end, out of reach; (N,)
        int, how many fell.
        """
        xp = self._engine.xp
        belt = self._station.belt
        riding = (pos[:, 0] > belt.x - belt.width / 2) & (
            pos[:, 2] < belt.top_z + TIPPED_M
        )
        # (N, K)
        fallen = (self._totes.positions_w(self._all)[..., 2] < FALLEN_Z_W) & (
            self._goal["present"] > 0
        )
        lost = (pos[:, 2] < FALLEN_Z_W) | (riding & (pos[:, 1] > belt.y_end - 0.25))
        return lost, xp.sum(fallen, axis=1, dtype=xp.int64)

    def _grasp_error(self, pos: Array, rotation: Array) -> Array:
        """(N,) m from the TCP to where the wall is gripped; along the wall there is
        more room.
        """
        xp = self._engine.xp
        grip = pos + dot(xp.reshape(rotation, (-1, 3, 3)), self._grip)
        error = self._engine.view("site_xpos")[:, self._tcp] - grip
        return xp.sqrt(dot(error * self._grip_weight, error))

    def _stages(
        self, pos: Array, grasp_error: Array, held: Array, horizontal: Array
    ) -> Array:
        """Reach, hold, lift, carry: 1 only on success."""
        xp = self._engine.xp
        reach = tolerance(grasp_error, 0.02, self._station.reach_m)
        lift = (pos[:, 2] - self._station.belt.top_z) / 0.15
        carry = tolerance(horizontal, 0.02, self._station.carry_m)
        best = xp.maximum(xp.where(lift > 1.0, 1.0, lift), carry)  # carry is at least 0
        return xp.where(held, 0.35 + 0.15 * best + 0.4 * carry, 0.25 * reach)


TOTE_TRANSFER = TaskSpec(
    name="ToteTransfer",
    summary="take the named tote off a roller belt and set it upright into the named rack slot",
    robots=("arm", "wheeled_arm"),
    cameras=(CAMERA, "head"),  # a robot that drives sees the far rack from near
    horizon_s=20.0,
    table=TABLE,
    build=build_tote_station,
    bind=ToteTransfer,
    expert=tote_transfer_expert,
    beauty_camera="hall",
    stages=(TaskStage("reach", 0.2475, 5.0), TaskStage("lift", 0.495, 8.0)),
    base_start=(-0.75, -0.35, 0.0),
    driving_s=10.0,
)
