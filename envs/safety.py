"""How gently a robot works: the signals by which one would stop a real one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import mujoco

from embodied.arrays import columns
from embodied.core import Array
from embodied.robots.robot import Robot
from embodied.sim.contact_force import ContactForce, add_contact_sensor
from embodied.sim.engine import Engine

# sensors; of the second, one for each body of the scenery
ANY = "robot_contact"
SCENERY = "robot_collision"
COLLISION_N = 1.0  # that counts


@dataclass(frozen=True)
class Safety:
    """The signals of N worlds, of the last 50 ms."""

    # (N,) strongest single contact of the robot, with what it holds too, at every
    # physics step
    contact_force_n: Array
    collision: Array  # (N,) bool, it touched what is fixed to the world
    # (N,) of the arm's joint that is nearest to an end of its range, now
    joint_margin_rad: Array


def with_safety_sensors(spec: mujoco.MjSpec, robot: Robot) -> mujoco.MjSpec:
    """The spec itself, with what `SafetySignals` reads."""
    add_contact_sensor(spec, ANY, robot.root_body)
    for k, body in enumerate(_scenery(spec.worldbody, robot)):
        body.name = body.name or f"scenery_{k}"
        add_contact_sensor(spec, f"{SCENERY}_{k}", robot.root_body, body.name)
    return spec


def _scenery(body: mujoco.MjsBody, robot: Robot) -> Iterator[mujoco.MjsBody]:
    """Of this body and those below it that no joint moves, without the robot's: what
    can be touched.
    """
    if any(geom.contype or geom.conaffinity for geom in body.geoms):
        yield body
    for child in body.bodies:
        if child.name != robot.root_body and not child.joints:
            yield from _scenery(child, robot)


class SafetySignals:
    """Reads the signals of N worlds."""

    def __init__(self, engine: Engine, robot: Robot) -> None:
        self._engine = engine
        xp = engine.xp
        names = [engine.model.sensor(k).name for k in range(engine.model.nsensor)]
        self._force = ContactForce(
            engine, ANY, *(name for name in names if name.startswith(f"{SCENERY}_"))
        )
        self._arm = columns(
            [engine.model.joint(name).qposadr[0] for name in robot.joints]
        )
        low, high = zip(*robot.joint_range, strict=True)
        self._low = xp.asarray(low)
        self._high = xp.asarray(high)

    def read(self, ticks: int) -> Safety:
        """Of the last `ticks` physics steps, at most 20."""
        xp = self._engine.xp
        angles = self._engine.view("qpos")[:, self._arm]
        margin = xp.min(xp.minimum(angles - self._low, self._high - angles), axis=1)
        peaks = self._force.peaks_n(ticks)
        return Safety(peaks[:, 0], xp.max(peaks[:, 1:], axis=1) > COLLISION_N, margin)
