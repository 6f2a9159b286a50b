"""Measures the gripper of a described robot on its model.

It finds the closed and the open posture, the opening width, the pads and the fingertips,
and checks the axes of the tool centre point (tcp).
"""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np

from embodied.errors import EmbodiedError
from embodied.robots.described.description import DescribedArm
from embodied.robots.described.faces import FaceFinder, PadFace
from embodied.robots.described.holding import subtree
from embodied.robots.described.linkage import hand_geoms, scratch, settled
from embodied.robots.described.source import FileArm
from embodied.robots.described.tcp_axes import TcpSite, check_tcp_axes, in_tcp_frame
from embodied.robots.geometry import main_axis, points_of
from embodied.robots.parts.gripper import PALM_M, TIP_M

# Differences of distances below this are noise. They neither tell which end of a finger's
# range is closed, nor count as a motion.
NOISE_M = 5e-4
# Share of a turning finger's way at which its direction is measured: an arc bends later.
BEGINNING_SHARE = 0.3
# A closed gripper with a gap below this counts as fully closed.
TOUCHING_M = 1.5e-3
# A gripper must open by at least this width.
LEAST_WIDTH_M = 5e-3
# Safety margin between the palm and an object in front of it.
PALM_MARGIN_M = 0.005
# The measured distance from the tcp to the fingertips is clipped to this range.
TIP_RANGE_M = (-0.02, 0.10)


@dataclass(frozen=True)
class Hand:
    """The measurements of a gripper. Names are those of the model file.

    Attributes:
        fingers: (F,) names of the driven joints.
        closed: (F,) their positions when the gripper is closed, m or rad.
        open: (F,) their positions when the gripper is open, m or rad.
        qpos0: (F,) their positions in the file's initial posture, m or rad.
        moving: (M,) names of all joints of the hand, linkages included.
        open_all: (M,) their positions when the gripper is open, m or rad.
        width_m: Distance between the pads when the gripper is open.
        gap_m: Distance between the pads when the gripper is closed; 0 if they touch.
        faces: The inner faces of the two pads, at +y and at -y of the tcp.
        pads: Names of the geoms that grip: the described ones, or those of the faces.
        tip_m: Distance from the tcp to the tips of the closed fingers, along its z axis.
        palm_m: Free space in front of the palm: from a point 20 mm behind the fingertips
            back to the palm, minus PALM_MARGIN_M, at most PALM_M.
        touching: Pairs of bodies of the hand that overlap when it is open, such as
            neighbouring links.
    """

    fingers: tuple[str, ...]
    closed: tuple[float, ...]
    open: tuple[float, ...]
    qpos0: tuple[float, ...]
    moving: tuple[str, ...]
    open_all: tuple[float, ...]
    width_m: float
    gap_m: float
    faces: tuple[PadFace, PadFace]
    pads: tuple[str, ...]
    tip_m: float
    palm_m: float
    touching: tuple[tuple[str, str], ...] = ()


def measure_hand(
    model: mujoco.MjModel, arm: DescribedArm, names: FileArm, prefix: str, site: str
) -> Hand:
    """Returns the measurements of an arm's gripper.

    Args:
        model: The robot, before the gripper's actuator is added.
        arm: The description of the arm.
        names: The names of the arm's elements in the model file.
        prefix: The prefix of the file's names in the model.
        site: The name of the tcp's site in the model.

    Raises:
        EmbodiedError: the gripper does not open between its postures, or the axes of the
            tcp do not match the hand.
    """
    return _Measurement(model, arm, names, prefix, site).hand()


