"""Infos have the same keys on both engines, and in each the same meaning."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from embodied.envs.infos import RESET_KEYS, STEP_KEYS, restart_info
from embodied.envs.safety import Safety
from embodied.envs.vector_env import GroundVectorEnv
from embodied.envs.warp import worlds as warp_worlds_module
from embodied.envs.warp.numpy_env import NumpyVectorEnv
from embodied.envs.warp.vector_env import WarpVectorEnv
from tests.ground import env_config
from tests.still_engine import StillEngine

HORIZON_S = 0.1  # two control steps


@pytest.fixture
def warp_env(monkeypatch: pytest.MonkeyPatch) -> WarpVectorEnv:
    monkeypatch.setattr(warp_worlds_module, "WarpEngine", StillEngine)
    monkeypatch.setattr("embodied.envs.warp.vector_env.LEAST_STARTS", 4)
    settings = env_config(engine="warp", device="cpu", horizon_s=HORIZON_S)
    env = WarpVectorEnv(settings, 2)

    # of an engine that computes nothing, no state means anything
    nowhere = env.worlds.task.judge()
    calm = replace(nowhere, lost=torch.zeros_like(nowhere.lost))
    monkeypatch.setattr(env.worlds.task, "judge", lambda: calm)
    return env


@pytest.fixture
def cpu_env() -> GroundVectorEnv:
    return GroundVectorEnv(env_config(horizon_s=HORIZON_S), 2)


def infos_of_an_episode(env: Any, still: Any) -> list[dict[str, Any]]:
    """Of the reset, of a step, and of the step that ends the episode."""
    _, begun = env.reset(seed=0)
    *_, stepped = env.step(still)
    *_, truncated, ended = env.step(still)
    assert truncated.all()
    return [begun, stepped, ended]


def test_both_engines_have_the_same_keys(
    cpu_env: GroundVectorEnv, warp_env: WarpVectorEnv
) -> None:
    arrays = np.zeros((2, 8), np.float32)
    on_cpu = infos_of_an_episode(cpu_env, arrays)
    on_warp = infos_of_an_episode(warp_env, torch.as_tensor(arrays))
    in_numpy = infos_of_an_episode(NumpyVectorEnv(warp_env), arrays)

    masked = {*RESET_KEYS, *(f"_{name}" for name in RESET_KEYS)}
    assert set(on_cpu[0]) == set(on_warp[0]) == set(in_numpy[0]) == masked

    masked |= {*STEP_KEYS, *(f"_{name}" for name in STEP_KEYS)}
    final = {"final_obs", "_final_obs", "final_info", "_final_info"}
    assert set(on_cpu[1]) == set(in_numpy[1]) == masked
    # whether an episode ended is not asked of the device
    assert set(on_warp[1]) == masked | final
    assert set(on_cpu[2]) == set(on_warp[2]) == set(in_numpy[2]) == masked | final
    for infos in (on_cpu, on_warp, in_numpy):
        assert set(infos[2]["final_info"]) == masked


def test_the_signals_are_those_of_safety() -> None:
    signals = set(Safety.__dataclass_fields__)
    assert set(STEP_KEYS) == signals | {"dropped"}


def test_numpy_arrays_have_the_cpus_types(
    cpu_env: GroundVectorEnv, warp_env: WarpVectorEnv
) -> None:
    arrays = np.zeros((2, 8), np.float32)
    on_cpu = infos_of_an_episode(cpu_env, arrays)[2]["final_info"]
    in_numpy = infos_of_an_episode(NumpyVectorEnv(warp_env), arrays)[2]["final_info"]
    for name, values in on_cpu.items():
        assert in_numpy[name].dtype.kind == values.dtype.kind, name
        assert in_numpy[name].shape == values.shape, name


def test_a_world_that_begins_anew_tells_of_its_new_episode_only() -> None:
    columns = {
        "is_success": np.array([True, True]),
        "progress": np.array([1.0, 0.8]),
        "fault": np.array(["", "diverged"], dtype=object),
        "contact_force_n": np.array([3.0, 4.0]),
        "collision": np.array([True, True]),
        "joint_margin_rad": np.array([0.1, 0.2]),
        "dropped": np.array([1, 2]),
    }
    over = np.array([False, True])
    info = restart_info(columns, over, progress=np.array([0.0, 0.05]))

    assert info["is_success"].tolist() == [True, False]
    assert info["progress"].tolist() == [1.0, 0.05]
    assert info["fault"].tolist() == ["", ""]
    assert info["_progress"].tolist() == [True, True]
    assert info["contact_force_n"].tolist() == [3.0, 0.0]
    assert info["_contact_force_n"].tolist() == [True, False]

    final = info["final_info"]
    assert final["fault"].tolist() == [None, "diverged"]
    assert final["progress"].tolist() == [0.0, 0.8]
    assert final["_progress"].tolist() == [False, True]
    assert final["dropped"].tolist() == [0, 2]
    # what was handed in is as it was
    assert columns["fault"].tolist() == ["", "diverged"]
