"""A robot with two arms, put together from parts that exist: it works everywhere."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env

from embodied.datasets.reader import Dataset
from embodied.datasets.recorder import Recorder
from embodied.datasets.replay import replay
from embodied.datasets.schema import Header
from embodied.datasets.writer import EpisodeWriter
from embodied.envs.warp.worlds import WarpWorlds
from embodied.envs.worlds import Worlds
from embodied.errors import EmbodiedError
from embodied.plan import PlanShape
from embodied.policies.simple import RandomPolicy
from embodied.robots.arm import ARM, pedestal
from embodied.robots.franka.arm import franka_arm
from embodied.robots.franka.hand import franka_hand
from embodied.robots.parts.part import CONTROL_MODES, Placement
from embodied.robots.robot import Robot, team
from embodied.rollout.rollout import rollout
from tests.ground import env_config, random_actions, started_worlds

LEFT = Placement(pos=(0.0, 0.2, 0.0))
RIGHT = Placement(pos=(0.0, -0.2, 0.0), quat_wxyz=(0.9659258, 0.0, 0.0, -0.2588190))
TWO_ARMS = Robot(
    name="two_arms",
    parts=(
        pedestal(),
        franka_arm(placement=LEFT).prefixed("left_", on="base"),
        franka_hand().prefixed("left_"),
        franka_arm(placement=RIGHT).prefixed("right_", on="base"),
        franka_hand().prefixed("right_"),
    ),
)
TASK = "ValveTurn"


def test_actions_and_proprioception_name_both_sides() -> None:
    worlds = started_worlds(task=TASK, robot=TWO_ARMS, control_mode="ee_delta")

    groups = [group.name for group in worlds.interface.groups]
    assert groups == ["left_arm", "left_gripper", "right_arm", "right_gripper"]
    assert worlds.interface.gripper_elements == (6, 13)
    assert worlds.robot.plan_shape == PlanShape(effectors=2)

    parts = dict(worlds.agent_layout.parts)
    assert parts["joint_pos"] == 14
    assert parts["left_tcp_pos_w"] == parts["right_tcp_pos_w"] == 3
    assert TWO_ARMS.cameras == ("left_wrist", "right_wrist")


@pytest.mark.parametrize("mode", CONTROL_MODES)
def test_it_is_an_environment(mode: str) -> None:
    env = gymnasium.make(
        f"embodied/{TASK}-v0", robot=TWO_ARMS, control_mode=mode, num_threads=1
    )
    check_env(env.unwrapped, skip_render_check=True)
    env.close()


@pytest.mark.parametrize("side", [0, 1])
def test_each_hand_moves_along_the_axes_of_its_own_mount(side: int) -> None:
    """The right arm is turned by 30 degrees: its x points to the right of the world's."""
    worlds = started_worlds(
        task=TASK, robot=TWO_ARMS, control_mode="ee_delta", control_hz=200
    )
    site = worlds.model.site(TWO_ARMS.effectors[side].site).id
    action = np.zeros((1, 14))
    action[:, [6, 13]] = 1  # both grippers open

    before = worlds.engine.view("site_xpos")[0].copy()
    # A quarter of full speed for 0.5 s, along the first axis.
    action[:, 7 * side] = 0.25
    for _ in range(100):
        worlds.step(action)
    moved = worlds.engine.view("site_xpos")[0] - before

    distance_m = 0.25 * TWO_ARMS.arms[side].ee_speed_m_s * 0.5
    yaw = -np.pi / 6 if side else 0.0
    expected = distance_m * np.array([np.cos(yaw), np.sin(yaw), 0.0])
    np.testing.assert_allclose(moved[site], expected, atol=0.012)
    other = worlds.model.site(TWO_ARMS.effectors[1 - side].site).id
    np.testing.assert_allclose(moved[other], 0, atol=0.002)


