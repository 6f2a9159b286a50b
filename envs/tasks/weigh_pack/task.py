"""WeighPack: weigh an item, put it into the box that the scale shows, and close it."""

from __future__ import annotations

from functools import partial
from typing import Any

from embodied.core import Array, Layout, seconds_to_ticks
from embodied.envs.events import PUSH_TICKS, is_during
from embodied.envs.facts import PerState
from embodied.envs.measures import Measure
from embodied.envs.reward import tolerance
from embodied.envs.skills.scripted import scripted_expert
from embodied.envs.task import Needs, Outcome, TaskSpec, TaskStage
from embodied.envs.tasks.weigh_pack.episode import (
    LIMITS_KG,
    flap_angles,
    item_pos_w,
    item_size,
    marks_of,
    memory_of,
    sample_episode,
)
from embodied.envs.tasks.weigh_pack.expert import decide
from embodied.envs.tasks.weigh_pack.facts import Facts, Props
from embodied.envs.tasks.weigh_pack.scene import (
    BEAUTY,
    BOXES,
    CAMERA,
    WORK,
    build_packing_station,
)
from embodied.envs.tasks.weigh_pack.variation import COLOURS, TABLE
from embodied.envs.variation import Variation
from embodied.robots.robot import Robot
from embodied.sim.engine import Engine

# A reading has settled once it has kept within STEADY_KG for SETTLE_S.
STEADY_KG = 0.004
SETTLE_S = 0.5
SETTLE_TICKS = seconds_to_ticks(SETTLE_S)
# Loads that the scale weighs: below and above them it shows nothing new.
LEAST_KG = 0.05
MOST_KG = 0.60
# The item counts as lifted this high above where it was taken from.
LIFT_M = 0.05


