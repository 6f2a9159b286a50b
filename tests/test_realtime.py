"""Planner and controller on the wall clock; what the clock did plays again exactly."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from embodied.benchmark.timing import Timing
from embodied.cli.timing import FLAGS
from embodied.core import Array, Observation
from embodied.envs.worlds import Worlds
from embodied.errors import EmbodiedError
from embodied.plan import Payload, PlanShape
from embodied.policies import policy_from_planner
from embodied.policies.episodes import EpisodeRunner, env_config_for
from embodied.policies.latency import read_trace
from embodied.policies.realtime import planner_process
from embodied.policies.realtime.pacing import Pacer
from embodied.policies.realtime.planner_process import PlannerProcess
from embodied.policies.realtime.run import run_in_real_time, write_trace
from embodied.policies.realtime.shared import SharedArrays
from embodied.policies.realtime.system import NEVER_MS
from embodied.policies.registry import find_policy
from tests.commands import TASK, embodied, refused

SHORT_S = 1.5  # a whole episode would take as long as it is


def runner(policy: str = "expert", timing: Timing | None = None) -> EpisodeRunner:
    source = find_policy(policy)
    config = env_config_for(source.spec(TASK), TASK, "L1", "train")
    dual = (timing or Timing()).dual(source.planner_hz or 8)
    return EpisodeRunner(policy, replace(config, horizon_s=SHORT_S), dual, num_envs=1)


@pytest.mark.slow
@pytest.mark.parametrize(
    "policy",
    [
        "expert",
        "expert_chunks",
        "expert_waypoints",
        "pretrained",
        "tests.test_dual_text:TALKING",
    ],
)
def test_a_trace_plays_the_episode_again_in_simulated_time(
    policy: str, tmp_path: Path
) -> None:
    [live], [record] = run_in_real_time(runner(policy), [3])
    path = tmp_path / "clock.txt"
    write_trace(path, record)

    timing = Timing(compute_trace=read_trace(path))
    [again] = runner(policy, timing).run([3])

    # the subtask of a plan that was not there at the end is known in simulated time only
    assert replace(live, subtask="") == replace(again, subtask="")
    assert live.mean_plan_age_s > 0
    assert len(record.compute_ms) > 5
    assert record.punctuality.steps == SHORT_S * 200


@pytest.mark.slow
def test_a_planner_process_gives_the_plans_that_the_planner_gives() -> None:
    one = runner("expert_chunks")
    with closing(Worlds(one.config)) as worlds:
        worlds.reset(np.arange(1), [5])
        observation = worlds.observe()
        planner = find_policy("expert_chunks").make(worlds).planner
        expected = planner.plan(observation, np.arange(1)).given
        with PlannerProcess("expert_chunks", one.config) as process:
            process.reset(np.arange(1), [5])
            given = process.plan(observation, np.arange(1)).given
            assert process.plan_shape == planner.plan_shape

            # a process that dies is an error, not a hang
            process._process.kill()
            process._process.join()
            with pytest.raises(EmbodiedError, match="process ended"):
                process.plan(observation, np.arange(1))
    assert given.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(given[name], value)
        assert given[name].dtype == value.dtype


class HangingPlanner:
    """Makes three plans, and then never another one."""

    plan_shape = PlanShape()

    def __init__(self, worlds: Worlds) -> None:
        self._left = 3

    def reset(self, ids: Array, seeds: Sequence[int]) -> None:
        """Does nothing."""

    def plan(self, observation: Observation, ids: Array) -> Payload:
        while not self._left:
            time.sleep(1)
        self._left -= 1
        return Payload.empty(len(ids), self.plan_shape)


HANGING = policy_from_planner(HangingPlanner)


@pytest.mark.slow
def test_a_planner_that_hangs_stops_the_robot_and_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(planner_process, "PLAN_TIMEOUT_S", 0.2)
    hanging = runner("tests.test_realtime:HANGING")

    # the episode goes on to its end, with plans that get old
    [result], [record] = run_in_real_time(hanging, [3])
    assert result.ended == "time out"
    assert record.compute_ms[3:] == (NEVER_MS,)
    assert record.worst_age_s > 0.5

    # the next one would need it
    with pytest.raises(EmbodiedError, match=r"the planner hangs: .* no plan for 0.2 s"):
        run_in_real_time(hanging, [3, 4])


def test_shared_arrays_come_over_as_they_are() -> None:
    arrays = {
        "a": np.arange(6.0).reshape(2, 3),
        "picture": np.full((1, 3, 2, 3), 200, np.uint8),
        "nothing": np.zeros((1, 0)),
    }
    with SharedArrays.like(arrays) as own, SharedArrays.opened(own.layout) as other:
        own.write(arrays)
        for name, value in other.read().items():
            np.testing.assert_array_equal(value, arrays[name])
            assert value.dtype == arrays[name].dtype


def test_steps_are_counted_from_the_first_and_lateness_does_not_add_up() -> None:
    pacer = Pacer(control_hz=1000)
    for _ in range(50):
        pacer.wait()
    punctuality = pacer.punctuality()
    assert punctuality.steps == 50
    assert 0 <= punctuality.median_ms <= punctuality.p99_ms <= punctuality.worst_ms
    pacer.reset()
    assert pacer.punctuality().steps == 0


@pytest.mark.parametrize(
    "flag", sorted(set(FLAGS) - {"planner_hz", "mailbox", "bridge"})
)
def test_what_is_measured_cannot_be_set(
    flag: str, capsys: pytest.CaptureFixture[str]
) -> None:
    values = {"channel": "none", "latency_trace": "x", "compute_trace": "x"}
    words = ["view", TASK, "--realtime", FLAGS[flag], values.get(flag, "1")]
    assert f"{FLAGS[flag]}: not with --realtime" in refused(capsys, *words)


def test_what_cannot_run_in_real_time(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    trace = tmp_path / "x.txt"
    words = ["view", TASK, "--trace", trace]
    assert "--trace: only with --realtime" in refused(capsys, *words)
    error = refused(capsys, *words, "--realtime", "--episodes", 2)
    assert "--trace is of one episode" in error
    error = refused(capsys, "view", TASK, "--realtime", "--policy", "hold")
    assert "hold makes no plans, so there is nothing to run beside" in error
    assert not trace.exists()


@pytest.mark.slow
def test_the_verb_says_how_punctual_it_was(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trace = tmp_path / "clock.txt"
    words = ["view", TASK, "--level", "L1", "--stage", "reach", "--realtime"]
    assert embodied(*words, "--trace", trace) == 0
    said = capsys.readouterr().out
    assert "control steps at 200 Hz" in said
    assert "plans took" in said
    assert read_trace(trace).from_start
