"""Rendering is tried for real; a machine that cannot render says what to install."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from embodied.sim import gl
from tests.commands import LONGEST_CHILD_S

CHOOSE = "from embodied.sim.gl import ensure_gl; print(ensure_gl())"

FRAME = "from embodied.sim.gl import render_test_frame; render_test_frame()"
needs_egl = pytest.mark.skipif(
    sys.platform != "linux" or not gl._egl_devices(), reason="there is no EGL here"
)


def child(code: str, **settings: str) -> subprocess.CompletedProcess[str]:
    # The child must not inherit what this process has chosen for its own rendering.
    clean = {
        k: v
        for k, v in os.environ.items()
        if k not in ("MUJOCO_GL", "PYOPENGL_PLATFORM", "MUJOCO_EGL_DEVICE_ID")
    }

    return subprocess.run(
        [sys.executable, "-c", code],
        env=clean | settings,
        capture_output=True,
        text=True,
        check=False,
        timeout=LONGEST_CHILD_S,
    )


@pytest.fixture
def fresh_choice(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.delenv("MUJOCO_GL", raising=False)
    monkeypatch.setattr(gl, "ensure_gl", gl.ensure_gl.__wrapped__)  # without the cache
    monkeypatch.setattr(sys, "platform", "linux")
    return monkeypatch


def test_this_machine_renders() -> None:
    assert gl.probe_rendering() in {"egl", "osmesa", "cgl", "wgl"}


def test_a_frame_after_mujoco_was_imported_without_a_choice() -> None:
    code = "import mujoco, sys; assert 'OpenGL' not in sys.modules; from embodied.sim import gl; gl.render_test_frame()"
    assert child(code).returncode == 0


def test_triton_is_loaded_before_mesa(tmp_path: Path) -> None:
    """The other order ends in a segmentation fault, of two LLVMs.

    A stand-in for Triton tells whether Mesa's was there first.
    """
    (tmp_path / "triton.py").write_text(
        "print('LLVM' in open('/proc/self/maps').read())", encoding="utf-8"
    )
    code = "from embodied.sim import gl; gl.render_test_frame(); import triton"
    path = os.pathsep.join([str(tmp_path), *sys.path])
    result = child(code, PYTHONPATH=path)
    assert (result.returncode, result.stdout) == (0, "False\n"), result.stderr


def test_users_choice_is_left_alone(fresh_choice: pytest.MonkeyPatch) -> None:
    fresh_choice.setenv("MUJOCO_GL", "GLFW")
    assert gl.ensure_gl() == "glfw"


@pytest.mark.parametrize("word", ["off", "0", "Disabled"])
def test_switched_off(fresh_choice: pytest.MonkeyPatch, word: str) -> None:
    fresh_choice.setenv("MUJOCO_GL", word)
    with pytest.raises(
        gl.RenderingError, match=r"switched off by MUJOCO_GL=.*unset it"
    ):
        gl.ensure_gl()


def test_osmesa_is_second(fresh_choice: pytest.MonkeyPatch) -> None:
    used: list[str] = []
    fresh_choice.setattr(gl, "_egl_works", lambda: False)
    fresh_choice.setattr(gl, "_loads", lambda name: name == "libOSMesa.so.6")
    fresh_choice.setattr(gl, "_use", lambda backend: used.append(backend) or backend)
    assert gl.ensure_gl() == "osmesa"
    assert used == ["osmesa"]


def test_a_machine_without_gl_names_the_packages(
    fresh_choice: pytest.MonkeyPatch,
) -> None:
    fresh_choice.setattr(gl, "_egl_works", lambda: False)
    fresh_choice.setattr(gl, "_loads", lambda name: False)
    with pytest.raises(
        gl.RenderingError, match="apt-get install libegl1 libgl1-mesa-dri .*libosmesa6"
    ):
        gl.ensure_gl()


def test_without_libraries(fresh_choice: pytest.MonkeyPatch) -> None:
    def refuse(name: str) -> None:
        raise OSError(name)

    assert gl._loads("libc.so.6")
    fresh_choice.setattr(gl.ctypes, "CDLL", refuse)
    assert not gl._egl_works()
    assert not gl._loads("libc.so.6")


@pytest.mark.skipif(sys.platform != "linux", reason="EGL is Linux's")
def test_egl_without_a_device(tmp_path: Path) -> None:
    """Vendors that are listed in an empty folder: libEGL is there, its drivers are not."""
    result = child(CHOOSE, __EGL_VENDOR_LIBRARY_DIRS=str(tmp_path))
    if any(gl._loads(name) for name in gl.OSMESA_NAMES):
        assert result.stdout.strip() == "osmesa"
    else:
        assert "RenderingError: cameras cannot render on this machine" in result.stderr


@pytest.mark.skipif(
    "DISPLAY" in os.environ, reason="GLFW works where there is a display"
)
def test_a_backend_that_makes_no_context() -> None:
    result = child(FRAME, MUJOCO_GL="glfw")
    assert (
        "RenderingError: cameras cannot render on this machine: glfw makes no context."
        in result.stderr
    )


def test_probe_survives_a_crash(fresh_choice: pytest.MonkeyPatch) -> None:
    """The child dies of each backend; the parent lives and says what to install."""
    fresh_choice.setattr(gl, "_CHILD", "import os; os.abort()")
    with pytest.raises(
        gl.RenderingError, match="it ended with exit status -6.*apt-get install"
    ):
        gl.probe_rendering()


def test_probe_has_a_time_limit(fresh_choice: pytest.MonkeyPatch) -> None:
    fresh_choice.setattr(gl, "_CHILD", "import time; time.sleep(60)")
    with pytest.raises(gl.RenderingError, match="no picture within 0.2 s"):
        gl.probe_rendering(timeout_s=0.2)


def test_probe_names_the_setting_that_works(fresh_choice: pytest.MonkeyPatch) -> None:
    fresh_choice.setattr(
        gl,
        "_CHILD",
        "import os, sys; sys.exit(os.environ.get('MUJOCO_GL') != 'osmesa')",
    )
    with pytest.raises(
        gl.RenderingError, match="it works with the setting MUJOCO_GL=osmesa"
    ):
        gl.probe_rendering()


def test_a_black_picture_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        gl, "_TEST_SCENE", gl._TEST_SCENE.replace('rgba="1 0 0 1"', 'rgba="0 0 0 1"')
    )
    with pytest.raises(gl.RenderingError, match="a red box came out as the colour"):
        gl.render_test_frame()


@needs_egl
@pytest.mark.parametrize("value", ["7", "10", "-1", "cuda:0", "0,1", "1.0", "", " "])
@pytest.mark.parametrize("backend", ["", "egl"])
def test_a_device_that_is_not_there(
    fresh_choice: pytest.MonkeyPatch, value: str, backend: str
) -> None:
    """Job scripts set such values, meant for other libraries or other machines."""
    fresh_choice.setattr(gl, "_egl_devices", lambda: [1, 2])
    fresh_choice.setenv("MUJOCO_GL", backend)
    fresh_choice.setenv("MUJOCO_EGL_DEVICE_ID", value)
    with pytest.raises(gl.SettingError) as refused:
        gl.ensure_gl()
    assert f"MUJOCO_EGL_DEVICE_ID={value!r} names no EGL device" in str(refused.value)
    assert "this machine has 0 to 1. " in str(refused.value)
    assert "apt-get" not in str(refused.value)


@needs_egl
def test_a_device_that_is_there() -> None:
    assert child(FRAME, MUJOCO_EGL_DEVICE_ID="0").returncode == 0
    # it does not matter where EGL is not used
    code = "from embodied.sim.gl import ensure_gl; ensure_gl()"
    assert child(code, MUJOCO_EGL_DEVICE_ID="x", MUJOCO_GL="glfw").returncode == 0


def test_a_device_that_makes_no_context(fresh_choice: pytest.MonkeyPatch) -> None:
    def fail(*args: object) -> None:
        raise RuntimeError("no")

    fresh_choice.setattr(gl, "ensure_gl", lambda: "egl")
    fresh_choice.setattr(gl.mujoco, "Renderer", fail)
    fresh_choice.setenv("MUJOCO_EGL_DEVICE_ID", "0")
    with pytest.raises(
        gl.SettingError, match="that MUJOCO_EGL_DEVICE_ID=0 names makes no context"
    ):
        gl.render_test_frame()


@needs_egl
@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("MUJOCO_EGL_DEVICE_ID", {"MUJOCO_EGL_DEVICE_ID": "cuda:0"}),
        ("PYOPENGL_PLATFORM", {"PYOPENGL_PLATFORM": "glx"}),
        ("PYOPENGL_PLATFORM", {"PYOPENGL_PLATFORM": "osmesa", "MUJOCO_GL": "egl"}),
        ("MUJOCO_GL", {"MUJOCO_GL": "off"}),
    ],
)
def test_doctor_names_the_setting(name: str, settings: dict[str, str]) -> None:
    code = "from embodied.cli import doctor; print(doctor.check_rendering())"
    result = child(code, **settings)
    assert "ok=False, detail=" in result.stdout
    assert name in result.stdout
    assert "apt-get" not in result.stdout
    assert "works with" not in result.stdout


@pytest.mark.parametrize("call", ["make", "make_vec"])
def test_a_backend_that_mujoco_does_not_know(call: str) -> None:
    """MuJoCo says so when it is imported, which is when an environment is made."""
    code = f"import gymnasium, embodied; gymnasium.{call}('embodied/ToteTransfer-v0')"
    result = child(code, MUJOCO_GL="nonsense")
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith(
        "embodied.errors.EmbodiedError: MuJoCo cannot be imported with MUJOCO_GL=nonsense"
    )
    assert last.endswith("unset it")
