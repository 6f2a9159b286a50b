"""Planners, controllers, the dual system that joins them, and training.

The names for writing a policy of your own can be imported from here, as in
`from embodied.policies import policy_from_planner` (see docs/your_planner.md). A module is
loaded when one of its names is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from embodied.lazy import lazy_exports

if TYPE_CHECKING:
    from embodied.core import SKILLS, Array, Observation, Policy, PolicySpec
    from embodied.plan import Controller, Payload, Planner, PlanShape
    from embodied.policies.custom import (
        SERVO_SPEC,
        SignalReader,
        chunk_player,
        goal_servo,
        policy_from_function,
        policy_from_planner,
        waypoint_follower,
    )
    from embodied.policies.dual_system import DualSystem, DualSystemConfig
    from embodied.policies.registry import PolicySource, find_policy

_EXPORTS = {
    "embodied.core": (
        "SKILLS",
        "Array",
        "Observation",
        "Policy",
        "PolicySpec",
    ),
    "embodied.plan": ("Controller", "Payload", "PlanShape", "Planner"),
    "embodied.policies.custom": (
        "SERVO_SPEC",
        "SignalReader",
        "chunk_player",
        "goal_servo",
        "policy_from_function",
        "policy_from_planner",
        "waypoint_follower",
    ),
    "embodied.policies.dual_system": ("DualSystem", "DualSystemConfig"),
    "embodied.policies.registry": ("PolicySource", "find_policy"),
}
__all__ = [
    "SERVO_SPEC",
    "SKILLS",
    "Array",
    "Controller",
    "DualSystem",
    "DualSystemConfig",
    "Observation",
    "Payload",
    "PlanShape",
    "Planner",
    "Policy",
    "PolicySource",
    "PolicySpec",
    "SignalReader",
    "chunk_player",
    "find_policy",
    "goal_servo",
    "policy_from_function",
    "policy_from_planner",
    "waypoint_follower",
]


__getattr__, __dir__ = lazy_exports(globals(), _EXPORTS)
