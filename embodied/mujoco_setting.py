"""A clear error if MUJOCO_GL prevents the import of MuJoCo."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from embodied.errors import EmbodiedError


@contextmanager
def explaining_mujoco_gl() -> Iterator[None]:
    """Turns an import error of MuJoCo into one that names the setting MUJOCO_GL.

    MuJoCo loads the backend in MUJOCO_GL when it is imported. Its own error does not name
    the setting.

    Raises:
        EmbodiedError: MuJoCo cannot be imported with the setting.
    """
    try:
        yield
    except (AttributeError, ImportError, RuntimeError) as error:
        # the setting is not the cause if it is not set, or if MuJoCo is already imported
        setting = os.environ.get("MUJOCO_GL")
        if not setting or "mujoco" in sys.modules:
            raise
        raise EmbodiedError(
            f"MuJoCo cannot be imported with MUJOCO_GL={setting} ({error}): unset it"
        ) from error
