"""Environments of their own, in which other tools try what we write."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent

# What pip says when it has no network.
UNREACHABLE = (
    "No matching distribution",
    "Could not find a version",
    "Connection",
    "timed out",
    "Temporary failure",
)


def make_environment(folder: Path) -> Path:
    """Makes an environment that sees this package and those of the present Python.

    Returns:
        Its Python.
    """
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    python = folder / "bin" / "python"
    present = f"{sysconfig.get_path('purelib')}\n{ROOT}\n"
    (packages_of(python) / "present.pth").write_text(present)
    return python


def packages_of(python: Path) -> Path:
    """The folder in which a Python's packages lie."""
    query = "import sysconfig; print(sysconfig.get_path('purelib'))"
    return Path(run(python, "-c", query).strip())


def install(python: Path, *arguments: str) -> None:
    """Installs packages for a Python; skips the test where pip has no network."""
    pip = f"-m pip --python {python} --disable-pip-version-check install"
    options = "--quiet --retries 1 --timeout 10"
    installed = subprocess.run(
        [sys.executable, *pip.split(), *options.split(), *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    unreachable = any(reason in installed.stderr for reason in UNREACHABLE)
    if installed.returncode and unreachable:
        last_line = installed.stderr.strip().splitlines()[-1]
        pytest.skip(f"pip cannot reach {arguments[-1]}: {last_line}")
    assert installed.returncode == 0, installed.stderr


def run(*command: str | Path) -> str:
    """What a command prints; it must succeed."""
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr
    return process.stdout


def result_of(printed: str) -> Any:
    """What a script printed after `RESULT`."""
    lines = [line for line in printed.splitlines() if line.startswith("RESULT ")]
    return json.loads(lines[0].removeprefix("RESULT "))
