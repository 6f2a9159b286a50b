"""GaugeCheck: drive to the named gauges, and press OK or FAULT for each."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from embodied.arrays import largest
from embodied.core import Array, Layout
from embodied.envs.facts import PerState
from embodied.envs.measures import Measure
from embodied.envs.props.gauge import Reading
from embodied.envs.reward import tolerance
from embodied.envs.task import Needs, Outcome, TaskSpec, TaskStage
from embodied.envs.tasks.gauge_check.episode import (
    COUNT,
    event_tick,
    reading_of,
    sample_episode,
)
from embodied.envs.tasks.gauge_check.expert import gauge_check_expert
from embodied.envs.tasks.gauge_check.facts import Facts, Props
from embodied.envs.tasks.gauge_check.scene import (
    BEAUTY,
    BUTTONS,
    CAMERA,
    build_gauge_room,
)
from embodied.envs.tasks.gauge_check.variation import TABLE
from embodied.envs.variation import Variation
from embodied.robots.robot import Robot
from embodied.sim.engine import Engine


class GaugeCheck:
    """N episodes of GaugeCheck on an engine."""

    # each entry holds the values of the three stations
    state_layout = Layout(
        (
            ("stations_pos_w", 3 * COUNT),
            ("needles", COUNT),  # shares of the scale
            ("lows", COUNT),
            ("highs", COUNT),
            ("named", COUNT),  # 1 for stations that are to be checked
            ("answered", COUNT),  # 1 once the correct button was pressed
        )
    )

    def __init__(self, engine: Engine, robot: Robot) -> None:
        """Finds the scene's parts, and makes the arrays that `start` fills."""
        xp = engine.xp
        n = engine.num_worlds
        self._engine = engine
        self._props = Props(engine, robot)
        self._stations = xp.arange(COUNT)[None, :]  # (1, 3)
        self._memory = {
            # needle, low and high of each gauge, as shares of the scale
            "shares": xp.zeros((n, COUNT, 3)),
            "named": xp.zeros((n, COUNT), dtype=xp.int64),  # 1 if to be checked
            # 1 once the correct button was pressed
            "answered": xp.zeros((n, COUNT), dtype=xp.int64),
            # counts of wrong presses: FAULT at a gauge that was OK, OK at one with a
            # fault, and any button of a station that is not named
            "false_faults": xp.zeros(n, dtype=xp.int64),
            "missed_faults": xp.zeros(n, dtype=xp.int64),
            "unasked": xp.zeros(n, dtype=xp.int64),
            # the largest distance of a wrongly answered gauge's needle from its nearest
            # mark, as a share of the scale
            "misread_by": xp.zeros(n),
            # 1 for buttons that are pressed now
            "down": xp.zeros((n, len(BUTTONS)), dtype=xp.int64),
            # the event: the gauge that changes, when, and its needle afterwards
            "event_station": xp.zeros(n, dtype=xp.int64),
            "event_tick": xp.zeros(n, dtype=xp.int64),
            "event_needle": xp.zeros(n),
        }
        # a function that returns the facts of the present state, computed once per state
        self._facts = PerState(engine, partial(Facts, self._props, self._memory))

    def memory(self) -> dict[str, Array]:
        return self._memory

    def start(self, world: int, seed: int, variation: Variation) -> dict[str, Any]:
        """Samples an episode, and sets gauges and memory of one world.

        Args:
            world: the index of the world.
            seed: the episode's seed.
            variation: samples the values that vary.

        Returns:
            The sampled values by name, which are stored with the episode.
        """
        episode = sample_episode(seed, variation)

        # the scene
        gauges = self._props.gauges
        for station in range(COUNT):
            shift = (episode["station_x"][station], episode["station_y"][station])
            gauges.shift(world, station, shift)
        gauges.name(world, episode["name"])
        gauges.show_one(world, [Reading(*shares) for shares in episode["readings"]])

        # what the task remembers
        memory = self._memory
        xp = self._engine.xp
        memory["shares"][world] = xp.asarray(np.array(episode["readings"]))
        named = [int(station in episode["named"]) for station in range(COUNT)]
        memory["named"][world] = xp.asarray(named)
        for name in ("answered", "false_faults", "missed_faults", "unasked"):
            memory[name][world] = 0
        memory["misread_by"][world] = 0
        memory["down"][world] = 0
        memory["event_station"][world] = episode["event_station"]
        memory["event_tick"][world] = event_tick(episode)
        memory["event_needle"][world] = _needle_after(episode)
        return episode

    def before_step(self, tick: Array) -> None:
        """Counts button presses as answers, and moves a needle when the event is due.

        Args:
            tick: (N,) the time in each world's episode, in physics steps.
        """
        xp = self._engine.xp
        memory = self._memory
        facts = self._facts()

        # buttons that went down since the last step: per station, OK then FAULT
        was_down = memory["down"] > 0
        is_down = self._props.buttons.down(was_down)
        is_pressed = xp.reshape(is_down & ~was_down, (-1, COUNT, 2))  # (N, 3, 2)
        memory["down"][...] = xp.astype(is_down, xp.int64)
        said_ok = is_pressed[..., 0]
        said_fault = is_pressed[..., 1]

        # (N, 3) bool: an answer is correct, or wrong in one of three ways
        is_named = memory["named"] > 0
        agrees_with_gauge = (said_ok & facts.is_ok) | (said_fault & ~facts.is_ok)
        is_correct = is_named & agrees_with_gauge
        is_answered = (memory["answered"] > 0) | is_correct
        memory["answered"][...] = xp.astype(is_answered, xp.int64)
        wrong_answers = {
            "false_faults": is_named & said_fault & facts.is_ok,
            "missed_faults": is_named & said_ok & ~facts.is_ok,
            "unasked": ~is_named & (said_ok | said_fault),
        }

        # count the wrong answers, and keep the largest error of a reading
        for name, is_wrong in wrong_answers.items():
            count = xp.sum(xp.astype(is_wrong, xp.int64), axis=1)
            memory[name][...] = memory[name] + count
        is_misread = (
            wrong_answers["false_faults"] | wrong_answers["missed_faults"]
        )  # (N, 3)
        misread_by = largest(xp.where(is_misread, facts.from_mark, 0.0))
        memory["misread_by"][...] = xp.maximum(memory["misread_by"], misread_by)

        # the event changes a gauge, unless the gauge has been answered already
        is_station = self._stations == memory["event_station"][:, None]  # (N, 3)
        is_due = (tick >= memory["event_tick"])[:, None] & is_station & ~is_answered
        needle = xp.where(
            is_due, memory["event_needle"][:, None], memory["shares"][..., 0]
        )
        memory["shares"][..., 0] = needle
        self._props.gauges.show(memory["shares"])

    def state(self) -> Array:
        """Returns the privileged state (N, 24), whose parts `state_layout` names."""
        xp = self._engine.xp
        memory = self._memory
        shares = memory["shares"]
        parts = [
            xp.reshape(self._facts().stations_pos_w, (-1, 3 * COUNT)),
            shares[..., 0],  # needles
            shares[..., 1],  # low marks
            shares[..., 2],  # high marks
            xp.astype(memory["named"], xp.float64),
            xp.astype(memory["answered"], xp.float64),
        ]
        return xp.concat(parts, axis=1)

    def judge(self) -> Outcome:
        """Returns the judgement.

        Success: every named gauge was answered correctly, and all buttons are released.
        Lost: a wrong button was pressed.
        """
        xp = self._engine.xp
        memory = self._memory
        facts = self._facts()
        num_wrong = memory["false_faults"] + memory["missed_faults"] + memory["unasked"]
        lost = num_wrong > 0
        are_all_up = xp.sum(memory["down"], axis=1) == 0
        num_named = xp.astype(xp.sum(memory["named"], axis=1), xp.float64)
        num_answered = xp.astype(xp.sum(memory["answered"], axis=1), xp.float64)
        share = num_answered / num_named
        # whether the share is 1; as a quotient of small whole numbers, it is 1 or far below
        is_all_answered = share > 0.999
        success = is_all_answered & are_all_up & ~lost

        # The progress towards the next answer has two terms: `driven` rises from afar,
        # `reached` only near the button. They add up to at most 0.9 of an answer, so that
        # pressing the button adds the last 0.1 of the answer. Both terms are 1 within
        # `bound` m of the button, and 0.1 at `bound` + `margin` m.
        driven = tolerance(facts.reach_button_m, bound=0.1, margin=2.0)
        reached = tolerance(facts.reach_button_m, bound=0.005, margin=0.2)
        next_answer = (0.5 * driven + 0.4 * reached) / num_named
        next_answer = xp.where(share < 0.999, next_answer, 0.0)
        # all answers add up to at most 0.9, so that success, with the buttons released,
        # adds the last 0.1
        progress = 0.9 * share + 0.9 * next_answer
        progress = xp.where(success, 1.0, progress)
        return Outcome(
            success=success, progress=xp.where(lost, 0.0, progress), lost=lost
        )

    def measures(self) -> dict[str, Array]:
        """Returns the counts of wrong presses, and the largest error of a reading."""
        names = [measure.name for measure in MEASURES]
        return {name: self._memory[name] for name in names}


