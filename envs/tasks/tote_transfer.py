"""ToteTransfer: the arm takes the tote that the instruction names off the belt and sets it into the named slot."""

from __future__ import annotations

from typing import Any

import numpy as np

from embodied.arrays import dot
from embodied.core import PHYSICS_HZ, Array, Layout
from embodied.envs.experts.tote_transfer import tote_transfer_expert
from embodied.envs.props.belt import Belt
from embodied.envs.props.parking import parked_w
from embodied.envs.props.rack import SLOTS, Rack
from embodied.envs.props.tote import Totes, ToteSize
from embodied.envs.reward import tolerance
from embodied.envs.scenes.tote_station import BELT, CAMERA, RACK, TOTES, build_tote_station
from embodied.envs.task import Outcome, TaskSpec
from embodied.envs.tasks.tote_transfer_table import COLOURS, TABLE
from embodied.envs.variation import Variation
from embodied.robots.robot import Robot
from embodied.sim.engine import ROT6D_OF_XMAT, Engine

PUSH_TICKS = 80
PUSH_M_S2 = (9.5, 12.0)  # force for its mass; the belt's friction holds 7.8 of it, so the tote slides 5 to 15 cm
EVENT_STREAM = 0x4C34  # of random numbers, apart from those of the table's variables
GRASP_DEPTH_M = 0.02  # of the pads' middle below the rim
TOTE = ToteSize()
RAIL_GAP_M = 0.002
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
        self._grip = xp.asarray([[0.0, -TOTE.width / 2, TOTE.height - GRASP_DEPTH_M]])  # in the tote's frame, m
        self._grip_weight = xp.asarray([0.75, 1.0, 1.0])
        self._others = xp.asarray([[(k + 1) % len(TOTES), (k + 2) % len(TOTES)] for k in range(len(TOTES))])
        self._goal = {
            "tote": xp.zeros(n, dtype=xp.int64),
            "slot": xp.zeros(n, dtype=xp.int64),
            "size": xp.zeros((n, 2)),  # length, width of the named tote, m
            "present": xp.zeros((n, len(TOTES))),
            "speed_after": xp.zeros(n),  # of the belt from event_tick on, m/s
            "push": xp.zeros((n, 2)),  # N along x and y on the named tote from event_tick on
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
        places = zip(drawn["offset_x"], drawn["length"], drawn["yaw"], strict=True)
        drawn["offset_x"] = [_between_rails(*place) for place in places]
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
            pos_w = (BELT.x + drawn["offset_x"][k], y, BELT.top_z + 0.0005) if present else parked_w(k)
            self._totes.place(world, k, np.array(pos_w), drawn["yaw"][k] if present else 0.0)
            self._totes.show(world, k, present)
            if present:
                self._totes.resize(world, k, ToteSize(length=drawn["length"][k], mass=drawn["mass"]))
                self._totes.paint(world, k, COLOURS[drawn["colour"][k]])

    def _schedule(self, world: int, seed: int, variation: Variation, drawn: dict[str, Any]) -> None:
        """At L4 one thing happens 1 to 4 s after the start: the belt changes its speed, or the named tote is pushed."""
        rng, goal = np.random.default_rng((seed, EVENT_STREAM)), self._goal
        speed, push, pushed = drawn["belt_speed"], (0.0, 0.0), bool(rng.random() < 0.5)
        if variation.level == "L4":
            angle, force = rng.uniform(-np.pi, np.pi), drawn["mass"] * rng.uniform(*PUSH_M_S2)
            push = (float(force * np.cos(angle)), float(force * np.sin(angle))) if pushed else push
            speed = speed if pushed else float(rng.uniform(0.0, 0.15))
        drawn["belt_speed_after"], drawn["push_n"], drawn["event_s"] = speed, push, float(rng.uniform(1.0, 4.0))
        goal["speed_after"][world], goal["push"][world] = speed, push
        goal["event_tick"][world] = int(drawn["event_s"] * PHYSICS_HZ)

    def before_step(self, tick: Array) -> None:
        xp, goal = self._engine.xp, self._goal
        due = tick >= goal["event_tick"]
        self._belt.set_speed(xp.where(due, goal["speed_after"], self._belt.speed()))
        pushing = due & (tick < goal["event_tick"] + PUSH_TICKS)
        self._totes.push(goal["tote"], xp.where(pushing[:, None], goal["push"], 0.0))

    def _slot_pos_w(self) -> Array:
        return self._rack.slot_w(self._goal["slot"])

    def state(self) -> Array:
        xp = self._engine.xp
        pos, rotation, velocity = self._totes.one(self._goal["tote"])
        others = xp.reshape(self._totes.positions_w(self._others[self._goal["tote"]]), (-1, 6))
        parts = [pos, rotation[:, ROT6D_OF_XMAT], velocity, self._goal["size"], self._slot_pos_w(), others]
        return xp.concat([*parts, self._belt.speed()[:, None]], axis=1)

    def judge(self) -> Outcome:
        xp = self._engine.xp
        pos, rotation, velocity = self._totes.one(self._goal["tote"])
        offset = pos - self._slot_pos_w()
        grasp_error = self._grasp_error(pos, rotation)
        width = sum(self._engine.view("qpos")[:, finger] for finger in self._fingers)
        held = (width > 0.002) & (width < 0.012) & (grasp_error < 0.03)
        distance = xp.abs(offset)
        standing = (distance[:, 2] < 0.012) & (rotation[:, 8] > UPRIGHT_COS)
        inside = (distance[:, 0] < RACK.slot_x / 2 - 0.11) & (distance[:, 1] < 0.03)
        set_down = inside & standing
        success = set_down & ~held & (dot(velocity, velocity) < 0.02**2)
        horizontal = xp.sqrt(dot(offset[:, :2], offset[:, :2]))
        progress = xp.where(success, 1.0, self._stages(pos, grasp_error, held | set_down, horizontal))
        lost = (pos[:, 2] < 0.45) | ((pos[:, 1] > BELT.y_end - 0.25) & (pos[:, 0] > 0.35))
        return Outcome(reward=progress, success=success, progress=progress, lost=lost)

    def _grasp_error(self, pos: Array, rotation: Array) -> Array:
        """(N,) m from the TCP to where the wall is gripped; along the wall there is more room."""
        xp = self._engine.xp
        grip = pos + dot(xp.reshape(rotation, (-1, 3, 3)), self._grip)
        error = self._engine.view("site_xpos")[:, self._tcp] - grip
        return xp.sqrt(dot(error * self._grip_weight, error))

    def _stages(self, pos: Array, grasp_error: Array, held: Array, horizontal: Array) -> Array:
        """Reach, hold, lift, carry: 1 only on success."""
        xp = self._engine.xp
        reach = tolerance(grasp_error, 0.02, 0.4)
        lift = (pos[:, 2] - BELT.top_z) / 0.15
        carry = tolerance(horizontal, 0.02, 0.5)
        best = xp.maximum(xp.where(lift > 1.0, 1.0, lift), carry)  # carry is at least 0
        return xp.where(held, 0.35 + 0.15 * best + 0.4 * carry, 0.25 * reach)


def _between_rails(offset_m: float, length_m: float, yaw: float) -> float:
    """The offset from the belt's middle, as far as a tote that is long or askew leaves room for it."""
    half_m = (length_m * np.cos(yaw) + TOTE.width * np.sin(abs(yaw))) / 2
    room_m = BELT.width / 2 - half_m - RAIL_GAP_M
    return float(np.clip(offset_m, -room_m, room_m))


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
