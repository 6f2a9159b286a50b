"""Makes a policy of a plain function, and runs it for a few episodes."""

import numpy as np

from embodied.envs.tasks.tote_transfer.expert_facts import grip_point
from embodied.policies import PolicySpec, policy_from_function
from embodied.policies.episodes import EpisodeRunner, env_config_for

GAIN = 4.0  # of the action on the distance left, per m


def approach(observation, signals):
    """Returns actions (N, 7): straight to where the tote is gripped, the hand open."""
    grip = grip_point(np, signals["tote_pos_w"], signals["tote_rot6d"])
    actions = np.zeros((len(grip), 7))
    actions[:, :3] = np.clip(GAIN * (grip - signals["tcp_pos_w"]), -1, 1)
    actions[:, 6] = 1  # the gripper's width: fully open
    return actions


reach = policy_from_function(
    approach, PolicySpec(control_mode="ee_delta", privileged=True)
)

if __name__ == "__main__":
    config = env_config_for(reach.spec("ToteTransfer"), "ToteTransfer", "L1", "train")
    runner = EpisodeRunner("own_policy:reach", config, num_envs=4)
    for result in runner.run(range(4)):
        print(result.seed, f"progress {result.progress_max:.2f}")
    # Evaluated beside the expert, with intervals and a report:
    # embodied eval ToteTransfer --policy own_policy:reach expert --level L1 -o runs/own
