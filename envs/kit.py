"""What a task is written with, in one place to import from; each name's own module says
what it does.
"""

from embodied.arrays import dot
from embodied.core import Array, Controller, Layout, Payload, Planner
from embodied.envs.common_factors import COMMON
from embodied.envs.props.free_body import FreeBody, add_free_box
from embodied.envs.props.shapes import add_box
from embodied.envs.props.table import TableSize, add_table
from embodied.envs.reward import tolerance
from embodied.envs.scenes.station import start_station
from embodied.envs.scenes.views import add_view
from embodied.envs.skills.driving import Driving
from embodied.envs.skills.goal_servo import GoalServo
from embodied.envs.skills.pick_and_place import pick_and_place
from embodied.envs.skills.scripted import (
    Parts,
    ScriptedPlanner,
    around_column,
    latest,
    pointing_down,
    say,
    share_of,
)
from embodied.envs.task import Outcome, Task, TaskSpec
from embodied.envs.variation import Choice, Interval, Variable, Variation, fixed
from embodied.robots.robot import Robot
from embodied.sim.engine import Engine

__all__ = [
    "COMMON",
    "Array",
    "Choice",
    "Controller",
    "Driving",
    "Engine",
    "FreeBody",
    "GoalServo",
    "Interval",
    "Layout",
    "Outcome",
    "Parts",
    "Payload",
    "Planner",
    "Robot",
    "ScriptedPlanner",
    "TableSize",
    "Task",
    "TaskSpec",
    "Variable",
    "Variation",
    "add_box",
    "add_free_box",
    "add_table",
    "add_view",
    "around_column",
    "dot",
    "fixed",
    "latest",
    "pick_and_place",
    "pointing_down",
    "say",
    "share_of",
    "start_station",
    "tolerance",
]
