"""Draws public robots at work: docs/images/public_robots_at_work.webp.

    python examples/public_robots/at_work.py runs/public -o at_work.webp

The expert performs a task with each robot, which is drawn some seconds after the start.
"""

from __future__ import annotations

import argparse
import shutil
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from measure import CONTROL_HZ, HERE, install
from PIL import Image

from embodied.envs.config import EnvConfig
from embodied.envs.registry import get_robot
from embodied.envs.worlds import Worlds
from embodied.policies.episodes import EpisodeRunner

# (robot, task, the time in s at which the robot is drawn)
SHOTS = (
    ("fetch", "ToteTransfer", 3.5),
    ("sawyer", "ParcelSort", 4.0),
    ("ur5e", "DrawerTidy", 4.0),
)
SIZE = (360, 360)  # (height, width) of one picture


class Camera:
    """A rollout hook that draws the first world once, at a given time of the episode."""

    def __init__(self, time_s: float) -> None:
        self._steps_left = round(time_s * CONTROL_HZ)
        self.picture: np.ndarray | None = None  # (H, W, 3) uint8

    def on_start(self, worlds: Worlds, *_: Any) -> None:
        """Does nothing."""

    def on_step(self, worlds: Worlds, step: Any) -> None:
        """Draws the world at the given time."""
        self._steps_left -= 1
        if self._steps_left == 0:
            self.picture = worlds.render(0, worlds.spec.beauty_camera, SIZE)

    def on_end(self, worlds: Worlds, *_: Any) -> None:
        """Does nothing."""


def main() -> None:
    """Performs the tasks, draws the robots, and writes the picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("packages", type=Path, help="folder in which measure.py works")
    parser.add_argument("-o", "--output", type=Path, required=True)
    args = parser.parse_args()
    warnings.simplefilter("ignore")  # MuJoCo warns about details of the public models

    install(args.packages / "packages")
    pictures = []
    for name, task, time_s in SHOTS:
        path = shutil.copy(HERE / f"{name}.toml", args.packages)
        config = EnvConfig(
            task,
            robot=get_robot(str(path)),
            control_mode="ee_delta",
            control_hz=CONTROL_HZ,
            level="L1",
            horizon_s=time_s + 1 / CONTROL_HZ,
        )
        camera = Camera(time_s)
        EpisodeRunner("expert", config, num_envs=1).run([0], [camera])
        if camera.picture is not None:
            pictures.append(camera.picture)
    Image.fromarray(np.concatenate(pictures, axis=1)).save(args.output, quality=80)


if __name__ == "__main__":
    main()
