"""A summary of a dataset, from its attributes and the sizes of its arrays.

The arrays themselves are not read, so it is fast for large files, too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from embodied.datasets.descriptions import describe
from embodied.datasets.guarded import damage_named
from embodied.datasets.reader import Dataset
from embodied.datasets.schema import H5

# The group of varied model fields: its many small arrays are listed as one entry.
VARIED = "start/fields"


@dataclass(frozen=True)
class ArrayInfo:
    """An array of the episodes, such as `obs/agent_pos`.

    Attributes:
        key: the array's name within an episode; `start/fields` for all varied fields.
        dtype: the data type of the numbers; "" for `start/fields`, which has several.
        row: shape of one row in the first episode that has the array.
        rows: number of rows in all episodes together.
        unit: the unit of the numbers; "1" for numbers without a unit, "" if unknown.
        size_bytes: size on the disk in all episodes together.
    """

    key: str
    dtype: str
    row: tuple[int, ...]
    rows: int
    unit: str
    size_bytes: int


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
        split: the values that were drawn: those for training, or those held out.
        control_mode: the control mode of `streams/action`.
        physics_hz: ticks per second.
        control_hz: steps per second.
        record_hz: frames per second.
        planner_hz: plans per second; None if the policy makes no plans.
        versions: package -> version at the recording.
        episodes: number of episodes.
        successes: number of episodes that ended in success without a fault.
        faults: fault -> number of episodes that had it.
        hours: simulated time in all episodes together.
        frames: number of frames in all episodes together.
        takeovers: number of take-overs in all episodes together.
        takeover_h: their duration, in hours; 0 if nobody corrected the policy.
        operators: operator -> number of episodes done by hand.
        devices: device -> number of episodes done by hand.
        marked: number of episodes that their operator marked.
        seeds: the seeds of the episodes, in the order of their numbers.
        instructions: sentence -> number of episodes with it.
        masks: mask -> number of episodes in it.
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
    arrays: tuple[ArrayInfo, ...]


def dataset_info(path: Path) -> DatasetInfo:
    """Returns the summary of a dataset, or of an unfinished collection.

    Raises:
        DatasetError: the file is not a dataset, or is damaged.
    """
    with Dataset(path) as dataset:
        header = dataset.header
        metas = dataset.episodes
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
    """Returns word -> number of occurrences, the most frequent word first."""
    return dict(Counter(words).most_common())


def _arrays(dataset: Dataset) -> tuple[ArrayInfo, ...]:
    """Returns one entry per array name, with rows and sizes summed over all episodes."""
    info_of_arrays: dict[str, ArrayInfo] = {}
    for number in range(len(dataset)):
        for key, array in dataset.arrays(number).items():
            with damage_named(array):
                info = _array_info(key, array)

            # type, row and unit are those of the first episode with this array
            earlier = info_of_arrays.get(info.key)
            if earlier is not None:
                info = replace(
                    earlier,
                    rows=earlier.rows + info.rows,
                    size_bytes=earlier.size_bytes + info.size_bytes,
                )
            info_of_arrays[info.key] = info
    return tuple(info_of_arrays.values())


def _array_info(key: str, array: H5) -> ArrayInfo:
    """Returns the entry for one array of an episode in the dataset's description."""
    size_bytes = int(array.id.get_storage_size())
    if key.startswith(f"{VARIED}/"):
        return ArrayInfo(
            key=VARIED,
            dtype="",
            row=(),
            rows=0,
            unit="as MuJoCo has it",
            size_bytes=size_bytes,
        )

    return ArrayInfo(
        key=key,
        dtype=str(array.dtype),
        row=tuple(array.shape[1:]),
        rows=array.shape[0] if array.shape else 1,
        unit=_unit(key, array),
        size_bytes=size_bytes,
    )


def _unit(key: str, array: H5) -> str:
    """Returns the unit stored with an array, else the schema's, else ""."""
    stored: Any = array.attrs.get("unit")
    if isinstance(stored, bytes):
        return stored.decode(errors="replace")
    if isinstance(stored, str):
        return stored
    described = describe(key)
    return described.unit if described else ""
