"""What `reset(options=...)` takes, in every kind of environment: options of other
people are ignored, as Gymnasium has it; a slip in a name of ours is not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from embodied.envs.sb3 import SB3VecEnv
from embodied.envs.warp.numpy_env import NumpyVectorEnv
from embodied.errors import EmbodiedError

ID = "embodied/ToteTransfer-v0"
Reset = Callable[[Any], Any]  # resets an environment, given its options
FOREIGN = [
    None,
    {},
    {"lerobot_new_rollout": True},
    {"low": -0.1, "high": 0.1},
    {"reset_noise_scale": 0.1, "verbose": False},
    {"reset_state": None, "goal_cell": np.zeros(2), 7: "seven"},
]
SLIPS = ["reset_masks", "resetmask", "Reset-Mask", "rest_mask", "mask"]


def vector(**settings: Any) -> Any:
    return gymnasium.make_vec(ID, num_envs=2, **settings)


def single() -> Any:
    return gymnasium.make(ID, num_threads=1)


def sb3_reset(env: SB3VecEnv) -> Reset:
    def reset(options: Any) -> Any:
        env.set_options(options)
        return env.reset()

    return reset


def resets(kind: str) -> tuple[Any, Reset]:
    """Returns an environment of a kind, and how it is reset with options."""
    if kind == "sb3":
        adapter = SB3VecEnv(vector(num_threads=1))
        return adapter, sb3_reset(adapter)

    if kind == "single":
        env = single()
    elif kind == "sync":
        env = SyncVectorEnv([single, single])
    elif kind == "vector":
        env = vector(num_threads=1, autoreset_mode=AutoresetMode.DISABLED)
    else:
        env = vector(engine="warp", device="cpu")
        if kind == "warp as numpy":
            env = NumpyVectorEnv(env)
    return env, lambda options: env.reset(seed=0, options=options)


KINDS = [
    "single",
    "sync",
    "vector",
    "sb3",
    pytest.param("warp", marks=pytest.mark.slow),
    pytest.param("warp as numpy", marks=pytest.mark.slow),
]
BATCHES = KINDS[2:]


@pytest.fixture
def reset(request: pytest.FixtureRequest) -> Iterator[Reset]:
    env, do_reset = resets(request.param)
    yield do_reset
    env.close()


@pytest.mark.parametrize("reset", KINDS, indirect=True)
def test_options_of_other_people_are_ignored(reset: Reset) -> None:
    for options in FOREIGN:
        reset(options)


@pytest.mark.parametrize("reset", KINDS, indirect=True)
@pytest.mark.parametrize("name", ["level", "factors", "split"])
def test_arguments_of_make_are_not_lost(reset: Reset, name: str) -> None:
    with pytest.raises(EmbodiedError, match=f"{name} is an argument of gymnasium.make"):
        reset({"lerobot_new_rollout": True, name: "L1"})


@pytest.mark.parametrize("reset", BATCHES, indirect=True)
def test_a_slip_in_the_name_of_the_mask_is_refused(reset: Reset) -> None:
    for name in SLIPS:
        with pytest.raises(EmbodiedError, match=f"option '{name}'.*reset_mask"):
            reset({name: np.array([True, False])})


def test_options_that_are_no_dictionary() -> None:
    env, do_reset = resets("single")
    for options in ("level", ["reset_mask"], 3):
        with pytest.raises(EmbodiedError, match="must be a dictionary, not"):
            do_reset(options)
    env.close()


@pytest.mark.slow
def test_warp_has_no_mask() -> None:
    env, do_reset = resets("warp")
    with pytest.raises(EmbodiedError, match="resets all worlds at once"):
        do_reset({"reset_mask": np.array([True, False])})
    env.close()
