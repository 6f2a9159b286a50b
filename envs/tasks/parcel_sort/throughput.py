"""How many parcels an hour: what a sorting line is measured by."""

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


def units_per_hour(episodes: Iterable[Episode]) -> float:
    """Parcels sorted in a simulated hour, of episodes of ParcelSort; one that failed
    costs its time and counts none.
    """
    count = 0
    seconds = 0.0
    for episode in episodes:
        done = episode.time_to_success_s is not None
        count += sum(episode.variation["wanted"]) if done else 0
        seconds += (
            episode.time_to_success_s
            if episode.time_to_success_s is not None
            else episode.duration_s
        )
    return 3600 * count / seconds if seconds else 0.0
