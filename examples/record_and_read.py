"""Records two demonstrations of the expert, and reads them."""

import sys
from pathlib import Path

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
        print("  actions at the frame rate", episode.actions.shape)
        print("  actions at the control rate", episode.streams["action"].value.shape)
        print("  goals that were planned", episode.plans["goal_pos_w"].shape)
