"""Peaks of contact forces over all physics steps.

Forces that are read only at control steps miss the peaks: in one case they showed 29 N,
but 242 N had occurred.
"""

from __future__ import annotations

import mujoco

from embodied.arrays import dot, largest, surely_none
from embodied.core import PHYSICS_HZ, Array
from embodied.errors import EmbodiedError
from embodied.sim.engine import Engine

WINDOW_TICKS = 20  # T, the number of physics steps in a sensor's history (50 ms)

# MuJoCo's numbers for reducing several contacts to one force.
STRONGEST_CONTACT = 2
SUM_OF_CONTACTS = 3
# MuJoCo's bit mask of the values that a sensor reports: the force only.
_FORCE = 1 << int(mujoco.mjtConDataField.mjCONDATA_FORCE)

# The parts of a sensor's history: two numbers for MuJoCo's own use, T times, then T forces
# of 3 numbers each.
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
        subtree: name of the body; the bodies that it carries count as well.
        other: name of the only other body of which contacts count; "" for any.
        reduce: the reduction of several contacts, STRONGEST_CONTACT or
            SUM_OF_CONTACTS.
    """
    sensor = spec.add_sensor(name=name, type=mujoco.mjtSensor.mjSENS_CONTACT)
    sensor.objtype = mujoco.mjtObj.mjOBJ_XBODY
    sensor.objname = subtree
    if other:
        sensor.reftype = mujoco.mjtObj.mjOBJ_BODY
        sensor.refname = other
    num_contacts = 1  # after the reduction
    sensor.intprm = [_FORCE, reduce, num_contacts]
    # a history of WINDOW_TICKS steps; `ContactForce` reads it instead of `sensordata`
    sensor.nsample = WINDOW_TICKS
    sensor.delay = 1 / PHYSICS_HZ


def control_step(engine: Engine, ticks: int) -> None:
    """Makes the `ticks` physics steps of a control step, and records all their forces.

    The sensors hold WINDOW_TICKS physics steps. A longer control step is made in parts;
    after each part the engine's watchers save the values that will be overwritten.
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
    """Reads the peak forces of K contact sensors in N worlds.

    It is a `Watcher` of its engine, so `control_step` lets it see all physics steps.
    `Watcher` documents the methods `begin`, `keep`, `forget` and `memory`.

    Raises:
        EmbodiedError: the sensors are not adjacent in the model.
    """

    def __init__(self, engine: Engine, *names: str) -> None:
        """Finds the sensors with these names, and joins the engine's watchers."""
        model = engine.model
        count = len(names)
        starts = [int(model.sensor_historyadr[model.sensor(name).id]) for name in names]
        adjacent = [starts[0] + k * _HISTORY_SIZE for k in range(count)]
        if starts != adjacent:
            raise EmbodiedError(
                f"the contact sensors {', '.join(names)} must be added to the model one "
                "right after the other"
            )

        # views of the live state, made once: K adjacent histories
        xp = engine.xp
        self._xp = xp
        stop = starts[0] + count * _HISTORY_SIZE
        histories = engine.view("history")[:, starts[0] : stop]
        history = xp.reshape(histories, (-1, count, _HISTORY_SIZE))
        values = history[..., _FORCES]
        self._force = xp.reshape(values, (-1, count, WINDOW_TICKS, 3))  # (N, K, T, 3)
        self._times = history[..., _TIMES]  # (N, K, T) s
        self._time = engine.view("time")  # (N,) s

        # (N, K) N, peaks of this control step that the histories no longer hold; written
        # in place, because a captured CUDA graph uses the same memory again
        self._earlier_peaks_n = xp.zeros((engine.num_worlds, count))
        engine.watchers.append(self)

    def begin(self) -> None:
        self._earlier_peaks_n[...] = 0.0

    def keep(self) -> None:
        peaks_n = self._peaks_in_history_n(WINDOW_TICKS)
        self._earlier_peaks_n[...] = self._xp.maximum(self._earlier_peaks_n, peaks_n)

    def forget(self, which: Array) -> None:
        kept = self._xp.where(which[:, None], 0.0, self._earlier_peaks_n)
        self._earlier_peaks_n[...] = kept

    def memory(self) -> dict[str, Array]:
        return {"earlier": self._earlier_peaks_n}

    def peaks_n(self, ticks: int | None = None) -> Array:
        """Returns the largest force at each sensor, (N, K) in N.

        Args:
            ticks: the number of last physics steps that count, at most WINDOW_TICKS.
                None for the whole control step, and at least WINDOW_TICKS.
        """
        if ticks is not None:
            return self._peaks_in_history_n(ticks)
        peaks_n = self._peaks_in_history_n(WINDOW_TICKS)
        return self._xp.maximum(self._earlier_peaks_n, peaks_n)

    def _peaks_in_history_n(self, ticks: int) -> Array:
        """Returns the peaks (N, K) of the last `ticks` steps in the histories, N."""
        # most of the time nothing is touched
        if surely_none(self._force):
            return self._xp.zeros(self._earlier_peaks_n.shape)

        squares = dot(self._force, self._force)  # (N, K, T) squared norms of the forces
        if ticks < WINDOW_TICKS:
            # begin half a tick earlier, so that rounding errors exclude no step
            begin_s = self._time - (ticks + 0.5) / PHYSICS_HZ
            is_recent = self._times > begin_s[:, None, None]
            squares = self._xp.where(is_recent, squares, 0.0)
        return self._xp.sqrt(largest(squares))
