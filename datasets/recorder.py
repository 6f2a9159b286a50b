"""A rollout hook that records the steps, frames and plans of episodes."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np

from embodied.core import ACTORS, PHYSICS_HZ, Observation
from embodied.datasets.array_specs import (
    PLAN_OPTIONAL,
    PLAN_PAYLOAD,
    PLAN_TIMES,
    STREAMS,
    STREAMS_BEFORE,
    STREAMS_OF_ACTORS,
)
from embodied.datasets.buffer import StepBuffer
from embodied.datasets.schema import (
    IMAGE_SUFFIX,
    RECORD_HZ,
    DatasetError,
    Episode,
    EpisodeMeta,
    Stream,
)
from embodied.envs.actions import as_actions
from embodied.plan import Plan

if TYPE_CHECKING:
    from embodied.envs.episodes import EpisodeStart
    from embodied.envs.worlds import Worlds
    from embodied.robots.control import RobotControl
    from embodied.rollout.rollout import EpisodeResult, Step

# The tick of the next frame in a world without a running episode: a tick never reached.
NO_FRAME = np.iinfo(np.int64).max


def record_rates(control_hz: int) -> list[int]:
    """Returns the frame rates, in Hz, at which a frame is a whole number of steps."""
    return [hz for hz in range(1, control_hz + 1) if control_hz % hz == 0]


def usual_record_hz(control_hz: int) -> int:
    """Returns the lowest of `record_rates` that is at least `RECORD_HZ`.

    If no rate is so high, the result is the control rate.
    """
    fast_enough = [hz for hz in record_rates(control_hz) if hz >= RECORD_HZ]
    return min(fast_enough, default=control_hz)


class EpisodeSink(Protocol):
    """Receives finished episodes, such as an `EpisodeWriter`."""

    def write(self, episode: Episode) -> None: ...


@dataclass
class _RunningEpisode:
    """The recording so far of the running episode of one world.

    Attributes:
        start: the episode's start.
        first_step: the number of the episode's first step in the step buffer.
        frame_steps: for each frame, the number of the step that begins at the frame,
            counted from the episode's first step.
        obs: the observations of each frame, by name, without the proprioception.
        image_ticks: the tick at which the images of each frame were captured.
        states: the physics state (D,) at each frame.
        plans: (plan, row) of each plan. A `Plan` holds plans for several worlds; the row
            is the index of this world's plan.
    """

    start: EpisodeStart
    first_step: int
    frame_steps: list[int] = field(default_factory=list)
    obs: dict[str, list[np.ndarray]] = field(default_factory=dict)
    image_ticks: list[int] = field(default_factory=list)
    states: list[np.ndarray] = field(default_factory=list)
    plans: list[tuple[Plan, int]] = field(default_factory=list)


class Recorder:
    """Records episodes, and writes each episode to a sink when it ends.

    Frame f is the observation at the time f / record_hz. The frame's action is the joint
    target at the end of the frame's period that the policy's actions would have given
    without disturbances. Episodes that are unfinished when the rollout stops are lost.

    Args:
        sink: the object that receives the episodes.
        record_hz: frames per second.

    Raises:
        DatasetError: at an episode's start, if `record_hz` does not divide the control
            rate; at its end, if steps are missing, if the seed differs from the seed at
            the start, or if an action is outside [-1, 1].
    """

    def __init__(self, sink: EpisodeSink, record_hz: int = RECORD_HZ) -> None:
        self._sink = sink
        self._record_hz = record_hz
        # computes the joint targets that a disturbed policy intended
        self._intended_control: RobotControl | None = None
        dtypes: dict[str, type] = {"tick": np.int64, "intended_target": np.float64}
        dtypes |= {spec.name: spec.dtype for spec in (*STREAMS_OF_ACTORS, *STREAMS)}
        self._steps = StepBuffer(dtypes)
        self._has_actors = False  # whether several actors take turns
        self._running: dict[int, _RunningEpisode] = {}  # by world

        # (N,) the tick of each world's next frame; N is known at the first start
        self._next_frame_tick = np.zeros(0, np.int64)
        # (N,) whether each world has a frame when the next step begins
        self._frame_due = np.zeros(0, bool)
        # (N, D) the physics states when the next step begins
        self._states = np.zeros((0, 0))

    def on_start(
        self,
        worlds: Worlds,
        ids: np.ndarray,
        indices: np.ndarray,
        observation: Observation,
    ) -> None:
        """Begins to record the episodes of some worlds, see `Hook.on_start`.

        Args:
            worlds: all N worlds.
            ids: (n,) the worlds in which an episode begins.
            indices: not used.
            observation: the observation of all worlds.
        """
        control_hz = PHYSICS_HZ // worlds.ticks_per_step
        rates = record_rates(control_hz)
        if self._record_hz not in rates:
            raise DatasetError(
                f"record_hz must divide the control rate of {control_hz} Hz, so it is one "
                f"of {', '.join(map(str, rates))}, not {self._record_hz}"
            )

        # only now the number of worlds is known
        if not len(self._next_frame_tick):
            self._next_frame_tick = np.full(worlds.num_worlds, NO_FRAME)
        for world in np.asarray(ids).tolist():
            start = worlds.episode_start(world)
            self._running[world] = _RunningEpisode(start, self._steps.count)
        # frame 0 is at the start of an episode
        self._next_frame_tick[ids] = 0
        self._expect_frames(worlds, observation.tick)

    def before_step(self, worlds: Worlds, intended: np.ndarray) -> None:
        """Computes the joint targets that a disturbed policy intended.

        At each frame the intended targets start again from the actual targets of the
        robot, so that only disturbances of the present frame are left out.

        Args:
            worlds: all N worlds.
            intended: (N, A) actions of the policy before they were disturbed.
        """
        if self._intended_control is None:
            self._intended_control = worlds.second_control()
        self._intended_control.follow(worlds.control, self._frame_due)
        labels = worlds.interface.labels
        actions, _ = as_actions(intended, worlds.num_worlds, labels)
        self._intended_control.update_joint_target(actions)

    def on_step(self, worlds: Worlds, step: Step) -> None:
        """Records a step of all worlds, with its frames and the plans made in it."""
        before = step.before
        result = step.result
        for world in np.flatnonzero(self._frame_due).tolist():
            self._take_frame(before, world)

        intended_target = result.joint_target
        if step.intended is not None and self._intended_control is not None:
            intended_target = self._intended_control.joint_target

        # without several actors, the buffer gets zeros, which `_episode` does not store
        self._has_actors = step.executed_by is not None
        no_actors = np.zeros(worlds.num_worlds, np.uint8)
        intended_by = no_actors if step.intended_by is None else step.intended_by
        executed_by = no_actors if step.executed_by is None else step.executed_by

        # drop the steps of finished episodes
        if self._steps.full:
            self._steps.make_room(self._oldest_step_needed())
        self._steps.append(
            {
                "tick": before.tick,
                "intended_target": intended_target,
                "action": step.action,
                "intended": step.action if step.intended is None else step.intended,
                "intended_by": intended_by,
                "executed_by": executed_by,
                "agent_pos": before.agent_pos,
                "joint_target": result.joint_target,
                "reward": result.reward,
                "progress": result.progress,
                "success": result.success,
                "checksum": worlds.checksum(),
            }
        )

        for plan in step.plans:
            for row, world in enumerate(plan.world.tolist()):
                if world in self._running:
                    self._running[world].plans.append((plan, row))

        self._expect_frames(worlds, before.tick + worlds.ticks_per_step)

    def on_end(self, worlds: Worlds, world: int, result: EpisodeResult) -> None:
        """Writes the episode that ended in a world to the sink."""
        running = self._running.pop(world)
        self._next_frame_tick[world] = NO_FRAME
        self._frame_due[world] = False

        if result.seed != running.start.seed:
            raise DatasetError(
                f"world {world} began with seed {running.start.seed} but ended with seed "
                f"{result.seed}"
            )
        self._sink.write(self._episode(worlds, world, running, result))

    def _oldest_step_needed(self) -> int:
        """Returns the number of the oldest step of all running episodes."""
        first_steps = [running.first_step for running in self._running.values()]
        return min(first_steps, default=self._steps.count)

    def _expect_frames(self, worlds: Worlds, tick: np.ndarray) -> None:
        """Determines which worlds have a frame at the beginning of the next step.

        If there are any, the physics states are kept before the step changes them.

        Args:
            worlds: all N worlds.
            tick: (N,) the tick at which the next step begins.
        """
        self._frame_due = tick >= self._next_frame_tick
        if self._frame_due.any():
            self._states = worlds.physics_state()

    def _take_frame(self, before: Observation, world: int) -> None:
        """Records one world's observation before this step as a frame."""
        running = self._running[world]
        running.frame_steps.append(self._steps.count - running.first_step)
        running.states.append(self._states[world].copy())

        # the proprioception is in the step buffer already
        for camera, frames in before.pixels.items():
            key = f"{camera}{IMAGE_SUFFIX}"
            running.obs.setdefault(key, []).append(frames[world].copy())
        if before.environment_state.shape[1]:
            state = before.environment_state[world].copy()
            running.obs.setdefault("environment_state", []).append(state)
        if before.pixels_tick is not None:
            running.image_ticks.append(int(before.pixels_tick[world]))

        next_frame = len(running.frame_steps)
        self._next_frame_tick[world] = next_frame * PHYSICS_HZ // self._record_hz

    def _episode(
        self,
        worlds: Worlds,
        world: int,
        running: _RunningEpisode,
        result: EpisodeResult,
    ) -> Episode:
        """Returns the finished episode of a world."""
        steps = self._cut_steps(world, running.first_step)  # name -> (T, ...)
        begin = steps["tick"]  # (T,) the tick at which each step begins
        end = begin + worlds.ticks_per_step
        # the steps must begin at tick 0 and follow each other without gaps
        if not len(begin) or begin[0] != 0 or np.any(begin[1:] != end[:-1]):
            raise DatasetError(
                f"the steps of seed {result.seed} in world {world} are not all recorded: "
                f"ticks {begin}"
            )

        streams = {}
        for spec in STREAMS:
            tick = begin if spec in STREAMS_BEFORE else end
            streams[spec.name] = Stream(tick, steps[spec.name])
        meta = _episode_meta(result, num_samples=len(running.frame_steps))
        if self._has_actors:
            for spec in STREAMS_OF_ACTORS:
                streams[spec.name] = Stream(begin, steps[spec.name])
            step_s = worlds.ticks_per_step / PHYSICS_HZ
            meta = with_takeovers(meta, steps["executed_by"], step_s)

        # (F,) the first and the last step of each frame's period; the last frame's
        # period ends with the episode
        first = np.array(running.frame_steps)
        last = np.append(first[1:], len(begin)) - 1
        intended_target = steps["intended_target"][last]

        return Episode(
            meta=meta,
            obs=_frame_obs(steps["agent_pos"][first], running),
            actions=worlds.joint_interface.to_normalized(intended_target),
            rewards=steps["reward"][last].astype(np.float32),
            states=np.stack(running.states),
            frame_tick=begin[first],
            image_tick=np.array(running.image_ticks) if running.image_ticks else None,
            streams=streams,
            plans=_plan_table(running.plans),
            start_state=running.start.state,
            start_fields=running.start.fields,
        )

    def _cut_steps(self, world: int, first_step: int) -> dict[str, np.ndarray]:
        """Returns name -> (T, ...), all steps of a world from `first_step` on."""
        specs = (*STREAMS_OF_ACTORS, *STREAMS)
        names = ["tick", "intended_target", *(spec.name for spec in specs)]
        stop = self._steps.count
        return {name: self._steps.cut(name, world, first_step, stop) for name in names}


