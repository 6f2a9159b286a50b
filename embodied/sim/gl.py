"""The choice of an OpenGL backend: EGL, then OSMesa (CGL on macOS).

MuJoCo chooses when it is imported. We choose at the first frame, so worlds without
cameras run on machines that cannot render. With cameras, a clear error says which
library is missing.
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

# Debian and Ubuntu packages for rendering without a GPU or a display.
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
EGL_PLATFORM_DEVICE_EXT = 0x313F  # EGL's constant for displays on a device
MOST_EGL_DEVICES = 10  # MuJoCo's own limit
_TEST_SCENE = """<mujoco><visual><headlight ambient="1 1 1"/></visual><worldbody>
<geom type="box" size="1 1 1" rgba="1 0 0 1"/><camera name="above" pos="0 0 3"/></worldbody></mujoco>"""

_CHILD = "from embodied.sim.gl import render_test_frame; render_test_frame()"
# Prefixes of the last line of a child's traceback.
_ERROR_MARK = f"{__name__}.RenderingError: "
_SETTING_MARK = f"{__name__}.SettingError: "


class RenderingError(EmbodiedError):
    """This machine cannot render, or not with the backend of MUJOCO_GL."""


class SettingError(RenderingError):
    """An environment variable prevents rendering."""


@functools.cache
def ensure_gl() -> str:
    """Makes `mujoco.Renderer` usable in this process; returns the backend's name.

    This is cheap: nothing is rendered. The user's MUJOCO_GL is obeyed.

    Raises:
        RenderingError: no backend is found, or a setting forbids rendering.
    """
    chosen = os.environ.get("MUJOCO_GL", "").lower().strip()
    if chosen in SWITCHED_OFF:
        raise SettingError(
            f"rendering is switched off by MUJOCO_GL={chosen}: unset it to use cameras"
        )
    load_triton_first()

    if chosen not in AUTOMATIC:
        # MuJoCo already loaded this backend when it was imported
        _check_import(chosen)
        if chosen == "egl":
            check_egl_device()
        return chosen
    if sys.platform != "linux":
        # MuJoCo's default is right on these systems
        return "cgl" if sys.platform == "darwin" else "wgl"

    check_egl_device()
    if _egl_works():
        return _use("egl")
    if any(_loads(name) for name in OSMESA_NAMES):
        return _use("osmesa")
    raise RenderingError(_cannot_render("neither EGL nor OSMesa is to be found"))


def load_triton_first() -> None:
    """Loads Triton before Mesa, if it is installed.

    Call this before the first use of OpenGL. Both libraries contain an LLVM. If Mesa's
    is loaded first, Triton calls into it, and the process dies with a segmentation
    fault, perhaps only when an optimizer of PyTorch's CUDA build is made. In the other
    order both work.
    """
    if importlib.util.find_spec("triton") is not None:
        importlib.import_module("triton")


def make_renderer(model: mujoco.MjModel, height: int, width: int) -> mujoco.Renderer:
    """Returns a MuJoCo renderer for frames of one size, in pixels.

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
    """Raises SettingError if MUJOCO_EGL_DEVICE_ID is not the index of an EGL device.

    MuJoCo's own error would not name the setting, or would blame the driver.
    """
    chosen = os.environ.get(DEVICE_SETTING)
    count = len(_egl_devices())
    if chosen is None or count == 0:
        return

    indices = "only 0" if count == 1 else f"0 to {count - 1}"
    if not chosen.strip().isdecimal() or int(chosen) >= count:
        raise SettingError(
            f"{DEVICE_SETTING}={chosen!r} names no EGL device: this machine has "
            f"{indices}. Set it to such a number, or unset it"
        )


