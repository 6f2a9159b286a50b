"""Demonstrations for off-policy learners: half of what they replay is an expert's.

As in Ball et al., Efficient Online Reinforcement Learning with Offline Data, ICML 2023
(RLPD). No dataset is needed: the expert acts in the very worlds that are learned in, at
their control rate, and plans anew at each step.
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

# The most steps of each world: a teacher that has not succeeded by then is given up.
MAX_STEPS = 3000
# Returns the actions (N, A) to take in the worlds as they are now.
Teacher = Callable[[], np.ndarray]


def expert_teacher(worlds: Worlds) -> Teacher:
    """Returns the expert as a teacher in some worlds.

    Raises:
        EmbodiedError: The expert drives in another control mode than the worlds.
    """
    planner, controller = worlds.spec.expert(
        worlds.agent_layout, worlds.state_layout, worlds.robot
    )
    mode = controller.spec.control_mode
    if mode != worlds.config.control_mode:
        raise EmbodiedError(
            f"the expert drives in {mode!r}, not {worlds.config.control_mode!r}: "
            "learn without it (--demos 0)"
        )
    ids = np.arange(worlds.num_worlds)
    no_age_s = np.zeros(worlds.num_worlds)  # each plan is made for the very step

    def act() -> np.ndarray:
        observation = worlds.observe()
        plan = planner.plan(observation, ids)
        return np.asarray(controller.act(observation, plan, no_age_s), np.float32)

    return act


def no_correction(env: VecEnv) -> Teacher:
    """Returns a teacher that never corrects the base of residual worlds."""
    # In residual worlds the action is a correction, and the base acts beneath it.
    zeros = np.zeros((env.num_envs, *(env.action_space.shape or ())), np.float32)
    return zeros.copy  # a function: each call gives fresh zeros


class MixedReplay(NStepReplayBuffer):
    """A replay buffer of a learner's own steps, mixed half and half with a teacher's.

    Attributes:
        prior: the steps of the teacher (see `demonstrate`), from which half of each
            batch is drawn; None: all of it is the learner's.
    """

    prior: NStepReplayBuffer | None = None

    def sample(
        self, batch_size: int, env: VecNormalize | None = None
    ) -> ReplayBufferSamples:
        if self.prior is None:
            return super().sample(batch_size, env)

        own = super().sample(batch_size - batch_size // 2, env)
        prior = self.prior.sample(batch_size // 2, env)
        # Field by field: observations, actions, rewards and so on.
        pairs: Any = zip(own, prior, strict=True)
        return ReplayBufferSamples(*(torch.cat(pair) for pair in pairs))


def demonstrate(
    env: VecEnv, act: Teacher, like: MixedReplay, episodes: int
) -> NStepReplayBuffer:
    """Runs episodes of a teacher and returns them in a replay buffer.

    Args:
        env: The worlds it acts in.
        act: The teacher.
        like: The learner's buffer; the new one sums up rewards over as many steps, with
            the same discount.
        episodes: The least number of episodes to run, in all worlds together.

    Raises:
        EmbodiedError: No episode succeeded.
    """
    replay = NStepReplayBuffer(
        MAX_STEPS * env.num_envs,  # steps of all worlds together
        env.observation_space,
        env.action_space,
        device=like.device,
        n_envs=env.num_envs,
        n_steps=like.n_steps,
        gamma=like.gamma,
    )
    before = np.asarray(env.reset())
    successes: list[bool] = []
    for _ in range(MAX_STEPS):
        action = act()
        after, reward, ended, infos = env.step(action)

        # A world whose episode ended already shows its next one; what the step led to
        # is kept in its info.
        following = np.array(after)  # a copy
        for world in np.flatnonzero(ended).tolist():
            following[world] = infos[world]["terminal_observation"]
            successes.append(bool(infos[world]["is_success"]))

        replay.add(before, following, action, reward, ended, infos)
        before = np.asarray(after)
        if len(successes) >= episodes:
            break

    if not any(successes):
        raise EmbodiedError(
            f"the expert did not succeed in {MAX_STEPS} steps: learn without "
            "demonstrations (--demos 0)"
        )
    return replay
