"""A small 6-joint arm as users bring them, described as docs/your_robot.md says.

It is an MJCF file of simple shapes, in degrees, with its own floor and motors.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from embodied.envs.worlds import Worlds
from embodied.robots.robot import Robot
from tests.ground import env_config

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "your_robot.md").read_text(encoding="utf-8")
(TOML,) = re.findall(r"^```toml\n(.*?)^```$", PAGE, flags=re.DOTALL | re.MULTILINE)

MJCF = """
<mujoco model="six">
  <compiler angle="degree" autolimits="true"/>
  <default>
    <geom density="1500"/>
    <joint axis="0 1 0" range="-170 170"/>
  </default>
  <worldbody>
    <light name="lamp" pos="0 0 3"/>
    <geom name="floor" type="plane" size="2 2 0.1"/>
    <body name="base">
      <geom type="cylinder" size="0.07 0.05" pos="0 0 0.05"/>
      <body name="shoulder" pos="0 0 0.15">
        <joint name="pan" axis="0 0 1"/>
        <geom type="cylinder" size="0.06 0.045"/>
        <body name="upper">
          <joint name="lift" range="-110 110"/>
          <geom type="capsule" fromto="0 0 0.06 0 0 0.42" size="0.05"/>
          <body name="fore" pos="0 0 0.42">
            <joint name="elbow"/>
            <geom type="capsule" fromto="0 0 0.06 0 0 0.44" size="0.04"/>
            <body name="wrist1" pos="0 0 0.44">
              <joint name="wrist1"/>
              <geom type="capsule" fromto="0 -0.03 0 0 0.03 0" size="0.035"/>
              <body name="wrist2" pos="0 0 0.09">
                <joint name="wrist2" axis="1 0 0" range="-120 120"/>
                <geom type="capsule" fromto="-0.02 0 0 0.02 0 0" size="0.033"/>
                <body name="hand" pos="0 0 0.09">
                  <joint name="wrist3" axis="0 0 1"/>
                  <geom type="box" size="0.025 0.09 0.03" pos="0 0 0.02"/>
                  <site name="tool" pos="0 0 0.15" euler="0 0 180"/>
                  <camera name="eye" pos="0.07 0 0.03" xyaxes="0 1 0 -1 0 -0.3" fovy="70"/>
                  <body name="left" pos="0 0 0.05">
                    <joint name="left" type="slide" axis="0 1 0" range="0 0.045"/>
                    <geom name="left_tip" type="box" size="0.01 0.006 0.035" pos="0 0.006 0.085"/>
                  </body>
                  <body name="right" pos="0 0 0.05">
                    <joint name="right" type="slide" axis="0 -1 0" range="0 0.045"/>
                    <geom name="right_tip" type="box" size="0.01 0.006 0.035" pos="0 -0.006 0.085"/>
                  </body>
                </body>
              </body>
            </body>
          </body>
        </body>
      </body>
    </body>
  </worldbody>
  <actuator>
    <motor name="pan_motor" joint="pan" gear="100" ctrlrange="-1 1"/>
    <position name="lift_servo" joint="lift" kp="9000" kv="300" forcerange="-150 150"/>
  </actuator>
  <sensor>
    <actuatorfrc actuator="pan_motor"/>
  </sensor>
  <keyframe>
    <key name="zero"/>
  </keyframe>
</mujoco>
"""


def write_six(folder: Path, toml: str = TOML, mjcf: str = MJCF) -> Path:
    """Writes both files to a folder, and returns the path of the description."""
    (folder / "six.xml").write_text(mjcf)
    (folder / "six.toml").write_text(toml)
    return folder / "six.toml"


def started_worlds(
    robot: Robot, task: str = "ToteTransfer", **settings: object
) -> Worlds:
    """One world with the robot whose episode has begun."""
    worlds = Worlds(env_config(task=task, robot=robot, level="L1", **settings))
    worlds.reset([0], [0])
    return worlds


def tcp_pos_w(worlds: Worlds) -> np.ndarray:  # (3,)
    return worlds.engine.view("site_xpos")[0, _tcp_site(worlds)].copy()


def tcp_rotation(worlds: Worlds) -> np.ndarray:  # (3, 3)
    return worlds.engine.view("site_xmat")[0, _tcp_site(worlds)].reshape(3, 3).copy()


def _tcp_site(worlds: Worlds) -> int:
    return int(worlds.model.site(worlds.robot.effectors[0].site).id)


def cup_mjcf() -> str:
    """The arm with a stem in place of its fingers, whose end is 4 mm behind the tool."""
    stem = '<geom name="stem" type="cylinder" size="0.012 0.048" pos="0 0 0.098"/>'
    fingers = re.compile(r'<body name="left".*<body name="right".*?</body>', re.DOTALL)
    return fingers.sub(stem, MJCF).replace("0.025 0.09 0.03", "0.025 0.03 0.03")


def write_cup_six(folder: Path, gripper: str = 'kind = "suction"') -> Path:
    """Writes the arm with a cup, by the keys of its gripper; returns its description."""
    keys = re.compile(r"\[gripper\].*", re.DOTALL)
    toml = keys.sub(f"[gripper]\n{gripper}\n", TOML)
    return write_six(folder, toml, cup_mjcf())
