"""A dual system for given worlds."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from embodied.core import Controller, Observation, Planner, PolicySpec
from embodied.policies.bridges.coordinates import coordinates_of
from embodied.policies.dual_system import DualSystem, DualSystemConfig
from embodied.policies.limits import HoldAction

if TYPE_CHECKING:
    from embodied.envs.worlds import Worlds


def dual_system(
    worlds: Worlds,
    planner: Planner,
    controller: Controller,
    spec: PolicySpec,
    config: DualSystemConfig,
) -> DualSystem:
    """Returns planner and controller as one policy for these worlds.

    What the worlds know is filled in: which action elements are grippers, how the robot
    is stopped in their control mode, and what actions move.

    Args:
        worlds: where it is to act.
        planner: System 2.
        controller: System 1.
        spec: what both need of the worlds.
        config: how the two work together.
    """
    return DualSystem(
        planner,
        controller,
        config=replace(config, gripper_elements=worlds.interface.gripper_elements),
        spec=spec,
        hold_action=hold_action_of(worlds),
        interface=worlds.interface,
        coordinates=coordinates_of(worlds),
    )


def hold_action_of(worlds: Worlds) -> HoldAction | None:
    """Returns how robots are told to stay where they are; None in modes of speeds.

    In modes of speeds, rest is an action of zeros. In the control mode `joint`, whose
    actions are places, it is the present target of each joint.
    """
    if worlds.config.control_mode != "joint":
        return None

    # the worlds know their targets, which an observation need not show
    def hold(observation: Observation) -> np.ndarray:
        return worlds.interface.to_normalized(worlds.control.joint_target)

    return hold
