"""What a user's hand is, measured on its model: postures, width, tips, and its axes."""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np

from embodied.errors import EmbodiedError
from embodied.robots.described.description import DescribedArm
from embodied.robots.described.faces import FaceFinder, PadFace
from embodied.robots.described.geometry import main_axis, points_of, solid_geoms
from embodied.robots.described.holding import subtree
from embodied.robots.described.linkage import scratch, settled
from embodied.robots.described.source import FileArm
from embodied.robots.parts.gripper import PALM_M, TIP_M

# How far the tool point's axes may be off, in degrees: y from the direction of opening,
# z from the direction out of the hand.
OPENING_OFF_DEG = 20.0
OUT_OFF_DEG = 45.0
# A finger's sense is clear where its ends differ by this much from the tool point.
CLEAR_M = 5e-4
# The width of a closed gripper that counts as 0.
TOUCHING_M = 1.5e-3
# A gripper must open at least this wide.
LEAST_WIDTH_M = 5e-3
# Between the palm and what stands before it.
PALM_ROOM_M = 0.005
# Finger tips are taken to be within these from the tool point, whatever a model has.
TIPS_M = (-0.02, 0.10)


@dataclass(frozen=True)
class Hand:
    """A gripper's facts; names are the file's.

    Attributes:
        fingers: the F driven joints.
        closed, open: (F,) their positions in both postures, m or rad.
        moving: the joints of the whole hand, linkage included.
        open_all: their positions when it is open.
        width_m: between the pads when it is open.
        gap_m: between the pads when it is closed: 0 where they touch.
        faces: the pads' inner faces, towards +y and towards -y of the tool point.
        pads: the shapes that grip: those that are described, else those of the faces.
        tip_m: how far the closed fingers' tips are beyond the tool point.
        palm_m: how far the palm is behind a point 20 mm behind the tips, less a little.
        touching: pairs of bodies that overlap in the open hand, as links do.
    """

    fingers: tuple[str, ...]
    closed: tuple[float, ...]
    open: tuple[float, ...]
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
    """Returns the facts of an arm's hand.

    Args:
        model: the robot, without drive; its names begin with `prefix`.
        arm: as described.
        names: what its things are called in the file.
        prefix: what the file's names begin with in the model.
        site: the tool point's name in the model.

    Raises:
        EmbodiedError: the gripper does not open between its postures, or the tool
            point's axes are not those of the hand.
    """
    return _Measurement(model, arm, names, prefix, site).hand()


