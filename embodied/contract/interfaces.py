"""Contracts on interfaces: environments fit Gymnasium and Stable-Baselines3."""

from __future__ import annotations

import warnings
from contextlib import closing
from typing import cast

import gymnasium
import numpy as np
from gymnasium.utils.env_checker import check_env

from embodied.contract.case import Case, require
from embodied.envs.worlds import Worlds

STEPS = 100
STEPS_PER_START = 40  # control steps until the next reset
SLACK = 1e-6  # the bounds are float32 and the values float64: allow for rounding


def passes_gymnasiums_checker(case: Case) -> None:
    """Runs Gymnasium's `check_env`; warnings are errors."""
    with closing(case.make()) as env, warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(env.unwrapped, skip_render_check=True)


def passes_gymnasiums_checker_with_pixels(case: Case, obs: str) -> None:
    """Runs Gymnasium's `check_env` with camera pictures; `obs` is "pixels" or "both"."""
    # pictures at every step, and at 8 Hz
    for camera_hz in (None, 8):
        env = case.make(obs=obs, camera_hz=camera_hz, image_size=32)
        with closing(env), warnings.catch_warnings():
            warnings.simplefilter("error")
            # rendering does not depend on the camera rate, so it is checked once
            check_env(env.unwrapped, skip_render_check=camera_hz is not None)


def passes_stable_baselines_checker(case: Case) -> None:
    """Runs the `check_env` of Stable-Baselines3; warnings are errors."""
    from stable_baselines3.common.env_checker import check_env as check_env_sb3

    with closing(case.make()) as env, warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env_sb3(env.unwrapped, skip_render_check=True)


def observations_are_within_bounds(case: Case) -> None:
    """Drives the robot with extreme actions; observations must stay within the space."""
    with closing(case.make(level="L3")) as env:
        space = cast(gymnasium.spaces.Dict, env.observation_space)
        observation, _info = env.reset(seed=0)
        rng = np.random.default_rng(0)

        # each element of an action is at one of its limits, so that the robot moves far
        for k in range(STEPS):
            require(
                space.contains(observation),
                f"step {k}: the observation is not in its space",
            )
            action = rng.choice([-1, 1], env.action_space.shape or ()).astype(
                np.float32
            )
            observation, reward, *_rest, info = env.step(action)
            require(0 <= float(reward) <= 1, f"step {k}: the reward is {reward}")
            progress = info["progress"]
            require(0 <= progress <= 1, f"step {k}: the progress is {progress}")
            if (k + 1) % STEPS_PER_START == 0:  # try several starts
                observation, _info = env.reset()

        _require_unclipped(cast(Worlds, env.get_wrapper_attr("worlds")), space)


def _require_unclipped(worlds: Worlds, space: gymnasium.spaces.Dict) -> None:
    """Raises ContractError if raw values exceed the bounds of their space.

    The environment clips observations to the bounds, but only for the sake of faulty
    worlds. The raw values of a sound world must be within the bounds themselves.
    """
    raw = worlds.observe()
    for key, values, layout in (
        ("agent_pos", raw.agent_pos, worlds.agent_layout),
        ("environment_state", raw.environment_state, worlds.state_layout),
    ):
        high = cast(gymnasium.spaces.Box, space[key]).high
        # the layout names the columns (slices) of each quantity in the values
        for name, columns in layout.slices().items():
            largest = np.abs(values[:, columns]).max()
            bound = high[columns].min()
            require(
                largest <= bound + SLACK,
                f"{name} reaches {largest:g}, beyond its bound {bound:g}, which follows "
                "from the end of its name (see embodied.envs.spaces.LIMITS)",
            )
