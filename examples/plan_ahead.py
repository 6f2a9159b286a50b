"""Plans by sampling: tries many actions from a snapshot, and executes the best one."""

import gymnasium
import numpy as np

import embodied  # noqa: F401  (registers the ids)

TASK = "embodied/PanelReset-v0"
SETTINGS = {"control_mode": "ee_delta", "level": "L1"}
NUM_FUTURES = 32
FORESIGHT_STEPS = 10  # control steps for which each future is simulated, at 20 Hz
EXECUTED_STEPS = 4  # control steps of the best action, before planning again
MAX_DECISIONS = 12

env = gymnasium.make(TASK, **SETTINGS).unwrapped
futures = gymnasium.make_vec(TASK, num_envs=NUM_FUTURES, **SETTINGS)
rng = np.random.default_rng(0)


def best_action(snapshot):
    """Returns the action (A,) with the largest return if it is repeated from a snapshot on."""
    futures.restore(snapshot)  # all of these worlds begin in the state of the one world
    actions = rng.uniform(-1, 1, futures.action_space.shape).astype(np.float32)
    returns = np.zeros(NUM_FUTURES)
    for _ in range(FORESIGHT_STEPS):
        _, reward, *_ = futures.step(actions)
        returns += reward
    return actions[returns.argmax()]


env.reset(seed=0)
print(env.task_description)
for decision in range(MAX_DECISIONS):
    action = best_action(env.snapshot())
    for _ in range(EXECUTED_STEPS):
        _, reward, terminated, truncated, info = env.step(action)
    print(f"decision {decision}: progress {info['progress']:.2f}")
    if info["is_success"]:
        break

env.close()
futures.close()
