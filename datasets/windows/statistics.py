"""Statistics of the rows that windows hold, kept beside the datasets."""

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
EPISODES_AT_ONCE = 64

# Name of an array -> its statistics, of one robot.
RobotStatistics = dict[str, ArrayStatistics]


def window_statistics(windows: Windows) -> list[RobotStatistics]:
    """Returns the statistics of each robot's arrays, over the episodes of the windows.

    All rows of the episodes count once, whatever windows they are in. Only arrays of
    floats are measured, but no pictures of depth. The result is kept in
    `FILE.stats.json` beside the robot's first file, and taken from there as long as
    files, mask and arrays are the same.

    Raises:
        DatasetError: an array has rows of another width in one file of a robot than in
            another, or holds a number that is not finite.
    """
    measured = []
    for parts in windows.parts_by_robot():
        names = [
            name
            for name in windows.names
            if parts[0].dtype(name).kind == "f" and not is_picture_key(name)
        ]
        measured.append(_of_robot(parts, names, windows.mask))
    return measured


def statistics_path(path: Path) -> Path:
    """Returns where the statistics of a file's robot are kept."""
    return path.with_name(f"{path.name}{STATISTICS_SUFFIX}")


def _of_robot(
    parts: Sequence[FileWindows], names: Sequence[str], mask: str
) -> RobotStatistics:
    """Returns the statistics of some arrays, from beside the first file if they fit."""
    path = statistics_path(parts[0].path)
    sources = [
        {"file": part.path.name, **asdict(part.stamp), "mask": mask} for part in parts
    ]
    known = _read(path, sources)
    missing = [name for name in names if name not in known]
    if missing:
        known |= {name: _measured(parts, name) for name in missing}
        _write(path, sources, known)
    return {name: known[name] for name in names}


def _measured(parts: Sequence[FileWindows], name: str) -> ArrayStatistics:
    """Returns the statistics of an array over all files of a robot."""
    first = parts[0]
    width = int(np.prod(first.row(name), dtype=np.int64))
    collected = VectorStatistics(width)
    count = 0
    for part in parts:
        if part.row(name) != first.row(name):
            raise DatasetError(
                f"{part.path} has {name} with rows {part.row(name)}, {first.path} of the "
                f"same robot {first.row(name)}: they have no common statistics"
            )
        for start in range(0, len(part.episodes), EPISODES_AT_ONCE):
            rows = part.rows_of(name, part.episodes[start : start + EPISODES_AT_ONCE])
            if len(rows):
                collected.add(rows.reshape(len(rows), -1))
            count += len(rows)

    if not count:
        raise DatasetError(f"{first.path}: {name} has no row to measure")
    return array_statistics(name, collected.result(), left_out=0)


def _write(path: Path, sources: Sequence[Any], known: RobotStatistics) -> None:
    """Keeps statistics, unless the folder cannot be written."""
    content = {
        "sources": list(sources),
        "arrays": [asdict(one) for one in known.values()],
    }
    try:
        replace_text(path, f"{json.dumps(content, indent=2, allow_nan=False)}\n")
    except WriteError:
        return


def _read(path: Path, sources: Sequence[Any]) -> RobotStatistics:
    """Returns what is kept at a path; nothing if it is of other files, or damaged."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["sources"] != list(sources):
            return {}
        arrays = [_array(entry) for entry in content["arrays"]]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return {}
    return {one.key: one for one in arrays}


def _array(entry: dict[str, Any]) -> ArrayStatistics:
    """Returns the statistics that JSON holds, with lists as tuples."""
    values = {f.name: entry[f.name] for f in fields(ArrayStatistics)}
    for name, value in values.items():
        if isinstance(value, list):
            values[name] = tuple(float(number) for number in value)
    return ArrayStatistics(**values)