class WeighPack:
    """N episodes of WeighPack on an engine."""

    # the item's mass is left out: only the scale tells it
    state_layout = Layout(
        (
            ("item_pos_w", 3),
            ("item_rot6d", 6),
            ("item_vel_w", 3),
            ("item_size", 3),
            ("pan_pos_w", 3),
            ("reading", 1),  # kg, at present
            ("weighed", 1),  # 1 once the display shows a box
            # the centre of that box's floor, and the angle of its flap; before that, the
            # centre of the pan, and 0
            ("asked_pos_w", 3),
            ("asked_flap", 1),
            # of all boxes, from right to left: centres of the floors, and flaps in rad, 0
            # if shut
            ("boxes_pos_w", 3 * BOXES),
            ("flaps", BOXES),
        )
    )

    def __init__(self, engine: Engine, robot: Robot) -> None:
        """Finds the scene's parts, and makes the arrays that `start` fills."""
        xp = engine.xp
        n = engine.num_worlds
        self._engine = engine
        self._props = Props(engine, robot)
        self._memory = {
            "mass": xp.zeros(n),  # of the item, kg
            "size": xp.zeros((n, 3)),  # of the item, m
            # the box of each weight class, and the box of the item
            "boxes": xp.zeros((n, BOXES), dtype=xp.int64),
            "own_box": xp.zeros(n, dtype=xp.int64),
            # what the display shows for each box, and at last for no box: an index into
            # MARKS, or len(MARKS) for an empty display
            "marks": xp.zeros((n, BOXES + 1), dtype=xp.int64),
            # the box that the display shows, or BOXES while it shows none
            "asked": xp.zeros(n, dtype=xp.int64),
            "weighed": xp.zeros(n),  # the reading for which the display shows it, kg
            # the reading that the later ones are compared with, kg, and its tick
            "steady_kg": xp.zeros(n),
            "steady_tick": xp.zeros(n, dtype=xp.int64),
            # 1 while the item is in a box that is not its own, and how often it has come
            # into such a box
            "wrong_box": xp.zeros(n, dtype=xp.int64),
            "wrong_boxes": xp.zeros(n, dtype=xp.int64),
            # from event_tick on: the force on the item along x and y, N
            "push": xp.zeros((n, 2)),
            "event_tick": xp.zeros(n, dtype=xp.int64),
        }
        # a function that returns the facts of the present state, computed once per state
        self._facts = PerState(engine, partial(Facts, self._props, self._memory))

    def memory(self) -> dict[str, Array]:
        return self._memory

    def start(self, world: int, seed: int, variation: Variation) -> dict[str, Any]:
        """Samples an episode, and sets the scene and the memory of one world.

        Args:
            world: the index of the world.
            seed: the episode's seed.
            variation: samples the values that vary.

        Returns:
            The sampled values by name, which are stored with the episode.
        """
        episode = sample_episode(seed, variation)
        props = self._props

        # the scene; the only item has the index 0
        props.item.resize(world, 0, item_size(episode))
        props.item.place(world, 0, item_pos_w(episode), episode["item_yaw"])
        props.item.paint(world, 0, COLOURS[episode["colour"]])
        props.item.set_present(world, 0, True)
        props.scale.shift(world, (episode["scale_x"], episode["scale_y"]))
        props.scale.clear(world)
        props.boxes.shift(world, (episode["boxes_x"], episode["boxes_y"]))
        props.boxes.mark(world, marks_of(episode))
        props.boxes.open(world, flap_angles())

        # what the task remembers
        for name, value in memory_of(episode).items():
            self._memory[name][world] = self._engine.xp.asarray(value)
        return episode

    def before_step(self, tick: Array) -> None:
        """Updates the display, counts wrong boxes, and pushes the item when its event is due.

        Args:
            tick: (N,) the time in each world's episode, in physics steps.
        """
        xp = self._engine.xp
        memory = self._memory
        facts = self._facts()
        self._weigh(tick, facts.reading_kg)

        # count the item once each time that it comes into a wrong box
        is_wrong = xp.any(facts.is_in_box & ~facts.is_own, axis=1)
        is_new = xp.astype(is_wrong & (memory["wrong_box"] == 0), xp.int64)
        memory["wrong_boxes"][...] = memory["wrong_boxes"] + is_new
        memory["wrong_box"][...] = xp.astype(is_wrong, xp.int64)

        # the push of level L4
        is_pushed = is_during(tick, memory["event_tick"], PUSH_TICKS)
        force = xp.where(is_pushed[:, None], memory["push"], 0.0)
        self._props.item.push(self._props.first, force)  # index 0: the only item

    def _weigh(self, tick: Array, reading_kg: Array) -> None:
        """Updates the display, which changes whenever a new load has settled.

        Args:
            tick: (N,) the time in each world's episode, in physics steps.
            reading_kg: (N,) the present load on the scale.
        """
        xp = self._engine.xp
        memory = self._memory
        worlds = self._props.worlds

        # A load has settled once all readings in a time of SETTLE_TICKS are within
        # STEADY_KG of the first one. A reading outside of this range starts a new time.
        has_moved = xp.abs(reading_kg - memory["steady_kg"]) > STEADY_KG
        memory["steady_kg"][...] = xp.where(has_moved, reading_kg, memory["steady_kg"])
        memory["steady_tick"][...] = xp.where(has_moved, tick, memory["steady_tick"])
        is_load = (reading_kg > LEAST_KG) & (reading_kg < MOST_KG)
        is_settled = is_load & (tick - memory["steady_tick"] >= SETTLE_TICKS)

        # the number of limits below the reading is its weight class
        weight_class = xp.zeros_like(memory["asked"])
        for limit_kg in LIMITS_KG:
            weight_class = weight_class + xp.astype(reading_kg > limit_kg, xp.int64)
        asked = memory["boxes"][worlds, weight_class]
        memory["asked"][...] = xp.where(is_settled, asked, memory["asked"])
        memory["weighed"][...] = xp.where(is_settled, reading_kg, memory["weighed"])

        # column BOXES of `marks` is for the display that shows no box
        self._props.scale.show(memory["marks"][worlds, memory["asked"]])

    def state(self) -> Array:
        """Returns (N, 36), in the order of `state_layout`."""
        xp = self._engine.xp
        memory = self._memory
        facts = self._facts()
        parts = [
            # the item, and the scale
            facts.item_pos_w,
            facts.item_rot6d,
            facts.item_vel_w,
            memory["size"],
            facts.pan_w,
            facts.reading_kg[:, None],
            xp.astype(facts.is_weighed[:, None], xp.float64),
            # the box that the display shows, then all boxes
            facts.asked_pos_w,
            facts.asked_flap_rad[:, None],
            xp.reshape(facts.floors_w, (-1, 3 * BOXES)),
            facts.angles_rad,
        ]
        return xp.concat(parts, axis=1)

    def judge(self) -> Outcome:
        """Returns the judgement.

        Success: the item was weighed, and is shut into the box that fits its mass. Lost:
        the item is shut into another box, or is shut in without having been weighed, or
        has fallen off the table.
        """
        xp = self._engine.xp
        facts = self._facts()
        is_weighed = facts.is_weighed
        is_shut_in = facts.is_in_box & facts.is_closed  # (N, K)
        is_right = xp.any(is_shut_in & facts.is_own, axis=1) & is_weighed
        lost = (xp.any(is_shut_in, axis=1) & ~is_right) | facts.is_fallen
        success = is_right & ~lost

        progress = xp.where(is_weighed, packing(xp, facts), weighing(xp, facts))
        progress = xp.where(success, 1.0, progress)
        return Outcome(
            success=success,
            progress=xp.where(lost, 0.0, progress),
            lost=lost,
            dropped=xp.astype(facts.is_fallen, xp.int64),
        )

    def measures(self) -> dict[str, Array]:
        """Returns the weighing error, and how often the item went into a wrong box."""
        xp = self._engine.xp
        memory = self._memory
        return {
            "weighing_error": xp.abs(memory["weighed"] - memory["mass"]),
            "wrong_boxes": memory["wrong_boxes"],
        }


