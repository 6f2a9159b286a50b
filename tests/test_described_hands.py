"""Grippers of all kinds: opposite signs, other ranges, turning and coupled fingers."""

from __future__ import annotations

from pathlib import Path

import mujoco
import numpy as np
import pytest

from embodied.errors import EmbodiedError
from embodied.robots.described.account import account_of
from embodied.robots.described.guess import guess_description
from embodied.robots.described.robot import load_robot, read_robot
from embodied.robots.robot import Robot
from embodied.sim.physics import apply_defaults
from tests.six_arm import MJCF, TOML, started_worlds, write_six

LEFT = '<joint name="left" type="slide" axis="0 1 0" range="0 0.045"/>'
RIGHT = '<joint name="right" type="slide" axis="0 -1 0" range="0 0.045"/>'
LEFT_TIP = 'size="0.01 0.006 0.035" pos="0 0.006 0.085"/>'
RIGHT_TIP = 'size="0.01 0.006 0.035" pos="0 -0.006 0.085"/>'
FOLLOWS = '<joint joint1="right" joint2="left" polycoef="0 1 0 0 0"/>'
EQUALITY = f"</worldbody><equality>{FOLLOWS}</equality>"


def mjcf_with(*changes: tuple[str, str]) -> str:
    mjcf = MJCF
    for old, new in changes:
        assert old in mjcf
        mjcf = mjcf.replace(old, new)
    return mjcf


# name -> changes of the model, changes of the description
HANDS: dict[str, tuple[list[tuple[str, str]], list[tuple[str, str]]]] = {
    "opposite signs": (
        [(RIGHT, RIGHT.replace("0 -1 0", "0 1 0").replace("0 0.045", "-0.045 0"))],
        [],
    ),
    "open at 0, colliding by their conaffinity alone": (
        [
            (LEFT, LEFT.replace("0 0.045", "-0.045 0")),
            (RIGHT, RIGHT.replace("0 0.045", "-0.045 0")),
            (LEFT_TIP, f'contype="0" {LEFT_TIP}'.replace("0 0.006", "0 0.051")),
            (RIGHT_TIP, f'contype="0" {RIGHT_TIP}'.replace("0 -0.006", "0 -0.051")),
        ],
        [],
    ),
    "a range that begins elsewhere": (
        [
            (LEFT, LEFT.replace("0 0.045", "0.02 0.065")),
            (RIGHT, RIGHT.replace("0 0.045", "0.02 0.065")),
            (LEFT_TIP, LEFT_TIP.replace("0 0.006 0.085", "0 -0.014 0.085")),
            (RIGHT_TIP, RIGHT_TIP.replace("0 -0.006 0.085", "0 0.014 0.085")),
        ],
        [],
    ),
    "fingers without a range": (
        [
            (LEFT, LEFT.replace("range", 'limited="false" range')),
            (RIGHT, RIGHT.replace("range", 'limited="false" range')),
        ],
        [("[gripper]", "[gripper]\nclosed = [0, 0]\nopen = [0.045, 0.045]")],
    ),
    "one driven finger, coupled by an equality": (
        [("</worldbody>", EQUALITY)],
        [('["left", "right"]', '["left"]')],
    ),
    "both named and coupled": ([("</worldbody>", EQUALITY)], []),
    "turning fingers": (
        [
            (LEFT, '<joint name="left" axis="-1 0 0" range="0 30"/>'),
            (RIGHT, '<joint name="right" axis="1 0 0" range="0 30"/>'),
        ],
        [],
    ),
    "turning fingers that close upwards": (
        [
            (LEFT, '<joint name="left" axis="1 0 0" range="-30 0"/>'),
            (RIGHT, '<joint name="right" axis="1 0 0" range="0 30"/>'),
        ],
        [],
    ),
    "one jaw": (
        [(RIGHT, "")],
        [('["left", "right"]', '["left"]')],
    ),
}


@pytest.fixture(scope="module", params=HANDS)
def robot(request: pytest.FixtureRequest, tmp_path_factory) -> Robot:
    mjcf_changes, toml_changes = HANDS[request.param]
    toml = TOML
    for old, new in toml_changes:
        assert old in toml
        toml = toml.replace(old, new)
    folder = tmp_path_factory.mktemp("hand")
    return load_robot(write_six(folder, toml, mjcf_with(*mjcf_changes)))