def probe_rendering(timeout_s: float = 60) -> str:
    """Tests rendering in a child process, because a faulty driver may crash it.

    Returns:
        The name of the backend.

    Raises:
        RenderingError: it failed; the text says which package to install, or which
            MUJOCO_GL would work.
    """
    # first with the user's own settings
    failure = _failure_in_child("", timeout_s)
    if not failure:
        return ensure_gl()
    # a wrong setting must be corrected; no other backend would help
    if failure.startswith(_SETTING_MARK):
        raise SettingError(failure.removeprefix(_SETTING_MARK))

    # then try the backends one by one
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
        RenderingError: the picture is not red.
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

    # the mean colour, from 0 to 255, must be red
    red, green, blue = frame.reshape(-1, 3).mean(0)
    if red < 100 or max(green, blue) > red / 2:
        raise RenderingError(
            f"a red box came out as the colour ({red:.0f}, {green:.0f}, {blue:.0f})"
        )
    return frame


def _egl_works() -> bool:
    """Returns whether EGL can be initialised on any device, as MuJoCo's context needs.

    The device may be a software renderer.
    """
    pointer = ctypes.c_void_p
    # the C type of eglGetPlatformDisplayEXT: result first, then arguments
    display_type = ctypes.CFUNCTYPE(pointer, ctypes.c_uint, pointer, pointer)
    devices = _egl_devices()
    if not devices:
        return False

    # a device works if its display can be initialised
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
    """Returns the addresses of EGL's devices in MuJoCo's order; empty without EGL."""
    pointer = ctypes.c_void_p
    int_pointer = ctypes.POINTER(ctypes.c_int)
    # the C type of eglQueryDevicesEXT: its result, then its arguments: the most devices to
    # write, the array to write them to, and where to write their number
    query_type = ctypes.CFUNCTYPE(
        ctypes.c_uint, ctypes.c_int, ctypes.POINTER(pointer), int_pointer
    )
    try:
        egl = _load_egl()
        query_devices = query_type(egl.eglGetProcAddress(b"eglQueryDevicesEXT"))
    except (OSError, AttributeError, TypeError):
        return []

    # EGL writes the addresses into `devices` and their number into `count`; ctypes reads
    # the address 0 as None
    count = ctypes.c_int(0)
    devices = (pointer * MOST_EGL_DEVICES)()
    query_devices(len(devices), devices, ctypes.byref(count))
    return [device or 0 for device in devices[: count.value]]


def _load_egl() -> ctypes.CDLL:
    """Returns EGL's library; raises OSError if it is not installed."""
    egl = ctypes.CDLL("libEGL.so.1")
    # the default result type would truncate addresses to 32 bits
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
    """Selects a backend although MuJoCo is already imported; returns its name.

    `mujoco.Renderer` looks up its context class in the module that is changed here.
    """
    # MuJoCo calls the backend by PyOpenGL, which has its own setting
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
        # for instance, PyOpenGL has already loaded another platform
        raise RenderingError(
            f"{backend} is installed but cannot be used: {error}"
        ) from error
    return backend


def _failure_in_child(backend: str, timeout_s: float) -> str:
    """Renders a picture in a child process; returns the reason of a failure, or "".

    Args:
        backend: the child's MUJOCO_GL; "" for the user's own setting.
        timeout_s: seconds after which the child is stopped.
    """
    environment = dict(os.environ)
    if backend:
        environment["MUJOCO_GL"] = backend
        # MuJoCo may have set this one in our process, for another backend
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
    # The last line of a traceback is the error. The mark of a setting's error stays,
    # because `probe_rendering` looks for it.
    return lines[-1].removeprefix(_ERROR_MARK)


def _check_import(backend: str) -> None:
    """Raises SettingError if MuJoCo was imported without a renderer.

    Args:
        backend: the value of MUJOCO_GL.
    """
    if not hasattr(mujoco, "Renderer"):
        platform = os.environ.get(PLATFORM_SETTING, "")
        raise SettingError(
            f"MuJoCo cannot render with both MUJOCO_GL={backend} and "
            f"{PLATFORM_SETTING}={platform}: unset {PLATFORM_SETTING}"
        )


def _cannot_render(reason: str) -> str:
    return f"cameras cannot render on this machine: {reason}{ADVICE}"
