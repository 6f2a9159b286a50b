"""The choice of an OpenGL backend: EGL, then OSMesa (CGL on macOS).

MuJoCo chooses when it is imported. We choose when the first frame is asked for, so that
worlds without cameras run on machines that cannot render, and one clear error says what
is missing where cameras are wanted.
"""

from __future__ import annotations

import ctypes
import functools
import importlib
import importlib.util
import os
import subprocess
import sys

import mujoco
import numpy as np

from embodied.errors import EmbodiedError

# packages of Debian and Ubuntu that together render without a GPU or a display
PACKAGES = "libegl1 libgl1-mesa-dri"
SOFTWARE_PACKAGE = "libosmesa6"
ADVICE = (
    ". On Debian or Ubuntu install what renders without a GPU and without a display:"
    f" sudo apt-get install {PACKAGES}   (or {SOFTWARE_PACKAGE})"
)
DEVICE_SETTING = "MUJOCO_EGL_DEVICE_ID"
PLATFORM_SETTING = "PYOPENGL_PLATFORM"
SWITCHED_OFF = ("disable", "disabled", "off", "false", "0")
AUTOMATIC = ("", "enable", "enabled", "on", "true", "1")
OSMESA_NAMES = ("libOSMesa.so.8", "libOSMesa.so.6", "libOSMesa.so")
EGL_PLATFORM_DEVICE_EXT = 0x313F
MOST_EGL_DEVICES = 10  # as many as MuJoCo asks for
_TEST_SCENE = """<mujoco><visual><headlight ambient="1 1 1"/></visual><worldbody>
<geom type="box" size="1 1 1" rgba="1 0 0 1"/><camera name="above" pos="0 0 3"/></worldbody></mujoco>"""

_CHILD = "from embodied.sim.gl import render_test_frame; render_test_frame()"
# how the last line of a child's error begins
_ERROR_MARK = f"{__name__}.RenderingError: "
_SETTING_MARK = f"{__name__}.SettingError: "


class RenderingError(EmbodiedError):
    """No picture can be made on this machine, or not with the backend of MUJOCO_GL."""


class SettingError(RenderingError):
    """A variable of the process's environment keeps pictures from being made."""


@functools.cache
def ensure_gl() -> str:
    """Makes `mujoco.Renderer` usable in this process; returns the backend's name.

    This is cheap: nothing is rendered. A MUJOCO_GL that the user has set is obeyed.

    Raises:
        RenderingError: no backend is to be found, or a setting forbids it.
    """
    chosen = os.environ.get("MUJOCO_GL", "").lower().strip()
    if chosen in SWITCHED_OFF:
        raise SettingError(
            f"rendering is switched off by MUJOCO_GL={chosen}: unset it to use cameras"
        )
    load_triton_first()

    if chosen not in AUTOMATIC:
        # MuJoCo obeyed it when it was imported
        _check_import(chosen)
        if chosen == "egl":
            check_egl_device()
        return chosen
    if sys.platform != "linux":
        # MuJoCo's own default is right there
        return "cgl" if sys.platform == "darwin" else "wgl"

    check_egl_device()
    if _egl_works():
        return _use("egl")
    if any(_loads(name) for name in OSMESA_NAMES):
        return _use("osmesa")
    raise RenderingError(_cannot_render("neither EGL nor OSMesa is to be found"))


def load_triton_first() -> None:
    """Loads Triton, where it is installed, before Mesa.

    Call it before the first use of OpenGL. Both libraries bring an LLVM of their own.
    If Mesa's is loaded first, Triton's calls go to it, and the process dies with a
    segmentation fault, perhaps only when an optimizer of PyTorch's CUDA build is made.
    In the other order both work.
    """
    if importlib.util.find_spec("triton") is not None:
        importlib.import_module("triton")


