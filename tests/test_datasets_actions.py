"""What a file says of its actions: the environment that it names plays them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from embodied.core import PHYSICS_HZ
from embodied.envs.registry import get_task
from tests.dataset_recordings import EPISODES, record
from tests.datasets_fakes import open_hdf5
from tests.ground import (
    TASKS_AND_ROBOTS,
    every_case,
    every_pair,
    random_actions,
    some_of,
    started_worlds,
)

NOISE = 0.33
# Played without looking, at 20 Hz, a workpiece jams in 2 mm of clearance about every
# second time, and grains of water fall otherwise.
TOO_FINE_TO_PLAY = {"FixtureLoad", "PourWater"}


def env_of(data: Any) -> gym.Env[Any, Any]:
    """The environment that the group `/data` of a file names."""
    env_args = json.loads(data.attrs["env_args"])
    return gym.make(env_args["env_name"], **env_args["env_kwargs"])


@every_pair
def test_the_environment_that_a_file_names_plays_its_actions(
    task: str, robot: str, tmp_path: Path
) -> None:
    path = record(tmp_path / "set.hdf5", task, robot, horizon_s=1.5)

    with open_hdf5(path) as file:
        env = env_of(file["data"])
        for demo in file["data"].values():
            shown = demo["obs/agent_pos"][()]
            observation, _ = env.reset(seed=int(demo.attrs["seed"]))
            np.testing.assert_array_equal(observation["agent_pos"], shown[0])

            for row, action in enumerate(demo["actions"][()], start=1):
                assert action in env.action_space
                observation, _, _, truncated, info = env.step(action)
                assert info["fault"] == ""
                if row < len(shown):
                    # the positions of the joints, in rad and m
                    error = np.abs(observation["agent_pos"] - shown[row])[:7]
                    assert error.max() < 0.15

            assert truncated
    env.close()


def test_clean_frames_have_the_very_targets_that_were_reached(tmp_path: Path) -> None:
    path = record(tmp_path / "set.hdf5", "PanelReset", "arm", 4.0, noise=NOISE)

    shares = []
    with open_hdf5(path) as file:
        metadata = json.loads(file["meta"].attrs["metadata"])
        joints = metadata["joint_interface"]["groups"]
        low = np.concatenate([group["low"] for group in joints])
        high = np.concatenate([group["high"] for group in joints])
        for demo in file["data"].values():
            streams = demo["streams"]
            is_shoved = np.any(
                streams["action/value"][()] != streams["intended/value"][()], axis=1
            )
            period = PHYSICS_HZ // int(file["meta"].attrs["record_hz"])
            frame = streams["action/t"][()] // period
            shoved_frames = np.unique(frame[is_shoved])

            last = np.append(np.flatnonzero(np.diff(frame)), len(frame) - 1)
            target = streams["joint_target/value"][()][last]
            reached = (target - (high + low) / 2) / ((high - low) / 2)
            differs = np.any(demo["actions"][()] != reached.astype(np.float32), axis=1)
            assert np.flatnonzero(differs).tolist() == shoved_frames.tolist()
            shares.append(differs.mean())

    # some, and not all
    assert 0.05 < np.mean(shares) < 0.8


@every_case
def test_a_second_control_resolves_actions_as_the_real_one(
    task: str, robot: str, mode: str
) -> None:
    worlds = started_worlds(3, task=task, robot=robot, control_mode=mode)
    second = worlds.second_control()

    for number, actions in enumerate(random_actions(worlds, 12)):
        if number == 6:
            # led astray, until it follows the real one again
            second.update_joint_target(np.sin(10 * actions))
            assert (
                (second.joint_target != worlds.control.joint_target).any(axis=1).all()
            )
            second.follow(worlds.control, np.array([True, False, True]))
            second.follow(worlds.control, np.array([False, True, False]))

        servo_targets = worlds.engine.view("ctrl").copy()
        second.update_joint_target(actions.astype(np.float64))
        assert (worlds.engine.view("ctrl") == servo_targets).all()
        worlds.step(actions)
        assert (second.joint_target == worlds.control.joint_target).all()


@pytest.mark.slow
@pytest.mark.parametrize(
    "task",
    some_of(
        sorted({task for task, _ in TASKS_AND_ROBOTS} - TOO_FINE_TO_PLAY),
        4,
        pytest.mark.exhaustive,
    ),
)
def test_the_actions_alone_do_the_task(task: str, tmp_path: Path) -> None:
    """Those of undisturbed episodes: others recover from shoves, which a play lacks."""
    robot = get_task(task).default_robot
    path = record(tmp_path / "set.hdf5", task, robot, noise=0.0)

    successes = []
    with open_hdf5(path) as file:
        env = env_of(file["data"])
        for demo in file["data"].values():
            env.reset(seed=int(demo.attrs["seed"]))
            for action in demo["actions"][()]:
                _, _, _, _, info = env.step(action)
            successes.append(info["is_success"])
    env.close()

    assert sum(successes) >= EPISODES - 1
