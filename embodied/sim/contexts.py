"""OpenGL contexts that any thread may use, and that are freed with their owners.

This module handles four cases that MuJoCo's renderer does not.

- A context can be current in one thread only, so it is released after each frame. Its
  resources can be freed only while it is current.
- The garbage collector may free an owner that was not closed, in any thread and in the
  middle of another owner's frame.
- EGL shuts down at exit, so contexts must be freed before.
- A forked process cannot render, because Mesa's threads stayed in its parent.
"""

from __future__ import annotations

import atexit
import functools
import importlib
import itertools
import sys
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import mujoco

from embodied.sim.forks import ADVICE, never_free, tell_after_fork
from embodied.sim.gl import RenderingError, ensure_gl, make_renderer

FORKED = (
    "cameras cannot render in this process: it was forked from one that had rendered "
    f"already, whose OpenGL threads stayed there; {ADVICE}"
)
# At exit, the longest wait for a frame that another thread is still rendering.
_LAST_WAIT_S = 5.0


class RenderContext:
    """A MuJoCo renderer for frames of one size, with its own context."""

    def __init__(
        self,
        model: mujoco.MjModel,
        height: int,
        width: int,
        quality: Mapping[str, int] | None = None,
    ) -> None:
        """Makes the context.

        Args:
            model: the model to render.
            height: height of the frames in pixels.
            width: width of the frames in pixels.
            quality: values of the model's `vis.quality`; later changes have no effect.

        Raises:
            RenderingError: no context can be made in this process.
        """
        self._contexts = process_contexts()
        # `ProcessContexts` keeps the renderer under this key
        key = self._contexts.make(model, height, width, quality or {})
        self._key = key

        # Frees the context when this object is garbage-collected; the callback must not
        # refer to `self`. At exit all contexts are freed together, before EGL ends.
        self._finalizer = weakref.finalize(self, self._contexts.drop, key)
        self._finalizer.atexit = False

    @contextmanager
    def current(self) -> Iterator[mujoco.Renderer]:
        """Yields the renderer, for exclusive use in this thread.

        Raises:
            RenderingError: this process was forked, or the context is closed.
        """
        with self._contexts.current(self._key) as renderer:
            yield renderer

    def close(self) -> None:
        """Frees the context. May be called twice, and from any thread."""
        self._finalizer.detach()
        self._contexts.close(self._key)


