"""What becomes of MuJoCo's warnings."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import mujoco


def log_warnings() -> None:
    """Sends MuJoCo's warnings to a logger, from now on, in the whole process.

    MuJoCo's own handler would write MUJOCO_LOG.TXT into the user's folder.
    """
    mujoco.set_mju_user_warning(logging.getLogger("mujoco").debug)


@contextmanager
def without_attach_conflicts() -> Iterator[None]:
    """Ignores that files which a user's model attaches have other settings than the model.

    Such settings, e.g. a time step, are not used: those of the scenes apply. MuJoCo would
    warn whenever the model is read or compiled.
    """
    log_warnings()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Attach conflict")
        yield
