"""TableWipe: wipe the named stains off the table with the cloth pad, gently."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from embodied.arrays import norm
from embodied.core import Array, Layout
from embodied.envs.events import PUSH_TICKS, is_during
from embodied.envs.facts import PerState
from embodied.envs.props.dirt import Dirt
from embodied.envs.props.stains import CELLS, SMALL_CELLS, STAINS
from embodied.envs.reward import tolerance
from embodied.envs.skills.scripted import scripted_expert
from embodied.envs.task import Needs, Outcome, TaskSpec
from embodied.envs.tasks.table_wipe.episode import event_ticks, sample_episode
from embodied.envs.tasks.table_wipe.expert import decide
from embodied.envs.tasks.table_wipe.facts import Facts, Props
from embodied.envs.tasks.table_wipe.scene import (
    BEAUTY,
    CAMERA,
    MAT_XY,
    PLACES_XY,
    TABLE,
    WORK,
    build_dining_table,
)
from embodied.envs.tasks.table_wipe.variation import CLOTHS, KINDS, TABLE_TOPS
from embodied.envs.tasks.table_wipe.variation import TABLE as VARIABLES
from embodied.envs.variation import Variation
from embodied.robots.robot import Robot
from embodied.sim.engine import Engine

# The pad must not press on the table with more than this in any physics step.
FORCE_LIMIT_N = 30.0
# The pad wipes only if it presses with more than this: its weight, 2.2 N, is not enough.
RUBBING_N = 6.0
# The share of the named stains' area that must be wiped off.
WIPED_SHARE = 0.95
# The share of the other stains' area that must stay.
SPARED_SHARE = 0.90
# The pad is pushed only while the hand is farther from its handle than this.
HAND_AWAY_M = 0.15
# The spill comes once this share of the named stains is wiped, or at its latest time if
# that is earlier.
SPILL_AT_SHARE = 0.4
TABLE_XY = np.array([TABLE.x, TABLE.y])  # the table's middle in the world, m
S = len(STAINS)


class TableWipe:
    """N episodes of TableWipe on an engine."""

    state_layout = Layout(
        (
            ("pad_pos_w", 3),
            ("pad_rot6d", 6),
            ("pad_vel_w", 3),
            ("pad_force", 2),  # N, on the table: at present, and the largest so far
            ("table_z", 1),
            ("mat_pos_w", 2),
            # of each of the S stains
            ("dirt_cm2", S),
            ("dirt_named", S),  # 1 for stains that are still to be wiped
            ("dirt_low_xy_w", 2 * S),
            ("dirt_high_xy_w", 2 * S),
        )
    )

    def __init__(self, engine: Engine, robot: Robot) -> None:
        """Finds the scene's parts, and makes the arrays that `start` fills."""
        xp = engine.xp
        n = engine.num_worlds
        self._engine = engine
        self._props = Props(engine, robot)
        self._dirt = Dirt(xp, n)
        self._memory = {
            **self._dirt.arrays,
            "pad_xy_w": xp.zeros((n, 2)),  # m, at the last control step
            "peak_n": xp.zeros(n),  # N, largest force of the pad on the table so far
            # from push_tick on: the force on the pad along x and y, N
            "push": xp.zeros((n, 2)),
            "push_tick": xp.zeros(n, dtype=xp.int64),
            "spill_tick": xp.zeros(n, dtype=xp.int64),  # the latest time of the spill
        }
        # a function that returns the facts of the present state, computed once per state
        self._facts = PerState(engine, partial(Facts, self._props, self._memory))

    def memory(self) -> dict[str, Array]:
        return self._memory

    def start(self, world: int, seed: int, variation: Variation) -> dict[str, Any]:
        """Samples an episode, and sets table, pad, dirt and memory of one world.

        Args:
            world: the index of the world.
            seed: the episode's seed.
            variation: samples the values that vary.

        Returns:
            The sampled values by name, which are stored with the episode.
        """
        episode = sample_episode(seed, variation)
        pad_xy_w = np.asarray(MAT_XY) + episode["pad_offset"]

        # the scene
        self._dirt.clear(world)
        for k in range(len(episode["kind"])):
            self._lay_stain(world, k, episode)
        self._props.stains.show(self._dirt.remaining())
        self._lay_table(world, pad_xy_w, episode)

        # what the task remembers
        memory = self._memory
        push_tick, spill_tick = event_ticks(episode)
        memory["pad_xy_w"][world] = pad_xy_w
        memory["peak_n"][world] = 0.0
        memory["push"][world] = episode["push_n"]
        memory["push_tick"][world] = push_tick
        memory["spill_tick"][world] = spill_tick
        return episode

    def _lay_table(
        self, world: int, pad_xy_w: np.ndarray, episode: dict[str, Any]
    ) -> None:
        """Sets the table's height and colour, and lays the mat and the pad onto it.

        Args:
            world: the index of the world.
            pad_xy_w: (2,) m, the position of the pad and the mat in the world.
            episode: the sampled values of the episode.
        """
        pad = self._props.pad
        table = self._props.table
        yaw = episode["pad_yaw"]
        top_z = TABLE.top_z + episode["table_height"]

        # the mat is part of the table, so its position is relative to the table's middle
        table.raise_by(world, episode["table_height"])
        table.paint(world, TABLE_TOPS[episode["top"]])
        pad.place(world, (*pad_xy_w, top_z), yaw)
        pad.place_mat(world, pad_xy_w - TABLE_XY, yaw)
        pad.paint(world, CLOTHS[episode["cloth"]])
        pad.set_friction(world, episode["table_friction"])

    def _lay_stain(self, world: int, k: int, episode: dict[str, Any]) -> None:
        """Lays the k-th stain of an episode, clean, dirty, or to be spilled later.

        The episode's first `stains` stains are dirty from the start. The last stain may be
        spilled later; if it is not spilled in this episode, it stays clean.

        Args:
            world: the index of the world.
            k: the index of the stain in the episode's lists.
            episode: the sampled values of the episode.
        """
        dirt = self._dirt
        stains = self._props.stains
        blob = episode["blob"][k]  # index of the stain in STAINS, which differ in shape
        # the kind's colour, and the distance of rubbing that cleans it
        rgb, rub_m = KINDS[episode["kind"][k]]
        rub_m = rub_m * episode["stickiness"]
        offset = episode["offset"][2 * k : 2 * k + 2]
        # in the table's frame, which differs from the world's by TABLE_XY
        xy = PLACES_XY[episode["place"][k]] + offset - TABLE_XY

        cells_w = stains.place(world, blob, xy, episode["turn"][k]) + TABLE_XY
        stains.paint(world, blob, rgb)
        dirt.lay(world, blob, cells_w=cells_w, rub_m=rub_m, named=episode["named"][k])

        num_cells = SMALL_CELLS if episode["small"][k] else CELLS
        if k < episode["stains"]:
            dirt.dirty(world, blob, num_cells)
        elif episode["spilled"]:
            dirt.spill_later(world, blob, num_cells)

    def before_step(self, tick: Array) -> None:
        """Wipes the cells under the pad, and lets the push and the spill happen when due.

        Args:
            tick: (N,) the time in each world's episode, in physics steps.
        """
        xp = self._engine.xp
        memory = self._memory
        facts = self._facts()
        props = self._props

        # the push of level L4
        is_pushed = is_during(tick, memory["push_tick"], PUSH_TICKS)
        is_pushed = is_pushed & (facts.reach_m > HAND_AWAY_M)
        props.pad.push(xp.where(is_pushed[:, None], memory["push"], 0.0))

        # the cells under the pad are rubbed by the distance that the pad slid since the
        # last step; the spill comes when it is due
        xy = facts.pad_pos_w[:, :2]
        moved = xy - memory["pad_xy_w"]
        is_rubbing = facts.press_n > RUBBING_N
        rubbed_m = xp.where(is_rubbing, norm(moved), 0.0)
        is_under_pad = props.pad.under(memory["cell_xy_w"])
        is_enough_wiped = memory["wiped"] > SPILL_AT_SHARE
        is_spilling = (tick >= memory["spill_tick"]) | is_enough_wiped
        props.stains.show(self._dirt.update(is_under_pad, rubbed_m, is_spilling))

        memory["pad_xy_w"][...] = xy
        memory["peak_n"][...] = facts.peak_press_n

    def state(self) -> Array:
        """Returns the privileged state (N, S), whose parts `state_layout` names."""
        xp = self._engine.xp
        memory = self._memory
        facts = self._facts()

        # the pad, then the table and its stains
        parts = [
            facts.pad_pos_w,
            facts.pad_rot6d,
            facts.pad_vel_w,
            facts.press_n[:, None],
            facts.peak_press_n[:, None],
            facts.table_z_w[:, None],
            facts.mat_xy_w,
            1e4 * memory["left_m2"],  # in cm2
            xp.where(memory["left_m2"] > 0, memory["named"], 0.0),
            xp.reshape(memory["low_xy_w"], (-1, 2 * S)),
            xp.reshape(memory["high_xy_w"], (-1, 2 * S)),
        ]
        return xp.concat(parts, axis=1)

    def judge(self) -> Outcome:
        """Returns the judgement.

        Success: the named stains are gone. Lost: the pad was pressed too hard or has
        fallen, or other stains were wiped.
        """
        xp = self._engine.xp
        memory = self._memory
        facts = self._facts()
        is_gentle = facts.peak_press_n <= FORCE_LIMIT_N
        are_others_wiped = memory["spared"] < SPARED_SHARE
        is_spoilt = ~is_gentle | are_others_wiped | facts.is_fallen
        success = (memory["wiped"] >= WIPED_SHARE) & ~is_spoilt

        # up to 0.3 for holding the pad, and up to 0.65 for wiping the named stains; the
        # latter shrinks if other stains are wiped, too
        in_hand = hand_progress(xp, facts.reach_m, facts.is_held)
        progress = in_hand + 0.65 * memory["wiped"] * memory["spared"]
        return Outcome(
            success=success,
            progress=xp.where(success, 1.0, progress),
            lost=is_spoilt,
            dropped=xp.astype(facts.is_fallen, xp.int64),
        )


def hand_progress(xp: Any, reach_m: Array, is_held: Array) -> Array:
    """Returns the progress (N,) of the hand: up to 0.25 near the pad, 0.3 with the pad.

    Args:
        xp: The array namespace.
        reach_m: (N,) m, from the TCP to the middle of the pad's handle.
        is_held: (N,) bool, whether the fingers are closed on the handle.
    """
    # from 0 to 1: 1 within 0.02 m of the handle, and 0.1 at 0.42 m
    reached = tolerance(reach_m, bound=0.02, margin=0.4)
    return xp.where(is_held, 0.3, 0.25 * reached)


TABLE_WIPE = TaskSpec(
    name="TableWipe",
    summary="wipe the stains that the sentence names off a table with a cloth pad, pressing no harder than 30 N",
    needs=Needs(opening_m=0.05, reach_m=0.7, places=WORK),
    cameras=(CAMERA,),
    horizon_s=35.0,
    table=VARIABLES,
    build=build_dining_table,
    bind=TableWipe,
    expert=partial(scripted_expert, decide),
    beauty_camera=BEAUTY,
)
