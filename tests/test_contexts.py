"""OpenGL contexts: in other threads, in forked processes, dropped, and at exit."""

from __future__ import annotations

import gc
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import gymnasium
import numpy as np
import pytest

from embodied.envs.env import GroundEnv
from embodied.errors import EmbodiedError
from embodied.sim.cameras import Camera
from embodied.sim.contexts import RenderContext, process_contexts
from embodied.sim.gl import RenderingError
from tests.commands import run_python
from tests.ground import env_config, started_worlds

ID = "embodied/ToteTransfer-v0"
needs_fork = pytest.mark.skipif(
    not hasattr(os, "fork"), reason="there are no forks on this system"
)

# What children run: `make` makes an environment whose first frame is drawn in `reset`,
# `in_fork` does something in a forked process, and says how it ended there.
PRELUDE = """
import os, signal, sys, traceback
import gymnasium, embodied

def make(**settings):
    return gymnasium.make(
        "embodied/ToteTransfer-v0", num_threads=1, image_size=32,
        **{"obs": "both", **settings},
    )

def in_fork(work):
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        signal.alarm(30)
        try:
            work()
            print("it works", flush=True)
        except Exception as error:
            print(type(error).__name__, error, flush=True)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    print("killed" if os.WIFSIGNALED(status) else "ended", flush=True)
"""


def ran(code: str, **variables: str) -> list[str]:
    """Runs code after the prelude; returns the lines that it prints."""
    return run_python("-W", "error", "-c", PRELUDE + code, **variables).splitlines()


@pytest.fixture
def env() -> Any:
    made = GroundEnv(env_config(obs="both", image_size=32), render_mode="rgb_array")
    made.reset(seed=0)
    yield made
    made.close()


def in_thread(work: Callable[[], Any]) -> Any:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result(timeout=60)


def test_any_thread_renders_and_closes(env: GroundEnv) -> None:
    """A web page's threads are not the one that made the environment."""
    first = env.render()
    for _ in range(2):
        assert np.array_equal(in_thread(env.render), first)
        assert np.array_equal(env.render(), first)

    # frames for policies, too
    frame, _ = in_thread(lambda: env.reset(seed=0))
    again, _ = env.reset(seed=0)
    for name, pixels in frame["pixels"].items():
        assert np.array_equal(pixels, again["pixels"][name])

    in_thread(env.close)
    with pytest.raises(EmbodiedError, match="this environment is closed"):
        env.render()


def test_threads_render_at_the_same_time(env: GroundEnv) -> None:
    """One environment asked by several, beside another one."""
    other = GroundEnv(env_config(), render_mode="rgb_array")
    other.reset(seed=1)
    expected = [env.render(), other.render()]

    with ThreadPoolExecutor(4) as pool:
        asked = [env, other, env, other, env]
        frames = [pool.submit(one.render) for one in asked]
        for i, frame in enumerate(frames):
            assert np.array_equal(frame.result(timeout=60), expected[i % 2])
    other.close()


def test_closing_one_leaves_the_others_whole() -> None:
    """What a context holds is freed in that one, not in the one in use before."""
    worlds = started_worlds(1)
    kept = Camera(worlds.engine, 40, 40)
    closed = Camera(worlds.engine, 50, 50)
    before = kept.rgb(0, "overview")
    closed.rgb(0, "overview")
    kept.rgb(0, "overview")
    closed.close()
    assert np.array_equal(kept.rgb(0, "overview"), before)

    # a closed one opens again when it is asked
    assert closed.rgb(0, "overview").shape == (50, 50, 3)
    closed.close()
    kept.close()


def live() -> int:
    """How many contexts this process has."""
    return len(process_contexts()._renderers)


@pytest.mark.parametrize("kind", ["env", "vector", "cameras"])
def test_what_is_dropped_is_freed_at_once(kind: str) -> None:
    """Without `close`, and without the garbage collector."""
    gc.collect()
    before = live()
    gc.disable()
    try:
        if kind == "env":
            env = GroundEnv(env_config(obs="both", image_size=32), "rgb_array")
            env.reset(seed=0)
            env.render()
            assert live() == before + 2
            del env
        elif kind == "vector":
            many = gymnasium.make_vec(
                ID, num_envs=2, obs="pixels", image_size=32, num_threads=1
            )
            many.reset(seed=0)
            assert live() == before + 1
            del many
        else:
            camera = Camera(started_worlds(1).engine, 32, 32)
            camera.depth(0, "overview")
            assert live() == before + 1
            del camera
        assert live() == before
    finally:
        gc.enable()


def test_what_is_dropped_within_a_frame_is_freed_after_it() -> None:
    """The garbage collector may come at any moment, and in any thread."""
    worlds = started_worlds(1)
    model = worlds.engine.world_model(0)
    data = worlds.engine.world_data(0)
    kept = RenderContext(model, 40, 40)
    with kept.current() as renderer:
        renderer.update_scene(data, "overview")
        expected = renderer.render()

    before = live()
    first = RenderContext(model, 30, 30)
    others = [RenderContext(model, 20, 20)]
    with kept.current() as renderer:
        renderer.update_scene(data, "overview")
        del first
        dropping = threading.Thread(target=others.clear)
        dropping.start()
        dropping.join()
        assert live() == before + 2
        assert np.array_equal(renderer.render(), expected)
    assert live() == before
    kept.close()

    kept.close()
    with pytest.raises(RenderingError, match="closed"), kept.current():
        pass


