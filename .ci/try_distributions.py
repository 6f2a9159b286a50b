"""Try each wheel and sdist away from the checkout: all modules import, no file is
missing, the command runs.

The dependencies are those of the environment that runs this, so nothing is downloaded.
"""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import tempfile
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# a folder of the repository -> where an installed package has its content
FOLDERS = {
    "embodied": "",
    "envs": "embodied/",
    "policies": "embodied/",
    "datasets": "embodied/",
}
PLUGIN = "lerobot_env_embodied"  # the other distribution, in lerobot_env/
PIP = [sys.executable, "-m", "pip"]
QUIET = ["--quiet", "--disable-pip-version-check"]
IMPORT_ALL = """
import importlib, pathlib, sys
site = pathlib.Path(sys.argv[1])
import embodied
assert pathlib.Path(embodied.__file__).is_relative_to(site), embodied.__file__
for path in sorted(site.glob("embodied/**/*.py")):
    # scripts for the environments of other toolkits, which import these
    if path.match("peers/*_loader.py"):
        continue
    importlib.import_module(".".join(path.relative_to(site).with_suffix("").parts).removesuffix(".__init__"))
"""


def tracked_files() -> set[str]:
    """Returns what an installed package should hold, as paths below site-packages."""
    listing = _output(["git", "ls-files", *FOLDERS], cwd=ROOT)
    files = set()
    for line in listing.splitlines():
        if not (ROOT / line).is_symlink():
            files.add(FOLDERS[line.partition("/")[0]] + line)
    return files


def try_wheel(wheel: Path, folder: Path) -> None:
    """Installs the wheel alone into a new environment, which sees our dependencies, and
    uses it from elsewhere.
    """
    venv.create(folder / "venv", with_pip=False)
    python = folder / "venv" / "bin" / "python"
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site = Path(_output([str(python), "-c", code]).strip())

    into = ["--python", str(python)]
    _run([*PIP, *into, *QUIET, "install", "--no-deps", "--no-index", str(wheel)])
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")

    missing = {name for name in tracked_files() if not (site / name).is_file()}
    if missing:
        sys.exit(f"error: {wheel.name} lacks {sorted(missing)}")
    _run([str(python), "-I", "-c", IMPORT_ALL, str(site)], cwd=folder)
    # its output is of no interest, only that it can be made
    _output([str(python.parent / "embodied"), "list", "--json"], cwd=folder)


def wheel_of(distribution: Path, folder: Path) -> Path:
    """Returns the wheel itself, or the one that an sdist builds."""
    if distribution.suffix == ".whl":
        return distribution
    build = [*PIP, "wheel", *QUIET, "--no-deps", "--no-index", "--no-build-isolation"]
    _run([*build, "-w", str(folder), str(distribution)])
    return next(folder.glob("*.whl"))


def _run(command: list[str], cwd: Path | None = None) -> None:
    subprocess.run(command, check=True, cwd=cwd)


def _output(command: list[str], cwd: Path | None = None) -> str:
    child = subprocess.run(
        command, check=True, cwd=cwd, stdout=subprocess.PIPE, text=True
    )
    return child.stdout


def try_plugin(wheel: Path) -> None:
    """Checks what LeRobot finds a plugin by; a slow test loads it with LeRobot."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        metadata = next(name for name in names if name.endswith("/METADATA"))
        lines = archive.read(metadata).decode().splitlines()
    if f"Name: {PLUGIN}" not in lines or f"{PLUGIN}/__init__.py" not in names:
        sys.exit(f"error: {wheel.name} is no plugin of LeRobot's: {lines[:3]}, {names}")


def main(dist: Path) -> None:
    """Tries everything in a folder."""
    for distribution in sorted(dist.resolve().iterdir()):
        if distribution.name.startswith(PLUGIN):
            try_plugin(distribution)
            continue
        with tempfile.TemporaryDirectory() as folder:
            try_wheel(wheel_of(distribution, Path(folder)), Path(folder))
        print(f"{distribution.name} works away from the checkout")


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]))
    except subprocess.CalledProcessError as failure:
        sys.exit(f"error: {failure.cmd[0]} ended with {failure.returncode}: see above")
