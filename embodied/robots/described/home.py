"""Finds home postures of an arm by inverse kinematics: the hand in front, pointing down."""

from __future__ import annotations

import mujoco
import numpy as np

from embodied.robots.described.chain import Parts
from embodied.robots.described.tool import ToolPoint

# Start postures of the search. It ends early when ENOUGH postures are found.
STARTS = 48
ENOUGH = 16
# The largest number of steps from each start.
STEPS = 120
# The goal is reached with errors below these.
NEAR_M = 1e-3
NEAR_RAD = 5e-3
DAMPING = 0.05  # of the damped least squares
STEP_RAD = 0.3  # the largest motion of a joint in a step
# Share of the way home that redundant joints go in a step, and the least number of steps
# before a posture is accepted, so that they come near home.
HOME_GAIN = 0.1
DRAWN_STEPS = 8
# Distance to keep from a joint's limits, or from +-pi for a joint without limits.
MARGIN_RAD = 0.05
# The cost of a posture is TURN_COST per rad of the mean absolute joint angle, minus
# HEIGHT_GAIN_PER_M per m of the joints' mean height, minus the smallest margin to a joint
# limit as a share of the joint's range: joints far from limits, high above the table.
TURN_COST = 0.1
HEIGHT_GAIN_PER_M = 3.0
# The goal axes of the hand in the world, as columns: x forwards, z down.
DOWN = np.array([[1.0, 0, 0], [0, -1, 0], [0, 0, -1]])