def settled_width_m(robot: Robot, width_m: float, seconds: float = 1.5) -> float:
    """The distance of the pads' faces once a width was commanded."""
    spec = robot.build()
    apply_defaults(spec)
    model = spec.compile()
    data = mujoco.MjData(model)
    mujoco.mj_resetDataKeyframe(model, data, 0)
    data.ctrl[model.actuator("gripper").id] = width_m
    mujoco.mj_step(model, data, int(seconds / model.opt.timestep))

    assert not any(warning.number for warning in data.warning)
    left, right = (data.site(name).xpos for name in robot.grippers[0].pads)
    return float(np.linalg.norm(left - right))


def test_it_goes_to_the_widths_that_are_asked_for(robot: Robot) -> None:
    open_m = robot.grippers[0].width_m
    assert 0.03 < open_m < 0.14

    # open, half and closed; what turns is not quite proportional
    assert settled_width_m(robot, open_m) == pytest.approx(open_m, abs=2e-3)
    assert settled_width_m(robot, open_m / 2) == pytest.approx(open_m / 2, abs=6e-3)
    assert settled_width_m(robot, 0) == pytest.approx(0, abs=2e-3)


def test_worlds_begin_with_an_open_gripper_and_report_its_width(robot: Robot) -> None:
    worlds = started_worlds(robot)
    width = worlds.agent_layout.slices()["gripper_width"]

    measured_m = float(worlds.observe().agent_pos[0, width][0])

    assert measured_m == pytest.approx(robot.grippers[0].width_m, abs=2e-3)


def test_experts_are_told_where_the_finger_tips_are(robot: Robot) -> None:
    assert robot.grippers[0].tip_m == pytest.approx(0.02, abs=0.006)


def test_the_files_grip_force_is_read(tmp_path: Path) -> None:
    motors = (
        '<position joint="left" kp="900" forcerange="-25 25"/>'
        '<position joint="right" kp="900" forcerange="-25 25"/></actuator>'
    )
    mjcf = mjcf_with(("</actuator>", motors))

    usual = load_robot(write_six(tmp_path, TOML, mjcf)).build().compile()
    toml = TOML.replace("[gripper]", "[gripper]\nforce_n = 40")
    described = load_robot(write_six(tmp_path, toml, mjcf)).build().compile()

    assert usual.nu == 7  # the file's own are gone, though they have no names
    assert usual.actuator("gripper").forcerange[1] == pytest.approx(25)
    assert described.actuator("gripper").forcerange[1] == 40


@pytest.mark.parametrize(
    "tcp",
    ['site = "tool"', 'body = "base"\npos = [0, 0, 0.15]\nquat_wxyz = [0, 0, 0, 1]'],
)
def test_a_gripper_may_have_a_file_of_its_own(tcp: str, tmp_path: Path) -> None:
    start = MJCF.index('<site name="tool"')
    end = MJCF.index("</body>\n              </body>", start)
    hand = MJCF[start:end]
    (tmp_path / "hand.xml").write_text(
        '<mujoco><compiler angle="degree" autolimits="true"/><worldbody>'
        # sites need no names
        f'<body name="base"><site/>{hand}</body></worldbody></mujoco>'
    )
    arm = MJCF[:start] + MJCF[end:]
    own_file = '[gripper]\nmjcf = "hand.xml"\non = "hand"'
    toml = TOML.replace("[gripper]", own_file).replace('site = "tool"', tcp)
    path = write_six(tmp_path, toml, arm)
    # what it carries is called as in its own file; the camera is the arm's business
    path.write_text(path.read_text().replace('cameras = ["eye"]', ""))

    apart = load_robot(path)
    whole = load_robot(write_six(tmp_path / ".", TOML))

    assert apart.grippers[0].width_m == pytest.approx(whole.grippers[0].width_m)
    assert apart.arms[0].reach_m == pytest.approx(whole.arms[0].reach_m)


# What the description does not name
# --------------------------------------------------------------------------------------

TORSO = (
    '<body name="base"><joint name="rail" type="slide" axis="0 0 1" range="0.1 0.4"/>'
)
HEAD = (
    '<body name="head" pos="0 -0.3 0.2"><joint name="nod" range="20 60"/>'
    '<geom size="0.03"/></body><body name="shoulder"'
)


def test_joints_that_nobody_names_are_held_in_their_range(tmp_path: Path) -> None:
    mjcf = mjcf_with(('<body name="base">', TORSO), ('<body name="shoulder"', HEAD))
    reading = read_robot(write_six(tmp_path, TOML, mjcf))

    assert reading.source.held == {
        "rail": pytest.approx(0.1),
        "nod": pytest.approx(np.deg2rad(20)),
    }
    model = reading.robot.build().compile()
    assert model.njnt == 8  # six of the arm, two fingers
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    base = data.body("six_base").xpos
    np.testing.assert_allclose(base, (0, 0, 0.72 + 0.1), atol=1e-9)


