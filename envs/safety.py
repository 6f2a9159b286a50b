"""Safety signals like those that stop real robots: contact forces and joint margins."""

from __future__ import annotations

from collections.abc import Iterator

import mujoco

from embodied.arrays import columns, largest, one_row, smallest, surely_none
from embodied.core import Array
from embodied.errors import EmbodiedError
from embodied.robots.robot import Robot
from embodied.sim.contact_force import (
    WINDOW_TICKS,
    ContactForce,
    add_contact_sensor,
)
from embodied.sim.engine import Engine, HostEngine
from embodied.step_data import step_data

# Prefix of the sensors of all contacts of a robot; there is one for each base.
CONTACT = "robot_contact"
# Prefix of the sensors of contacts with the scenery, the bodies that are fixed to the
# world; there is one for each pair of a base and such a body.
COLLISION = "robot_collision"
# A contact with the scenery counts as a collision if its force is larger than this.
COLLISION_N = 1.0


@step_data
class Safety:
    """The safety signals of N worlds over some physics steps.

    Attributes:
        contact_force_n: (N,) N, the robot's strongest single contact in any physics
            step, including contacts with a held object.
        collision: (N,) bool, whether the robot touched a body that is fixed to the
            world.
        joint_margin_rad: (N,) rad, the smallest distance of an arm joint from its
            limits now.
    """

    contact_force_n: Array
    collision: Array
    joint_margin_rad: Array


def with_safety_sensors(spec: mujoco.MjSpec, robot: Robot) -> mujoco.MjSpec:
    """Adds the sensors for `SafetySignals` to a spec, and returns the same spec.

    First come the sensors of all contacts of each robot, then those of each robot's
    contacts with each body of the scenery. No other sensor may stand between them,
    because `SafetySignals` reads all of them as one block of sensor data.
    """
    roots = [base.root_body for base in robot.bases]
    for k, root in enumerate(roots):
        add_contact_sensor(spec, f"{CONTACT}_{k}", root)

    for k, body in enumerate(_scenery(spec.worldbody, roots)):
        body.name = body.name or f"scenery_{k}"
        for root in roots:
            add_contact_sensor(spec, f"{COLLISION}_{k}_{root}", root, body.name)
    return spec


def _scenery(body: mujoco.MjsBody, roots: list[str]) -> Iterator[mujoco.MjsBody]:
    """Yields the bodies of the scenery: those without joints whose geoms can collide.

    Args:
        body: the root of the search.
        roots: names of the robots' root bodies, which are excluded.
    """
    # a geom collides with nothing if both of its bit masks are 0
    if any(geom.contype or geom.conaffinity for geom in body.geoms):
        yield body
    for child in body.bodies:
        if child.name not in roots and not child.joints:
            yield from _scenery(child, roots)


class SafetySignals:
    """Reads the signals of N worlds."""

    def __init__(self, engine: Engine, robot: Robot, step_ticks: int) -> None:
        """Finds sensors and joints.

        Args:
            engine: the physics of the worlds.
            robot: the robot in the worlds.
            step_ticks: the number of physics steps in a control step.
        """
        model = engine.model
        xp = engine.xp
        self._xp = xp
        self._step_ticks = step_ticks

        # adjacent sensors: first of all contacts, then of contacts with the scenery
        sensors = [model.sensor(k).name for k in range(model.nsensor)]
        contacts = [name for name in sensors if name.startswith(f"{CONTACT}_")]
        collisions = [name for name in sensors if name.startswith(f"{COLLISION}_")]
        self._force = ContactForce(engine, *contacts, *collisions)
        self._num_contacts = len(contacts)

        # joints of all arms
        names = [name for arm in robot.arms for name in arm.joints.names]
        ranges = [limits for arm in robot.arms for limits in arm.joints.ranges]
        self._qpos = engine.view("qpos")
        self._arm_columns = columns([model.joint(name).qposadr[0] for name in names])
        self._low = one_row(xp, [low for low, _ in ranges])  # (1, J) rad
        self._high = one_row(xp, [high for _, high in ranges])

    def read(self, ticks: int) -> Safety:
        """Returns forces of the last `ticks` physics steps, and the joint margins now.

        The values of worlds with a fault are meaningless.

        Args:
            ticks: at most WINDOW_TICKS, or the number of physics steps in a control step.

        Raises:
            EmbodiedError: the sensors do not keep the forces of so many steps.
        """
        if ticks > WINDOW_TICKS and ticks != self._step_ticks:
            raise EmbodiedError(
                f"forces of the last {ticks} physics steps are not kept: ask for at most "
                f"{WINDOW_TICKS}, or for the {self._step_ticks} of a control step"
            )
        xp = self._xp
        angles = self._qpos[:, self._arm_columns]
        # the margin of the joint nearest to one of its limits
        margin = smallest(xp.minimum(angles - self._low, self._high - angles))

        # (N, sensors) the peak force of each sensor, N; None asks for the peaks in the
        # whole control step, which may be longer than WINDOW_TICKS
        peaks = self._force.peaks_n(ticks if ticks <= WINDOW_TICKS else None)
        contact_force = peaks[:, 0]
        for k in range(1, self._num_contacts):
            contact_force = xp.maximum(contact_force, peaks[:, k])
        if surely_none(contact_force):
            # a robot that touches nothing does not collide
            collision = xp.zeros(contact_force.shape, dtype=xp.bool)
        else:
            collision = largest(peaks[:, self._num_contacts :]) > COLLISION_N
        return Safety(
            contact_force_n=contact_force,
            collision=collision,
            joint_margin_rad=margin,
        )


def body_contacts(
    engine: HostEngine, world: int
) -> Iterator[tuple[tuple[str, str], float]]:
    """Yields ((body name, body name), depth in m) for each contact in one world.

    A positive depth is a penetration. Two bodies may have several contacts. The world
    itself is not changed.
    """
    # contacts are computed in a copy of the world's data
    data = engine.world_data(world)
    model = engine.world_model(world)
    mujoco.mj_forward(model, data)
    for contact in data.contact[: data.ncon]:
        first = model.body(model.geom_bodyid[contact.geom[0]]).name
        second = model.body(model.geom_bodyid[contact.geom[1]]).name
        yield (first, second), -float(contact.dist)
