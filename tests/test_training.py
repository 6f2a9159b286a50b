"""Joint training on made-up demonstrations: it learns, repeats itself, and goes on
after a cut.
"""

from __future__ import annotations

import errno
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from embodied.policies.checkpoint import write_tensors
from embodied.policies.run_folder import write_json
from embodied.policies.training import joint
from embodied.policies.training.joint import TrainConfig, _Trainer
from embodied.policies.training.samples import Samples
from embodied.policies.vla.network import DualSystemNet, NetConfig
from embodied.policies.vla.run_folder import RunFolder, RunInfo

AGENT = (
    ("joint_pos", 7),
    ("joint_vel", 7),
    ("gripper_width", 1),
    ("tcp_pos_w", 3),
    ("tcp_rot6d", 6),
)
SIDE = 32
EPISODES = 64
STEPS = 12
PLANS = 6
CONFIG = TrainConfig(batch_size=16, max_steps=40, cameras=("front",))


def make_samples(seed: int) -> Samples:
    """A white square whose place in the picture is the goal; the action points from the
    hand to it.
    """
    generator = torch.Generator().manual_seed(seed)
    goal = torch.rand((EPISODES, 2), generator=generator) * 1.4 - 0.7  # row, column
    frames = torch.zeros((EPISODES, 1, SIDE, SIDE, 3), dtype=torch.uint8)
    for k, (row, column) in enumerate(((goal + 1) / 2 * SIDE).long().tolist()):
        frames[k, 0, row - 2 : row + 3, column - 2 : column + 3] = 255
    agent = torch.randn((EPISODES * STEPS, 24), generator=generator) * 0.3
    goal_pos = torch.cat([goal, torch.zeros(EPISODES, 1)], dim=1).repeat_interleave(
        PLANS, dim=0
    )
    step = torch.arange(EPISODES * PLANS) * (STEPS // PLANS)
    toward = goal_pos.repeat_interleave(STEPS // PLANS, dim=0) - agent[:, 15:18]
    episode = torch.arange(EPISODES).repeat_interleave(PLANS)
    zeros = torch.zeros(EPISODES * PLANS)
    return Samples(
        frames=frames, now=episode, then=episode, sentence=torch.zeros_like(episode), step=step, frame_step=step,
        last_step=(episode + 1) * STEPS - 1, subtask=torch.zeros_like(episode), goal_pos_w=goal_pos,
        goal_rot6d=torch.zeros(len(zeros), 6), goal_vel_w=torch.zeros(len(zeros), 3), gripper=zeros, completion=zeros,
        goal_view=goal_pos[:, None, :2], agent_pos=agent, action=torch.cat([toward, torch.zeros(len(agent), 4)], 1),
        sentences=("go there",), control_hz=200.0,
    )  # fmt: skip


def make_trainer(config: TrainConfig = CONFIG) -> _Trainer:
    torch.manual_seed(0)
    data = make_samples(1)
    net = DualSystemNet(
        NetConfig(("go", "there"), AGENT, ("front",), action_size=7, image_size=SIDE)
    )
    net.fit_scales(data.agent_pos[data.step], data.goal_pos_w, data.goal_vel_w)
    return _Trainer(net, data, make_samples(2), config)


def test_training_learns_what_the_picture_shows() -> None:
    trainer = make_trainer(replace(CONFIG, max_steps=250))
    before = trainer.validate()
    rows = list(trainer.run())
    assert rows[-1]["share"] == 1.0
    assert rows[-1]["goal_error_mm"] < 0.6 * before["goal_error_mm"]
    assert rows[-1]["valid_action_loss"] < before["valid_action_loss"]


def test_the_same_seed_trains_the_same_weights() -> None:
    first = make_trainer()
    second = make_trainer()
    for trainer in (first, second):
        list(trainer.run())
    for name, value in first.net.state_dict().items():
        assert torch.equal(value, second.net.state_dict()[name]), name


def test_another_seed_trains_others() -> None:
    first = make_trainer()
    second = make_trainer(replace(CONFIG, seed=1))
    for trainer in (first, second):
        list(trainer.run())
    assert not torch.equal(
        first.net.planner.heads.weight, second.net.planner.heads.weight
    )


def test_training_goes_on_where_it_was_cut(tmp_path: Path) -> None:
    trainer = make_trainer()
    config = {"control_mode": "ee_delta", "control_hz": 200, "camera_hz": 8}
    info = RunInfo.of(
        trainer.net.config, {"task": "T", "robot": "arm", "config": config}, []
    )
    folder = RunFolder(tmp_path)
    for row in trainer.run():
        folder.save(trainer.net, info, trainer.history, trainer.progress())
        if row["share"] > 0.5:
            break
    resumed = make_trainer()
    resumed.restore(folder)
    assert resumed.step == trainer.step
    assert resumed.history == trainer.history
    moments = resumed.optimizer.state_dict()["state"][0]["exp_avg"]
    assert torch.equal(moments, trainer.optimizer.state_dict()["state"][0]["exp_avg"])
    list(resumed.run())
    assert resumed.step == CONFIG.max_steps
    folder.save(resumed.net, info, resumed.history, None)
    assert not folder.has_checkpoint()


def test_a_write_that_fails_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_json(tmp_path / "run.json", [1])

    def full(self: Path, content: bytes) -> None:
        self.touch()
        raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr(Path, "write_bytes", full)
    for write, name in ((write_json, "run.json"), (write_tensors, "net.safetensors")):
        with pytest.raises(OSError, match="no space"):
            write(tmp_path / name, {})  # type: ignore[operator]
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]
    assert (tmp_path / "run.json").read_text() == "[\n 1\n]"


def test_skills_that_look_are_drawn_more_often() -> None:
    data = make_samples(1)
    half = len(data) // 2
    reach = joint.SKILLS.index("reach")
    lift = joint.SKILLS.index("lift")
    mixed = replace(
        data, subtask=torch.tensor([reach] * half + [lift] * (len(data) - half))
    )
    weights = joint._weights(mixed)
    assert weights[0] / weights[-1] == pytest.approx(
        joint.SKILL_WEIGHT["reach"], rel=0.1
    )


def test_only_the_planner_feels_its_hand_roughly() -> None:
    noise = joint._agent_noise(make_trainer().net.config)
    assert noise[14] == 0  # the gripper's width decides what is held
    assert (noise[15:18] > 0).all()