def test_a_description_may_hold_them_elsewhere(tmp_path: Path) -> None:
    mjcf = mjcf_with(('<body name="base">', TORSO), ('<body name="shoulder"', HEAD))
    toml = f'held = ["rail"]\nheld_at = [0.25]\n{TOML}'
    reading = read_robot(write_six(tmp_path, toml, mjcf))
    assert reading.source.held["rail"] == 0.25
    model = reading.robot.build().compile()
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    assert data.body("six_base").xpos[2] == pytest.approx(0.72 + 0.25)

    for old, new, message in (
        ("0.25", "0.5", "held_at of 'rail' is 0.5, outside its range 0.1 to 0.4"),
        ("[0.25]", "[]", "held_at has 0 numbers, expected 1, one for each of rail"),
        ('"rail"', '"rial"', r"unknown joint \(held\) 'rial'. Did you mean 'rail'"),
        ('"rail"', '"pan"', "'pan' is among joints and held"),
    ):
        with pytest.raises(EmbodiedError, match=message):
            load_robot(write_six(tmp_path, toml.replace(old, new, 1), mjcf))


def test_they_are_held_at_the_files_keyframe(tmp_path: Path) -> None:
    at_key = '<key name="zero" qpos="0.3 0 0 0 0 0 0 0 0"/>'
    mjcf = mjcf_with(('<body name="base">', TORSO), ('<key name="zero"/>', at_key))
    reading = read_robot(write_six(tmp_path, TOML, mjcf))

    assert reading.source.held == {"rail": pytest.approx(0.3)}


def test_bodies_and_joints_need_no_names(tmp_path: Path) -> None:
    changes = [
        ('<body name="base">', '<body pos="3 0 0"><geom size="0.1"/></body><body>'),
        ('<body name="shoulder" pos', "<body pos"),
        ('<body name="upper">', "<body>"),
        (
            '<geom type="cylinder" size="0.07 0.05" pos="0 0 0.05"/>',
            (
                '<geom type="cylinder" size="0.07 0.05" pos="0 0 0.05"/>'
                '<body><geom size="0.02" pos="0 0 0.12"/></body>'
            ),
        ),
    ]
    model = load_robot(write_six(tmp_path, TOML, mjcf_with(*changes))).build().compile()

    # the body that carries the arm is mounted, not the one beside it
    assert model.nbody == load_robot(write_six(tmp_path)).build().compile().nbody + 1
    data = mujoco.MjData(model)
    mujoco.mj_resetDataKeyframe(model, data, 0)
    mujoco.mj_forward(model, data)
    assert all(contact.dist > -1e-3 for contact in data.contact[: data.ncon])


@pytest.mark.parametrize(
    "root",
    [
        '<body name="base" pos="0 0 0.02"><freejoint name="loose"/>',
        '<body name="base" pos="0 0 0.02" mocap="true">',  # moved by the user's program
    ],
)
def test_a_root_that_is_free_in_the_file_is_held(root: str, tmp_path: Path) -> None:
    mjcf = mjcf_with(('<body name="base">', root))

    model = load_robot(write_six(tmp_path, TOML, mjcf)).build().compile()

    assert model.njnt == 8
    assert model.body("six_base").pos[2] == pytest.approx(0.02)


def test_joints_may_turn_without_end(tmp_path: Path) -> None:
    mjcf = mjcf_with(
        ('<joint name="pan" axis', '<joint name="pan" limited="false" axis')
    )
    robot = load_robot(write_six(tmp_path, TOML, mjcf))

    assert robot.arms[0].joints.ranges[0] == pytest.approx((-2 * np.pi, 2 * np.pi))


