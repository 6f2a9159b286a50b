"""Teams: two robots in one scene, one action interface, and each robot for itself."""

from __future__ import annotations

import itertools

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from embodied.envs.models import choose_robot
from embodied.envs.per_robot import robot_views
from embodied.envs.registry import get_robot, get_task
from embodied.envs.worlds import Worlds
from embodied.errors import EmbodiedError
from embodied.robots.parts.part import CONTROL_MODES
from tests.ground import env_config, expert_worlds, random_actions, started_worlds

TEAMS = ("arm+arm", "arm+wheeled_arm", "wheeled_arm+dual_arm")


@pytest.mark.parametrize("team", TEAMS)
def test_each_robot_has_its_elements_and_together_they_have_all(team: str) -> None:
    robot = get_robot(team)
    worlds = started_worlds(task="PanelReset", robot=team, control_mode="joint")
    members = [get_robot(name) for name in team.split("+")]
    for mode in CONTROL_MODES:
        interface = robot.interface(mode)
        views = robot_views(robot, interface, worlds.agent_layout)
        assert [view.name for view in views] == ["r1", "r2"]
        for view, member in zip(views, members, strict=True):
            own = member.interface(mode)
            labels = [interface.labels[k] for k in view.actions]
            assert labels == [f"{view.name}_{label}" for label in own.labels]
            assert view.cameras == tuple(f"{view.name}_{c}" for c in member.cameras)
        for every in ("actions", "agent_pos"):
            elements = sorted(
                itertools.chain(*(getattr(view, every) for view in views))
            )
            size = {"actions": len(interface.labels)}.get(
                every, worlds.agent_layout.size
            )
            assert elements == list(range(size))


@pytest.mark.parametrize("team", TEAMS)
def test_robots_stand_where_the_task_says(team: str) -> None:
    spec = get_task("PanelReset")
    worlds = started_worlds(task="PanelReset", robot=team, level="L1")
    robot = worlds.robot
    assert robot is choose_robot(spec, team), "a model is compiled once"
    for base, (x, y, _) in zip(robot.bases, spec.places, strict=False):
        place = worlds.engine.view("xpos")[0, worlds.model.body(base.root_body).id, :2]
        start = spec.base_start[:2] if base.travels else (0.0, 0.0)
        np.testing.assert_allclose(place, np.add(start, (x, y)), atol=0.06)


def test_each_robot_moves_by_its_own_actions_alone() -> None:
    worlds = started_worlds(
        task="PanelReset", robot="arm+arm", control_mode="ee_delta", control_hz=200
    )
    views = robot_views(worlds.robot, worlds.interface, worlds.agent_layout)
    before = worlds.observe().agent_pos[0]
    action = np.zeros((1, 14))
    action[:, list(views[1].actions[:3])] = (0.0, 0.3, 0.2)
    action[:, list(worlds.interface.gripper_elements)] = 1
    for _ in range(100):
        worlds.step(action)
    moved = np.abs(worlds.observe().agent_pos[0] - before)
    tools = worlds.agent_layout.slices()
    assert moved[tools["r1_tcp_pos_w"]].max() < 2e-3
    assert moved[tools["r2_tcp_pos_w"]].max() > 0.05


@pytest.mark.parametrize(
    "team", ["arm+arm", pytest.param("wheeled_arm+dual_arm", marks=pytest.mark.slow)]
)
def test_the_first_robot_does_the_task_and_the_second_stays(team: str) -> None:
    worlds = expert_worlds(1, task="PanelReset", robot=team, level="L1")
    planner, controller = worlds.spec.expert(
        worlds.agent_layout, worlds.state_layout, worlds.robot
    )
    worlds.reset([0], [3])
    second = worlds.model.body(worlds.robot.bases[1].root_body).id
    start = worlds.engine.view("xpos")[0, second].copy()
    for _ in range(int(worlds.horizon_s * 200)):
        observation = worlds.observe()
        plan = planner.plan(observation, np.array([0]))
        result = worlds.step(controller.act(observation, plan, np.zeros(1)))
        if result.success[0]:
            break
    assert result.success[0]
    assert plan.shape == worlds.robot.plan_shape
    np.testing.assert_allclose(worlds.engine.view("xpos")[0, second], start, atol=0.02)


def test_a_team_is_an_environment() -> None:
    env = gymnasium.make(
        "embodied/PanelReset-v0", robot="arm+wheeled_arm", num_threads=1
    )
    check_env(env.unwrapped, skip_render_check=True)
    assert env.unwrapped.worlds.metadata()["robot"] == "arm+wheeled_arm"
    env.close()


def test_worlds_of_a_team_are_equal_however_many_there_are() -> None:
    many = started_worlds(3, first_seed=5, task="ToteTransfer", robot="arm+arm")
    alone = started_worlds(1, first_seed=6, task="ToteTransfer", robot="arm+arm")
    for action in random_actions(many, 8):
        many.step(action)
        alone.step(action[1:2])
    assert many.checksum()[1] == alone.checksum()[0]


def test_mistakes_are_named() -> None:
    with pytest.raises(EmbodiedError, match="unknown robot 'leg'"):
        get_robot("arm+leg")
    with pytest.raises(EmbodiedError, match="unknown robot ''"):
        get_robot("arm+")
    with pytest.raises(
        EmbodiedError, match=r"room for 2 robots, not for the 3 of arm\+"
    ):
        Worlds(env_config(robot="arm+arm+arm"))


# Each robot for itself
# --------------------------------------------------------------------------------------


@pytest.mark.parametrize("obs", ["state", "both"])
def test_pettingzoos_own_test_passes(obs: str) -> None:
    test = pytest.importorskip("pettingzoo.test")
    from embodied.envs.team_env import TeamEnv

    env = TeamEnv("PanelReset", "arm+arm", obs=obs, image_size=32, horizon_s=1.0)
    test.parallel_api_test(env, num_cycles=25)
    env.close()


def test_an_agent_sees_its_own_robot() -> None:
    pytest.importorskip("pettingzoo")
    from embodied.envs.team_env import TeamEnv

    cameras = ("overview", "r1_wrist", "r2_wrist")
    env = TeamEnv("PanelReset", obs="pixels", image_size=32, cameras=cameras)
    seen, infos = env.reset(seed=4)
    assert env.agents == list(infos) == ["r1", "r2"]
    for name in env.agents:
        assert env.observation_space(name).contains(seen[name])
        assert list(seen[name]["pixels"]) == ["overview", f"{name}_wrist"]
        assert env.action_space(name).shape == (8,)
    whole = env.env.worlds.observe().agent_pos[0].astype(np.float32)
    tool = env.env.worlds.agent_layout.slices()["r2_tcp_pos_w"]
    np.testing.assert_array_equal(seen["r2"]["agent_pos"][-9:-6], whole[tool])

    with pytest.raises(EmbodiedError, match="no action of r2"):
        env.step({"r1": np.zeros(8, np.float32)})
    env.close()

    with pytest.raises(EmbodiedError, match="unknown render_mode 'human'"):
        TeamEnv("PanelReset", render_mode="human")
