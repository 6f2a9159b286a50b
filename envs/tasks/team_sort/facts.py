"""The quantities by which TeamSort is judged: of parcels, hands, rest, scanner, bins."""

from __future__ import annotations

from collections.abc import Mapping

from embodied.arrays import all_of, any_of, dot
from embodied.core import Array
from embodied.envs.facts import quantity
from embodied.envs.hand import Hand
from embodied.envs.props.belt import Belt
from embodied.envs.props.bin import Bins
from embodied.envs.props.parcel import Parcels
from embodied.envs.props.parcel_facts import ParcelFacts, ParcelProps
from embodied.envs.props.rest import Rest
from embodied.envs.props.scanner import Scanner
from embodied.envs.reward import tolerance
from embodied.envs.tasks.team_sort.scene import (
    BELT,
    BIN,
    BINS,
    EYE_Y_W,
    PARCELS,
    REST,
    SCANNER,
)
from embodied.robots.robot import Robot
from embodied.rotations import cross
from embodied.sim.engine import Engine

# The scanner reads a label in the hand or on its plate, at most this high above it.
READING_HEIGHT_M = 0.22
# The scanner reads a label that is slower than this.
READABLE_M_S = 0.15
# A hand's palm is this far behind its tool point, and hides a label that is nearer.
PALM_BACK_M = 0.09
HIDING_M = 0.085
# A parcel is held if the gripper is narrower than this, and the TCP at most this far
# outside the parcel.
OPEN_M = 0.074
AROUND_M = 0.005
# A reward for getting nearer is full within NEAR_M, and a tenth FAR_M farther away.
NEAR_M = 0.06
FAR_M = 0.5


class Props(ParcelProps):
    """The parts of the scene in N worlds, as a task moves and reads them."""

    def __init__(self, engine: Engine, robot: Robot) -> None:
        parcels = Parcels(engine, PARCELS)
        bins = Bins(engine, BINS, BIN)
        super().__init__(engine, parcels, bins, len(BINS))
        self.rest = Rest(engine, REST)
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
        ahead = []
        for hand in self._props.hands:
            x_axis, y_axis = hand.axes_w()
            ahead.append(cross(x_axis, y_axis))
        return self.hands_w - PALM_BACK_M * self._xp.stack(ahead, axis=1)

    @quantity
    def to_hands(self) -> Array:
        """(N, K, H, 3) m, from the parcels' middles to the tool points."""
        return self.hands_w[:, None] - self.pos_w[:, :, None]

    @quantity
    def is_held(self) -> Array:
        """(N, K) bool, parcels with a TCP in them and its gripper not open."""
        xp = self._xp
        own_axes = xp.permute_dims(self.rotations, (0, 1, 3, 2))  # rows are axes
        # (N, K, H, 3) from the parcels' middles to the TCPs, along their own axes
        offset = dot(own_axes[:, :, None], self.to_hands[:, :, :, None, :])
        half = self._memory["size"][:, :, None] / 2
        inside = all_of(xp.abs(offset) < half + AROUND_M)  # (N, K, H)
        closed = [hand.is_closed(OPEN_M) for hand in self._props.hands]
        is_closed = xp.stack(closed, axis=1)  # (N, H)
        return any_of(inside & is_closed[:, None])

    @quantity
    def is_readable(self) -> Array:
        """(N, K) bool, parcels still under the scanner's head, their labels visible."""
        label = self.label_w
        height = self.pos_w[..., 2] - SCANNER.top_z
        is_under = (height > 0) & (height < READING_HEIGHT_M)
        is_under = is_under & self._props.scanner.over(self.pos_w)

        # no palm hides the label
        away = self.palms_w[:, None] - (self.pos_w + label)[:, :, None]  # (N, K, H, 3)
        is_seen = all_of(dot(away, away) > HIDING_M**2)
        is_slow = dot(self.vel_w, self.vel_w) < READABLE_M_S**2
        return self.is_present & self.is_label_up & is_under & is_seen & is_slow

    @quantity
    def is_on_belt(self) -> Array:
        """(N, K) bool, over the belt, not beside or below it, and not lifted off."""
        x, y, z = (self.pos_w[..., k] for k in range(3))
        is_beside = self._xp.abs(x - BELT.x) > BELT.width / 2
        is_over = ~is_beside & (y < BELT.y_end)
        return is_over & (z > BELT.top_z) & (z < BELT.top_z + 0.08)

    @property
    def is_at_eye(self) -> Array:
        """(N,) bool, a parcel on the belt has come to where it is picked."""
        is_there = self.is_present & self.is_on_belt & (self.pos_w[..., 1] > EYE_Y_W)
        return any_of(is_there)

    @property
    def parcel_progress(self) -> Array:
        """(N, K) below 1, the progress of each parcel on its way to its bin.

        It is reached for, lifted, brought to the rest and on to the scanner, read and
        brought to its bin. Once it is read, progress begins at 0.55.
        """
        xp = self._xp
        reach_m = xp.min(xp.sqrt(dot(self.to_hands, self.to_hands)), axis=2)
        near_hand = tolerance(reach_m, bound=NEAR_M, margin=FAR_M)
        places = [self._props.rest.top_w(), self._props.scanner.plate_w()]
        ways = [place[:, None] - self.pos_w for place in places]
        ways = xp.stack([*ways, self.bin_w - self.pos_w])  # (3, N, K, 3)
        near = tolerance(xp.sqrt(dot(ways, ways)), bound=NEAR_M, margin=FAR_M)
        near_rest, near_scanner, near_bin = near

        is_off = ~self.is_on_belt
        onwards = xp.maximum(0.15 * near_rest, 0.3 * near_scanner)
        unread = 0.1 * near_hand + xp.where(is_off, 0.1 + onwards, 0.0)
        read = 0.55 + 0.35 * near_bin
        return xp.where(self._memory["scanned"] > 0, read, unread)
