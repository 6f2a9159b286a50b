"""What described robots cost: processor time of their steps beside that of `arm`.

    python examples/public_robots/speed.py runs/public --robot fr3 xarm7

It plays the same task with each robot in turn, holding still where its episodes begin,
and prints the time of the processor per step of one world. The robots take turns, so the
ratios can be compared between machines.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import time
import warnings
from pathlib import Path

import numpy as np
from measure import HERE, install

from embodied.envs.config import EnvConfig
from embodied.envs.registry import get_robot
from embodied.envs.worlds import Worlds
from embodied.robots.robot import Robot

HOUSE = "arm"  # ours, with seven joints, that the others are compared with
NUM_WORLDS = 16
STEPS = 40  # in a turn
TURNS = 15


def main() -> None:
    """Measures, and prints a line for each robot."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", type=Path, help="where the packages are, or shall be")
    parser.add_argument("--robot", nargs="+", default=["fr3", "xarm7"])
    parser.add_argument("--task", default="ToteTransfer")
    args = parser.parse_args()
    warnings.simplefilter("ignore")  # of the models: MuJoCo says what it thinks of them

    install(args.output / "packages")
    robots = {HOUSE: get_robot(HOUSE)}
    for name in args.robot:
        path = shutil.copy(HERE / f"{name}.toml", args.output)
        robots[name] = get_robot(str(path))
    worlds = {name: started(args.task, robot) for name, robot in robots.items()}

    times_s: dict[str, list[float]] = {name: [] for name in robots}
    for _ in range(TURNS):
        for name in robots:
            times_s[name].append(step_time_s(worlds[name]))
    for name, robot in robots.items():
        step_us = 1e6 * statistics.median(times_s[name])
        pairs = zip(times_s[name], times_s[HOUSE], strict=True)
        ratio = statistics.median(own_s / house_s for own_s, house_s in pairs)
        joints = len(robot.joint_names)
        print(
            f"{name}: {joints} joints, {step_us:.0f} us a step, {ratio:.2f} of {HOUSE}"
        )


def started(task: str, robot: Robot) -> Worlds:
    """Returns worlds at the start of their episodes."""
    worlds = Worlds(EnvConfig(task, robot=robot, num_threads=1), NUM_WORLDS)
    worlds.reset(np.arange(NUM_WORLDS), list(range(NUM_WORLDS)))
    return worlds


def step_time_s(worlds: Worlds) -> float:
    """Returns the time of the processor for a step of one world, the hand open."""
    action = np.zeros((NUM_WORLDS, len(worlds.interface.labels)))
    action[:, -1] = 1.0
    start_s = time.process_time()
    for _ in range(STEPS):
        worlds.step(action)
    return (time.process_time() - start_s) / STEPS / NUM_WORLDS


if __name__ == "__main__":
    main()
