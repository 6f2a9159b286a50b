"""A controller that reads latent sequences, row by row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from embodied.core import Array, Observation
from embodied.plan import Controller, Payload, PayloadKind
from embodied.policies.bridges.bridge import whole_rows


class LatentSequencePlayer:
    """Gives a controller of latents, at each control step, the row for the current time.

    Row k of a latent sequence is for the time `tick_frame` + k / sequence_hz, and valid
    until the next row. So rows whose time passed while the plan was on its way are skipped.
    The last row stays valid until a newer plan comes.

    Args:
        controller: the controller that reads `Payload.latent`.
    """

    takes: tuple[PayloadKind, ...] = ("latent_sequence",)

    def __init__(self, controller: Controller) -> None:
        self.controller = controller
        self.spec = controller.spec

    def reset(self, ids: Array, seeds: Sequence[int]) -> None:
        self.controller.reset(ids, seeds)

    def act(self, observation: Observation, payload: Payload, age_s: Array) -> Array:
        """Returns the controller's actions (N, A) for the latents of the current time."""
        last = payload.sequence.shape[1] - 1
        row = np.clip(whole_rows(age_s * payload.sequence_hz), 0, last)  # (N,)
        latent = payload.sequence[np.arange(len(row)), row]  # (N, L)
        return self.controller.act(observation, replace(payload, latent=latent), age_s)
