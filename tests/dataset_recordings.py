"""Datasets of real worlds, as `embodied collect` records them."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from embodied.datasets.recorder import Recorder
from embodied.datasets.schema import Header
from embodied.datasets.writer import EpisodeWriter
from embodied.envs.worlds import Worlds
from embodied.policies.episodes import env_config_for
from embodied.policies.noise import NoisyPolicy
from embodied.policies.registry import find_policy
from embodied.rollout.rollout import rollout

EPISODES = 4


def record(
    path: Path,
    task: str,
    robot: str,
    horizon_s: float | None = None,
    noise: float = 0,
    level: str = "L2",
    **seen: Any,
) -> Path:
    """Records episodes of the expert, as `embodied collect` does.

    Args:
        path: of the dataset.
        task: its name.
        robot: its name.
        horizon_s: how long they take at most.
        noise: of the actions.
        level: how much varies.
        seen: settings of the worlds that show pictures; without them there are none.
    """
    expert = find_policy("expert")
    spec = expert.spec(task, robot)
    config = env_config_for(spec, task, level, "train", robot)
    with closing(
        Worlds(replace(config, horizon_s=horizon_s, **seen), EPISODES)
    ) as worlds:
        policy: Any = expert.make(worlds)
        if noise:
            policy = NoisyPolicy(policy, noise, worlds.interface.gripper_elements)
        with EpisodeWriter(path, Header(worlds.metadata(), "expert")) as writer:
            rollout(worlds, policy, range(EPISODES), [Recorder(writer)])
    return path
