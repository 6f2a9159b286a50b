"""The quantities by which WeighPack is judged: of item, scale, boxes and hand."""

from __future__ import annotations

from collections.abc import Mapping

from embodied.arrays import dot, norm
from embodied.core import Array
from embodied.envs.facts import quantity
from embodied.envs.hand import Hand
from embodied.envs.props.packing_box import CLOSED_RAD, OPEN_RAD, PackingBoxes
from embodied.envs.props.scale import Scale
from embodied.envs.props.things import Things
from embodied.envs.tasks.weigh_pack.scene import BOX, BOXES, ITEM, SCALE
from embodied.envs.tasks.weigh_pack.variation import MARKS
from embodied.robots.robot import Robot
from embodied.sim.engine import ROT6D_OF_XMAT, Engine

# The grip is this far below the item's top, so that the palm clears a box's rim.
GRIP_DOWN_M = 0.008
# A gripper holds the item if its width differs from the item's by less than HELD_SLACK_M,
# and the TCP is within HELD_ERROR_M of the grip.
HELD_SLACK_M = 0.004
HELD_ERROR_M = 0.03
# The item stands on the pan if its centre is over the pan, and its lowest point is less
# than this above or below the pan's upper face.
ON_PAN_M = 0.012
# An item below this has fallen off the table.
FALLEN_Z_W = 0.6
# The fingertips push a flap at this distance from its hinge.
PUSH_AT_M = 0.110


class Props:
    """The parts of the scene that the task moves and reads, in N worlds."""

    def __init__(self, engine: Engine, robot: Robot) -> None:
        """Finds the parts in the model."""
        xp = engine.xp
        self.xp = xp
        self.item = Things(engine, (ITEM,))
        self.scale = Scale(engine, SCALE, [mark.letter for mark in MARKS])
        self.boxes = PackingBoxes(engine, BOX, BOXES, MARKS)
        self.hand = Hand(engine, robot)
        # the worlds' indices, for choosing one box per world
        self.worlds = xp.arange(engine.num_worlds)
        # (N,) index 0 for each world: there is only one item
        self.first = xp.zeros(engine.num_worlds, dtype=xp.int64)
        self.hinge = xp.asarray(BOX.hinge)  # (3,) in a box's frame, m
        self.pan_half = SCALE.pan_half


