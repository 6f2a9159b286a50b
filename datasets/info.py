"""What a dataset holds, in figures: read from attributes and sizes, not from arrays."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from embodied.datasets.descriptions import describe
from embodied.datasets.reader import Dataset
from embodied.datasets.schema import H5

VARIED = "start/fields"  # its many arrays are one row of a table


@dataclass(frozen=True)
class ArrayInfo:
    """One array of the episodes, such as `obs/agent_pos`.

    Attributes:
        key: its name within an episode; `start/fields` for all that was varied.
        dtype: of its numbers; "" for several.
        row: shape of one row in the first episode that has it.
        rows: in all episodes together.
        unit: of its numbers; "1" for numbers without one, "" where it is not known.
        size_bytes: on the disk, in all episodes together.
    """

    key: str
    dtype: str
    row: tuple[int, ...]
    rows: int
    unit: str
    size_bytes: int


@dataclass(frozen=True)
class DatasetInfo:
    """What a dataset holds.

    Attributes:
        path: of the file.
        size_bytes: of the file, or of the parts of an unfinished collection.
        unfinished: whether its collection still runs or was interrupted.
        schema_version: of the file.
        task: its name.
        robot: its name.
        policy: its name.
        level: how much varied.
        split: which values were drawn.
        control_mode: of `streams/action`.
        physics_hz: ticks per second.
        control_hz: steps per second.
        record_hz: frames per second.
        planner_hz: plans per second; None for policies that make none.
        versions: of the packages that recorded it.
        episodes: how many there are.
        successes: how many of them are demonstrations to learn from.
        faults: how many episodes had each fault.
        hours: simulated.
        frames: of all episodes.
        takeovers: how often somebody took over from the policy, in all episodes together.
        takeover_h: how long, in hours; 0 where nobody corrected a policy.
        operators: who did how many episodes by hand.
        devices: with which device how many of them.
        marked: how many of them are marked.
        seeds: of the episodes, in their order.
        instructions: each sentence, and how often it was given.
        masks: the number of episodes in each.
        arrays: what the episodes consist of.
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
    """Returns what a dataset, or an unfinished collection, holds.

    Raises:
        DatasetError: the file is not a dataset, or is damaged.
    """
    with Dataset(path) as dataset:
        header = dataset.header
        metas = dataset.episodes
        # another tool's metadata may say less
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
    """Returns how often each word occurs, the most frequent first."""
    return dict(Counter(words).most_common())


def _arrays(dataset: Dataset) -> tuple[ArrayInfo, ...]:
    """Returns the arrays of all episodes, added up by their names."""
    found: dict[str, ArrayInfo] = {}
    for number in range(len(dataset)):
        for key, array in dataset.arrays(number).items():
            one = _array_info(key, array)

            # the sizes add up; type and row are those of its first episode
            before = found.get(one.key)
            if before is not None:
                one = ArrayInfo(
                    key=one.key,
                    dtype=before.dtype,
                    row=before.row,
                    rows=before.rows + one.rows,
                    unit=before.unit,
                    size_bytes=before.size_bytes + one.size_bytes,
                )
            found[one.key] = one
    return tuple(found.values())


def _array_info(key: str, array: H5) -> ArrayInfo:
    # All that was varied becomes one entry: its arrays are many and small.
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
    """Returns the unit that the file says, else that of the schema, else ""."""
    stored: Any = array.attrs.get("unit")
    if isinstance(stored, bytes):
        return stored.decode(errors="replace")
    if isinstance(stored, str):
        return stored
    described = describe(key)
    return described.unit if described else ""
