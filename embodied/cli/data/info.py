"""`embodied data info`: prints the content of datasets."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

from embodied.benchmark.statistics import wilson
from embodied.benchmark.wording import interval, percent, size
from embodied.cli.text_table import text_table
from embodied.datasets.index.array_totals import ArrayTotal
from embodied.datasets.info import DatasetInfo, dataset_info
from embodied.wording import counted

HELP = """Say what datasets hold: task, robot, policy, rates, success, hours, seeds, instructions, masks, and of each
stream the shape, the unit and the bytes. Nothing but attributes and sizes is read, so it is quick. A collection that
still runs can be asked, too."""
EXAMPLE = "embodied data info totes.hdf5"

SHOWN_INSTRUCTIONS = 8  # most instructions to print


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this verb's arguments."""
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE", help="datasets")
    parser.add_argument(
        "--json", action="store_true", help="print JSON: a list, an object per file"
    )


def run(args: argparse.Namespace) -> int:
    """Prints the content of each dataset."""
    infos = [dataset_info(path) for path in args.files]
    if args.json:
        print(json.dumps([as_json(info) for info in infos]))
    else:
        texts = [as_text(info) for info in infos]
        if len(infos) > 1:
            texts.append(total_text(infos))
        print("\n\n".join(texts))
    return 0


def as_json(info: DatasetInfo) -> dict[str, object]:
    """Returns the content of a dataset as JSON values, with its success rate."""
    content = asdict(info)
    if info.episodes:
        success = wilson(info.successes, info.episodes)
        content["success"] = {**asdict(success), "rate": success.value}
    return content


def as_text(info: DatasetInfo) -> str:
    """Returns the content of a dataset: facts, instructions, and a table of arrays."""
    state = ", unfinished" if info.unfinished else ""
    planner = f", plans {info.planner_hz:g} Hz" if info.planner_hz else ", no plans"
    versions = ", ".join(f"{name} {value}" for name, value in info.versions.items())
    masks = ", ".join(f"{name} {count}" for name, count in info.masks.items())
    facts = [
        ("task", _task(info)),
        ("robot", f"{info.robot}, actions {info.control_mode}"),
        ("policy", info.policy),
        (
            "rates",
            f"frames {info.record_hz} Hz, control {info.control_hz} Hz, physics "
            f"{info.physics_hz} Hz{planner}",
        ),
        (
            "episodes",
            f"{info.episodes}, {info.hours:.3g} h, {counted(info.frames, 'frame')}{_seeds(info)}",
        ),
        ("success", _success(info)),
        *_human_rows(info),
        ("masks", masks),
        (
            "file",
            f"{_size(info.size_bytes, info.hours)}, schema version "
            f"{info.schema_version}, {versions}",
        ),
    ]
    lines = [f"{info.path}{state}", text_table(facts)]

    # the most frequent instructions
    shown = list(info.instructions.items())[:SHOWN_INSTRUCTIONS]
    lines += ["", *(f"{count:5d} x {sentence}" for sentence, count in shown)]
    hidden = len(info.instructions) - len(shown)
    if hidden > 0:
        lines.append(f"        and {hidden} more sentences (--json lists them)")

    if info.arrays:
        lines += ["", text_table([_HEAD, *map(_row, info.arrays)])]
    return "\n".join(lines)


def total_text(infos: Sequence[DatasetInfo]) -> str:
    """Returns the totals of several datasets, as a few lines."""
    episodes = sum(info.episodes for info in infos)
    successes = sum(info.successes for info in infos)
    hours = sum(info.hours for info in infos)
    size_bytes = sum(info.size_bytes for info in infos)

    facts = [
        ("tasks", _counts((info.task, info.episodes) for info in infos)),
        ("robots", _counts((info.robot, info.episodes) for info in infos)),
        (
            "episodes",
            f"{episodes}, {successes} of them successes, {hours:.3g} h, "
            f"{sum(info.frames for info in infos)} frames",
        ),
        ("files", _size(size_bytes, hours)),
    ]
    return f"all {len(infos)} together\n{text_table(facts)}"


def _counts(parts: Iterable[tuple[str, int]]) -> str:
    """Returns the number of episodes of each name, e.g. "arm 12, mobile 8"."""
    counts: Counter[str] = Counter()
    for name, count in parts:
        counts[name] += count
    return ", ".join(f"{name} {count}" for name, count in counts.items())


_HEAD = ("array", "type", "row", "rows", "unit", "size")


def _row(array: ArrayTotal) -> tuple[str, ...]:
    """Returns the cells of an array's row in the printed table."""
    row = " x ".join(map(str, array.row)) or "1"
    # a key that stands for several arrays, such as those of all cameras, has no common
    # type, shape or number of rows
    is_many = not array.dtype
    return (
        array.key,
        array.dtype or "several",
        "" if is_many else row,
        "" if is_many else str(array.rows),
        array.unit,
        size(array.size_bytes),
    )


def _task(info: DatasetInfo) -> str:
    """Returns the task, with its level and split; an imported dataset may have neither."""
    level = f", level {info.level}" if info.level else ""
    split = f", split {info.split}" if info.split else ""
    return f"{info.task}{level}{split}"


def _seeds(info: DatasetInfo) -> str:
    if not info.seeds:
        return ""
    return f", seeds {min(info.seeds)} to {max(info.seeds)}"


def _success(info: DatasetInfo) -> str:
    """Returns the number of successes, the rate with its interval, and the faults, in words."""
    if not info.episodes:
        return "no episodes"
    success = wilson(info.successes, info.episodes)
    share = percent(success.value, success.episodes)
    faults = "".join(f", {count} {name}" for name, count in info.faults.items())
    return (
        f"{info.successes} of {info.episodes}, {share} "
        f"(95% interval {interval(success)}){faults}"
    )


def _human_rows(info: DatasetInfo) -> list[tuple[str, str]]:
    """Returns rows on take-overs and on demonstrations by hand; [] if there are none."""
    rows = []
    if info.takeover_h:
        share = percent(info.takeover_h / info.hours, info.episodes)
        rows.append(("take-overs", f"{info.takeovers}, {share} of the time"))
    if info.operators:
        people = ", ".join(
            f"{count} by {name}" for name, count in info.operators.items()
        )
        devices = ", ".join(f"{count} {name}" for name, count in info.devices.items())
        rows.append(("by hand", f"{people} ({devices}), {info.marked} marked"))
    return rows


def _size(size_bytes: int, hours: float) -> str:
    """Returns a size, and the size per hour of recording."""
    if not hours:
        return size(size_bytes)
    return f"{size(size_bytes)}, {size(round(size_bytes / hours))} per robot-hour"
