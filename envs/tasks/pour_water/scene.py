"""The counter of PourWater: a bottle with water, a glass, and a kitchen around."""

from __future__ import annotations

import mujoco

from embodied.envs.props.granules import add_granules
from embodied.envs.props.table import TableSize, add_table
from embodied.envs.props.tableware import add_tableware
from embodied.envs.props.vessels import BottleSize, CupSize, add_bottle, add_cup
from embodied.envs.scenes.kitchen import add_kitchen
from embodied.envs.scenes.station import start_station
from embodied.envs.scenes.views import add_view
from embodied.robots.robot import Robot
from embodied.robots.work import WorkPlace

TABLE = TableSize()
BOTTLE_SIZE = BottleSize()
CUP_SIZE = CupSize()
# The number of grains that simulate the water.
GRAINS = 60
# Nominal places of bottle and glass in the world, m.
BOTTLE_XY = (0.50, -0.12)
CUP_XY = (0.62, 0.10)
# The bottle's nominal yaw, rad: the hand takes it between two sides, from the right and
# a little from behind, because from there the wrist can turn the bottle farthest.
BOTTLE_YAW = -0.37
# The most iterations of the solver by conjugate gradients; with 40 of them no grain gets
# through a wall.
CG_ITERATIONS = 40
# The solver stops once an iteration improves its cost by less than this. With MuJoCo's
# default, 1e-8, it takes about twice the iterations, and grains move no more steadily.
CG_TOLERANCE = 1e-4
# Friction is as stiff as normal contact, while other scenes have 10 times as stiff a grip.
# The grip is solved together with the water in the held bottle: if it were 10 times as
# stiff, the solver would need more than its iterations. The bottle slips by 1.5 mm in an
# episode.
FRICTION_IMPRATIO = 1.0
CAMERA = "overview"
CLOSE_UP = "glass"
BEAUTY = "kitchen"
# What the expert reaches for at the edges of the scene, at L2.
WORK = (
    WorkPlace("the bottle", (0.5, -0.13, 0.76), (-0.4, 0.58, 0.4, 0.58)),
    WorkPlace("the glass", (0.53, 0.14, 0.87), (-0.7, 0.68, -0.18, 0.08)),
)


def solve_water(spec: mujoco.MjSpec) -> None:
    """Sets the solver's options for many grains with few contacts each.

    Conjugate gradients do not factor the matrix of all degrees of freedom, as Newton's
    method does, and take a fifth of its time if the scene has nothing else in it.
    """
    option = spec.option
    option.solver = mujoco.mjtSolver.mjSOL_CG
    option.iterations = CG_ITERATIONS
    option.tolerance = CG_TOLERANCE
    option.impratio = FRICTION_IMPRATIO


def build_counter(robot: Robot) -> mujoco.MjSpec:
    """Returns the kitchen with a robot at its counter.

    Policies look through the cameras `overview` and `glass`, which sees the marks;
    `kitchen` is the camera of pictures for people.
    """
    spec = start_station("kitchen_counter", robot, fenced=False)
    add_kitchen(spec)
    solve_water(spec)
    table = add_table(spec, TABLE)
    add_tableware(
        spec,
        table,
        plates=((0.16, 0.46),),
        bowl=(0.20, -0.46),
        mug=(0.22, 0.24),
    )

    # the water is added before the glass, because MuJoCo draws in this order, and what is
    # seen through glass must be drawn first
    add_granules(spec, GRAINS)
    add_bottle(spec, BOTTLE_SIZE)
    add_cup(spec, CUP_SIZE)

    # the cameras, of policies first
    add_view(
        spec, CAMERA, pos_w=(1.20, 0.0, 1.30), target_w=(0.48, 0.0, 0.80), fovy_deg=44
    )
    cup_x, cup_y = CUP_XY
    top_z = TABLE.top_z
    add_view(
        spec,
        CLOSE_UP,
        pos_w=(cup_x + 0.42, cup_y + 0.16, top_z + 0.16),
        target_w=(cup_x, cup_y, top_z + 0.055),
        fovy_deg=26,
    )
    add_view(
        spec,
        BEAUTY,
        pos_w=(1.16, -1.18, 1.42),
        target_w=(0.28, -0.03, 0.84),
        fovy_deg=46,
    )
    return spec
