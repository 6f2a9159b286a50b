"""FixtureLoad: set the named workpiece into a fixture, and start the machine."""

from __future__ import annotations

from functools import partial
from typing import Any

from embodied.core import Array, Layout
from embodied.envs.events import PUSH_TICKS, is_during
from embodied.envs.facts import PerState
from embodied.envs.props.start_box import FAULT, RUNS, WAITS
from embodied.envs.props.workpiece import WorkpieceSize
from embodied.envs.reward import tolerance
from embodied.envs.skills.scripted import scripted_expert
from embodied.envs.task import Needs, Outcome, TaskSpec, TaskStage
from embodied.envs.tasks.fixture_load.episode import (
    event_tick,
    pose_of,
    sample_episode,
    target_of,
)
from embodied.envs.tasks.fixture_load.expert import decide
from embodied.envs.tasks.fixture_load.facts import Facts, Props
from embodied.envs.tasks.fixture_load.objects import OBJECTS
from embodied.envs.tasks.fixture_load.scene import (
    BENCH,
    CAMERA,
    PART,
    PARTS,
    WORK,
    build_fixture_station,
)
from embodied.envs.tasks.fixture_load.variation import COLOURS, TABLE
from embodied.envs.variation import Variation
from embodied.robots.robot import Robot
from embodied.sim.engine import Engine

# The force on the fixture must not exceed this in any physics step.
FORCE_LIMIT_N = 120.0
# A workpiece counts as lifted if its underside is at least this high above the bench.
LIFT_M = 0.08


