"""Sums up the datasets that a policy learned from, for its report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from embodied.benchmark.report import DatasetFacts
from embodied.datasets.reader import Dataset
from embodied.datasets.schema import EpisodeMeta


def dataset_facts(paths: Sequence[Path]) -> DatasetFacts:
    """Returns the totals of some datasets.

    Raises:
        DatasetError: a file is no dataset.
    """
    # this reads the metadata of the episodes, not their arrays
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
