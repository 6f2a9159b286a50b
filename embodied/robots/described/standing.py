"""Chooses an arm's mount, its yaw and its home, so that the hand does its work.

An arm with a torso beside it, or with short joint ranges, reaches everything from a few
mounts only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from itertools import product

import mujoco
import numpy as np

from embodied.robots.described.chain import Parts
from embodied.robots.described.description import Mount
from embodied.robots.described.home import DOWN, HomeSearch
from embodied.robots.described.mounting import MARGIN_RAD, WORK_W, pointing_down_axes
from embodied.robots.described.tool import ToolPoint
from embodied.robots.described.ways import WayFinder
from embodied.robots.work import WorkPlace

# Buttons of a console that the hand must also reach: (x, y, z) in m in the world.
BUTTONS_W = ((0.58, -0.24, 0.87), (0.77, -0.11, 0.99), (0.77, 0.08, 0.99))
AT_BUTTON = (0.0, 0.96, 0.0, 0.28)  # quaternion wxyz of the hand at a button
# Distance to keep from a joint's limits on the ways from home to the places.
CLOSEST_RAD = 0.005
# At most this many homes are tried at each mount.
HOMES = 3
# Mounts that are tried if the usual one does not reach all places: yaws in degrees, and
# shifts back and up in m.
YAWS_DEG = (0.0, 30.0, -30.0, 60.0, -60.0, 90.0, -90.0)
BACK_M = (0.0, -0.1, -0.2)
UP_M = (0.0, 0.15, 0.28)
# Number of the best yaws that are tried with all shifts above.
YAWS_KEPT = 2
# Changes to the best mount that are tried last: of the yaw in degrees, and sideways in m.
FINE_DEG = (10.0, -10.0)
ASIDE_M = (0.1, -0.1)
# The number of mounts that are tried at most: the usual one, and the three rounds.
MOST_MOUNTS = (
    1
    + len(YAWS_DEG)
    + YAWS_KEPT * len(BACK_M) * len(UP_M)
    + (1 + len(FINE_DEG)) * (1 + len(ASIDE_M))
)


@dataclass(frozen=True)
class Standing:
    """A mount and a home, and what the hand reaches from there.

    Attributes:
        mount: the mount.
        home: (J,) the arm's joint positions at home, rad.
        is_backward: whether the tcp's x axis points backwards at home.
        reached: the number of places that the hand reaches without an overlap of bodies.
        margin_rad: the least distance of a joint from the end of its range, on the ways
            to these places.
    """

    mount: Mount
    home: np.ndarray
    is_backward: bool
    reached: int
    margin_rad: float

    @property
    def score(self) -> tuple[int, float]:
        """A rank: the places that are reached, then the margin up to MARGIN_RAD."""
        return self.reached, min(self.margin_rad, MARGIN_RAD)


class StandingSearch:
    """Searches for a mount and a home of one arm, while others stay as they are."""

    def __init__(
        self,
        model: mujoco.MjModel,
        data: mujoco.MjData,
        parts: Parts,
        tool: ToolPoint,
        home_w: np.ndarray,
        on_mount: Callable[[], object],
    ) -> None:
        """Prepares the inverse kinematics.

        Args:
            model: the robot's model.
            data: the robot at rest.
            parts: the ids of the arm's joints.
            tool: the pose of the tcp on its body.
            home_w: (3,) m, the position of the hand at home, in the world.
            on_mount: called after each mount that is tried, at most MOST_MOUNTS times.
        """
        self._on_mount = on_mount
        self._model = model
        self._parts = parts
        self._home_w = home_w
        # one search for homes, and one for ways, which may come closer to joint limits
        self._home_search = HomeSearch(model, parts, tool, rest=data.qpos)
        self._way_search = HomeSearch(model, parts, tool, CLOSEST_RAD, data.qpos)
        self._shoulder = data.xanchor[parts.arm[0]].copy()
        # the places, each with the axes (3, 3) of the hand there
        self._work = [
            (np.array(place), pointing_down_axes(yaw_deg)) for place, yaw_deg in WORK_W
        ]
        for pos_w in BUTTONS_W:
            axes_w = WorkPlace("a button", pos_w, AT_BUTTON).axes_w
            self._work.append((np.array(pos_w), axes_w))

    def at(self, mount: Mount) -> Standing | None:
        """Returns the best standing at a mount; None if the hand cannot start there."""
        standings = self._standings([mount])
        return standings[0] if standings else None

    def best(self, mount: Mount) -> Standing | None:
        """Returns the first standing that reaches all places, or else the best one.

        It returns None if no home is found at any mount.

        Args:
            mount: the usual mount, which is tried first.
        """
        usual = self._standings([mount])
        if usual and self.reaches_all(usual[0]):
            return usual[0]

        # try other yaws at the same place, then the best yaws farther back and higher
        turned = self._standings([self._moved(mount, yaw) for yaw in YAWS_DEG])
        # only a mount on a column can be raised
        ups = UP_M if mount.stand else (0.0,)
        moved = self._standings(
            self._moved(standing.mount, standing.mount.yaw_deg, back_m, up_m)
            for standing, back_m, up_m in product(turned[:YAWS_KEPT], BACK_M, ups)
        )
        found = sorted(
            [*usual, *turned, *moved], key=lambda one: one.score, reverse=True
        )
        if not found or self.reaches_all(found[0]):
            return found[0] if found else None

        # at last, try mounts beside the best one
        near = found[0].mount
        fine = self._standings(
            self._moved(near, near.yaw_deg + turn_deg, aside_m=aside_m)
            for turn_deg, aside_m in product((0.0, *FINE_DEG), (0.0, *ASIDE_M))
        )
        return max([*found, *fine], key=lambda one: one.score)

    def reaches_all(self, standing: Standing) -> bool:
        """Returns whether the hand reaches all places from a standing."""
        return standing.reached == len(self._work)

    def _standings(self, mounts: Iterable[Mount]) -> list[Standing]:
        """Returns the best standing at each mount, best first.

        It stops at the first mount from which all places are reached.
        """
        found: list[Standing] = []
        for mount in mounts:
            standing = self._at(mount)
            self._on_mount()
            if standing is not None:
                found.append(standing)
                if self.reaches_all(standing):
                    break
        return sorted(found, key=lambda one: one.score, reverse=True)

    def _moved(
        self,
        mount: Mount,
        yaw_deg: float,
        back_m: float = 0.0,
        up_m: float = 0.0,
        aside_m: float = 0.0,
    ) -> Mount:
        """Returns a mount that is moved, and turned about the arm's first joint.

        Args:
            mount: the mount to change.
            yaw_deg: the new yaw.
            back_m, aside_m: shifts along the world's x and y; back is negative.
            up_m: shift along the world's z.
        """
        # turn about the shoulder: its place in the world stays, apart from the shift
        shoulder = np.array([*self._shoulder[:2], 0.0])
        shoulder_w = mount.pos_w + _turn(mount.yaw_deg) @ shoulder
        shift = np.array([back_m, aside_m, up_m])
        pos_w = shoulder_w + shift - _turn(yaw_deg) @ shoulder
        x, y, z = (round(float(value), 3) for value in pos_w)
        return replace(mount, pos_w=(x, y, z), yaw_deg=yaw_deg)

    def _at(self, mount: Mount) -> Standing | None:
        """Returns the best standing at a mount; None if the hand cannot start there."""
        best: Standing | None = None
        homes = homes_at(self._home_search, mount, self._home_w)
        for posture, is_backward in homes[:HOMES]:
            ways = WayFinder(self._way_search, self._model, self._parts.arm, posture)
            if ways.overlaps_at_home:
                continue

            # the first home that will do ends the search
            reached, margin_rad = self._reached(ways, mount, is_backward)
            standing = Standing(mount, posture, is_backward, reached, margin_rad)
            if best is None or standing.score > best.score:
                best = standing
            if self.reaches_all(standing):
                break
        return best

    def _reached(
        self, ways: WayFinder, mount: Mount, is_backward: bool
    ) -> tuple[int, float]:
        """Returns how many places are reached, and the least margin of a joint, rad."""
        # `ways` works in the frame of the file, so rotate the places into it; a hand that
        # starts backwards keeps its x and y axes reversed
        to_file = _turn(-mount.yaw_deg)
        flip = np.array([-1, -1, 1]) if is_backward else np.ones(3)
        margins = []
        for place_w, axes_w in self._work:
            way = ways.way_to(
                to_file @ (place_w - mount.pos_w), to_file @ axes_w * flip
            )
            if way.is_clear:
                margins.append(way.margin_rad)
        return len(margins), min(margins, default=0.0)


def homes_at(
    search: HomeSearch, mount: Mount, home_w: np.ndarray
) -> list[tuple[np.ndarray, bool]]:
    """Returns homes with the hand at a place (3,) in the world, pointing down, best first.

    Each home is a posture (J,) with a flag, see `HomeSearch.postures`.
    """
    to_file = _turn(-mount.yaw_deg)
    return search.postures(to_file @ (home_w - mount.pos_w), to_file @ DOWN)


def _turn(yaw_deg: float) -> np.ndarray:
    """Returns the rotation matrix (3, 3) of a yaw."""
    yaw = np.deg2rad(yaw_deg)
    cos = float(np.cos(yaw))
    sin = float(np.sin(yaw))
    return np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])
