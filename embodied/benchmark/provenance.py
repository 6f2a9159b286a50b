"""Records the provenance of figures: versions, machine and command."""

from __future__ import annotations

import platform
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from embodied.benchmark.results import Provenance
from embodied.machine import command_line, usable_cores

PACKAGES = ("embodied-ground", "mujoco", "numpy", "torch")


def collect_provenance(
    metadata: Mapping[str, Any],
    rates: Mapping[str, float | None],
    argv: Sequence[str] | None = None,
) -> Provenance:
    """Returns the provenance of results that this process measures.

    Args:
        metadata: `Worlds.metadata()`; it names the robot, and the task by its `env_id`
            if it has one.
        rates: name with unit -> value, e.g.
            `{"control_hz": 200, "planner_hz": 8, "camera_hz": None}`.
        argv: the command; None for that of this process.
    """
    return Provenance(
        task=str(metadata.get("env_id") or metadata["task"]),
        robot=str(metadata["robot"]),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        command=command_line(sys.argv if argv is None else argv),
        rates=dict(rates),
        versions={"python": platform.python_version(), **_versions()},
        host=host_facts(),
        metadata=dict(metadata),
    )


def host_facts() -> dict[str, str | int]:
    """Returns facts on this machine, without names of people, hosts or folders."""
    return {
        "system": f"{platform.system()} {platform.release()}",
        "architecture": platform.machine(),
        "processor": _processor(),
        "cores": usable_cores(),
    }


def _versions() -> dict[str, str]:
    """Returns package -> version, for the installed packages of PACKAGES."""
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return versions


def _processor() -> str:
    """Returns the name of the processor."""
    # on Linux `platform.processor()` is empty, and the name is in this file
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []

    for line in lines:
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor() or "unknown"