def make_renderer(model: mujoco.MjModel, height: int, width: int) -> mujoco.Renderer:
    """Returns MuJoCo's own renderer for frames of one size, in pixels.

    Raises:
        RenderingError: no context can be made.
    """
    backend = ensure_gl()
    try:
        return mujoco.Renderer(model, height, width)
    except (mujoco.FatalError, ImportError, RuntimeError) as error:
        chosen = os.environ.get(DEVICE_SETTING)
        if backend == "egl" and chosen is not None:
            raise SettingError(
                f"the EGL device that {DEVICE_SETTING}={chosen} names makes no context: "
                "choose another, or unset it"
            ) from error
        raise RenderingError(_cannot_render(f"{backend} makes no context")) from error


def check_egl_device() -> None:
    """Raises SettingError where MUJOCO_EGL_DEVICE_ID is no number of an EGL device.

    MuJoCo would raise an error that names no setting, or say that there is no driver.
    """
    chosen = os.environ.get(DEVICE_SETTING)
    count = len(_egl_devices())
    if chosen is None or count == 0:
        return

    numbers = "only 0" if count == 1 else f"0 to {count - 1}"
    if not chosen.strip().isdecimal() or int(chosen) >= count:
        raise SettingError(
            f"{DEVICE_SETTING}={chosen!r} names no EGL device: this machine has "
            f"{numbers}. Set it to such a number, or unset it"
        )


def probe_rendering(timeout_s: float = 60) -> str:
    """Renders a picture in a child process, which may crash.

    Returns:
        The name of the backend that did it.

    Raises:
        RenderingError: none did; the text says what to install, or which MUJOCO_GL
            would work.
    """
    # with the user's own settings
    failure = _failure_in_child("", timeout_s)
    if not failure:
        return ensure_gl()
    # no other backend and no package is of help
    if failure.startswith(_SETTING_MARK):
        raise SettingError(failure.removeprefix(_SETTING_MARK))

    # say which backend would have done it, if any
    if sys.platform == "linux":
        for backend in ("egl", "osmesa"):
            if not _failure_in_child(backend, timeout_s):
                raise RenderingError(
                    f"{failure.removesuffix(ADVICE)}; it works with the setting MUJOCO_GL={backend}"
                )
    if not failure.endswith(ADVICE):
        failure = _cannot_render(failure)
    raise RenderingError(failure)


def render_test_frame() -> np.ndarray:
    """Returns a picture (16, 16, 3) uint8 of a red box that fills the frame.

    Raises:
        RenderingError: something else comes out.
    """
    model = mujoco.MjModel.from_xml_string(_TEST_SCENE)
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    renderer = make_renderer(model, 16, 16)
    try:
        renderer.update_scene(data, "above")
        frame = renderer.render()
    finally:
        renderer.close()

    # the mean colour, from 0 to 255
    red, green, blue = frame.reshape(-1, 3).mean(0)
    if red < 100 or max(green, blue) > red / 2:
        raise RenderingError(
            f"a red box came out as the colour ({red:.0f}, {green:.0f}, {blue:.0f})"
        )
    return frame


def _egl_works() -> bool:
    """Returns whether EGL can be initialised on some device.

    MuJoCo's EGL context needs that. The device may be the software one.
    """
    pointer = ctypes.c_void_p
    # the C type of eglGetPlatformDisplayEXT: its result, then its arguments
    display_type = ctypes.CFUNCTYPE(pointer, ctypes.c_uint, pointer, pointer)
    devices = _egl_devices()
    if not devices:
        return False

    # a device works where a display of it can be initialised
    try:
        egl = _load_egl()
        get_display = display_type(egl.eglGetProcAddress(b"eglGetPlatformDisplayEXT"))
        displays = [
            get_display(EGL_PLATFORM_DEVICE_EXT, device, None) for device in devices
        ]
    except (OSError, AttributeError, TypeError):
        return False
    return any(
        display and egl.eglInitialize(pointer(display), None, None)
        for display in displays
    )


