"""Statistics of the arrays in windows, stored beside the datasets."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np

from embodied.datasets.running_statistics import VectorStatistics
from embodied.datasets.schema import DatasetError, is_picture_key
from embodied.datasets.statistics import ArrayStatistics, array_statistics
from embodied.datasets.windows.dataset import Windows
from embodied.datasets.windows.file_windows import FileWindows
from embodied.files import WriteError, replace_text

STATISTICS_SUFFIX = ".stats.json"
# Statistics are computed over this many episodes at a time, which bounds the memory.
EPISODES_AT_ONCE = 64

# name of an array -> its statistics, for one robot
RobotStatistics = dict[str, ArrayStatistics]


def window_statistics(windows: Windows) -> list[RobotStatistics]:
    """Returns the statistics of each robot's arrays, in the order of `Windows.robots`.

    Each row of the windows' episodes counts once, even if several windows contain it.
    Only arrays of floats are measured, without depth images. The result is cached in
    `FILE.stats.json` beside the robot's first file, and valid while files and mask are
    the same.

    Raises:
        DatasetError: an array differs in row width between files of one robot, or
            contains NaN or infinity.
    """
    measured = []
    for parts in windows.parts_by_robot():
        names = [
            name
            for name in windows.names
            if parts[0].dtype(name).kind == "f" and not is_picture_key(name)
        ]
        measured.append(_robot_statistics(parts, names, windows.mask))
    return measured


def statistics_path(path: Path) -> Path:
    """Returns the path of the cached statistics, given a robot's first file."""
    return path.with_name(f"{path.name}{STATISTICS_SUFFIX}")


def _robot_statistics(
    parts: Sequence[FileWindows], names: Sequence[str], mask: str
) -> RobotStatistics:
    """Returns the statistics of some arrays of one robot, from the cache if possible.

    Args:
        parts: the robot's files.
        names: the names of the arrays.
        mask: the mask whose episodes are counted.
    """
    path = statistics_path(parts[0].path)
    # the cache is valid only for these files, with these sizes and times of change
    sources = [
        {"file": part.path.name, **asdict(part.stamp), "mask": mask} for part in parts
    ]
    known = _read_cache(path, sources)
    missing = [name for name in names if name not in known]
    if missing:
        known |= {name: _measure(parts, name) for name in missing}
        _write_cache(path, sources, known)
    return {name: known[name] for name in names}


def _measure(parts: Sequence[FileWindows], name: str) -> ArrayStatistics:
    """Computes the statistics of an array over all files of a robot.

    Raises:
        DatasetError: the array's rows differ in shape between the files; it has no row;
            or a number is not finite, or too large for statistics.
    """
    # rows with several axes are flattened
    first = parts[0]
    width = int(np.prod(first.row(name), dtype=np.int64))
    collected = VectorStatistics(f"{first.path}: {name}", width)
    count = 0
    for part in parts:
        if part.row(name) != first.row(name):
            raise DatasetError(
                f"{part.path} has {name} with rows {part.row(name)}, {first.path} of the "
                f"same robot {first.row(name)}: they have no common statistics"
            )
        for start in range(0, len(part.episodes), EPISODES_AT_ONCE):
            episodes = part.episodes[start : start + EPISODES_AT_ONCE]
            rows = part.all_rows(name, episodes)
            if len(rows):
                collected.add(rows.reshape(len(rows), -1))
            count += len(rows)

    if not count:
        raise DatasetError(f"{first.path}: {name} has no row to measure")
    return array_statistics(name, collected.result(), left_out=0)


def _write_cache(path: Path, sources: Sequence[Any], known: RobotStatistics) -> None:
    """Writes statistics to the cache, unless it cannot be written there.

    Args:
        path: the path of the cache.
        sources: what the statistics were computed from: for each file its path, stamp and
            mask, as JSON values.
        known: the statistics of all arrays known so far.
    """
    content = {
        "sources": list(sources),
        "arrays": [asdict(statistics) for statistics in known.values()],
    }
    try:
        replace_text(path, f"{json.dumps(content, indent=2, allow_nan=False)}\n")
    except WriteError:
        return  # the next call computes them again


def _read_cache(path: Path, sources: Sequence[Any]) -> RobotStatistics:
    """Returns the cached statistics; {} if missing, damaged, or of other `sources`."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["sources"] != list(sources):
            return {}
        arrays = [_statistics_from_json(entry) for entry in content["arrays"]]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return {}
    return {statistics.key: statistics for statistics in arrays}


def _statistics_from_json(entry: dict[str, Any]) -> ArrayStatistics:
    """Returns the statistics of one array from their JSON form, with lists as tuples."""
    values = {f.name: entry[f.name] for f in fields(ArrayStatistics)}
    for name, value in values.items():
        if isinstance(value, list):
            values[name] = tuple(float(number) for number in value)
    return ArrayStatistics(**values)
