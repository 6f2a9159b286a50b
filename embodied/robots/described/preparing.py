"""Prepares a user's model to be mounted: only what the robot takes of it is left."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

from embodied.robots.described.base import yaw_axis
from embodied.robots.described.content import file_times_ns
from embodied.robots.described.description import Description
from embodied.robots.described.drawing import delete_visual_meshes
from embodied.robots.described.holding import fix_unnamed_joints
from embodied.robots.described.servos import force_limits, keep_servos
from embodied.robots.described.source import Source, drop_unused_elements, read_source

SOURCES_KEPT = 8  # models in the process's cache; each takes some 10 MB with meshes


def prepared_source(description: Description) -> Source:
    """Returns the model of a description, with only what the robot takes of it.

    Joints outside the arms are fixed, weights are compensated, and actuators, sensors,
    keyframes and lights are gone. A process reads each model once as long as its files
    stay unchanged, since meshes take long to compile. Do not change the result: copy
    its `spec` or `bare`.

    Raises:
        EmbodiedError: as `read_source` does, a joint cannot be held or has no servo of
            the file's, or the base's joints are not those of a base that drives.
    """
    # the home does not change the model; without it, `robot new`, which tries many homes,
    # finds the model in the cache
    return _prepared(_without_homes(description), file_times_ns(description))


@lru_cache(maxsize=SOURCES_KEPT)
def _prepared(description: Description, file_times_ns: tuple[int, ...]) -> Source:
    """Returns the prepared model, from the cache if its files are unchanged.

    Args:
        description: the description, without homes.
        file_times_ns: when its files were last modified. The times are used only as part
            of the cache's key, so changed files are read again.
    """
    source = read_source(description)
    joints = [name for arm in source.arms for name in arm.joints]
    if source.base:
        source.yaw_axis = yaw_axis(source.file_model, source.base, joints)

    # torque limits are read while the actuators that state them still exist
    source.limits = force_limits(source.file_model)
    # then all is deleted except the bodies and the servos to keep
    fix_unnamed_joints(source)
    actuators_before = len(source.spec.actuators)
    keeps_servos = description.servos == "file"
    keep_servos(source.spec, joints if keeps_servos else ())
    source.driven = (*source.base, *(() if keeps_servos else joints))
    deleted = actuators_before - len(source.spec.actuators)
    if deleted:
        source.left_out.append(f"{deleted} actuators")
    drop_unused_elements(source)
    _exclude_contacts(source, description)

    for body in source.spec.bodies:
        body.gravcomp = 1  # the share of its weight that is compensated
    source.bare = source.spec.copy()
    delete_visual_meshes(source.bare, [pad for arm in source.arms for pad in arm.pads])
    return source


def _exclude_contacts(source: Source, description: Description) -> None:
    """Leaves out the contacts of pairs of bodies that the description names."""
    spec = source.spec
    # MuJoCo refuses a pair that is excluded twice
    excluded = {frozenset((pair.bodyname1, pair.bodyname2)) for pair in spec.excludes}
    for first, second in description.exclude:
        pair = frozenset((first, second))
        if pair not in excluded:
            spec.add_exclude(bodyname1=first, bodyname2=second)
            source.left_out.append(f"contacts between {first} and {second}")
            excluded.add(pair)


def _without_homes(description: Description) -> Description:
    """Returns a description in which all joints of the arms start at 0."""
    arms = tuple(replace(arm, home=(0.0,) * len(arm.home)) for arm in description.arm)
    home = (0.0,) * len(description.home)
    return replace(description, home=home, arm=arms)
