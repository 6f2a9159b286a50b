"""TableWipe: the arm takes the cloth pad and wipes the stains that the instruction
names off the table, gently.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from embodied.arrays import dot
from embodied.core import PHYSICS_HZ, Array, Layout
from embodied.envs.props.dirt import Dirt
from embodied.envs.props.pad import HELD_WIDTH_M, Pad
from embodied.envs.props.stains import CELLS, SMALL_CELLS, STAINS, Stains
from embodied.envs.props.table import Table
from embodied.envs.reward import tolerance
from embodied.envs.task import Outcome, TaskSpec
from embodied.envs.tasks.table_wipe import variation as names
from embodied.envs.tasks.table_wipe.episode import draw_start
from embodied.envs.tasks.table_wipe.expert import table_wipe_expert
from embodied.envs.tasks.table_wipe.scene import (
    BEAUTY,
    CAMERA,
    MAT_XY,
    PLACES_XY,
    TABLE,
    build_dining_table,
)
from embodied.envs.variation import Variation
from embodied.robots.robot import Robot
from embodied.sim.engine import Engine

FORCE_LIMIT_N = 30.0  # of the pad on the table, at any physics step of the episode
RUBBING_N = 6.0  # that it takes to wipe; the pad alone weighs 2.2
# share of the named stains' area that must go, and of the others' that must stay
WIPED = 0.95
SPARED = 0.90
PUSH_TICKS = 80
ALOOF_M = 0.15  # nobody shoves a pad that the hand is nearer to
SPILL_AT = 0.4  # share wiped, if it is not time before
MOST_N = 100.0  # that is told from more
TABLE_XY = np.array([TABLE.x, TABLE.y])
S = len(STAINS)


class TableWipe:
    """N episodes of TableWipe on an engine."""

    state_layout = Layout(
        (
            ("pad_pos_w", 3), ("pad_rot6d", 6), ("pad_vel_w", 3), ("pad_force", 2), ("table_z", 1), ("mat_pos_w", 2),
            ("dirt_cm2", S), ("dirt_named", S), ("dirt_low_xy_w", 2 * S), ("dirt_high_xy_w", 2 * S),
        )
    )  # fmt: skip

    def __init__(self, engine: Engine, robot: Robot) -> None:
        self._engine = engine
        xp = engine.xp
        n = engine.num_worlds
        self._pad = Pad(engine)
        self._stains = Stains(engine)
        self._dirt = Dirt(xp, n)
        self._table = Table(engine, TABLE)
        self._tcp = engine.model.site(robot.effectors[0].site).id
        self._fingers = [
            int(engine.model.joint(name).qposadr[0])
            for name in robot.grippers[0].fingers
        ]
        self._goal = {
            **self._dirt.books,
            "pad_xy_w": xp.zeros((n, 2)),  # at the last control step
            "peak_n": xp.zeros(n),  # strongest force of the pad on the table so far
            "push": xp.zeros((n, 2)),  # N on the pad for a while from push_tick on
            "push_tick": xp.zeros(n, dtype=xp.int64),
            "spill_tick": xp.zeros(n, dtype=xp.int64),
        }

    def parameters(self) -> dict[str, Array]:
        return self._goal

    def start(self, world: int, seed: int, variation: Variation) -> dict[str, Any]:
        drawn = draw_start(seed, variation)
        goal = self._goal
        self._dirt.clear(world)
        goal["peak_n"][world] = 0.0
        goal["push"][world] = drawn["push_n"]
        goal["push_tick"][world], goal["spill_tick"][world] = (
            int(s * PHYSICS_HZ) for s in drawn["event_s"]
        )
        for k in range(len(drawn["kind"])):
            self._lay_stain(world, k, drawn)
        self._stains.show(self._dirt.left())
        at = goal["pad_xy_w"][world] = np.asarray(MAT_XY) + drawn["pad_offset"]
        self._table.raise_by(world, drawn["table_height"])
        self._table.paint(world, names.TABLE_TOPS[drawn["top"]])
        self._pad.place(
            world, (*at, TABLE.top_z + drawn["table_height"]), drawn["pad_yaw"]
        )
        self._pad.place_mat(world, at - TABLE_XY, drawn["pad_yaw"])
        self._pad.paint(world, names.CLOTHS[drawn["cloth"]])
        self._pad.roughen(world, drawn["table_friction"])
        return drawn

    def _lay_stain(self, world: int, k: int, drawn: dict[str, Any]) -> None:
        """The `k`-th of an episode; the last is what may be spilled later."""
        blob = drawn["blob"][k]
        (rgb, rub_m) = names.KINDS[drawn["kind"][k]]
        at = (
            PLACES_XY[drawn["place"][k]] + drawn["offset"][2 * k : 2 * k + 2] - TABLE_XY
        )
        cells_w = self._stains.place(world, blob, at, drawn["turn"][k]) + TABLE_XY
        self._stains.paint(world, blob, rgb)
        self._dirt.lay(
            world, blob, cells_w, rub_m * drawn["stickiness"], drawn["named"][k]
        )
        size = SMALL_CELLS if drawn["small"][k] else CELLS
        if k < drawn["stains"]:
            self._dirt.dirty(world, blob, size)
        elif drawn["spilled"]:
            self._dirt.spill_later(world, blob, size)

    def before_step(self, tick: Array) -> None:
        xp = self._engine.xp
        goal = self._goal
        pad = self._pad
        pushing = (
            (tick >= goal["push_tick"])
            & (tick < goal["push_tick"] + PUSH_TICKS)
            & (self._reach_m() > ALOOF_M)
        )
        pad.push(xp.where(pushing[:, None], goal["push"], 0.0))
        force = self._force_n()
        xy = pad.pose()[0][:, :2]
        way = xy - goal["pad_xy_w"]
        rubbed = xp.where(force > RUBBING_N, xp.sqrt(dot(way, way)), 0.0)
        spilling = (tick >= goal["spill_tick"]) | (goal["wiped"] > SPILL_AT)
        self._stains.show(
            self._dirt.update(pad.under(goal["cell_xy_w"]), rubbed, spilling)
        )
        goal["pad_xy_w"][...] = xy
        goal["peak_n"][...] = xp.maximum(goal["peak_n"], force)

    def state(self) -> Array:
        xp = self._engine.xp
        pad = self._pad
        goal = self._goal
        force = self._force_n()
        felt = xp.stack(
            [force, xp.maximum(goal["peak_n"], force), self._table.top_z_w()], axis=1
        )
        named = xp.where(goal["left_m2"] > 0, goal["named"], 0.0)
        boxes = [
            xp.reshape(goal[corner], (-1, 2 * S))
            for corner in ("low_xy_w", "high_xy_w")
        ]
        return xp.concat(
            [*pad.pose(), felt, pad.mat_w(), 1e4 * goal["left_m2"], named, *boxes],
            axis=1,
        )

    def judge(self) -> Outcome:
        xp = self._engine.xp
        goal = self._goal
        pos_w = self._pad.pose()[0]
        gentle = xp.maximum(goal["peak_n"], self._force_n()) <= FORCE_LIMIT_N
        fallen = pos_w[:, 2] < TABLE.top_z - 0.1
        spoilt = ~gentle | (goal["spared"] < SPARED) | fallen
        success = (goal["wiped"] >= WIPED) & ~spoilt
        progress = xp.where(
            success, 1.0, self._hand() + 0.65 * goal["wiped"] * goal["spared"]
        )
        return Outcome(
            success=success,
            progress=progress,
            lost=spoilt,
            dropped=xp.astype(fallen, xp.int64),
        )

    def _force_n(self) -> Array:
        """(N,) of the pad on the table, as far as it matters."""
        force = self._pad.force_n()
        return self._engine.xp.where(force < MOST_N, force, MOST_N)

    def _reach_m(self) -> Array:
        """(N,) from the hand to the middle of the handle."""
        offset = self._engine.view("site_xpos")[:, self._tcp] - self._pad.grip_w()
        return self._engine.xp.sqrt(dot(offset, offset))

    def _hand(self) -> Array:
        """(N,) up to 0.25 for reaching the handle, 0.3 with it in the hand."""
        xp = self._engine.xp
        error = self._reach_m()
        width = sum(self._engine.view("qpos")[:, finger] for finger in self._fingers)
        held = (width > HELD_WIDTH_M[0]) & (width < HELD_WIDTH_M[1]) & (error < 0.02)
        return xp.where(held, 0.3, 0.25 * tolerance(error, 0.02, 0.4))


TABLE_WIPE = TaskSpec(
    name="TableWipe",
    summary="wipe the stains that the sentence names off a table with a cloth pad, pressing no harder than 30 N",
    robots=("arm", "wheeled_arm"),
    cameras=(CAMERA,),
    horizon_s=35.0,
    table=names.TABLE,
    build=build_dining_table,
    bind=TableWipe,
    expert=table_wipe_expert,
    beauty_camera=BEAUTY,
)
