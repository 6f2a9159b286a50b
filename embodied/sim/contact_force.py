"""Contact forces of every physics step: those at which control looks miss the peaks (29 N seen where 242 N were)."""

from __future__ import annotations

import mujoco

from embodied.core import PHYSICS_HZ, Array
from embodied.sim.engine import Engine

WINDOW_TICKS = 20  # that are remembered, in the state: 50 ms
_FORCE = 1 << int(mujoco.mjtConDataField.mjCONDATA_FORCE)
_STRONGEST = 2  # of a contact sensor's ways to choose among contacts


def add_contact_sensor(spec: mujoco.MjSpec, name: str, subtree: str, other: str = "") -> None:
    """A sensor of the strongest contact between a body with all that hangs on it, and another body, or anything."""
    sensor = spec.add_sensor(name=name, type=mujoco.mjtSensor.mjSENS_CONTACT)
    sensor.objtype, sensor.objname = mujoco.mjtObj.mjOBJ_XBODY, subtree
    if other:
        sensor.reftype, sensor.refname = mujoco.mjtObj.mjOBJ_BODY, other
    sensor.intprm = [_FORCE, _STRONGEST, 1]
    sensor.nsample, sensor.delay = WINDOW_TICKS, 1 / PHYSICS_HZ


class ContactForce:
    """What such a sensor felt in N worlds."""

    def __init__(self, engine: Engine, name: str) -> None:
        self._engine, sensor = engine, engine.model.sensor(name).id
        start = (
            int(engine.model.sensor_historyadr[sensor]) + 2
        )  # MuJoCo's own notes come first, then times, then values
        self._times = slice(start, start + WINDOW_TICKS)
        self._values = slice(start + WINDOW_TICKS, start + 4 * WINDOW_TICKS)

    def peak_n(self, ticks: int = WINDOW_TICKS) -> Array:
        """(N,) N, the largest force of the last `ticks` physics steps, at most 50 ms."""
        view, xp = self._engine.view, self._engine.xp
        history = view("history")
        force = xp.reshape(history[:, self._values], (-1, WINDOW_TICKS, 3))
        size = force[..., 0] * force[..., 0] + force[..., 1] * force[..., 1] + force[..., 2] * force[..., 2]
        recent = history[:, self._times] > (view("time") - (ticks + 0.5) / PHYSICS_HZ)[:, None]
        return xp.sqrt(xp.max(xp.where(recent, size, 0.0), axis=1))
