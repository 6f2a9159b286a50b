"""The quantities by which TeamSort is judged: of parcels, hands, stand, scanner, bins."""

from __future__ import annotations

from collections.abc import Mapping

from embodied.arrays import all_of, any_of, dot, norm
from embodied.core import Array
from embodied.envs.facts import quantity
from embodied.envs.hand import Hand
from embodied.envs.props.belt import Belt
from embodied.envs.props.bin import Bins
from embodied.envs.props.parcel import Parcels
from embodied.envs.props.parcel_facts import ParcelFacts, ParcelProps
from embodied.envs.props.parcel_stand import ParcelStand
from embodied.envs.props.scanner import Scanner
from embodied.envs.reward import tolerance
from embodied.envs.tasks.team_sort.scene import (
    BELT,
    BIN,
    BINS,
    PARCELS,
    SCANNER,
    STAND,
    STOP_Y_W,
)
from embodied.robots.robot import Robot
from embodied.rotations import cross
from embodied.sim.engine import Engine

# The scanner reads the label of a parcel whose middle is at most this high above the
# plate. That leaves room for a hand that holds the parcel under the scanner's head.
READING_HEIGHT_M = 0.22
# The scanner reads a label only if the parcel moves more slowly than this.
READABLE_M_S = 0.15
# The distance from a hand's tool point back to its palm.
PALM_BACK_M = 0.09
# A palm within this distance of a label hides the label from the scanner.
HIDING_M = 0.085
# A parcel is held if a gripper is narrower than OPEN_M, and its TCP is inside the parcel or
# at most AROUND_M outside.
OPEN_M = 0.074
AROUND_M = 0.005
# A parcel whose middle is higher than this above the belt has been lifted off.
ON_BELT_M = 0.08
# Rewards for being near a goal are 1 within NEAR_M of it, and fall to 0.1 at a distance of
# NEAR_M + FAR_M.
NEAR_M = 0.06
FAR_M = 0.5


class Props(ParcelProps):
    """The parts of the scene that the task moves and reads, in N worlds."""

    def __init__(self, engine: Engine, robot: Robot) -> None:
        """Finds the parts in the model."""
        parcels = Parcels(engine, PARCELS)
        bins = Bins(engine, BINS, BIN)
        super().__init__(engine, parcels, bins, len(BINS))
        self.stand = ParcelStand(engine, STAND)
        self.scanner = Scanner(engine, SCANNER)
        self.belt = Belt(engine)
        self.hands = [Hand(engine, robot, effector) for effector in robot.effectors]


class Facts(ParcelFacts):
    """Quantities of the K parcels of N worlds in one state; H is the number of hands."""

    def __init__(self, props: Props, memory: Mapping[str, Array]) -> None:
        super().__init__(props, memory)
        self._props = props

    @quantity
    def hands_w(self) -> Array:
        """(N, H, 3) m, the tool points."""
        return self._xp.stack([hand.pos_w() for hand in self._props.hands], axis=1)

    @quantity
    def palms_w(self) -> Array:
        """(N, H, 3) m, the palms' middles."""
        z_axes = []  # they point from the palm to the tool point
        for hand in self._props.hands:
            x_axis, y_axis = hand.axes_w()
            z_axes.append(cross(x_axis, y_axis))
        return self.hands_w - PALM_BACK_M * self._xp.stack(z_axes, axis=1)

    @quantity
    def to_hands(self) -> Array:
        """(N, K, H, 3) m, vectors from each parcel's middle to each hand's tool point."""
        return self.hands_w[:, None] - self.pos_w[:, :, None]

    @quantity
    def is_held(self) -> Array:
        """(N, K) bool, parcels that contain a hand's TCP while its gripper is not open."""
        xp = self._xp
        # rows are the parcels' axes
        own_axes = xp.permute_dims(self.rotations, (0, 1, 3, 2))
        # (N, K, H, 3) vectors from the parcels' middles to the TCPs, in the parcels' frames
        offset = dot(own_axes[:, :, None], self.to_hands[:, :, :, None, :])
        half_size = self._memory["size"][:, :, None] / 2
        is_inside = all_of(xp.abs(offset) < half_size + AROUND_M)  # (N, K, H)
        closed_hands = [hand.is_closed(OPEN_M) for hand in self._props.hands]
        is_closed = xp.stack(closed_hands, axis=1)  # (N, H)
        return any_of(is_inside & is_closed[:, None])

    @quantity
    def is_readable(self) -> Array:
        """(N, K) bool, slow parcels under the scanner's head, their labels visible."""
        label = self.label_w  # (N, K, 3) m, from the parcels' middles to their labels
        height = self.pos_w[..., 2] - SCANNER.top_z  # above the scanner's plate
        is_under = (height > 0) & (height < READING_HEIGHT_M)
        is_under = is_under & self._props.scanner.over(self.pos_w)

        # no palm hides the label
        label_pos_w = self.pos_w + label
        to_palms = self.palms_w[:, None] - label_pos_w[:, :, None]  # (N, K, H, 3)
        is_seen = all_of(dot(to_palms, to_palms) > HIDING_M**2)
        is_slow = dot(self.vel_w, self.vel_w) < READABLE_M_S**2
        return self.is_present & self.is_label_up & is_under & is_seen & is_slow

    @quantity
    def is_on_belt(self) -> Array:
        """(N, K) bool, parcels above the belt that have not been lifted off."""
        x = self.pos_w[..., 0]
        y = self.pos_w[..., 1]
        z = self.pos_w[..., 2]
        is_beside = self._xp.abs(x - BELT.x) > BELT.width / 2
        is_over_belt = ~is_beside & (y < BELT.y_end)
        return is_over_belt & (z > BELT.top_z) & (z < BELT.top_z + ON_BELT_M)

    @property
    def is_at_stop(self) -> Array:
        """(N,) bool, whether a parcel on the belt is where the belt must stop for it."""
        has_arrived = self.pos_w[..., 1] > STOP_Y_W
        return any_of(self.is_present & self.is_on_belt & has_arrived)

    @property
    def parcel_progress(self) -> Array:
        """(N, K) below 1, the progress of each parcel on its way to its bin.

        A parcel whose label is not yet read gets up to 0.1 for a hand near it. Off the
        belt it gets 0.1 more, and up to 0.15 for being near the stand or 0.3 for being
        near the scanner. A parcel that has been read gets 0.55, and up to 0.35 for being
        near its bin.
        """
        xp = self._xp
        # from 0 to 1, how near each parcel is to the nearer hand
        hand_distance = xp.min(xp.sqrt(dot(self.to_hands, self.to_hands)), axis=2)
        near_hand = tolerance(hand_distance, bound=NEAR_M, margin=FAR_M)

        # and how near each parcel is to the stand, the scanner and its own bin
        offsets = [
            self._props.stand.top_w()[:, None] - self.pos_w,
            self._props.scanner.plate_w()[:, None] - self.pos_w,
            self.bin_w - self.pos_w,
        ]
        offsets = xp.stack(offsets)  # (3, N, K, 3)
        distances = norm(offsets)
        nearness = tolerance(distances, bound=NEAR_M, margin=FAR_M)
        near_stand, near_scanner, near_bin = nearness  # (N, K) each

        # the larger of the two rewards counts, because a parcel must leave the stand on
        # its way to the scanner
        brought = xp.maximum(0.15 * near_stand, 0.3 * near_scanner)
        unread = 0.1 * near_hand + xp.where(self.is_on_belt, 0.0, 0.1 + brought)
        read = 0.55 + 0.35 * near_bin
        return xp.where(self._memory["scanned"] > 0, read, unread)
