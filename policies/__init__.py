"""Planners, controllers, the dual system that joins them, and training.

What a policy of one's own is written with can be imported from here:
`from embodied.policies import policy_from_planner` (docs/your_planner.md). Nothing is
loaded before it is asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from embodied.core import (
        SKILLS,
        Array,
        Controller,
        Observation,
        Payload,
        Planner,
        PlanShape,
        Policy,
        PolicySpec,
    )
    from embodied.policies.custom import (
        SERVO_SPEC,
        SignalReader,
        goal_servo,
        policy_from_function,
        policy_from_planner,
    )
    from embodied.policies.dual_system import DualSystem, DualSystemConfig
    from embodied.policies.registry import PolicySource, find_policy

_EXPORTS = {
    "embodied.core": (
        "SKILLS",
        "Array",
        "Controller",
        "Observation",
        "Payload",
        "PlanShape",
        "Planner",
        "Policy",
        "PolicySpec",
    ),
    "embodied.policies.custom": (
        "SERVO_SPEC",
        "SignalReader",
        "goal_servo",
        "policy_from_function",
        "policy_from_planner",
    ),
    "embodied.policies.dual_system": ("DualSystem", "DualSystemConfig"),
    "embodied.policies.registry": ("PolicySource", "find_policy"),
}
_MODULE_OF = {name: module for module, names in _EXPORTS.items() for name in names}

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
    "find_policy",
    "goal_servo",
    "policy_from_function",
    "policy_from_planner",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_MODULE_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
