"""The quantities by which PourWater is judged: of bottle, glass and water."""

from __future__ import annotations

from collections.abc import Mapping

from embodied.arrays import count_of, norm
from embodied.core import Array
from embodied.envs.facts import quantity
from embodied.envs.hand import Hand
from embodied.envs.props.granules import RADIUS_M, Granules
from embodied.envs.props.vessels import Bottle, Cup
from embodied.envs.tasks.pour_water.scene import (
    BOTTLE_SIZE,
    CUP_SIZE,
    GRAINS,
    TABLE,
)
from embodied.robots.robot import Robot
from embodied.sim.engine import Engine

# The height of the grip above the bottle's underside.
GRIP_Z_M = 0.062
# The TCP stays this far short of the bottle's axis, along the fingers, so that the palm
# does not touch the bottle.
GRIP_BEFORE_M = 0.004
# A gripper holds the bottle if its width differs from the bottle's by less than
# HELD_SLACK_M, and the TCP is within HELD_ERROR_M of the grip.
HELD_SLACK_M = 0.004
HELD_ERROR_M = 0.03
# A grain outside of both vessels is spilled if it is lower than SPILLED_Z_W, or slower than
# AT_REST_M_S, because it may have come to rest on the hand.
SPILLED_Z_W = TABLE.top_z + 3 * RADIUS_M
AT_REST_M_S = 0.01
# A vessel whose underside is lower than this has fallen off the table.
FALLEN_Z_W = 0.6
# A glass that leans by more than 30 degrees is overturned.
OVERTURNED_COS = 0.87


class Props:
    """The parts of the scene that the task moves and reads, in N worlds."""

    def __init__(self, engine: Engine, robot: Robot) -> None:
        """Finds the parts in the model."""
        self.xp = engine.xp
        self.bottle = Bottle(engine, BOTTLE_SIZE)
        self.cup = Cup(engine, CUP_SIZE)
        self.water = Granules(engine, GRAINS)
        self.hand = Hand(engine, robot)


class Facts:
    """Quantities of N worlds in one state."""

    def __init__(self, props: Props, memory: Mapping[str, Array]) -> None:
        """Reads the poses, and counts the grains in bottle and glass and beside them."""
        self._props = props
        self._memory = memory
        self._xp = props.xp
        self.bottle_pos_w = props.bottle.pos_w()  # (N, 3) m, of its underside
        self.bottle_up_w = props.bottle.up_w()  # (N, 3) unit vectors
        self.cup_pos_w = props.cup.pos_w()  # (N, 3) m, of its underside

        # the state of each grain, (N, K) bool
        grains = props.water.positions_w()  # (N, K, 3) m
        is_in_cup = props.cup.holds(grains)
        is_in_bottle = props.bottle.holds(grains) & ~is_in_cup
        is_low = grains[:, :, 2] < SPILLED_Z_W
        is_at_rest = props.water.speeds_m_s() < AT_REST_M_S
        is_spilled = (is_low | is_at_rest) & ~is_in_cup & ~is_in_bottle
        # the number of grains in each state, (N,) int; all other grains are in the air
        self.in_cup = count_of(is_in_cup)
        self.in_bottle = count_of(is_in_bottle)
        self.spilled = count_of(is_spilled)
        self.in_air = GRAINS - self.in_cup - self.in_bottle - self.spilled

    @quantity
    def fill(self) -> Array:
        """(N,) the level: grains in the glass, as a share of those up to the named mark."""
        return self._xp.astype(self.in_cup, self._xp.float64) / self._memory["mark"]

    @quantity
    def grip_pos_w(self) -> Array:
        """(N, 3) m, the TCP position for taking the bottle."""
        return self.bottle_pos_w + GRIP_Z_M * self.bottle_up_w

    @quantity
    def grip_error_m(self) -> Array:
        """(N,) m, from the TCP to the grip on the bottle."""
        error = self._props.hand.pos_w() - self.grip_pos_w
        return norm(error)

    @quantity
    def is_held(self) -> Array:
        """(N,) bool, the gripper is closed on the bottle."""
        width = 2 * BOTTLE_SIZE.outer_half_width
        width_error = self._xp.abs(self._props.hand.width_m() - width)
        return (width_error < HELD_SLACK_M) & (self.grip_error_m < HELD_ERROR_M)

    @quantity
    def aside_m(self) -> Array:
        """(N,) m, horizontal distance from the grip on the bottle to the glass."""
        offset = (self.grip_pos_w - self.cup_pos_w)[:, :2]
        return norm(offset)

    @quantity
    def is_overturned(self) -> Array:
        """(N,) bool, a vessel has fallen off the table, or the glass has toppled over."""
        has_toppled = self._props.cup.up_w()[:, 2] < OVERTURNED_COS
        is_glass_fallen = self.cup_pos_w[:, 2] < FALLEN_Z_W
        is_bottle_fallen = self.bottle_pos_w[:, 2] < FALLEN_Z_W
        return has_toppled | is_glass_fallen | is_bottle_fallen
