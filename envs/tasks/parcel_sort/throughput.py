"""The throughput of ParcelSort in parcels per hour, the measure of a sorting line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol


class Episode(Protocol):
    """The result of one episode, as rollouts return it."""

    @property
    def variation(self) -> Mapping[str, Any]: ...
    @property
    def time_to_success_s(self) -> float | None: ...
    @property
    def duration_s(self) -> float: ...


def parcels_per_hour(episodes: Iterable[Episode]) -> float:
    """Returns the parcels sorted per simulated hour in episodes of ParcelSort.

    A failed episode adds its duration, but no parcels. Without episodes the result is 0.
    """
    count = 0
    seconds = 0.0
    for episode in episodes:
        if episode.time_to_success_s is None:
            seconds += episode.duration_s
        else:
            seconds += episode.time_to_success_s
            count += sum(episode.variation["wanted"])
    return 3600 * count / seconds if seconds else 0.0
