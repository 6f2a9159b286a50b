"""DishRack: clear plates and cups from a table into a dish rack.

Plates go on edge into slots, cups stand in their places mouth up. To turn a cup over, a
hand would have to be level at the table or at the rack with its wrist camera underneath,
and the camera's housing reaches lower below the fingers than the cups' middles are high.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from embodied.arrays import any_of, count_of, largest
from embodied.core import Array, Layout
from embodied.envs.events import PUSH_TICKS, is_during
from embodied.envs.facts import PerState
from embodied.envs.measures import Measure
from embodied.envs.props.things import ThingSize
from embodied.envs.reward import tolerance
from embodied.envs.skills.scripted import scripted_expert
from embodied.envs.task import Needs, Outcome, TaskSpec, TaskStage
from embodied.envs.tasks.dish_rack.episode import (
    event_tick,
    is_present,
    pose_of,
    sample_episode,
)
from embodied.envs.tasks.dish_rack.expert import decide
from embodied.envs.tasks.dish_rack.facts import Facts, Props
from embodied.envs.tasks.dish_rack.scene import (
    BEAUTY,
    CAMERA,
    CLOSE_UP,
    CUP,
    DISHES,
    PLATE,
    PLATES,
    TABLE,
    WORK,
    build_dish_table,
)
from embodied.envs.tasks.dish_rack.variation import CHINA, EDGES
from embodied.envs.tasks.dish_rack.variation import TABLE as VARIABLES
from embodied.envs.variation import Variation
from embodied.robots.robot import Robot
from embodied.sim.engine import Engine

# A dish breaks if the net force on it exceeds this in any physics step: a fall of 16 cm
# onto the table for a plate, of 23 cm for a cup. The expert sets them down with 20 N.
BREAKING_N = 60.0
# A dish at least this high above the table counts as lifted.
LIFT_M = 0.10


class DishRack:
    """N episodes of DishRack on an engine."""

    # dishes are in the order of `DISHES`: plates, then cups
    state_layout = Layout(
        (
            ("dishes_pos_w", 3 * len(DISHES)),  # undersides of plates, middles of cups
            ("dishes_rot6d", 6 * len(DISHES)),
            ("dishes_vel_w", 3 * len(DISHES)),
            ("present", len(DISHES)),  # 1 for dishes that take part
            ("in_rack", len(DISHES)),  # 1 for dishes in a slot or a place of the rack
            ("cup_width", 1),
            ("rack_pos_w", 3),
            ("rack_heading", 2),  # cosine and sine of its yaw
            ("impact", 1),  # N, the largest net force on a dish so far
        )
    )

    def __init__(self, engine: Engine, robot: Robot) -> None:
        """Finds the scene's parts, and makes the arrays that `start` fills."""
        xp = engine.xp
        n = engine.num_worlds
        count = len(DISHES)
        self._engine = engine
        self._props = Props(engine, robot)
        self._memory = {
            "present": xp.zeros((n, count)),  # 1 for dishes that take part
            # m, width of what is between the fingers that hold each dish
            "span": xp.zeros((n, count)),
            "peak_n": xp.zeros(n),  # N, largest net force on a dish so far
            # from event_tick on: the force on a plate and on a cup along x and y, N, one
            # of which is 0; and the indices of this plate and this cup
            "push_plate": xp.zeros((n, 2)),
            "push_cup": xp.zeros((n, 2)),
            "pushed_plate": xp.zeros(n, dtype=xp.int64),
            "pushed_cup": xp.zeros(n, dtype=xp.int64),
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
        for dish in range(len(DISHES)):
            self._place_dish(world, dish, episode)
        shift_m = (episode["rack_x"], episode["rack_y"])
        self._props.rack.place(world, shift_m, episode["rack_yaw"])

        # between the fingers is the wall of a plate's rim, or the whole cup
        memory = self._memory
        for dish in range(len(DISHES)):
            is_plate = dish < len(PLATES)
            memory["present"][world, dish] = is_present(episode, dish)
            span_m = PLATE.wall if is_plate else _cup_size(episode).x
            memory["span"][world, dish] = span_m
        memory["peak_n"][world] = 0.0

        # the event pushes either a plate or a cup; the other force is 0, on index 0
        pushed = episode["pushed"]
        is_plate = pushed < len(PLATES)
        no_push = (0.0, 0.0)
        memory["push_plate"][world] = episode["push_n"] if is_plate else no_push
        memory["push_cup"][world] = no_push if is_plate else episode["push_n"]
        memory["pushed_plate"][world] = pushed if is_plate else 0
        memory["pushed_cup"][world] = 0 if is_plate else pushed - len(PLATES)
        memory["event_tick"][world] = event_tick(episode)
        return episode

    def _place_dish(self, world: int, dish: int, episode: dict[str, Any]) -> None:
        """Places a dish, with its sampled mass and colour if it takes part.

        Args:
            world: the index of the world.
            dish: the index of the dish in DISHES.
            episode: the sampled values of the episode.
        """
        pos_w, yaw = pose_of(episode, dish)
        takes_part = is_present(episode, dish)
        is_plate = dish < len(PLATES)
        dishes = self._props.plates if is_plate else self._props.cups
        index = dish if is_plate else dish - len(PLATES)  # among plates, or cups
        dishes.place(world, index, pos_w, yaw)
        dishes.set_present(world, index, takes_part)
        if not takes_part:
            return

        if is_plate:
            china = episode["plate_china"]
            self._props.plates.weigh(world, index, episode["plate_mass"])
            self._props.plates.paint(world, index, CHINA[china], EDGES[china])
        else:
            self._props.cups.resize(world, index, _cup_size(episode))
            self._props.cups.paint(world, index, CHINA[episode["cup_china"]])

    def before_step(self, tick: Array) -> None:
        """Updates the largest force on a dish, and pushes a dish when the event is due.

        Args:
            tick: (N,) the time in each world's episode, in physics steps.
        """
        xp = self._engine.xp
        memory = self._memory
        props = self._props

        # the largest net force, since the last step, on a dish that takes part
        force_n = largest(props.force.peaks_n() * memory["present"])
        memory["peak_n"][...] = xp.maximum(memory["peak_n"], force_n)

        # the push of level L4, on a plate or on a cup; the other force is 0
        is_pushed = is_during(tick, memory["event_tick"], PUSH_TICKS)[:, None]
        props.plates.push(
            memory["pushed_plate"], xp.where(is_pushed, memory["push_plate"], 0.0)
        )
        props.cups.push(
            memory["pushed_cup"], xp.where(is_pushed, memory["push_cup"], 0.0)
        )

    def state(self) -> Array:
        """Returns (N, S), in the order of `state_layout`."""
        xp = self._engine.xp
        memory = self._memory
        facts = self._facts()
        n = self._engine.num_worlds
        # the x and y axes of all dishes, one dish after another
        axes = xp.stack([facts.rotations[..., 0], facts.rotations[..., 1]], axis=2)
        parts = [
            xp.reshape(facts.pos_w, (n, -1)),
            xp.reshape(axes, (n, -1)),
            xp.reshape(facts.vel_w, (n, -1)),
            memory["present"],
            xp.astype(facts.is_in_rack, xp.float64),
            # the width of the last dish, a cup; all cups are equally wide
            memory["span"][:, -1:],
            facts.rack_pos_w,
            facts.rack_heading,
            memory["peak_n"][:, None],
        ]
        return xp.concat(parts, axis=1)

    def judge(self) -> Outcome:
        """Returns the judgement.

        Success: all dishes are placed. Lost: a dish has fallen or is broken.
        """
        xp = self._engine.xp
        facts = self._facts()
        is_broken = self._memory["peak_n"] > BREAKING_N
        lost = any_of(facts.is_fallen) | is_broken
        success = (facts.num_placed == facts.num_present) & ~lost
        progress = xp.where(success, 1.0, staged_progress(xp, facts))
        return Outcome(
            success=success,
            progress=xp.where(lost, 0.0, progress),
            lost=lost,
            dropped=count_of(facts.is_fallen),
        )

    def measures(self) -> dict[str, Array]:
        """Returns how many dishes are placed, and how hard they were set down."""
        xp = self._engine.xp
        facts = self._facts()
        num_placed = xp.astype(facts.num_placed, xp.float64)
        return {
            "placed_share": num_placed / facts.num_present,
            "impact": xp.astype(self._memory["peak_n"], xp.float64),
        }


def _cup_size(episode: dict[str, Any]) -> ThingSize:
    """Returns the size of the episode's cups."""
    return CUP.scaled(episode["cup_girth"], 1.0, episode["cup_mass"])


def staged_progress(xp: Any, facts: Facts) -> Array:
    """Returns the progress (N,), below 1.

    The first dish counts up to 0.12 while a hand reaches for it, and up to 0.30 as it is
    lifted. All dishes together count 0.65 more, in equal shares: each dish counts in full
    once it is placed, and the dish that is carried counts in part.

    Args:
        xp: The array namespace.
        facts: Facts of the present state.
    """
    # (N, K) in [0, 1], how far each dish has come in each part of its way
    is_unplaced = facts.is_present & ~facts.is_placed
    # rewards from 0 to 1: 1 within `bound` m of the goal, and 0.1 at `bound` + `margin` m
    reached = tolerance(facts.grip_error_m, bound=0.012, margin=0.4)
    lifted = xp.clip((facts.pos_w[..., 2] - TABLE.top_z) / LIFT_M, 0.0, 1.0)
    brought = tolerance(facts.way_to_rack_m, bound=0.01, margin=0.4)
    # near its slot a dish is lowered again, which must not cost progress
    raised = xp.maximum(lifted, brought)

    # Of the dishes that are not yet placed, the one that has come farthest counts. `begun`
    # is the first dish's share of reaching and lifting; `carried` is a dish's share of its
    # whole way, which is below 1 until the dish is placed.
    begun = xp.where(facts.is_held, 0.4 + 0.6 * raised, 0.4 * reached)
    begun = largest(xp.where(is_unplaced, begun, 0.0))
    carried = xp.where(facts.is_held, 0.3 + 0.2 * raised + 0.4 * brought, 0.2 * reached)
    carried = largest(xp.where(is_unplaced, carried, 0.0))

    # `begun` is above 0.4 only once a dish is held; until then no dish counts in part
    is_any_placed = facts.num_placed > 0
    begun = xp.where(is_any_placed, 1.0, begun)
    is_under_way = is_any_placed | (begun > 0.4)
    dishes_done = facts.num_placed + xp.where(is_under_way, carried, 0.0)
    return 0.30 * begun + 0.65 * dishes_done / facts.num_present


DISH_RACK = TaskSpec(
    name="DishRack",
    summary="clear plates and cups from a table into a dish rack",
    needs=Needs(opening_m=0.075, reach_m=0.75, places=WORK, payload_kg=0.42),
    cameras=(CAMERA, CLOSE_UP),
    horizon_s=35.0,
    table=VARIABLES,
    build=build_dish_table,
    bind=DishRack,
    expert=partial(scripted_expert, decide),
    beauty_camera=BEAUTY,
    stages=(
        TaskStage("reach", goal_progress=0.118, horizon_s=5.0),
        TaskStage("lift", goal_progress=0.33, horizon_s=8.0),
    ),
    measures=(
        Measure("placed_share", "1", "share of the dishes that stand in the rack"),
        Measure("impact", "N", "the largest net force on a dish in a physics step"),
    ),
    # the rack stands on the table; there are a plate and a cup in every episode
    constant=("rack_pos_w.2", "present.0", "present.2"),
)
