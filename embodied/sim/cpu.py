"""Worlds on the CPU: `mujoco.batch.Batch`, a C++ thread pool over one model."""

from __future__ import annotations

from collections.abc import Mapping
from operator import attrgetter
from typing import Any

import mujoco
import numpy as np
from mujoco.batch import Batch

from embodied.errors import EmbodiedError
from embodied.sim.engine import FAULTS, Watcher
from embodied.sim.forks import ADVICE, never_free, tell_after_fork
from embodied.sim.mujoco_warnings import log_warnings

# MuJoCo's kind of warning -> fault. If a world has several, the last in this order counts.
_WARNING_FAULTS = {
    mujoco.mjtWarning.mjWARN_INERTIA: "singular_inertia",
    mujoco.mjtWarning.mjWARN_CONTACTFULL: "contacts_overflowed",
    mujoco.mjtWarning.mjWARN_CNSTRFULL: "constraints_overflowed",
    mujoco.mjtWarning.mjWARN_BADCTRL: "action_not_finite",
    mujoco.mjtWarning.mjWARN_BADQACC: "diverged",
    mujoco.mjtWarning.mjWARN_BADQVEL: "diverged",
    mujoco.mjtWarning.mjWARN_BADQPOS: "diverged",
}
FORKED = (
    "these worlds cannot go on in this process: it was forked from the one that made "
    "them, whose threads stayed there; make the environment in the new process, or "
    f"{ADVICE}"
)
_NO_STAGE = int(mujoco.mjtStage.mjSTAGE_NONE)
_VELOCITY_STAGE = int(mujoco.mjtStage.mjSTAGE_VEL)
# Prefixes of the names of a snapshot's arrays: current fields of the model, fields of the
# model as they were when constants were last computed from them, and fields of the data
# that are not part of the state.
_MODEL = "model/"
_SETTLED = "settled/"
_DERIVED = "derived/"


