"""Films episodes: a hook that renders chosen episodes while they run.

Frames are kept as JPEG, about 15 KB at 240x320, to save memory.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from embodied.core import PHYSICS_HZ, Observation
from embodied.rollout.endings import describe_ending
from embodied.rollout.video import decode_jpeg, encode_jpeg

if TYPE_CHECKING:
    from embodied.envs.worlds import Worlds
    from embodied.rollout.rollout import EpisodeResult, Step


@dataclass(frozen=True)
class Shot:
    """How an episode is filmed."""

    camera: str
    label: str  # name of the policy, for people
    size: tuple[int, int] = (240, 320)  # (H, W)
    fps: int = 20  # frames per second of simulated time


@dataclass(frozen=True)
class Clip:
    """One filmed episode. Frame k shows the world k / fps seconds after its reset."""

    shot: Shot
    result: EpisodeResult
    frames: tuple[bytes, ...]  # JPEG

    def frame(self, k: int) -> np.ndarray:  # (H, W, 3)
        """Returns frame k; the last frame if the clip is shorter."""
        return decode_jpeg(self.frames[min(k, self._last)])

    def outcome(self, k: int) -> bool | None:
        """Returns whether the episode succeeded by frame k; None while undecided."""
        if k >= self._last:
            return self.result.success_at_end

        success_s = self.result.time_to_success_s
        if success_s is not None and k / self.shot.fps >= success_s:
            return True
        return None

    def status(self, k: int) -> str:
        """Returns outcome and time at frame k, in words; the time alone while undecided."""
        now_s = min(k, self._last) / self.shot.fps
        outcome = self.outcome(k)
        if outcome is None:
            return f"{now_s:.1f} s"
        if outcome:
            return f"success at {self.result.time_to_success_s or now_s:.1f} s"
        return describe_ending(self.result)

    @property
    def _last(self) -> int:
        return len(self.frames) - 1


class Film:
    """A rollout hook that films the episodes whose index is in `episodes`."""

    def __init__(self, shot: Shot, episodes: Collection[int]) -> None:
        self._shot = shot
        self._episodes = frozenset(episodes)
        # world -> frames of the episode it is in
        self._frames: dict[int, list[bytes]] = {}
        self._clips: list[Clip] = []

    @property
    def clips(self) -> list[Clip]:
        """Clips of the episodes that have ended, in the order of their index."""
        return sorted(self._clips, key=lambda clip: clip.result.index)

    def on_start(
        self,
        worlds: Worlds,
        ids: np.ndarray,
        indices: np.ndarray,
        observation: Observation,
    ) -> None:
        """Renders the first frame of each filmed episode that starts."""
        for world, index in zip(ids.tolist(), indices.tolist(), strict=True):
            if index in self._episodes:
                self._frames[world] = [self._render(worlds, world)]

    def on_step(self, worlds: Worlds, step: Step) -> None:
        """Renders the frames that are due after a step."""
        for world, frames in self._frames.items():
            # how many more frames are due by the end of this step: usually 0 or 1, and more
            # if the control rate is lower than the frame rate
            tick = int(step.before.tick[world]) + worlds.ticks_per_step
            num_missing = tick * self._shot.fps // PHYSICS_HZ + 1 - len(frames)
            if num_missing <= 0 or not step.active[world]:
                continue

            # a faulty world has no valid state: repeat its last good frame
            has_fault = step.result.fault[world]
            frame = frames[-1] if has_fault else self._render(worlds, world)
            frames.extend([frame] * num_missing)

    def on_end(self, worlds: Worlds, world: int, result: EpisodeResult) -> None:
        frames = self._frames.pop(world, None)
        if frames is not None:
            self._clips.append(Clip(self._shot, result, tuple(frames)))

    def _render(self, worlds: Worlds, world: int) -> bytes:
        return encode_jpeg(worlds.render(world, self._shot.camera, self._shot.size))
