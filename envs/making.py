"""The entry points that Gymnasium calls to make environments.

This module does not import MuJoCo itself, so that it can explain a failing import of it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from gymnasium.vector import AutoresetMode

from embodied.errors import EmbodiedError
from embodied.mujoco_setting import explaining_mujoco_gl
from embodied.plain import to_python

if TYPE_CHECKING:
    from gymnasium.vector import VectorEnv

    from embodied.envs.config import EnvConfig
    from embodied.envs.env import GroundEnv

RENDER_MODES = ("human", "rgb_array")


class EnvMaker:
    """Makes an environment for `gymnasium.make`.

    Gymnasium reads `metadata` before the call. For a render mode that ends in `_list`, it
    asks for the mode without this suffix and collects the pictures itself.
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": list(RENDER_MODES)}

    def __call__(
        self, task: str, render_mode: str | None = None, **arguments: Any
    ) -> GroundEnv:
        """Makes an environment; `arguments` are further arguments of EnvConfig."""
        with explaining_mujoco_gl():
            from embodied.envs.config import EnvConfig
            from embodied.envs.env import GroundEnv
        return GroundEnv(EnvConfig.of({"task": task, **arguments}), render_mode)


make_env = EnvMaker()


def make_vector_env(
    task: str,
    num_envs: int = 1,
    render_mode: str | None = None,
    autoreset_mode: AutoresetMode | str = AutoresetMode.SAME_STEP,
    max_episode_steps: int | None = None,
    **arguments: Any,
) -> VectorEnv[Any, Any, Any]:
    """Makes an environment for `gymnasium.make_vec`.

    With the engine "warp" the environment's arrays are torch tensors.

    Args:
        task: name of the task.
        num_envs: number of worlds.
        render_mode: "rgb_array" or None.
        autoreset_mode: SAME_STEP or DISABLED; SAME_STEP on the engine "warp".
        max_episode_steps: number of steps after which episodes are truncated, if the
            task's horizon is not shorter; like the argument of `gymnasium.make`.
        arguments: further arguments of EnvConfig, by name.

    Raises:
        EmbodiedError: an argument has a value that it must not have, or the engine "warp"
            is asked for pictures or for another autoreset mode.
    """
    with explaining_mujoco_gl():
        from embodied.envs.config import EnvConfig
        from embodied.envs.vector_env import GroundVectorEnv, parse_autoreset_mode

    config = EnvConfig.of({"task": task, **arguments})
    # callers may give numbers of numpy, which are not instances of int
    num_envs = to_python(num_envs)
    max_episode_steps = to_python(max_episode_steps)
    _check_count("num_envs", num_envs)
    if max_episode_steps not in (None, -1):  # -1 is Gymnasium's value for no limit
        _check_count("max_episode_steps", max_episode_steps)
        config = _with_limit(config, max_episode_steps)
    if config.engine == "cpu":
        return GroundVectorEnv(config, num_envs, render_mode, autoreset_mode)

    # the engine `warp`, which is imported only here because it needs torch
    mode = parse_autoreset_mode(autoreset_mode)
    if render_mode is not None or mode != AutoresetMode.SAME_STEP:
        raise EmbodiedError(
            "the engine 'warp' renders nothing and resets in the same step"
        )
    from embodied.envs.warp.vector_env import WarpVectorEnv

    return WarpVectorEnv(config, num_envs)


def _check_count(name: str, number: Any) -> None:
    if not isinstance(number, int) or isinstance(number, bool) or number < 1:
        raise EmbodiedError(
            f"{name} must be a whole number of at least 1, not {number!r}"
        )


def _with_limit(config: EnvConfig, max_episode_steps: Any) -> EnvConfig:
    """Returns the config with a horizon of at most `max_episode_steps` control steps.

    A shorter horizon, of the config or of the task with its robot, is kept.
    """
    from embodied.envs.models import choose_robot
    from embodied.envs.registry import get_task

    task = get_task(config.task)
    robot = choose_robot(task, config.robot)
    horizon_s = config.horizon_s or task.horizon_for(robot)
    limit_s = int(max_episode_steps) / config.control_hz
    return replace(config, horizon_s=min(horizon_s, limit_s))
