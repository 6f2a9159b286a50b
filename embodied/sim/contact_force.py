"""Contact forces of every physics step.

Forces read at control steps alone miss the peaks: they showed 29 N where 242 N
occurred.
"""

from __future__ import annotations

import mujoco

from embodied.arrays import dot, largest
from embodied.core import PHYSICS_HZ, Array
from embodied.errors import EmbodiedError
from embodied.sim.engine import Engine

WINDOW_TICKS = 20  # T: physics steps that a sensor's history holds, 50 ms

# How a contact sensor makes one force of several contacts, in MuJoCo's numbering.
STRONGEST_CONTACT = 2
SUM_OF_CONTACTS = 3
# A sensor reports what has its bit set; here the force alone.
_FORCE = 1 << int(mujoco.mjtConDataField.mjCONDATA_FORCE)

# A sensor's history: two numbers of MuJoCo's own, then T times, then T forces (3,).
_TIMES = slice(2, 2 + WINDOW_TICKS)
_FORCES = slice(2 + WINDOW_TICKS, 2 + 4 * WINDOW_TICKS)
_HISTORY_SIZE = _FORCES.stop


def add_contact_sensor(
    spec: mujoco.MjSpec,
    name: str,
    subtree: str,
    other: str = "",
    reduce: int = STRONGEST_CONTACT,
) -> None:
    """Adds a sensor of the contact force on a body.

    Args:
        spec: the scene.
        name: name of the sensor.
        subtree: name of the body; all bodies that hang on it count as well.
        other: name of the only body that it may touch; "" for any.
        reduce: which force counts among several contacts, STRONGEST_CONTACT or
            SUM_OF_CONTACTS.
    """
    sensor = spec.add_sensor(name=name, type=mujoco.mjtSensor.mjSENS_CONTACT)
    sensor.objtype = mujoco.mjtObj.mjOBJ_XBODY
    sensor.objname = subtree
    if other:
        sensor.reftype = mujoco.mjtObj.mjOBJ_BODY
        sensor.refname = other
    sensor.intprm = [_FORCE, reduce, 1]  # what is reported, reduced how, to one contact
    # `ContactForce` reads the history, which goes back so many steps, not `sensordata`
    sensor.nsample = WINDOW_TICKS
    sensor.delay = 1 / PHYSICS_HZ


def control_step(engine: Engine, ticks: int) -> None:
    """Makes the `ticks` physics steps of a control step, and misses no force in them.

    The sensors hold 20 physics steps: a longer control step is made in parts, after
    each of which the engine's watchers keep what the sensors will have forgotten.
    """
    for watcher in engine.watchers:
        watcher.begin()
    while ticks > WINDOW_TICKS:
        engine.step(WINDOW_TICKS)
        for watcher in engine.watchers:
            watcher.keep()
        ticks -= WINDOW_TICKS
    engine.step(ticks)


class ContactForce:
    """Reads K contact sensors in N worlds; `control_step` makes it miss no step.

    It is a `Watcher` of its engine: what it is told there is said at that protocol.

    Raises:
        EmbodiedError: the sensors were not added one right after the other.
    """

    def __init__(self, engine: Engine, *names: str) -> None:
        model = engine.model
        count = len(names)
        starts = [int(model.sensor_historyadr[model.sensor(name).id]) for name in names]
        adjacent = [starts[0] + k * _HISTORY_SIZE for k in range(count)]
        if starts != adjacent:
            raise EmbodiedError(
                f"the contact sensors {', '.join(names)} must be added to the model one "
                "right after the other"
            )

        # views of the live state, made once: K histories that lie side by side
        xp = engine.xp
        self._xp = xp
        stop = starts[0] + count * _HISTORY_SIZE
        own = engine.view("history")[:, starts[0] : stop]
        history = xp.reshape(own, (-1, count, _HISTORY_SIZE))
        values = history[..., _FORCES]
        self._force = xp.reshape(values, (-1, count, WINDOW_TICKS, 3))  # (N, K, T, 3)
        self._times = history[..., _TIMES]  # (N, K, T) s
        self._time = engine.view("time")  # (N,) s

        # (N, K) N, peaks of the present control step that the sensors no longer hold;
        # written in place: a captured CUDA graph goes on with the same memory
        self._earlier = xp.zeros((engine.num_worlds, count))
        engine.watchers.append(self)

    # from here to `memory`: what a `Watcher` does
    def begin(self) -> None:
        self._earlier[...] = 0.0

    def keep(self) -> None:
        peaks = self._held_peaks_n(WINDOW_TICKS)
        self._earlier[...] = self._xp.maximum(self._earlier, peaks)

    def forget(self, which: Array) -> None:
        earlier = self._xp.where(which[:, None], 0.0, self._earlier)
        self._earlier[...] = earlier

    def memory(self) -> dict[str, Array]:
        return {"earlier": self._earlier}

    def peaks_n(self, ticks: int | None = None) -> Array:
        """Returns the largest force at each sensor, (N, K) in N.

        Args:
            ticks: how many of the last physics steps count, at most 20. None: those of
                the whole control step, and at least 20.
        """
        peaks = self._held_peaks_n(WINDOW_TICKS if ticks is None else ticks)
        if ticks is None:
            peaks = self._xp.maximum(self._earlier, peaks)
        return peaks

    def _held_peaks_n(self, ticks: int) -> Array:
        """Returns the peaks (N, K) of the last `ticks` steps that the sensors hold."""
        squares = dot(self._force, self._force)  # (N, K, T)
        if ticks < WINDOW_TICKS:
            # half a tick earlier, so that rounding leaves none out
            begin = self._time - (ticks + 0.5) / PHYSICS_HZ
            recent = self._times > begin[:, None, None]
            squares = self._xp.where(recent, squares, 0.0)
        return self._xp.sqrt(largest(squares))
