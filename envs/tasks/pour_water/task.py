"""PourWater: pour water from a bottle into a glass, up to the mark that is named."""

from __future__ import annotations

from functools import partial
from typing import Any

from embodied.core import Array, Layout
from embodied.envs.events import PUSH_TICKS, is_during
from embodied.envs.facts import PerState
from embodied.envs.measures import Measure
from embodied.envs.reward import tolerance
from embodied.envs.skills.scripted import scripted_expert
from embodied.envs.task import Needs, Outcome, TaskSpec, TaskStage
from embodied.envs.tasks.pour_water.episode import (
    bottle_pos_w,
    bottle_yaw,
    cup_pos_w,
    event_tick,
    grains_w,
    marks_of,
    sample_episode,
)
from embodied.envs.tasks.pour_water.expert import decide
from embodied.envs.tasks.pour_water.facts import Facts, Props
from embodied.envs.tasks.pour_water.scene import (
    BEAUTY,
    CAMERA,
    CLOSE_UP,
    GRAINS,
    TABLE,
    WORK,
    build_counter,
)
from embodied.envs.tasks.pour_water.variation import MARK_COLOURS, WATERS
from embodied.envs.tasks.pour_water.variation import TABLE as VARIABLES
from embodied.envs.variation import Variation
from embodied.robots.robot import Robot
from embodied.sim.engine import Engine

# The largest error of the level for success, as a share of the named mark.
LEVEL_SHARE = 0.10
# The largest share of all the water that may be spilled.
SPILL_SHARE = 0.05
# The bottle is upright again if it leans by less than 25 degrees.
UPRIGHT_COS = 0.906
# A bottle at least this high above the table counts as lifted.
LIFT_M = 0.08


