"""The bridge `ensemble`: averages the actions that the latest chunks have for a time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from embodied.core import Array
from embodied.plan import Payload, PayloadKind
from embodied.policies.bridges.bridge import Arrival, Setting, take_rows
from embodied.policies.bridges.hold import Hold

CHUNKS = 8  # K, the number of chunks that are averaged
# Chunk i, counted from the oldest, has the weight exp(-DECAY * i), as in ACT (arXiv
# 2304.13705, algorithm 2).
DECAY = 0.01


class Ensemble(Hold):
    """Averages the latest chunks, as ACT's temporal ensemble does.

    For each point in time, the chunks that have an action for it are averaged; the oldest
    chunk has the largest weight.
    """

    kinds: tuple[PayloadKind, ...] = ("chunk",)

    def __init__(self, setting: Setting) -> None:
        num = setting.num_worlds  # N
        # the last K chunks, oldest first; their shape (H, A) is known with the first plan
        self._chunks = np.zeros((num, CHUNKS, 0, 0))  # (N, K, H, A)
        self._capture_ticks = np.zeros((num, CHUNKS), np.int64)  # of their pictures
        # whether each of the K chunks is from this episode
        self._is_known = np.zeros((num, CHUNKS), bool)

    def reset(self, ids: Array) -> None:
        self._is_known[ids] = False

    def merge(self, arrival: Arrival) -> Payload:
        """Returns the arrived plan with the weighted mean of the latest chunks as its chunk."""
        ids = arrival.ids
        newest = arrival.plan.chunk
        if self._chunks.shape[2:] != newest.shape[1:]:
            self._chunks = np.zeros((*self._capture_ticks.shape, *newest.shape[1:]))

        # drop the oldest chunk, append the newest
        for table in (self._chunks, self._capture_ticks, self._is_known):
            table[ids, :-1] = table[ids, 1:]
        self._chunks[ids, -1] = newest
        self._capture_ticks[ids, -1] = arrival.tick_frame
        self._is_known[ids, -1] = True

        # (n, K) the position of each chunk, counted from the oldest of this episode
        is_known = self._is_known[ids]
        position = np.cumsum(is_known, axis=1) - 1
        weighted_sum = np.zeros(newest.shape)  # (n, H, A)
        weight_sum = np.zeros(newest.shape[:2])  # (n, H)
        for k in range(CHUNKS):
            # assume that all chunks of a planner have the same rate
            rows = arrival.rows_at_the_same_times(
                self._capture_ticks[ids, k], arrival.plan.chunk_hz
            )
            # a chunk has no action for times after its end
            has_action = is_known[:, k, None] & (rows < newest.shape[1])  # (n, H)
            weight = has_action * np.exp(-DECAY * position[:, k, None])
            weighted_sum += weight[:, :, None] * take_rows(self._chunks[ids, k], rows)
            weight_sum += weight

        # the newest chunk has an action for each time, so no sum of weights is 0
        mean = weighted_sum / weight_sum[:, :, None]
        return replace(arrival.plan, chunk=mean.astype(newest.dtype))
