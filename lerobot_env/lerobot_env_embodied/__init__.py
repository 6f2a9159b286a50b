"""The tasks of embodied-ground as environments of LeRobot.

LeRobot imports every installed distribution whose name begins with `lerobot_env_`, so
that `lerobot-eval --env.type=embodied --env.task=ToteTransfer` finds what is here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gymnasium
from gymnasium import spaces
from lerobot.configs import FeatureType, PolicyFeature
from lerobot.envs.configs import EnvConfig
from lerobot.utils.constants import ACTION, OBS_ENV_STATE, OBS_IMAGES, OBS_STATE

import embodied  # noqa: F401 (registers the environments)


@EnvConfig.register_subclass("embodied")
@dataclass
class EmbodiedEnv(EnvConfig):
    """A task with a robot, as `gymnasium.make("embodied/<task>-v0")` takes them.

    The defaults are those of our datasets: joint positions, at the rate of the frames.
    """

    task: str = "ToteTransfer"
    fps: int = 20
    robot: str | None = None
    level: str = "L2"
    split: str = "train"
    obs: str = "pixels"
    control_mode: str = "joint"
    image_size: int = 96
    episode_length: int | None = None

    def __post_init__(self) -> None:
        """Takes the shapes from an environment, unless they were given."""
        if self.features:
            return
        with gymnasium.make(self.gym_id, **self.gym_kwargs) as env:
            self._describe(env.observation_space, env.action_space)

    @property
    def package_name(self) -> str:
        return "embodied"

    @property
    def gym_id(self) -> str:
        return f"embodied/{self.task}-v0"

    @property
    def gym_kwargs(self) -> dict[str, Any]:
        # without a length, an episode lasts as long as the task's horizon
        limit = {}
        if self.episode_length is not None:
            limit = {"max_episode_steps": self.episode_length}
        return {
            "robot": self.robot,
            "level": self.level,
            "split": self.split,
            "obs": self.obs,
            "control_mode": self.control_mode,
            "control_hz": self.fps,
            "image_size": self.image_size,
            # LeRobot looks at success only in the last step, so success ends the episode
            "terminate_on_success": True,
            "render_mode": "rgb_array",
            **limit,
        }

    def _describe(
        self, observations: spaces.Space[Any], actions: spaces.Space[Any]
    ) -> None:
        """Adds a feature for the action and for each part of the observation.

        Args:
            observations: the environment's observation space, which is a `Dict`.
            actions: the environment's action space.
        """
        assert isinstance(observations, spaces.Dict)
        self._add(ACTION, FeatureType.ACTION, actions, ACTION)
        # the environment's key -> the kind of the feature, and LeRobot's name for it
        known = {
            "agent_pos": (FeatureType.STATE, OBS_STATE),
            "environment_state": (FeatureType.ENV, OBS_ENV_STATE),
        }
        for key, (kind, name) in known.items():
            if key in observations.spaces:
                self._add(key, kind, observations[key], name)

        pictures = observations.spaces.get("pixels")
        if isinstance(pictures, spaces.Dict):
            for camera, space in pictures.spaces.items():
                name = f"{OBS_IMAGES}.{camera}"
                self._add(f"pixels/{camera}", FeatureType.VISUAL, space, name)

    def _add(
        self, key: str, kind: FeatureType, space: spaces.Space[Any], name: str
    ) -> None:
        """Adds a feature.

        Args:
            key: the name of the array in the environment.
            kind: the kind of the feature, by which policies treat it.
            space: the space of the array, which has its shape.
            name: LeRobot's name of the feature, under which policies get it.
        """
        self.features[key] = PolicyFeature(type=kind, shape=tuple(space.shape or ()))
        self.features_map[key] = name
