"""Patrol: drive to the named stations in order, look at each, and keep clear of people."""

from __future__ import annotations

from functools import partial
from typing import Any

from embodied.core import Array, Layout, seconds_to_ticks
from embodied.envs.clearance import FAR_M
from embodied.envs.facts import PerState
from embodied.envs.measures import Measure
from embodied.envs.reward import tolerance
from embodied.envs.task import Needs, Outcome, TaskSpec, TaskStage
from embodied.envs.tasks.patrol.episode import (
    COUNT,
    asked_places,
    clothes_of,
    sample_episode,
    walks_of,
)
from embodied.envs.tasks.patrol.expert import patrol_expert
from embodied.envs.tasks.patrol.facts import AIMED_RAD, NEAR_M, SEEN_S, Facts, Props
from embodied.envs.tasks.patrol.scene import (
    AHEAD_S,
    BEAUTY,
    CAMERA,
    DOCK,
    PEOPLE,
    build_machine_hall,
)
from embodied.envs.tasks.patrol.variation import COLOURS, TABLE
from embodied.envs.variation import Variation
from embodied.robots.robot import Robot
from embodied.sim.engine import Engine

HEAD = "head"  # the camera that must look at the signs
SEEN_TICKS = seconds_to_ticks(SEEN_S)
# The progress once the first station has been seen, and once all of them have been.
FIRST = 0.30
ALL = 0.90
# A contact counts as one with a person if a person is at most this far from the robot.
TOUCHING_M = 0.08
# Entries of the memory that begin an episode as 0.
COUNTERS = ("seen", "looked_ticks", "last_tick", "touched", "met_person", "came_near")


