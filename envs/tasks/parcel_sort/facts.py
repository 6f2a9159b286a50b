"""The quantities by which ParcelSort is judged: of the parcels, scanner and bins."""

from __future__ import annotations

from collections.abc import Mapping

from embodied.arrays import all_of, dot, norm
from embodied.core import Array
from embodied.envs.facts import quantity
from embodied.envs.hand import Hand
from embodied.envs.props.belt import Belt
from embodied.envs.props.bin import Bins
from embodied.envs.props.parcel import Parcels
from embodied.envs.props.parcel_facts import ParcelFacts, ParcelProps
from embodied.envs.props.scanner import Scanner
from embodied.envs.reward import tolerance
from embodied.envs.tasks.parcel_sort.scene import BELT, BIN, BINS, PARCELS, SCANNER
from embodied.robots.robot import Robot
from embodied.sim.engine import Engine

# The hand hides a label from the scanner if the TCP is within this distance of the label.
HIDING_M = 0.07
# A parcel lies on the plate if the gap between its underside and the plate is below this.
FLAT_M = 0.006
# A parcel is held if the gripper is narrower than OPEN_M (or its suction cup holds), and
# the TCP is inside the parcel or at most AROUND_M outside.
OPEN_M = 0.074
AROUND_M = 0.005
# A parcel on the belt with a larger y than this has passed the robot for good.
PASSED_Y_W = 0.62
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
        self.scanner = Scanner(engine, SCANNER)
        self.belt = Belt(engine)
        self.hand = Hand(engine, robot)


class Facts(ParcelFacts):
    """Quantities of the K parcels of N worlds in one state."""

    def __init__(self, props: Props, memory: Mapping[str, Array]) -> None:
        super().__init__(props, memory)
        self._props = props

    @quantity
    def plate_w(self) -> Array:
        """(N, 3) m, centre of the scanner's plate."""
        return self._props.scanner.plate_w()

    @quantity
    def belt_speed(self) -> Array:
        """(N,) m/s along +y."""
        return self._props.belt.speed()

    @quantity
    def to_hand(self) -> Array:
        """(N, K, 3) m, vectors from each parcel's middle to the tool centre point."""
        return self._props.hand.pos_w()[:, None, :] - self.pos_w

    @quantity
    def is_readable(self) -> Array:
        """(N, K) bool, parcels that lie still on the plate, their labels visible."""
        xp = self._xp
        memory = self._memory
        # half the height that the parcel takes up in its present orientation: the sum of
        # its three half edges, each times the z component of its axis
        axes_z = self.rotations[:, :, 2, :]  # (N, K, 3), last rows of the matrices
        half_height = dot(xp.abs(axes_z), memory["size"]) / 2
        gap = self.pos_w[..., 2] - half_height - self.plate_w[:, 2:]
        is_on_plate = self._props.scanner.over(self.pos_w) & (xp.abs(gap) < FLAT_M)
        is_lying = is_on_plate & self.is_still & (memory["present"] > 0)

        # the label points up, and the hand does not hide it
        label = self.label_w  # (N, K, 3) m, from the parcels' middles to their labels
        label_to_hand = self.to_hand - label
        is_hand_away = dot(label_to_hand, label_to_hand) > HIDING_M**2
        return is_lying & self.is_label_up & is_hand_away

    @quantity
    def is_held(self) -> Array:
        """(N, K) bool, parcels with the TCP in or on them while the gripper is closed."""
        xp = self._xp
        axes = xp.permute_dims(self.rotations, (0, 1, 3, 2))  # rows are the axes
        # (N, K, 3) from the parcels' centres to the TCP, in the parcels' frames
        offset = xp.abs(dot(axes, self.to_hand[:, :, None, :]))
        inside = offset < self._memory["size"] / 2 + AROUND_M
        return all_of(inside) & self._props.hand.is_closed(OPEN_M)[:, None]

    @quantity
    def is_on_belt(self) -> Array:
        """(N, K) bool, parcels above the belt."""
        is_within = self._xp.abs(self.pos_w[..., 0] - BELT.x) < BELT.width / 2
        return is_within & (self.pos_w[..., 2] > BELT.top_z)

    @quantity
    def has_passed(self) -> Array:
        """(N, K) bool, parcels that the belt has carried past the robot."""
        return self.is_on_belt & (self.pos_w[..., 1] > PASSED_Y_W)

    @property
    def parcel_progress(self) -> Array:
        """(N, K), below 1, the progress of each parcel.

        A parcel whose label is not yet read gets up to 0.1 for the hand being near it,
        and once it is lifted up to 0.2 for being near the plate. A parcel that has been
        read gets 0.45, and up to 0.35 for being near its bin. A held parcel gets 0.1
        more.
        """
        xp = self._xp
        # from 0 to 1, how near each parcel is to the hand, the plate and its own bin
        offsets = [
            self.to_hand,
            self.plate_w[:, None, :] - self.pos_w,
            self.bin_w - self.pos_w,
        ]
        offsets = xp.stack(offsets)  # (3, N, K, 3)
        distances = norm(offsets)
        nearness = tolerance(distances, bound=NEAR_M, margin=FAR_M)
        near_hand, near_plate, near_bin = nearness  # (N, K) each

        is_lifted = self.is_held | (self.pos_w[..., 2] > SCANNER.top_z)
        unread = 0.1 * near_hand + 0.2 * xp.where(is_lifted, near_plate, 0.0)
        read = 0.45 + 0.35 * near_bin
        progress = xp.where(self._memory["scanned"] > 0, read, unread)
        return progress + xp.where(self.is_held, 0.1, 0.0)
