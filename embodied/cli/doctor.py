"""`embodied doctor`: whether this machine can do the work, each thing tried rather than
guessed.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import shutil
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from packaging.requirements import Requirement

from embodied import __version__
from embodied.cli.output import hindrance
from embodied.sim.gl import RenderingError, probe_rendering

HELP = "Check this machine: versions, CPU, GPU, rendering (a real picture, in a child process), the output folder."
EXAMPLE = "embodied doctor --json"


@dataclass(frozen=True)
class Check:
    """One finding. `ok` is False only for what stops the work."""

    name: str
    ok: bool
    detail: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this verb's arguments."""
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("runs"),
        help="the folder for output (default: runs)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Print all findings; 0 if nothing stops the work, else 1."""
    checks = [
        check_python(),
        *check_packages(),
        check_cpu(),
        check_gpu(),
        check_rendering(),
        check_folder(args.out),
    ]
    ok = all(check.ok for check in checks)
    if args.json:
        print(
            json.dumps(
                {
                    "ok": ok,
                    "version": __version__,
                    "checks": [asdict(check) for check in checks],
                },
                indent=2,
            )
        )
        return 0 if ok else 1
    width = max(len(check.name) for check in checks)
    for check in checks:
        print(
            f"{'ok  ' if check.ok else 'FAIL'}  {check.name:<{width}}  {check.detail}"
        )
    print(
        "all is well"
        if ok
        else "something above needs you: see the lines that begin with FAIL"
    )
    return 0 if ok else 1


def check_python() -> Check:
    """The interpreter and the system; pip holds the version's bounds."""
    return Check(
        "python",
        True,
        f"{platform.python_version()} on {platform.system()} {platform.machine()}",
    )


def check_packages() -> list[Check]:
    """Each dependency's version against what this package asks for."""
    requirements = [Requirement(text) for text in requires("embodied-ground") or ()]
    return [
        check_package(wanted)
        for wanted in requirements
        if wanted.marker is None or wanted.marker.evaluate()
    ]


def check_package(wanted: Requirement) -> Check:
    """One dependency."""
    try:
        found = version(wanted.name)
    except PackageNotFoundError:
        return Check(wanted.name, False, f"is missing: pip install '{wanted}'")
    if not wanted.specifier.contains(found, prereleases=True):
        return Check(
            wanted.name,
            False,
            f"{found}, but {wanted.specifier} is needed: pip install '{wanted}'",
        )
    return Check(wanted.name, True, found)


def check_cpu() -> Check:
    """Cores this process may use."""
    allowed = (
        len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count()
    )
    return Check("cpu", True, f"{allowed} cores")


def check_gpu() -> Check:
    """An NVIDIA GPU, if any; torch is asked (seconds to import) only where a driver is
    seen.
    """
    if (
        shutil.which("nvidia-smi") is None
        and not Path("/proc/driver/nvidia/version").exists()
    ):
        return Check("gpu", True, "none seen; everything runs on the CPU")
    cuda = importlib.import_module("torch").cuda
    if cuda.is_available():
        return Check(
            "gpu",
            True,
            ", ".join(cuda.get_device_name(i) for i in range(cuda.device_count())),
        )
    return Check(
        "gpu",
        True,
        "a driver is installed, but this torch is built without CUDA or finds no device",
    )


def check_rendering() -> Check:
    """A picture, rendered for real."""
    try:
        return Check("rendering", True, f"{probe_rendering()} rendered a picture")
    except RenderingError as error:
        return Check("rendering", False, str(error))


def check_folder(folder: Path) -> Check:
    """Whether files can be made in `folder`, or in the nearest parent that exists."""
    if reason := hindrance(folder / "probe"):
        return Check("output", False, f"nothing can be written to {folder}: {reason}")
    existing = next(
        path
        for path in (folder.absolute(), *folder.absolute().parents)
        if path.exists()
    )
    free_gb = shutil.disk_usage(existing).free / 1e9
    return Check("output", True, f"{folder} can be written, {free_gb:.0f} GB free")
