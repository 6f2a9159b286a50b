"""`embodied doctor`: checks whether this machine meets all requirements."""

from __future__ import annotations

import argparse
import importlib
import json
import platform
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from packaging.requirements import Requirement

from embodied import __version__
from embodied.cli.output import nearest_existing, unwritable_reason
from embodied.machine import usable_cores
from embodied.sim.gl import RenderingError, probe_rendering

HELP = "Check this machine: versions, CPU, GPU, rendering (a real picture, in a child process), the output folder."
EXAMPLE = "embodied doctor --json"


@dataclass(frozen=True)
class Check:
    """A finding about the machine."""

    name: str
    ok: bool  # False only for problems that prevent the use of this package
    detail: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this verb's arguments."""
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("runs"),
        help="folder to be checked for output (default: runs)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Prints all findings; returns 0 if all are ok, else 1."""
    checks = [
        check_python(),
        *check_packages(),
        check_cpu(),
        check_gpu(),
        check_rendering(),
        check_folder(args.out),
    ]
    print(as_json(checks) if args.json else as_text(checks))
    return 0 if all_ok(checks) else 1


def all_ok(checks: Sequence[Check]) -> bool:
    """Returns whether all findings are ok."""
    return all(check.ok for check in checks)


def as_json(checks: Sequence[Check]) -> str:
    """Returns the findings as JSON."""
    content = {
        "ok": all_ok(checks),
        "version": __version__,
        "checks": [asdict(check) for check in checks],
    }
    return json.dumps(content, indent=2)


def as_text(checks: Sequence[Check]) -> str:
    """Returns a line per finding, and a conclusion."""
    width = max(len(check.name) for check in checks)
    lines = []
    for check in checks:
        mark = "ok  " if check.ok else "FAIL"
        lines.append(f"{mark}  {check.name:<{width}}  {check.detail}")
    if all_ok(checks):
        lines.append("all is well")
    else:
        lines.append("something is wrong: mend what the lines that begin with FAIL say")
    return "\n".join(lines)


def check_python() -> Check:
    """Reports the interpreter and the system; pip has checked the version."""
    version_text = platform.python_version()
    return Check(
        "python", True, f"{version_text} on {platform.system()} {platform.machine()}"
    )


def check_packages() -> list[Check]:
    """Compares the installed version of each dependency with the required one."""
    checks = []
    for text in requires("embodied-ground") or ():
        requirement = Requirement(text)
        # a marker, e.g. of an extra, says when a requirement applies
        if requirement.marker is None or requirement.marker.evaluate():
            checks.append(check_package(requirement))
    return checks


def check_package(requirement: Requirement) -> Check:
    """Compares the installed version of one dependency with the required one."""
    name = requirement.name
    advice = f"pip install '{requirement}'"
    try:
        installed = version(name)
    except PackageNotFoundError:
        return Check(name, False, f"is missing: {advice}")

    if not requirement.specifier.contains(installed, prereleases=True):
        needed = requirement.specifier
        return Check(name, False, f"{installed}, but {needed} is needed: {advice}")
    return Check(name, True, installed)


def check_cpu() -> Check:
    """Reports the number of cores that this process may use."""
    return Check("cpu", True, f"{usable_cores()} cores")


def check_gpu() -> Check:
    """Looks for an NVIDIA GPU."""
    has_driver = (
        shutil.which("nvidia-smi") is not None
        or Path("/proc/driver/nvidia/version").exists()
    )
    if not has_driver:
        return Check("gpu", True, "none seen; everything runs on the CPU")

    # imported here, because it takes seconds
    cuda = importlib.import_module("torch").cuda
    if cuda.is_available():
        names = [cuda.get_device_name(i) for i in range(cuda.device_count())]
        return Check("gpu", True, ", ".join(names))
    return Check(
        "gpu",
        True,
        "a driver is installed, but this torch is built without CUDA or finds no device",
    )


def check_rendering() -> Check:
    """Renders a picture."""
    try:
        return Check("rendering", True, f"{probe_rendering()} rendered a picture")
    except RenderingError as error:
        return Check("rendering", False, str(error))


def check_folder(folder: Path) -> Check:
    """Tries to create a file in a folder, or in its nearest existing parent."""
    reason = unwritable_reason(folder / "probe")
    if reason:
        return Check("output", False, f"nothing can be written to {folder}: {reason}")

    free_gb = shutil.disk_usage(nearest_existing(folder.absolute())).free / 1e9
    return Check("output", True, f"{folder} can be written, {free_gb:.0f} GB free")