class PourWater:
    """N episodes of PourWater on an engine."""

    state_layout = Layout(
        (
            ("bottle_pos_w", 3),  # of its underside
            ("bottle_rot6d", 6),
            ("bottle_vel_w", 3),
            ("cup_pos_w", 3),  # of its underside
            ("cup_rot6d", 6),
            # grains of water: how many the named mark asks for, and where they are
            ("mark", 1),
            ("in_cup", 1),
            ("in_air", 1),
            ("in_bottle", 1),
            ("spilled", 1),
        )
    )

    def __init__(self, engine: Engine, robot: Robot) -> None:
        """Finds the scene's parts, and makes the arrays that `start` fills."""
        xp = engine.xp
        n = engine.num_worlds
        self._engine = engine
        self._props = Props(engine, robot)
        self._memory = {
            # grains that the named mark asks for; at first 1, because it is a divisor
            "mark": xp.ones(n),
            # from event_tick on: the force on the glass along x and y, N
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

        # the vessels, and the two marks on the glass
        props.bottle.place(world, bottle_pos_w(episode), bottle_yaw(episode))
        props.bottle.weigh(world, episode["bottle_mass"])
        props.cup.place(world, cup_pos_w(episode))
        mark_grains = marks_of(episode)
        for mark, grains in enumerate(mark_grains):
            colour = MARK_COLOURS[episode["mark_colour"][mark]]
            props.cup.draw_mark(world, mark, grains, colour)

        # the water, all of it in the bottle
        rgb = WATERS[episode["water"]]
        props.water.place(world, grains_w(episode))
        props.water.paint(world, rgb)
        props.cup.paint_water(world, rgb)
        props.cup.draw_level(world, grains=0)

        # what the task remembers
        memory = self._memory
        memory["mark"][world] = mark_grains[episode["target"]]
        memory["push"][world] = episode["push_n"]
        memory["event_tick"][world] = event_tick(episode)
        return episode

    def before_step(self, tick: Array) -> None:
        """Shows the level in the glass, and pushes the glass when the event is due.

        Args:
            tick: (N,) the time in each world's episode, in physics steps.
        """
        xp = self._engine.xp
        memory = self._memory
        self._props.cup.show(self._facts().in_cup)
        is_pushed = is_during(tick, memory["event_tick"], PUSH_TICKS)
        self._props.cup.push(xp.where(is_pushed[:, None], memory["push"], 0.0))

    def state(self) -> Array:
        """Returns the privileged state (N, 26), whose parts `state_layout` names."""
        xp = self._engine.xp
        facts = self._facts()
        props = self._props

        # how many grains are where
        counts = [facts.in_cup, facts.in_air, facts.in_bottle, facts.spilled]
        parts = [
            facts.bottle_pos_w,
            props.bottle.rot6d(),
            props.bottle.vel_w(),
            facts.cup_pos_w,
            props.cup.rot6d(),
            self._memory["mark"][:, None],
            xp.astype(xp.stack(counts, axis=1), xp.float64),
        ]
        return xp.concat(parts, axis=1)

    def judge(self) -> Outcome:
        """Returns the judgement.

        Success: the level is at the mark, no water is in the air, and the bottle is
        upright again. Lost: too much water is spilled, too much is in the glass, the
        glass is overturned, or a vessel has fallen off the table.
        """
        xp = self._engine.xp
        facts = self._facts()
        level_error = xp.abs(facts.fill - 1.0)
        is_upright = facts.bottle_up_w[:, 2] > UPRIGHT_COS
        is_too_much_spilled = facts.spilled > SPILL_SHARE * GRAINS
        is_too_full = facts.fill > 1.0 + LEVEL_SHARE
        lost = is_too_much_spilled | facts.is_overturned | is_too_full
        has_ended = is_upright & (facts.in_air == 0)  # nothing flows any more
        success = (level_error <= LEVEL_SHARE) & has_ended & ~lost

        progress = staged_progress(xp, facts)
        return Outcome(
            success=success,
            progress=xp.where(success, 1.0, xp.where(lost, 0.0, progress)),
            lost=lost,
            # a few spilled grains are allowed, so they do not count as dropped
            dropped=xp.where(is_too_much_spilled, facts.spilled, 0),
        )

    def measures(self) -> dict[str, Array]:
        """Returns the level's error and the spilled water, both as shares, (N,) each."""
        xp = self._engine.xp
        facts = self._facts()
        spilled = xp.astype(facts.spilled, xp.float64)
        return {
            "level_error": xp.abs(facts.fill - 1.0),
            "spilled_share": spilled / GRAINS,
        }


def staged_progress(xp: Any, facts: Facts) -> Array:
    """Returns the progress (N,), below 1, of taking the bottle, bringing it and pouring.

    The progress is at most 0.25 while the hand reaches for the bottle, at least 0.35
    once the bottle is in the hand, up to 0.55 beside the glass, and up to 0.95 with the
    level at the mark.

    Args:
        xp: The array namespace.
        facts: Facts of the present state.
    """
    # Until water is in the glass, the progress is that of reaching, lifting and bringing
    # the bottle. `tolerance` is 1 within `bound` m of the goal, and 0.1 at `bound` +
    # `margin` m.
    reached = tolerance(facts.grip_error_m, bound=0.01, margin=0.4)
    lifted = (facts.bottle_pos_w[:, 2] - TABLE.top_z) / LIFT_M
    lifted = xp.clip(lifted, 0.0, 1.0)
    # a bottle that pours is gripped about 0.13 m from the middle of the glass
    brought = tolerance(facts.aside_m, bound=0.13, margin=0.4)
    in_hand = 0.35 + 0.10 * lifted + 0.10 * lifted * brought
    before_pouring = xp.where(facts.is_held, in_hand, 0.25 * reached)

    # from then on the level counts, which does not fall when the bottle is tilted back
    pouring = 0.55 + 0.40 * xp.clip(facts.fill, 0.0, 1.0)
    pouring = xp.maximum(before_pouring, pouring)
    return xp.where(facts.in_cup > 0, pouring, before_pouring)


POUR_WATER = TaskSpec(
    name="PourWater",
    summary="pour water from a bottle into a glass, up to the mark that is named",
    needs=Needs(opening_m=0.075, reach_m=0.75, places=WORK, payload_kg=0.38),
    cameras=(CAMERA, CLOSE_UP),
    horizon_s=20.0,
    table=VARIABLES,
    build=build_counter,
    bind=PourWater,
    expert=partial(scripted_expert, decide),
    beauty_camera=BEAUTY,
    # the goals are just below the progress with the hand at the bottle, and with the
    # bottle lifted
    stages=(
        TaskStage("reach", goal_progress=0.2475, horizon_s=5.0),
        TaskStage("lift", goal_progress=0.44, horizon_s=8.0),
    ),
    measures=(
        Measure("level_error", "1", "how far the level is off the mark, a share of it"),
        Measure("spilled_share", "1", "share of all the water that was spilled"),
    ),
    cpu_only=(
        f"its water is {GRAINS} grains, whose {3 * GRAINS} degrees of freedom are solved "
        "together, which takes MuJoCo Warp too much memory and time in each world"
    ),
)
