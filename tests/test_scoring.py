"""One set of rules scores both engines: success that is held, ends, and faults."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from embodied.envs.config import EnvConfig
from embodied.envs.scoring import ScoringRules, StepResult, score
from embodied.envs.task import Outcome
from embodied.sim.engine import FAULTS

# 20 ticks each step, success after 200 ticks, truncated after 400
RULES = ScoringRules.of(EnvConfig("ToteTransfer", control_hz=20), horizon_s=1.0)
BACKENDS = [np.asarray, torch.as_tensor]
either = pytest.mark.parametrize("array", BACKENDS, ids=["numpy", "torch"])


def scored(
    array: Any, rules: ScoringRules = RULES, **changes: Any
) -> tuple[StepResult, Any]:
    """The score of one world in which nothing has happened, unless `changes` say so."""
    values: dict[str, Any] = {
        "success": False,
        "progress": 0.5,
        "lost": False,
        "fault": 0,
        "tick": 20,
        "held_ticks": 0,
        **changes,
    }

    # A batch of one world, in the array library that is tested.
    rows = {name: array([value]) for name, value in values.items()}
    outcome = Outcome(
        success=rows["success"], progress=rows["progress"], lost=rows["lost"]
    )

    return score(
        rules,
        outcome,
        fault=rows["fault"],
        tick=rows["tick"],
        held_ticks=rows["held_ticks"],
        joint_target=array([[0.0]]),
    )


@either
def test_success_counts_when_it_has_been_held(array: Any) -> None:
    result, held_ticks = scored(array, success=True, held_ticks=160)
    assert result.success_now.tolist() == [True]
    assert result.success.tolist() == [False]
    assert held_ticks.tolist() == [180]

    # that was a step too early
    result, held_ticks = scored(array, success=True, held_ticks=180)
    assert result.success.tolist() == [True]
    assert result.terminated.tolist() == [False]

    result, held_ticks = scored(array, success=False, held_ticks=180)
    assert held_ticks.tolist() == [0]


@either
def test_held_success_ends_an_episode_only_where_asked(array: Any) -> None:
    ending = replace(RULES, terminate_on_success=True)
    result, _ = scored(array, ending, success=True, held_ticks=180)
    assert result.terminated.tolist() == [True]
    result, _ = scored(array, ending, success=True, held_ticks=0)
    assert result.terminated.tolist() == [False]


@either
def test_a_stage_is_done_at_its_progress(array: Any) -> None:
    stage = replace(RULES, goal_progress=0.5)
    assert scored(array, stage, progress=0.5)[0].success_now.tolist() == [True]
    assert scored(array, stage, progress=0.4)[0].success_now.tolist() == [False]
    assert scored(array, RULES, progress=1.0)[0].success_now.tolist() == [False]


@either
def test_an_episode_is_truncated_at_its_horizon_unless_it_was_lost(array: Any) -> None:
    assert scored(array, tick=380)[0].truncated.tolist() == [False]
    assert scored(array, tick=400)[0].truncated.tolist() == [True]
    result, _ = scored(array, tick=400, lost=True)
    assert result.terminated.tolist() == [True]
    assert result.truncated.tolist() == [False]


@either
def test_a_broken_world_earns_nothing_whatever_it_shows(array: Any) -> None:
    fault = FAULTS.index("diverged")
    result, held_ticks = scored(
        array, fault=fault, progress=float("nan"), success=True, held_ticks=180
    )
    assert result.reward.tolist() == [0.0]
    assert result.progress.tolist() == [0.0]
    assert result.success.tolist() == [False]
    assert result.terminated.tolist() == [True]
    assert result.fault.tolist() == [fault]
    assert held_ticks.tolist() == [0]


@either
def test_where_nothing_can_fall_nothing_has_dropped(array: Any) -> None:
    dropped = scored(array)[0].dropped
    assert dropped.tolist() == [0]
    assert str(dropped.dtype).endswith("int64")


def test_sound_worlds_are_scored_the_same_in_the_shorter_way() -> None:
    rng = np.random.default_rng(0)
    # Sound worlds: no fault, and finite targets. All else is random.
    outcome = Outcome(
        success=rng.random(50) < 0.5,
        progress=rng.random(50),
        lost=rng.random(50) < 0.2,
        dropped=rng.integers(0, 3, 50),
    )
    clocks = {
        "fault": np.zeros(50, np.int64),
        "tick": rng.integers(300, 500, 50),
        "held_ticks": rng.integers(0, 300, 50),
        "joint_target": np.zeros((50, 3)),
    }

    long, long_held = score(RULES, outcome, **clocks)
    short, short_held = score(RULES, outcome, **clocks, all_sound=True)
    assert (long_held == short_held).all()
    for name, values in vars(long).items():
        assert (values == getattr(short, name)).all(), name
        assert values.dtype == getattr(short, name).dtype, name


def test_the_reward_is_no_view_of_the_progress() -> None:
    result, _ = scored(np.asarray)
    assert not np.shares_memory(result.reward, result.progress)
