"""The newest frames of worlds on a device: the `CameraFeed` of the engine `warp`."""

from __future__ import annotations

import numpy as np
import torch
import warp as wp

from embodied.core import PHYSICS_HZ
from embodied.sim.warp.cameras import WarpCameras
from embodied.sim.warp.engine import WarpEngine
from embodied.sim.warp.kernels import show_due

# More frames than any episode has, so that no two frames share a noise seed.
FRAMES_PER_START = 1 << 20


class WarpFeed:
    """The newest frames of some cameras in N worlds.

    All worlds are rendered at each step, at any `camera_hz`: the host would have to wait
    for the device to learn which worlds are due. So `camera_hz` determines which frames
    are shown, but not the cost of rendering.

    The first frame of an episode depends only on its start, so it is rendered once for
    each of the S starts, by `store_first_frames`. A step needs both the last frame of an ended
    episode and the first of the next, but renders only once.
    """

    def __init__(
        self,
        engine: WarpEngine,
        cameras: WarpCameras,
        sigma: np.ndarray,
        camera_hz: float | None,
    ) -> None:
        """Allocates the frames.

        Args:
            engine: the worlds.
            cameras: renders the worlds.
            sigma: (S,) standard deviation of the pixel noise of each start, in grey
                levels. The noise of a frame is determined by its start and its number
                in the episode.
            camera_hz: frames per second; None for one at each step.
        """
        self._engine = engine
        self.cameras = cameras
        self._hz = camera_hz
        self.has_first_frames = False
        n = engine.num_worlds
        device = torch.device(engine.device)

        def zeros(*shape: int, dtype: torch.dtype = torch.int64) -> torch.Tensor:
            return torch.zeros(shape, dtype=dtype, device=device)

        self._sigma_of_start = torch.as_tensor(
            sigma, dtype=torch.float32, device=device
        )
        # (N,) each, one value per world
        self._own = torch.arange(n, device=device)  # the world's index
        self._start = zeros(n)  # index of the start of its episode
        self._seed = zeros(n)  # seed of the noise of its next frame
        self._sigma = zeros(n, dtype=torch.float32)  # deviation of that noise
        self._now = zeros(n, dtype=torch.bool)  # whether it gets a new frame now
        self._taken = zeros(n)  # the tick of its newest frame
        self._due = zeros(n)  # the tick of its next frame
        self._count = zeros(n)  # number of frames in its episode

        # (N, 1) age of the newest frames now, and just before the last `begin`
        self.age_s = zeros(n, 1, dtype=torch.float32)
        self.final_age_s = zeros(n, 1, dtype=torch.float32)
        # the newest frames now, and just before the last `begin`
        pixels = cameras.pixels
        self._shown = zeros(n, pixels, 3, dtype=torch.uint8)
        self._final = zeros(n, pixels, 3, dtype=torch.uint8)
        # the first frame of each start, (S, P, 3)
        self._first = zeros(len(sigma), pixels, 3, dtype=torch.uint8)

    def memory(self) -> dict[str, torch.Tensor]:
        """Returns the state of the episodes: live (N, ...) tensors by name."""
        return {
            "start": self._start,
            "sigma": self._sigma,
            "taken": self._taken,
            "due": self._due,
            "count": self._count,
            "age_s": self.age_s,
            "shown": self._shown,
        }

    def store_first_frames(self, start: torch.Tensor) -> None:
        """Stores the worlds' frames as the first frames of the starts `start` (N,).

        The worlds must be at these starts.
        """
        self.cameras.render()
        self._first[start] = self.cameras.frames
        self.has_first_frames = True

    def take(self, tick: torch.Tensor) -> None:
        """Renders; shows a new frame in the worlds with one due at `tick` (N,)."""
        self.cameras.render()
        torch.ge(tick, self._due, out=self._now)
        self._show(self.cameras.frames, self._own)
        self._count_frames(tick)
        self.age_s[...] = ((tick - self._taken) / PHYSICS_HZ)[:, None]

    def begin(self, which: torch.Tensor, start: torch.Tensor) -> None:
        """Begins episodes; the frames shown so far are copied for `final`.

        Args:
            which: the worlds, (N,) bool.
            start: the starts (N,) of their episodes.
        """
        self._final[...] = self._shown
        self.final_age_s[...] = self.age_s

        # show the stored first frames of the starts
        self._now[...] = which
        self._start[...] = torch.where(which, start, self._start)
        self._sigma[...] = self._sigma_of_start[self._start]
        self._count[...] = torch.where(which, 0, self._count)
        self._show(self._first, self._start)
        self._count_frames(torch.zeros_like(self._taken))  # taken at tick 0
        self.age_s[...] = torch.where(which[:, None], 0.0, self.age_s)

    def _show(self, source: torch.Tensor, row: torch.Tensor) -> None:
        """Copies rows `row` (N,) of `source` (rows, P, 3) to worlds with a new frame."""
        self._seed[...] = self._start * FRAMES_PER_START + self._count
        tensors = (self._now, source, row, self._sigma, self._seed, self._shown)
        inputs = [wp.from_torch(tensor) for tensor in tensors]
        with self._engine.working():
            wp.launch(show_due, dim=self._shown.shape[:2], inputs=inputs)

    def _count_frames(self, tick: torch.Tensor) -> None:
        """Counts the new frames, and computes the ticks of the next ones."""
        self._taken[...] = torch.where(self._now, tick, self._taken)
        self._count += self._now  # True counts as 1
        self._due[...] = torch.where(self._now, self._next_due(tick), self._due)

    def _next_due(self, tick: torch.Tensor) -> torch.Tensor:
        """Returns the ticks (N,) of the frames after those at `tick` (N,).

        Frame k is due at the first tick at or after k / camera_hz. This tick is computed
        from k, so rounding errors do not add up.
        """
        if self._hz is None:
            return tick + 1
        return torch.ceil(self._count.double() * PHYSICS_HZ / self._hz).long()

    def newest(self) -> dict[str, torch.Tensor]:
        """Returns camera -> (N, H, W, 3) uint8, live."""
        return self._by_camera(self._shown)

    def final(self) -> dict[str, torch.Tensor]:
        """Returns camera -> (N, H, W, 3) uint8, the frames before the last `begin`."""
        return self._by_camera(self._final)

    def _by_camera(self, pixels: torch.Tensor) -> dict[str, torch.Tensor]:
        return {
            name: self.cameras.of_camera(name, pixels) for name in self.cameras.cameras
        }