def test_servos_of_the_file_hold_what_they_are_told(tmp_path: Path) -> None:
    servos = ""
    for joint in ("pan", "lift", "elbow", "wrist1", "wrist2", "wrist3"):
        servos += (
            f'<general joint="{joint}" biastype="affine" gainprm="9000"'
            ' biasprm="0 -2000 -100" gear="2"/>'
        )
    motors = MJCF[MJCF.index("<actuator>") : MJCF.index("</actuator>")]
    mjcf = mjcf_with(
        (motors, f"<actuator>{servos}"),
        ('<sensor>\n    <actuatorfrc actuator="pan_motor"/>\n  </sensor>', ""),
    )
    robot = load_robot(write_six(tmp_path, f'servos = "file"\n{TOML}', mjcf))
    spec = robot.build()
    apply_defaults(spec)
    model = spec.compile()
    data = mujoco.MjData(model)
    mujoco.mj_resetDataKeyframe(model, data, 0)
    target = model.actuator("six_pan").id
    data.ctrl[target] = 0.659

    mujoco.mj_step(model, data, 3000)

    assert data.joint("six_pan").qpos[0] == pytest.approx(0.659, abs=2e-3)


@pytest.mark.parametrize("own", ["damping", "frictionloss", "stiffness"])
def test_what_the_joints_feel_is_compensated(own: str, tmp_path: Path) -> None:
    mjcf = mjcf_with(('<joint name="lift"', f'<joint name="lift" {own}="50"'))
    reading = read_robot(write_six(tmp_path, TOML, mjcf))

    account = account_of(reading)

    assert account.joints[1].lag_s == pytest.approx(0.03, abs=0.004)
    assert account.joints[1].rest_error_rad < 1e-3


def test_a_limit_too_low_for_an_armature_is_named(tmp_path: Path) -> None:
    """It lags while it speeds up, and has caught up at full speed; pairs are left out."""
    weak = '<joint name="wrist3" armature="1" actuatorfrcrange="-12 12"'
    pair = '<contact><pair geom1="left_tip" geom2="right_tip"/></contact><actuator>'
    mjcf = mjcf_with(('<joint name="wrist3"', weak), ("<actuator>", pair))
    reading = read_robot(write_six(tmp_path, TOML, mjcf))

    account = account_of(reading)

    assert [doubt for doubt in account.doubts if "joint wrist3 follows" in doubt]
    assert "1 contact pairs" in dict(account.facts)["left out"]
    reading.robot.build().compile()


# Pictures
# --------------------------------------------------------------------------------------


def test_pictures_show_visual_shapes_and_no_sites(tmp_path: Path) -> None:
    wrist = '<geom type="capsule" fromto="0 -0.03 0 0 0.03 0" size="0.035"/>'
    clad = f'{wrist}<geom size="0.04" contype="0" conaffinity="0" group="1"/>'
    sites = '<body name="hand"><site name="beam" type="cylinder" size="0.005 10"/>'
    hand = '<body name="hand" pos="0 0 0.09">'
    mjcf = mjcf_with((wrist, clad), (hand, sites.replace(">", ' pos="0 0 0.09">', 1)))
    settings = (
        '<option timestep="0.004" integrator="RK4" cone="elliptic"/>'
        '<size memory="1M" nkey="3" nuserdata="4" nuser_geom="2" nuser_jnt="1"/>'
        '<visual><map znear="0.1" zfar="40"/></visual><worldbody>'
    )
    path = write_six(tmp_path, TOML, mjcf.replace("<worldbody>", settings))

    model = load_robot(path).build().compile()  # a warning would be an error

    body = model.body("six_wrist1").id
    groups = model.geom_group[model.geom_bodyid == body]
    assert sorted(groups) == [1, 3]  # the capsule is not drawn, its cover is
    assert (model.site_group >= 3).all()
    assert (model.geom_group[model.geom_bodyid == model.body("six_fore").id] < 3).all()


@pytest.mark.slow
def test_a_jaw_that_turns_far_is_described_and_opened_only_so_far(
    tmp_path: Path,
) -> None:
    # the left finger becomes a jaw that turns by 100 degrees, the right one stands still
    jaw = '<joint name="jaw" axis="1 0 0" range="-100 0"/>'
    write_six(tmp_path, mjcf=mjcf_with((LEFT, jaw), (RIGHT, "")))
    guess = guess_description(tmp_path / "six.xml")

    gripper = guess.reading.description.gripper
    assert gripper is not None
    assert gripper.joints == ("jaw",)
    assert gripper.closed == (0.0,)
    assert gripper.open == (-0.7,)
    assert any(doubt.startswith("gripper.open") for doubt in guess.doubts)
    assert guess.reading.hands[0].width_m > 0.05

    # one that turns by 50 degrees has a range that will do
    write_six(tmp_path, mjcf=mjcf_with((LEFT, jaw.replace("-100", "-50")), (RIGHT, "")))
    gripper = guess_description(tmp_path / "six.xml").reading.description.gripper
    assert gripper is not None
    assert gripper.open == ()
