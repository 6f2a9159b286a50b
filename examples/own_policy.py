"""Makes a policy from a plain function, and runs it for a few episodes."""

import numpy as np

from embodied.envs.tasks.tote_transfer.expert_facts import grip_point
from embodied.policies import PolicySpec, policy_from_function
from embodied.policies.episodes import EpisodeRunner, env_config_for

GAIN_PER_M = 4.0  # the action per m of distance to the goal


def approach(observation, signals):
    """Returns actions (N, 7) that move open hands straight to where totes are gripped."""
    goal_pos_w = grip_point(np, signals["tote_pos_w"], signals["tote_rot6d"])  # (N, 3)
    actions = np.zeros((len(goal_pos_w), 7))
    offset_m = goal_pos_w - signals["tcp_pos_w"]
    actions[:, :3] = np.clip(GAIN_PER_M * offset_m, -1, 1)
    actions[:, 6] = 1  # the gripper: fully open
    return actions


reach = policy_from_function(
    approach, PolicySpec(control_mode="ee_delta", privileged=True)
)

if __name__ == "__main__":
    spec = reach.spec("ToteTransfer")
    config = env_config_for(spec, "ToteTransfer", level="L1", split="train")
    runner = EpisodeRunner("own_policy:reach", config, num_envs=4)
    for result in runner.run(range(4)):
        print(result.seed, f"progress {result.progress_max:.2f}")
    # To compare it with the expert, with intervals and a report:
    # embodied eval ToteTransfer --policy own_policy:reach expert --level L1 -o runs/own
