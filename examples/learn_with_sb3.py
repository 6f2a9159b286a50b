"""Trains Stable-Baselines3's SAC on the first stage of a task, for a few steps."""

import gymnasium
from stable_baselines3 import SAC
from stable_baselines3.common.vec_env import VecMonitor

import embodied  # noqa: F401  (registers the ids)
from embodied.envs.sb3 import SB3VecEnv

# The first stage of the task, `reach`, is done at a progress of about a quarter, when the
# hand is at the tote.
env = gymnasium.make_vec(
    "embodied/ToteTransfer-v0",
    num_envs=8,
    level="L1",
    goal_progress=0.2475,
    horizon_s=5.0,  # enough for the first stage
    terminate_on_success=True,
)
worlds = VecMonitor(SB3VecEnv(env))

model = SAC("MultiInputPolicy", worlds, learning_starts=200, device="cpu", seed=0)
model.learn(total_timesteps=400)
print(f"trained {model.num_timesteps} steps in {worlds.num_envs} worlds")
# 400 steps teach nothing yet. To learn the stage:
# embodied train ToteTransfer --algo sac --stage reach -o runs/reach
worlds.close()