@pytest.mark.slow
def test_both_engines_move_it_alike() -> None:
    settings = env_config(
        task=TASK, robot=TWO_ARMS, control_mode="ee_delta", level="L3"
    )
    on_cpu = Worlds(settings, 2)
    on_cpu.reset([0, 1], [0, 1])
    on_warp = WarpWorlds(replace(settings, engine="warp", device="cpu"), 2, 2, "cpu")
    on_warp.reset()

    actions = 0.3 * random_actions(on_cpu, 20)
    for action in actions:
        on_cpu.step(action)
        result = on_warp.step(torch.as_tensor(action, dtype=torch.float64))

    # The engines compute in different precision, hence the tolerance.
    apart = np.abs(on_cpu.observe().agent_pos - result.final_agent_pos.numpy())
    positions = on_cpu.agent_layout.slices()
    assert apart[:, positions["left_tcp_pos_w"]].max() < 1e-5
    assert apart[:, positions["right_tcp_pos_w"]].max() < 1e-5
    assert apart[:, positions["joint_pos"]].max() < 1e-5


def test_its_episodes_are_recorded_and_replay_bit_for_bit(tmp_path: Path) -> None:
    path = tmp_path / "two_arms.hdf5"
    settings = env_config(task=TASK, robot=TWO_ARMS, horizon_s=1.0)
    worlds = Worlds(settings, 2)
    policy = RandomPolicy(len(worlds.interface.low))
    with EpisodeWriter(path, Header(worlds.metadata(), "random")) as writer:
        rollout(worlds, policy, [3, 4, 5], [Recorder(writer)])

    # 7 joints and a finger's opening for each arm, at 20 Hz for 1 s.
    with Dataset(path) as dataset:
        assert dataset.episode(0).streams["joint_target"].value.shape == (20, 16)
    reports = list(replay(path, lambda metadata: Worlds(settings, 2)))
    assert len(reports) == 3
    assert all(report.identical for report in reports)


def test_an_expert_of_one_arm_drives_the_first_and_keeps_the_other_at_home() -> None:
    settings = env_config(
        task=TASK, robot=TWO_ARMS, control_mode="ee_delta", control_hz=200
    )
    worlds = Worlds(settings, 1)
    planner, controller = worlds.spec.expert(
        worlds.agent_layout, worlds.state_layout, worlds.robot
    )
    worlds.reset([0], [0])
    assert planner.plan_shape == TWO_ARMS.plan_shape

    # It starts a little beside its home; 7 elements for each arm.
    moved = []
    for _ in range(200):
        observation = worlds.observe()
        payload = planner.plan(observation, np.array([0]))
        action = controller.act(observation, payload, np.zeros(1))
        worlds.step(action)
        moved.append(np.abs(action[0, :6]).max())
        assert action.shape == (1, 14)
        assert action[0, 13] == 1, "its gripper is open"
    assert max(moved) > 0.1

    home = TWO_ARMS.tools_at_home["right_tcp"]
    parts = worlds.agent_layout.slices()
    tool = worlds.observe().agent_pos[0, parts["right_tcp_pos_w"]]
    home_w = np.array(home.pos) + TWO_ARMS.base.mount_pos_w
    np.testing.assert_allclose(tool, home_w, atol=2e-3)
    np.testing.assert_allclose(payload.goal_pos_w[0, 1], home_w, atol=1e-12)


def test_two_robots_are_one_with_the_parts_of_both() -> None:
    left = ARM.prefixed("left_")
    right = replace(ARM, parts=(pedestal(y_m=-1.0), *ARM.parts[1:])).prefixed("right_")
    pair = team("pair", [left, right])

    model = pair.build().compile()
    assert len(pair.bases) == len(pair.effectors) == 2
    assert model.body("right_stand").pos[1] == -1.0
    assert {base.root_body for base in pair.bases} == {"left_stand", "right_stand"}

    worlds = started_worlds(task=TASK, robot=pair)
    assert worlds.safety(20).joint_margin_rad.shape == (1,)


def test_parts_that_do_not_go_together_are_refused() -> None:
    arm = franka_arm()
    with pytest.raises(EmbodiedError, match="two parts are named 'arm'"):
        Robot("twice", (pedestal(), arm, arm))
    with pytest.raises(EmbodiedError, match=r"'arm' is mounted on 'torso'.*base"):
        Robot("floating", (pedestal(), franka_arm(on="torso")))
    with pytest.raises(EmbodiedError, match="part of effector tcp 'arm'"):
        Robot("handless", (pedestal(), franka_hand(on="base")))
