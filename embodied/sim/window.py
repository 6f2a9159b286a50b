"""A window on one world, for a person at a screen: MuJoCo's own viewer."""

from __future__ import annotations

import copy
import operator
import os
import sys
import warnings
from typing import Any

import mujoco

from embodied.errors import EmbodiedError
from embodied.sim.contexts import process_contexts
from embodied.sim.engine import HostEngine
from embodied.sim.gl import load_triton_first

ADVICE = "use render_mode='rgb_array' for pictures, or `embodied view` for a video"


class Window:
    """Shows a world of an engine until the user closes it.

    The user may turn the view, not the world.
    """

    def __init__(self, engine: HostEngine, world: int = 0) -> None:
        """Opens the window.

        Raises:
            EmbodiedError: there is no display, or this process was forked from one that
                had rendered.
        """
        _check_display()
        process_contexts().note_window()
        self._engine = engine
        self._world = world
        # copies, because the viewer's own thread draws them while the worlds move on
        self._model = copy.copy(engine.world_model(world))
        self._data = mujoco.MjData(self._model)
        self._handle = _open(self._model, self._data)

    def show(self) -> None:
        """Draws the present state."""
        if not self._handle.is_running():
            return
        data = self._engine.world_data(self._world)
        with self._handle.lock():
            # the viewer draws copies of the model and the data: bring both up to date
            for field, values in self._engine.model_views().items():
                operator.attrgetter(field)(self._model)[:] = values[self._world]
            mujoco.mj_copyData(self._data, self._model, data)
        self._handle.sync()

    @property
    def is_open(self) -> bool:
        """False once the user has closed it."""
        return bool(self._handle.is_running())

    def close(self) -> None:
        """Closes the window if it is still open."""
        self._handle.close()


def has_display() -> bool:
    """Returns whether there seems to be a screen to open a window on."""
    return sys.platform != "linux" or bool(
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    )


def _open(model: mujoco.MjModel, data: mujoco.MjData) -> Any:
    """Returns the handle of MuJoCo's viewer, which runs in a thread of its own."""
    # imported only here: it loads a graphics library
    from mujoco import viewer

    return viewer.launch_passive(model, data, show_left_ui=False, show_right_ui=False)


def _check_display() -> None:
    """Raises EmbodiedError where the viewer would not work.

    It tries what the viewer needs in this thread: in the viewer's own it would fail
    silently, and the caller would wait for ever.
    """
    if not has_display():
        raise EmbodiedError(
            f"a window needs a display, and neither DISPLAY nor WAYLAND_DISPLAY is set: {ADVICE}"
        )
    import glfw

    load_triton_first()
    with warnings.catch_warnings():
        # the error below says what glfw says by a warning
        warnings.simplefilter("ignore")
        works = glfw.init() and _opens_hidden_window(glfw)
    if not works:
        raise EmbodiedError(
            f"no window can be opened on the display {os.environ.get('DISPLAY', '')!r}: {ADVICE}"
        )


def _opens_hidden_window(glfw: Any) -> bool:
    """Returns whether a window can be made; it is not seen, and is destroyed at once."""
    glfw.window_hint(glfw.VISIBLE, False)
    trial = glfw.create_window(16, 16, "", None, None)
    glfw.default_window_hints()
    if trial:
        glfw.destroy_window(trial)
    return bool(trial)
