"""A team of robots as a PettingZoo environment; each robot is an agent.

The module needs PettingZoo: `pip install 'embodied-ground[team]'`.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from gymnasium import spaces

from embodied.envs.config import EnvConfig
from embodied.envs.env import GroundEnv
from embodied.envs.per_robot import RobotView, robot_views
from embodied.envs.spaces import ObservationDict
from embodied.errors import EmbodiedError, unknown

try:
    from pettingzoo import ParallelEnv
except ImportError as error:
    raise EmbodiedError(
        "environments of several agents need PettingZoo: pip install "
        "'embodied-ground[team]'"
    ) from error


class TeamEnv(ParallelEnv[str, ObservationDict, np.ndarray]):  # type: ignore[misc]
    """A task for a team, with one agent for each robot.

    An agent has the observation of the task's Gymnasium environment, but only its own
    robot's proprioception and carried cameras. Its actions move its own robot. All
    agents get the team's reward, and their episodes end together.

    Raises:
        EmbodiedError: an argument is one that `gymnasium.make` refuses, too.
    """

    metadata: ClassVar[dict[str, Any]] = {
        "name": "embodied_team_v0",
        "render_modes": ["rgb_array"],
        "is_parallelizable": True,
    }

    def __init__(
        self,
        task: str,
        robot: str = "arm+arm",
        render_mode: str | None = None,
        **others: Any,
    ) -> None:
        """Makes the worlds.

        Args:
            task: name of the task.
            robot: name of the team, such as `arm+wheeled_arm`.
            render_mode: `rgb_array`, or None.
            others: further arguments of `EnvConfig`, by name.

        Raises:
            EmbodiedError: there is no such `render_mode`.
        """
        modes = self.metadata["render_modes"]
        if render_mode is not None and render_mode not in modes:
            raise unknown("render_mode", render_mode, modes)
        config = EnvConfig.of({"task": task, "robot": robot, **others})
        self._env = GroundEnv(config, render_mode)
        self.render_mode = render_mode

        # each robot's share of actions and proprioception
        worlds = self._env.worlds
        views = robot_views(worlds.robot, worlds.interface, worlds.agent_layout)
        self._views = {view.name: view for view in views}
        self.possible_agents = list(self._views)
        self.agents: list[str] = []
        self.observation_spaces = {
            name: self._space(view) for name, view in self._views.items()
        }
        self.action_spaces = {
            name: spaces.Box(-1.0, 1.0, (len(view.actions),), np.float32)
            for name, view in self._views.items()
        }

    @property
    def env(self) -> GroundEnv:
        """The environment of the whole team."""
        return self._env

    def observation_space(self, agent: str) -> spaces.Space[Any]:
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> spaces.Space[Any]:
        return self.action_spaces[agent]

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, ObservationDict], dict[str, dict[str, Any]]]:
        """Starts a new episode; the arguments are those of Gymnasium's `reset`."""
        shown, info = self._env.reset(seed=seed, options=options)
        self.agents = list(self.possible_agents)
        return self._observations(shown), {name: dict(info) for name in self.agents}

    def step(
        self, actions: dict[str, np.ndarray]
    ) -> tuple[
        dict[str, ObservationDict],
        dict[str, float],
        dict[str, bool],
        dict[str, bool],
        dict[str, dict[str, Any]],
    ]:
        """Makes one control step, with an action for each agent.

        Raises:
            EmbodiedError: an agent's action is missing.
        """
        # put the agents' actions into the action of the whole team
        team_action = np.zeros(len(self._env.worlds.interface.labels), np.float32)
        for name in self.agents:
            if name not in actions:
                raise EmbodiedError(
                    f"there is no action of {name}; the agents are {', '.join(self.agents)}"
                )
            team_action[list(self._views[name].actions)] = actions[name]

        shown, reward, terminated, truncated, info = self._env.step(team_action)
        # PettingZoo wants no agents after the end of an episode
        names = self.agents
        if terminated or truncated:
            self.agents = []
        return (
            self._observations(shown),
            dict.fromkeys(names, reward),
            dict.fromkeys(names, terminated),
            dict.fromkeys(names, truncated),
            {name: dict(info) for name in names},
        )

    def state(self) -> np.ndarray:
        """Returns the whole team's proprioception and the task's privileged state.

        PettingZoo calls this the global state; a central critic can learn from it.
        """
        observation = self._env.worlds.observe()
        parts = [observation.agent_pos[0], observation.environment_state[0]]
        return np.concatenate(parts).astype(np.float32)

    def render(self) -> np.ndarray | None:
        return self._env.render()

    def close(self) -> None:
        self._env.close()

    def _space(self, view: RobotView) -> spaces.Dict:
        """Returns the observation space of one robot of the team."""
        parts: dict[str, Any] = dict(self._env.observation_space.spaces)
        team_space = parts["agent_pos"]
        own = list(view.agent_pos)
        parts["agent_pos"] = spaces.Box(
            team_space.low[own], team_space.high[own], dtype=np.float32
        )
        if "pixels" in parts:
            frames = parts["pixels"].spaces
            names = self._cameras(view, list(frames))
            parts["pixels"] = spaces.Dict({name: frames[name] for name in names})
        return spaces.Dict(parts)

    def _cameras(self, view: RobotView, names: list[str]) -> list[str]:
        """Returns the cameras among `names` that no other robot carries."""
        others = {name for other in self._views.values() for name in other.cameras}
        return [name for name in names if name in view.cameras or name not in others]

    def _observations(self, shown: ObservationDict) -> dict[str, ObservationDict]:
        """Returns each agent's observation, from the observation of the whole team.

        Each observation is a copy, so that agents may write to it.
        """
        observations = {}
        for agent, view in self._views.items():
            own: ObservationDict = {
                key: np.copy(part) for key, part in shown.items() if key != "pixels"
            }
            own["agent_pos"] = shown["agent_pos"][list(view.agent_pos)]
            if "pixels" in shown:
                names = self._cameras(view, list(shown["pixels"]))
                own["pixels"] = {name: shown["pixels"][name].copy() for name in names}
            # in the order of the team's observation
            observations[agent] = {key: own[key] for key in shown}
        return observations
