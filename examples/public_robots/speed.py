"""Measures the processor time of described robots' steps, beside that of the robot `arm`.

    python examples/public_robots/speed.py runs/public --robot fr3 xarm7

The robots stand still at the start of the same task. The processor time per step of one
world is printed. The robots are measured in turns, so that a change of the machine's speed
affects all of them, and the ratios can be compared between machines.
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

REFERENCE = "arm"  # this package's robot with seven joints, to compare the others with
NUM_WORLDS = 16
STEPS = 40  # of each robot in a turn
TURNS = 15


def main() -> None:
    """Measures, and prints a line for each robot."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", type=Path, help="where the packages are, or shall be")
    parser.add_argument("--robot", nargs="+", default=["fr3", "xarm7"])
    parser.add_argument("--task", default="ToteTransfer")
    args = parser.parse_args()
    warnings.simplefilter("ignore")  # MuJoCo warns about details of the public models

    install(args.output / "packages")
    robots = {REFERENCE: get_robot(REFERENCE)}
    for name in args.robot:
        path = shutil.copy(HERE / f"{name}.toml", args.output)
        robots[name] = get_robot(str(path))
    worlds = {name: make_worlds(args.task, robot) for name, robot in robots.items()}

    # measure the robots in turns, so that a slow moment of the machine affects all of them
    times_s: dict[str, list[float]] = {name: [] for name in robots}
    for _ in range(TURNS):
        for name in robots:
            times_s[name].append(step_time_s(worlds[name]))
    for name, robot in robots.items():
        step_us = 1e6 * statistics.median(times_s[name])
        # compare times of the same turn, in which the machine had the same speed
        pairs = zip(times_s[name], times_s[REFERENCE], strict=True)
        ratio = statistics.median(own_s / reference_s for own_s, reference_s in pairs)
        joints = len(robot.joint_names)
        print(
            f"{name}: {joints} joints, {step_us:.0f} us per step, "
            f"{ratio:.2f} of {REFERENCE}"
        )


def make_worlds(task: str, robot: Robot) -> Worlds:
    """Returns worlds at the start of their episodes."""
    worlds = Worlds(EnvConfig(task, robot=robot, num_threads=1), NUM_WORLDS)
    worlds.reset(np.arange(NUM_WORLDS), list(range(NUM_WORLDS)))
    return worlds


def step_time_s(worlds: Worlds) -> float:
    """Returns the processor time of a step of one world, while robots stand still."""
    action = np.zeros((NUM_WORLDS, len(worlds.interface.labels)))
    action[:, -1] = 1.0  # the gripper: open
    start_s = time.process_time()
    for _ in range(STEPS):
        worlds.step(action)
    return (time.process_time() - start_s) / STEPS / NUM_WORLDS


if __name__ == "__main__":
    main()
