"""TeamSort: pick parcels, turn their labels up, pass them on, scan and sort them."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from embodied.arrays import all_of, any_of, count_of, dot
from embodied.core import Array, Layout, seconds_to_ticks
from embodied.envs.events import PUSH_TICKS, is_during
from embodied.envs.facts import PerState
from embodied.envs.props.parcel import label_offset
from embodied.envs.task import Needs, Outcome, TaskSpec, TaskStage
from embodied.envs.tasks.parcel_sort.variation import COLOURS
from embodied.envs.tasks.team_sort.episode import (
    event_tick,
    pose_of,
    sample_episode,
    size_of,
)
from embodied.envs.tasks.team_sort.expert import team_expert
from embodied.envs.tasks.team_sort.facts import Facts, Props
from embodied.envs.tasks.team_sort.scene import (
    CAMERA,
    PARCELS,
    PLACES,
    build_sorting_station,
)
from embodied.envs.tasks.team_sort.variation import BIN_COLOURS, TABLE
from embodied.envs.variation import Variation
from embodied.robots.robot import Robot
from embodied.sim.engine import Engine

# The scanner must see a label for this long to read it.
READING_TICKS = seconds_to_ticks(0.1)


class TeamSort:
    """N episodes of TeamSort on an engine."""

    # of each of the three parcels in turn; then of stand, scanner and belt
    state_layout = Layout(
        (
            ("parcel_pos_w", 9),
            ("parcel_rot6d", 18),
            ("parcel_vel_w", 9),
            ("parcel_size", 9),
            ("label_w", 9),
            ("parcel_wanted", 3),  # 1 for parcels that take part
            ("parcel_scanned", 3),
            ("parcel_bin_xy_w", 6),
            ("rest_xy_w", 2),  # of the stand's middle
            ("scanner_xy_w", 2),
            ("belt_speed", 1),
        )
    )

    def __init__(self, engine: Engine, robot: Robot) -> None:
        """Finds the scene's parts, and makes the arrays that `start` fills."""
        xp = engine.xp
        n = engine.num_worlds
        k = len(PARCELS)
        self._engine = engine
        self._props = Props(engine, robot)
        self._memory = {
            "present": xp.zeros((n, k)),  # 1 for parcels that take part
            "bin": xp.zeros((n, k), dtype=xp.int64),  # index of the bin they belong in
            "size": xp.zeros((n, k, 3)),  # length, width, height, m
            # from the middle to the label in the parcel's frame, m
            "label": xp.zeros((n, k, 3)),
            "scanned": xp.zeros((n, k)),  # 1 for parcels that have been read
            # the last tick at which the scanner did not see the label
            "unseen_tick": xp.zeros((n, k), dtype=xp.int64),
            "speed": xp.zeros(n),  # of the belt while it runs, m/s
            "speed_after": xp.zeros(n),  # the same from event_tick on
            # the parcel that is pushed at event_tick, and the force along x and y, N
            "pushed": xp.zeros(n, dtype=xp.int64),
            "push": xp.zeros((n, 2)),
            "event_tick": xp.zeros(n, dtype=xp.int64),
        }
        # a function that returns the facts of the present state, computed once per state
        self._facts = PerState(engine, partial(Facts, self._props, self._memory))

    def memory(self) -> dict[str, Array]:
        return self._memory

    def start(self, world: int, seed: int, variation: Variation) -> dict[str, Any]:
        """Samples an episode, and sets parcels, props and memory of one world.

        Args:
            world: the index of the world.
            seed: the episode's seed.
            variation: samples the values that vary.

        Returns:
            The sampled values by name, which are stored with the episode.
        """
        episode = sample_episode(seed, variation)
        # parcels that take no part keep the zeros
        memory = self._memory
        for values in memory.values():
            values[world] = 0
        memory["speed"][world] = episode["belt_speed"]
        memory["speed_after"][world] = episode["belt_speed_after"]
        memory["event_tick"][world] = event_tick(episode)
        memory["pushed"][world] = episode["pushed"]
        memory["push"][world] = episode["push_n"]

        props = self._props
        for parcel in range(len(PARCELS)):
            self._place_parcel(world, parcel, episode)
        props.stand.shift(world, np.array([episode["rest_x"], episode["rest_y"]]))
        scanner_shift = [episode["scanner_x"], episode["scanner_y"]]
        props.scanner.shift(world, np.array(scanner_shift))
        props.scanner.darken(world)
        props.bins.shift(world, np.array([episode["bins_x"], episode["bins_y"]]))
        props.bins.paint(world, [BIN_COLOURS[name] for name in episode["bin_colour"]])
        props.belt.start(world, episode["belt_speed"])
        return episode

    def _place_parcel(self, world: int, parcel: int, episode: dict[str, Any]) -> None:
        """Places a parcel, with its sampled size, colour and label if it takes part.

        Args:
            world: the index of the world.
            parcel: the index of the parcel.
            episode: the sampled values of the episode.
        """
        parcels = self._props.parcels
        is_present = parcel < episode["parcels"]
        pos_w, yaw = pose_of(episode, parcel)
        parcels.place(world, parcel, pos_w, yaw)
        parcels.set_present(world, parcel, is_present)
        if not is_present:
            return

        # the label has the colour of the parcel's kind
        size = size_of(episode, parcel)
        face = episode["label"][parcel]
        kind = episode["kind"][parcel]
        colour_name = episode["colour"][kind]
        parcels.resize(world, parcel, size, face)
        parcels.paint(world, parcel, COLOURS[colour_name], episode["shade"][parcel])

        memory = self._memory
        memory["present"][world, parcel] = 1.0
        memory["bin"][world, parcel] = episode["bin"][parcel]
        memory["size"][world, parcel] = (size.length, size.width, size.height)
        memory["label"][world, parcel] = label_offset(size, face)

    def before_step(self, tick: Array) -> None:
        """Sets the belt's speed, pushes a parcel if that is due, and reads labels.

        Args:
            tick: (N,) the time in each world's episode, in physics steps.
        """
        xp = self._engine.xp
        memory = self._memory
        facts = self._facts()
        props = self._props

        # the belt stands still while a parcel is where the hand picks it
        has_happened = tick >= memory["event_tick"]  # the event may change the speed
        speed = xp.where(has_happened, memory["speed_after"], memory["speed"])
        props.belt.set_speed(xp.where(facts.is_at_stop, 0.0, speed))

        # a parcel that lies on the belt is pushed when its event is due
        is_pushed = is_during(tick, memory["event_tick"], PUSH_TICKS)
        is_lying = facts.is_on_belt & ~facts.is_held
        is_pushed = is_pushed & is_lying[props.worlds, memory["pushed"]]
        force = xp.where(is_pushed[:, None], memory["push"], 0.0)
        props.parcels.push(memory["pushed"], force)

        # a label is read once the scanner has seen it for READING_TICKS without a break
        unseen_tick = xp.where(facts.is_readable, memory["unseen_tick"], tick[:, None])
        is_seen_long = tick[:, None] - unseen_tick >= READING_TICKS
        is_read = (memory["scanned"] > 0) | is_seen_long
        memory["unseen_tick"][...] = unseen_tick
        memory["scanned"][...] = xp.where(is_read, 1.0, 0.0)
        # the lamp is green while a parcel that was read is not yet in its bin
        props.scanner.show(any_of(is_read & ~facts.is_binned))

    def state(self) -> Array:
        """Returns (N, S), in the order of `state_layout`."""
        xp = self._engine.xp
        facts = self._facts()
        parts = facts.state_of_parcels(self._memory["present"])
        props = self._props
        parts += [props.stand.top_w()[:, :2], props.scanner.plate_w()[:, :2]]
        return xp.concat([*parts, props.belt.speed()[:, None]], axis=1)

    def judge(self) -> Outcome:
        """Returns the judgement.

        Success: all parcels were read and lie in the bins that they belong in. Lost: a
        parcel has fallen.
        """
        xp = self._engine.xp
        facts = self._facts()
        is_read = self._memory["scanned"] > 0  # (N, K)
        is_let_go = facts.is_still & ~facts.is_held
        is_right = facts.is_present & is_read & facts.is_binned & is_let_go

        # the mean over the parcels that take part. Sums are dot products with ones: unlike
        # `sum`, `dot` adds in the same order whatever the number of worlds is
        progress = xp.where(is_right, 1.0, facts.parcel_progress)
        present = self._memory["present"]
        ones = xp.ones_like(present)
        count = xp.maximum(dot(present, ones), ones[:, 0])
        return Outcome(
            success=all_of(is_right | ~facts.is_present),
            progress=dot(present, progress) / count,
            lost=any_of(facts.is_fallen),
            dropped=count_of(facts.is_fallen),
        )


TEAM_SORT = TaskSpec(
    name="TeamSort",
    summary="pick the parcels, turn their labels up, pass them on, scan them, and put each into the bin for its colour",
    needs=Needs(effectors=2, opening_m=0.075, reach_m=0.85),
    cameras=(CAMERA,),
    horizon_s=30.0,
    table=TABLE,
    build=build_sorting_station,
    bind=TeamSort,
    expert=team_expert,
    default_robot="arm+arm",
    beauty_camera="line",
    places=PLACES,
    # of two parcels, as at L1, one is off the belt; hands near both are worth 0.1
    stages=(TaskStage("pick", goal_progress=0.17, horizon_s=6.0),),
    # two parcels take part in every episode
    constant=("parcel_wanted.0", "parcel_wanted.1"),
)
