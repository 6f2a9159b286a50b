"""What the tests of training share: made-up demonstrations that are quickly learned."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from embodied.policies.training.budget import Budget
from embodied.policies.training.config import ImitationConfig
from embodied.policies.training.distributed import ALONE, Ranks
from embodied.policies.training.frames import MemoryFrames
from embodied.policies.training.imitation import ImitationLearner
from embodied.policies.training.run import TrainingRun
from embodied.policies.training.samples import Samples
from embodied.policies.vla.network import DualSystemNet, NetConfig
from embodied.policies.vla.run_folder import RunInfo

AGENT = (
    ("joint_pos", 7),
    ("joint_vel", 7),
    ("gripper_width", 1),
    ("tcp_pos_w", 3),
    ("tcp_rot6d", 6),
)
SIDE = 32  # pixels
EPISODES = 64
STEPS = 12  # of each episode
PLANS = 6  # of each episode
CONFIG = ImitationConfig(
    datasets=(Path("made_up.hdf5"),),
    cameras=("front",),
    budget=Budget(max_steps=40),
    batch_size=16,
)


def make_samples(seed: int) -> Samples:
    """Returns pictures of a white square, whose place is the goal; the action points
    from the hand to it.
    """
    generator = torch.Generator().manual_seed(seed)
    goal = torch.rand((EPISODES, 2), generator=generator) * 1.4 - 0.7  # row, column
    pictures = torch.zeros((EPISODES, 1, SIDE, SIDE, 3), dtype=torch.uint8)
    for k, (row, column) in enumerate(((goal + 1) / 2 * SIDE).long().tolist()):
        pictures[k, 0, row - 2 : row + 3, column - 2 : column + 3] = 255

    # Three elements of the 24 are the hand's position.
    agent_pos = torch.randn((EPISODES * STEPS, 24), generator=generator) * 0.3
    goal_pos = torch.cat([goal, torch.zeros(EPISODES, 1)], dim=1)
    toward = goal_pos.repeat_interleave(STEPS, dim=0) - agent_pos[:, 15:18]
    action = torch.cat([toward, torch.zeros(len(agent_pos), 4)], dim=1)

    k = EPISODES * PLANS
    episode = torch.arange(EPISODES).repeat_interleave(PLANS)
    step = torch.arange(k) * (STEPS // PLANS)
    goal_pos = goal_pos.repeat_interleave(PLANS, dim=0)  # (k, 3)

    return Samples(
        frames=MemoryFrames(pictures),
        weight=torch.ones(k),
        newest_frame=episode,
        earlier_frame=episode,
        sentence=torch.zeros_like(episode),
        step=step,
        frame_step=step,
        last_step=(episode + 1) * STEPS - 1,
        subtask=torch.zeros_like(episode),
        goal_pos_w=goal_pos[:, None],
        goal_rot6d=torch.zeros(k, 1, 6),
        goal_vel_w=torch.zeros(k, 1, 3),
        gripper=torch.zeros(k, 1),
        completion=torch.zeros(k),
        base_goal_w=torch.zeros(k, 0, 4),
        goal_view=goal_pos[:, None, :2],
        agent_pos=agent_pos,
        action=action,
        sentences=("go there",),
        control_hz=200.0,
    )


def make_net(samples: Samples) -> DualSystemNet:
    torch.manual_seed(0)
    net = DualSystemNet(
        NetConfig(("go", "there"), AGENT, ("front",), action_size=7, image_size=SIDE)
    )
    net.fit_scales(
        samples.agent_pos[samples.step],
        samples.goal_pos_w,
        samples.goal_vel_w,
        samples.base_goal_w,
    )
    return net


def make_learner(**settings: Any) -> ImitationLearner:
    samples = make_samples(1)
    net = make_net(samples)
    metadata = {
        "task": "T",
        "robot": "arm",
        "config": {"control_mode": "ee_delta", "control_hz": 200, "camera_hz": 8},
    }

    # It is validated on goals that it does not learn from.
    return ImitationLearner(
        net,
        samples,
        make_samples(2),
        replace(CONFIG, **settings),
        RunInfo.of(net.config, metadata, ["T"], CONFIG.datasets),
    )


def make_run(
    folder: Path,
    learner: ImitationLearner,
    steps: int = 40,
    on_row: Any = None,
    ranks: Ranks = ALONE,
) -> TrainingRun:
    budget = Budget(max_steps=steps)
    return TrainingRun(folder, learner, budget, CONFIG.identity(), on_row, ranks)