class Patrol:
    """N episodes of Patrol on an engine."""

    state_layout = Layout(
        (
            ("signs_x_w", COUNT),  # m; the stations only shift along x
            ("place", COUNT),  # in the round, from 1; 0 for stations that are not asked
            ("seen", 1),  # how many stations of the round have been seen
            ("camera_pos_w", 3),
            # x and y of the unit vector along which the camera looks
            ("camera_axis_w", 2),
            ("people_m", 1),  # distance to the nearest person
            # x and y of each person now and at AHEAD_S
            ("people_w", 2 * len(PEOPLE) * len(AHEAD_S)),
        )
    )

    def __init__(self, engine: Engine, robot: Robot) -> None:
        """Finds the scene's parts, and makes the arrays that `start` fills."""
        xp = engine.xp
        n = engine.num_worlds
        self._engine = engine
        camera = PATROL.cameras_for(robot)[-1]
        self._props = Props(engine, robot, camera)
        self._memory = {
            # each station's place in the round, from 1; 0 for stations not in the round
            "place": xp.zeros((n, COUNT), dtype=xp.int64),
            "seen": xp.zeros(n, dtype=xp.int64),  # number of stations seen so far
            # how long the next station has been looked at
            "looked_ticks": xp.zeros(n, dtype=xp.int64),
            "last_tick": xp.zeros(n, dtype=xp.int64),  # of the last control step
            # 1 once the robot has touched something, driven too fast too near to a person,
            # or touched a person
            "touched": xp.zeros(n, dtype=xp.int64),
            "came_near": xp.zeros(n, dtype=xp.int64),
            "met_person": xp.zeros(n, dtype=xp.int64),
            "least_people_m": xp.zeros(n),  # the least distance to people so far
            **self._props.people.memory(),
        }
        # a function that returns the facts of the present state, computed once per state
        self._facts = PerState(engine, partial(Facts, self._props, self._memory))

    def memory(self) -> dict[str, Array]:
        return self._memory

    def start(self, world: int, seed: int, variation: Variation) -> dict[str, Any]:
        """Samples an episode, and sets signs, people and memory of one world.

        Args:
            world: the index of the world.
            seed: the episode's seed.
            variation: samples the values that vary.

        Returns:
            The sampled values by name, which are stored with the episode.
        """
        episode = sample_episode(seed, variation)

        # the scene
        checkpoints = self._props.checkpoints
        checkpoints.shift(world, episode["station_x"])
        colours = [COLOURS[name] for name in episode["colour"]]
        checkpoints.label(world, episode["number"], colours)
        self._props.people.start(world, walks_of(episode), clothes_of(episode))

        # what the task remembers
        memory = self._memory
        memory["place"][world] = self._engine.xp.asarray(asked_places(episode))
        for name in COUNTERS:
            memory[name][world] = 0
        memory["least_people_m"][world] = FAR_M
        return episode

    def before_step(self, tick: Array) -> None:
        """Counts the stations seen, records what was done wrong, and moves the people.

        Args:
            tick: (N,) the time in each world's episode, in physics steps.
        """
        xp = self._engine.xp
        memory = self._memory
        facts = self._facts()
        # since the last control step; 0 before the first step of an episode
        passed_ticks = tick - memory["last_tick"]

        # how long the robot has looked at the next sign; the time starts again from 0 when
        # the robot looks away, and when the sign counts as seen
        looked = xp.where(facts.is_looking, memory["looked_ticks"] + passed_ticks, 0)
        is_seen = (looked >= SEEN_TICKS) & (memory["seen"] < facts.asked)
        memory["seen"][...] = memory["seen"] + xp.astype(is_seen, xp.int64)
        memory["looked_ticks"][...] = xp.where(is_seen, 0, looked)

        # what was done wrong in the step before this one; there is no step before the first
        is_wrong = {
            "touched": facts.has_touched,
            "met_person": facts.has_touched & (facts.people_m < TOUCHING_M),
            "came_near": facts.is_too_near,
        }
        for name, wrong in is_wrong.items():
            memory[name][...] = xp.where(wrong & (passed_ticks > 0), 1, memory[name])
        least_m = xp.minimum(memory["least_people_m"], facts.people_m)
        memory["least_people_m"][...] = least_m

        memory["last_tick"][...] = tick
        self._props.people.move(tick)

    def state(self) -> Array:
        """Returns the privileged state (N, S), whose parts `state_layout` names."""
        xp = self._engine.xp
        memory = self._memory
        facts = self._facts()
        ahead = self._props.people.future_positions_w(memory["last_tick"])

        # signs, the next station, the camera, and people, in that order
        parts = [
            facts.signs_w[..., 0],
            xp.astype(memory["place"], xp.float64),
            xp.astype(memory["seen"], xp.float64)[:, None],
            self._props.camera_pos_w,
            self._props.camera_axis_w()[:, :2],
            facts.people_m[:, None],
            xp.reshape(ahead, (ahead.shape[0], -1)),
        ]
        return xp.concat(parts, axis=1)

    def judge(self) -> Outcome:
        """Returns the judgement.

        Success: every station of the round was seen, in order. Lost: the robot touched a
        person or a thing, or drove too fast too near to a person.
        """
        xp = self._engine.xp
        memory = self._memory
        facts = self._facts()
        lost = memory["touched"] + memory["came_near"] > 0
        success = (memory["seen"] >= facts.asked) & ~lost

        # Progress towards the next station, in [0, 1]: 0.5 for driving to it, 0.2 for
        # aiming the camera at its sign, and 0.3 for looking long enough. `tolerance` is 1
        # up to `bound`, and 0.1 at `bound` + `margin`.
        driven = tolerance(facts.sign_m, bound=NEAR_M, margin=3.0)
        aimed = tolerance(facts.off_axis_rad, bound=AIMED_RAD, margin=1.0)
        share = 0.5 * driven + 0.2 * driven * aimed + 0.3 * facts.seen_share
        # The first station counts FIRST in a round of any length, because it is a stage of
        # its own. The other stations share what remains up to ALL.
        seen = xp.astype(memory["seen"], xp.float64)
        other_stations = xp.astype(facts.asked, xp.float64) - 1
        per_station = (ALL - FIRST) / other_stations
        later = FIRST + per_station * (seen - 1 + share)
        progress = xp.where(seen > 0, later, FIRST * share)
        progress = xp.where(success, 1.0, progress)
        return Outcome(
            success=success, progress=xp.where(lost, 0.0, progress), lost=lost
        )

    def measures(self) -> dict[str, Array]:
        """Returns the values of MEASURES: name -> (N,), so far in the episodes."""
        return {measure.name: self._memory[measure.name] for measure in MEASURES}


MEASURES = (
    Measure("least_people_m", "m", "least distance to a person, from above"),
    Measure("met_person", "1", "whether the robot touched a person"),
    Measure("came_near", "1", "whether it drove too fast near a person"),
    Measure("touched", "1", "whether it touched anything"),
)

PATROL = TaskSpec(
    name="Patrol",
    summary="drive to the named stations in order, look at each, keep clear of people",
    needs=Needs(travels=True, cameras=(HEAD,)),
    cameras=(CAMERA,),
    # a sign can only be read from nearby
    robot_cameras=(HEAD,),
    horizon_s=55.0,
    table=TABLE,
    build=build_machine_hall,
    bind=Patrol,
    expert=patrol_expert,
    default_robot="wheeled_arm",
    beauty_camera=BEAUTY,
    base_start=DOCK,
    measures=MEASURES,
    stages=(TaskStage("first", goal_progress=0.99 * FIRST, horizon_s=20.0),),
)
