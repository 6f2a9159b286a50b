"""Demonstrations as prior experience: half of what an off-policy learner sees again is
the expert's.

As in Ball et al., Efficient Online Reinforcement Learning with Offline Data, ICML 2023
(RLPD). They are made on the spot: the expert acts in the very worlds that are learned
in, at their control rate, and is asked anew at each step.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.buffers import NStepReplayBuffer
from stable_baselines3.common.type_aliases import ReplayBufferSamples
from stable_baselines3.common.vec_env import VecEnv, VecNormalize

from embodied.envs.worlds import Worlds
from embodied.errors import EmbodiedError

MOST_STEPS = 3000  # of all worlds at once; an expert that needs more does not succeed
Teacher = Callable[[], np.ndarray]  # -> (N, A), what the expert would do now


def teacher_of(worlds: Worlds) -> Teacher:
    """The expert of these worlds. Raises EmbodiedError where it drives in another mode
    than they do.
    """
    planner, controller = worlds.spec.expert(
        worlds.agent_layout, worlds.state_layout, worlds.robot
    )
    mode = controller.spec.control_mode
    everyone = np.arange(worlds.num_worlds)
    if mode != worlds.config.control_mode:
        raise EmbodiedError(
            f"the expert drives in {mode!r}, not {worlds.config.control_mode!r}: learn without it (--demos 0)"
        )

    def act() -> np.ndarray:
        seen = worlds.observe()
        return np.asarray(
            controller.act(seen, planner.plan(seen, everyone), np.zeros(len(everyone))),
            np.float32,
        )

    return act


def uncorrected(vectors: VecEnv) -> Teacher:
    """A base that is left alone."""
    return lambda: np.zeros(
        (vectors.num_envs, *(vectors.action_space.shape or ())), np.float32
    )


class MixedReplay(NStepReplayBuffer):
    """One's own experience; half of each batch comes from `prior`, where there is one."""

    prior: NStepReplayBuffer | None = None

    def sample(
        self, batch_size: int, env: VecNormalize | None = None
    ) -> ReplayBufferSamples:
        if self.prior is None:
            return super().sample(batch_size, env)
        halves = (
            super().sample(batch_size - batch_size // 2, env),
            self.prior.sample(batch_size // 2, env),
        )
        parts: Any = zip(*halves, strict=True)
        return ReplayBufferSamples(*(torch.cat(pair) for pair in parts))


def demonstrate(
    vectors: VecEnv, act: Teacher, like: MixedReplay, episodes: int
) -> NStepReplayBuffer:
    """A memory of at least so many episodes of a teacher's, that sums up returns as the
    memory `like` does.

    Raises EmbodiedError where none of them succeeded.
    """
    spaces = (vectors.observation_space, vectors.action_space)
    size = MOST_STEPS * vectors.num_envs
    replay = NStepReplayBuffer(
        size,
        *spaces,
        device=like.device,
        n_envs=vectors.num_envs,
        n_steps=like.n_steps,
        gamma=like.gamma,
    )
    shown = np.asarray(vectors.reset())
    ends = list[bool]()
    for _ in range(MOST_STEPS):
        action = act()
        then, reward, over, infos = vectors.step(action)
        following = np.array(then)
        for world in np.flatnonzero(over):
            following[world] = infos[world]["terminal_observation"]
            ends.append(bool(infos[world]["is_success"]))
        replay.add(shown, following, action, reward, over, infos)
        shown = np.asarray(then)
        if len(ends) >= episodes:
            break
    if not any(ends):
        raise EmbodiedError(
            f"the expert did not succeed in {MOST_STEPS} steps: learn without demonstrations (--demos 0)"
        )
    return replay
