"""A window that shows one world in MuJoCo's viewer."""

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

    The user can move the view, but cannot change the world.
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
        # copies, because the viewer's thread draws them while the worlds are stepped
        self._model = copy.copy(engine.world_model(world))
        self._data = mujoco.MjData(self._model)
        self._handle = _open(self._model, self._data)

    def show(self) -> None:
        """Draws the world's current state."""
        if not self._handle.is_running():
            return
        data = self._engine.world_data(self._world)
        with self._handle.lock():
            # update the viewer's copies of the model and the data
            for field, values in self._engine.model_views().items():
                operator.attrgetter(field)(self._model)[:] = values[self._world]
            mujoco.mj_copyData(self._data, self._model, data)
        self._handle.sync()

    @property
    def is_open(self) -> bool:
        """Whether the user has not closed the window yet."""
        return bool(self._handle.is_running())

    def close(self) -> None:
        """Closes the window if it is still open."""
        self._handle.close()


def has_display() -> bool:
    """Returns whether this process seems to have a display."""
    return sys.platform != "linux" or bool(
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    )


def _open(model: mujoco.MjModel, data: mujoco.MjData) -> Any:
    """Opens MuJoCo's viewer in its own thread; returns its handle."""
    # imported here, because it loads a graphics library
    from mujoco import viewer

    return viewer.launch_passive(model, data, show_left_ui=False, show_right_ui=False)


def _check_display() -> None:
    """Raises EmbodiedError if the viewer would not work.

    In its own thread the viewer would fail silently, and the caller would wait for ever.
    So a window is opened in this thread first.
    """
    if not has_display():
        raise EmbodiedError(
            f"a window needs a display, and neither DISPLAY nor WAYLAND_DISPLAY is set: {ADVICE}"
        )
    import glfw

    load_triton_first()  # it must be loaded before OpenGL, see `load_triton_first`
    with warnings.catch_warnings():
        # the error below replaces glfw's warning
        warnings.simplefilter("ignore")
        works = glfw.init() and _opens_hidden_window(glfw)
    if not works:
        raise EmbodiedError(
            f"no window can be opened on the display {os.environ.get('DISPLAY', '')!r}: {ADVICE}"
        )


def _opens_hidden_window(glfw: Any) -> bool:
    """Returns whether an invisible window can be opened; it is closed at once."""
    glfw.window_hint(glfw.VISIBLE, False)
    trial = glfw.create_window(16, 16, "", None, None)
    glfw.default_window_hints()
    if trial:
        glfw.destroy_window(trial)
    return bool(trial)
