"""Figures that tell a user how their description was understood.

Speeds, lags and reach are measured on the compiled robot.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import mujoco
import numpy as np

from embodied.robots.described.builders import ArmsBuilder, grip_force_n
from embodied.robots.described.cups import Cup
from embodied.robots.described.description import DescribedArm
from embodied.robots.described.hand import Hand
from embodied.robots.described.robot import Reading
from embodied.robots.described.settings import changed_settings
from embodied.robots.described.source import HAND_PREFIX
from embodied.robots.modelling import SERVO_LAG_S
from embodied.robots.parts.arm import Arm
from embodied.robots.parts.part import Placement
from embodied.sim.physics import apply_defaults

# A joint is measured alone: it moves for MOVING_S at SPEED_SHARE of its largest speed,
# then it rests for RESTING_S. It uses at most ROOM_SHARE of its range.
MOVING_S = 0.5
SPEED_SHARE = 0.4
ROOM_SHARE = 0.8
RESTING_S = 1.0
# A joint with a larger lag, or a larger error at rest, is reported as doubtful.
LARGEST_LAG_S = 2 * SERVO_LAG_S
LARGEST_REST_ERROR_RAD = 0.01
# The tcp points backwards at home if the world x component of its x axis is below this.
BACKWARDS_X = -0.5


@dataclass(frozen=True)
class JointAccount:
    """The figures of one joint of an arm.

    Attributes:
        name: the joint's name in the file.
        low_rad, high_rad: the joint's range.
        home_rad: the joint's position at home.
        speed_rad_s: the joint's largest speed.
        limit_n_m: the joint's largest torque; None without a limit.
        lag_s: the largest delay with which the joint follows a moving target.
        rest_error_rad: the joint's distance from its target RESTING_S after the target
            has stopped.
    """

    name: str
    low_rad: float
    high_rad: float
    home_rad: float
    speed_rad_s: float
    limit_n_m: float | None
    lag_s: float
    rest_error_rad: float


@dataclass(frozen=True)
class Account:
    """A summary of a robot that was read from a description.

    Attributes:
        joints: the joints of all arms.
        facts: pairs of a name and its value as text, e.g. ("mass", "18.0 kg ...").
        doubts: sentences that tell the user to check something.
    """

    joints: tuple[JointAccount, ...]
    facts: tuple[tuple[str, str], ...]
    doubts: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """Returns plain data."""
        return {
            "joints": [asdict(joint) for joint in self.joints],
            "facts": dict(self.facts),
        }


def account_of(reading: Reading) -> Account:
    """Returns the account of a robot, with each joint's lag and error measured."""
    # the robot alone, with the solver options of the simulation
    spec = reading.bare.build()
    apply_defaults(spec)
    model = spec.compile()
    joints = []
    for arm in reading.robot.arms:
        for k in range(len(arm.joints)):
            joints.append(_joint(reading, model, arm, k))

    doubts = []
    slow = "its damping, friction or torque limit keeps it back"
    if reading.description.servos == "file":
        slow = 'so the file\'s servo has it (servos = "file"); ours would be faster'
    for joint in joints:
        if joint.lag_s > LARGEST_LAG_S:
            doubts.append(
                f"joint {joint.name} follows {1000 * joint.lag_s:.0f} ms late, not "
                f"{1000 * SERVO_LAG_S:.0f}: {slow}"
            )
        if joint.rest_error_rad > LARGEST_REST_ERROR_RAD:
            doubts.append(
                f"joint {joint.name} rests {1000 * joint.rest_error_rad:.0f} mrad off its "
                "target: its stiffness, friction or torque limit holds it"
            )
    doubts += _backward_tcps(reading, model)
    return Account(tuple(joints), tuple(_facts(reading, model)), tuple(doubts))


def _backward_tcps(reading: Reading, model: mujoco.MjModel) -> list[str]:
    """Returns a sentence for each tcp whose x axis points backwards at home."""
    data = mujoco.MjData(model)
    mujoco.mj_resetDataKeyframe(model, data, 0)
    mujoco.mj_kinematics(model, data)
    prefix = f"{reading.description.name}_"

    doubts = []
    for effector in reading.robot.effectors:
        site = model.site(effector.site)
        # component 0 of the rotation matrix: the world x of the site's x axis
        if data.site_xmat[site.id][0] > BACKWARDS_X:
            continue

        # suggest the tcp rotated by 180 degrees about its own z axis
        quat = np.zeros(4)
        half_turn = np.array([0.0, 0, 0, 1])
        mujoco.mju_mulQuat(quat, site.quat, half_turn)
        body = model.body(int(site.bodyid[0])).name.removeprefix(prefix)
        doubts.append(
            f"the x axis of {effector.name} points backwards at home, so experts rotate "
            "the hand by 180 degrees first: if the fingers are alike, write tcp.body = "
            f"{body.removeprefix(HAND_PREFIX)!r}, tcp.pos = {_rounded(site.pos)}, "
            f"tcp.quat_wxyz = {_rounded(quat)}"
        )
    return doubts


def _rounded(values: np.ndarray) -> list[float]:
    """Returns numbers with 4 decimals, as a description has them."""
    # adding 0.0 makes 0.0 of -0.0
    return [round(float(value), 4) + 0.0 for value in values]


