"""OpenGL contexts that any thread may use, and that are freed with their owners.

MuJoCo's renderer does not see to the following.

- A context may be current in one thread only, so that it must be let go of after each
  frame; and what it holds can be freed only while it is current.
- An owner may be dropped without being closed, by the garbage collector, in any thread
  and in the middle of another's frame.
- EGL ends at exit, and contexts must be gone by then.
- In a forked process nothing of this works: Mesa's threads stayed in the parent.
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
_LAST_WAIT_S = 5.0  # for a frame that another thread still renders at exit


class RenderContext:
    """MuJoCo's renderer of frames of one size, with a context of its own."""

    def __init__(
        self,
        model: mujoco.MjModel,
        height: int,
        width: int,
        quality: Mapping[str, int] | None = None,
    ) -> None:
        """Makes the context.

        Args:
            model: whose scenes are rendered.
            height: height of the frames in pixels.
            width: width of the frames in pixels.
            quality: values of the model's `vis.quality`, which is read only now.

        Raises:
            RenderingError: no context can be made in this process.
        """
        self._contexts = process_contexts()
        # the process keeps the renderer, under this key
        key = self._contexts.make(model, height, width, quality or {})
        self._key = key

        # Frees the context when this object is dropped, for which it must not refer to
        # `self`. At exit all contexts are freed together, before EGL ends.
        self._dropped = weakref.finalize(self, self._contexts.drop, key)
        self._dropped.atexit = False

    @contextmanager
    def current(self) -> Iterator[mujoco.Renderer]:
        """Yields the renderer, for this thread alone.

        Raises:
            RenderingError: this process was forked, or the context is closed.
        """
        with self._contexts.current(self._key) as renderer:
            yield renderer

    def close(self) -> None:
        """Frees the context. May be called twice, and from any thread."""
        self._dropped.detach()
        self._contexts.close(self._key)


