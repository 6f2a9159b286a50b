"""What pictures show of a user's model."""

from __future__ import annotations

import mujoco

from embodied.robots.modelling import COLLISION_GROUP

# Of sites: no picture shows them.
SITE_GROUP = 4
SHOWN_GROUPS = 3  # groups 0, 1 and 2 are drawn


def draw_only_what_is_seen(spec: mujoco.MjSpec) -> None:
    """Keeps sites, and collision shapes that have visual ones over them, from pictures."""
    for site in spec.sites:
        site.group = SITE_GROUP

    for body in spec.bodies:
        is_clad = _has_visuals(body)
        for geom in body.geoms:
            if _collides(geom) and is_clad:
                geom.group = COLLISION_GROUP
            elif geom.group >= SHOWN_GROUPS and not is_clad:
                # a body that would not be seen at all
                geom.group = 0


def _has_visuals(body: mujoco.MjsBody) -> bool:
    """Returns whether a body, or one that it is rigidly part of, has visual shapes."""
    while body.name != "world":
        for geom in body.geoms:
            if not _collides(geom) and geom.group < SHOWN_GROUPS:
                return True
        if body.joints:
            return False
        body = body.parent
    return False


def _collides(geom: mujoco.MjsGeom) -> bool:
    return bool(geom.contype or geom.conaffinity)