@pytest.mark.parametrize("order", ["first", "later"])
def test_nothing_is_said_at_exit(order: str) -> None:
    """EGL ends at exit: contexts must be gone by then, closed or not."""
    register = "import weakref\nclass A: pass\na = A()\nweakref.finalize(a, int)\n"
    draw = "env = make(render_mode='rgb_array')\nenv.reset(seed=0)\nenv.render()\n"
    code = register + draw if order == "first" else draw + register
    assert ran(code + "print('end')") == ["end"]


@needs_fork
@pytest.mark.parametrize(
    "drawn",
    [
        "env = make(); env.reset(seed=0)",
        "env = make(obs='state', render_mode='rgb_array'); env.reset(); env.render(); env.close()",
        "env = make(obs='state'); import mujoco.egl; r = mujoco.Renderer(env.unwrapped.model)",
    ],
    ids=["open", "closed", "by others"],
)
def test_a_fork_after_a_frame_is_refused_at_once(drawn: str) -> None:
    """It would wait for ever for threads of Mesa's that stayed in the parent."""
    code = f"""
os.environ["MUJOCO_GL"] = "egl"
{drawn}
in_fork(lambda: make().reset(seed=0))
in_fork(lambda: in_fork(lambda: make(render_mode="rgb_array").reset(seed=0)))
"""
    lines = ran(code, MUJOCO_GL="egl")
    for line in (lines[0], lines[2]):
        assert line.startswith("RenderingError cameras cannot render in this process")
        assert "spawn" in line
        assert "forkserver" in line
    assert lines[1] == "ended"
    assert lines[3:] == ["ended", "it works", "ended"]


@needs_fork
def test_a_forked_process_uses_and_drops_what_it_inherits() -> None:
    code = """
env = make(render_mode="rgb_array")
env.reset(seed=0)
env.render()
owners = [env]
in_fork(lambda: env.render())
in_fork(lambda: env.step(env.action_space.sample()))
in_fork(lambda: env.close())
del env
in_fork(lambda: owners.clear())
print(owners[0].render().shape)
"""
    refused, _, stepped, *rest = ran(code)
    assert refused.startswith("RenderingError cameras cannot render in this process")
    assert stepped.startswith("RenderingError cameras cannot render in this process")
    assert rest[1:] == ["it works", "ended"] * 2 + ["(480, 640, 3)"]


@needs_fork
@pytest.mark.parametrize("threads", [1, 2])
def test_a_forked_process_ends(threads: int) -> None:
    """As a program ends, with all that Python and EGL do at exit."""
    code = f"""
env = make()
env.reset(seed=0)
many = gymnasium.make_vec("embodied/ToteTransfer-v0", num_envs=4, num_threads={threads})
many.reset(seed=0)
sys.stdout.flush()
child = os.fork()
if child == 0:
    signal.alarm(30)
    sys.exit(7)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    assert ran(code) == ["7"]


@needs_fork
def test_worlds_with_threads_are_refused_in_a_fork() -> None:
    """Those of one thread go on; new ones work."""
    code = """
def make_many(threads):
    many = gymnasium.make_vec("embodied/ToteTransfer-v0", num_envs=4, num_threads=threads)
    many.reset(seed=0)
    return many

def step(many):
    many.step(many.action_space.sample())

pooled = make_many(2)
plain = make_many(1)
in_fork(lambda: step(pooled))
in_fork(lambda: pooled.reset(seed=0))
in_fork(lambda: step(plain))
in_fork(lambda: step(make_many(2)))
step(pooled)
print("end")
"""
    lines = ran(code)
    for line in (lines[0], lines[2]):
        assert line.startswith(
            "EmbodiedError these worlds cannot go on in this process"
        )
        assert "spawn" in line
    assert lines[1] == lines[3] == "ended"
    assert lines[4:] == ["it works", "ended"] * 2 + ["end"]


@needs_fork
def test_a_fork_before_any_frame_renders() -> None:
    code = """
env = make(obs="state")
env.reset(seed=0)
in_fork(lambda: make().reset(seed=0))
"""
    assert ran(code) == ["it works", "ended"]


ASYNC = """
make().reset(seed=0)

def run(**choice):
    many = gymnasium.make_vec(
        "embodied/ToteTransfer-v0", num_envs=2, num_threads=1, obs="both",
        image_size=32, vectorization_mode="async", vector_kwargs=choice,
    )
    try:
        many.reset(seed=0)
        frames = many.step(many.action_space.sample())[0]["pixels"]
        print(*{frame.shape for frame in frames.values()})
    except Exception as error:
        print(type(error).__name__, error)
    finally:
        many.close(terminate=True)
"""


@needs_fork
def test_gymnasiums_processes_after_a_frame() -> None:
    """Forked ones say what to do; what they say works."""
    code = f"{ASYNC}\nif __name__ == '__main__':\n    run(context='fork')\n"
    (line,) = [line for line in ran_quietly(code) if "Error" in line]
    assert line.startswith("RenderingError cameras cannot render in this process")


@pytest.mark.slow
def test_spawned_processes_render_after_a_frame() -> None:
    code = f"{ASYNC}\nif __name__ == '__main__':\n    run(context='spawn')\n"
    assert ran_quietly(code)[-1] == "(2, 32, 32, 3)"


def ran_quietly(code: str) -> list[str]:
    """As `ran`, with Gymnasium's own warnings let through."""
    return run_python("-c", PRELUDE + code).splitlines()
