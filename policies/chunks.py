"""Action chunks: a controller that plays them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from embodied.core import (
    ActionInterface,
    Array,
    Observation,
    Payload,
    PayloadKind,
    PolicySpec,
)
from embodied.errors import EmbodiedError
from embodied.policies.bridges.bridge import take_row, whole_rows


class ChunkPlayer:
    """Plays action chunks: each control step does the row that is for that moment.

    Row k is for `tick_frame` + k / chunk_hz, so that rows which were due while the
    chunk was on its way are skipped. In the control mode `joint`, whose actions are
    places, joints move evenly from row to row, and stay at the last row after the end.
    In the modes of speeds a row counts until the next, and after the end the robot
    rests. Grippers keep to whole rows, and to the last row after the end.

    Args:
        interface: what the action elements mean.
        spec: what the planner and it need of the worlds.
    """

    takes: tuple[PayloadKind, ...] = ("chunk",)

    def __init__(self, interface: ActionInterface, spec: PolicySpec) -> None:
        self.spec = spec
        self._labels = interface.labels
        self._mode = interface.mode
        self._is_gripper = np.zeros(len(self._labels), bool)
        self._is_gripper[list(interface.gripper_elements)] = True

    def reset(self, ids: Array, seeds: Sequence[int]) -> None:
        """Does nothing: nothing is remembered."""

    def act(self, observation: Observation, payload: Payload, age_s: Array) -> Array:
        chunk = payload.chunk
        steps, size = chunk.shape[1:]
        if size != len(self._labels):
            raise EmbodiedError(
                f"the planner's chunks have {size} action elements, but in the control "
                f"mode {self._mode} an action has {len(self._labels)}: "
                f"{', '.join(self._labels)}"
            )

        row = age_s * payload.chunk_hz  # (N,)
        whole = whole_rows(row)
        action = take_row(chunk, whole)  # (N, A)
        if self._mode == "joint":
            # `whole` may be a hair above `row` (see `whole_rows`); after the end both
            # rows are the last one
            share = np.maximum(row - whole, 0.0)[:, None]
            moving = action + share * (take_row(chunk, whole + 1) - action)
        else:
            moving = np.where((whole < steps)[:, None], action, 0.0)
        return np.where(self._is_gripper, action, moving)
