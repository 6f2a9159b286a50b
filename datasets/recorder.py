"""A rollout hook that records episodes: what each world did at every control step,
frames at `record_hz`, plans.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Protocol

import numpy as np

from embodied.core import PHYSICS_HZ, Observation, Plan
from embodied.datasets.buffer import StepBuffer
from embodied.datasets.schema import (
    IMAGE_SUFFIX,
    PLAN_PAYLOAD,
    PLAN_TIMES,
    STEP_STREAMS,
    STREAMS_BEFORE,
    DatasetError,
    Episode,
    EpisodeMeta,
    Stream,
)

if TYPE_CHECKING:
    from embodied.envs.episodes import EpisodeStart
    from embodied.envs.worlds import Worlds
    from embodied.rollout.rollout import EpisodeResult, Step


# the tick of a world's next frame while no episode runs in it
NEVER = np.iinfo(np.int64).max


class EpisodeSink(Protocol):
    """Where finished episodes go, e.g. an `EpisodeWriter`."""

    def write(self, episode: Episode) -> None: ...


@dataclass
class _Take:
    """The running episode of one world."""

    start: EpisodeStart
    first_step: int  # its number in the step buffer
    # counted from the episode's first
    frame_steps: list[int] = field(default_factory=list)
    image_ticks: list[int] = field(default_factory=list)
    obs: dict[str, list[np.ndarray]] = field(default_factory=dict)
    states: list[np.ndarray] = field(default_factory=list)
    # with the row that is this world's
    plans: list[tuple[Plan, int]] = field(default_factory=list)


class Recorder:
    """Writes each episode to the sink when it is over. What is unfinished when the
    rollout stops is not recorded.

    Frame f is what the world showed at the first control step at or after its exact
    time f / record_hz.

    Raises:
        DatasetError: at the first start, where `record_hz` is above the control rate;
            at an episode's end, where the rollout left out a step or mixed up seeds, or
            an action is outside [-1, 1].
    """

    def __init__(self, sink: EpisodeSink, record_hz: int = 10) -> None:
        self._sink = sink
        self._record_hz = record_hz
        self._steps = StepBuffer({"tick": np.int64, **STEP_STREAMS})
        self._takes: dict[int, _Take] = {}
        self._next_frame_tick = np.zeros(0, np.int64)  # (N,)
        # (N,) whether the coming step begins with a frame
        self._due = np.zeros(0, bool)
        # (N, D) before the coming step, where a frame is due
        self._states = np.zeros((0, 0))

    def on_start(
        self,
        worlds: Worlds,
        ids: np.ndarray,
        indices: np.ndarray,
        observation: Observation,
    ) -> None:
        if worlds.ticks_per_step * self._record_hz > PHYSICS_HZ:
            control_hz = PHYSICS_HZ // worlds.ticks_per_step
            raise DatasetError(
                f"record_hz {self._record_hz} is above the control rate of {control_hz} Hz"
            )
        if not len(self._next_frame_tick):
            self._next_frame_tick = np.full(worlds.num_worlds, NEVER)
        for world in np.asarray(ids).tolist():
            self._takes[world] = _Take(worlds.episode_start(world), self._steps.count)
        self._next_frame_tick[ids] = 0
        self._expect_frames(worlds, observation.tick)

    def on_step(self, worlds: Worlds, step: Step) -> None:
        before = step.before
        result = step.result
        for world in np.flatnonzero(self._due).tolist():
            self._take_frame(before, world)
        if self._steps.full:
            self._steps.make_room(
                min(
                    (take.first_step for take in self._takes.values()),
                    default=self._steps.count,
                )
            )
        self._steps.append(
            {
                "tick": before.tick,
                "action": step.action,
                "intended": step.action if step.intended is None else step.intended,
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
                if world in self._takes:
                    self._takes[world].plans.append((plan, row))
        self._expect_frames(worlds, before.tick + worlds.ticks_per_step)

    def on_end(self, worlds: Worlds, world: int, result: EpisodeResult) -> None:
        take = self._takes.pop(world)
        self._next_frame_tick[world] = NEVER
        self._due[world] = False
        if result.seed != take.start.seed:
            raise DatasetError(
                f"world {world} began with seed {take.start.seed} but ended with seed {result.seed}"
            )
        self._sink.write(self._episode(worlds, world, take, result))

    def _expect_frames(self, worlds: Worlds, tick: np.ndarray) -> None:
        """Note which worlds show a frame at `tick` (N,), and keep their states before
        the step changes them.
        """
        self._due = tick >= self._next_frame_tick
        if self._due.any():
            self._states = worlds.physics_state()

    def _take_frame(self, before: Observation, world: int) -> None:
        take = self._takes[world]
        take.frame_steps.append(self._steps.count - take.first_step)
        self._next_frame_tick[world] = -(
            -len(take.frame_steps) * PHYSICS_HZ // self._record_hz
        )
        take.states.append(self._states[world].copy())
        shown = {
            f"{camera}{IMAGE_SUFFIX}": frames
            for camera, frames in before.pixels.items()
        }
        if before.environment_state.shape[1]:
            shown["environment_state"] = before.environment_state
        for key, rows in shown.items():
            take.obs.setdefault(key, []).append(rows[world].copy())
        if before.pixels_tick is not None:
            take.image_ticks.append(int(before.pixels_tick[world]))

    def _episode(
        self, worlds: Worlds, world: int, take: _Take, result: EpisodeResult
    ) -> Episode:
        stop = self._steps.count
        cut = {
            name: self._steps.cut(name, world, take.first_step, stop)
            for name in ("tick", *STEP_STREAMS)
        }
        tick = cut["tick"]
        after = cut["tick"] + worlds.ticks_per_step
        if not len(tick) or tick[0] != 0 or np.any(tick[1:] != after[:-1]):
            raise DatasetError(
                f"the steps of seed {result.seed} in world {world} are not all recorded: ticks {tick}"
            )
        frames = np.array(take.frame_steps)
        # the last step of each frame's period
        last = np.append(frames[1:], len(tick)) - 1
        own = {
            f.name: getattr(result, f.name)
            for f in fields(EpisodeMeta)
            if f.name != "num_samples"
        }
        obs = {
            "agent_pos": cut["agent_pos"][frames],
            **{key: np.stack(rows) for key, rows in take.obs.items()},
        }
        return Episode(
            meta=EpisodeMeta(**own, num_samples=len(frames)),
            obs={
                key: v if v.dtype == np.uint8 else v.astype(np.float32)
                for key, v in obs.items()
            },
            actions=worlds.joint_interface.to_normalized(cut["joint_target"][last]),
            rewards=cut["reward"][last].astype(np.float32),
            states=np.stack(take.states),
            frame_tick=tick[frames],
            image_tick=np.array(take.image_ticks) if take.image_ticks else None,
            streams={
                k: Stream(tick if k in STREAMS_BEFORE else after, cut[k])
                for k in STEP_STREAMS
            },
            plans=_plan_table(take.plans),
            start_state=take.start.state,
            start_fields=take.start.fields,
        )


def _plan_table(plans: list[tuple[Plan, int]]) -> dict[str, np.ndarray]:
    """One row per plan, in the order in which they became known; nothing where there
    are none.
    """
    if not plans:
        return {}
    times = {
        name: np.array([int(getattr(plan, name)[row]) for plan, row in plans])
        for name in PLAN_TIMES
    }
    payload = {
        name: np.stack([getattr(plan.payload, name)[row] for plan, row in plans])
        for name in PLAN_PAYLOAD
    }
    return {**times, **payload}
