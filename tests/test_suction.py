"""Suction grippers: what they hold and show, by parts and by description."""

from __future__ import annotations

import json
from pathlib import Path

import mujoco
import numpy as np
import pytest

from embodied.cli.main import main
from embodied.envs.hand import Hand
from embodied.envs.registry import get_task, task_names
from embodied.envs.task import Needs
from embodied.envs.worlds import Worlds
from embodied.errors import EmbodiedError
from embodied.policies.episodes import EpisodeRunner
from embodied.robots import ARM, Robot, franka_arm, pedestal, suction_gripper
from embodied.robots.described.robot import load_robot
from embodied.robots.robot import team_of
from embodied.robots.suction import RADIUS_M, vacuum_force_n
from embodied.sim.physics import apply_defaults
from tests.ground import env_config, expert_worlds, idle_action, started_worlds
from tests.robot_models import HZ, at_home
from tests.six_arm import cup_mjcf, write_cup_six, write_six

CUP_ARM = Robot("cup_arm", (pedestal(), franka_arm(), suction_gripper()))
FORCE_N = vacuum_force_n(RADIUS_M)
BOX_KG = 0.2
BOX_HALF_M = (0.05, 0.03, 0.025)
BOX_N = BOX_KG * 9.81


def with_box(beside_m: float = 0.0) -> tuple[mujoco.MjModel, mujoco.MjData]:
    """The arm at home, with a box right below its lip, held by the vacuum."""
    spec = CUP_ARM.build()
    apply_defaults(spec)
    model = spec.compile()
    lip_w = at_home(model).site("tcp").xpos
    box = spec.worldbody.add_body(
        name="box", pos=lip_w - (beside_m, 0, BOX_HALF_M[2] + 0.0002)
    )
    box.add_freejoint(name="box")
    box.add_geom(type=mujoco.mjtGeom.mjGEOM_BOX, size=BOX_HALF_M, mass=BOX_KG)

    key = spec.key("home")
    key.qpos = [*key.qpos, *box.pos, 1, 0, 0, 0]
    model = spec.compile()
    data = at_home(model)
    data.ctrl[model.actuator("gripper").id] = 0.0
    mujoco.mj_step(model, data, HZ // 2)
    return model, data


def pulled(data: mujoco.MjData, force_n: tuple[float, float, float]) -> bool:
    """Whether the box is still held after a pull of 0.5 s."""
    data.body("box").xfrc_applied[:3] = force_n
    mujoco.mj_step(data.model, data, HZ // 2)
    return bool(data.sensor("gripper_seal").data[0] > 0)


def put_below_the_lip(worlds: Worlds) -> None:
    """A parcel at rest that the lip of the only world touches."""
    tcp = worlds.model.site("tcp").id
    place = worlds.engine.view("site_xpos")[0, tcp] - (0, 0, 0.025 + 0.0002)
    parcel = worlds.model.joint("parcel_0")
    qpos = worlds.engine.view("qpos")[0, parcel.qposadr[0] :]
    qpos[:7] = (*place, 1, 0, 0, 0)
    qvel = worlds.engine.view("qvel")[0, parcel.dofadr[0] :]
    qvel[:6] = 0
    worlds.engine.refresh(np.array([0]))


@pytest.mark.parametrize(("share", "holds"), [(0.9, True), (1.1, False)])
def test_it_holds_a_pull_up_to_its_force(share: float, holds: bool) -> None:
    _, data = with_box()

    assert pulled(data, (0, 0, BOX_N - share * FORCE_N)) == holds


def test_what_it_holds_neither_slips_nor_tilts() -> None:
    _, data = with_box(beside_m=0.02)
    before_m = data.body("box").xpos - data.site("tcp").xpos

    assert pulled(data, (0.2 * FORCE_N, 0, 0))
    after_m = data.body("box").xpos - data.site("tcp").xpos
    up = data.body("box").xmat[8]
    np.testing.assert_allclose(after_m, before_m, atol=2e-3)
    assert up > np.cos(np.deg2rad(2))


def test_it_lets_go_at_once() -> None:
    model, data = with_box()
    data.ctrl[model.actuator("gripper").id] = 1.0
    height_m = data.body("box").xpos[2]
    mujoco.mj_step(model, data, HZ // 10)

    fall_m = 9.81 / 2 * 0.1**2
    assert height_m - data.body("box").xpos[2] == pytest.approx(fall_m, rel=0.1)


def test_closed_is_vacuum_and_open_is_release() -> None:
    interface = CUP_ARM.interface("ee_delta")
    row = interface.rows()[-1]

    assert row == ("gripper.release", "1", "gripper", 0.0, 1.0)
    assert interface.gripper_elements == (6,)


def test_vacuum_shows_whether_something_is_held() -> None:
    worlds = started_worlds(task="ParcelSort", robot=CUP_ARM, level="L1")
    vacuum = worlds.agent_layout.slices()["gripper_vacuum"]
    hand = Hand(worlds.engine, worlds.robot)

    def shown(action: float) -> float:
        actions = idle_action(worlds)
        actions[:, -1] = action
        for _ in range(10):
            worlds.step(actions)
        return float(worlds.observe().agent_pos[0, vacuum][0])

    # in the air; then with the lip on a parcel
    assert shown(1.0) == shown(-1.0) == 0.0
    put_below_the_lip(worlds)
    assert shown(-1.0) == 1.0
    assert hand.is_closed(0.0)[0]
    with pytest.raises(EmbodiedError, match="holds by suction and has no width"):
        hand.width_m()


# Which tasks it can do
# --------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", task_names())
def test_a_task_takes_a_cup_or_says_why_not(task: str) -> None:
    needs = get_task(task).needs
    if needs.suction_n is not None:
        assert needs.missing(CUP_ARM) == []
        return
    if not needs.opening_m:  # nothing has to be held
        assert not any("suction" in lack for lack in needs.missing(CUP_ARM))
        return

    with pytest.raises(EmbodiedError, match="fingers that open to .*holds by suction"):
        get_task(task).check(CUP_ARM)


def test_a_vacuum_that_is_too_weak_is_refused() -> None:
    assert Needs(suction_n=100.0).missing(CUP_ARM) == [
        "a suction gripper that holds 100 N (its holds 42.4115 N)"
    ]
    assert Needs(suction_n=100.0).missing(ARM) == []


@pytest.mark.slow
@pytest.mark.parametrize("is_described", [False, True])
def test_the_expert_sorts_parcels_with_it(tmp_path: Path, is_described: bool) -> None:
    robot = load_robot(write_cup_six(tmp_path)) if is_described else CUP_ARM
    config = env_config(
        task="ParcelSort",
        robot=robot,
        control_mode="ee_delta",
        control_hz=200,
        level="L1",
    )
    results = EpisodeRunner("expert", config, num_envs=4).run(range(4))

    assert [result.success_at_end for result in results] == [True] * 4


def test_a_snapshot_keeps_what_it_holds() -> None:
    worlds = expert_worlds(1, task="ParcelSort", robot=CUP_ARM, level="L1")
    worlds.reset([0], [0])
    put_below_the_lip(worlds)
    actions = np.full((1, 7), 0.1)
    actions[:, -1] = -1.0
    for _ in range(20):
        worlds.step(actions)
    snapshot = worlds.snapshot([0])

    seen = []
    for _ in range(2):
        worlds.restore(snapshot, [0])
        for _ in range(20):
            worlds.step(actions)
        observation = worlds.observe()
        seen.append([*observation.agent_pos[0], *observation.environment_state[0]])
    vacuum = worlds.agent_layout.slices()["gripper_vacuum"]
    assert seen[0][vacuum] == [1.0]
    np.testing.assert_array_equal(seen[0], seen[1])


def test_a_team_has_one_each() -> None:
    team = team_of([CUP_ARM, ARM])
    worlds = Worlds(env_config(task="ParcelSort", robot=team), 1)

    assert {
        "r1_gripper_vacuum",
        "r2_gripper_width",
    } <= worlds.agent_layout.slices().keys()
    assert [gripper.name for gripper in team.grippers] == ["r1_gripper", "r2_gripper"]


@pytest.mark.parametrize("robots", [(CUP_ARM, ARM), (ARM, CUP_ARM)])
def test_a_task_of_two_hands_needs_the_fingers_of_both(
    robots: tuple[Robot, Robot],
) -> None:
    with pytest.raises(
        EmbodiedError, match=r"fingers that open to 0.075 m \(that of r"
    ):
        Worlds(env_config(task="TeamSort", robot=team_of(robots)), 1)


# By description
# --------------------------------------------------------------------------------------


def test_check_says_what_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_cup_six(tmp_path, 'kind = "suction"\nforce_n = 30\nradius_m = 0.01')
    picture = tmp_path / "six.png"

    assert main(["robot", "check", str(path), "--picture", str(picture), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["facts"]["gripper"] == "suction, holds up to 30 N"
    assert facts["facts"]["lip"].startswith("around the tcp, 10 mm from it, 4.0 mm")
    assert facts["tasks"]["ParcelSort"]["lacks"] == []
    assert "fingers that open" in facts["tasks"]["ToteTransfer"]["lacks"][0]
    assert picture.stat().st_size > 1000


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ('kind = "sucker"', "unknown kind of gripper .* 'sucker'.*suction"),
        ('kind = "suction"\njoints = ["wrist3"]', "has no gripper.joints"),
        ('kind = "suction"\npads = ["stem"]', "has no gripper.pads"),
        (
            'kind = "suction"\nclosed = [0]\nopen = [1]',
            "no gripper.closed, gripper.open",
        ),
        ('kind = "suction"\nspeed_m_s = 1', "has no gripper.speed_m_s"),
        ('kind = "suction"\nforce_n = 0', "gripper.force_n is 0, expected 0.1 to"),
        ('kind = "suction"\nradius_m = 0', "gripper.radius_m is 0, expected 0.002 to"),
        (
            'kind = "suction"\nradius_m = nan',
            "gripper.radius_m is nan, expected a finite",
        ),
        ('kind = "suction"\nradius = 1', "unknown key 'gripper.radius'"),
        ('joints = ["wrist3"]\nradius_m = 0.02', "radius_m is that of a cup"),
        ("", r'must name at least one joint, unless it is a cup .*kind = "suction"'),
    ],
)
def test_each_key_is_checked(tmp_path: Path, keys: str, message: str) -> None:
    with pytest.raises(EmbodiedError, match=message):
        load_robot(write_cup_six(tmp_path, keys))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('pos="0 0 0.15"', 'pos="0 0 0.13"', "reaches 16.0 mm beyond the tcp"),
        (
            'euler="0 0 180"',
            'euler="180 0 0"',
            "z is 180 degrees off .* out of the hand",
        ),
    ],
)
def test_a_lip_that_touches_nothing_is_refused(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    path = write_cup_six(tmp_path)
    write_six(tmp_path, path.read_text(), cup_mjcf().replace(old, new))

    with pytest.raises(EmbodiedError, match=message):
        load_robot(path)


def test_older_descriptions_keep_their_hash(tmp_path: Path) -> None:
    path = write_six(tmp_path)
    before = load_robot(path).content_hash
    text = path.read_text().replace("[gripper]", '[gripper]\nkind = "fingers"')
    path.write_text(text)
    cup = load_robot(write_cup_six(tmp_path)).content_hash
    other = load_robot(write_cup_six(tmp_path, 'kind = "suction"\nradius_m = 0.01'))

    write_six(tmp_path, text)
    assert load_robot(path).content_hash == before
    assert len({before, cup, other.content_hash}) == 3


@pytest.mark.slow
def test_what_it_did_replays(tmp_path: Path) -> None:
    robot = str(write_cup_six(tmp_path))
    data = str(tmp_path / "cup.hdf5")
    words = ["collect", "ParcelSort", "--robot", robot, "--level", "L1"]

    words += ["--episodes", "1", "--workers", "1", "--no-cameras", "-o", data]
    assert main(words) == 0
    assert main(["data", "replay", data, "--verify", "--robot", robot]) == 0
