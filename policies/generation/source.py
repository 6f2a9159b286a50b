"""Reads the source: the dataset from whose demonstrations others are generated."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Literal

import numpy as np

from embodied.core import Layout
from embodied.datasets.playing import one_per_world, play
from embodied.datasets.reader import Dataset
from embodied.datasets.replay import changes, replay_config
from embodied.datasets.schema import Episode
from embodied.envs.config import EnvConfig
from embodied.envs.objects import Objects
from embodied.envs.registry import get_task, task_names
from embodied.envs.worlds import Worlds
from embodied.errors import EmbodiedError, unknown
from embodied.policies.generation.library import Library, segment_library
from embodied.policies.generation.motion import Motion, ObjectPath
from embodied.policies.generation.segments import find_segments
from embodied.robots.mount import MountPose
from embodied.rotations import quat_from_rot6d
from embodied.wording import counted

# How the segments of a demonstration are found: from its recorded plans, or from the width
# of the gripper (see `segments`).
Finding = Literal["plans", "gripper"]
FINDINGS = ("plans", "gripper")
# The number of demonstrations that are played at once.
BATCH = 16


def source_config(path: Path, robot: str | None) -> EnvConfig:
    """Returns the config of the worlds in which a source was recorded.

    Args:
        path: the path of the source.
        robot: the robot, by name or file, to generate demonstrations with; None for the
            robot of the source.

    Raises:
        EmbodiedError: the source has no successes, cannot be played, or is of another
            robot; or demonstrations cannot be generated for its task or robot.
    """
    with Dataset(path) as dataset:
        metadata = dataset.header.metadata
        successes = sum(meta.success for meta in dataset.episodes)
        count = len(dataset)
    if not successes:
        raise EmbodiedError(
            f"none of {counted(count, 'episode')} of {path} succeeded, so there is nothing to "
            "generate from: collect or keep at least one that did"
        )

    recorded_name = str(metadata.get("robot"))
    config = replay_config(metadata, robot)
    task_objects(config.task)  # raises if the task declares no objects
    with closing(Worlds(config)) as worlds:
        name = worlds.robot.name
        effectors = len(worlds.robot.effectors)
    if name != recorded_name:
        raise EmbodiedError(
            f"{path} has paths of the robot {recorded_name}, which {name} cannot "
            f"follow: leave out --robot, or collect a source with {name}"
        )
    if effectors != 1:
        raise EmbodiedError(
            f"robot {name} has {effectors} effectors; demonstrations are generated for "
            "robots with one"
        )
    return config


def task_objects(task: str) -> Objects:
    """Returns the objects of a task's subtasks.

    Raises:
        EmbodiedError: there is no such task, or it declares no objects.
    """
    objects = get_task(task).objects
    if objects is None:
        with_objects = [
            name for name in task_names() if get_task(name).objects is not None
        ]
        raise EmbodiedError(
            f"task {task} declares no objects of its subtasks, so no demonstrations can "
            f"be generated for it (`objects` of its TaskSpec); tasks that do: "
            f"{', '.join(with_objects)}"
        )
    return objects


def read_library(
    path: Path,
    config: EnvConfig,
    finding: Finding | None,
    on_read: Callable[[int], None],
) -> Library:
    """Returns the segments of all successful demonstrations of a file.

    The demonstrations are replayed, because the file need not hold the poses of the objects
    at every control step.

    Args:
        path: the path of the source.
        config: the config that `source_config` returned.
        finding: how segments are found; None for "plans" if all successful episodes have
            plans, else "gripper".
        on_read: a function that is called after each batch with its number of
            demonstrations.

    Raises:
        EmbodiedError: the replay of a demonstration differs from its recording, or
            `finding` is "plans" and an episode has no plans.
    """
    with Dataset(path) as dataset:
        metas = dataset.episodes
        numbers = [number for number, meta in enumerate(metas) if meta.success]
        has_plans = all("plans/seq" in dataset.keys(number) for number in numbers)
        if finding == "plans" and not has_plans:
            raise EmbodiedError(
                f"{path} has episodes without plans: leave out --segments plans, and "
                "segments are found by the gripper"
            )
        by_plans = has_plans if finding is None else finding == "plans"

        # replay the demonstrations in batches, one demonstration per world
        motions: list[Motion] = []
        with closing(Worlds(config, min(BATCH, len(numbers)))) as worlds:
            for first in range(0, len(numbers), worlds.num_worlds):
                batch = numbers[first : first + worlds.num_worlds]
                motions += _replayed_motions(dataset, worlds, batch)
                on_read(len(batch))
    objects = task_objects(config.task)
    return segment_library(
        [(motion, find_segments(motion, objects, by_plans)) for motion in motions]
    )


def _replayed_motions(
    dataset: Dataset, worlds: Worlds, numbers: Sequence[int]
) -> list[Motion]:
    """Replays demonstrations, at most one in each world; returns their motions."""
    episodes = [dataset.episode(number, images=False) for number in numbers]
    # worlds without a demonstration replay the first one, too
    states: list[np.ndarray] = []  # (N, S) the privileged state after each step
    for step in play(worlds, one_per_world(worlds, episodes)):
        states.append(np.array(worlds.task.state()))

        # if the replay differs, the objects' poses differ from those in the recording, too
        differing = np.flatnonzero(step.differs[: len(numbers)])
        if len(differing):
            recorded = dataset.header.metadata
            causes = "; ".join(changes(recorded, worlds.metadata()))
            raise EmbodiedError(
                f"the replay of episode {numbers[differing[0]]} of {dataset.path} differs "
                "from its recording, so the poses of its objects are not known "
                f"({causes or 'another CPU'}): collect it again with this version"
            )

    # A step begins with the state at the end of the step before. The state before the
    # first step is not known; the state after the first step is used instead.
    all_states = np.stack([states[0], *states[:-1]])  # (T, N, S)
    return [
        _motion(worlds, number, episodes[world], states=all_states[:, world])
        for world, number in enumerate(numbers)
    ]


def _motion(
    worlds: Worlds, number: int, episode: Episode, states: np.ndarray
) -> Motion:
    """Returns the motion of hand and objects in a demonstration.

    Args:
        worlds: the worlds in which the episode was played.
        number: the number of the episode in its file.
        episode: the episode with its streams.
        states: (T or more, S) the privileged state at the episode's T steps; further rows
            are ignored. They exist if the batch has longer episodes.
    """
    agent = np.asarray(episode.streams["agent_pos"].value, np.float64)
    effector = worlds.robot.effectors[0]
    slices = worlds.agent_layout.slices()

    # the hand is the robot's first effector, with the first gripper
    width_slice = slices[gripper_width_part(worlds.agent_layout)]
    quat = quat_from_rot6d(agent[:, slices[f"{effector.name}_rot6d"]])

    return Motion(
        episode=number,
        dt_s=1 / worlds.config.control_hz,
        hand_pos_w=agent[:, slices[f"{effector.name}_pos_w"]],
        hand_quat_wxyz=quat,
        width_m=agent[:, width_slice][:, 0],
        grip=_gripper_commands(worlds, episode),
        mount=MountPose(worlds.robot, worlds.agent_layout).read(agent),
        objects=_object_paths(worlds, states[: len(agent)]),
        plans=_plans_at_steps(episode),
    )


def gripper_width_part(layout: Layout) -> str:
    """Returns the name of the entry with the first gripper's width, in proprioception."""
    return next(name for name, _ in layout.parts if name.endswith("gripper_width"))


