"""Visual and collision geoms of a user's model, sorted into MuJoCo's groups."""

from __future__ import annotations

from collections.abc import Collection

import mujoco

from embodied.robots.modelling import COLLISION_GROUP

# The group of sites, which pictures do not show.
SITE_GROUP = 4
SHOWN_GROUPS = 3  # pictures show groups 0, 1 and 2


def hide_sites_and_collision_geoms(spec: mujoco.MjSpec) -> None:
    """Hides sites in pictures, and the collision geoms of bodies with visual geoms.

    A body without visual geoms shows its collision geoms.
    """
    for site in spec.sites:
        site.group = SITE_GROUP

    for body in spec.bodies:
        has_visuals = _has_visuals(body)
        for geom in body.geoms:
            if _collides(geom) and has_visuals:
                geom.group = COLLISION_GROUP
            elif geom.group >= SHOWN_GROUPS and not has_visuals:
                # else the body would be invisible
                geom.group = 0


def delete_visual_meshes(spec: mujoco.MjSpec, kept: Collection[str]) -> None:
    """Deletes visual meshes that make no difference to physics.

    A body keeps its meshes if none of its geoms collides, because the shape of a hand is
    then measured on them, or if MuJoCo may compute its mass from them.

    Args:
        spec: the model.
        kept: names of geoms that stay in any case.
    """
    if (
        spec.compiler.inertiafromgeom
        == mujoco.mjtInertiaFromGeom.mjINERTIAFROMGEOM_TRUE
    ):
        return  # all masses come from the geoms
    for body in spec.bodies:
        geoms = list(body.geoms)
        if not body.explicitinertial or not any(geom.contype for geom in geoms):
            continue
        for geom in geoms:
            is_mesh = geom.type == mujoco.mjtGeom.mjGEOM_MESH
            if is_mesh and not _collides(geom) and geom.name not in kept:
                spec.delete(geom)

    # meshes that no geom uses any more
    used = {geom.meshname for geom in spec.geoms}
    for mesh in list(spec.meshes):
        if mesh.name not in used:
            spec.delete(mesh)


def _has_visuals(body: mujoco.MjsBody) -> bool:
    """Returns whether a body, or a body that carries it without joints, has visual geoms."""
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
