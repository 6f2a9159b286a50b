"""Policies that are served play as they do at home, and may be lost."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from embodied.benchmark.timing import Timing
from embodied.core import Array, Observation
from embodied.envs.worlds import Worlds
from embodied.errors import EmbodiedError
from embodied.policies.episodes import EpisodeRunner, env_config_for
from embodied.policies.realtime.planner_process import PlannerProcess
from embodied.policies.realtime.run import run_in_real_time
from embodied.policies.registry import find_policy
from embodied.policies.remote import client
from embodied.policies.remote.server import PolicyServer
from embodied.policies.remote.session import Served
from embodied.rollout.rollout import EpisodeResult, Step
from tests.commands import TASK, refused
from tests.remote_servers import pi0_like, serving

SHORT_S = 1.5
LATE = {
    "expert": Timing(transport_ms=100, jitter=0.3),
    "expert_chunks": Timing(compute_ms=90),
    "expert_waypoints": Timing(compute_ms=90),
}


@contextmanager
def server(policy: str, port: int = 0) -> Iterator[int]:
    with Served(policy, TASK) as served, PolicyServer(served, port=port) as one:
        thread = threading.Thread(target=one.serve_forever)
        thread.start()
        yield one.port
    thread.join()


def runner(policy: str, timing: Timing | None = None) -> EpisodeRunner:
    source = find_policy(policy)
    config = env_config_for(source.spec(TASK), TASK, "L1", "train")
    dual = timing.dual(source.planner_hz) if timing and source.planner_hz else None
    return EpisodeRunner(policy, replace(config, horizon_s=SHORT_S), dual, num_envs=2)


@pytest.mark.parametrize("policy", LATE)
def test_plans_of_a_server_are_those_of_home(policy: str) -> None:
    at_home = runner(policy, LATE[policy]).run([3, 4])
    with server(policy) as port:
        afar = runner(f"remote:127.0.0.1:{port}", LATE[policy]).run([3, 4])
    assert afar == at_home
    assert at_home[0].mean_plan_age_s > 0.08


@pytest.mark.slow
def test_a_run_is_served_step_by_step() -> None:
    """Its controller has weights, so the server does what it does as well."""
    at_home = runner("pretrained").run([3])
    with server("pretrained") as port:
        afar = runner(f"remote:127.0.0.1:{port}").run([3])
    # Actions alone travel: nothing is known of the subtask, and each is a plan of its own.
    assert at_home[0].plan_jump is not None
    assert afar[0].plan_jump is not None
    known = [replace(one, subtask="", plan_jump=None) for one in afar]
    assert known == [replace(one, subtask="", plan_jump=None) for one in at_home]


def test_a_policy_without_plans_is_served_too() -> None:
    with server("random") as port:
        source = find_policy(f"remote:127.0.0.1:{port}")
        assert source.planner_hz == 20
        name = f"remote:127.0.0.1:{port}"
        first = runner(name).run([3, 4])
        again = runner(name).run([4])
    assert first[1].reward_sum == again[0].reward_sum
    assert first[0].reward_sum != first[1].reward_sum


class EndsServer:
    """A hook that ends the server at a tick, and has it started again at another."""

    def __init__(self, stack: ExitStack, port: int, ends: int, returns: int) -> None:
        self._stack = stack
        self._port = port
        self._ends = ends
        self._returns = returns

    def on_start(self, worlds: Any, ids: Any, indices: Any, observation: Any) -> None:
        """Does nothing."""

    def on_step(self, worlds: Worlds, step: Step) -> None:
        tick = step.before.tick[0]
        if tick == self._ends:
            self._stack.close()
        if tick == self._returns:
            self._stack.enter_context(server("expert", self._port))

    def on_end(self, worlds: Worlds, world: int, result: EpisodeResult) -> None:
        """Does nothing."""


def test_a_server_that_goes_is_an_outage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "PATIENCE_S", 0.0)
    monkeypatch.setattr(client, "FIRST_PAUSE_S", 0.0)
    with ExitStack() as stack:
        port = stack.enter_context(server("expert"))
        hook = EndsServer(stack, port, ends=202, returns=402)
        one = runner(f"remote:127.0.0.1:{port}")
        [result] = replace(one, num_envs=1).run([3], [hook])
    # 8 plans per second: those from 0.5 to 1 s are lost
    assert result.plan_faults == 4
    assert result.fault == ""
    assert result.duration_s == SHORT_S


def test_another_server_in_its_place_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with server("expert") as port:
        policy = runner(f"remote:127.0.0.1:{port}")
        source = find_policy(policy.policy)
        with closing(Worlds(policy.config)) as worlds:
            planner = source.make(worlds).planner
            worlds.reset(np.arange(1), [3])
            observation = worlds.observe()
    planner.reset(np.arange(1), [3])
    with (
        server("expert_chunks", port),
        pytest.raises(EmbodiedError, match="serves something else than before"),
    ):
        planner.plan(observation, np.arange(1))


def test_a_server_for_another_task_or_robot_is_told() -> None:
    with server("expert") as port:
        source = find_policy(f"remote:127.0.0.1:{port}")
        with pytest.raises(
            EmbodiedError, match="serves task ToteTransfer, not ParcelSort"
        ):
            source.spec("ParcelSort")
        with pytest.raises(EmbodiedError, match="serves robot arm, not wheeled_arm"):
            source.spec(TASK, "wheeled_arm")


def test_actions_of_another_size_are_told(tmp_path: Path) -> None:
    path = tmp_path / "server.toml"
    with serving(pi0_like(20, 32)) as port:
        path.write_text(
            f"address = 'ws://127.0.0.1:{port}'\nactions = 32\nchunk_steps = 20\n"
        )
        with pytest.raises(EmbodiedError, match="of 32 elements, but .* has 8"):
            find_policy(f"remote:{path}").spec(TASK)


def test_the_verbs_tell_that_there_is_no_server(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    words = (TASK, "--policy", "remote:127.0.0.1:9", "-o", tmp_path / "out")
    for verb in ("eval", "collect"):
        told = refused(capsys, verb, *words)
        assert "no policy is served at ws://127.0.0.1:9" in told
    assert "must be remote:HOST:PORT" in refused(
        capsys, "view", TASK, "--policy", "remote:here", "-o", tmp_path / "a.mp4"
    )
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_server_is_asked_in_real_time(monkeypatch: pytest.MonkeyPatch) -> None:
    with server("expert_chunks") as port:
        one = replace(runner(f"remote:127.0.0.1:{port}", Timing()), num_envs=1)
        [result], [record] = run_in_real_time(one, [3])
        assert result.plan_faults == 0
        assert len(record.compute_ms) > 5

        with closing(Worlds(one.config)) as worlds:
            worlds.reset(np.arange(1), [3])
            seen: Observation = worlds.observe()
        process = PlannerProcess(one.policy, one.config)
        process.reset(np.arange(1), [3])
        process.plan(seen, np.arange(1))
        assert process.unanswered.tolist() == [False]

    # the server is gone: a plan comes that says so
    ids: Array = np.arange(1)
    with process:
        process.plan(seen, ids)
        assert process.unanswered.tolist() == [True]
