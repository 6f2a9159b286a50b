"""The newest frames of some cameras in N worlds, rendered at once or elsewhere later."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from embodied.core import PHYSICS_HZ
from embodied.sim.cameras import Camera
from embodied.sim.engine import HostEngine

NEVER = np.iinfo(np.int64).max  # a tick later than any episode's last
# The name under which `Moments` stands in place of the cameras' frames.
MOMENT = "moment"
# Names of a moment's arrays: the prefix of the engine's, and those of the pixel noise.
_ENGINE = "engine/"
_SIGMA = "sigma"
_NOISE_SEED = "noise_seed"


class FrameSource(Protocol):
    """Takes the frames of all cameras in one world."""

    def empty(self) -> dict[str, np.ndarray]:
        """Returns new arrays (N, ...) for the results of `take`, by name."""

    def take(
        self, world: int, sigma: float, noise_seed: tuple[int, int]
    ) -> Mapping[str, Any]:
        """Returns what is seen of a world now: a row for each array of `empty`.

        Args:
            world: index of the world.
            sigma: standard deviation of the pixels' noise, in grey levels.
            noise_seed: the seed of that noise: the episode's, and the frame's number.
        """

    def close(self) -> None:
        """Frees the source's resources."""


class Frames:
    """The source that renders: camera -> (N, H, W, 3) uint8."""

    def __init__(
        self, engine: HostEngine, cameras: tuple[str, ...], image_size: int
    ) -> None:
        """Prepares the cameras; the first frame makes their GL context."""
        self._camera = Camera(engine, image_size, image_size)
        self._cameras = cameras
        self._shape = (engine.num_worlds, image_size, image_size, 3)

    def empty(self) -> dict[str, np.ndarray]:
        return {name: np.zeros(self._shape, np.uint8) for name in self._cameras}

    def take(
        self, world: int, sigma: float, noise_seed: tuple[int, int]
    ) -> dict[str, np.ndarray]:
        """Renders a world; returns camera -> (H, W, 3) uint8."""
        frames = {name: self._camera.rgb(world, name) for name in self._cameras}
        if sigma > 0:
            rng = np.random.default_rng(noise_seed)
            for name, frame in frames.items():
                noisy = frame + rng.normal(0.0, sigma, frame.shape)
                frames[name] = np.clip(np.rint(noisy), 0, 255).astype(np.uint8)
        return frames

    def close(self) -> None:
        self._camera.close()


class Moments:
    """The source that renders nothing: it keeps what frames can be rendered from later.

    A moment holds the whole state of one world: arrays by name. `frames_of` renders it, in
    worlds of the same config, which may be in another process.
    """

    def __init__(self, engine: HostEngine) -> None:
        self._engine = engine

    def empty(self) -> dict[str, np.ndarray]:
        return {MOMENT: np.empty(self._engine.num_worlds, object)}

    def take(
        self, world: int, sigma: float, noise_seed: tuple[int, int]
    ) -> dict[str, dict[str, np.ndarray]]:
        """Returns the moment of a world."""
        kept = self._engine.keep(np.array([world]))
        moment = {f"{_ENGINE}{name}": values for name, values in kept.items()}
        moment[_SIGMA] = np.array(sigma)
        moment[_NOISE_SEED] = np.array(noise_seed)
        return {MOMENT: moment}

    def close(self) -> None:
        """Does nothing."""


def frames_of(
    moment: Mapping[str, np.ndarray], engine: HostEngine, frames: Frames
) -> dict[str, np.ndarray]:
    """Returns the frames of a moment: camera -> (1, H, W, 3) uint8.

    They equal those that would have been rendered at that moment, bit for bit.

    Args:
        moment: one that `Moments` has kept.
        engine: worlds of the same model. The first of them is set to the moment's state.
        frames: renders these worlds.
    """
    kept = {
        name.removeprefix(_ENGINE): values
        for name, values in moment.items()
        if name.startswith(_ENGINE)
    }
    engine.recall(np.zeros(1, np.int64), kept)

    episode_seed, number = moment[_NOISE_SEED].tolist()
    rendered = frames.take(0, float(moment[_SIGMA]), (episode_seed, number))
    return {name: frame[None] for name, frame in rendered.items()}


class CameraFeed:
    """The newest frames of some cameras in N worlds.

    Each world's frames are taken at the cameras' rate, by the world's own clock.
    """

    def __init__(
        self, source: FrameSource, num_worlds: int, camera_hz: float | None
    ) -> None:
        """Allocates the frames.

        Args:
            source: takes the frames.
            num_worlds: the number N of worlds.
            camera_hz: frames per second; None for one at each update.
        """
        self._source = source
        self._hz = camera_hz
        self._frames = source.empty()
        # (N,) each
        self._taken = np.zeros(num_worlds, np.int64)  # the tick of the newest frame
        self._due = np.zeros(num_worlds, np.int64)  # the tick of the next frame
        self._count = np.zeros(num_worlds, np.int64)  # number of frames in the episode

    def use(self, source: FrameSource) -> None:
        """Takes frames from another source, beginning with the next episodes."""
        self._source.close()
        self._source = source
        self._frames = source.empty()

    def reset(self, ids: np.ndarray) -> None:
        """Begins episodes in worlds `ids`; their first frame is due at once."""
        self._due[ids] = 0
        self._count[ids] = 0

    def rest(self, ids: np.ndarray) -> None:
        """Takes no more frames in worlds `ids`, until they are reset."""
        self._due[ids] = NEVER

    def memory(self) -> dict[str, np.ndarray]:
        """Returns the state of the episodes: live (N, ...) arrays by name."""
        if not self._frames:
            return {}
        # Restoring a snapshot writes into the returned arrays. Earlier observations share
        # the present arrays, so these are replaced by copies first.
        self._frames = {name: frames.copy() for name, frames in self._frames.items()}
        frames = {f"frames/{name}": values for name, values in self._frames.items()}
        times = {"taken": self._taken, "due": self._due, "count": self._count}
        return {**frames, **times}

    def update(self, tick: np.ndarray, sigma: np.ndarray, seeds: np.ndarray) -> None:
        """Takes the frames of the worlds whose next frame is due.

        Frame k is due at the first tick at or after k / camera_hz. This tick is computed
        from k, so rounding errors do not add up.

        Args:
            tick: (N,) physics ticks since each world's reset.
            sigma: (N,) standard deviation of the pixels' noise, in grey levels.
            seeds: (N,) seeds of that noise.
        """
        if not self._frames:
            return
        due = np.flatnonzero(tick >= self._due)
        if not len(due):
            return

        # earlier observations share these arrays, so write into copies
        self._frames = {name: frames.copy() for name, frames in self._frames.items()}
        for world in due.tolist():
            noise_seed = (int(seeds[world]), int(self._count[world]))
            seen = self._source.take(world, float(sigma[world]), noise_seed)
            for name, frames in self._frames.items():
                frames[world] = seen[name]

        self._taken[due] = tick[due]
        self._count[due] += 1
        if self._hz is None:  # the next frame is due at the next update
            self._due[due] = tick[due] + 1
        else:
            self._due[due] = np.ceil(self._count[due] * PHYSICS_HZ / self._hz)

    def newest(self) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """Returns the newest frames, which must not be written to.

        Returns:
            Camera -> (N, H, W, 3) uint8, or with `Moments` their name -> (N,) moments; and
            (N,) the ticks at which they were taken.
        """
        return self._frames, self._taken.copy()

    def close(self) -> None:
        """Frees the source's resources."""
        self._source.close()
