"""Plans ahead: tries many futures from a snapshot of the present, and takes the best."""

import gymnasium
import numpy as np

import embodied  # noqa: F401  (registers the ids)

TASK = "embodied/PanelReset-v0"
SETTINGS = {"control_mode": "ee_delta", "level": "L1"}
NUM_FUTURES = 32
FORESIGHT_STEPS = 10  # how far each future is simulated, at 20 Hz
STEPS_TAKEN = 4  # of the best one, before planning anew
MOST_DECISIONS = 12

env = gymnasium.make(TASK, **SETTINGS).unwrapped
futures = gymnasium.make_vec(TASK, num_envs=NUM_FUTURES, **SETTINGS)
rng = np.random.default_rng(0)


def best_action(present):
    """Returns the action (A,) that, held from a snapshot on, gains the most reward."""
    futures.restore(present)  # one world's present, for all of them
    actions = rng.uniform(-1, 1, futures.action_space.shape).astype(np.float32)
    gained = np.zeros(NUM_FUTURES)
    for _ in range(FORESIGHT_STEPS):
        _, reward, *_ = futures.step(actions)
        gained += reward
    return actions[gained.argmax()]


env.reset(seed=0)
print(env.task_description)
for decision in range(MOST_DECISIONS):
    action = best_action(env.snapshot())
    for _ in range(STEPS_TAKEN):
        _, reward, terminated, truncated, info = env.step(action)
    print(f"decision {decision}: progress {info['progress']:.2f}")
    if info["is_success"]:
        break

env.close()
futures.close()