class ProcessContexts:
    """All contexts of this process, one of which is in use at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # held while a context is in use
        self._keys = itertools.count()
        self._renderers: dict[int, mujoco.Renderer] = {}  # by key
        # keys of contexts that were dropped while another was in use
        self._waiting: deque[int] = deque()
        # leaves this thread without a current context, after a frame of a renderer
        self._let_go: Callable[[mujoco.Renderer], None] = _let_go_of_egl
        self._was_used = False  # OpenGL, in this process
        self._is_forked = False  # from a process that had used OpenGL

    def make(
        self, model: mujoco.MjModel, height: int, width: int, quality: Mapping[str, int]
    ) -> int:
        """Makes a context; returns its key. Arguments are as for `RenderContext`."""
        self.check_process()
        with self._using():
            backend = ensure_gl()
            self._let_go = _function_that_lets_go(backend)
            self._was_used = True

            # a renderer reads the quality only when it is made: the model gets it back
            before = {name: getattr(model.vis.quality, name) for name in quality}
            _set_quality(model, quality)
            try:
                renderer = make_renderer(model, height, width)
            finally:
                _set_quality(model, before)
            self._let_go(renderer)

            key = next(self._keys)
            if key == 0:
                # functions run in reverse at exit: EGL's own clean-up, registered when
                # it was loaded above, runs after this
                atexit.register(self._close_all)
            self._renderers[key] = renderer
            return key

    @contextmanager
    def current(self, key: int) -> Iterator[mujoco.Renderer]:
        """Yields a renderer whose context is current in this thread meanwhile."""
        self.check_process()
        with self._using():
            if key not in self._renderers:
                raise RenderingError("this camera is closed: make a new environment")
            with self._made_current(self._renderers[key]) as renderer:
                yield renderer

    def close(self, key: int) -> None:
        """Frees a context, after the frame that is in work."""
        if not self._is_forked:
            with self._using():
                self._free(key)

    def drop(self, key: int) -> None:
        """Frees a context now if none is in use, otherwise soon.

        The garbage collector calls it, perhaps in the thread that uses one.
        """
        if self._is_forked:
            return
        self._waiting.append(key)
        if self._lock.acquire(blocking=False):
            try:
                self._free_waiting()
            finally:
                self._lock.release()

    def check_process(self) -> None:
        """Raises RenderingError in a process that was forked after a frame."""
        if self._is_forked:
            raise RenderingError(FORKED)

    def note_window(self) -> None:
        """Says that a window is opened in this process, which uses OpenGL as well.

        Raises:
            RenderingError: this process was forked from one that had rendered.
        """
        self.check_process()
        self._was_used = True

    def after_fork(self) -> None:
        """Leaves alone, in the child, what the parent made."""
        egl = sys.modules.get("mujoco.egl")  # None if it was never loaded
        display = getattr(egl, "EGL_DISPLAY", None)
        # a display tells of a renderer that others made in the parent
        self._is_forked = self._is_forked or self._was_used or display is not None
        # whatever frees OpenGL's things waits for threads that are not in this process
        if self._is_forked:
            for renderer in self._renderers.values():
                never_free(renderer)
            atexit.unregister(self._close_all)
            if egl is not None:
                atexit.unregister(egl.EGL.eglTerminate)

    @contextmanager
    def _using(self) -> Iterator[None]:
        """Keeps other threads out, and then frees what was dropped meanwhile."""
        with self._lock:
            try:
                yield
            finally:
                self._free_waiting()

    @contextmanager
    def _made_current(self, renderer: mujoco.Renderer) -> Iterator[mujoco.Renderer]:
        """Yields a renderer with its context current in this thread, and then none."""
        context: Any = renderer._gl_context
        context.make_current()
        try:
            yield renderer
        finally:
            self._let_go(renderer)

    def _free_waiting(self) -> None:
        """Frees the contexts that were dropped; this thread holds the lock."""
        while self._waiting:
            self._free(self._waiting.popleft())

    def _free(self, key: int) -> None:
        """Frees a context, if it still exists; this thread holds the lock."""
        renderer = self._renderers.pop(key, None)
        if renderer is not None:
            with self._made_current(renderer):
                renderer.close()

    def _close_all(self) -> None:
        """Frees all contexts at exit, unless another thread goes on rendering."""
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


def _function_that_lets_go(backend: str) -> Callable[[mujoco.Renderer], None]:
    """Returns the backend's function that leaves this thread no current context.

    The function is given the renderer whose context is current; only CGL asks for it.
    """
    functions = {
        "egl": _let_go_of_egl,
        "osmesa": _let_go_of_osmesa,
        "cgl": _let_go_of_cgl,
    }
    return functions.get(backend, _let_go_of_glfw)


def _let_go_of_egl(renderer: mujoco.Renderer) -> None:
    egl: Any = sys.modules["mujoco.egl"]
    library = egl.EGL
    # a thread has a current context per API: it is OpenGL's that is to be let go of
    library.eglBindAPI(library.EGL_OPENGL_API)
    library.eglMakeCurrent(
        egl.EGL_DISPLAY,
        library.EGL_NO_SURFACE,
        library.EGL_NO_SURFACE,
        library.EGL_NO_CONTEXT,
    )


def _let_go_of_osmesa(renderer: mujoco.Renderer) -> None:
    osmesa: Any = sys.modules["mujoco.osmesa"]
    osmesa.osmesa.OSMesaMakeCurrent(None, None, osmesa.GL.GL_FLOAT, 0, 0)


def _let_go_of_glfw(renderer: mujoco.Renderer) -> None:
    glfw: Any = importlib.import_module("glfw")
    glfw.make_context_current(None)


def _let_go_of_cgl(renderer: mujoco.Renderer) -> None:
    cgl: Any = sys.modules["mujoco.cgl"]
    context: Any = renderer._gl_context
    if context is not None:
        # MuJoCo locks a context when it makes it current
        cgl.cgl.CGLUnlockContext(context._context)
    cgl.cgl.CGLSetCurrentContext(None)