class Facts:
    """Quantities of N worlds in one state; "own" is the box that fits the item's mass."""

    def __init__(self, props: Props, memory: Mapping[str, Array]) -> None:
        """Reads poses and angles; other facts are computed when they are first used."""
        self._props = props
        self._memory = memory
        self._xp = props.xp
        # position of the item's centre (N, 3) m; its rotation matrix (N, 9), row by row;
        # its velocity (N, 3) m/s
        self.item_pos_w, self.item_xmat = props.item.pose_of(props.first)
        self.item_vel_w = props.item.velocity_of(props.first)
        self.pan_w = props.scale.pan_w()  # (N, 3) m, centre of the pan's upper face
        # of the K boxes: the centres of their floors, (N, K, 3) m, and the angles of
        # their flaps, (N, K) rad, 0 if shut
        self.floors_w = props.boxes.floors_w()
        self.angles_rad = props.boxes.angles_rad()

    @quantity
    def item_rot6d(self) -> Array:
        """(N, 6) x and y axis of the item in the world."""
        return self.item_xmat[:, ROT6D_OF_XMAT]

    @quantity
    def item_half_height_m(self) -> Array:
        """(N,) m, from the item's centre up to its highest point."""
        axes_z = self._xp.abs(self.item_xmat[:, 6:9])  # z components of its three axes
        return dot(axes_z, self._memory["size"]) / 2

    @quantity
    def reading_kg(self) -> Array:
        """(N,) kg, the present load on the scale as it measures it."""
        return self._props.scale.reading_kg()

    @quantity
    def is_weighed(self) -> Array:
        """(N,) bool, the display shows a box."""
        return self._memory["asked"] < BOXES

    @quantity
    def asked_box(self) -> Array:
        """(N,) int, the box that the display shows; 0 if it shows none."""
        return self._xp.where(self.is_weighed, self._memory["asked"], 0)

    @quantity
    def asked_pos_w(self) -> Array:
        """(N, 3) m, the item's next place: the pan, or the floor of the box displayed."""
        floor_w = self.floors_w[self._props.worlds, self.asked_box]
        return self._xp.where(self.is_weighed[:, None], floor_w, self.pan_w)

    @quantity
    def asked_flap_rad(self) -> Array:
        """(N,) rad, angle of the flap of the box displayed; 0 if there is none."""
        angle = self.angles_rad[self._props.worlds, self.asked_box]
        return self._xp.where(self.is_weighed, angle, 0.0)

    @quantity
    def grip_error_m(self) -> Array:
        """(N,) m, from the TCP to the grip on the item."""
        error = self._props.hand.pos_w() - self.item_pos_w
        above = error[:, 2] - self.item_half_height_m + GRIP_DOWN_M
        aside = error[:, :2]
        return self._xp.sqrt(dot(aside, aside) + above * above)

    @quantity
    def is_held(self) -> Array:
        """(N,) bool, the gripper is closed on the item, across its x or its y."""
        xp = self._xp
        width = self._props.hand.width_m()
        size = self._memory["size"]
        across_x = xp.abs(width - size[:, 0]) < HELD_SLACK_M
        across_y = xp.abs(width - size[:, 1]) < HELD_SLACK_M
        return (across_x | across_y) & (self.grip_error_m < HELD_ERROR_M)

    @quantity
    def lowest_z_w(self) -> Array:
        """(N,) m, height of the item's lowest point."""
        return self.item_pos_w[:, 2] - self.item_half_height_m

    @quantity
    def pan_aside_m(self) -> Array:
        """(N,) m, horizontal distance of the item from the middle of the pan."""
        offset = (self.item_pos_w - self.pan_w)[:, :2]
        return norm(offset)

    @quantity
    def is_on_pan(self) -> Array:
        """(N,) bool, the item stands on the scale's pan."""
        above = self._xp.abs(self.lowest_z_w - self.pan_w[:, 2])
        return (self.pan_aside_m < self._props.pan_half) & (above < ON_PAN_M)

    @quantity
    def is_in_box(self) -> Array:
        """(N, K) bool, the boxes that have the item's centre inside them."""
        return self._props.boxes.hold(self.item_pos_w)

    @quantity
    def is_closed(self) -> Array:
        """(N, K) bool, the boxes whose flap is shut."""
        return self.angles_rad < CLOSED_RAD

    @quantity
    def is_own(self) -> Array:
        """(N, K) bool, true for the box that fits the item's mass."""
        boxes = self._xp.arange(BOXES)[None, :]
        return boxes == self._memory["own_box"][:, None]

    @quantity
    def is_packed(self) -> Array:
        """(N,) bool, the item is in its own box and the hand has let go of it."""
        is_inside = self._xp.any(self.is_in_box & self.is_own, axis=1)
        return is_inside & ~self.is_held

    @quantity
    def own_aside_m(self) -> Array:
        """(N,) m, horizontal distance of the item from the middle of its own box."""
        floor_w = self.floors_w[self._props.worlds, self._memory["own_box"]]
        offset = (self.item_pos_w - floor_w)[:, :2]
        return norm(offset)

    @quantity
    def share_shut(self) -> Array:
        """(N,) in [0, 1], how far the flap of the item's own box is shut."""
        angle = self.angles_rad[self._props.worlds, self._memory["own_box"]]
        return self._xp.clip(1.0 - angle / OPEN_RAD, 0.0, 1.0)

    @quantity
    def reach_flap_m(self) -> Array:
        """(N,) m, from the fingertips to where they push the flap of the item's own box."""
        xp = self._xp
        worlds = self._props.worlds
        own = self._memory["own_box"]
        angle = self.angles_rad[worlds, own]
        hinge_w = self.floors_w[worlds, own] + self._props.hinge
        zero = xp.zeros_like(angle)
        # direction along the flap from its hinge
        along = xp.stack([xp.cos(angle), zero, xp.sin(angle)], axis=1)
        offset = self._props.hand.tip_w() - hinge_w - PUSH_AT_M * along
        return norm(offset)

    @quantity
    def is_fallen(self) -> Array:
        """(N,) bool, the item has fallen off the table."""
        return self.item_pos_w[:, 2] < FALLEN_Z_W