class ProcessContexts:
    """All contexts of this process; one at a time is in use."""

    def __init__(self) -> None:
        """Begins without contexts."""
        self._lock = threading.Lock()  # held while a context is in use
        self._keys = itertools.count()
        self._renderers: dict[int, mujoco.Renderer] = {}  # by key
        # keys of contexts that are freed once no context is in use
        self._to_free: deque[int] = deque()
        # the backend's function that leaves this thread without a current context
        self._release: Callable[[mujoco.Renderer], None] = _release_egl
        # whether this process has used OpenGL
        self._was_used = False
        # whether this process was forked from one that had used OpenGL
        self._is_forked = False

    def make(
        self, model: mujoco.MjModel, height: int, width: int, quality: Mapping[str, int]
    ) -> int:
        """Makes a context; returns its key. Its arguments are those of `RenderContext`."""
        self.check_process()
        with self._using():
            backend = ensure_gl()
            self._release = _release_function(backend)
            self._was_used = True

            # A renderer reads the quality only when it is made. Afterwards the model's
            # own values are restored.
            before = {name: getattr(model.vis.quality, name) for name in quality}
            _set_quality(model, quality)
            try:
                renderer = make_renderer(model, height, width)
            finally:
                _set_quality(model, before)
            self._release(renderer)

            key = next(self._keys)
            if key == 0:
                # Python calls exit functions in reverse order. EGL registered its clean-up
                # when it was loaded above, so EGL's clean-up runs after `_close_all`.
                atexit.register(self._close_all)
            self._renderers[key] = renderer
            return key

    @contextmanager
    def current(self, key: int) -> Iterator[mujoco.Renderer]:
        """Yields a renderer with its context current in this thread."""
        self.check_process()
        with self._using():
            if key not in self._renderers:
                raise RenderingError("this camera is closed: make a new environment")
            with self._made_current(self._renderers[key]) as renderer:
                yield renderer

    def close(self, key: int) -> None:
        """Frees a context, after a frame in progress is finished."""
        if not self._is_forked:
            with self._using():
                self._free(key)

    def drop(self, key: int) -> None:
        """Frees a context now, or after the frame in progress.

        The garbage collector calls it, perhaps in the thread that is rendering. So it
        must not wait for the lock.
        """
        if self._is_forked:
            return
        self._to_free.append(key)
        if self._lock.acquire(blocking=False):
            try:
                self._free_pending()
            finally:
                self._lock.release()

    def check_process(self) -> None:
        """Raises RenderingError if this process was forked from one that had rendered."""
        if self._is_forked:
            raise RenderingError(FORKED)

    def note_window(self) -> None:
        """Notes that a window, which uses OpenGL, is opened in this process.

        Raises:
            RenderingError: this process was forked from one that had rendered.
        """
        self.check_process()
        self._was_used = True

    def after_fork(self) -> None:
        """Makes the child process leave the parent's contexts alone."""
        egl = sys.modules.get("mujoco.egl")  # None if it was never loaded
        display = getattr(egl, "EGL_DISPLAY", None)
        # if other code than this class has rendered in the parent, there is an EGL display
        self._is_forked = self._is_forked or self._was_used or display is not None
        # freeing OpenGL objects would wait for threads that only the parent has
        if self._is_forked:
            for renderer in self._renderers.values():
                never_free(renderer)
            atexit.unregister(self._close_all)
            if egl is not None:
                atexit.unregister(egl.EGL.eglTerminate)

    @contextmanager
    def _using(self) -> Iterator[None]:
        """Holds the lock, and then frees the contexts that were dropped meanwhile."""
        with self._lock:
            try:
                yield
            finally:
                self._free_pending()

    @contextmanager
    def _made_current(self, renderer: mujoco.Renderer) -> Iterator[mujoco.Renderer]:
        """Yields a renderer with its context current in this thread, then releases it."""
        context: Any = renderer._gl_context
        context.make_current()
        try:
            yield renderer
        finally:
            self._release(renderer)

    def _free_pending(self) -> None:
        """Frees the contexts that were dropped; this thread holds the lock."""
        while self._to_free:
            self._free(self._to_free.popleft())

    def _free(self, key: int) -> None:
        """Frees a context, if it still exists; this thread holds the lock."""
        renderer = self._renderers.pop(key, None)
        if renderer is not None:
            with self._made_current(renderer):
                renderer.close()

    def _close_all(self) -> None:
        """Frees all contexts at exit, unless another thread keeps rendering."""
        if self._lock.acquire(timeout=_LAST_WAIT_S):
            try:
                for key in list(self._renderers):
                    self._free(key)
            finally:
                self._lock.release()


@functools.cache
def process_contexts() -> ProcessContexts:
    """Returns the contexts of this process."""
    contexts = ProcessContexts()
    tell_after_fork(contexts)
    return contexts


def _set_quality(model: mujoco.MjModel, values: Mapping[str, int]) -> None:
    """Writes values into the model's `vis.quality`."""
    for name, value in values.items():
        setattr(model.vis.quality, name, value)


def _release_function(backend: str) -> Callable[[mujoco.Renderer], None]:
    """Returns a backend's function that leaves this thread without a current context.

    Its argument is the renderer with the current context; only CGL uses it.
    """
    functions = {
        "egl": _release_egl,
        "osmesa": _release_osmesa,
        "cgl": _release_cgl,
    }
    return functions.get(backend, _release_glfw)


def _release_egl(renderer: mujoco.Renderer) -> None:
    """Makes no context of EGL current in this thread."""
    egl: Any = sys.modules["mujoco.egl"]
    library = egl.EGL
    # a thread has one current context per API; OpenGL's is the one to release
    library.eglBindAPI(library.EGL_OPENGL_API)
    library.eglMakeCurrent(
        egl.EGL_DISPLAY,
        library.EGL_NO_SURFACE,
        library.EGL_NO_SURFACE,
        library.EGL_NO_CONTEXT,
    )


def _release_osmesa(renderer: mujoco.Renderer) -> None:
    osmesa: Any = sys.modules["mujoco.osmesa"]
    osmesa.osmesa.OSMesaMakeCurrent(None, None, osmesa.GL.GL_FLOAT, 0, 0)


def _release_glfw(renderer: mujoco.Renderer) -> None:
    glfw: Any = importlib.import_module("glfw")
    glfw.make_context_current(None)


def _release_cgl(renderer: mujoco.Renderer) -> None:
    """Makes no context of macOS's CGL current in this thread."""
    cgl: Any = sys.modules["mujoco.cgl"]
    context: Any = renderer._gl_context
    if context is not None:
        # MuJoCo locked the context when it made it current
        cgl.cgl.CGLUnlockContext(context._context)
    cgl.cgl.CGLSetCurrentContext(None)
