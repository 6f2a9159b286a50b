"""The speeds of GPUs as a JSON file, and as a page for people."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from embodied.benchmark.gpu import NUM_ENVS, Speed
from embodied.benchmark.gpu_cameras import IMAGE_SIZE, Pictures
from embodied.benchmark.statistics import Median
from embodied.core import PHYSICS_HZ
from embodied.errors import EmbodiedError
from embodied.files import replace_text

FORMAT = "embodied-gpu"
SCHEMA_VERSION = 1
COMMAND = "embodied bench gpu -o docs/gpu.md"
TITLE = """# The ground on a GPU

Written by this command, on a machine with an NVIDIA GPU: do not edit. A cell that is empty was not measured.

```bash
{command}
```

{machine}"""
SPEEDS = f"""## Worlds

Random actions at 20 Hz. `env`: step, observation, reward and reset of all worlds; `bare`: mujoco_warp's own step of the
same worlds with the same actuator targets, in a CUDA graph; both in millions of physics steps of one world
({1e3 / PHYSICS_HZ:g} ms) a second, in turns within one run: medians, with quartiles in brackets. Real time: simulated
seconds of all worlds in a second. Robot hours: of work that one GPU simulates in a day."""
CAMERAS = f"""## Cameras

World-frames a second, of {IMAGE_SIZE}x{IMAGE_SIZE} pixels, from each task's first camera: medians, with quartiles in
brackets."""


@dataclass(frozen=True)
class GpuBook:
    """All speeds so far, and the machines that they are of."""

    speeds: tuple[Speed, ...] = ()
    pictures: tuple[Pictures, ...] = ()
    # device -> what it was in
    machines: dict[str, dict[str, str | int]] = field(default_factory=dict)

    def with_speed(self, speed: Speed, machine: Mapping[str, str | int]) -> GpuBook:
        """With one more, in place of an older one of the same."""
        kept = tuple(known for known in self.speeds if known.cell != speed.cell)
        return replace(
            self,
            speeds=(*kept, speed),
            machines={**self.machines, speed.device: dict(machine)},
        )

    def with_pictures(
        self, pictures: Pictures, machine: Mapping[str, str | int]
    ) -> GpuBook:
        """Likewise."""
        kept = tuple(known for known in self.pictures if known.cell != pictures.cell)
        return replace(
            self,
            pictures=(*kept, pictures),
            machines={**self.machines, pictures.device: dict(machine)},
        )


def write_book(path: Path, book: GpuBook) -> None:
    """Replaces the file in one step."""
    speeds = [asdict(speed) for speed in book.speeds]
    pictures = [asdict(some) for some in book.pictures]
    head = {
        "format": FORMAT,
        "schema_version": SCHEMA_VERSION,
        "machines": book.machines,
    }
    content = {**head, "speeds": speeds, "pictures": pictures}
    replace_text(path, json.dumps(content, indent=1) + "\n")


def read_book(path: Path) -> GpuBook:
    """What is in a file. Raises EmbodiedError where it is no such file."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if (content["format"], content["schema_version"]) != (FORMAT, SCHEMA_VERSION):
            raise ValueError(
                f"its format is {content['format']!r} {content['schema_version']!r}"
            )
        pictures = tuple(
            Pictures(**{**row, "frames": Median(**row["frames"])})
            for row in content["pictures"]
        )
        return GpuBook(
            tuple(_speed(row) for row in content["speeds"]),
            pictures,
            content["machines"],
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise EmbodiedError(
            f"{path} holds no speeds that this version reads: {error!r}"
        ) from error


def _speed(row: Mapping[str, Any]) -> Speed:
    return Speed(
        **{**row, **{name: Median(**row[name]) for name in ("env", "bare", "ratio")}}
    )


def gpu_page(book: GpuBook, tasks: Sequence[str]) -> str:
    """The page, with lines for each of `tasks` on each device that was measured."""
    machines = [
        f"- {device}: {_facts(facts)}" for device, facts in book.machines.items()
    ]
    parts = [
        TITLE.format(
            command=COMMAND, machine="\n".join(machines) or "No GPU was at hand so far."
        )
    ]
    head = [
        "task",
        "robot",
        "worlds",
        "env",
        "bare",
        "env / bare",
        "x real time",
        "robot hours a day",
        "GPU",
    ]
    parts += [SPEEDS, _table([*head, "faults"], _speed_rows(book, tasks))]
    parts += [
        CAMERAS,
        _table(
            ["task", "worlds", "world-frames a second", "GPU"],
            _picture_rows(book, tasks),
        ),
    ]
    return "\n\n".join(parts) + "\n"


def speed_line(speed: Speed) -> str:
    """A speed in words."""
    return (
        f"{speed.task} {speed.robot}, {speed.num_worlds} worlds on {speed.device}: {_millions(speed.env)} of "
        f"{_millions(speed.bare)} million world-steps a second, ratio {_share(speed.ratio)}, "
        f"{speed.real_time_factor:,.0f} x real time, {speed.robot_hours_a_day:,.0f} robot hours a day"
        f"{'' if speed.captured else ', not captured as a CUDA graph'}"
    )


def picture_line(some: Pictures) -> str:
    """A rate of pictures in words."""
    size = f"{IMAGE_SIZE}x{IMAGE_SIZE}"
    return f"{some.task}, {some.num_worlds} worlds on {some.device}: {_whole(some.frames)} frames of {size} a second"


def _speed_rows(book: GpuBook, tasks: Sequence[str]) -> list[list[str]]:
    rows = []
    for task in tasks:
        found = sorted(
            (s for s in book.speeds if s.task == task),
            key=lambda s: (s.device, s.num_worlds),
        )
        rows += [_row(speed) for speed in found]
        rows += [] if found else [[task, "", f"{num:,}", *[""] * 7] for num in NUM_ENVS]
    return rows


def _picture_rows(book: GpuBook, tasks: Sequence[str]) -> list[list[str]]:
    rows = []
    for task in tasks:
        found = sorted(
            (p for p in book.pictures if p.task == task),
            key=lambda p: (p.device, p.num_worlds),
        )
        rows += [
            [task, f"{p.num_worlds:,}", _whole(p.frames), p.device] for p in found
        ] or [[task, "", "", ""]]
    return rows


def _whole(of: Median) -> str:
    return f"{of.median:,.0f} ({of.lower_quartile:,.0f} to {of.upper_quartile:,.0f})"


def _row(speed: Speed) -> list[str]:
    what = [speed.task, speed.robot, f"{speed.num_worlds:,}"]
    rates = [_millions(speed.env), _millions(speed.bare), _share(speed.ratio)]
    faults = (
        ", ".join(f"{count} {name}" for name, count in speed.faults.items()) or "none"
    )
    return [
        *what,
        *rates,
        f"{speed.real_time_factor:,.0f}",
        f"{speed.robot_hours_a_day:,.0f}",
        speed.device,
        faults,
    ]


def _millions(of: Median) -> str:
    middle, lower, upper = (
        value / 1e6 for value in (of.median, of.lower_quartile, of.upper_quartile)
    )
    return f"{middle:.3g} ({lower:.3g} to {upper:.3g})"


def _share(of: Median) -> str:
    return f"{of.median:.1%} ({of.lower_quartile:.1%} to {of.upper_quartile:.1%})"


def _facts(facts: Mapping[str, str | int]) -> str:
    return ", ".join(f"{name} {value}" for name, value in facts.items())


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
