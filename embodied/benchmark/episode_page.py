"""Renders one recorded episode as HTML: pictures, plans and streams on one time axis."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from embodied.benchmark import tracks
from embodied.benchmark.report import environment
from embodied.core import PHYSICS_HZ, SKILLS
from embodied.datasets.reader import Dataset
from embodied.datasets.schema import IMAGE_SUFFIX, DatasetError, Episode, EpisodeMeta
from embodied.files import replace_text
from embodied.rollout.video import Video, encode_jpeg, write_mp4

MIN_PICTURE_PX = 360  # smaller pictures are enlarged by a whole factor
PLAN_ROWS = 3  # plans overlap in time, so they are drawn in alternating rows


@dataclass(frozen=True)
class Track:
    """A chart or a row of bands, with title and legend."""

    title: str
    picture: Markup
    legend: tuple[tuple[int, str], ...] = ()  # (hue in degrees, name)


def write_episode_page(path: Path, dataset: Dataset, number: int) -> None:
    """Writes the page of an episode atomically.

    Args:
        path: the path of the page.
        dataset: the dataset that holds the episode.
        number: the number of the episode in the dataset, from 0.

    Raises:
        DatasetError: the dataset cannot be read.
    """
    replace_text(path, episode_page(dataset, number))


def episode_page(dataset: Dataset, number: int) -> str:
    """Returns the page of an episode as self-contained HTML."""
    episode = dataset.episode(number)
    meta = episode.meta
    cameras = _cameras(episode)
    video = None
    if cameras:
        video = _video(episode, dataset.header.record_hz)

    template = environment().get_template("episode.html.j2")
    return template.render(
        name=dataset.path.name,
        number=number,
        header=dataset.header,
        task=dataset.header.metadata.get("task", "unknown task"),
        robot=dataset.header.metadata.get("robot", "unknown"),
        meta=meta,
        outcome=outcome(meta),
        facts=facts(meta),
        variation=sorted(meta.variation.items()),
        video=video,
        cameras=cameras,
        tracks=_tracks(dataset, episode),
        times=tracks.times(meta.duration_s),
        duration_s=meta.duration_s,
        left_px=tracks.LEFT_PX,
        # the width of the plotting area, between the margins
        room_px=tracks.WIDTH_PX - tracks.LEFT_PX - tracks.RIGHT_PX,
        width_px=tracks.WIDTH_PX,
    )


def write_episode_video(path: Path, dataset: Dataset, number: int) -> int:
    """Writes the pictures of an episode as an MP4, in real time.

    Returns:
        The number of frames.

    Raises:
        DatasetError: the episode has no pictures.
    """
    episode = dataset.episode(number)
    if not _cameras(episode):
        raise DatasetError(
            f"episode {number} of {dataset.path} has no pictures, so there is no video: "
            "record them with embodied collect --camera"
        )
    return write_mp4(path, _pictures(episode), dataset.header.record_hz)


def outcome(meta: EpisodeMeta) -> str:
    """Returns the outcome of an episode in words."""
    if meta.fault:
        return f"ended by the fault {meta.fault}"
    if meta.success:
        return "succeeded"
    if meta.success_once:
        return "had succeeded, but not at its end"
    return f"failed at a progress of {meta.progress_max:.2f}"


def facts(meta: EpisodeMeta) -> list[tuple[str, str]]:
    """Returns the figures of an episode with their units."""
    shown = [
        ("seed", f"{meta.seed}"),
        ("duration", f"{meta.duration_s:.2f} s"),
        ("frames", f"{meta.num_samples}"),
        ("reward, summed", f"{meta.reward_sum:.4g}"),
    ]

    # older files lack some of these, as do episodes without plans or success
    optional = (
        ("time to success", meta.time_to_success_s, "s"),
        ("plan age, mean", meta.mean_plan_age_s, "s"),
        ("contact force, peak", meta.peak_contact_force_n, "N"),
        ("collisions", meta.collisions, ""),
        ("joint margin, least", meta.min_joint_margin_rad, "rad"),
        ("objects dropped, at most at once", meta.dropped, ""),
    )

    for name, value, unit in optional:
        if value is not None:
            shown.append((name, f"{value:.4g} {unit}".rstrip()))
    return shown


def _cameras(episode: Episode) -> list[str]:
    """Returns the names of the cameras whose pictures were recorded."""
    return [
        key.removesuffix(IMAGE_SUFFIX)
        for key in episode.obs
        if key.endswith(IMAGE_SUFFIX)
    ]


def _pictures(episode: Episode) -> Iterator[np.ndarray]:
    """Yields the frames of all cameras side by side, each (H, W, 3) uint8."""
    # (T, H, W, 3) of each camera
    cameras = [episode.obs[f"{name}{IMAGE_SUFFIX}"] for name in _cameras(episode)]
    height = max(images.shape[1] for images in cameras)
    factor = -(-MIN_PICTURE_PX // height)  # rounded up

    for frame in range(len(cameras[0])):
        # pad smaller pictures with black at the bottom
        pictures = []
        for images in cameras:
            missing_rows = height - images.shape[1]
            pictures.append(np.pad(images[frame], ((0, missing_rows), (0, 0), (0, 0))))
        side_by_side = np.concatenate(pictures, axis=1)
        yield side_by_side.repeat(factor, axis=0).repeat(factor, axis=1)


def _video(episode: Episode, fps: int) -> Video:
    """Returns the pictures as a video in real time; the first one is its poster."""
    buffer = io.BytesIO()
    count = write_mp4(buffer, _pictures(episode), fps)
    first = next(_pictures(episode))
    height, width, _ = first.shape
    return Video(
        buffer.getvalue(),
        encode_jpeg(first),
        width,
        height=height,
        duration_s=count / fps,
    )


def _tracks(dataset: Dataset, episode: Episode) -> list[Track]:
    """Returns the tracks of an episode: plans, score, proprioception, commands."""
    duration_s = episode.meta.duration_s
    metadata = dataset.header.metadata
    episode_tracks = []
    if episode.plans:
        episode_tracks += _plan_tracks(episode)

    # progress and reward share a chart
    score = [
        _line(episode, key, name=key, column=0)
        for key in ("progress", "reward")
        if key in episode.streams
    ]
    if score:
        episode_tracks.append(
            _chart_track("Progress and reward, 0 to 1", score, duration_s)
        )

    # names of joints and of action elements; `agent_layout` names the parts of the
    # proprioception and their widths
    joints = _labels(metadata.get("joint_interface"))
    episode_tracks += _proprioception_tracks(
        episode, metadata.get("agent_layout", ()), joints
    )

    # the streams of commands, one line per column
    actions = _labels(metadata.get("action_interface"))
    for key, title, names in (
        ("joint_target", "joint_target, rad and m", joints),
        ("action", "action, as it was done, -1 to 1", actions),
        ("intended", "intended, as the policy wanted it, -1 to 1", actions),
    ):
        if key in episode.streams:
            lines = [
                _line(episode, key, name=_name(names, column), column=column)
                for column in range(_width(episode, key))
            ]
            episode_tracks.append(_chart_track(title, lines, duration_s))
    return episode_tracks


def _proprioception_tracks(
    episode: Episode, layout: Sequence[Any], joints: Sequence[str]
) -> list[Track]:
    """Returns one track for each part of the proprioception.

    Args:
        episode: the episode; without proprioception, its stream `agent_pos`, it has no
            such tracks.
        layout: (part, number of columns) of each part, in order.
        joints: names of the robot's joints.
    """
    key = "agent_pos"
    if key not in episode.streams:
        return []

    # files of other tools may lack a layout that fits: one track then shows all columns
    width = _width(episode, key)
    if sum(part_width for _, part_width in layout) != width:
        layout = [(key, width)]

    episode_tracks = []
    first_column = 0
    for part, part_width in layout:
        names = _part_names(part, part_width, joints)
        lines = [
            _line(episode, key, name, first_column + i) for i, name in enumerate(names)
        ]
        title = f"{part}, {_part_unit(part)}"
        episode_tracks.append(_chart_track(title, lines, episode.meta.duration_s))
        first_column += part_width
    return episode_tracks


def _plan_tracks(episode: Episode) -> list[Track]:
    """Returns two tracks: the subtasks, and the plans from capture to arrival.

    A plan is captured when its planner takes the picture that it plans from.
    """
    plans = episode.plans
    duration_s = episode.meta.duration_s
    # Row indices of plans in the order of their arrival. Times are in ticks of the physics;
    # lost plans, whose tick of arrival is -1, are left out.
    arrived = plans["tick_arrived"]
    arrived_rows = np.flatnonzero(arrived >= 0)
    order = arrived_rows[np.argsort(arrived[arrived_rows], kind="stable")]

    # a plan's subtask is valid until the next plan arrives
    subtasks: list[tracks.Band] = []
    for k, row in enumerate(order):
        kind = int(plans["subtask"][row])
        is_last = k + 1 == len(order)
        stop_s = duration_s if is_last else arrived[order[k + 1]] / PHYSICS_HZ
        start_s = float(arrived[row] / PHYSICS_HZ)
        # a new plan with the same subtask extends the band of the previous plan
        if subtasks and subtasks[-1].kind == kind:
            start_s = subtasks.pop().start_s
        subtasks.append(tracks.Band(start_s, float(stop_s), kind, _skill(kind)))

    # Plans overlap in time, because a plan may be captured before the previous plan has
    # arrived: draw them in several rows.
    in_flight = []
    for row in order:
        # draw a band that would begin before the episode from its start
        start_s = max(int(plans["tick_frame"][row]), 0) / PHYSICS_HZ
        kind = int(plans["subtask"][row])
        label = f"plan {int(plans['seq'][row])} ({_skill(kind)})"
        stop_s = float(arrived[row] / PHYSICS_HZ)
        track_row = int(plans["seq"][row]) % PLAN_ROWS
        in_flight.append(tracks.Band(start_s, stop_s, kind, label, track_row))

    kinds = sorted({band.kind for band in subtasks})
    legend = tuple((tracks.hue(kind), _skill(kind)) for kind in kinds)
    return [
        Track("Subtask", tracks.bands(subtasks, duration_s), legend),
        Track(
            "Plans, from the picture they saw to their arrival",
            tracks.bands(in_flight, duration_s, PLAN_ROWS),
        ),
    ]


def _chart_track(title: str, lines: Sequence[tracks.Line], duration_s: float) -> Track:
    """Returns a track with a line chart; a single line needs no legend."""
    legend: tuple[tuple[int, str], ...] = ()
    if len(lines) > 1:
        legend = tuple((tracks.hue(i), line.name) for i, line in enumerate(lines))
    return Track(title, tracks.chart(lines, duration_s), legend)


def _line(episode: Episode, key: str, name: str, column: int) -> tracks.Line:
    """Returns one column of a stream over time, labelled `name`."""
    stream = episode.streams[key]
    values = stream.value.reshape(len(stream.value), -1)
    return tracks.Line(name, stream.tick / PHYSICS_HZ, values[:, column])


def _width(episode: Episode, key: str) -> int:
    """Returns the number of columns of a stream."""
    value = episode.streams[key].value
    return int(np.prod(value.shape[1:]))


def _labels(interface: Any) -> list[str]:
    """Returns the names of an action interface's columns; [] if there is none."""
    if not interface:
        return []
    return [str(label) for group in interface["groups"] for label in group["labels"]]


def _part_names(part: str, width: int, joints: Sequence[str]) -> list[str]:
    """Returns the names of the columns of one part of the proprioception."""
    if part.startswith("joint_"):
        return [_name(joints, i) for i in range(width)]
    axes = "xyz" if part.endswith("_pos_w") else ""
    return [_name(axes, i) for i in range(width)]


def _name(names: Sequence[str], column: int) -> str:
    """Returns the name of a column, or its number if it has none."""
    return names[column] if column < len(names) else f"{column}"


def _part_unit(part: str) -> str:
    """Returns the unit of one part of the proprioception."""
    units = {"joint_pos": "rad and m", "joint_vel": "rad/s and m/s"}
    return units.get(part, "no unit" if part.endswith("_rot6d") else "m")


def _skill(kind: int) -> str:
    """Returns the name of a subtask; a number if this version does not know it."""
    return SKILLS[kind] if 0 <= kind < len(SKILLS) else f"subtask {kind}"
