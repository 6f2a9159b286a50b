"""Try each wheel and sdist away from the checkout: all modules import, nothing is
missing, the command runs.

The dependencies are those of the environment that runs this, so nothing is downloaded.
"""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# -> where it lands
FOLDERS = {
    "embodied": "",
    "envs": "embodied/",
    "policies": "embodied/",
    "datasets": "embodied/",
}
IMPORT_ALL = """
import importlib, pathlib, sys
site = pathlib.Path(sys.argv[1])
import embodied
assert pathlib.Path(embodied.__file__).is_relative_to(site), embodied.__file__
for path in sorted(site.glob("embodied/**/*.py")):
    importlib.import_module(".".join(path.relative_to(site).with_suffix("").parts).removesuffix(".__init__"))
"""


def tracked_files() -> set[str]:
    """What an installed package should hold, as paths below site-packages."""
    listing = subprocess.run(
        ["git", "ls-files", *FOLDERS],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    files = set()
    for line in listing.stdout.splitlines():
        if not (ROOT / line).is_symlink():
            files.add(FOLDERS[line.partition("/")[0]] + line)
    return files


def try_wheel(wheel: Path, folder: Path) -> None:
    """Install the wheel alone into a new environment, let it see our dependencies, and
    use it from elsewhere.
    """
    venv.create(folder / "venv", with_pip=False)
    python = folder / "venv" / "bin" / "python"
    ask = [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    site = Path(
        subprocess.run(ask, check=True, capture_output=True, text=True).stdout.strip()
    )
    pip = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        str(python),
        "--quiet",
        "--disable-pip-version-check",
    ]
    subprocess.run([*pip, "install", "--no-deps", "--no-index", str(wheel)], check=True)
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    missing = {name for name in tracked_files() if not (site / name).is_file()}
    if missing:
        sys.exit(f"error: {wheel.name} lacks {sorted(missing)}")
    subprocess.run([python, "-I", "-c", IMPORT_ALL, str(site)], check=True, cwd=folder)
    subprocess.run(
        [python.parent / "embodied", "list", "--json"],
        check=True,
        cwd=folder,
        stdout=subprocess.DEVNULL,
    )


def wheel_of(distribution: Path, folder: Path) -> Path:
    """The wheel itself, or the one that an sdist builds."""
    if distribution.suffix == ".whl":
        return distribution
    build = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--disable-pip-version-check",
        "--no-deps",
        "--no-index",
    ]
    subprocess.run(
        [*build, "--no-build-isolation", "-w", str(folder), str(distribution)],
        check=True,
    )
    return next(folder.glob("*.whl"))


def main(dist: Path) -> None:
    """Try everything in a folder."""
    for distribution in sorted(dist.resolve().iterdir()):
        with tempfile.TemporaryDirectory() as folder:
            try_wheel(wheel_of(distribution, Path(folder)), Path(folder))
        print(f"{distribution.name} works away from the checkout")


try:
    main(Path(sys.argv[1]))
except subprocess.CalledProcessError as failure:
    sys.exit(f"error: {failure.cmd[0]} ended with {failure.returncode}: see above")
