"""The packing station of WeighPack: an item, a scale, and three boxes on a table."""

from __future__ import annotations

import mujoco

from embodied.envs.props.packing_box import PackingBoxSize, add_packing_boxes
from embodied.envs.props.packing_table import PackingTableSize, add_packing_table
from embodied.envs.props.scale import ScalePlace, add_scale
from embodied.envs.props.things import ThingSize, add_thing
from embodied.envs.scenes.station import start_station
from embodied.envs.scenes.views import add_view
from embodied.envs.tasks.weigh_pack.variation import MARKS
from embodied.robots.robot import Robot
from embodied.robots.work import WorkPlace, pointing_down

PACKING_TABLE = PackingTableSize()
SCALE = ScalePlace(z=PACKING_TABLE.top_z)
BOX = PackingBoxSize()
BOXES = 3
# x and y of the boxes in m, from right to left as the robot sees them.
BOX_PLACES_W = ((0.52, 0.04), (0.52, 0.21), (0.52, 0.38))
ITEM = "carton"
ITEM_SIZE = ThingSize(0.070, 0.050, 0.055)  # nominal x, y, z, m
ITEM_PLACE_W = (0.47, -0.35)  # x and y, m
CAMERA = "overview"
BEAUTY = "packing"
# What the expert reaches for at the edges of the scene, at L2.
WORK = (
    WorkPlace("the farthest item", (0.49, -0.37, 0.75), pointing_down(-10)),
    WorkPlace("the scale", (0.53, -0.15, 0.8)),
    WorkPlace("the farthest box", (0.53, 0.38, 0.75)),
)


def build_packing_station(robot: Robot) -> mujoco.MjSpec:
    """Returns the station with a robot, an item, a scale and three boxes.

    Policies look through the camera `overview`, which sees item, display, boxes and hand;
    `packing` is the camera of pictures for people.
    """
    spec = start_station("packing_station", robot)
    add_packing_table(spec, PACKING_TABLE)
    texts = [(mark.letter, mark.letter, mark.rgb) for mark in MARKS]
    add_scale(spec, SCALE, texts)
    places = [(x, y, PACKING_TABLE.top_z + BOX.floor) for x, y in BOX_PLACES_W]
    add_packing_boxes(spec, BOX, places, MARKS)
    add_thing(spec, ITEM)

    # the cameras, of policies first
    add_view(
        spec, CAMERA, pos_w=(1.16, 0.02, 1.62), target_w=(0.42, 0.02, 0.80), fovy_deg=47
    )
    add_view(
        spec,
        BEAUTY,
        pos_w=(1.72, -1.50, 1.72),
        target_w=(0.28, -0.01, 0.80),
        fovy_deg=42,
    )
    return spec
