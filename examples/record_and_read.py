"""Records two demonstrations of the expert, reads them, and replays the actions of one."""

import sys
from pathlib import Path

import gymnasium as gym

from embodied.core import PHYSICS_HZ, SKILLS
from embodied.datasets.reader import Dataset
from embodied.datasets.recorder import Recorder
from embodied.datasets.schema import Header
from embodied.datasets.writer import EpisodeWriter
from embodied.envs.worlds import Worlds
from embodied.policies.episodes import env_config_for
from embodied.policies.registry import find_policy
from embodied.rollout.rollout import rollout

path = Path(sys.argv[1] if len(sys.argv) > 1 else "demonstrations.hdf5")

expert = find_policy("expert")
spec = expert.spec("PanelReset")
worlds = Worlds(env_config_for(spec, "PanelReset", level="L1", split="train"), 2)
policy = expert.make(worlds)
with EpisodeWriter(path, Header(worlds.metadata(), "expert"), "overwrite") as writer:
    rollout(worlds, policy, seeds=[0, 1], hooks=[Recorder(writer)])

with Dataset(path) as dataset:
    for number, meta in enumerate(dataset.episodes):
        print(f"{meta.seed}: {meta.instruction} success {meta.success}")
        episode = dataset.episode(number)
        print("  actions to learn, at the frame rate", episode.actions.shape)
        executed = episode.streams["action"].value
        print("  executed actions, at the control rate", executed.shape)

        # times are ticks, subtasks are indices, proprioception is one vector per frame
        plans = episode.plans
        seconds = plans["tick_start"][-1] / PHYSICS_HZ
        print(f"  last plan at {seconds} s: {SKILLS[plans['subtask'][-1]]}")
        hand_columns = dataset.agent_layout.slices()["tcp_pos_w"]
        hand_pos_w = episode.obs["agent_pos"][-1, hand_columns]
        print("  the hand ended at", hand_pos_w, "m")
    env_args = dataset.header.env_args
    actions = dataset.read(0, "actions")

# the environment that a dataset names takes the dataset's actions without conversion
env = gym.make(env_args["env_name"], **env_args["env_kwargs"])
env.reset(seed=0)
for action in actions:
    _, _, _, _, info = env.step(action)
print("replay of the actions:", "success" if info["is_success"] else "failure")
