"""Sets up the algorithms of Stable-Baselines3, and extracts the learned policy."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from stable_baselines3 import PPO, SAC, TD3
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.noise import NormalActionNoise
from torch import nn

from embodied.policies.device import training_device
from embodied.policies.rl.actor import Actor
from embodied.policies.rl.config import RLConfig
from embodied.policies.rl.demonstrations import MixedReplay
from embodied.policies.rl.learner_env import LearnerVecEnv

# Widths of the hidden layers. On a CPU updates take longer than simulation, so off-policy
# algorithms, which update more often, have smaller networks.
HIDDEN = {"sac": (128, 128), "td3": (128, 128), "ppo": (256, 256)}
DISCOUNT = {"sac": 0.96, "td3": 0.96, "ppo": 0.98}
LEARNING_RATE = {"sac": 5e-4, "td3": 5e-4, "ppo": 3e-4}
# The settings of off-policy algorithms:
RETURN_STEPS = 3  # n of the n-step return
REPLAY_STEPS = 300_000  # the size of the replay buffer
RANDOM_STEPS = 2000  # the number of initial steps with random actions
# The same with demonstrations, because then there is data to learn from at once.
RANDOM_STEPS_WITH_DEMONSTRATIONS = 500
TD3_NOISE = 0.2  # standard deviation of the exploration noise


def make_algorithm(config: RLConfig, env: LearnerVecEnv) -> Any:
    """Returns an algorithm of Stable-Baselines3 before its first step."""
    name = config.algorithm
    nets: dict[str, Any] = {"net_arch": list(HIDDEN[name])}
    common: dict[str, Any] = {
        "policy": "MlpPolicy",
        "env": env,
        "seed": config.seed,
        "device": training_device(config.device),
        "gamma": DISCOUNT[name],
        "policy_kwargs": nets,
        "learning_rate": LEARNING_RATE[name],
    }
    if name == "ppo":
        nets["activation_fn"] = nn.Tanh
        algorithm: Any = PPO(
            **common,
            n_steps=64,  # of each world between two updates
            batch_size=16 * config.num_envs,  # four minibatches
            ent_coef=0.001,  # weight of the entropy bonus, which keeps the policy exploring
        )
    elif name == "sac":
        # the entropy coefficient is learned, from 0.1 on
        algorithm = SAC(**common, **_off_policy(config), ent_coef="auto_0.1")
    else:
        zeros = np.zeros(env.action_space.shape or ())
        noise = NormalActionNoise(zeros, zeros + TD3_NOISE)
        algorithm = TD3(**common, **_off_policy(config), action_noise=noise)

    # a logger without outputs, because the default logger creates a folder in /tmp
    algorithm.set_logger(Logger(folder=None, output_formats=[]))
    return algorithm


def _off_policy(config: RLConfig) -> dict[str, Any]:
    """Returns the constructor's arguments that SAC and TD3 share."""
    random_steps = RANDOM_STEPS
    if config.demonstrations:
        random_steps = RANDOM_STEPS_WITH_DEMONSTRATIONS

    return {
        "learning_starts": random_steps,
        "batch_size": 256,  # transitions per update
        "train_freq": 1,  # steps of each world between two rounds of updates
        "gradient_steps": 8,  # updates in a round
        "buffer_size": REPLAY_STEPS,
        "replay_buffer_class": MixedReplay,
        "replay_buffer_kwargs": {
            "n_steps": RETURN_STEPS,
            "gamma": DISCOUNT[config.algorithm],
        },
    }


def begin_without_correction(algorithm: Any) -> None:
    """Sets the actor's output layer to 0, so that training begins with the base alone."""
    # `actor` is the output layer in PPO and SAC, but the whole network in TD3
    policy = algorithm.policy
    actor = policy.action_net if isinstance(algorithm, PPO) else policy.actor.mu
    linear = [layer for layer in actor.modules() if isinstance(layer, nn.Linear)]
    output_layer = linear[-1]
    nn.init.zeros_(output_layer.weight)
    nn.init.zeros_(output_layer.bias)
    # TD3 also has a target actor, which must have the same weights at first
    if isinstance(algorithm, TD3):
        policy.actor_target.load_state_dict(policy.actor.state_dict())


def learned_actor(algorithm: BaseAlgorithm, env: LearnerVecEnv) -> Actor:
    """Returns the learned policy without its noise, independent of Stable-Baselines3."""
    # the layers of each algorithm's actor, and the functions between and after them, as
    # Stable-Baselines3 builds them; the last case is TD3
    policy: Any = algorithm.policy
    if isinstance(algorithm, PPO):
        layers = [*policy.mlp_extractor.policy_net, policy.action_net]
        activation = "tanh"
        squash = "clip"
    elif isinstance(algorithm, SAC):
        layers = [*policy.actor.latent_pi, policy.actor.mu]
        activation = "relu"
        squash = "tanh"
    else:
        layers = list(policy.actor.mu)
        activation = "relu"
        squash = "tanh"

    return Actor.from_layers(
        layers=[layer for layer in layers if isinstance(layer, nn.Linear)],
        mean=torch.from_numpy(env.mean),
        std=torch.from_numpy(env.std),
        activation=activation,
        squash=squash,
    )
