"""Where an arm starts: the hand in front of the mount, pointing down."""

from __future__ import annotations

import mujoco
import numpy as np

from embodied.robots.described.chain import Parts
from embodied.robots.described.tool import ToolPoint

# Of the search: how many starts, how many steps of each, and what is near enough.
STARTS = 48
ENOUGH = 16  # postures to choose from
STEPS = 120
NEAR_M = 1e-3
NEAR_RAD = 5e-3
DAMPING = 0.05  # of the least squares
STEP_RAD = 0.3  # the most that a joint turns in a step
# From a limit, in rad, and from an endless joint's half turn.
MARGIN_RAD = 0.05
# What a home's cost has for each rad that its joints are turned by, on the mean, and
# how much it gains by joints that are high; a margin of a whole range counts 1.
TURN_COST = 0.1
HEIGHT_GAIN_PER_M = 3.0
# The hand's axes in the world: x ahead, z down; the fingers are alike, so y either way.
DOWN = np.array([[1.0, 0, 0], [0, -1, 0], [0, 0, -1]])


class HomeSearch:
    """Inverse kinematics of a model's arm, from many starts; always the same ones."""

    def __init__(self, model: mujoco.MjModel, parts: Parts, tool: ToolPoint) -> None:
        self._model = model
        self._data = mujoco.MjData(model)
        self._tool = tool
        self._joints = list(parts.arm)
        self._qpos = [int(model.jnt_qposadr[j]) for j in parts.arm]
        self._dofs = [int(model.jnt_dofadr[j]) for j in parts.arm]
        limits = []
        for j in parts.arm:
            low, high = model.jnt_range[j] if model.jnt_limited[j] else (-np.pi, np.pi)
            limits.append((low + MARGIN_RAD, high - MARGIN_RAD))
        self._low, self._high = np.array(limits).T

    def postures(self, place: np.ndarray) -> list[tuple[np.ndarray, bool]]:
        """Returns postures (J,) with the hand at a place (3,) in the file, best first.

        With each goes whether the hand is turned by half about its own z there, so that
        the tool point's x looks backwards.
        """
        rng = np.random.default_rng(0)
        found = []
        for k in range(STARTS):
            # the first start is the file's own
            start = self._model.qpos0[self._qpos]
            if k:
                start = rng.uniform(self._low, self._high)
            # the hand as it is, and turned by half about its own z
            for is_turned, turn in ((False, DOWN), (True, DOWN * [-1, -1, 1])):
                posture = self.reach(start, place, turn)
                if posture is not None:
                    found.append((self._cost(posture), posture, is_turned))
                    break
            if len(found) == ENOUGH:
                break
        found.sort(key=lambda one: one[0])
        return [(posture, is_turned) for _, posture, is_turned in found]

    def _cost(self, posture: np.ndarray) -> float:
        """Returns how bad a posture is: near to limits, turned far, with a low elbow."""
        span = np.minimum(self._high - self._low, 2 * np.pi)
        margin = np.minimum(posture - self._low, self._high - posture) / span
        height = float(self._data_at(posture).xanchor[self._joints, 2].mean())
        turned = float(np.abs(posture).mean())
        return TURN_COST * turned - float(margin.min()) - HEIGHT_GAIN_PER_M * height

    def _data_at(self, posture: np.ndarray) -> mujoco.MjData:
        self._data.qpos[self._qpos] = posture
        mujoco.mj_kinematics(self._model, self._data)
        # `mj_jac` needs the centres of mass, too
        mujoco.mj_comPos(self._model, self._data)
        return self._data

    def margin_rad(self, posture: np.ndarray) -> float:
        """Returns how near a posture (J,) is to an end of a joint's range."""
        margin = np.minimum(posture - self._low, self._high - posture)
        return MARGIN_RAD + float(margin.min())

    def reach(
        self, start: np.ndarray, place: np.ndarray, turn: np.ndarray
    ) -> np.ndarray | None:
        """Returns a posture that brings the tool point to a place; None if none is found.

        Args:
            start: (J,) rad, the posture that the search begins with.
            place: (3,) m in the file.
            turn: (3, 3) the hand's axes there, as columns.
        """
        model = self._model
        posture = np.clip(start, self._low, self._high)
        pos_jac = np.zeros((3, model.nv))
        rot_jac = np.zeros((3, model.nv))
        tool_axes = np.zeros(9)
        mujoco.mju_quat2Mat(tool_axes, self._tool.quat_wxyz)
        for _ in range(STEPS):
            data = self._data_at(posture)
            body_axes = data.xmat[self._tool.body].reshape(3, 3)
            point = data.xpos[self._tool.body] + body_axes @ self._tool.pos
            axes = body_axes @ tool_axes.reshape(3, 3)
            # what is left: (3,) m, and (3,) rad by a formula that holds for small turns
            away = place - point
            turned = sum(np.cross(axes[:, k], turn[:, k]) for k in range(3)) / 2
            # half a turn off, this error vanishes: a push in any direction helps
            is_against = np.trace(axes.T @ turn) < 0
            if is_against and np.linalg.norm(turned) < NEAR_RAD:
                turned = np.array([0.3, 0.2, 0.1])
            is_there = np.linalg.norm(away) < NEAR_M
            if is_there and np.linalg.norm(turned) < NEAR_RAD and not is_against:
                return posture

            mujoco.mj_jac(model, data, pos_jac, rot_jac, point, self._tool.body)
            jac = np.concatenate([pos_jac, rot_jac])[:, self._dofs]
            error = np.concatenate([away, turned])
            gram = jac @ jac.T + DAMPING**2 * np.eye(6)
            step = jac.T @ np.linalg.solve(gram, error)
            step *= min(1.0, STEP_RAD / max(float(np.abs(step).max()), 1e-9))
            posture = np.clip(posture + step, self._low, self._high)
        return None
