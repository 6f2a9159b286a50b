"""The bridge `ensemble`: the mean of what the last chunks say about the same moment."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from embodied.core import Array, Payload, PayloadKind
from embodied.policies.bridges.bridge import Arrival, Setting, take_rows
from embodied.policies.bridges.hold import Hold

CHUNKS = 8  # K, how many of the newest chunks are averaged
# How the weights fall from the oldest chunk to the newest: exp(-DECAY * i), as ACT has
# it (arXiv 2304.13705, algorithm 2).
DECAY = 0.01


class Ensemble(Hold):
    """ACT's temporal ensemble: the oldest chunk weighs most, the newest a little less.

    At a moment that only some of the chunks reach, only these are averaged.
    """

    kinds: tuple[PayloadKind, ...] = ("chunk",)

    def __init__(self, setting: Setting) -> None:
        num = setting.num_worlds
        # the last K chunks, oldest first
        self._chunks = np.zeros((num, CHUNKS, 0, 0))  # (N, K, H, A)
        self._frames = np.zeros((num, CHUNKS), np.int64)  # their `tick_frame`
        # which of the K have come in this episode
        self._is_known = np.zeros((num, CHUNKS), bool)

    def reset(self, ids: Array) -> None:
        self._is_known[ids] = False

    def merge(self, arrival: Arrival) -> Payload:
        ids = arrival.ids
        newest = arrival.plan.chunk
        if self._chunks.shape[2:] != newest.shape[1:]:
            self._chunks = np.zeros((*self._frames.shape, *newest.shape[1:]))

        # the oldest makes room
        for memory in (self._chunks, self._frames, self._is_known):
            memory[ids, :-1] = memory[ids, 1:]
        self._chunks[ids, -1] = newest
        self._frames[ids, -1] = arrival.tick_frame
        self._is_known[ids, -1] = True

        # the place of each chunk, counted from the oldest that is known, (n, K)
        is_known = self._is_known[ids]
        place = np.cumsum(is_known, axis=1) - 1
        total = np.zeros(newest.shape)
        weights = np.zeros(newest.shape[:2])
        for k in range(CHUNKS):
            # all chunks of a planner are taken to have the rate of the newest
            rows = arrival.rows_of(self._frames[ids, k], arrival.plan.chunk_hz)
            covered = is_known[:, k, None] & (rows < newest.shape[1])  # (n, H)
            weight = covered * np.exp(-DECAY * place[:, k, None])
            total += weight[:, :, None] * take_rows(self._chunks[ids, k], rows)
            weights += weight

        mean = total / weights[:, :, None]
        return replace(arrival.plan, chunk=mean.astype(newest.dtype))
