"""The bridge `rtc`: real-time chunking, as far as it goes without a flow to guide."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from embodied.core import PHYSICS_HZ, Payload, PayloadKind
from embodied.policies.bridges.bridge import Arrival, take_rows
from embodied.policies.bridges.hold import Hold


class RealTimeChunking(Hold):
    """Fades from the chunk that is being played into the new one.

    The mask is that of real-time chunking (arXiv 2506.07339, equation 5): the d rows
    that were played while the new chunk was on its way keep the old actions, and those
    after them follow the old ones less and less.

    In the paper the mask guides the denoising of a flow, which makes the whole new
    chunk consistent with what is being done, over all rows that the old chunk still
    has. Here the network is not asked again: the mask weighs the actions of the two
    chunks. So it ends after s rows, when the next chunk is due: over all rows, what is
    new would be followed half a second late. And where the chunks mean different
    things, their mean may mean neither.
    """

    kinds: tuple[PayloadKind, ...] = ("chunk",)

    def merge(self, arrival: Arrival) -> Payload:
        new = arrival.plan.chunk
        steps = new.shape[1]

        # what is being played, on the time axis of the new chunk
        rows = arrival.rows_of(arrival.shown_frame, arrival.shown.chunk_hz)  # (n, H)
        old = take_rows(arrival.shown.chunk, rows)
        covered = (rows < steps) & ~arrival.is_first[:, None]
        left = covered.sum(axis=1, keepdims=True)  # H - s in the paper

        # the rows that are over: d in the paper; the mask ends s rows after them
        waited_s = (arrival.now - arrival.tick_frame) / PHYSICS_HZ
        over = np.ceil(waited_s * arrival.plan.chunk_hz)[:, None]
        over = np.minimum(over, left)
        end = np.minimum(over + steps - left, left)

        row = np.arange(steps)
        share = np.clip((end - row) / (end - over + 1), 0.0, 1.0)
        falling = share * np.expm1(share) / np.expm1(1.0)
        weight = np.where(row < over, 1.0, falling) * covered
        weight = weight[:, :, None]
        faded = weight * old + (1 - weight) * new
        return replace(arrival.plan, chunk=faded.astype(new.dtype))
