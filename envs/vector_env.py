"""N worlds as one native Gymnasium vector environment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from embodied.envs.config import EnvConfig
from embodied.envs.env import CLOSED, NOT_BEGUN
from embodied.envs.scoring import StepResult
from embodied.envs.spaces import Shown, action_space, row
from embodied.envs.worlds import Worlds
from embodied.errors import EmbodiedError, unknown
from embodied.seeding import checked_seed
from embodied.sim.engine import FAULTS

AUTORESET_MODES = (AutoresetMode.SAME_STEP, AutoresetMode.DISABLED)
PER_WORLD = ("task_description",)  # attributes that have a value for each world
_FAULT_NAMES: np.ndarray = np.array(FAULTS, dtype=object)


class GroundVectorEnv(VectorEnv[dict[str, Any], np.ndarray, np.ndarray]):
    """`GroundEnv` for N worlds at once, as `gymnasium.make_vec` gives it.

    World i of reset(seed=s) is the world of GroundEnv's reset(seed=s + i), its later
    episodes included. Autoreset is SAME_STEP, with `final_obs` and `final_info`, or
    DISABLED, with reset(options={"reset_mask": (N,) bool}).
    """

    observation_space: spaces.Dict
    single_observation_space: spaces.Dict

    def __init__(
        self,
        config: EnvConfig,
        num_envs: int = 1,
        render_mode: str | None = None,
        autoreset_mode: AutoresetMode | str = AutoresetMode.SAME_STEP,
    ) -> None:
        if render_mode not in (None, "rgb_array"):
            raise unknown(
                "render_mode of a vector environment", str(render_mode), ("rgb_array",)
            )
        self.autoreset_mode = _autoreset(autoreset_mode)
        self.render_mode = render_mode
        self.num_envs = num_envs
        self.metadata = {
            "render_modes": ["rgb_array"],
            "render_fps": config.control_hz,
            "autoreset_mode": self.autoreset_mode,
        }
        self.worlds = Worlds(config, num_envs)
        self._shown = Shown(self.worlds)
        self.single_observation_space = self._shown.space
        self.single_action_space = action_space(self.worlds)
        parts = self.single_observation_space.items()
        self.observation_space = spaces.Dict(
            {name: batch_space(part, num_envs) for name, part in parts}
        )
        self.action_space = batch_space(self.single_action_space, num_envs)
        # of each world's episodes' seeds
        self._generators = [seeding.np_random()[0] for _ in range(num_envs)]
        self._ended = np.ones(num_envs, bool)
        self._has_begun = False

    @property
    def task(self) -> str:
        """The task's name."""
        return self.worlds.spec.name

    @property
    def task_description(self) -> tuple[str, ...]:
        """The N episodes' instructions."""
        return self.worlds.instructions

    def get_attr(self, name: str) -> tuple[Any, ...]:
        """An attribute of each of the N worlds, e.g. its `task_description`."""
        value = getattr(self, name)
        if callable(value):
            raise EmbodiedError(
                f"{name!r} is done by all worlds at once: call {name} itself"
            )
        return tuple(value) if name in PER_WORLD else (value,) * self.num_envs

    def call(self, name: str) -> tuple[Any, ...]:
        """The same: what Gymnasium's SyncVectorEnv answers for an attribute."""
        return self.get_attr(name)

    @property
    def _max_episode_steps(self) -> int:
        return self.worlds.max_steps

    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """New episodes in all worlds, or in those of the option `reset_mask`."""
        if self.closed:
            raise EmbodiedError(CLOSED)
        if isinstance(seed, int | np.integer):
            super().reset(seed=checked_seed(seed))
        ids = np.flatnonzero(self._reset_mask(options))
        self._start(ids, self._given_seeds(seed))
        return self._shown.now(), self._reset_info(ids)

    def _reset_mask(self, options: dict[str, Any] | None) -> np.ndarray:
        for name in options or {}:
            if name != "reset_mask":
                raise unknown("reset option", name, ("reset_mask",))
        mask = (options or {}).get("reset_mask", np.ones(self.num_envs, bool))
        if (
            not isinstance(mask, np.ndarray)
            or mask.dtype != bool
            or mask.shape != (self.num_envs,)
            or not mask.any()
        ):
            raise EmbodiedError(
                f"reset_mask must be a bool array of shape ({self.num_envs},) with a True in it"
            )
        return mask

    def _given_seeds(
        self, seed: int | Sequence[int | None] | None
    ) -> Sequence[int | None]:
        if seed is None or isinstance(seed, int | np.integer):
            return [
                None if seed is None else checked_seed(int(seed) + i)
                for i in range(self.num_envs)
            ]
        if not isinstance(seed, Sequence | np.ndarray):
            raise EmbodiedError(
                f"seed {seed!r} must be a number, a sequence of one a world, or None"
            )
        if len(seed) != self.num_envs:
            raise EmbodiedError(f"{len(seed)} seeds for {self.num_envs} worlds")
        return [None if one is None else checked_seed(one) for one in seed]

    def _start(self, ids: np.ndarray, given: Sequence[int | None]) -> None:
        """New episodes in worlds `ids`, each of its given seed or of the next of its
        own sequence.
        """
        seeds = []
        for world in ids.tolist():
            seed = given[world]
            if seed is not None:
                self._generators[world] = seeding.np_random(seed)[0]
            seeds.append(
                int(self._generators[world].integers(2**63)) if seed is None else seed
            )
        self.worlds.reset(ids, seeds)
        self._ended[ids] = False
        self._has_begun = True

    def _reset_info(self, ids: np.ndarray) -> dict[str, Any]:
        none = np.zeros(self.num_envs, np.int64)
        among = none.astype(bool)
        among[ids] = True
        return _only(
            _info(none.astype(bool), self.worlds.task.judge().progress, none), among
        )

    def step(
        self, actions: np.ndarray
    ) -> tuple[dict[str, Any], np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """One control step of all worlds. Worlds that ended start anew (SAME_STEP), or
        must be reset (DISABLED).
        """
        self._require_episodes()
        if self._ended.any():
            ended = np.flatnonzero(self._ended).tolist()
            raise EmbodiedError(
                f"the episodes of worlds {ended} are over, or have not begun: reset them with the option reset_mask"
            )
        done = self.worlds.step(actions)
        over = done.terminated | done.truncated
        shown = self._shown.now()
        felt = self._safety(done)
        info = {**_info(done.success, done.progress, done.fault), **felt}
        if over.any() and self.autoreset_mode == AutoresetMode.SAME_STEP:
            shown, info = self._restart(over, shown, done, felt)
        elif over.any():
            self._ended = over
        return shown, done.reward, done.terminated, done.truncated, info

    def _require_episodes(self) -> None:
        if self.closed or not self._has_begun:
            raise EmbodiedError(CLOSED if self.closed else NOT_BEGUN)

    def _safety(self, done: StepResult) -> dict[str, Any]:
        felt = self.worlds.safety(self.worlds.ticks_per_step)
        columns = {**vars(felt), "dropped": done.dropped}
        return {
            **columns,
            **{f"_{name}": np.ones(self.num_envs, bool) for name in columns},
        }

    def _restart(
        self,
        over: np.ndarray,
        shown: dict[str, Any],
        done: StepResult,
        felt: dict[str, Any],
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """New episodes in the worlds `over`; what their last ones showed goes into the
        info.
        """
        ids = np.flatnonzero(over)
        final_obs = np.full(self.num_envs, None, dtype=object)
        for world in ids.tolist():
            final_obs[world] = row(shown, world)
        self._start(ids, [None] * self.num_envs)
        progress = done.progress.copy()
        progress[over] = self.worlds.task.judge().progress[over]
        others = _only({name: values.copy() for name, values in felt.items()}, ~over)
        info = {**_info(done.success & ~over, progress, done.fault * ~over), **others}
        info["final_obs"] = final_obs
        info["_final_obs"] = over.copy()
        last = {**_info(done.success.copy(), done.progress.copy(), done.fault), **felt}
        info["final_info"] = _only(last, over)
        info["_final_info"] = over.copy()
        return self._shown.now(), info

    def render(self) -> tuple[np.ndarray, ...] | None:
        """N pictures (480, 640, 3) uint8 from the task's camera for people."""
        if self.render_mode is None:
            gymnasium.logger.warn(
                "render() needs a render_mode: gymnasium.make_vec(..., render_mode='rgb_array')"
            )
            return None
        self._require_episodes()
        return tuple(
            self.worlds.render(i, self.worlds.spec.beauty_camera)
            for i in range(self.num_envs)
        )

    def close_extras(self, **kwargs: Any) -> None:
        """Frees GL contexts."""
        self.worlds.close()


def _autoreset(mode: AutoresetMode | str) -> AutoresetMode:
    """By Gymnasium's value or name of the mode, in any case: SameStep and SAME_STEP are
    the same.
    """
    wanted = str(mode.value if isinstance(mode, AutoresetMode) else mode)
    for known in AUTORESET_MODES:
        if wanted.casefold() in (known.value.casefold(), known.name.casefold()):
            return known
    raise unknown("autoreset_mode", wanted, [known.value for known in AUTORESET_MODES])


def _check_count(num_envs: Any) -> None:
    if not isinstance(num_envs, int | np.integer) or num_envs < 1:
        raise EmbodiedError(
            f"num_envs must be a whole number of at least 1, not {num_envs!r}"
        )


def _info(
    success: np.ndarray, progress: np.ndarray, fault: np.ndarray
) -> dict[str, Any]:
    """Gymnasium's form for vectors: each key (N,) with a mask (N,) of the worlds that
    have it, here all.
    """
    columns = {
        "is_success": success,
        "progress": progress,
        "fault": _FAULT_NAMES[fault],
    }
    masks = np.ones((len(columns), len(success)), bool)
    return {
        **columns,
        **{f"_{name}": mask for name, mask in zip(columns, masks, strict=True)},
    }


def _only(info: dict[str, Any], among: np.ndarray) -> dict[str, Any]:
    """The same for some worlds (N,) bool alone; the others' values are empty."""
    for name in [name for name in info if not name.startswith("_")]:
        info[name][~among] = None if info[name].dtype == object else 0
        info[f"_{name}"] = among.copy()
    return info


def make_vector_env(
    task: str,
    num_envs: int = 1,
    render_mode: str | None = None,
    autoreset_mode: AutoresetMode | str = AutoresetMode.SAME_STEP,
    **arguments: Any,
) -> VectorEnv[Any, Any, Any]:
    """The entry point of `gymnasium.make_vec`; `arguments` are EnvConfig's. With engine
    "warp", tensors on a GPU.
    """
    config = EnvConfig.of({"task": task, **arguments})
    _check_count(num_envs)
    if config.engine == "cpu":
        return GroundVectorEnv(config, num_envs, render_mode, autoreset_mode)
    if render_mode is not None or _autoreset(autoreset_mode) != AutoresetMode.SAME_STEP:
        raise EmbodiedError(
            "the engine 'warp' renders nothing and resets in the same step"
        )
    from embodied.envs.warp.vector_env import WarpVectorEnv

    return WarpVectorEnv(config, num_envs)