class _Measurement:
    """Measures one arm's gripper in a copy of the model, with the arm at home."""

    def __init__(
        self,
        model: mujoco.MjModel,
        arm: DescribedArm,
        names: FileArm,
        prefix: str,
        site: str,
    ) -> None:
        self._model = scratch(model)  # a copy without gravity, contacts and servos
        self._arm = arm
        self._names = names
        self._prefix = prefix
        self._site = model.site(site).id

        # names of the arm's joints and of the driven finger joints
        self._joints = [prefix + name for name in names.joints]
        self._fingers = [prefix + name for name in names.fingers]
        # ids of the hand's bodies: all that the arm's last joint moves
        last_joint = model.joint(self._joints[-1])
        self._bodies = subtree(model, int(last_joint.bodyid[0]))
        # ids of the hand's joints, and of those that are not driven
        self._hand_joints = [
            j for j in range(model.njnt) if int(model.jnt_bodyid[j]) in self._bodies
        ]
        self._hand_joints.remove(last_joint.id)  # listed under the body that it moves
        self._passive = [
            j for j in self._hand_joints if model.joint(j).name not in self._fingers
        ]

    def hand(self) -> Hand:
        """Returns the gripper's measurements, after a check of its tcp and width."""
        closed, opened = self._postures()
        at_closed = self._data_at(closed)
        at_open = self._data_at(opened)
        finger_geoms = self._finger_geoms(at_closed, at_open)
        check_tcp_axes(
            TcpSite(self._model, self._site, self._prefix),
            wrist_joint=self._model.joint(self._joints[-1]).id,
            finger_geoms=finger_geoms,
            at_closed=at_closed,
            # turning fingers show the direction of opening only as they begin to open
            at_open=self._beginning_to_open(closed, opened),
        )

        # find the pads' faces in the open hand, and follow them to the closed posture
        faces = self._faces(finger_geoms, at_open)
        width_m = self._width(faces, at_open)
        gap_m = self._width(faces, at_closed)
        self._check_widths(gap_m, width_m)
        if abs(gap_m) <= TOUCHING_M:
            gap_m = 0.0

        moving = [self._model.joint(j).name for j in self._hand_joints]
        addresses = [int(self._model.jnt_qposadr[j]) for j in self._hand_joints]
        return Hand(
            fingers=self._names.fingers,
            closed=closed,
            open=opened,
            qpos0=self._qpos0(),
            moving=tuple(name.removeprefix(self._prefix) for name in moving),
            open_all=tuple(float(at_open.qpos[address]) for address in addresses),
            width_m=round(width_m, 6),
            gap_m=round(gap_m, 6),
            faces=faces,
            pads=self._names.pads or faces[0].geoms + faces[1].geoms,
            tip_m=self._tip_m(finger_geoms, at_closed),
            palm_m=self._palm_m(finger_geoms, at_closed),
            touching=self._touching(at_open),
        )

    # Postures
    # ----------------------------------------------------------------------------------

    def _beginning_to_open(
        self, closed: tuple[float, ...], opened: tuple[float, ...]
    ) -> mujoco.MjData:
        """Returns the state with turning fingers hardly open, and sliding ones fully."""
        positions = []
        for name, closed_at, open_at in zip(self._fingers, closed, opened, strict=True):
            is_hinge = self._model.joint(name).type[0] == mujoco.mjtJoint.mjJNT_HINGE
            positions.append(
                closed_at + BEGINNING_SHARE * (open_at - closed_at)
                if is_hinge
                else open_at
            )
        return self._data_at(tuple(positions))

    def _postures(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Returns the positions (F,) of the closed and of the open fingers.

        They are the described ones, or the ends of the fingers' ranges: a finger is
        closed at the end that is nearer to the tcp.
        """
        gripper = self._arm.gripper
        if gripper.closed:
            self._check_not_exchanged(gripper.closed, gripper.open)
            return gripper.closed, gripper.open

        closed = []
        opened = []
        for name in self._fingers:
            joint = self._model.joint(name)
            file_name = name.removeprefix(self._prefix)
            if not self._model.jnt_limited[joint.id]:
                raise EmbodiedError(
                    f"finger {file_name!r} has no range: write its positions as "
                    "gripper.closed and gripper.open"
                )
            low, high = (float(end) for end in joint.range)
            low_m, high_m = self._tcp_distances(name, low, high)  # from the tcp
            if abs(low_m - high_m) < NOISE_M:
                raise EmbodiedError(
                    f"cannot tell which way finger {file_name!r} closes: it is equally far "
                    f"from the tcp at {low:.4g} and at {high:.4g}. Set gripper.closed and "
                    "gripper.open, or correct the tcp's y axis"
                )
            closed.append(low if low_m < high_m else high)
            opened.append(high if low_m < high_m else low)
        return tuple(closed), tuple(opened)

    def _check_not_exchanged(
        self, closed: tuple[float, ...], opened: tuple[float, ...]
    ) -> None:
        """Raises EmbodiedError if a finger is nearer to the tcp when it is open."""
        for name, closed_at, open_at in zip(self._fingers, closed, opened, strict=True):
            closed_m, open_m = self._tcp_distances(name, closed_at, open_at)
            if closed_m > open_m + NOISE_M:
                raise EmbodiedError(
                    f"finger {name.removeprefix(self._prefix)!r} is "
                    f"{1000 * closed_m:.0f} mm from the tcp at gripper.closed and "
                    f"{1000 * open_m:.0f} mm at gripper.open: exchange the two"
                )

    def _tcp_distances(
        self, finger: str, first: float, second: float
    ) -> tuple[float, float]:
        """Returns a finger's mean distance from the tcp at two joint positions, in m.

        Only the distance along the finger's direction of motion counts.
        """
        joint = self._model.joint(finger)
        bodies = subtree(self._model, int(joint.bodyid[0]))
        geoms = [g for g in self._hand_geoms() if self._model.geom_bodyid[g] in bodies]
        if not geoms:
            raise EmbodiedError(
                f"finger {finger.removeprefix(self._prefix)!r} has no geoms that could "
                "grip: add one to its body in the model file"
            )

        # points of the finger at both positions, in the tcp's frame
        data = self._home_data()
        before, after = (
            self._finger_points(data, int(joint.qposadr[0]), position, geoms)
            for position in (first, second)
        )
        motion = main_axis(before, after)
        first_m = abs(float(np.mean(before @ motion)))
        second_m = abs(float(np.mean(after @ motion)))
        return first_m, second_m

    def _finger_points(
        self, data: mujoco.MjData, address: int, position: float, geoms: list[int]
    ) -> np.ndarray:
        """Returns points (n, 3) of geoms in the tcp's frame, with one joint moved.

        Args:
            data: The state of the hand; this function moves the joint in it.
            address: The joint's index in `qpos`.
            position: The position to move the joint to, m or rad.
            geoms: The ids of the geoms.
        """
        data.qpos[address] = position
        mujoco.mj_kinematics(self._model, data)
        points_w = [points_of(self._model, data, geom) for geom in geoms]
        return self._in_tcp_frame(data, np.concatenate(points_w))

    def _qpos0(self) -> tuple[float, ...]:
        """Returns the positions (F,) of the fingers in the file's initial posture."""
        addresses = [int(self._model.joint(name).qposadr[0]) for name in self._fingers]
        return tuple(float(self._model.qpos0[address]) for address in addresses)

    def _home_data(self) -> mujoco.MjData:
        """Returns the state with the arm at home, before kinematics are computed."""
        data = mujoco.MjData(self._model)
        for name, angle in zip(self._joints, self._arm.home, strict=True):
            data.qpos[self._model.joint(name).qposadr[0]] = angle
        return data

    def _data_at(self, positions: tuple[float, ...]) -> mujoco.MjData:
        """Returns the state with fingers at positions (F,) and their linkages at rest."""
        home = self._home_data()
        return settled(self._model, home, self._fingers, positions, self._passive)

    # Geometry
    # ----------------------------------------------------------------------------------

    def _in_tcp_frame(self, data: mujoco.MjData, points_w: np.ndarray) -> np.ndarray:
        """Returns world points (n, 3) in the tcp's frame."""
        return in_tcp_frame(data, self._site, points_w)

    def _hand_geoms(self) -> list[int]:
        """Returns the ids of the hand's geoms that collide, or of all if none does."""
        return hand_geoms(self._model, self._bodies, self._fingers)

    def _finger_geoms(
        self, at_closed: mujoco.MjData, at_open: mujoco.MjData
    ) -> list[int]:
        """Returns the ids of the hand's geoms that move when it opens."""
        moved = []
        for geom in self._hand_geoms():
            # in the tcp's frame, because it does not move with the fingers
            closed, opened = (
                self._in_tcp_frame(data, points_of(self._model, data, geom))
                for data in (at_closed, at_open)
            )
            if np.abs(closed - opened).max() > NOISE_M:
                moved.append(geom)

        if not moved:
            raise EmbodiedError(
                f"nothing moves between gripper.closed {list(self._postures()[0])} and "
                f"gripper.open {list(self._postures()[1])}: give two different postures "
                f"of {', '.join(self._names.fingers)}"
            )
        return moved

    def _faces(
        self, geoms: list[int], at_open: mujoco.MjData
    ) -> tuple[PadFace, PadFace]:
        """Returns the pads' inner faces, found by rays from the tcp along +y and -y."""
        pads = [self._model.geom(self._prefix + name).id for name in self._names.pads]
        finder = FaceFinder(self._model, at_open, self._site, self._prefix)
        attempts = (
            (pads, False),  # the described pads
            (geoms, False),  # the fingers
            (geoms, True),  # three fingers: none is exactly opposite another
            (self._hand_geoms(), False),  # one finger opposite a fixed jaw
        )

        for targets, is_wide in attempts:
            faces = finder.find(targets, is_wide)
            if faces is not None:
                return faces
        raise EmbodiedError(
            "the tcp is not between the fingers: rays from it along +y and -y do not hit "
            "two of them when the gripper is open; correct tcp"
        )

    def _width(self, faces: tuple[PadFace, PadFace], data: mujoco.MjData) -> float:
        """Returns the distance between two faces along the tcp's y axis, in m."""
        points_w = []
        for face in faces:
            body = self._model.body(self._prefix + face.body).id
            points_w.append(data.xpos[body] + data.xmat[body].reshape(3, 3) @ face.pos)
        left_y, right_y = self._in_tcp_frame(data, np.array(points_w))[:, 1]
        return float(left_y - right_y)

    def _check_widths(self, gap_m: float, width_m: float) -> None:
        """Raises EmbodiedError if a gripper opens by less than LEAST_WIDTH_M."""
        if width_m - max(gap_m, 0.0) < LEAST_WIDTH_M:
            raise EmbodiedError(
                f"the gripper opens only from {1000 * gap_m:.1f} to {1000 * width_m:.1f} "
                f"mm, expected at least {1000 * LEAST_WIDTH_M:.0f} mm more: correct "
                "gripper.closed and gripper.open, or tcp if it is not between the fingers"
            )

    def _tip_m(self, geoms: list[int], at_closed: mujoco.MjData) -> float:
        """Returns the distance from the tcp to the closed fingertips along its z axis.

        It is clipped to TIP_RANGE_M.
        """
        finder = FaceFinder(self._model, at_closed, self._site, self._prefix)
        tip_m = finder.tip_m(geoms)
        # tips that stay apart let the rays through: take the fingers' farthest point
        if tip_m is None or tip_m <= TIP_RANGE_M[0]:
            points_w = [points_of(self._model, at_closed, geom) for geom in geoms]
            points = self._in_tcp_frame(at_closed, np.concatenate(points_w))
            tip_m = points[:, 2].max()
        return round(float(np.clip(tip_m, *TIP_RANGE_M)), 4)

    def _palm_m(self, geoms: list[int], at_closed: mujoco.MjData) -> float:
        """Returns the free space in front of the palm, see `Hand.palm_m`."""
        palm_geoms = [geom for geom in self._hand_geoms() if geom not in geoms]
        finder = FaceFinder(self._model, at_closed, self._site, self._prefix)
        # the z of a point TIP_M (20 mm) behind the fingertips, in the tcp's frame
        from_m = self._tip_m(geoms, at_closed) - TIP_M
        behind_m = finder.behind_m(palm_geoms, from_m)
        return round(float(np.clip(behind_m - PALM_MARGIN_M, 0.0, PALM_M)), 4)

    def _touching(self, at_open: mujoco.MjData) -> tuple[tuple[str, str], ...]:
        """Returns the pairs of the hand's bodies that overlap when it is open."""
        model = self._model
        # enable contacts, which `scratch` has disabled
        model.opt.disableflags &= ~int(mujoco.mjtDisableBit.mjDSBL_CONTACT)
        mujoco.mj_forward(model, at_open)
        pairs = set()
        for contact in at_open.contact[: at_open.ncon]:
            bodies = sorted(int(model.geom_bodyid[geom]) for geom in contact.geom)
            if contact.dist < 0 and self._bodies.issuperset(bodies):
                names = (model.body(body).name for body in bodies)
                first, second = (name.removeprefix(self._prefix) for name in names)
                pairs.add((first, second))
        return tuple(sorted(pairs))
