"""ToteTransfer: the arm takes the tote that the instruction names off the belt and sets it into the named slot."""

from __future__ import annotations

from typing import Any

import numpy as np

from embodied.core import PHYSICS_HZ, Array, Layout
from embodied.envs.experts.tote_transfer import tote_transfer_expert
from embodied.envs.props.belt import Belt
from embodied.envs.props.rack import SLOTS, Rack
from embodied.envs.props.tote import Totes, ToteSize
from embodied.envs.reward import tolerance
from embodied.envs.scenes.tote_station import BELT, CAMERA, RACK, TOTES, build_tote_station
from embodied.envs.task import Outcome, TaskSpec
from embodied.envs.tasks.tote_transfer_table import COLOURS, TABLE
from embodied.envs.variation import Variation
from embodied.robots.robot import Robot
from embodied.rotations import quat_rotate, quat_to_rot6d
from embodied.sim.engine import Engine

GRASP_DEPTH_M = 0.02  # of the pads' middle below the rim
PARKED_W = (0.0, 0.0, -1.0)
ORDER = ("first", "second", "third")  # along the belt, the one ahead first
UPRIGHT_COS = float(np.cos(np.deg2rad(8)))


class ToteTransfer:
    """N episodes of ToteTransfer on an engine."""

    state_layout = Layout(
        (
            ("tote_pos_w", 3), ("tote_rot6d", 6), ("tote_vel_w", 3), ("tote_size", 2),
            ("slot_pos_w", 3), ("other_totes_pos_w", 6), ("belt_speed", 1),
        )
    )  # fmt: skip

    def __init__(self, engine: Engine, robot: Robot) -> None:
        self._engine, self._robot, xp, n = engine, robot, engine.xp, engine.num_worlds
        self._totes, self._rack, self._belt = Totes(engine, TOTES), Rack(engine, RACK), Belt(engine)
        self._tcp = engine.model.site(robot.tcp_site).id
        self._fingers = [int(engine.model.joint(name).qposadr[0]) for name in robot.gripper_joints]
        self._rows = xp.arange(n)
        self._goal = {
            "tote": xp.zeros(n, dtype=xp.int64),
            "slot": xp.zeros(n, dtype=xp.int64),
            "size": xp.zeros((n, 2)),  # length, width of the named tote, m
            "present": xp.zeros((n, len(TOTES))),
            "speed_after": xp.zeros(n),  # of the belt from event_tick on, m/s
            "event_tick": xp.zeros(n, dtype=xp.int64),
        }

    def parameters(self) -> dict[str, Array]:
        return self._goal

    def start(self, world: int, seed: int, variation: Variation) -> dict[str, Any]:
        drawn = {
            v.name: variation.draw(seed, v.name) for v in TABLE if v.name not in ("colour", "length", "yaw", "offset_x")
        }
        count = drawn["totes"]
        for name in ("length", "yaw", "offset_x"):
            drawn[name] = variation.draws(seed, name, count)
        drawn["colour"] = self._colours(variation.draws(seed, "colour", 16), count, drawn["same_colour"])
        target = drawn["target"] % count
        self._place(world, drawn)
        self._rack.shift(world, np.array([drawn["rack_x"], drawn["rack_y"]]))
        self._engine.vary("geom_surfacevel")[world, self._belt.geom, 1] = drawn["belt_speed"]
        goal = self._goal
        goal["tote"][world], goal["slot"][world] = target, drawn["slot"]
        goal["size"][world] = (drawn["length"][target], ToteSize().width)
        goal["present"][world] = [k < count for k in range(len(TOTES))]
        self._schedule(world, seed, variation, drawn)
        name = self._name(drawn["colour"], target)
        drawn["instruction"] = drawn["sentence"].format(tote=name, slot=SLOTS[drawn["slot"]])
        return drawn

    @staticmethod
    def _colours(drawn: list[str], count: int, same: bool) -> list[str]:
        different = list(dict.fromkeys(drawn))
        colours = [different[k % len(different)] for k in range(count)]
        return [colours[0], colours[0], *colours[2:]] if same else colours

    @staticmethod
    def _name(colours: list[str], target: int) -> str:
        """The colour alone where it is unique, else with its place among those of its colour."""
        alike = [k for k, colour in enumerate(colours) if colour == colours[target]]
        return colours[target] if len(alike) == 1 else f"{ORDER[alike.index(target)]} {colours[target]}"

    def _place(self, world: int, drawn: dict[str, Any]) -> None:
        size = ToteSize()
        for k in range(len(TOTES)):
            present = k < drawn["totes"]
            y = drawn["first_y"] - k * (size.width + drawn["gap"])
            pos_w = (BELT.x + drawn["offset_x"][k], y, BELT.top_z + 0.0005) if present else PARKED_W
            self._totes.place(world, k, np.array(pos_w), drawn["yaw"][k] if present else 0.0)
            self._totes.show(world, k, present)
            if present:
                self._totes.resize(world, k, ToteSize(length=drawn["length"][k], mass=drawn["mass"]))
                self._totes.paint(world, k, COLOURS[drawn["colour"][k]])

    def _schedule(self, world: int, seed: int, variation: Variation, drawn: dict[str, Any]) -> None:
        """At L4 the belt changes its speed once, between 1 and 4 s after the start."""
        rng = variation.stream(seed, "belt_speed")
        rng.uniform()  # the speed's own draw
        after = float(rng.uniform(0.0, 0.15)) if variation.level == "L4" else drawn["belt_speed"]
        drawn["belt_speed_after"], drawn["event_s"] = after, float(rng.uniform(1.0, 4.0))
        self._goal["speed_after"][world] = after
        self._goal["event_tick"][world] = int(drawn["event_s"] * PHYSICS_HZ)

    def before_step(self, tick: Array) -> None:
        xp, goal = self._engine.xp, self._goal
        self._belt.set_speed(xp.where(tick >= goal["event_tick"], goal["speed_after"], self._belt.speed()))

    def _named(self) -> tuple[Array, Array]:
        """Pose (N, 7) and velocity (N, 6) of the named tote."""
        return self._totes.pose()[self._rows, self._goal["tote"]], self._totes.velocity()[
            self._rows, self._goal["tote"]
        ]

    def _slot_pos_w(self) -> Array:
        return self._rack.slots_w()[self._rows, self._goal["slot"]]

    def state(self) -> Array:
        xp, n = self._engine.xp, self._engine.num_worlds
        pose, velocity = self._named()
        every = self._totes.pose()[:, :, :3]  # (N, 3, 3)
        others = xp.stack([self._goal["tote"] + 1, self._goal["tote"] + 2], axis=1) % len(TOTES)
        other_pos = every[self._rows[:, None], others].reshape(n, 6)
        parts = [pose[:, :3], quat_to_rot6d(pose[:, 3:]), velocity[:, :3], self._goal["size"]]
        return xp.concat([*parts, self._slot_pos_w(), other_pos, self._belt.speed()[:, None]], axis=1)

    def judge(self) -> Outcome:
        xp = self._engine.xp
        pose, velocity = self._named()
        offset = pose[:, :3] - self._slot_pos_w()
        horizontal = xp.sqrt(offset[:, 0] ** 2 + offset[:, 1] ** 2)
        upright = quat_to_rot6d(pose[:, 3:])
        tilt_cos = upright[:, 0] * upright[:, 4] - upright[:, 1] * upright[:, 3]
        width = xp.sum(self._engine.view("qpos")[:, self._fingers], axis=1)
        tcp = self._engine.view("site_xpos")[:, self._tcp]
        held = (width > 0.002) & (width < 0.012) & (self._grasp_error(pose, tcp) < 0.03)
        standing = (xp.abs(offset[:, 2]) < 0.012) & (tilt_cos > UPRIGHT_COS)
        inside = (xp.abs(offset[:, 0]) < RACK.slot_x / 2 - 0.11) & (xp.abs(offset[:, 1]) < 0.03)
        success = inside & standing & ~held & (xp.sum(velocity[:, :3] ** 2, axis=1) < 0.02**2)
        stages = self._stages(pose, tcp, held | (inside & standing), horizontal, success)
        lost = (pose[:, 2] < 0.45) | ((pose[:, 1] > BELT.y_end - 0.25) & (pose[:, 0] > 0.35))
        return Outcome(xp.where(success, 1.0, stages), success, xp.where(success, 1.0, stages), lost & ~success)

    def _grasp_error(self, pose: Array, tcp: Array) -> Array:
        xp, size = self._engine.xp, ToteSize()
        local = xp.asarray([[0.0, -size.width / 2, size.height - GRASP_DEPTH_M]])
        grip = pose[:, :3] + quat_rotate(pose[:, 3:], xp.broadcast_to(local, pose[:, :3].shape))
        return xp.sqrt(xp.sum((tcp - grip) ** 2, axis=1) - ((tcp - grip)[:, 0] * 0.5) ** 2)

    def _stages(self, pose: Array, tcp: Array, held: Array, horizontal: Array, success: Array) -> Array:
        """Reach, hold, lift, carry: a quarter of the way each, 1 only on success."""
        xp = self._engine.xp
        reach = tolerance(self._grasp_error(pose, tcp), 0.02, 0.4)
        lift = xp.clip((pose[:, 2] - BELT.top_z) / 0.15, 0.0, 1.0)
        carry = tolerance(horizontal, 0.02, 0.5)
        return xp.where(held, 0.35 + 0.15 * xp.maximum(lift, carry) + 0.4 * carry, 0.25 * reach)


TOTE_TRANSFER = TaskSpec(
    name="ToteTransfer",
    summary="take the named tote off a roller belt and set it upright into the named rack slot",
    robots=("arm",),
    cameras=(CAMERA,),
    horizon_s=20.0,
    table=TABLE,
    build=build_tote_station,
    bind=ToteTransfer,
    expert=tote_transfer_expert,
    beauty_camera="hall",
)
