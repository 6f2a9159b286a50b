"""The quantities by which Patrol is judged: of signs, the camera, and people."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from embodied.arrays import any_of, dot
from embodied.core import PHYSICS_HZ, Array
from embodied.envs.clearance import Outline
from embodied.envs.facts import quantity
from embodied.envs.props.checkpoint import Checkpoints
from embodied.envs.props.people import PERSON_RADIUS_M, People
from embodied.envs.safety import COLLISION, COLLISION_N
from embodied.envs.tasks.patrol.scene import AHEAD_S, PEOPLE, STATIONS
from embodied.envs.tasks.patrol.variation import NUMBERS
from embodied.robots.robot import Robot
from embodied.sim.contact_force import ContactForce
from embodied.sim.engine import Engine

# A station has been seen after the robot has looked at its sign for this long. It looks at
# a sign if all of the following hold.
SEEN_S = 1.0
# The base is slower than this.
STANDS_M_S = 0.05
# The camera is nearer to the sign than this.
NEAR_M = 1.5
# The angle between the camera's axis and the sign is smaller than this, so that the sign is
# near the middle of the picture.
AIMED_RAD = float(np.deg2rad(20.0))
# The cosine of the angle between the sign's normal and the direction to the camera is
# larger than this, so that the sign is seen from the front.
BEFORE_COS = 0.5
# A robot that is nearer to people than KEPT_M must not drive faster than CREEP_M_S. The
# two were chosen for this task, after what is usual for driverless trucks, the subject of
# ISO 3691-4; no conformity with it is claimed.
KEPT_M = 0.5
CREEP_M_S = 0.3


class Props:
    """The parts of the scene in N worlds, as a task moves and reads them."""

    def __init__(self, engine: Engine, robot: Robot, camera: str) -> None:
        """Finds the parts in the model.

        Args:
            engine: the physics of the worlds.
            robot: the robot in the worlds.
            camera: the name of the robot's camera that must look at the signs.
        """
        model = engine.model
        self.xp = engine.xp
        self.worlds = engine.xp.arange(engine.num_worlds)
        self.checkpoints = Checkpoints(engine, STATIONS, NUMBERS)
        self.people = People(engine, PEOPLE, AHEAD_S)
        self.outline = Outline(engine, robot)
        # the sensors of the robot's contacts with scenery and people
        sensors = [model.sensor(k).name for k in range(model.nsensor)]
        touches = [name for name in sensors if name.startswith(f"{COLLISION}_")]
        self.touches = ContactForce(engine, *touches)

        camera_id = model.camera(camera).id
        self.camera_pos_w = engine.view("cam_xpos")[:, camera_id]  # (N, 3)
        self._camera_xmat = engine.view("cam_xmat")[:, camera_id]  # (N, 9)
        # (K, 3) the signs' outward normals, opposite to the direction in which someone looks
        # who faces the sign
        yaws = np.array([station.facing_rad for station in STATIONS])
        normals = np.stack([-np.cos(yaws), -np.sin(yaws), np.zeros_like(yaws)], axis=1)
        self.normals_w = engine.xp.asarray(normals)

    def camera_axis_w(self) -> Array:
        """Returns (N, 3), a unit vector in the direction in which the camera looks."""
        xmat = self.xp.reshape(self._camera_xmat, (-1, 9))
        # a camera looks along its own -z axis; z is the third column of the matrix
        return -xmat[:, 2::3]


class Facts:
    """Quantities of N worlds in one state, for K stations."""

    def __init__(self, props: Props, memory: Mapping[str, Array]) -> None:
        """Stores the parts and the memory; facts are computed when they are first used."""
        self._props = props
        self._memory = memory
        self._xp = props.xp

    @quantity
    def signs_w(self) -> Array:
        """(N, K, 3) m, the middles of the signs."""
        return self._props.checkpoints.signs_w()

    @quantity
    def asked(self) -> Array:
        """(N,) int, the number of stations in the round."""
        return self._xp.max(self._memory["place"], axis=1)

    @quantity
    def target(self) -> Array:
        """(N,) int, index of the station to look at next; the last one at the end."""
        xp = self._xp
        # `place` is a station's place in the round, from 1
        next_place = xp.minimum(self._memory["seen"] + 1, self.asked)
        is_next = self._memory["place"] == next_place[:, None]
        return xp.argmax(xp.astype(is_next, xp.int64), axis=1)

    @quantity
    def to_sign(self) -> Array:
        """(N, 3) m, from the camera to the target's sign, in the world."""
        sign = self.signs_w[self._props.worlds, self.target]
        return sign - self._props.camera_pos_w

    @quantity
    def sign_m(self) -> Array:
        """(N,) m, from the camera to the target's sign."""
        return self._xp.sqrt(dot(self.to_sign, self.to_sign))

    @quantity
    def off_axis_rad(self) -> Array:
        """(N,) rad, between the camera's axis and the direction to the target's sign."""
        cos = dot(self.to_sign, self._props.camera_axis_w()) / self.sign_m
        return self._xp.acos(self._xp.clip(cos, -1.0, 1.0))

    @quantity
    def is_looking(self) -> Array:
        """(N,) bool, the robot stands and looks at the target's sign."""
        normal = self._props.normals_w[self.target]  # (N, 3)
        # the cosine of the angle between the normal and the direction to the camera
        before_cos = -dot(self.to_sign, normal) / self.sign_m
        is_near = (self.sign_m < NEAR_M) & (before_cos > BEFORE_COS)
        stands = self.speed_m_s < STANDS_M_S
        return is_near & stands & (self.off_axis_rad < AIMED_RAD)

    @quantity
    def seen_share(self) -> Array:
        """(N,) in [0, 1], how long the target has been looked at, as a share of SEEN_S."""
        looked = self._memory["looked_ticks"]
        share = self._xp.astype(looked, self._xp.float64) / (SEEN_S * PHYSICS_HZ)
        return self._xp.clip(share, 0.0, 1.0)

    @quantity
    def speed_m_s(self) -> Array:
        """(N,) m/s, an upper bound of the speed of the base's fastest point."""
        return self._props.outline.speed_m_s()

    @quantity
    def people_m(self) -> Array:
        """(N,) m, from the robot to the nearest person, from above."""
        people = self._props.people
        return self._props.outline.nearest_m(
            people.positions_w(), people.is_present(), PERSON_RADIUS_M
        )

    @quantity
    def is_too_near(self) -> Array:
        """(N,) bool, the robot drives faster than is allowed so near to a person."""
        return (self.people_m < KEPT_M) & (self.speed_m_s > CREEP_M_S)

    @quantity
    def has_touched(self) -> Array:
        """(N,) bool, the robot touched a person or a thing in the last control step."""
        return any_of(self._props.touches.peaks_n() > COLLISION_N)
