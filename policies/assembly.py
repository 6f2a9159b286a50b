"""Makes a dual system for given worlds."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from embodied.core import Observation, PolicySpec
from embodied.plan import Controller, Planner
from embodied.policies.bridges.coordinates import coordinate_reader
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

    The properties that depend on the worlds are filled in: the gripper elements of
    actions, the actions of rest, and the coordinates that actions move.

    Args:
        worlds: the worlds that the policy acts in.
        planner: the slow planner (System 2).
        controller: the fast controller (System 1).
        spec: the requirements of planner and controller on the worlds.
        config: the timing, and the limits on actions.
    """
    return DualSystem(
        planner,
        controller,
        config=replace(config, gripper_elements=worlds.interface.gripper_elements),
        spec=spec,
        hold_action=hold_action_reader(worlds),
        interface=worlds.interface,
        coordinates=coordinate_reader(worlds),
    )


def hold_action_reader(worlds: Worlds) -> HoldAction | None:
    """Returns a function that gives the actions of robots at rest, or None.

    In the control mode `joint`, whose actions are positions, the actions of rest are the
    current joint targets. In modes of velocities they are zeros, for which no function is
    needed: None.
    """
    if worlds.config.control_mode != "joint":
        return None

    # the targets are read from the worlds, since observations do not contain them
    def hold(observation: Observation) -> np.ndarray:
        return worlds.interface.to_normalized(worlds.control.joint_target)

    return hold
