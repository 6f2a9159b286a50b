"""The facts beside a number: which versions, which machine, which command."""

from __future__ import annotations

import os
import platform
import shlex
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from embodied.benchmark.results import Provenance

PACKAGES = ("embodied-ground", "mujoco", "numpy", "torch")


def collect_provenance(
    metadata: Mapping[str, Any],
    rates: Mapping[str, float | None],
    argv: Sequence[str] | None = None,
) -> Provenance:
    """Everything about this process and machine that a reader of its results needs.

    Args:
        metadata: of the worlds (`Worlds.metadata()`); gives `robot` and the task, by
        its `env_id` if it has one. rates: name with unit -> value, e.g. `{"control_hz":
        200, "planner_hz": 8, "camera_hz": None}`. argv: the command; this process's own
        unless given.
    """
    return Provenance(
        task=str(metadata.get("env_id") or metadata["task"]),
        robot=str(metadata["robot"]),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        command=shlex.join(_without_folder(sys.argv if argv is None else argv)),
        rates=dict(rates),
        versions={"python": platform.python_version(), **_versions()},
        host=host_facts(),
        metadata=dict(metadata),
    )


def host_facts() -> dict[str, str | int]:
    """What this machine is: no names of people, hosts or folders."""
    return {
        "system": f"{platform.system()} {platform.release()}",
        "architecture": platform.machine(),
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count() or 1,
    }


def _without_folder(argv: Sequence[str]) -> list[str]:
    """The program by its name alone: its folder tells about a person's machine, not
    about the result.
    """
    return [Path(argv[0]).name, *argv[1:]] if argv else []


def _versions() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [
        line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")
    ]
    return names[0] if names else platform.processor() or "unknown"
