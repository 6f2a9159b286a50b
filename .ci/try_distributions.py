"""Try each wheel and sdist in a folder away from the checkout: all modules import, nothing is missing, the command runs.

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
FOLDERS = {"embodied": "embodied", "envs": "embodied/envs", "policies": "embodied/policies", "datasets": "embodied/datasets"}
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
    listing = subprocess.run(["git", "ls-files", *FOLDERS], cwd=ROOT, check=True, capture_output=True, text=True)
    files = set()
    for line in listing.stdout.splitlines():
        top, _, rest = line.partition("/")
        if not (ROOT / line).is_symlink():
            files.add(f"{FOLDERS[top]}/{rest}")
    return files


def try_wheel(wheel: Path, folder: Path) -> None:
    """Install the wheel alone into a new environment, let it see our dependencies, and use it from elsewhere."""
    venv.create(folder / "venv", with_pip=False)
    python = folder / "venv" / "bin" / "python"
    site = Path(subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], check=True, capture_output=True, text=True
    ).stdout.strip())
    pip = [sys.executable, "-m", "pip", "--python", str(python), "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "--no-deps", "--no-index", str(wheel)], check=True)
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    missing = {name for name in tracked_files() if not (site / name).is_file()}
    if missing:
        sys.exit(f"error: {wheel.name} lacks {sorted(missing)}")
    subprocess.run([python, "-I", "-c", IMPORT_ALL, str(site)], check=True, cwd=folder)
    subprocess.run([python.parent / "embodied", "list", "--json"], check=True, cwd=folder, stdout=subprocess.DEVNULL)
    print(f"ok: {wheel.name}")


def main(dist: Path) -> None:
    """Try the wheel, and the wheel that the sdist builds."""
    for number, file in enumerate(sorted(dist.resolve().iterdir())):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            wheel = file
            if file.name.endswith(".tar.gz"):
                build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
                subprocess.run([*build, "--no-index", "-w", str(folder), str(file)], check=True)
                wheel = next(folder.glob("*.whl"))
                print(f"built from {file.name}:")
            try_wheel(wheel, folder)
        print(f"tried {number + 1} of the distributions")


main(Path(sys.argv[1]))
