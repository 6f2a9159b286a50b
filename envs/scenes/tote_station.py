"""Where empty totes come back: a roller belt in front of the robot, a rack at its left."""

from __future__ import annotations

import mujoco

from embodied.envs.props.belt import BeltSize, add_belt
from embodied.envs.props.hall import add_hall
from embodied.envs.props.rack import RackSize, add_rack
from embodied.envs.props.tote import add_tote
from embodied.envs.scenes.views import add_view
from embodied.robots.robot import Robot
from embodied.sim.physics import apply_defaults

BELT = BeltSize()
RACK = RackSize()
TOTES = ("tote_0", "tote_1", "tote_2")
CAMERA = "overview"


def build_tote_station(robot: Robot) -> mujoco.MjSpec:
    """The station with `robot` mounted and three totes (absent ones are parked).

    Camera `overview` sees belt, rack and hand, for policies; `hall` is the view for people.
    """
    spec = robot.build()
    spec.modelname = "tote_station"
    for key in spec.keys:  # the robot's alone: a scene's starts are the task's to write
        spec.delete(key)
    spec.body(robot.root_body).pos = list(robot.mount_pos_w)
    apply_defaults(spec)
    add_hall(spec)
    add_belt(spec, BELT)
    add_rack(spec, RACK)
    for name in TOTES:
        add_tote(spec, name, (0.2, 0.4, 0.7, 1.0))
    add_view(spec, CAMERA, (1.28, 0.04, 2.05), (0.27, 0.06, 0.70), 50)
    add_view(spec, "hall", (2.3, -1.5, 2.1), (0.15, 0.12, 0.72), 38)
    return spec
