"""A controller that reads latent sequences, row by row."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from embodied.core import Array
from embodied.plan import Payload, PayloadKind
from embodied.policies.bridges.bridge import whole_rows
from embodied.policies.present_plan import PresentPlanReader


class LatentSequencePlayer(PresentPlanReader):
    """Gives a controller of latents, at each control step, the row for the current time.

    Row k of a latent sequence is for the time `tick_frame` + k / sequence_hz, and valid
    until the next row. So rows whose time passed while the plan was on its way are skipped.
    The last row stays valid until a newer plan comes.

    Args:
        controller: the controller that reads `Payload.latent`.
    """

    takes: tuple[PayloadKind, ...] = ("latent_sequence",)

    def present(self, payload: Payload, age_s: Array) -> Payload:
        last = payload.sequence.shape[1] - 1
        row = np.clip(whole_rows(age_s * payload.sequence_hz), 0, last)  # (N,)
        latent = payload.sequence[np.arange(len(row)), row]  # (N, L)
        return replace(payload, latent=latent)
