"""The station of FixtureLoad: workpieces on a bench, a fixture, and a start box."""

from __future__ import annotations

import mujoco

from embodied.envs.props.bench import BenchSize, add_bench
from embodied.envs.props.colours import FRAME_BLUE
from embodied.envs.props.fixture import FixtureSize, add_fixture
from embodied.envs.props.paint import Paint
from embodied.envs.props.start_box import StartBoxPlace, add_start_box
from embodied.envs.props.workpiece import WorkpieceSize, add_workpiece
from embodied.envs.scenes.station import start_station
from embodied.envs.scenes.views import add_view
from embodied.robots.robot import Robot
from embodied.robots.work import WorkPlace

BENCH = BenchSize()
FIXTURE = FixtureSize()
START_BOX = StartBoxPlace()
PART = WorkpieceSize(length=FIXTURE.length, width=FIXTURE.width)
PARTS = ("part_0", "part_1", "part_2")
# x and y of the workpieces' places in m, from left to right as the robot sees them.
PLACES_W = ((0.48, -0.06), (0.48, -0.20), (0.48, -0.34))
CAMERA = "overview"
RUBBER = (0.16, 0.18, 0.20, 1.0)
# What the expert reaches for at the edges of the scene, at L2.
WORK = (
    WorkPlace("the farthest workpiece", (0.5, -0.34, 0.77)),
    WorkPlace("the fixture", (0.53, 0.15, 0.79)),
    WorkPlace("the start button", (0.43, 0.44, 0.8)),
)


def build_fixture_station(robot: Robot) -> mujoco.MjSpec:
    """Returns the station with a robot and three workpieces.

    Workpieces that take no part in an episode are parked out of sight. Policies look
    through the camera `overview`, which sees workpieces, fixture, start box and hand;
    `shop` is the camera of pictures for people.
    """
    spec = start_station("fixture_station", robot)
    add_bench(spec, BENCH)
    add_fixture(spec, FIXTURE)
    add_start_box(spec, START_BOX)
    for name in PARTS:
        # the colour is replaced by that of the episode
        add_workpiece(spec, name, PART, (0.5, 0.5, 0.5, 1.0))
    _paint_mat(spec)

    # the cameras, of policies first
    add_view(
        spec, CAMERA, pos_w=(1.14, 0.04, 1.66), target_w=(0.36, 0.04, 0.82), fovy_deg=47
    )
    add_view(
        spec,
        "shop",
        pos_w=(-0.10, -2.10, 1.95),
        target_w=(0.24, 0.06, 0.86),
        fovy_deg=42,
    )
    return spec


def _paint_mat(spec: mujoco.MjSpec) -> None:
    """Paints the rubber mat on which the workpieces stand, with a frame for each.

    Boxes are given by middle and half size, m.
    """
    mat = Paint(spec, spec.worldbody, "mat")
    middle_x, middle_y = PLACES_W[1]
    top_z = BENCH.top_z
    mat.box((middle_x, middle_y, top_z), (0.105, 0.215, 0.0012), RUBBER)
    # a frame of four bars around each place
    for x, y in PLACES_W:
        for side in (-1, 1):
            along = (0.088, 0.0015, 0.003)
            across = (0.0015, 0.058, 0.003)
            mat.box((x, y + side * 0.058, top_z), along, FRAME_BLUE)
            mat.box((x + side * 0.088, y, top_z), across, FRAME_BLUE)
    mat.add()