def _episode_meta(result: EpisodeResult, num_samples: int) -> EpisodeMeta:
    """Returns an episode's row of the table of episodes.

    Args:
        result: the result of the episode, most of whose fields have the same names.
        num_samples: the number of frames.
    """
    values = {}
    for f in fields(EpisodeMeta):
        # fields that a result does not have, such as `source_file`, keep their defaults
        if hasattr(result, f.name):
            values[f.name] = getattr(result, f.name)
    return EpisodeMeta(**values, num_samples=num_samples)


def with_takeovers(
    meta: EpisodeMeta, executed_by: np.ndarray, step_s: float
) -> EpisodeMeta:
    """Adds number and duration of take-overs to a row of the table of episodes.

    Args:
        meta: the episode's row, without take-overs.
        executed_by: (T,) index into ACTORS of who acted in each step.
        step_s: the duration of a step.
    """
    # during a take-over somebody other than the policy acts
    is_takeover = executed_by != ACTORS.index("policy")
    # The number counts where the policy hands over. If somebody else acts from the first
    # step on, nothing was taken from the policy, so only the duration counts.
    begins = np.flatnonzero(is_takeover[1:] & ~is_takeover[:-1])
    takeover_s = float(np.count_nonzero(is_takeover) * step_s)
    return replace(meta, takeovers=len(begins), takeover_s=takeover_s)


