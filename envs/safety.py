"""Signals that would stop a real robot: contact forces and joint margins."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import mujoco

from embodied.arrays import columns, largest, smallest
from embodied.core import Array
from embodied.errors import EmbodiedError
from embodied.robots.robot import Robot
from embodied.sim.contact_force import (
    WINDOW_TICKS,
    ContactForce,
    add_contact_sensor,
)
from embodied.sim.engine import Engine, HostEngine

# Prefixes of the sensors' names: one contact sensor per base of the robot, and one per
# pair of a base and a body of the scenery.
CONTACT = "robot_contact"
COLLISION = "robot_collision"
# A contact force with the scenery above this counts as a collision.
COLLISION_N = 1.0


@dataclass(frozen=True)
class Safety:
    """The signals of N worlds, over the physics steps that were asked for."""

    # (N,) N, the robot's strongest single contact at any physics step, with what it
    # holds included
    contact_force_n: Array
    # (N,) bool, whether the robot touched something that is fixed to the world
    collision: Array
    # (N,) rad, how near the arm joints now are to an end of their ranges, at least
    joint_margin_rad: Array


def with_safety_sensors(spec: mujoco.MjSpec, robot: Robot) -> mujoco.MjSpec:
    """Adds the sensors that `SafetySignals` reads; returns the spec itself.

    First come those of all contacts of each root of the robot, then those of contacts
    of each root with each body of the scenery.
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
    """Yields the bodies that can be touched and that no joint moves.

    Args:
        body: where the search begins; its children are searched, too.
        roots: names of the robot's root bodies, which are left out.
    """
    # a geom with neither can touch nothing
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
            engine: the worlds.
            robot: the robot in them.
            step_ticks: physics steps of a control step.
        """
        model = engine.model
        xp = engine.xp
        self._xp = xp
        self._step_ticks = step_ticks

        # contact sensors come first, then those of collisions, side by side
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
        self._low = xp.asarray([low for low, _ in ranges])
        self._high = xp.asarray([high for _, high in ranges])

    def read(self, ticks: int) -> Safety:
        """Returns forces of the last `ticks` physics steps, and the joint margins now.

        The values of worlds with a fault mean nothing.

        Args:
            ticks: at most 20, or those of a control step, however long it is.

        Raises:
            EmbodiedError: the sensors no longer hold so many steps.
        """
        if ticks > WINDOW_TICKS and ticks != self._step_ticks:
            raise EmbodiedError(
                f"forces of the last {ticks} physics steps are not kept: ask for at most "
                f"{WINDOW_TICKS}, or for the {self._step_ticks} of a control step"
            )
        xp = self._xp
        angles = self._qpos[:, self._arm_columns]
        # the joint that is nearest to an end of its range
        margin = smallest(xp.minimum(angles - self._low, self._high - angles))

        # (N, contacts, then collisions) the strongest force of each sensor, N
        # None stands for a control step that is longer than the window of sensors
        peaks = self._force.peaks_n(ticks if ticks <= WINDOW_TICKS else None)
        contact_force = peaks[:, 0]
        for k in range(1, self._num_contacts):
            contact_force = xp.maximum(contact_force, peaks[:, k])
        collision = largest(peaks[:, self._num_contacts :]) > COLLISION_N
        return Safety(contact_force, collision, margin)


def body_contacts(
    engine: HostEngine, world: int
) -> Iterator[tuple[tuple[str, str], float]]:
    """Yields for each contact in one world the names of its two bodies, and its depth.

    The depth, in m, is positive where they overlap. Two bodies may have several
    contacts, which are all yielded. The world itself is not touched.
    """
    # contacts are computed in a copy of the world's data
    data = engine.world_data(world)
    model = engine.world_model(world)
    mujoco.mj_forward(model, data)
    for contact in data.contact[: data.ncon]:
        one = model.body(model.geom_bodyid[contact.geom[0]]).name
        other = model.body(model.geom_bodyid[contact.geom[1]]).name
        yield (one, other), -float(contact.dist)
