"""Renders a picture of a described robot: at home, and its hand open and closed."""

from __future__ import annotations

import io
from pathlib import Path

import mujoco
import numpy as np
from PIL import Image

from embodied.files import replace_bytes
from embodied.robots.described.robot import Reading
from embodied.robots.modelling import add_frame_at_site
from embodied.robots.parts.suction import SuctionGripper
from embodied.sim.contexts import RenderContext
from embodied.sim.physics import apply_defaults

SIZE = 480  # height and width of each of the pictures, pixels
AXIS_M = 0.06
AXIS_RADIUS_M = 0.002
# the colours of the axes x, y and z
AXIS_RGBA = ((0.9, 0.1, 0.1, 1), (0.1, 0.7, 0.1, 1), (0.1, 0.2, 0.9, 1))
SETTLING_S = 1.5  # time for the gripper to open or close
# The robot is seen from 2.2 times its reach, the hand from half a metre.
CAMERA_DISTANCE_PER_REACH = 2.2
HAND_DISTANCE_M = 0.5
# MuJoCo's size of shadow maps in pixels, and number of samples per pixel.
QUALITY = {"shadowsize": 2048, "offsamples": 4}


def write_portrait(reading: Reading, path: Path) -> None:
    """Writes a PNG: the robot at home, its first hand open, and closed.

    A cup looks the same open and closed, and is shown once.

    Raises:
        RenderingError: no picture can be made on this machine.
        WriteError: the file cannot be written.
    """
    model = _scene(reading)
    data = mujoco.MjData(model)
    mujoco.mj_resetDataKeyframe(model, data, 0)
    mujoco.mj_forward(model, data)
    robot = reading.robot
    tcp = model.site(robot.effectors[0].site).id
    gripper = robot.grippers[0]
    actuator = model.actuator(gripper.name).id

    context = RenderContext(model, SIZE, SIZE, QUALITY)
    try:
        # the robot, centred between its tcp and its base
        middle = (data.site_xpos[tcp] + data.body(robot.base.root_body).xpos) / 2
        distance_m = CAMERA_DISTANCE_PER_REACH * robot.arms[0].reach_m
        pictures = [_picture(context, data, middle, distance_m)]

        # its hand, open and closed
        targets = [gripper.open_target]
        if not isinstance(gripper, SuctionGripper):
            targets.append(0.0)  # width of the closed gripper, m
        for target in targets:
            data.ctrl[actuator] = target
            mujoco.mj_step(model, data, int(SETTLING_S / model.opt.timestep))
            tcp_w = data.site_xpos[tcp]
            pictures.append(_picture(context, data, tcp_w, HAND_DISTANCE_M))
    finally:
        context.close()

    buffer = io.BytesIO()
    Image.fromarray(np.concatenate(pictures, axis=1)).save(buffer, format="PNG")
    replace_bytes(path, buffer.getvalue())


def _scene(reading: Reading) -> mujoco.MjModel:
    """Returns the robot on a lit floor, with the axes of each tcp drawn."""
    spec = reading.robot.build()
    apply_defaults(spec)
    spec.visual.global_.offwidth = SIZE
    spec.visual.global_.offheight = SIZE
    spec.visual.headlight.ambient = (0.35, 0.35, 0.35)

    # a bright floor and sky; the floor is only seen, so it does not collide
    spec.add_texture(
        name="sky",
        type=mujoco.mjtTexture.mjTEXTURE_SKYBOX,
        builtin=mujoco.mjtBuiltin.mjBUILTIN_GRADIENT,
        rgb1=(0.93, 0.95, 0.97),
        rgb2=(0.75, 0.80, 0.85),
        width=64,
        height=384,
    )
    spec.worldbody.add_light(pos=(1, -1, 3), dir=(-0.3, 0.3, -1))
    spec.worldbody.add_geom(
        type=mujoco.mjtGeom.mjGEOM_PLANE,
        size=(3, 3, 0.1),
        rgba=(0.85, 0.87, 0.89, 1),
        contype=0,
        conaffinity=0,
    )

    # a capsule along each axis of the tcp, in the axis's colour
    for effector in reading.robot.effectors:
        site = spec.site(effector.site)
        frame = add_frame_at_site(spec, site)
        for axis, rgba in zip(np.eye(3), AXIS_RGBA, strict=True):
            geom = site.parent.add_geom(
                type=mujoco.mjtGeom.mjGEOM_CAPSULE,
                fromto=(0, 0, 0, *(AXIS_M * axis)),
                size=(AXIS_RADIUS_M, 0, 0),
                rgba=rgba,
                material="",  # the file's default material would hide the colour
                contype=0,
                conaffinity=0,
                mass=0,
            )
            geom.set_frame(frame)

    return spec.compile()


def _picture(
    context: RenderContext, data: mujoco.MjData, middle: np.ndarray, distance_m: float
) -> np.ndarray:
    """Returns a picture (SIZE, SIZE, 3), uint8, centred on a point `middle` (3,) in m.

    The camera looks from the front right of the robot, slightly downwards.
    """
    camera = mujoco.MjvCamera()
    camera.lookat = middle
    camera.distance = distance_m
    camera.azimuth = 150
    camera.elevation = -15
    with context.current() as renderer:
        renderer.update_scene(data, camera)
        return renderer.render().copy()
