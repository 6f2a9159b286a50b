"""A controller that plays action chunks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from embodied.core import ActionInterface, Array, Observation, PolicySpec
from embodied.errors import EmbodiedError
from embodied.plan import Payload, PayloadKind
from embodied.policies.bridges.bridge import take_row, whole_rows


class ChunkPlayer:
    """Plays action chunks: at each control step, the row for the current time.

    Row k is for the time `tick_frame` + k / chunk_hz. So the rows whose time passed while
    the chunk was on its way are skipped.

    - In the control mode `joint`, whose actions are positions, the player interpolates
      between rows, and stays at the last row after the end of the chunk.
    - In the control modes of velocities each row is held until the next one, and after the
      end of the chunk the robot rests.
    - Gripper elements are never interpolated, since they command to open or to close; after
      the end of the chunk they stay at its last row.

    Args:
        interface: the action interface of the worlds.
        spec: the requirements of planner and controller on the worlds.
    """

    takes: tuple[PayloadKind, ...] = ("chunk",)
    sees_frames = False

    def __init__(self, interface: ActionInterface, spec: PolicySpec) -> None:
        self.spec = spec
        self._labels = interface.labels
        self._mode = interface.mode
        self._is_gripper = np.zeros(len(self._labels), bool)
        self._is_gripper[list(interface.gripper_elements)] = True

    def reset(self, ids: Array, seeds: Sequence[int]) -> None:
        """Does nothing, since the controller has no state."""

    def act(self, observation: Observation, payload: Payload, age_s: Array) -> Array:
        """Returns the actions (N, A); raises EmbodiedError if chunks have another size."""
        chunk = payload.chunk
        steps, size = chunk.shape[1:]
        if size != len(self._labels):
            raise EmbodiedError(
                f"the planner's chunks have {size} action elements, but in the control "
                f"mode {self._mode} an action has {len(self._labels)}: "
                f"{', '.join(self._labels)}"
            )

        row = age_s * payload.chunk_hz  # (N,) fractional rows
        whole_row = whole_rows(row)  # rounded down
        action = take_row(chunk, whole_row)  # (N, A)
        if self._mode == "joint":
            # `whole_row` may be slightly above `row` (see `whole_rows`), hence the maximum.
            # After the end of the chunk, both rows are its last one.
            fraction = np.maximum(row - whole_row, 0.0)[:, None]
            motion = action + fraction * (take_row(chunk, whole_row + 1) - action)
        else:
            motion = np.where((whole_row < steps)[:, None], action, 0.0)
        return np.where(self._is_gripper, action, motion)
