"""Worlds on the CPU: `mujoco.batch.Batch`, a C++ thread pool over one model."""

from __future__ import annotations

import logging
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


def _log_warning(message: str) -> None:
    """Logs a warning of MuJoCo's; faults are reported world by world besides.

    MuJoCo's own handler would write MUJOCO_LOG.TXT into the user's folder.
    """
    logging.getLogger("mujoco").debug(message)


class CpuEngine:
    """N worlds on the CPU, bit-identical at any number of threads."""

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
        tell_after_fork(self)

        # field -> live array, of the data and of the model
        self._views: dict[str, np.ndarray] = {}
        self._model_views: dict[str, np.ndarray] = {}

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
            self._model_views[field] = self._batch.expand(field)
        return self._model_views[field]

    def model_views(self) -> dict[str, np.ndarray]:
        return dict(self._model_views)

    def after_fork(self) -> None:
        """Leaves the worlds alone, in a forked child, if they have a thread pool."""
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

    def refresh(self, ids: np.ndarray) -> None:
        self._check_threads()
        self.version += 1
        if self._model_views:
            self._batch.set_const(ids)
        self._batch.forward(ids, stage=_VELOCITY_STAGE)

    def step(self, nstep: int) -> None:
        self._check_threads()
        self.version += 1
        self._batch.step(nstep=nstep, stage=_VELOCITY_STAGE)

    def has_fault(self) -> bool:
        return bool(self._warnings.any())

    def faults(self) -> np.ndarray:
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
