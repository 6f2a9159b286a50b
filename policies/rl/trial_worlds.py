"""Worlds as Stable-Baselines3's learners act in them, alone or on top of another
policy.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from gymnasium import spaces
from stable_baselines3.common.vec_env import VecEnv

from embodied.core import Observation, Policy, PolicySpec, seconds_to_ticks
from embodied.envs.scoring import StepResult
from embodied.envs.worlds import Worlds
from embodied.errors import EmbodiedError
from embodied.policies.rl.residual import Residual, corrected
from embodied.rollout.rollout import AFTER_SUCCESS_S, PlanSource

Shown = dict[str, np.ndarray]
SETTLED = seconds_to_ticks(AFTER_SUCCESS_S)


@dataclass(frozen=True)
class Base:
    """A policy that acts as well, and how it is corrected."""

    policy: Policy
    residual: Residual


class TrialWorlds(VecEnv):
    """Episodes end as in an evaluation: at the horizon, when all is lost, or 1 s after
    the first success.

    So a learner sees whether success lasts. With a base, an action (N, A) in [-1, 1] is
    a correction, held while the base acts on; the reward is the mean meanwhile. Shows
    `agent_pos` (N, P), `environment_state` (N, E), and with a base what it wants next,
    `base_action` (N, A).
    """

    render_mode = None

    def __init__(self, worlds: Worlds, base: Base | None = None, seed: int = 0) -> None:
        self.worlds = worlds
        self.base = base
        self._rng = np.random.default_rng(seed)
        self._repeat = worlds.config.control_hz // base.residual.hz if base else 1
        n = worlds.num_worlds
        actions = len(worlds.interface.low)
        self._wanted, self._given = np.zeros((2, n, actions), np.float32)
        self._since_success = np.full(n, -1)  # ticks; -1 before it
        sizes = {
            "agent_pos": worlds.agent_layout.size,
            "environment_state": worlds.state_layout.size,
        }
        sizes |= {"base_action": actions} if base else {}
        parts: dict[str, spaces.Space[Any]] = {
            n: spaces.Box(-np.inf, np.inf, (size,)) for n, size in sizes.items()
        }
        super().__init__(
            worlds.num_worlds, spaces.Dict(parts), spaces.Box(-1.0, 1.0, (actions,))
        )

    @property
    def spec(self) -> PolicySpec:
        """What a policy that is learned here needs of the worlds."""
        config = self.worlds.config
        alone = PolicySpec(config.control_mode, config.control_hz)
        return replace(self.base.policy.spec if self.base else alone, privileged=True)

    def draw_from(self, seed: int) -> None:
        """Takes later episodes' starts from another seed."""
        self._rng = np.random.default_rng(seed)

    def reset(self) -> Any:
        """New episodes in all worlds."""
        return self._next(np.arange(self.num_envs))

    def step_async(self, actions: np.ndarray) -> None:
        self._given = actions

    def step_wait(self) -> tuple[Any, np.ndarray, np.ndarray, list[dict[str, Any]]]:
        """What `step_async` asked for. A world that ended shows its next episode; its
        info has the last one's end.
        """
        reward, steps, progress = np.zeros((3, self.num_envs))
        success, lost, over = np.zeros((3, self.num_envs), bool)
        for k in range(self._repeat):
            if k:
                self._want(self.worlds.observe())
            done = self.worlds.step(self._action())
            going = ~over
            reward = reward + going * done.reward
            steps = steps + going
            progress = np.where(going, done.progress, progress)
            success = np.where(going, done.success, success)
            lost = lost | going & done.terminated
            over = over | self._ending(done)
        saved = zip(
            success.tolist(),
            progress.tolist(),
            (over & ~lost & ~success).tolist(),
            strict=True,
        )
        infos: list[dict[str, Any]] = [
            {"is_success": s, "progress": p, "TimeLimit.truncated": t}
            for s, p, t in saved
        ]
        if over.any():
            last = self._shown(self.worlds.observe())
            for world in np.flatnonzero(over).tolist():
                infos[world]["terminal_observation"] = {
                    name: values[world] for name, values in last.items()
                }
        return (
            self._next(np.flatnonzero(over)),
            (reward / steps).astype(np.float32),
            over,
            infos,
        )

    def _action(self) -> np.ndarray:
        if self.base is None:
            return self._given
        return corrected(self._wanted, self._given, self.base.residual.scale)

    def _ending(self, done: StepResult) -> np.ndarray:
        """(N,) bool: terminated, truncated, or a while after success."""
        since = self._since_success
        since[:] = np.where(
            since < 0, np.where(done.success, 0, -1), since + self.worlds.ticks_per_step
        )
        return done.terminated | done.truncated | (since >= SETTLED)

    def _next(self, ids: np.ndarray) -> Shown:
        """New episodes in worlds `ids`; then the base says what it wants, once for each
        time.
        """
        seeds = self._rng.integers(2**62, size=len(ids)).tolist()
        if len(ids):
            self.worlds.reset(ids, seeds)
            self._since_success[ids] = -1
        seen = self.worlds.observe()
        if len(ids) and self.base is not None:
            self.base.policy.reset(ids, seen, seeds)
        self._want(seen)
        return self._shown(seen)

    def _want(self, seen: Observation) -> None:
        if self.base is None:
            return
        self._wanted = np.asarray(self.base.policy.act(seen), np.float32)
        if isinstance(self.base.policy, PlanSource):
            self.base.policy.take_plans()  # else it would keep them all

    def _shown(self, seen: Observation) -> Shown:
        parts = {
            "agent_pos": seen.agent_pos,
            "environment_state": seen.environment_state,
        }
        parts |= {"base_action": self._wanted} if self.base else {}
        return {name: np.asarray(values, np.float32) for name, values in parts.items()}

    def close(self) -> None:
        self.worlds.close()

    def get_attr(
        self, attr_name: str, indices: int | Iterable[int] | None = None
    ) -> list[Any]:
        """The attribute, once for each world."""
        return [getattr(self, attr_name) for _ in self._get_indices(indices)]

    def set_attr(
        self, attr_name: str, value: Any, indices: int | Iterable[int] | None = None
    ) -> None:
        raise EmbodiedError(
            f"cannot set {attr_name!r}: worlds of a batch have no attributes of their own"
        )

    def env_method(
        self,
        method_name: str,
        *method_args: Any,
        indices: int | Iterable[int] | None = None,
        **method_kwargs: Any,
    ) -> list[Any]:
        raise EmbodiedError(
            f"cannot call {method_name!r}: worlds of a batch have no methods of their own"
        )

    def env_is_wrapped(  # type: ignore[override]
        self, wrapper_class: type, indices: int | Iterable[int] | None = None
    ) -> Sequence[bool]:
        """Never: there are no single environments to wrap."""
        return [False for _ in self._get_indices(indices)]