def _needle_after(episode: dict[str, Any]) -> float:
    """Returns the needle's position after the event on the gauge that the event changes.

    The position is a share of the scale. Without an event it is 0 and never used.
    """
    station = episode["event_station"]
    if station < 0:
        return 0.0
    needle, _, _ = reading_of(episode, station, not episode["is_ok"][station])
    return float(needle)


MEASURES = (
    Measure("missed_faults", "1", "presses of OK at a gauge outside of its marks"),
    Measure("false_faults", "1", "presses of FAULT at a gauge between its marks"),
    Measure("unasked", "1", "presses at gauges that were not named"),
    Measure(
        "misread_by",
        "1",
        "largest distance of a misread needle from the nearest mark, a share of the scale",
    ),
)

GAUGE_CHECK = TaskSpec(
    name="GaugeCheck",
    summary="drive to the named gauges, read them, and press OK or FAULT for each",
    # the gripper only has to close: it presses with its fingertips
    needs=Needs(opening_m=0.02, reach_m=0.75, travels=True, cameras=("head",)),
    cameras=(CAMERA,),
    # a gauge can only be read from nearby
    robot_cameras=("head",),
    horizon_s=20.0,
    table=TABLE,
    build=build_gauge_room,
    bind=GaugeCheck,
    expert=gauge_check_expert,
    default_robot="wheeled_arm",
    beauty_camera=BEAUTY,
    measures=MEASURES,
    # within about 2 cm of the right button at the last gauge that is left
    stages=(TaskStage("reach", goal_progress=0.8, horizon_s=8.0),),
    constant=("stations_pos_w.2", "stations_pos_w.5", "stations_pos_w.8"),
)
