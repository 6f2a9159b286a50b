"""What was understood of a description, in figures: measured on the compiled robot."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import mujoco
import numpy as np

from embodied.robots.described.builders import grip_force_n
from embodied.robots.described.robot import Reading
from embodied.robots.described.settings import changed_settings
from embodied.robots.described.source import HAND_PREFIX
from embodied.robots.modelling import SERVO_LAG_S
from embodied.robots.parts.arm import Arm
from embodied.sim.physics import apply_defaults

# Of a measurement: how long a joint moves, at which share of its speed, and how long
# it then rests.
MOVING_S = 0.5
SHARE = 0.4
RESTING_S = 1.0
# What is doubtful: a lag that is longer, a joint that rests farther off.
LATE_S = 2 * SERVO_LAG_S
OFF_RAD = 0.01
# The world's x component of a tool point's x axis below which it looks backwards.
BACKWARDS = -0.5


@dataclass(frozen=True)
class JointAccount:
    """One joint of an arm."""

    name: str
    low_rad: float
    high_rad: float
    home_rad: float
    speed_rad_s: float
    limit_n_m: float | None  # None: no limit
    lag_s: float  # behind a target that moves
    rest_error_rad: float  # off a target that rests


@dataclass(frozen=True)
class Account:
    """What was understood of a description.

    Attributes:
        joints: of all arms.
        facts: name -> value, in words.
        doubts: what to look at.
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
    """Returns the account of a robot; its joints are moved one by one for that."""
    spec = reading.robot.build()
    apply_defaults(spec)
    model = spec.compile()
    joints = []
    for arm in reading.robot.arms:
        for k in range(len(arm.joints)):
            joints.append(_joint(reading, model, arm, k))

    doubts = []
    for joint in joints:
        if joint.lag_s > LATE_S:
            doubts.append(
                f"joint {joint.name} follows {1000 * joint.lag_s:.0f} ms late, not "
                f"{1000 * SERVO_LAG_S:.0f}: its damping, friction or torque limit "
                "keeps it back"
            )
        if joint.rest_error_rad > OFF_RAD:
            doubts.append(
                f"joint {joint.name} rests {1000 * joint.rest_error_rad:.0f} mrad off its "
                "target: its stiffness, friction or torque limit holds it"
            )
    doubts += _turned_tools(reading, model)
    return Account(tuple(joints), tuple(_facts(reading, model)), tuple(doubts))


def _turned_tools(reading: Reading, model: mujoco.MjModel) -> list[str]:
    """Returns a sentence for each tool point whose x looks backwards at home."""
    data = mujoco.MjData(model)
    mujoco.mj_resetDataKeyframe(model, data, 0)
    mujoco.mj_kinematics(model, data)
    prefix = f"{reading.description.name}_"

    doubts = []
    for effector in reading.robot.effectors:
        site = model.site(effector.site)
        if data.site_xmat[site.id][0] > BACKWARDS:
            continue
        quat = np.zeros(4)
        mujoco.mju_mulQuat(quat, site.quat, np.array([0.0, 0, 0, 1]))
        body = model.body(int(site.bodyid[0])).name.removeprefix(prefix)
        doubts.append(
            f"the tool point {effector.name} has its x backwards at home, so that experts "
            "turn the hand by half a turn first: as the fingers are alike, write tcp.body "
            f"= {body.removeprefix(HAND_PREFIX)!r}, tcp.pos = {_rounded(site.pos)}, "
            f"tcp.quat_wxyz = {_rounded(quat)}"
        )
    return doubts


def _rounded(values: np.ndarray) -> list[float]:
    """Returns numbers as a description has them; adding 0 makes 0.0 of -0.0."""
    return [round(float(value), 4) + 0.0 for value in values]


def _joint(reading: Reading, model: mujoco.MjModel, arm: Arm, k: int) -> JointAccount:
    """Returns the account of an arm's joint k, which moves alone."""
    joints = arm.joints
    name = joints.names[k]
    low, high = joints.ranges[k]
    home = joints.home[k]
    # towards the farther end of its range, through at most 80 % of the way there
    way = 1.0 if high - home > home - low else -1.0
    room = max(high - home, home - low)
    speed = way * min(SHARE * joints.speeds[k], 0.8 * room / MOVING_S)

    data = mujoco.MjData(model)
    mujoco.mj_resetDataKeyframe(model, data, 0)
    servo = model.actuator(name).id
    address = int(model.joint(name).qposadr[0])
    dt = model.opt.timestep
    for step in range(int(MOVING_S / dt)):
        data.ctrl[servo] = home + speed * (step + 1) * dt
        mujoco.mj_step(model, data)
    lag_s = (data.ctrl[servo] - data.qpos[address]) / speed if speed else 0.0
    mujoco.mj_step(model, data, int(RESTING_S / dt))
    rest = abs(float(data.ctrl[servo] - data.qpos[address]))

    own = name.removeprefix(f"{reading.description.name}_")
    return JointAccount(
        name=own,
        low_rad=low,
        high_rad=high,
        home_rad=home,
        speed_rad_s=joints.speeds[k],
        limit_n_m=reading.limits.get(own),
        lag_s=float(lag_s),
        rest_error_rad=rest,
    )


def _facts(reading: Reading, model: mujoco.MjModel) -> list[tuple[str, str]]:
    """Returns (name, value) of mass, reach, grippers, and what is held or left out."""
    description = reading.description
    stand = model.body(reading.robot.base.root_body).id
    facts = [("mass", f"{model.body_subtreemass[stand]:.1f} kg on the mount")]
    parts = zip(description.arms, reading.hands, reading.robot.arms, strict=True)
    for arm, hand, part in parts:
        width = f"{1000 * hand.gap_m:.0f} to {1000 * hand.width_m:.0f} mm"
        positions = zip(hand.fingers, hand.closed, hand.open, strict=True)
        fingers = [f"{name} {shut:.3g} to {wide:.3g}" for name, shut, wide in positions]
        force_n = grip_force_n(arm, hand, reading.limits)
        facts += [
            (f"{arm.prefix}reach", f"{part.reach_m:.2f} m"),
            (f"{arm.prefix}gripper", f"{width} wide, {force_n:.0f} N"),
            (f"{arm.prefix}fingers, closed to open", ", ".join(fingers)),
            (f"{arm.prefix}finger tips", f"{1000 * hand.tip_m:.0f} mm beyond the tcp"),
        ]

    # what of the file is not there, or does not move
    held = [f"{name} at {value:.3g}" for name, value in reading.source.held.items()]
    facts.append(("held", ", ".join(held) or "nothing"))
    left_out = [*reading.source.left_out]
    settings = changed_settings(reading.file_model)
    if settings:
        left_out.append(f"physics options ({', '.join(settings)})")
    facts.append(("left out", ", ".join(left_out) or "nothing"))
    return facts