def _egl_devices() -> list[int]:
    """Returns the addresses of EGL's devices, in MuJoCo's order; none without EGL."""
    pointer = ctypes.c_void_p
    int_pointer = ctypes.POINTER(ctypes.c_int)
    # the C type of eglQueryDevicesEXT: its result, then its arguments
    query_type = ctypes.CFUNCTYPE(
        ctypes.c_uint, ctypes.c_int, ctypes.POINTER(pointer), int_pointer
    )
    try:
        egl = _load_egl()
        query_devices = query_type(egl.eglGetProcAddress(b"eglQueryDevicesEXT"))
    except (OSError, AttributeError, TypeError):
        return []

    # EGL fills `devices`, and sets `count` to how many there are
    count = ctypes.c_int(0)
    devices = (pointer * MOST_EGL_DEVICES)()
    query_devices(len(devices), devices, ctypes.byref(count))
    return [device or 0 for device in devices[: count.value]]


def _load_egl() -> ctypes.CDLL:
    """Returns EGL's library; raises OSError where it is not installed."""
    egl = ctypes.CDLL("libEGL.so.1")
    # without a type, ctypes would cut the addresses to 32 bits
    egl.eglGetProcAddress.restype = ctypes.c_void_p
    return egl


def _loads(library: str) -> bool:
    """Returns whether a shared library can be loaded."""
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def _use(backend: str) -> str:
    """Does now what MUJOCO_GL does when MuJoCo is imported; returns the backend.

    `mujoco.Renderer` looks its context class up in the module that is changed here.
    """
    # PyOpenGL, with which MuJoCo calls the backend, obeys a setting of its own
    platform = os.environ.get(PLATFORM_SETTING, "").lower()
    if platform not in ("", backend):
        raise SettingError(
            f"{PLATFORM_SETTING}={platform} keeps MuJoCo from rendering by {backend}: "
            "unset it"
        )
    context = importlib.import_module("mujoco.rendering.classic.gl_context")
    try:
        context.GLContext = importlib.import_module(f"mujoco.{backend}").GLContext  # type: ignore[attr-defined]
    except (ImportError, AttributeError) as error:
        # for instance, PyOpenGL is bound to another platform already
        raise RenderingError(
            f"{backend} is installed but cannot be used: {error}"
        ) from error
    return backend


def _failure_in_child(backend: str, timeout_s: float) -> str:
    """Renders a picture in a child process; returns why it fails, "" where it does not.

    Args:
        backend: the child's MUJOCO_GL; "" leaves the user's own as it is.
        timeout_s: seconds after which the child is stopped.
    """
    environment = dict(os.environ)
    if backend:
        environment["MUJOCO_GL"] = backend
        # perhaps MuJoCo set it in this process, for another backend
        environment.pop(PLATFORM_SETTING, None)

    try:
        child = subprocess.run(
            [sys.executable, "-c", _CHILD],
            env=environment,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"no picture within {timeout_s:g} s"
    if child.returncode == 0:
        return ""

    lines = child.stderr.strip().splitlines()
    if not lines:
        return f"it ended with exit status {child.returncode}"
    # A traceback ends with the error. One about a setting keeps its mark, by which
    # `probe_rendering` knows it.
    return lines[-1].removeprefix(_ERROR_MARK)


def _check_import(backend: str) -> None:
    """Raises SettingError where MuJoCo found no renderer when it was imported.

    Args:
        backend: which MUJOCO_GL names.
    """
    if not hasattr(mujoco, "Renderer"):
        platform = os.environ.get(PLATFORM_SETTING, "")
        raise SettingError(
            f"MuJoCo cannot render with both MUJOCO_GL={backend} and "
            f"{PLATFORM_SETTING}={platform}: unset {PLATFORM_SETTING}"
        )


def _cannot_render(reason: str) -> str:
    return f"cameras cannot render on this machine: {reason}{ADVICE}"
