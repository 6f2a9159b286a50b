"""The hall around a station: floor with markings, and light."""

from __future__ import annotations

import mujoco

from embodied.envs.props.shapes import paint_box

FLOOR = (0.58, 0.59, 0.58)
MARKING = (0.93, 0.70, 0.13, 1.0)


def add_hall(spec: mujoco.MjSpec) -> None:
    """Adds a floor, a marked work area and two lamps."""
    world = spec.worldbody
    floor = world.add_geom(name="floor", type=mujoco.mjtGeom.mjGEOM_PLANE, size=[4, 4, 0.1])
    floor.rgba = [*FLOOR, 1.0]
    for x, y, half_x, half_y in (
        (0, -1.15, 1.1, 0.03),
        (0, 1.25, 1.1, 0.03),
        (-1.1, 0.05, 0.03, 1.2),
        (1.1, 0.05, 0.03, 1.2),
    ):
        paint_box(world, (x, y, 0.001), (half_x, half_y, 0.001), MARKING)
    spec.visual.headlight.ambient, spec.visual.headlight.diffuse = [0.35] * 3, [0.25] * 3
    spec.visual.headlight.specular = [0.05] * 3
    lamp = world.add_light(name="lamp", pos=[0.6, -0.6, 3.5], dir=[-0.1, 0.2, -1])
    lamp.type = mujoco.mjtLightType.mjLIGHT_DIRECTIONAL
    lamp.diffuse, lamp.specular, lamp.castshadow = [0.55] * 3, [0.1] * 3, True