def _gripper_commands(worlds: Worlds, episode: Episode) -> np.ndarray:
    """Returns the commands (T,) of the gripper, from the recorded actions."""
    element = worlds.interface.gripper_elements[0]
    return np.asarray(episode.streams["action"].value[:, element], np.float64)


def _object_paths(worlds: Worlds, states: np.ndarray) -> dict[str, ObjectPath]:
    """Returns the paths of the task's objects by name, from privileged states (T, S)."""
    objects = task_objects(worlds.spec.name)
    slices = worlds.state_layout.slices()
    state_entries = {name: states[:, columns] for name, columns in slices.items()}
    paths = {}
    for name, pose in objects.poses(np, state_entries).items():
        quat = pose.quat_wxyz
        if quat is None:  # an object whose rotation does not matter: identity
            quat = np.tile([1.0, 0.0, 0.0, 0.0], (len(states), 1))
        # traits, such as a size, are the same at all steps
        traits = np.zeros(0) if pose.traits is None else pose.traits[0]
        paths[name] = ObjectPath(np.asarray(pose.pos_w), np.asarray(quat), traits)
    return paths


def _plans_at_steps(episode: Episode) -> Mapping[str, np.ndarray]:
    """Returns the plan that was followed at each of T steps, name -> (T, ...).

    The result is empty if the episode has no plans.
    """
    if not episode.plans:
        return {}
    arrived = episode.plans["tick_arrived"]  # -1 for lost plans
    delivered = np.flatnonzero(arrived >= 0)
    ticks = episode.streams["action"].tick  # (T,)
    # the last plan that arrived by each tick; before the first arrival, where the index is
    # -1, the first plan
    newest = np.searchsorted(arrived[delivered], ticks, side="right") - 1
    rows = delivered[np.maximum(newest, 0)]
    return {name: values[rows] for name, values in episode.plans.items()}


def check_finding(finding: str | None) -> None:
    """Raises EmbodiedError for an unknown way to find segments."""
    if finding is not None and finding not in FINDINGS:
        raise unknown("way to find segments", finding, FINDINGS)
