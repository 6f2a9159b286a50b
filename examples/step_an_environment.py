"""Steps one world of a task with random actions, and prints what happened."""

import gymnasium

import embodied  # noqa: F401  (registers the ids)

env = gymnasium.make("embodied/ToteTransfer-v0", level="L2", obs="both")
observation, info = env.reset(seed=0)
print(env.unwrapped.task_description)
print("proprioception", observation["agent_pos"].shape)
print("picture", observation["pixels"]["overview"].shape)

# the meaning of each element of an action
for label, unit, frame, low, high in env.unwrapped.worlds.interface.rows():
    print(f"{label:15} {low:7.2f} to {high:5.2f} {unit} ({frame})")

for _ in range(40):
    action = env.action_space.sample()
    observation, reward, terminated, truncated, info = env.step(action)
print(
    f"progress {info['progress']:.2f}, strongest contact {info['contact_force_n']:.0f} N"
)
env.close()
