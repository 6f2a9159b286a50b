"""The bridge `hold`: uses the newest plan as it is, until the next one arrives."""

from __future__ import annotations

from embodied.core import Array, Observation
from embodied.plan import Payload, PayloadKind
from embodied.policies.bridges.bridge import Arrival, Setting


class Hold:
    """Changes nothing. It is the base of the other bridges."""

    kinds: tuple[PayloadKind, ...] = ()

    def __init__(self, setting: Setting) -> None:
        """Makes the bridge of a dual system."""

    def reset(self, ids: Array) -> None:
        """Does nothing, since this bridge has no state."""

    def merge(self, arrival: Arrival) -> Payload:
        return arrival.plan

    def correct(
        self, observation: Observation, payload: Payload, age_s: Array, action: Array
    ) -> Array:
        return action
