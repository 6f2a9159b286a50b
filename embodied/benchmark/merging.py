"""Merges results files: shards of one evaluation, or evaluations of several policies.

A shard, such as 3/16, is the part of an evaluation's seeds that one machine measured. A
cell holds the episodes of one policy under one condition.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from embodied.benchmark.results import (
    Cell,
    Condition,
    Provenance,
    Results,
    ResultsError,
)
from embodied.benchmark.results_file import read_results, require_same_setup
from embodied.rollout.rollout import EpisodeResult
from embodied.wording import counted


def merge_results(paths: Sequence[Path]) -> Results:
    """Returns the results of several files as those of one evaluation.

    Cells that differ only in their seeds are joined; the joined seeds must have no gap.

    Args:
        paths: the paths of results files.

    Raises:
        ResultsError: the files differ in task, robot, versions or suite; a file is
            unfinished; episodes are missing, or two files contradict each other.
    """
    files = [(path, read_results(path)) for path in paths]
    first_path, first = files[0]
    for path, results in files[1:]:
        require_same_setup(path, results.provenance, first_path, first.provenance)

    # condition without seeds -> the cells that become one cell
    parts: dict[Condition, list[Cell]] = {}
    for path, results in files:
        if results.unfinished:
            raise ResultsError(
                f"{path} is not finished: go on with it first, with --resume"
            )
        for cell in results.cells:
            parts.setdefault(cell.condition.without_seeds, []).append(cell)
    missing_text = _missing_shards([results.provenance for _, results in files])
    cells = tuple(_joined(cells, missing_text) for cells in parts.values())

    provenance = replace(first.provenance, shard="")
    suite = provenance.suite
    if suite:
        # "episodes" of a suite are those of one cell; each shard stored its own share
        per_cell = max(len(cell.episodes) for cell in cells)
        provenance = replace(provenance, suite={**suite, "episodes": per_cell})
    return Results(provenance, cells)


def _joined(cells: Sequence[Cell], missing_text: str) -> Cell:
    """Returns one cell with the episodes of several.

    Args:
        cells: cells that are equal but for their seeds.
        missing_text: the end of an error message, on missing shards; "" for none.

    Raises:
        ResultsError: two cells have different episodes of one seed, or seeds are missing.
    """
    episodes: dict[int, EpisodeResult] = {}
    for cell in cells:
        for episode in cell.episodes:
            # an episode's index depends on its shard, so set it to 0 in the comparison
            known = episodes.setdefault(episode.seed, replace(episode, index=0))
            # compared as text, because nan is not equal to itself
            if repr(known) != repr(replace(episode, index=0)):
                raise ResultsError(
                    f"seed {episode.seed} of {cell.label} at {cell.condition.level} is "
                    "told in two ways: the files are of two evaluations"
                )

    seeds = sorted(episodes)
    gaps = sorted(set(range(seeds[0], seeds[-1] + 1)) - episodes.keys())
    if gaps:
        raise ResultsError(
            f"{cells[0].label} at {cells[0].condition.level} lacks {counted(len(gaps), 'episode')}, "
            f"seeds {gaps[0]} to {gaps[-1]}{missing_text}"
        )
    condition = replace(
        cells[0].condition, first_seed=seeds[0], num_episodes=len(seeds)
    )
    return replace(
        cells[0],
        condition=condition,
        wall_s=sum(cell.wall_s for cell in cells),
        episodes=tuple(
            replace(episodes[seed], index=k) for k, seed in enumerate(seeds)
        ),
    )


def _missing_shards(provenances: Sequence[Provenance]) -> str:
    """Returns the end of a message on missing shards, e.g. ": shard 3/16 is missing".

    Returns "" if no shard is missing.
    """
    shards = {provenance.shard for provenance in provenances if provenance.shard}
    counts = {shard.partition("/")[2] for shard in shards}
    # Without shards, nothing is missing. If evaluations were divided into different numbers
    # of shards, such as 3/16 and 1/4, the missing shards are unknown.
    if len(counts) != 1:
        return ""
    count = int(counts.pop())
    wanted = [f"{k}/{count}" for k in range(1, count + 1)]
    missing = [shard for shard in wanted if shard not in shards]
    return f": shard {', '.join(missing)} is missing" if missing else ""


def require_all_shards(paths: Sequence[Path]) -> None:
    """Raises ResultsError if a shard of an evaluation is missing.

    `merge_results` finds only gaps in the seeds, and a missing last shard leaves no gap.
    """
    missing_text = _missing_shards([read_results(path).provenance for path in paths])
    if missing_text:
        raise ResultsError(f"the results are not whole{missing_text}: measure it first")
