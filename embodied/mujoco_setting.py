"""What to say when MuJoCo cannot be imported because of MUJOCO_GL."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from embodied.errors import EmbodiedError


@contextmanager
def explaining_mujoco_gl() -> Iterator[None]:
    """Names the setting MUJOCO_GL where it keeps MuJoCo from being imported.

    MuJoCo loads the backend that this names when it is imported, and its own error
    hides the cause.

    Raises:
        EmbodiedError: MuJoCo was to be imported, and could not be.
    """
    try:
        yield
    except (AttributeError, ImportError, RuntimeError) as error:
        # no fault of the setting, where it is not set or MuJoCo is already imported
        setting = os.environ.get("MUJOCO_GL")
        if not setting or "mujoco" in sys.modules:
            raise
        raise EmbodiedError(
            f"MuJoCo cannot be imported with MUJOCO_GL={setting} ({error}): unset it"
        ) from error
