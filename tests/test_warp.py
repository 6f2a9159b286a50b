"""The engine `warp` on Warp's CPU device: the same tasks, the same numbers. Its kernels
compile for a minute, once.
"""

from __future__ import annotations

import importlib
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
import warp

from embodied.envs.config import EnvConfig
from embodied.envs.warp.worlds import WarpWorlds
from embodied.envs.worlds import Worlds
from embodied.errors import EmbodiedError
from embodied.sim.engine import FAULTS
from embodied.sim.warp import engine as engine_module
from tests.ground import TOTE_TRANSFER, every_warp_pair, random_actions

ON_CPU = {"engine": "warp", "device": "cpu"}
TIGHT = 2e-4  # of m and rad, over a second of motion without a touch: single precision
slow = pytest.mark.slow


def warp_worlds(num: int, **settings: Any) -> WarpWorlds:
    return WarpWorlds(
        EnvConfig(**{"task": TOTE_TRANSFER, **ON_CPU, **settings}), num, num, "cpu"
    )


@slow
@every_warp_pair
@pytest.mark.parametrize("mode", ["ee_delta"])
def test_it_moves_as_the_cpu_engine_does(task: str, robot: str, mode: str) -> None:
    """Same starts, same actions: observations, rewards, signals and ends agree."""
    settings = {"task": task, "robot": robot, "control_mode": mode, "level": "L3"}
    on_warp = warp_worlds(2, **settings)
    on_cpu = Worlds(EnvConfig(**settings, num_threads=1), 2)
    slices = on_cpu.agent_layout.slices()
    effectors = [part for name, part in slices.items() if name.endswith("tcp_pos_w")]
    assert effectors
    loose = 50 * TIGHT  # of speeds, which differ more

    # the starts
    agent_pos, state = on_warp.reset()
    on_cpu.reset(np.arange(2), range(2))
    observation = on_cpu.observe()
    np.testing.assert_allclose(agent_pos, observation.agent_pos, atol=1e-5)
    np.testing.assert_allclose(state, observation.environment_state, atol=1e-5)

    for action in random_actions(on_cpu, 20) * 0.3:
        expected = on_cpu.step(action)
        result = on_warp.step(torch.as_tensor(action))
        observation = on_cpu.observe()

        # what is shown
        agent_pos = result.final_agent_pos
        np.testing.assert_allclose(agent_pos, observation.agent_pos, atol=loose)
        for part in effectors:
            np.testing.assert_allclose(
                agent_pos[:, part], observation.agent_pos[:, part], atol=TIGHT
            )
        np.testing.assert_allclose(
            result.final_environment_state, observation.environment_state, atol=loose
        )

        # how it is scored
        np.testing.assert_allclose(result.reward, expected.reward, atol=loose)
        assert (result.terminated.numpy() == expected.terminated).all()
        assert (result.dropped.numpy() == expected.dropped).all()
        assert not result.fault.any()

        # and how gentle it was
        safety = on_cpu.safety(on_cpu.ticks_per_step)
        np.testing.assert_allclose(
            result.joint_margin_rad, safety.joint_margin_rad, atol=TIGHT
        )
        assert (result.collision.numpy() == safety.collision).all()


@slow
def test_worlds_that_end_begin_anew_and_the_others_go_on() -> None:
    worlds = warp_worlds(3, level="L3", control_mode="ee_delta")
    clean = warp_worlds(3, level="L3", control_mode="ee_delta")
    worlds.reset()
    clean.reset()

    actions = torch.zeros((3, 7))
    actions[:, 0] = 0.5
    for step in range(6):
        bad = actions.clone()
        bad[1, 2] = torch.nan if step == 3 else 0.0

        result = worlds.step(bad)
        expected = clean.step(actions)
        for name in ("agent_pos", "environment_state", "reward", "progress"):
            a = getattr(result, name)
            b = getattr(expected, name)
            assert torch.equal(a[[0, 2]], b[[0, 2]]), (step, name)
        if step == 3:
            assert result.fault.tolist() == [0, FAULTS.index("action_not_finite"), 0]
            assert result.terminated.tolist() == [False, True, False]
            assert (result.agent_pos[1] != result.final_agent_pos[1]).any()

    # as many starts as worlds: each has its own again
    assert worlds.start_index.tolist() == [0, 1, 2]
    assert (worlds._tick == torch.tensor([120, 40, 120])).all()


@slow
def test_as_a_vector_environment_of_tensors() -> None:
    env = gymnasium.make_vec(
        f"embodied/{TOTE_TRANSFER}-v0", num_envs=2, level="L1", **ON_CPU
    )
    with pytest.raises(EmbodiedError, match="no episode has begun"):
        env.step(torch.zeros(2, 8))

    first, _ = env.reset(seed=0)
    assert {name: tuple(values.shape) for name, values in first.items()} == {
        name: space.shape for name, space in env.observation_space.items()
    }

    shown, reward, terminated, truncated, info = env.step(torch.zeros((2, 8)))
    assert all(
        isinstance(values, torch.Tensor)
        for values in (*shown.values(), reward, terminated, truncated)
    )
    assert info["final_obs"].keys() == shown.keys()
    assert not info["_final_info"].any()

    # seeds choose among the starts
    again, _ = env.reset(seed=1)
    # the start of seed 1
    assert torch.equal(again["agent_pos"][0], first["agent_pos"][1])
    assert not torch.equal(again["agent_pos"], first["agent_pos"])
    env.step(torch.zeros((2, 8)))
    following, _ = env.reset()  # after seeds 1 and 2 those two worlds further on
    third, _ = env.reset(seed=3)
    assert torch.equal(following["agent_pos"], third["agent_pos"])
    assert not torch.equal(following["agent_pos"], again["agent_pos"])

    swapped, _ = env.reset(seed=[1, 0])
    assert torch.equal(swapped["agent_pos"], first["agent_pos"].flip(0))

    with pytest.raises(EmbodiedError, match="3 seeds for 2 worlds"):
        env.reset(seed=[0, 1, 2])
    with pytest.raises(EmbodiedError, match="expected"):
        env.step(torch.zeros(3))
    env.close()


@pytest.mark.skipif(warp.is_cuda_available(), reason="there is a GPU")
def test_without_a_gpu_it_says_so() -> None:
    with pytest.raises(EmbodiedError, match="no CUDA device"):
        gymnasium.make_vec(f"embodied/{TOTE_TRANSFER}-v0", num_envs=2, engine="warp")


def test_what_it_cannot_do_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    env_id = f"embodied/{TOTE_TRANSFER}-v0"
    with pytest.raises(EmbodiedError, match="use gymnasium.make_vec"):
        gymnasium.make(env_id, **ON_CPU)
    with pytest.raises(EmbodiedError, match="renders nothing"):
        gymnasium.make_vec(env_id, num_envs=2, render_mode="rgb_array", **ON_CPU)
    with pytest.raises(EmbodiedError, match="device 'tpu'"):
        gymnasium.make_vec(env_id, num_envs=2, engine="warp", device="tpu")

    # An installation without the extra `gpu`.
    def missing(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr(
        engine_module,
        "importlib",
        type("", (), {"import_module": staticmethod(missing)}),
    )
    with pytest.raises(EmbodiedError, match=r"pip install 'embodied-ground\[gpu\]'"):
        gymnasium.make_vec(env_id, num_envs=2, **ON_CPU)
    assert importlib.import_module("warp") is warp


def test_a_task_for_the_cpu_alone_is_refused_with_the_reason() -> None:
    with pytest.raises(EmbodiedError, match="PourWater runs on the engine 'cpu' alone"):
        warp_worlds(1, task="PourWater")
