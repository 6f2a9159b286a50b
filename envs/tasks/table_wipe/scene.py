"""The scene of TableWipe: a kitchen table with stains, and a pad on its mat."""

from __future__ import annotations

import mujoco
import numpy as np

from embodied.envs.props.pad import add_mat, add_pad
from embodied.envs.props.stains import add_stains
from embodied.envs.props.table import TableSize, add_table
from embodied.envs.props.tableware import add_tableware
from embodied.envs.scenes.kitchen import add_kitchen
from embodied.envs.scenes.station import start_station
from embodied.envs.scenes.views import add_view
from embodied.robots.robot import Robot
from embodied.robots.work import WorkPlace

TABLE = TableSize()
CAMERA = "overview"
BEAUTY = "kitchen"
MAT_XY = (0.50, -0.37)  # nominal place of mat and pad in the world, m
# (6, 2) nominal places of stains in the world, m
PLACES_XY = np.array([(x, y) for x in (0.44, 0.61) for y in (-0.17, 0.03, 0.23)])
# What the expert reaches for at the edges of the scene, at L2.
WORK = (
    WorkPlace("the farthest place of the sponge", (0.52, -0.38, 0.76)),
    WorkPlace("the far right of the table", (0.62, -0.24, 0.75)),
    WorkPlace("the far left of the table", (0.61, 0.29, 0.75)),
)


def build_dining_table(robot: Robot) -> mujoco.MjSpec:
    """Returns the kitchen with a robot at its table.

    Policies look through the camera `overview`; `kitchen` is the camera of pictures for
    people.
    """
    spec = start_station("dining_table", robot, fenced=False)
    add_kitchen(spec)

    # the table with stains, the pad on its mat, and the tableware
    table = add_table(spec, TABLE)
    add_stains(spec, table)
    add_mat(spec, table)
    add_pad(spec)
    add_tableware(
        spec,
        table,
        plates=((0.18, 0.50), (0.18, -0.52)),
        bowl=(0.20, 0.10),
        mug=(0.12, 0.32),
    )

    # the cameras, of policies first
    add_view(
        spec,
        CAMERA,
        pos_w=(1.00, -0.07, 1.68),
        target_w=(0.45, -0.07, 0.72),
        fovy_deg=42,
    )
    add_view(
        spec,
        BEAUTY,
        pos_w=(-0.68, -1.95, 1.95),
        target_w=(0.44, -0.04, 0.76),
        fovy_deg=42,
    )
    return spec