class FixtureLoad:
    """N episodes of FixtureLoad on an engine."""

    # "the part" is the workpiece that the instruction names
    state_layout = Layout(
        (
            ("part_pos_w", 3),
            ("part_rot6d", 6),
            ("part_vel_w", 3),
            ("pocket_pos_w", 3),
            ("pocket_heading", 2),  # cosine and sine of its yaw
            ("clearance", 1),
            ("button_pos_w", 3),
            ("other_parts_pos_w", 6),
            ("running", 1),  # 1 once the machine was started
            ("fixture_force", 1),  # N, the largest so far
        )
    )

    def __init__(self, engine: Engine, robot: Robot) -> None:
        """Finds the scene's parts, and makes the arrays that `start` fills."""
        xp = engine.xp
        n = engine.num_worlds
        self._engine = engine
        self._props = Props(engine, robot)
        self._memory = {
            "part": xp.zeros(n, dtype=xp.int64),  # index of the named workpiece
            "present": xp.zeros((n, len(PARTS))),  # 1 for workpieces that take part
            "clearance": xp.zeros(n),  # of the pocket, m
            "down": xp.zeros(n, dtype=xp.int64),  # 1 while the button is pressed
            "running": xp.zeros(n, dtype=xp.int64),  # 1 once the machine was started
            # 1 if the machine was started while the named workpiece was not in its seat,
            # or still held
            "crashed": xp.zeros(n, dtype=xp.int64),
            "peak_n": xp.zeros(n),  # N, largest force on the fixture so far
            # from event_tick on: the force on the named workpiece along x and y, N
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

        # the scene
        for part in range(len(PARTS)):
            self._place_part(world, part, episode)
        fixture_shift = (episode["fixture_x"], episode["fixture_y"])
        props.fixture.place(world, fixture_shift, episode["fixture_yaw"])
        props.fixture.fit(world, episode["clearance"])
        props.box.shift(world, (episode["box_x"], episode["box_y"]))
        props.box.show_one(world, WAITS)

        # what the task remembers
        memory = self._memory
        memory["part"][world] = target_of(episode)
        memory["present"][world] = [k < episode["parts"] for k in range(len(PARTS))]
        memory["clearance"][world] = episode["clearance"]
        for name in ("down", "running", "crashed", "peak_n"):
            memory[name][world] = 0
        memory["push"][world] = episode["push_n"]
        memory["event_tick"][world] = event_tick(episode)
        return episode

    def _place_part(self, world: int, part: int, episode: dict[str, Any]) -> None:
        """Places a workpiece, with its sampled mass and colour if it takes part.

        Args:
            world: the index of the world.
            part: the index of the workpiece.
            episode: the sampled values of the episode.
        """
        parts = self._props.parts
        is_present = part < episode["parts"]
        pos_w, yaw = pose_of(episode, part)
        parts.place(world, part, pos_w, yaw)
        parts.set_present(world, part, is_present)
        if is_present:
            # all workpieces have the same size and mass
            size = WorkpieceSize(PART.length, PART.width, PART.height, episode["mass"])
            parts.weigh(world, part, size)
            parts.paint(world, part, COLOURS[episode["colour"][part]])

    def before_step(self, tick: Array) -> None:
        """Updates the peak force and the machine, and pushes the part when its event is due.

        Args:
            tick: (N,) the time in each world's episode, in physics steps.
        """
        xp = self._engine.xp
        memory = self._memory
        props = self._props
        facts = self._facts()

        memory["peak_n"][...] = xp.maximum(memory["peak_n"], props.fixture.force_n())

        # the machine starts when the button goes down; it crashes if the named part is
        # not in its seat, or still held
        was_down = memory["down"] > 0
        is_down = props.button.down(was_down[:, None])[:, 0]
        is_started = is_down & ~was_down
        is_loaded = facts.is_seated & ~facts.is_held
        is_running = is_started | (memory["running"] > 0)
        has_crashed = (is_started & ~is_loaded) | (memory["crashed"] > 0)
        memory["down"][...] = xp.astype(is_down, xp.int64)
        memory["running"][...] = xp.astype(is_running, xp.int64)
        memory["crashed"][...] = xp.astype(has_crashed, xp.int64)
        light = xp.where(is_running, RUNS, WAITS)
        props.box.show(xp.where(has_crashed, FAULT, light))

        # the push of level L4
        is_pushed = is_during(tick, memory["event_tick"], PUSH_TICKS)
        force = xp.where(is_pushed[:, None], memory["push"], 0.0)
        props.parts.push(memory["part"], force)

    def state(self) -> Array:
        """Returns the privileged state (N, 29), whose parts `state_layout` names."""
        xp = self._engine.xp
        memory = self._memory
        facts = self._facts()
        running = xp.astype(memory["running"], xp.float64)
        parts = [
            # the named workpiece and the pocket
            facts.part_pos_w,
            facts.part_rot6d,
            facts.part_vel_w,
            facts.pocket_pos_w,
            facts.pocket_heading,
            memory["clearance"][:, None],
            # everything else; the parts that are not named are the last two
            facts.button_pos_w,
            facts.pos_w[:, 1],
            facts.pos_w[:, 2],
            running[:, None],
            memory["peak_n"][:, None],
        ]
        return xp.concat(parts, axis=1)

    def judge(self) -> Outcome:
        """Returns the judgement.

        Success: the machine runs, and the named workpiece is in its seat and released.
        Lost: the machine was started before the workpiece was seated and released, the
        force on the fixture exceeded its limit, or the workpiece has fallen or toppled
        over.
        """
        xp = self._engine.xp
        memory = self._memory
        facts = self._facts()
        is_loaded = facts.is_seated & ~facts.is_held
        is_broken = (memory["crashed"] > 0) | (memory["peak_n"] > FORCE_LIMIT_N)
        lost = is_broken | facts.is_lost
        success = is_loaded & (memory["running"] > 0) & ~lost

        # a crash, or too much force, costs all progress
        progress = staged_progress(xp, facts, is_loaded)
        progress = xp.where(success, 1.0, progress)
        return Outcome(
            success=success,
            progress=xp.where(is_broken, 0.0, progress),
            lost=lost,
            dropped=facts.fallen_parts,
        )


def staged_progress(xp: Any, facts: Facts, is_loaded: Array) -> Array:
    """Returns the progress (N,), below 1, of loading the fixture and pressing start.

    The progress is at most 0.25 while the hand reaches for the workpiece, at least 0.35
    once the workpiece is in the hand, up to 0.65 above its pocket, at least 0.7 in its
    seat, and up to 0.95 with the button pressed.

    Args:
        xp: The array namespace.
        facts: Facts of the present state.
        is_loaded: (N,) bool, whether the workpiece is in its seat and released.
    """
    # rewards from 0 to 1: 1 within `bound` m of the goal, and 0.1 at `bound` + `margin` m
    reached = tolerance(facts.grip_error_m, bound=0.01, margin=0.4)
    lifted = (facts.part_pos_w[:, 2] - PART.height / 2 - BENCH.top_z) / LIFT_M
    lifted = xp.where(lifted > 1.0, 1.0, lifted)
    brought = tolerance(facts.seat_aside_m, bound=0.002, margin=0.4)
    at_button = tolerance(facts.reach_button_m, bound=0.01, margin=0.4)

    # near its pocket the workpiece is lowered again, which must not cost progress, so the
    # larger of `lifted` and `brought` counts
    in_hand = 0.35 + 0.10 * xp.maximum(lifted, brought) + 0.20 * brought
    in_hand = xp.where(facts.is_held | facts.is_seated, in_hand, 0.25 * reached)
    in_seat = 0.70 + 0.15 * at_button + 0.10 * facts.share_pressed
    return xp.where(is_loaded, in_seat, in_hand)


FIXTURE_LOAD = TaskSpec(
    name="FixtureLoad",
    summary="set the named workpiece into a fixture with 1-2 mm of clearance and press start",
    needs=Needs(opening_m=0.05, reach_m=0.75, places=WORK, payload_kg=0.8),
    cameras=(CAMERA,),
    # in the view from above, the hand hides the pocket
    robot_cameras=("wrist",),
    horizon_s=20.0,
    table=TABLE,
    build=build_fixture_station,
    bind=FixtureLoad,
    expert=partial(scripted_expert, decide),
    beauty_camera="shop",
    # the goals are just below the progress with the hand at the workpiece, and with the
    # workpiece lifted
    stages=(
        TaskStage("reach", goal_progress=0.2475, horizon_s=5.0),
        TaskStage("lift", goal_progress=0.445, horizon_s=8.0),
    ),
    constant=("pocket_pos_w.2",),  # the fixture stands on the bench
    objects=OBJECTS,
)