class HomeSearch:
    """Inverse kinematics of a model's arm, from many start postures.

    The random starts have a fixed seed, so the same model gives the same postures.
    """

    def __init__(
        self,
        model: mujoco.MjModel,
        parts: Parts,
        tool: ToolPoint,
        margin_rad: float = MARGIN_RAD,
        rest: np.ndarray | None = None,
    ) -> None:
        """Prepares the search for one arm.

        Args:
            model: the robot's model.
            parts: the ids of the arm's joints.
            tool: the pose of the tcp on its body.
            margin_rad: distance that the joints keep from their limits.
            rest: (nq,) positions of joints outside the arm; None for the file's.
        """
        self._margin_rad = margin_rad
        self._model = model
        self._data = mujoco.MjData(model)
        if rest is not None:
            self._data.qpos[:] = rest
        self._tool = tool

        # indices of the arm's joints in `qpos`, and in velocities
        self._joints = list(parts.arm)
        self._qpos = [int(model.jnt_qposadr[j]) for j in parts.arm]
        self._dofs = [int(model.jnt_dofadr[j]) for j in parts.arm]

        # A joint without a range may turn by half a turn each way. The margins of a joint
        # with a short range leave it half of the range.
        limits = []
        for j in parts.arm:
            low, high = model.jnt_range[j] if model.jnt_limited[j] else (-np.pi, np.pi)
            margin = min(margin_rad, (high - low) / 4)
            limits.append((low + margin, high - margin))
        self._low, self._high = np.array(limits).T

    def postures(
        self, place: np.ndarray, down: np.ndarray = DOWN
    ) -> list[tuple[np.ndarray, bool]]:
        """Returns postures (J,) with the hand at a place, best first.

        Each posture comes with a flag: whether the hand is rotated by 180 degrees about
        its z axis, so that the x axis of the tool centre point (tcp) points backwards.
        As both fingers are alike, such a posture is as good.

        Args:
            place: (3,) m, the goal of the tcp in the file's world.
            down: (3, 3) the goal axes of the tcp, as columns.
        """
        rng = np.random.default_rng(0)
        found = []
        for k in range(STARTS):
            # the first start is the file's initial posture
            start = self._model.qpos0[self._qpos]
            if k:
                start = rng.uniform(self._low, self._high)

            # try the hand with x forwards, then with x and y reversed
            for is_reversed, goal_axes in ((False, down), (True, down * [-1, -1, 1])):
                posture = self.reach(start, place, goal_axes)
                if posture is not None:
                    found.append((self._cost(posture), posture, is_reversed))
                    break
            if len(found) == ENOUGH:
                break
        found.sort(key=lambda entry: entry[0])  # by cost
        return [(posture, is_reversed) for _, posture, is_reversed in found]

    def random_postures(self, count: int) -> list[np.ndarray]:
        """Returns postures (J,) within the joints' ranges, always the same ones."""
        rng = np.random.default_rng(0)
        return [rng.uniform(self._low, self._high) for _ in range(count)]

    def _cost(self, posture: np.ndarray) -> float:
        """Returns the cost of a posture (J,); see TURN_COST and HEIGHT_GAIN_PER_M."""
        # a margin counts as a share of its joint's range, or of a full turn if less
        ranges = np.minimum(self._high - self._low, 2 * np.pi)
        margin = np.minimum(posture - self._low, self._high - posture) / ranges
        height = float(self._data_at(posture).xanchor[self._joints, 2].mean())
        mean_angle = float(np.abs(posture).mean())
        return TURN_COST * mean_angle - float(margin.min()) - HEIGHT_GAIN_PER_M * height

    def _data_at(self, posture: np.ndarray) -> mujoco.MjData:
        """Returns the state, shared by all calls, with the arm in a posture (J,)."""
        self._data.qpos[self._qpos] = posture
        mujoco.mj_kinematics(self._model, self._data)
        mujoco.mj_comPos(self._model, self._data)  # `mj_jac` needs its results
        return self._data

    def margin_rad(self, posture: np.ndarray) -> float:
        """Returns the smallest distance, in rad, of a posture (J,) from a joint's limit."""
        # `_low` and `_high` are already inside the limits by `_margin_rad`
        margin = np.minimum(posture - self._low, self._high - posture)
        return self._margin_rad + float(margin.min())

    def tool_pose(self, posture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns the tcp's position (3,) m and axes (3, 3), as columns, in a posture."""
        data = self._data_at(posture)
        tool_axes = np.zeros(9)
        mujoco.mju_quat2Mat(tool_axes, self._tool.quat_wxyz)
        body_axes = data.xmat[self._tool.body].reshape(3, 3)
        point = data.xpos[self._tool.body] + body_axes @ self._tool.pos
        return point, body_axes @ tool_axes.reshape(3, 3)

    def levers_m(self, posture: np.ndarray) -> np.ndarray:
        """Returns the levers (J,), in m, of a weight at the tcp about each joint.

        A lever is the torque in N m that a weight of 1 N puts on the joint.
        """
        point, _ = self.tool_pose(posture)
        pos_jac = np.zeros((3, self._model.nv))
        mujoco.mj_jac(self._model, self._data, pos_jac, None, point, self._tool.body)
        # row 2 of the Jacobian: how far the tcp rises per rad of each joint
        return np.abs(pos_jac[2, self._dofs])

    def overlaps(self, posture: np.ndarray) -> dict[frozenset[int], float]:
        """Returns how deep pairs of bodies penetrate each other, pair of ids -> m."""
        data = self._data_at(posture)
        mujoco.mj_collision(self._model, data)
        depths: dict[frozenset[int], float] = {}
        for contact in data.contact[: data.ncon]:
            pair = frozenset(int(self._model.geom_bodyid[g]) for g in contact.geom)
            depths[pair] = max(depths.get(pair, 0.0), -float(contact.dist))
        return depths

    def reach(
        self,
        start: np.ndarray,
        place: np.ndarray,
        goal_axes: np.ndarray,
        home: np.ndarray | None = None,
    ) -> np.ndarray | None:
        """Returns a posture (J,) with the tcp at a goal pose; None if none is found.

        Args:
            start: (J,) rad, the start of the search.
            place: (3,) m, goal position of the tcp in the file's world.
            goal_axes: (3, 3) goal axes of the tcp, as columns.
            home: (J,) rad, a posture to which redundant joints are drawn, as in the
                control mode `ee_delta`; None for no such pull.
        """
        model = self._model
        posture = np.clip(start, self._low, self._high)
        pos_jac = np.zeros((3, model.nv))
        rot_jac = np.zeros((3, model.nv))
        for k in range(STEPS):
            point, axes = self.tool_pose(posture)
            data = self._data
            # position error (3,) m, and rotation error (3,) rad for small angles
            pos_error = place - point
            rot_error = sum(np.cross(axes[:, k], goal_axes[:, k]) for k in range(3)) / 2

            # Cross products also vanish at 180 degrees from the goal. Leave such a posture
            # with a rotation in an arbitrary direction.
            is_opposite = np.trace(axes.T @ goal_axes) < 0
            if is_opposite and np.linalg.norm(rot_error) < NEAR_RAD:
                rot_error = np.array([0.3, 0.2, 0.1])

            is_near = np.linalg.norm(pos_error) < NEAR_M
            is_aligned = np.linalg.norm(rot_error) < NEAR_RAD and not is_opposite
            has_drawn_home = home is None or k >= DRAWN_STEPS
            if is_near and is_aligned and has_drawn_home:
                return posture

            # a step of damped least squares
            mujoco.mj_jac(model, data, pos_jac, rot_jac, point, self._tool.body)
            jac = np.concatenate([pos_jac, rot_jac])[:, self._dofs]  # (6, J)
            error = np.concatenate([pos_error, rot_error])
            gram = jac @ jac.T + DAMPING**2 * np.eye(6)
            step = jac.T @ np.linalg.solve(gram, error)
            if home is not None:
                # a step home, less its component that would move the hand
                drawn = HOME_GAIN * (home - posture)
                step += drawn - np.linalg.pinv(jac) @ (jac @ drawn)
            # shorten the step to STEP_RAD for the fastest joint; 1e-9: no division by 0
            step *= min(1.0, STEP_RAD / max(float(np.abs(step).max()), 1e-9))
            posture = np.clip(posture + step, self._low, self._high)
        return None
