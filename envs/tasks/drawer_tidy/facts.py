"""The quantities by which DrawerTidy is judged: of the drawers and the things."""

from __future__ import annotations

from collections.abc import Mapping

from embodied.arrays import all_of, norm
from embodied.core import Array
from embodied.envs.facts import quantity
from embodied.envs.hand import Hand
from embodied.envs.props.drawer import Drawers
from embodied.envs.props.things import Things
from embodied.envs.reward import tolerance
from embodied.envs.tasks.drawer_tidy.episode import THING_NAMES
from embodied.envs.tasks.drawer_tidy.scene import DRAWERS_SIZE
from embodied.robots.robot import Robot
from embodied.sim.engine import Engine

# A drawer is closed if its opening is below CLOSED_M, and open if it is above OPEN_M.
CLOSED_M = 0.008
OPEN_M = 0.17
# A thing whose middle is lower than this has fallen off the counter.
FALLEN_Z_W = 0.45
# A thing is being carried if its underside is at least LIFTED_M above the counter and
# its middle is within IN_HAND_M of the TCP.
LIFTED_M = 0.015
IN_HAND_M = 0.06
# Rewards for being near a goal are 1 within NEAR_M of it, and fall to 0.1 at a distance
# of NEAR_M + FAR_M.
NEAR_M = 0.03
FAR_M = 0.5


class Props:
    """The parts of the scene that the task moves and reads, in N worlds."""

    def __init__(self, engine: Engine, robot: Robot) -> None:
        """Finds the parts in the model."""
        xp = engine.xp
        self.xp = xp
        self.things = Things(engine, THING_NAMES)
        self.drawers = Drawers(engine, DRAWERS_SIZE)
        self.hand = Hand(engine, robot)
        # the worlds' indices, for choosing one drawer or thing per world
        self.worlds = xp.arange(engine.num_worlds)
        # (D, 2): row d holds the indices of the drawers other than drawer d
        self.other_drawers = xp.asarray([[1, 2], [0, 2], [0, 1]])


class Facts:
    """Quantities of N worlds in one state: D drawers, K things, two of them named."""

    def __init__(self, props: Props, memory: Mapping[str, Array]) -> None:
        """Reads positions and openings; other facts are computed when first used."""
        self._props = props
        self._memory = memory
        self._xp = props.xp
        self.things_pos_w = props.things.positions_w()  # (N, K, 3) m, of the middles
        self.openings_m = props.drawers.openings()  # (N, D)
        # the indices of the first and of the second named thing, (N,) each
        self.targets = [memory["target"][:, k] for k in range(2)]

    @quantity
    def opening_m(self) -> Array:
        """(N,) m, of the named drawer."""
        return self.openings_m[self._props.worlds, self._memory["drawer"]]

    @quantity
    def other_openings_m(self) -> Array:
        """(N, 2) m, of the drawers that are not named."""
        others = self._props.other_drawers[self._memory["drawer"]]
        return self.openings_m[self._props.worlds[:, None], others]

    @quantity
    def drawer_pos_w(self) -> Array:
        """(N, 3) m, origin of the named drawer's frame."""
        return self._props.drawers.frame_w(self._memory["drawer"])

    @quantity
    def share_open(self) -> Array:
        """(N,) in [0, 1], how far the named drawer is open: 1 from OPEN_M on."""
        return self._xp.clip(self.opening_m / OPEN_M, 0.0, 1.0)

    @quantity
    def are_all_closed(self) -> Array:
        """(N,) bool, every drawer is closed."""
        return all_of(self.openings_m < CLOSED_M)

    @quantity
    def is_in_drawer(self) -> Array:
        """(N, D, K) bool, whether thing k is inside drawer d."""
        return self._props.drawers.hold(self.things_pos_w)

    @quantity
    def are_all_where_they_belong(self) -> Array:
        """(N,) bool: the named drawer holds the named things and no other things.

        The other drawers are empty.
        """
        # (N, D, K), whether thing k is in drawer d if and only if it belongs there
        is_right = self.is_in_drawer == (self._memory["belongs"] > 0)
        num_pairs = is_right.shape[1] * is_right.shape[2]
        return self._xp.all(self._xp.reshape(is_right, (-1, num_pairs)), axis=1)

    @quantity
    def is_fallen(self) -> Array:
        """(N, K) bool, things that take part and lie below the counter."""
        is_below = self.things_pos_w[:, :, 2] < FALLEN_Z_W
        return is_below & (self._memory["present"] > 0)

    @quantity
    def is_target_fallen(self) -> Array:
        """(N,) bool, a named thing has fallen."""
        worlds = self._props.worlds
        first, second = self.targets
        return self.is_fallen[worlds, first] | self.is_fallen[worlds, second]

    def is_target_in(self, k: int) -> Array:
        """Returns (N,) bool, whether the k-th named thing is in the named drawer."""
        worlds = self._props.worlds
        return self.is_in_drawer[worlds, self._memory["drawer"], self.targets[k]]

    def target_progress(self, k: int) -> Array:
        """Returns the progress (N,) in [0, 0.9] of bringing the k-th named thing.

        Until the thing is lifted, the progress is up to 0.3, by how near the hand is to
        the thing. From then on it is 0.4 to 0.9, by how near the thing is to the drawer.
        """
        xp = self._xp
        pos = self.things_pos_w[self._props.worlds, self.targets[k]]  # (N, 3)
        # `size` holds x, y and z of the first named thing, then those of the second
        height_m = self._memory["size"][:, 3 * k + 2]

        # the distances from the hand to the thing, and from there to the drawer
        hand_to_thing = pos - self._props.hand.pos_w()
        reach_m = norm(hand_to_thing)
        drawer_w = self._props.drawers.middle_w(self._memory["drawer"])
        drawer_to_thing_xy = (pos - drawer_w)[:, :2]
        carry_m = norm(drawer_to_thing_xy)

        is_lifted = pos[:, 2] - height_m / 2 > DRAWERS_SIZE.top_z + LIFTED_M
        carried = 0.4 + 0.5 * tolerance(carry_m, bound=NEAR_M, margin=FAR_M)
        reached = 0.3 * tolerance(reach_m, bound=NEAR_M, margin=FAR_M)
        return xp.where(is_lifted & (reach_m < IN_HAND_M), carried, reached)
