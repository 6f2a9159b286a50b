"""The quantities by which FixtureLoad is judged: of workpiece, fixture and button."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from embodied.arrays import norm
from embodied.core import Array
from embodied.envs.facts import quantity
from embodied.envs.hand import Hand
from embodied.envs.props.button import Buttons
from embodied.envs.props.fixture import Fixture
from embodied.envs.props.start_box import BUTTON, StartBox
from embodied.envs.props.workpiece import Workpieces
from embodied.envs.tasks.fixture_load.scene import FIXTURE, PART, PARTS, START_BOX
from embodied.robots.robot import Robot
from embodied.sim.engine import ROT6D_OF_XMAT, Engine

# The grip is this far above the workpiece's centre, so that the fingers stay above the
# fixture.
GRIP_UP_M = 0.026
# A gripper holds a workpiece if its width differs from the workpiece's by less than
# HELD_SLACK_M, and the TCP is within HELD_ERROR_M of the grip.
HELD_SLACK_M = 0.004
HELD_ERROR_M = 0.03
# A workpiece is seated if its horizontal and vertical errors to the seat are below these.
SEATED_ASIDE_M = 0.004
SEATED_Z_M = 0.0015
# A workpiece is upright if it leans by less than 3 degrees.
UPRIGHT_COS = float(np.cos(np.deg2rad(3)))
# A workpiece has toppled over if it leans by more than 60 degrees.
TOPPLED_COS = 0.5
# A workpiece below this has fallen off the bench.
FALLEN_Z_W = 0.6


class Props:
    """The parts of the scene that the task moves and reads, in N worlds."""

    def __init__(self, engine: Engine, robot: Robot) -> None:
        """Finds the parts in the model."""
        self.xp = engine.xp
        self.parts = Workpieces(engine, PARTS)
        self.fixture = Fixture(engine, FIXTURE)
        self.box = StartBox(engine, START_BOX)
        self.button = Buttons(engine, (BUTTON,))
        self.hand = Hand(engine, robot)
        # (N,) index 0 for each world: there is only one button
        self.first = engine.xp.zeros(engine.num_worlds, dtype=engine.xp.int64)

        count = len(PARTS)
        # (K, 3): row k begins with the index k, followed by those of the other two parts
        named_first = [[k, (k + 1) % count, (k + 2) % count] for k in range(count)]
        self.named_first = engine.xp.asarray(named_first)


class Facts:
    """Quantities of N worlds in one state; "the part" is the workpiece that is named."""

    def __init__(self, props: Props, memory: Mapping[str, Array]) -> None:
        """Reads the workpieces; other facts are computed when they are first used."""
        self._props = props
        self._memory = memory
        self._xp = props.xp
        # positions of all parts (N, 3, 3) m, and rotation matrices (N, 3, 9), row by row;
        # the named part is the first
        named_first = props.named_first[memory["part"]]  # (N, 3)
        self.pos_w, xmat = props.parts.poses_of(named_first)
        # the part's centre (N, 3) m, its rotation matrix (N, 9), and its
        # velocity (N, 3) m/s
        self.part_pos_w = self.pos_w[:, 0]
        self.part_xmat = xmat[:, 0]
        self.part_vel_w = props.parts.velocity_of(memory["part"])

    @quantity
    def part_rot6d(self) -> Array:
        """(N, 6) x and y axis of the part in the world."""
        return self.part_xmat[:, ROT6D_OF_XMAT]

    @quantity
    def pocket_pos_w(self) -> Array:
        """(N, 3) m, centre of the pocket's floor."""
        return self._props.fixture.floor_w()

    @quantity
    def pocket_heading(self) -> Array:
        """(N, 2) cosine and sine of the fixture's yaw."""
        return self._props.fixture.heading()

    @quantity
    def button_pos_w(self) -> Array:
        """(N, 3) m, the top of the start button."""
        return self._props.button.tops_w(self._props.first)

    @quantity
    def grip_error_m(self) -> Array:
        """(N,) m, from the TCP to the grip on the part."""
        z_axis = self.part_xmat[:, [2, 5, 8]]  # third column of the rotation matrix
        error = self._props.hand.pos_w() - self.part_pos_w - GRIP_UP_M * z_axis
        return norm(error)

    @quantity
    def is_held(self) -> Array:
        """(N,) bool, the gripper is closed on the part."""
        width_error = self._xp.abs(self._props.hand.width_m() - PART.width)
        return (width_error < HELD_SLACK_M) & (self.grip_error_m < HELD_ERROR_M)

    @quantity
    def seat_offset_m(self) -> Array:
        """(N, 3) m, from the seat to the part's centre.

        The seat is the centre of a part that stands on the pocket's floor.
        """
        floor_to_seat = self._xp.asarray([0.0, 0.0, PART.height / 2])
        return self.part_pos_w - self.pocket_pos_w - floor_to_seat

    @quantity
    def seat_aside_m(self) -> Array:
        """(N,) m, horizontal distance of the part from its seat."""
        offset_xy = self.seat_offset_m[:, :2]
        return norm(offset_xy)

    @quantity
    def is_seated(self) -> Array:
        """(N,) bool, the part stands on the pocket's floor."""
        is_down = self._xp.abs(self.seat_offset_m[:, 2]) < SEATED_Z_M
        is_upright = self.part_xmat[:, 8] > UPRIGHT_COS  # z component of its z axis
        return (self.seat_aside_m < SEATED_ASIDE_M) & is_down & is_upright

    @quantity
    def is_lost(self) -> Array:
        """(N,) bool, the part has fallen off the bench or toppled over."""
        has_fallen = self.part_pos_w[:, 2] < FALLEN_Z_W
        has_toppled = self.part_xmat[:, 8] < TOPPLED_COS  # z component of its z axis
        return has_fallen | has_toppled

    @quantity
    def fallen_parts(self) -> Array:
        """(N,) int, how many of the workpieces that take part lie below the bench."""
        height = self._props.parts.positions_w()[..., 2]  # (N, K)
        is_fallen = (height < FALLEN_Z_W) & (self._memory["present"] > 0)
        return self._xp.sum(is_fallen, axis=1, dtype=self._xp.int64)

    @quantity
    def reach_button_m(self) -> Array:
        """(N,) m, from the closed fingertips to the start button."""
        offset = self._props.hand.tip_w() - self.button_pos_w
        return norm(offset)

    @quantity
    def share_pressed(self) -> Array:
        """(N,) in [0, 1], the button's travel as a share of the travel to its click."""
        return self._props.button.share_pressed()[:, 0]
