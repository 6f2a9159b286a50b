"""How many parcels per hour: what a sorting line is measured by."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol


class Episode(Protocol):
    """What came of one episode, as rollouts give it."""

    @property
    def variation(self) -> Mapping[str, Any]: ...
    @property
    def time_to_success_s(self) -> float | None: ...
    @property
    def duration_s(self) -> float: ...


def parcels_per_hour(episodes: Iterable[Episode]) -> float:
    """Returns how many parcels were sorted per simulated hour, in episodes of
    ParcelSort; one that failed costs its time and counts none.
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
