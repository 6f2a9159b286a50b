"""Finds which of a task's places the hand of a described robot reaches."""

from __future__ import annotations

from collections.abc import Sequence

import mujoco
import numpy as np

from embodied.robots.described.chain import Parts
from embodied.robots.described.home import HomeSearch
from embodied.robots.described.robot import Reading
from embodied.robots.described.tool import ToolPoint
from embodied.robots.described.ways import WayFinder
from embodied.robots.parts.gripper import TIP_M
from embodied.robots.parts.suction import SuctionGripper
from embodied.robots.work import WorkPlace

# Random postures from which a place is looked for that is not reached from home.
STARTS = 5
# Distance to keep from a joint's limits: hardly any, because the servos keep none.
MARGIN_RAD = 0.005
GRAVITY_M_S2 = 9.81


class PlaceFinder:
    """Moves a robot's first hand from its home to places, while the base stands still."""

    def __init__(self, reading: Reading) -> None:
        """Compiles the robot, and prepares inverse kinematics for its first hand."""
        robot = reading.bare  # without visual meshes, so it compiles fast
        effector = robot.effectors[0]
        arm = next(arm for arm in robot.arms if arm.name == effector.arm)
        self._prefix = f"{reading.description.name}_"
        self._model = robot.build().compile()
        site = self._model.site(effector.site)

        # Experts plan for a point TIP_M behind the fingertips, not for the described tcp.
        # Column 2 of the matrix is the tcp's z axis, out of the hand.
        axes = np.zeros(9)
        mujoco.mju_quat2Mat(axes, site.quat)
        gripper = robot.gripper_of(effector)
        is_cup = isinstance(gripper, SuctionGripper)
        ahead_m = 0.0 if is_cup else gripper.tip_m - TIP_M
        pos = site.pos + ahead_m * axes.reshape(3, 3)[:, 2]

        self._names = [name.removeprefix(self._prefix) for name in arm.joints.names]
        # the largest torque of each joint in N m; None if the file gives none
        limits = reading.source.limits
        self._torque_limits = [limits.get(name) for name in self._names]
        joints = tuple(int(self._model.joint(name).id) for name in arm.joints.names)
        # inverse kinematics does not need the hand's own joints
        hand = int(self._model.jnt_bodyid[joints[-1]])
        parts = Parts(joints, hand, ())
        tool = ToolPoint(int(site.bodyid[0]), pos, site.quat.copy())
        self._search = HomeSearch(self._model, parts, tool, MARGIN_RAD)
        self._home = np.array(arm.joints.home)
        self._ways = WayFinder(self._search, self._model, joints, self._home)

    def missed(self, places: Sequence[WorkPlace]) -> list[str]:
        """Returns the names of the places that the hand does not reach, with a reason.

        The reason, two bodies that collide, is left out if a place is out of reach.
        """
        missed = []
        for place in places:
            pos_w = np.array(place.pos_w)
            way = self._ways.way_to(pos_w, place.axes_w)
            if way.overlap:
                names = [name.removeprefix(self._prefix) for name in way.overlap]
                missed.append(f"{place.name} ({' meets '.join(names)} on the way)")
            elif not way.is_reached and not self._is_in_reach(pos_w, place.axes_w):
                missed.append(place.name)
        return missed

    def overloads(self, places: Sequence[WorkPlace], payload_kg: float) -> list[str]:
        """Returns a sentence about the weakest joint if it cannot hold a payload.

        The list is empty if all joints hold the payload at all places. The weight of the
        arm itself is compensated, so it does not count.
        """
        # the least mass that some joint can hold, and the sentence about that joint
        weakest = (payload_kg, "")
        for place in places:
            way = self._ways.way_to(np.array(place.pos_w), place.axes_w)
            if way.posture is None:
                continue

            # a joint holds its torque limit / (gravity * lever); 1e-9: a lever may be 0
            levers_m = self._search.levers_m(way.posture)
            for name, limit, lever_m in zip(
                self._names, self._torque_limits, levers_m, strict=True
            ):
                if limit is None:
                    continue
                held_kg = limit / max(GRAVITY_M_S2 * float(lever_m), 1e-9)
                if held_kg < weakest[0]:
                    holds = f"joint {name} holds {held_kg:.2g} kg at {place.name}, and"
                    limited = f"are to be lifted: its torque limit is {limit:.3g} N m"
                    weakest = (held_kg, f"{holds} {payload_kg:g} kg {limited}")
        return [weakest[1]] if weakest[1] else []

    def _is_in_reach(self, pos_w: np.ndarray, axes_w: np.ndarray) -> bool:
        """Returns whether inverse kinematics finds any posture with the hand at a place.

        It starts from the home and from STARTS random postures.
        """
        starts = [self._home, *self._search.random_postures(STARTS)]
        return any(
            self._search.reach(start, pos_w, axes_w) is not None for start in starts
        )
