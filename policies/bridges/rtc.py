"""The bridge `rtc`: the mask of real-time chunking, applied to finished chunks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from embodied.core import PHYSICS_HZ
from embodied.plan import Payload, PayloadKind
from embodied.policies.bridges.bridge import Arrival, take_rows
from embodied.policies.bridges.hold import Hold


class RealTimeChunking(Hold):
    """Blends from the chunk that is being played into the new one.

    The weights are the mask of real-time chunking (arXiv 2506.07339, equation 5). The d
    rows that were played while the new chunk was on its way keep the old actions. In the
    rows after them the weight of the old chunk falls to 0.

    There are two differences to the paper. There the mask guides the denoising of a flow
    model, which makes the new chunk consistent with the old one; here it only averages
    the actions of two finished chunks. If the chunks pursue different goals, the average
    may be neither. And there the mask covers all remaining rows of the old chunk; here it
    ends after s rows, when the next chunk is due, since otherwise the new chunk would be
    followed about half a second late.
    """

    kinds: tuple[PayloadKind, ...] = ("chunk",)

    def merge(self, arrival: Arrival) -> Payload:
        """Returns the arrived plan with a chunk that begins like the chunk being played."""
        new = arrival.plan.chunk
        steps = new.shape[1]

        # (n, H, A) the old actions for the times of the new rows, if they exist
        rows = arrival.rows_at_the_same_times(
            arrival.shown_frame, arrival.shown.chunk_hz
        )  # (n, H)
        old = take_rows(arrival.shown.chunk, rows)
        has_old = (rows < steps) & ~arrival.is_first[:, None]  # (n, H)
        remaining = has_old.sum(axis=1, keepdims=True)  # (n, 1), H - s in the paper

        # (n, 1) the number of rows whose time has passed, d in the paper; the mask ends
        # s rows after these
        delay_s = (arrival.now - arrival.tick_frame) / PHYSICS_HZ
        passed = np.ceil(delay_s * arrival.plan.chunk_hz)[:, None]
        passed = np.minimum(passed, remaining)
        # (n, 1) the row at which the mask ends, where `steps - remaining` is s
        end = np.minimum(passed + steps - remaining, remaining)

        # (n, H) the weight of the old chunk, by equation 5 of the paper
        row = np.arange(steps)
        share = np.clip((end - row) / (end - passed + 1), 0.0, 1.0)
        falling = share * np.expm1(share) / np.expm1(1.0)
        weight = np.where(row < passed, 1.0, falling) * has_old
        weight = weight[:, :, None]
        blended = weight * old + (1 - weight) * new
        return replace(arrival.plan, chunk=blended.astype(new.dtype))
