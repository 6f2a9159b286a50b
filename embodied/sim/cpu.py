"""Worlds on the CPU: `mujoco.batch.Batch`, a C++ thread pool over one model."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from operator import attrgetter
from typing import Any

import mujoco
import numpy as np
from mujoco.batch import Batch

from embodied.errors import EmbodiedError
from embodied.sim.engine import FAULTS, Watcher
from embodied.sim.forks import ADVICE, never_free, tell_after_fork

# Later rows win where several warnings occurred.
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
# What the names of kept arrays begin with: fields of the model as they are, and as they
# were when constants were computed of them; fields of the data that are no state.
_MODEL = "model/"
_SETTLED = "settled/"
_DERIVED = "derived/"


def _log_warning(message: str) -> None:
    """Logs a warning of MuJoCo's; faults are reported world by world besides.

    MuJoCo's own handler would write MUJOCO_LOG.TXT into the user's folder.
    """
    logging.getLogger("mujoco").debug(message)


class CpuEngine:
    """N worlds on the CPU, bit-identical at any number of threads.

    It is a `HostEngine`, whose docstrings say what the methods take and return.
    """

    xp: Any = np

    def __init__(
        self, model: mujoco.MjModel, num_worlds: int, num_threads: int = 0
    ) -> None:
        mujoco.set_mju_user_warning(_log_warning)
        self.model = model
        self.num_worlds = num_worlds
        self.watchers: list[Watcher] = []
        self.version = 0
        self._batch = Batch(model, num_worlds, num_threads, persistent=True)
        self._warnings = self._batch.warning[:, :, 1]  # (N, kinds) counts, live
        self._lacks_threads = False
        self._moves = np.ones(num_worlds, bool)  # which worlds do not rest
        self._all_move = True
        tell_after_fork(self)

        # field -> live array, of the data and of the model
        self._views: dict[str, np.ndarray] = {}
        self._model_views: dict[str, np.ndarray] = {}
        # what the model's fields were at each world's last `refresh`, when constants
        # were derived of them: later writes have not changed these
        self._settled: dict[str, np.ndarray] = {}

        # MuJoCo's kind of warning -> index of its fault
        self._fault_of_warning = {
            int(kind): FAULTS.index(name) for kind, name in _WARNING_FAULTS.items()
        }

        # copies of one world, filled anew whenever they are asked for
        self._world_model: mujoco.MjModel | None = None
        self._world_data: mujoco.MjData | None = None

    def view(self, field: str) -> np.ndarray:
        if field not in self._views:
            self._views[field] = self._batch.bind(field)
        return self._views[field]

    def model_view(self, field: str) -> np.ndarray:
        if field not in self._model_views:
            values = self._batch.expand(field)
            self._model_views[field] = values
            self._settled[field] = values.copy()
        return self._model_views[field]

    def model_views(self) -> dict[str, np.ndarray]:
        return dict(self._model_views)

    def after_fork(self) -> None:
        """Leaves the worlds alone, in a forked child, if they have a thread pool.

        The pool's threads stayed in the parent, and its destructor would wait for them.
        """
        if self._batch.nthread > 1:
            self._lacks_threads = True
            never_free(self._batch)

    def _check_threads(self) -> None:
        if self._lacks_threads:
            raise EmbodiedError(FORKED)

    def reset(self, ids: np.ndarray) -> None:
        self._check_threads()
        self.version += 1
        self._batch.reset(ids, stage=_NO_STAGE)

    def rest(self, ids: np.ndarray) -> None:
        self._moves[ids] = False
        self._all_move = bool(self._moves.all())

    def wake(self, ids: np.ndarray) -> None:
        self._moves[ids] = True
        self._all_move = bool(self._moves.all())

    def refresh(self, ids: np.ndarray) -> None:
        self._check_threads()
        self.version += 1
        # MuJoCo derives constants of the model's fields, e.g. inverse inertias
        if self._model_views:
            for field, values in self._model_views.items():
                self._settled[field][ids] = values[ids]
            self._batch.set_const(ids)
        # up to velocities: forces and accelerations are computed by the next step
        self._batch.forward(ids, stage=_VELOCITY_STAGE)

    def step(self, nstep: int) -> None:
        self._check_threads()
        self.version += 1
        if self._all_move:
            self._batch.step(nstep=nstep, stage=_VELOCITY_STAGE)
            return
        moving = np.flatnonzero(self._moves)
        if len(moving):
            self._batch.step(moving, nstep=nstep, stage=_VELOCITY_STAGE)

    def keep(self, ids: np.ndarray) -> dict[str, np.ndarray]:
        # the fields of the model as they are, and as they were at the last `refresh`
        kept = {"state": self._batch.state[ids]}
        for field, values in self._model_views.items():
            kept[_MODEL + field] = values[ids]
            kept[_SETTLED + field] = self._settled[field][ids]
        # forces and accelerations belong to the substep before: they can't be computed
        # from the state; views that cannot be written to are of such derived fields
        for field, values in self._views.items():
            if not values.flags.writeable:
                kept[_DERIVED + field] = values[ids]
        return kept

    def recall(self, ids: np.ndarray, kept: Mapping[str, np.ndarray]) -> None:
        # the reset clears the warnings, which are no part of the state
        self.wake(ids)
        self.reset(ids)
        self._recall_model(ids, kept)
        self._batch.state[ids] = kept["state"]
        self._batch.forward(ids, stage=_VELOCITY_STAGE)

        for name, rows in kept.items():
            if name.startswith(_DERIVED):
                # the batch shows what it computed last, which nothing else may change
                shown = self.view(name.removeprefix(_DERIVED)).view()
                shown.setflags(write=True)
                shown[ids] = rows

    def _recall_model(self, ids: np.ndarray, kept: Mapping[str, np.ndarray]) -> None:
        """Writes the model's fields, and derives constants as the kept worlds had them.

        For that it writes them twice: constants are derived of what the fields were at
        the kept worlds' last `refresh`, then the fields get the values they had at last.
        """
        fields = [name.removeprefix(_MODEL) for name in kept if name.startswith(_MODEL)]
        # worlds differ in no field before the first episode asks for it
        for field in fields:
            self.model_view(field)
        if not self._model_views:
            return

        # a field in which the kept worlds did not differ yet has the model's values
        for field, values in self._model_views.items():
            nominal = attrgetter(field)(self.model)
            values[ids] = kept.get(_SETTLED + field, nominal)
            self._settled[field][ids] = values[ids]
        self._batch.set_const(ids)
        for field in fields:
            self._model_views[field][ids] = kept[_MODEL + field]

    def has_fault(self) -> bool:
        return bool(np.count_nonzero(self._warnings))  # beats `any`

    def faults(self) -> np.ndarray:
        # later kinds of warnings win, see `_WARNING_FAULTS`
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
