"""The newest frames of worlds on a device, each world's taken at its own time:
`CameraFeed` for the engine `warp`.
"""

from __future__ import annotations

import numpy as np
import torch
import warp as wp

from embodied.core import PHYSICS_HZ
from embodied.sim.warp.cameras import WarpCameras
from embodied.sim.warp.engine import WarpEngine
from embodied.sim.warp.kernels import show_due

FRAMES_A_START = 1 << 20  # more than an episode has: seeds of frames' noise don't meet


class WarpFeed:
    """Frames of some cameras in N worlds. All worlds are rendered at each step,
    whatever `camera_hz`: to ask which are due would make the host wait; `camera_hz`
    says which frames are shown, not what rendering costs.

    An episode's first frame is that of its start, rendered once for each of the S
    starts (`learn`): so a step renders once, though it shows both how the last episode
    ended and how the next begins. `sigma` (S,) is the pixel noise of the starts, in
    grey levels; the noise of a frame repeats with its start and its number in the
    episode.
    """

    def __init__(
        self,
        engine: WarpEngine,
        cameras: WarpCameras,
        sigma: np.ndarray,
        camera_hz: float | None,
    ) -> None:
        self._engine = engine
        self.cameras = cameras
        self._hz = camera_hz
        n = engine.num_worlds
        device = torch.device(engine.device)
        self._sigma_of = torch.as_tensor(sigma, dtype=torch.float32, device=device)
        self._own, self._start, self._seed, self._due, self._count = (
            torch.zeros(n, dtype=torch.int64, device=device) for _ in range(5)
        )
        self._own += torch.arange(n, device=device)
        self._now = torch.zeros(n, dtype=torch.bool, device=device)
        self._sigma = torch.zeros(n, device=device)
        # (N,) tick of the newest frame
        self._taken = torch.zeros(n, dtype=torch.int64, device=device)
        # (N, 1)
        self.age_s, self.final_age_s = (
            torch.zeros((n, 1), device=device) for _ in range(2)
        )
        shape = (cameras.pixels, 3)
        self._shown, self._final = (
            torch.zeros((n, *shape), dtype=torch.uint8, device=device) for _ in range(2)
        )
        # (S, P, 3)
        self._first = torch.zeros(
            (len(sigma), *shape), dtype=torch.uint8, device=device
        )
        self.learned = False

    def learn(self, start: torch.Tensor) -> None:
        """Worlds stand at the starts `start` (N,): their frames are kept as these
        starts' first ones.
        """
        self.cameras.render()
        self._first[start] = self.cameras.frames
        self.learned = True

    def take(self, tick: torch.Tensor) -> None:
        """Shows new frames of the worlds whose next one is due at `tick` (N,)."""
        self.cameras.render()
        torch.ge(tick, self._due, out=self._now)
        self._show(self.cameras.frames, self._own)
        self._note(tick)
        self.age_s[...] = ((tick - self._taken) / PHYSICS_HZ)[:, None]

    def begin(self, which: torch.Tensor, start: torch.Tensor) -> None:
        """New episodes in the worlds `which` (N,) bool, of the starts `start` (N,).
        What was shown stays as final.
        """
        self._final[...] = self._shown
        self.final_age_s[...] = self.age_s
        self._now[...] = which
        self._start[...] = torch.where(which, start, self._start)
        self._sigma[...] = self._sigma_of[self._start]
        self._count[...] = torch.where(which, 0, self._count)
        self._show(self._first, self._start)
        self._note(torch.zeros_like(self._taken))
        self.age_s[...] = torch.where(which[:, None], 0.0, self.age_s)

    def _show(self, source: torch.Tensor, row: torch.Tensor) -> None:
        self._seed[...] = self._start * FRAMES_A_START + self._count
        inputs = [
            wp.from_torch(x)
            for x in (self._now, source, row, self._sigma, self._seed, self._shown)
        ]
        with self._engine.working():
            wp.launch(show_due, dim=self._shown.shape[:2], inputs=inputs)

    def _note(self, tick: torch.Tensor) -> None:
        """Frame k is due at the first tick at or after k / camera_hz, computed from k
        so that nothing drifts.
        """
        self._taken[...] = torch.where(self._now, tick, self._taken)
        self._count += self._now
        due = (
            tick + 1
            if self._hz is None
            else torch.ceil(self._count.double() * PHYSICS_HZ / self._hz).long()
        )
        self._due[...] = torch.where(self._now, due, self._due)

    def newest(self) -> dict[str, torch.Tensor]:
        """Camera -> (N, H, W, 3) uint8, live."""
        return self._by_camera(self._shown)

    def final(self) -> dict[str, torch.Tensor]:
        """The same as it was before the last `begin`."""
        return self._by_camera(self._final)

    def _by_camera(self, pixels: torch.Tensor) -> dict[str, torch.Tensor]:
        return {
            name: self.cameras.of_camera(name, pixels) for name in self.cameras.cameras
        }
