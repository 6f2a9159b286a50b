"""The table of DishRack: plates, cups and a dish rack, and a kitchen around."""

from __future__ import annotations

import mujoco

from embodied.envs.props.dish_rack import DishRackSize, add_dish_rack
from embodied.envs.props.plate import PlateSize, add_plate
from embodied.envs.props.table import TableSize, add_table
from embodied.envs.props.tableware import add_tableware
from embodied.envs.props.things import SIZES, add_thing
from embodied.envs.scenes.kitchen import add_kitchen
from embodied.envs.scenes.station import start_station
from embodied.envs.scenes.views import add_view
from embodied.robots.robot import Robot
from embodied.robots.work import WorkPlace, pointing_down
from embodied.sim.contact_force import SUM_OF_CONTACTS, add_contact_sensor

TABLE = TableSize()
RACK = DishRackSize(floor_z=TABLE.top_z)
PLATE = PlateSize()
CUP = SIZES["cup"]
PLATES = ("plate_0", "plate_1")
CUPS = ("cup_0", "cup_1")
# All dishes, in the order of the state.
DISHES = (*PLATES, *CUPS)
FORCES = tuple(f"{name}_force" for name in DISHES)
# Nominal places of the dishes in the world, m.
PLATE_XY = ((0.44, -0.08), (0.45, -0.30))
CUP_XY = ((0.63, -0.08), (0.63, -0.25))
CAMERA = "overview"
CLOSE_UP = "rack"
BEAUTY = "kitchen"
# What the expert reaches for at the edges of the scene, at L2.
WORK = (
    WorkPlace("the farthest cup", (0.64, -0.25, 0.76), pointing_down(-22)),
    WorkPlace("the place of the farthest cup", (0.66, 0.3, 0.77), pointing_down(-18)),
    WorkPlace("the rack", (0.5, 0.34, 0.99), (-0.6, 0.78, -0.15, 0.12)),
)


def build_dish_table(robot: Robot) -> mujoco.MjSpec:
    """Returns the kitchen with a robot at its table.

    Dishes that take no part in an episode are parked out of sight. Policies look through
    the cameras `overview` and `rack`, which sees into the slots; `kitchen` is the camera
    of pictures for people.
    """
    spec = start_station("dish_table", robot, fenced=False)
    add_kitchen(spec)
    table = add_table(spec, TABLE)
    add_tableware(spec, table, plates=(), bowl=(0.21, 0.44), mug=None)
    add_dish_rack(spec, RACK)
    for name in PLATES:
        add_plate(spec, name, PLATE)
    for name in CUPS:
        add_thing(spec, name)
    for sensor, name in zip(FORCES, DISHES, strict=True):
        add_contact_sensor(spec, sensor, name, reduce=SUM_OF_CONTACTS)

    # the cameras, of policies first
    add_view(
        spec, CAMERA, pos_w=(1.20, 0.02, 1.44), target_w=(0.56, 0.02, 0.75), fovy_deg=51
    )
    add_view(
        spec,
        CLOSE_UP,
        pos_w=(0.86, -0.16, 1.16),
        target_w=(0.55, 0.22, TABLE.top_z + 0.05),
        fovy_deg=40,
    )
    add_view(
        spec,
        BEAUTY,
        pos_w=(1.20, -1.20, 1.50),
        target_w=(0.26, 0.0, 0.88),
        fovy_deg=45,
    )
    return spec