class _Measurement:
    """One arm's hand in a copy of the model, with the arm at home."""

    def __init__(
        self,
        model: mujoco.MjModel,
        arm: DescribedArm,
        names: FileArm,
        prefix: str,
        site: str,
    ) -> None:
        self._model = scratch(model)
        self._arm = arm
        self._names = names
        self._prefix = prefix
        self._site = model.site(site).id

        # where things are in the model
        self._joints = [prefix + name for name in names.joints]
        self._fingers = [prefix + name for name in names.fingers]
        self._wrist = int(model.joint(self._joints[-1]).bodyid[0])
        self._bodies = subtree(model, self._wrist)
        self._moving = [
            j for j in range(model.njnt) if int(model.jnt_bodyid[j]) in self._bodies
        ]
        last = model.joint(self._joints[-1]).id
        self._moving.remove(last)
        self._passive = [
            j for j in self._moving if model.joint(j).name not in self._fingers
        ]

    def hand(self) -> Hand:
        """Returns the hand's facts."""
        closed, opened = self._postures()
        at_closed = self._settled(closed)
        at_open = self._settled(opened)
        geoms = self._moving_geoms(at_closed, at_open)
        self._check_axes(geoms, at_closed, at_open)

        # the pads' faces, where rays meet them in the open hand
        faces = self._faces(geoms, at_open)
        width_m = self._width(faces, at_open)
        gap_m = self._width(faces, at_closed)
        self._check_widths(gap_m, width_m)
        if abs(gap_m) <= TOUCHING_M:
            gap_m = 0.0

        moving = [self._model.joint(j).name for j in self._moving]
        addresses = [int(self._model.jnt_qposadr[j]) for j in self._moving]
        return Hand(
            fingers=self._names.fingers,
            closed=closed,
            open=opened,
            moving=tuple(name.removeprefix(self._prefix) for name in moving),
            open_all=tuple(float(at_open.qpos[address]) for address in addresses),
            width_m=round(width_m, 6),
            gap_m=round(gap_m, 6),
            faces=faces,
            pads=self._names.pads or faces[0].geoms + faces[1].geoms,
            tip_m=self._tip_m(geoms, at_closed),
            palm_m=self._palm_m(geoms, at_closed),
            touching=self._touching(at_open),
        )

    # Postures
    # ----------------------------------------------------------------------------------

    def _postures(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Returns the fingers' positions (F,) closed and open."""
        gripper = self._arm.gripper
        if gripper.closed:
            self._check_sense(gripper.closed, gripper.open)
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
            at_low, at_high = self._distances(name, low, high)
            if abs(at_low - at_high) < CLEAR_M:
                raise EmbodiedError(
                    f"finger {file_name!r} is as near to the tool point at "
                    f"{low:.4g} as at {high:.4g}, so that its sense is not clear: write "
                    "gripper.closed and gripper.open, or correct the tcp's y axis"
                )
            closed.append(low if at_low < at_high else high)
            opened.append(high if at_low < at_high else low)
        return tuple(closed), tuple(opened)

    def _check_sense(
        self, closed: tuple[float, ...], opened: tuple[float, ...]
    ) -> None:
        """Raises EmbodiedError where a finger is nearer to the tool point when open."""
        for name, shut, wide in zip(self._fingers, closed, opened, strict=True):
            at_closed, at_open = self._distances(name, shut, wide)
            if at_closed > at_open + CLEAR_M:
                raise EmbodiedError(
                    f"finger {name.removeprefix(self._prefix)!r} is "
                    f"{1000 * at_closed:.0f} mm from the tool point at gripper.closed and "
                    f"{1000 * at_open:.0f} mm at gripper.open: exchange the two"
                )

    def _distances(self, finger: str, low: float, high: float) -> list[float]:
        """Returns how far a finger is from the tool point at two positions, in m.

        What counts is the distance along the way that it takes between them.
        """
        joint = self._model.joint(finger)
        bodies = subtree(self._model, int(joint.bodyid[0]))
        geoms = [g for g in self._hand_geoms() if self._model.geom_bodyid[g] in bodies]
        if not geoms:
            raise EmbodiedError(
                f"finger {finger.removeprefix(self._prefix)!r} carries no shape that "
                "could grip"
            )

        ends = []
        data = self._at_home()
        for position in (low, high):
            data.qpos[joint.qposadr[0]] = position
            mujoco.mj_kinematics(self._model, data)
            points = [points_of(self._model, data, geom) for geom in geoms]
            ends.append(self._in_tool(data, np.concatenate(points)))

        axis = main_axis(ends[0], ends[1])
        return [abs(float(np.mean(points @ axis))) for points in ends]

    def _at_home(self) -> mujoco.MjData:
        """Returns the model with the arm at home."""
        data = mujoco.MjData(self._model)
        for name, angle in zip(self._joints, self._arm.home, strict=True):
            data.qpos[self._model.joint(name).qposadr[0]] = angle
        return data

    def _settled(self, positions: tuple[float, ...]) -> mujoco.MjData:
        """Returns the hand with its fingers at positions (F,), and its linkage at rest."""
        return settled(
            self._model, self._at_home(), self._fingers, positions, self._passive
        )

    # Geometry
    # ----------------------------------------------------------------------------------

    def _in_tool(self, data: mujoco.MjData, points_w: np.ndarray) -> np.ndarray:
        """Returns points (n, 3) in the tool point's frame."""
        axes = data.site_xmat[self._site].reshape(3, 3)
        return (points_w - data.site_xpos[self._site]) @ axes

    def _hand_geoms(self) -> list[int]:
        """Returns the hand's colliding shapes; all of them where none collides."""
        return solid_geoms(self._model, self._bodies)

    def _moving_geoms(
        self, at_closed: mujoco.MjData, at_open: mujoco.MjData
    ) -> list[int]:
        """Returns the shapes of the hand that move when it opens."""
        moved = []
        for geom in self._hand_geoms():
            # seen from the tool point, which stands still while the fingers move
            points = [
                self._in_tool(data, points_of(self._model, data, geom))
                for data in (at_closed, at_open)
            ]
            if np.abs(points[0] - points[1]).max() > CLEAR_M:
                moved.append(geom)

        if not moved:
            raise EmbodiedError(
                f"nothing moves between gripper.closed {list(self._postures()[0])} and "
                f"gripper.open {list(self._postures()[1])}: write two postures of "
                f"{', '.join(self._names.fingers)}"
            )
        return moved

    def _check_axes(
        self, geoms: list[int], at_closed: mujoco.MjData, at_open: mujoco.MjData
    ) -> None:
        """Raises EmbodiedError where the tool point's y or z is not the hand's."""
        opening = self._opening(geoms, at_closed, at_open)
        wrist_w = at_closed.xanchor[self._model.joint(self._joints[-1]).id]
        from_wrist = -self._in_tool(at_closed, wrist_w[None])[0]
        # out of the hand: away from the wrist, at right angles to the opening
        out = from_wrist - (from_wrist @ opening) * opening
        out /= max(float(np.linalg.norm(out)), 1e-9)

        y_off_deg = np.degrees(np.arccos(min(1.0, abs(float(opening[1])))))
        z_off_deg = np.degrees(np.arccos(np.clip(out[2], -1, 1)))
        if y_off_deg <= OPENING_OFF_DEG and z_off_deg <= OUT_OFF_DEG:
            return

        what = f"its y is {y_off_deg:.0f} degrees off the direction in which the fingers open"
        if y_off_deg <= OPENING_OFF_DEG:
            what = f"its z is {z_off_deg:.0f} degrees off the direction out of the hand"
        raise EmbodiedError(
            f"the tcp is turned: {what}; write {self._turned_tcp(opening, out, at_closed)}"
        )

    def _opening(
        self, geoms: list[int], at_closed: mujoco.MjData, at_open: mujoco.MjData
    ) -> np.ndarray:
        """Returns the unit vector (3,) along which the fingers open, in the tool's frame.

        It is the main axis of how the shapes move, those near the tool point above all.
        """
        before = [points_of(self._model, at_closed, geom) for geom in geoms]
        after = [points_of(self._model, at_open, geom) for geom in geoms]
        axis = main_axis(
            self._in_tool(at_closed, np.concatenate(before)),
            self._in_tool(at_open, np.concatenate(after)),
        )
        return axis if axis[1] >= 0 else -axis

    def _turned_tcp(
        self, opening: np.ndarray, out: np.ndarray, data: mujoco.MjData
    ) -> str:
        """Returns the keys of a tool point at the same place with the hand's axes."""
        turned = np.stack([np.cross(opening, out), opening, out], axis=1)
        axes_w = data.site_xmat[self._site].reshape(3, 3) @ turned
        body = int(self._model.site_bodyid[self._site])
        axes = data.xmat[body].reshape(3, 3).T @ axes_w
        quat = np.zeros(4)
        mujoco.mju_mat2Quat(quat, axes.flatten())
        name = self._model.body(body).name.removeprefix(self._prefix)
        pos = [round(float(x), 4) for x in self._model.site_pos[self._site]]
        rounded = [round(float(x), 4) for x in quat]
        return f'tcp.body = "{name}", tcp.pos = {pos}, tcp.quat_wxyz = {rounded}'

    def _faces(
        self, geoms: list[int], at_open: mujoco.MjData
    ) -> tuple[PadFace, PadFace]:
        """Returns where rays from the tool point meet the pads, towards +y and -y."""
        pads = [self._model.geom(self._prefix + name).id for name in self._names.pads]
        finder = FaceFinder(self._model, at_open, self._site, self._prefix)
        # the pads alone, or else the fingers, or else what stands opposite a finger
        hand = self._hand_geoms()
        for targets, is_wide in (
            (pads, False),
            (geoms, False),
            (geoms, True),
            (hand, False),
        ):
            faces = finder.find(targets, is_wide)
            if faces is not None:
                return faces
        raise EmbodiedError(
            "the tcp is not between the fingers: along its y and -y no two of them are "
            "met when the gripper is open; correct tcp"
        )

    def _width(self, faces: tuple[PadFace, PadFace], data: mujoco.MjData) -> float:
        """Returns the distance of two faces along the tool point's y, in m."""
        points = []
        for face in faces:
            body = self._model.body(self._prefix + face.body).id
            points.append(data.xpos[body] + data.xmat[body].reshape(3, 3) @ face.pos)
        left, right = self._in_tool(data, np.array(points))[:, 1]
        return float(left - right)

    def _check_widths(self, gap_m: float, width_m: float) -> None:
        """Raises EmbodiedError where a gripper hardly opens."""
        if width_m - max(gap_m, 0.0) < LEAST_WIDTH_M:
            raise EmbodiedError(
                f"the gripper opens from {1000 * gap_m:.1f} to {1000 * width_m:.1f} mm, "
                f"expected at least {1000 * LEAST_WIDTH_M:.0f} mm more: correct "
                "gripper.closed and gripper.open"
            )

    def _tip_m(self, geoms: list[int], at_closed: mujoco.MjData) -> float:
        """Returns how far the closed fingers reach beyond the tool point."""
        finder = FaceFinder(self._model, at_closed, self._site, self._prefix)
        tip_m = finder.tip_m(geoms)
        if tip_m is None:
            points = [points_of(self._model, at_closed, geom) for geom in geoms]
            tip_m = self._in_tool(at_closed, np.concatenate(points))[:, 2].max()
        return round(float(np.clip(tip_m, *TIPS_M)), 4)

    def _palm_m(self, geoms: list[int], at_closed: mujoco.MjData) -> float:
        """Returns the room from 20 mm behind the tips to the palm, at most PALM_M."""
        still = [geom for geom in self._hand_geoms() if geom not in geoms]
        finder = FaceFinder(self._model, at_closed, self._site, self._prefix)
        behind_m = finder.behind_m(still, self._tip_m(geoms, at_closed) - TIP_M)
        return round(float(np.clip(behind_m - PALM_ROOM_M, 0.0, PALM_M)), 4)

    def _touching(self, at_open: mujoco.MjData) -> tuple[tuple[str, str], ...]:
        """Returns the pairs of the hand's bodies that overlap when it is open."""
        model = self._model
        # `scratch` has switched contacts off
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