def _joint(reading: Reading, model: mujoco.MjModel, arm: Arm, k: int) -> JointAccount:
    """Returns the account of an arm's joint k, measured while only it moves."""
    joints = arm.joints
    name = joints.names[k]
    low, high = joints.ranges[k]
    home = joints.home[k]

    # the joint moves towards the farther end of its range, but not all the way
    direction = 1.0 if high - home > home - low else -1.0
    room = max(high - home, home - low)
    speed = direction * min(
        SPEED_SHARE * joints.speeds[k], ROOM_SHARE * room / MOVING_S
    )

    # the target moves at a constant speed, then stops
    data = mujoco.MjData(model)
    mujoco.mj_resetDataKeyframe(model, data, 0)
    servo = model.actuator(name).id
    address = int(model.joint(name).qposadr[0])
    dt = model.opt.timestep
    lag_s = 0.0
    for step in range(int(MOVING_S / dt)):
        data.ctrl[servo] = home + speed * (step + 1) * dt
        mujoco.mj_step(model, data)
        # keep the largest lag on the way: a weak joint is late while it speeds up
        if speed:  # 0 if the joint has no range
            lag_s = max(lag_s, (data.ctrl[servo] - data.qpos[address]) / speed)
    mujoco.mj_step(model, data, int(RESTING_S / dt))
    rest_error_rad = abs(float(data.ctrl[servo] - data.qpos[address]))

    file_name = name.removeprefix(f"{reading.description.name}_")
    return JointAccount(
        name=file_name,
        low_rad=low,
        high_rad=high,
        home_rad=home,
        speed_rad_s=joints.speeds[k],
        limit_n_m=reading.source.limits.get(file_name),
        lag_s=float(lag_s),
        rest_error_rad=rest_error_rad,
    )


def _facts(reading: Reading, model: mujoco.MjModel) -> list[tuple[str, str]]:
    """Returns pairs (name, value): mass, reach, grippers, joints held, parts left out."""
    description = reading.description
    stand = model.body(reading.robot.base.root_body).id
    facts = [("mass", f"{model.body_subtreemass[stand]:.1f} kg on the mount")]
    # for each arm: its description, its hand's measurements, and the arm made of both
    parts = zip(description.arms, reading.hands, reading.robot.arms, strict=True)
    for described, hand, arm in parts:
        facts.append((f"{described.prefix}reach", f"{arm.reach_m:.2f} m"))
        if isinstance(hand, Cup):
            facts += _cup(described, hand)
        else:
            facts += _fingers(reading, described, hand)

    # joints that do not move, and elements of the file that the robot lacks
    held_texts = [
        f"{name} at {value:.3g}" for name, value in reading.source.held.items()
    ]
    facts.append(("held", ", ".join(held_texts) or "nothing"))
    left_out = [*reading.source.left_out, *_not_carried(reading)]
    settings = changed_settings(reading.source.file_model)
    if settings:
        left_out.append(f"physics options ({', '.join(settings)})")
    facts.append(("left out", ", ".join(left_out) or "nothing"))
    return facts


def _not_carried(reading: Reading) -> list[str]:
    """Returns the kinds of couplings and soft bodies that attaching drops, with counts.

    For example ["2 equalities"].
    """
    # mount the arms in an empty scene
    spec = mujoco.MjSpec()
    mount = spec.worldbody.add_body()
    arms = ArmsBuilder(reading.description, is_bare=True)
    arms.attach(reading.source, spec, mount, Placement())

    # (kind, number in the file, elements that came along into the scene)
    file_model = reading.source.file_model
    kinds = (
        ("equalities", file_model.neq, spec.equalities),
        ("tendons", file_model.ntendon, spec.tendons),
        ("flexes", file_model.nflex, spec.flexes),
        ("skins", file_model.nskin, spec.skins),
    )
    counts = [(kind, before - len(carried)) for kind, before, carried in kinds]
    return [f"{count} {kind}" for kind, count in counts if count > 0]


def _fingers(reading: Reading, arm: DescribedArm, hand: Hand) -> list[tuple[str, str]]:
    """Returns the facts (name, value) of a hand with fingers."""
    width = f"{1000 * hand.gap_m:.0f} to {1000 * hand.width_m:.0f} mm"
    positions = zip(hand.fingers, hand.closed, hand.open, strict=True)
    fingers = [
        f"{name} {closed_at:.3g} to {open_at:.3g}"
        for name, closed_at, open_at in positions
    ]
    force_n = grip_force_n(arm, hand, reading.source.limits)
    return [
        (f"{arm.prefix}gripper", f"{width} wide, {force_n:.0f} N"),
        (f"{arm.prefix}fingers, closed to open", ", ".join(fingers)),
        (f"{arm.prefix}finger tips", f"{1000 * hand.tip_m:.0f} mm beyond the tcp"),
    ]


def _cup(arm: DescribedArm, cup: Cup) -> list[tuple[str, str]]:
    """Returns the facts (name, value) of a suction gripper."""
    lip = f"around the tcp, {1000 * cup.radius_m:.3g} mm from it"
    if cup.ahead_m is not None:
        lip += f", {1000 * cup.ahead_m:.1f} mm beyond the solid parts of the hand"
    return [
        (f"{arm.prefix}gripper", f"suction, holds up to {cup.force_n:.0f} N"),
        (f"{arm.prefix}lip", lip),
    ]
