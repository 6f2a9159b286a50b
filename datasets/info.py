"""A summary of a dataset, from its attributes and the sizes of its arrays.

The arrays themselves are not read, so it is fast for large files, too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from embodied.datasets.index.array_totals import ArrayTotal, array_totals
from embodied.datasets.index.seal import sealed
from embodied.datasets.opening import open_file
from embodied.datasets.reader import Dataset


@dataclass(frozen=True)
class DatasetInfo:
    """A summary of a dataset.

    Attributes:
        path: the path of the file.
        size_bytes: the size in bytes of the file, or of the parts of an unfinished
            collection.
        unfinished: whether the collection is still running, or was interrupted.
        schema_version: the schema version of the file.
        task: the task's name.
        robot: the robot's name.
        policy: the policy's name.
        level: how widely the variables vary.
        split: which values were drawn: the values for training, or held-out values.
        control_mode: the control mode of `streams/action`.
        physics_hz: the number of ticks per second.
        control_hz: the number of control steps per second.
        record_hz: the number of frames per second.
        planner_hz: the number of plans per second; None if the policy makes no plans.
        versions: the version of each package at the recording, by name.
        episodes: the number of episodes.
        successes: the number of episodes that ended in success without a fault.
        faults: the number of episodes with each fault, by fault.
        hours: the simulated time in all episodes together.
        frames: the number of frames in all episodes together.
        takeovers: the number of take-overs in all episodes together.
        takeover_h: the duration of all take-overs, in hours; 0 if nobody corrected the
            policy.
        operators: the number of episodes that each person demonstrated, by name.
        devices: the number of episodes that were demonstrated with each input device, by
            name.
        marked: the number of episodes that their operator marked.
        seeds: the seeds of the episodes, in the order of their numbers.
        instructions: the number of episodes with each instruction, by sentence.
        masks: the number of episodes in each mask, by name.
        arrays: the arrays of the episodes.
    """

    path: str
    size_bytes: int
    unfinished: bool
    schema_version: int
    task: str
    robot: str
    policy: str
    level: str
    split: str
    control_mode: str
    physics_hz: int
    control_hz: int
    record_hz: int
    planner_hz: float | None
    versions: dict[str, str]
    episodes: int
    successes: int
    faults: dict[str, int]
    hours: float
    frames: int
    takeovers: int
    takeover_h: float
    operators: dict[str, int]
    devices: dict[str, int]
    marked: int
    seeds: tuple[int, ...]
    instructions: dict[str, int]
    masks: dict[str, int]
    arrays: tuple[ArrayTotal, ...]


def dataset_info(path: Path) -> DatasetInfo:
    """Returns the summary of a dataset, or of an unfinished collection.

    Raises:
        DatasetError: the file is not a dataset, or is damaged.
    """
    with Dataset(path) as dataset:
        header = dataset.header
        metas = dataset.episodes  # the table of episodes
        # the metadata of an imported dataset may lack some of these entries
        metadata = header.metadata
        config = metadata.get("config", {})
        interface = metadata.get("action_interface", {})

        return DatasetInfo(
            path=str(path),
            size_bytes=dataset.size_bytes,
            unfinished=dataset.is_unfinished,
            schema_version=header.schema_version,
            task=str(metadata.get("task", "")),
            robot=str(metadata.get("robot", "")),
            policy=header.policy,
            level=str(config.get("level", "")),
            split=str(config.get("split", "")),
            control_mode=str(interface.get("mode", config.get("control_mode", ""))),
            physics_hz=int(metadata.get("physics_hz", 0)),
            control_hz=int(config.get("control_hz", 0)),
            record_hz=header.record_hz,
            planner_hz=header.planner_hz,
            versions=dict(metadata.get("versions", {})),
            episodes=len(metas),
            successes=sum(meta.success for meta in metas),
            faults=_counts(meta.fault for meta in metas if meta.fault),
            hours=sum(meta.duration_s for meta in metas) / 3600,
            frames=sum(meta.num_samples for meta in metas),
            takeovers=sum(meta.takeovers or 0 for meta in metas),
            takeover_h=sum(meta.takeover_s or 0 for meta in metas) / 3600,
            operators=_counts(meta.operator for meta in metas if meta.operator),
            devices=_counts(meta.device for meta in metas if meta.device),
            marked=sum(bool(meta.marked) for meta in metas),
            seeds=tuple(meta.seed for meta in metas),
            instructions=_counts(meta.instruction for meta in metas),
            masks={name: len(dataset.mask(name)) for name in dataset.masks},
            arrays=_arrays(dataset),
        )


def _counts(words: Iterable[str]) -> dict[str, int]:
    """Returns word -> the number of occurrences, the most frequent word first."""
    return dict(Counter(words).most_common())


def _arrays(dataset: Dataset) -> tuple[ArrayTotal, ...]:
    """Returns one entry per array name, with rows and sizes summed over all episodes."""
    # The seal at the end of the file stores this table, which saves visiting all episodes.
    # An unfinished collection has no file yet, so it has no seal.
    if dataset.path.exists():
        with open_file(dataset.path) as file:
            seal = sealed(dataset.path, file)
        totals = seal.array_totals() if seal is not None else None
        if totals is not None:
            return totals
    return array_totals(dataset.group(number) for number in range(len(dataset)))
