"""Demonstrations for off-policy learners: half of each batch is from an expert.

As in Ball et al., Efficient Online Reinforcement Learning with Offline Data, ICML 2023
(RLPD). No dataset is needed: the expert acts in the learner's worlds at their control
rate, with a new plan at each step.
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

# The largest number of steps of each world in which a teacher demonstrates.
MAX_STEPS = 3000
# A function that returns the actions (N, A) for the current state of the worlds.
Teacher = Callable[[], np.ndarray]


def expert_teacher(worlds: Worlds) -> Teacher:
    """Returns the expert as a teacher in some worlds.

    Raises:
        EmbodiedError: the expert has another control mode than the worlds.
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
    no_age_s = np.zeros(worlds.num_worlds)  # each plan is made at the step that uses it

    def act() -> np.ndarray:
        observation = worlds.observe()
        plan = planner.plan(observation, ids)
        return np.asarray(controller.act(observation, plan, no_age_s), np.float32)

    return act


def no_correction(env: VecEnv) -> Teacher:
    """Returns a teacher for a `ResidualVecEnv` that never corrects the base."""
    zeros = np.zeros((env.num_envs, *(env.action_space.shape or ())), np.float32)

    def act() -> np.ndarray:
        return zeros.copy()

    return act


class MixedReplay(NStepReplayBuffer):
    """A learner's replay buffer, with half of each batch drawn from a teacher's.

    Attributes:
        prior: the teacher's replay buffer (see `demonstrate`); None to draw only from
            the learner's own steps.
    """

    prior: NStepReplayBuffer | None = None

    def sample(
        self, batch_size: int, env: VecNormalize | None = None
    ) -> ReplayBufferSamples:
        """Returns a batch of transitions, half of them from `prior` if there is one."""
        if self.prior is None:
            return super().sample(batch_size, env)

        learner_batch = super().sample(batch_size - batch_size // 2, env)
        teacher_batch = self.prior.sample(batch_size // 2, env)
        # join the batches field by field: observations, actions, rewards, ...
        pairs: Any = zip(learner_batch, teacher_batch, strict=True)
        return ReplayBufferSamples(*(torch.cat(pair) for pair in pairs))


def demonstrate(
    env: VecEnv, act: Teacher, like: MixedReplay, episodes: int
) -> NStepReplayBuffer:
    """Runs episodes of a teacher, and returns them in a replay buffer.

    Args:
        env: the worlds to act in.
        act: the teacher.
        like: the learner's buffer, whose n-step return and discount are used.
        episodes: the smallest number of episodes to run, in all worlds together.

    Raises:
        EmbodiedError: no episode succeeded.
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
    observation = np.asarray(env.reset())
    successes: list[bool] = []  # of the episodes that have ended
    for _ in range(MAX_STEPS):
        action = act()
        next_observation, reward, ended, infos = env.step(action)

        # Where an episode has ended, `next_observation` is the first observation of the
        # next episode. The last observation of the ended episode is in the info.
        reached = np.array(next_observation)
        for world in np.flatnonzero(ended).tolist():
            reached[world] = infos[world]["terminal_observation"]
            successes.append(bool(infos[world]["is_success"]))

        replay.add(observation, reached, action, reward, ended, infos)
        observation = np.asarray(next_observation)
        if len(successes) >= episodes:
            break

    if not any(successes):
        raise EmbodiedError(
            f"the expert did not succeed in {MAX_STEPS} steps: learn without "
            "demonstrations (--demos 0)"
        )
    return replay