def _frame_obs(
    agent_pos: np.ndarray, running: _RunningEpisode
) -> dict[str, np.ndarray]:
    """Returns name -> (F, ...) the observations of the frames: images uint8, others float32.

    Args:
        agent_pos: (F, P) the proprioception at the frames.
        running: the recording of the episode, with the other observations.
    """
    obs = {"agent_pos": agent_pos.astype(np.float32)}
    for key, rows in running.obs.items():
        value = np.stack(rows)
        obs[key] = value if value.dtype == np.uint8 else value.astype(np.float32)
    return obs


def _plan_table(plans: list[tuple[Plan, int]]) -> dict[str, np.ndarray]:
    """Returns name -> (K, ...) the arrays of an episode's plans; empty without plans.

    Args:
        plans: (plan, row) of the K plans in order, see `_RunningEpisode`.
    """
    if not plans:
        return {}
    table = {}
    for spec in PLAN_TIMES:
        ticks = [int(getattr(plan, spec.name)[row]) for plan, row in plans]
        table[spec.name] = np.array(ticks)
    for spec in PLAN_PAYLOAD:
        rows = [getattr(plan.payload, spec.name)[row] for plan, row in plans]
        table[spec.name] = np.stack(rows)

    # A planner gives these arrays with all of its plans or with none (or 0 wide).
    first_plan, _ = plans[0]
    for spec in PLAN_OPTIONAL:
        value = getattr(first_plan.payload, spec.name, None)
        if value is not None and value.size:
            rows = [getattr(plan.payload, spec.name)[row] for plan, row in plans]
            table[spec.name] = np.stack(rows)
    # 0 stands for a plan without a fault; the array is left out if no plan has one
    faults = [0 if plan.fault is None else int(plan.fault[row]) for plan, row in plans]
    if any(faults):
        table["fault"] = np.array(faults)
    return table