class CpuEngine:
    """N worlds on the CPU, bit-identical at any number of threads.

    It is a `HostEngine`; the methods are documented there.
    """

    xp: Any = np

    def __init__(
        self, model: mujoco.MjModel, num_worlds: int, num_threads: int = 0
    ) -> None:
        """Makes N worlds of the model; 0 threads means as many as cores."""
        log_warnings()  # `faults` reports them for each world
        self.model = model
        self.num_worlds = num_worlds
        self.watchers: list[Watcher] = []
        self.version = 0
        self._batch = Batch(model, num_worlds, num_threads, persistent=True)
        self._warnings = self._batch.warning[:, :, 1]  # (N, kinds) counts, live
        self._lacks_threads = False
        self._is_moving = np.ones(num_worlds, bool)  # False for worlds that rest
        self._are_all_moving = True
        tell_after_fork(self)

        # field -> live array, of the data and of the model
        self._views: dict[str, np.ndarray] = {}
        self._model_views: dict[str, np.ndarray] = {}
        # field of the model -> its values at each world's last `refresh`. MuJoCo computed
        # constants from these values; later writes to the field do not change the constants.
        self._settled: dict[str, np.ndarray] = {}

        # MuJoCo's kind of warning -> index of its fault
        self._fault_of_warning = {
            int(kind): FAULTS.index(name) for kind, name in _WARNING_FAULTS.items()
        }

        # copies of one world, filled again at each request
        self._world_model: mujoco.MjModel | None = None
        self._world_data: mujoco.MjData | None = None

    def view(self, field: str) -> np.ndarray:
        if field not in self._views:
            self._views[field] = self._batch.bind(field)
        return self._views[field]

    def model_view(self, field: str) -> np.ndarray:
        """Returns a live array (N, ...) of a field of the model, in which worlds may differ."""
        if field not in self._model_views:
            values = self._batch.expand(field)
            self._model_views[field] = values
            self._settled[field] = values.copy()
        return self._model_views[field]

    def model_views(self) -> dict[str, np.ndarray]:
        return dict(self._model_views)

    def after_fork(self) -> None:
        """Makes a forked child leave the worlds alone if they have a thread pool.

        The pool's threads stayed in the parent, and its destructor would wait for them.
        """
        if self._batch.nthread > 1:
            self._lacks_threads = True
            never_free(self._batch)

    def _check_threads(self) -> None:
        """Raises EmbodiedError in a forked child."""
        if self._lacks_threads:
            raise EmbodiedError(FORKED)

    def reset(self, ids: np.ndarray) -> None:
        self._check_threads()
        self.version += 1
        self._batch.reset(ids, stage=_NO_STAGE)

    def rest(self, ids: np.ndarray) -> None:
        self._is_moving[ids] = False
        self._are_all_moving = bool(self._is_moving.all())

    def wake(self, ids: np.ndarray) -> None:
        self._is_moving[ids] = True
        self._are_all_moving = bool(self._is_moving.all())

    def refresh(self, ids: np.ndarray) -> None:
        """Computes what follows from changed states and model fields of worlds `ids` (n,)."""
        self._check_threads()
        self.version += 1
        # MuJoCo computes constants from the model's fields, e.g. inverse inertias; `keep`
        # needs the values from which they were computed
        if self._model_views:
            for field, values in self._model_views.items():
                self._settled[field][ids] = values[ids]
            self._batch.set_const(ids)
        # up to velocities; the next step computes forces and accelerations
        self._batch.forward(ids, stage=_VELOCITY_STAGE)

    def step(self, nstep: int) -> None:
        """Advances the worlds that do not rest by `nstep` physics steps."""
        self._check_threads()
        self.version += 1
        if self._are_all_moving:
            self._batch.step(nstep=nstep, stage=_VELOCITY_STAGE)
            return
        moving = np.flatnonzero(self._is_moving)
        if len(moving):
            self._batch.step(moving, nstep=nstep, stage=_VELOCITY_STAGE)

    def keep(self, ids: np.ndarray) -> dict[str, np.ndarray]:
        """Returns all that `recall` needs to bring worlds `ids` (n,) back: name -> (n, ...)."""
        # the model's fields: current values, and values at the last `refresh`
        kept = {"state": self._batch.state[ids]}
        for field, values in self._model_views.items():
            kept[_MODEL + field] = values[ids]
            kept[_SETTLED + field] = self._settled[field][ids]
        # Derived fields such as forces belong to the previous physics step, so they cannot
        # be computed from the state. Those that were requested by `view` are kept. Their
        # views are read-only, while views of fields of the state are writable.
        for field, values in self._views.items():
            if not values.flags.writeable:
                kept[_DERIVED + field] = values[ids]
        return kept

    def recall(self, ids: np.ndarray, kept: Mapping[str, np.ndarray]) -> None:
        """Brings worlds `ids` (n,) to the states that `keep` returned."""
        # the reset clears the warnings, which are not part of the state
        self.wake(ids)
        self.reset(ids)
        self._recall_model(ids, kept)
        self._batch.state[ids] = kept["state"]
        self._batch.forward(ids, stage=_VELOCITY_STAGE)

        for name, values in kept.items():
            if name.startswith(_DERIVED):
                # the field is read-only for all other code, so a writable view is made
                writable = self.view(name.removeprefix(_DERIVED)).view()
                writable.setflags(write=True)
                writable[ids] = values

    def _recall_model(self, ids: np.ndarray, kept: Mapping[str, np.ndarray]) -> None:
        """Restores the model's fields, and the constants computed from them.

        The snapshot has two values of each field: at the last `refresh`, when the constants
        were computed, and at `keep`. They differ if the field was written in between. So
        the first is written, the constants are computed, and the second is written.
        """
        fields = [name.removeprefix(_MODEL) for name in kept if name.startswith(_MODEL)]
        # From the first call of `model_view` on, worlds can differ in a field, as they did
        # in the engine of the snapshot.
        for field in fields:
            self.model_view(field)
        if not self._model_views:
            return

        # Worlds of this engine may differ in more fields than those of the snapshot's
        # engine. In these fields, the snapshot's worlds had the compiled model's values.
        for field, values in self._model_views.items():
            nominal = attrgetter(field)(self.model)
            values[ids] = kept.get(_SETTLED + field, nominal)
            self._settled[field][ids] = values[ids]
        self._batch.set_const(ids)
        for field in fields:
            self._model_views[field][ids] = kept[_MODEL + field]

    def has_fault(self) -> bool:
        return bool(np.count_nonzero(self._warnings))  # faster than `any`

    def faults(self) -> np.ndarray:
        """Returns each world's fault (N,) int64, an index into FAULTS."""
        # later kinds of warnings overwrite earlier ones, see `_WARNING_FAULTS`
        result = np.zeros(self.num_worlds, dtype=np.int64)
        for kind, fault in self._fault_of_warning.items():
            result = np.where(self._warnings[:, kind] > 0, fault, result)
        return result

    def state(self) -> np.ndarray:
        return self._batch.state

    def world_model(self, world: int) -> mujoco.MjModel:
        if self._world_model is None:
            self._world_model = self._batch.get_model(world)
        return self._batch.get_model(world, self._world_model)

    def world_data(self, world: int) -> mujoco.MjData:
        if self._world_data is None:
            self._world_data = mujoco.MjData(self.model)
        return self._batch.get_data(world, self._world_data)

    def close(self) -> None:
        self._world_model = None
        self._world_data = None
