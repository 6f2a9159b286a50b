"""Tasks: their props, scenes, variation and experts, and the Gymnasium classes.

Everything that the author of a task needs can be imported from here, such as `from
embodied.envs import TaskSpec`. Nothing is loaded before it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from embodied.lazy import lazy_exports

if TYPE_CHECKING:
    from embodied.arrays import all_of, any_of, count_of, dot
    from embodied.core import Array, Layout
    from embodied.envs.common_factors import COMMON
    from embodied.envs.events import (
        NEVER,
        PUSH_TICKS,
        event_rng,
        horizontal_force,
        is_during,
    )
    from embodied.envs.facts import PerState, quantity
    from embodied.envs.hand import Hand
    from embodied.envs.measures import Measure
    from embodied.envs.naming import colour_name, first_distinct, sampled_colours
    from embodied.envs.objects import ObjectPose, Objects
    from embodied.envs.own_tasks import register_task
    from embodied.envs.props.free_body import FreeBodies, FreeBody, add_free_box
    from embodied.envs.props.paint import Paint
    from embodied.envs.props.shapes import add_box
    from embodied.envs.props.table import TableSize, add_table
    from embodied.envs.reward import tolerance
    from embodied.envs.scenes.station import start_station
    from embodied.envs.scenes.views import add_view
    from embodied.envs.skills.driving import DrivingPlanner
    from embodied.envs.skills.goal_servo import GoalServo
    from embodied.envs.skills.pick_and_place import pick_and_place
    from embodied.envs.skills.scripted import (
        Readings,
        Row,
        ScriptedPlanner,
        around_column,
        completion_of,
        is_skill,
        last_row,
        make_payload,
        pointing_down,
        scripted_expert,
        with_z,
    )
    from embodied.envs.skills.top_grasp import TopGrasp, top_grasp
    from embodied.envs.task import Needs, Outcome, Task, TaskSpec, TaskStage
    from embodied.envs.variation import (
        Choice,
        Interval,
        Variable,
        Variation,
        fixed,
        row,
    )
    from embodied.plan import Controller, Payload, Planner
    from embodied.robots.robot import Robot
    from embodied.sim.engine import Engine

_EXPORTS = {
    "embodied.arrays": ("all_of", "any_of", "count_of", "dot"),
    "embodied.core": (
        "Array",
        "Layout",
    ),
    "embodied.envs.common_factors": ("COMMON",),
    "embodied.envs.events": (
        "NEVER",
        "PUSH_TICKS",
        "event_rng",
        "horizontal_force",
        "is_during",
    ),
    "embodied.envs.facts": (
        "PerState",
        "quantity",
    ),
    "embodied.envs.hand": ("Hand",),
    "embodied.envs.naming": (
        "colour_name",
        "first_distinct",
        "sampled_colours",
    ),
    "embodied.envs.objects": ("ObjectPose", "Objects"),
    "embodied.envs.own_tasks": ("register_task",),
    "embodied.envs.props.free_body": (
        "FreeBodies",
        "FreeBody",
        "add_free_box",
    ),
    "embodied.envs.props.paint": ("Paint",),
    "embodied.envs.props.shapes": ("add_box",),
    "embodied.envs.props.table": (
        "TableSize",
        "add_table",
    ),
    "embodied.envs.reward": ("tolerance",),
    "embodied.envs.scenes.station": ("start_station",),
    "embodied.envs.scenes.views": ("add_view",),
    "embodied.envs.skills.driving": ("DrivingPlanner",),
    "embodied.envs.skills.goal_servo": ("GoalServo",),
    "embodied.envs.skills.pick_and_place": ("pick_and_place",),
    "embodied.envs.skills.scripted": (
        "Readings",
        "Row",
        "ScriptedPlanner",
        "around_column",
        "completion_of",
        "is_skill",
        "last_row",
        "make_payload",
        "pointing_down",
        "scripted_expert",
        "with_z",
    ),
    "embodied.envs.skills.top_grasp": (
        "TopGrasp",
        "top_grasp",
    ),
    "embodied.envs.measures": ("Measure",),
    "embodied.envs.task": (
        "Needs",
        "Outcome",
        "Task",
        "TaskSpec",
        "TaskStage",
    ),
    "embodied.envs.variation": (
        "Choice",
        "Interval",
        "Variable",
        "Variation",
        "fixed",
        "row",
    ),
    "embodied.plan": ("Controller", "Payload", "Planner"),
    "embodied.robots.robot": ("Robot",),
    "embodied.sim.engine": ("Engine",),
}
__all__ = [
    "COMMON",
    "NEVER",
    "PUSH_TICKS",
    "Array",
    "Choice",
    "Controller",
    "DrivingPlanner",
    "Engine",
    "FreeBodies",
    "FreeBody",
    "GoalServo",
    "Hand",
    "Interval",
    "Layout",
    "Measure",
    "Needs",
    "ObjectPose",
    "Objects",
    "Outcome",
    "Paint",
    "Payload",
    "PerState",
    "Planner",
    "Readings",
    "Robot",
    "Row",
    "ScriptedPlanner",
    "TableSize",
    "Task",
    "TaskSpec",
    "TaskStage",
    "TopGrasp",
    "Variable",
    "Variation",
    "add_box",
    "add_free_box",
    "add_table",
    "add_view",
    "all_of",
    "any_of",
    "around_column",
    "colour_name",
    "completion_of",
    "count_of",
    "dot",
    "event_rng",
    "first_distinct",
    "fixed",
    "horizontal_force",
    "is_during",
    "is_skill",
    "last_row",
    "make_payload",
    "pick_and_place",
    "pointing_down",
    "quantity",
    "register_task",
    "row",
    "sampled_colours",
    "scripted_expert",
    "start_station",
    "tolerance",
    "top_grasp",
    "with_z",
]


__getattr__, __dir__ = lazy_exports(globals(), _EXPORTS)
