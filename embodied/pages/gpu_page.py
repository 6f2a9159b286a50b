"""Renders docs/gpu.md, the page of GPU speeds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from embodied.benchmark.gpu_cameras import IMAGE_SIZE, CameraSpeed
from embodied.benchmark.gpu_throughput import NUM_ENVS, WorldSpeed
from embodied.benchmark.statistics import Median
from embodied.core import PHYSICS_HZ
from embodied.envs.registry import warp_tasks
from embodied.pages.book import Book
from embodied.pages.ledger import Facts, Ledger
from embodied.pages.markdown import command_block, faults_cell, join_parts, table

GpuRow = WorldSpeed | CameraSpeed
GPU_ROWS: dict[str, type[GpuRow]] = {"worlds": WorldSpeed, "camera": CameraSpeed}
TITLE = """# The ground on a GPU

Written by `embodied bench gpu -o docs/gpu.md`, on a machine with an NVIDIA GPU: do
not edit. A cell that is empty was not measured."""
WORLDS = f"""## Worlds

Random actions at 20 Hz. `env`: step, observation, reward and reset of all worlds;
`bare`: mujoco_warp's own step of the same worlds with the same actuator targets, in
a CUDA graph. Both are in millions of physics steps of one world ({
    1e3 / PHYSICS_HZ:g} ms) per second, measured in turns within one run: medians, with
quartiles in brackets. Real time: simulated seconds of all worlds per second. Robot
hours: of work that one GPU simulates per day."""
CAMERAS = f"""## Cameras

World-frames per second, of {IMAGE_SIZE}x{IMAGE_SIZE} pixels, from each task's first
camera: medians, with quartiles in brackets."""
WORLD_HEAD = (
    "task",
    "robot",
    "worlds",
    "env",
    "bare",
    "env / bare",
    "x real time",
    "robot hours per day",
    "GPU",
    "faults",
)
CAMERA_HEAD = ("task", "worlds", "world-frames per second", "GPU")


def gpu_book(page: Path) -> Book[GpuRow]:
    """Returns the book of GPU speeds at `page`, with rows for every task."""

    def render(ledger: Ledger[GpuRow], _: str) -> str:
        return gpu_page(ledger, warp_tasks())

    return Book(page, "gpu", GPU_ROWS, render)


def gpu_page(ledger: Ledger[GpuRow], tasks: Sequence[str]) -> str:
    """Returns the page, with rows for each of `tasks` on each measured device."""
    machines = [f"- {name}: {_facts(facts)}" for name, facts in ledger.machines.items()]

    # a task that was not measured has empty rows, so that the page shows what is missing
    parts = [
        TITLE,
        command_block(ledger),
        "\n".join(machines) or "No GPU was at hand so far.",
        WORLDS,
        table(WORLD_HEAD, _world_lines(ledger, tasks)),
        CAMERAS,
        table(CAMERA_HEAD, _camera_lines(ledger, tasks)),
    ]
    return join_parts(parts)


def world_speed_sentence(speed: WorldSpeed) -> str:
    """Returns a measured speed in words, for the command's output."""
    sentence = (
        f"{speed.task} {speed.robot}, {speed.num_worlds} worlds on {speed.device}: "
        f"{_millions(speed.env)} of {_millions(speed.bare)} million world-steps "
        f"per second, ratio {_percent(speed.ratio)}, "
        f"{speed.real_time_factor:,.0f} x real time, "
        f"{speed.robot_hours_per_day:,.0f} robot hours per day"
    )
    return sentence if speed.captured else f"{sentence}, not captured as a CUDA graph"


def camera_speed_sentence(speed: CameraSpeed) -> str:
    """Returns a rate of frames in words."""
    return (
        f"{speed.task}, {speed.num_worlds} worlds on {speed.device}: "
        f"{_whole(speed.frames)} frames of {IMAGE_SIZE}x{IMAGE_SIZE} per second"
    )


def _world_lines(ledger: Ledger[GpuRow], tasks: Sequence[str]) -> list[list[str]]:
    """Returns the rows of the table of simulation speeds, grouped by task."""
    speeds = [row for row in ledger.rows if isinstance(row, WorldSpeed)]
    speeds.sort(key=lambda speed: (speed.device, speed.num_worlds))

    # a task that was not measured gets an empty row for each default number of worlds
    lines = []
    for task in tasks:
        measured = [_world_line(speed) for speed in speeds if speed.task == task]
        blank = [""] * (len(WORLD_HEAD) - 3)
        lines += measured or [[task, "", f"{num:,}", *blank] for num in NUM_ENVS]
    return lines


def _world_line(speed: WorldSpeed) -> list[str]:
    """Returns the row of one measured speed, with the columns of WORLD_HEAD."""
    return [
        speed.task,
        speed.robot,
        f"{speed.num_worlds:,}",
        _millions(speed.env),
        _millions(speed.bare),
        _percent(speed.ratio),
        f"{speed.real_time_factor:,.0f}",
        f"{speed.robot_hours_per_day:,.0f}",
        speed.device,
        faults_cell(speed.faults),
    ]


def _camera_lines(ledger: Ledger[GpuRow], tasks: Sequence[str]) -> list[list[str]]:
    """Returns the rows of the table of rendering speeds, grouped by task."""
    speeds = [row for row in ledger.rows if isinstance(row, CameraSpeed)]
    speeds.sort(key=lambda speed: (speed.device, speed.num_worlds))

    lines = []
    for task in tasks:
        measured = [
            [task, f"{speed.num_worlds:,}", _whole(speed.frames), speed.device]
            for speed in speeds
            if speed.task == task
        ]
        lines += measured or [[task, "", "", ""]]
    return lines


def _whole(m: Median) -> str:
    """Returns a median with its quartiles, all in whole numbers."""
    return f"{m.median:,.0f} ({m.lower_quartile:,.0f} to {m.upper_quartile:,.0f})"


def _millions(m: Median) -> str:
    """Returns a median with its quartiles, all in millions."""
    values = (m.median, m.lower_quartile, m.upper_quartile)
    middle, lower, upper = (f"{value / 1e6:.3g}" for value in values)
    return f"{middle} ({lower} to {upper})"


def _percent(m: Median) -> str:
    """Returns a median with its quartiles, all as percentages."""
    return f"{m.median:.1%} ({m.lower_quartile:.1%} to {m.upper_quartile:.1%})"


def _facts(facts: Facts) -> str:
    return ", ".join(f"{name} {value}" for name, value in facts.items())
