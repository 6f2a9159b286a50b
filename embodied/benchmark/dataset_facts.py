"""What a report says about the datasets that a policy learned from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from embodied.benchmark.report import DatasetFacts
from embodied.datasets.reader import Dataset
from embodied.datasets.schema import EpisodeMeta


def dataset_facts(paths: Sequence[Path]) -> DatasetFacts:
    """Returns the facts about all these datasets together.

    Raises:
        DatasetError: a file is no dataset.
    """
    # only the episodes' metadata is read
    episodes: list[EpisodeMeta] = []
    for path in paths:
        with Dataset(path) as dataset:
            episodes += dataset.episodes

    return DatasetFacts(
        episodes=len(episodes),
        successes=sum(episode.success for episode in episodes),
        hours=sum(episode.duration_s for episode in episodes) / 3600,
        frames=sum(episode.num_samples for episode in episodes),
        size_bytes=sum(path.stat().st_size for path in paths),
    )
