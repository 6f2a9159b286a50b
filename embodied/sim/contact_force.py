"""Contact forces of every physics step: those at which control looks miss the peaks (29
N seen where 242 N were).
"""

from __future__ import annotations

import mujoco

from embodied.arrays import dot
from embodied.core import PHYSICS_HZ, Array
from embodied.errors import EmbodiedError
from embodied.sim.engine import Engine

WINDOW_TICKS = 20  # that are remembered, in the state: 50 ms
_FORCE = 1 << int(mujoco.mjtConDataField.mjCONDATA_FORCE)
_STRONGEST = 2  # of a contact sensor's ways to choose among contacts
# of a sensor's history: MuJoCo's own notes come first, then times, then values
_TIMES = slice(2, 2 + WINDOW_TICKS)
_VALUES = slice(2 + WINDOW_TICKS, 2 + 4 * WINDOW_TICKS)
_HISTORY_SIZE = _VALUES.stop


def add_contact_sensor(
    spec: mujoco.MjSpec, name: str, subtree: str, other: str = ""
) -> None:
    """A sensor of the strongest contact between a body with all that hangs on it, and
    another body, or anything.
    """
    sensor = spec.add_sensor(name=name, type=mujoco.mjtSensor.mjSENS_CONTACT)
    sensor.objtype = mujoco.mjtObj.mjOBJ_XBODY
    sensor.objname = subtree
    if other:
        sensor.reftype = mujoco.mjtObj.mjOBJ_BODY
        sensor.refname = other
    sensor.intprm = [_FORCE, _STRONGEST, 1]
    sensor.nsample = WINDOW_TICKS
    sensor.delay = 1 / PHYSICS_HZ


class ContactForce:
    """What such sensors felt in N worlds; several must have been added one right after
    the other.
    """

    def __init__(self, engine: Engine, *names: str) -> None:
        self._engine = engine
        self._count = len(names)
        starts = [
            int(engine.model.sensor_historyadr[engine.model.sensor(name).id])
            for name in names
        ]
        if any(
            start != starts[0] + k * _HISTORY_SIZE for k, start in enumerate(starts)
        ):
            raise EmbodiedError(
                f"the histories of the contact sensors {', '.join(names)} must lie side by side"
            )
        self._all = slice(starts[0], starts[0] + self._count * _HISTORY_SIZE)

    def peaks_n(self, ticks: int = WINDOW_TICKS) -> Array:
        """(N, K) N, the largest force at each sensor in the last `ticks` physics steps,
        at most 50 ms.
        """
        view = self._engine.view
        xp = self._engine.xp
        history = xp.reshape(
            view("history")[:, self._all], (-1, self._count, _HISTORY_SIZE)
        )
        force = xp.reshape(history[..., _VALUES], (-1, self._count, WINDOW_TICKS, 3))
        squares = dot(force, force)  # (N, K, WINDOW_TICKS)
        if ticks < WINDOW_TICKS:
            recent = (
                history[..., _TIMES]
                > (view("time") - (ticks + 0.5) / PHYSICS_HZ)[:, None, None]
            )
            squares = xp.where(recent, squares, 0.0)
        return xp.sqrt(xp.max(squares, axis=-1))