def weighing(xp: Any, facts: Facts) -> Array:
    """Returns the progress (N,) until the display shows a box.

    The progress is at most 0.15 while the hand reaches for the item, at least 0.2 once
    the item is in the hand, and 0.4 once the item is on the scale.
    """
    # rewards from 0 to 1: 1 within `bound` m of the goal, and 0.1 at `bound` + `margin` m
    reached = tolerance(facts.grip_error_m, bound=0.01, margin=0.4)
    brought = tolerance(facts.pan_aside_m, bound=0.01, margin=0.4)
    lifted = (facts.lowest_z_w - facts.pan_w[:, 2]) / LIFT_M
    lifted = xp.clip(lifted, 0.0, 1.0)

    # near the pan the item is lowered again, which must not cost progress, so the larger
    # of the two counts
    in_hand = 0.20 + 0.08 * xp.maximum(lifted, brought) + 0.12 * brought
    progress = xp.where(facts.is_held, in_hand, 0.15 * reached)
    return xp.where(facts.is_on_pan, 0.40, progress)


def packing(xp: Any, facts: Facts) -> Array:
    """Returns the progress (N,), below 1, once the display shows a box.

    The progress is at most 0.55 while the hand reaches for the item, at least 0.58 once
    the item is in the hand, and at least 0.75 once the item is in its own box; from
    there it rises to 0.97 while the flap closes.
    """
    # rewards from 0 to 1: 1 within `bound` m of the goal, and 0.1 at `bound` + `margin` m
    reached = tolerance(facts.grip_error_m, bound=0.01, margin=0.4)
    brought = tolerance(facts.own_aside_m, bound=0.02, margin=0.5)
    lifted = (facts.lowest_z_w - facts.pan_w[:, 2]) / LIFT_M
    lifted = xp.clip(lifted, 0.0, 1.0)
    # near its box the item is lowered again, which must not cost progress, so the larger
    # of the two counts
    in_hand = 0.58 + 0.04 * xp.maximum(lifted, brought) + 0.12 * brought
    progress = xp.where(facts.is_held, in_hand, 0.45 + 0.10 * reached)

    # in its box: the hand comes to the flap and pushes it shut
    at_flap = tolerance(facts.reach_flap_m, bound=0.02, margin=0.4)
    closing = 0.75 + 0.07 * at_flap + 0.15 * facts.share_shut
    return xp.where(facts.is_packed, closing, progress)


MEASURES = (
    Measure(
        "weighing_error",
        "kg",
        "distance of the last settled reading from the item's mass, 0 kg if none settled",
    ),
    Measure(
        "wrong_boxes", "1", "times that the item went into a box of another weight"
    ),
)

WEIGH_PACK = TaskSpec(
    name="WeighPack",
    summary="weigh an item, put it into the box that the scale's display shows, and "
    "close the box's flap",
    needs=Needs(opening_m=0.07, reach_m=0.75, places=WORK),
    cameras=(CAMERA,),
    robot_cameras=("wrist",),
    horizon_s=30.0,
    table=TABLE,
    build=build_packing_station,
    bind=WeighPack,
    expert=partial(scripted_expert, decide),
    beauty_camera=BEAUTY,
    # each goal is at or just below the progress that `weighing` and `packing` give there
    stages=(
        TaskStage("reach", goal_progress=0.1485, horizon_s=5.0),
        TaskStage("weigh", goal_progress=0.45, horizon_s=12.0),
        TaskStage("pack", goal_progress=0.75, horizon_s=20.0),
    ),
    # the boxes stand on the table
    constant=("boxes_pos_w.2", "boxes_pos_w.5", "boxes_pos_w.8"),
    measures=MEASURES,
)
