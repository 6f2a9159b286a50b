"""Export to a robomimic file, with chosen keys at a chosen rate."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from embodied.core import Layout
from embodied.datasets.export.frames import SelectedEpisode
from embodied.datasets.export.selection import STATE_KEY, Selection, after
from embodied.datasets.export.source_notes import episode_note, header_note
from embodied.datasets.growing import growing_file
from embodied.datasets.masks import default_masks
from embodied.datasets.schema import (
    H5,
    IMAGE_SUFFIX,
    DatasetError,
    is_picture_key,
    to_json,
)
from embodied.datasets.storage import write_masks
from embodied.errors import unknown

AGENT_KEY = "agent_pos"
NOTES_GROUP = "embodied"  # a group with our notes, which robomimic ignores
NOTE = "note"  # the attribute of this group and of each demo that holds a note as JSON


@dataclass(frozen=True)
class _Part:
    """A named part of a vector."""

    vector: str  # the key of the vector, such as `agent_pos`
    elements: slice  # the elements of the vector that form the part


def export_robomimic(
    selection: Selection,
    episodes: Iterable[SelectedEpisode],
    target: Path,
    keys: Sequence[str] | None = None,
    resume: bool = False,
) -> None:
    """Writes a selection as a robomimic file.

    Args:
        selection: the episodes to export, all of one environment.
        episodes: the selection's episodes, loaded with images.
        target: the file to create.
        keys: the names of the observations to write below `obs`: `agent_pos`,
            `environment_state`, `<camera>_image`, `<camera>_depth` in m,
            `<camera>_segmentation`, or a part of the first two, such as `tcp_pos_w`. By
            default all arrays, but no parts.
        resume: whether to continue a killed call with the same arguments.

    Raises:
        DatasetError: `target` exists, or the files have different environments.
        EmbodiedError: there is no such key.
        WriteError: the file cannot be written.
    """
    if target.exists():
        raise DatasetError(f"{target} exists; choose another name after -o")
    env_args = _common_env_args(selection)
    parts = _parts(selection)
    obs_keys = _obs_keys(selection, parts, keys)

    metas = selection.metas
    temporary = target.with_name(f".{target.name}.writing")
    identity = ["robomimic", selection.identity, obs_keys]
    with growing_file(target, temporary, identity, resume) as growing:
        remaining = after(episodes, growing.done)
        for first, end in growing.steps(len(metas)):
            with growing.step(end) as new:
                # the first step writes the header, the last one the masks
                if first == 0:
                    _write_header(new.h5, selection, env_args)
                data = new.h5["data"]
                episodes_of_step = islice(remaining, end - first)
                for number, episode in enumerate(episodes_of_step, start=first):
                    demo = data.create_group(f"demo_{number}")
                    observations = _observations(episode, parts, obs_keys)
                    _write_demo(demo, episode, observations)
                    new.check()
                if end == len(metas):
                    data.attrs["total"] = sum(meta.num_samples for meta in metas)
                    write_masks(new.h5, default_masks(metas))


def _write_header(file: H5, selection: Selection, env_args: str) -> None:
    """Writes the environment, and our notes on the exported files, to a new file.

    Args:
        file: the new file.
        selection: the episodes to export.
        env_args: the environment, as JSON text in robomimic's form.
    """
    file.create_group("data").attrs["env_args"] = env_args
    sources = [header_note(header) for header in selection.headers]
    notes = file.create_group(NOTES_GROUP)
    notes.attrs[NOTE] = json.dumps({"sources": sources})


def _common_env_args(selection: Selection) -> str:
    """Returns the environment of all files as JSON, at the frame rate of the export.

    Raises:
        DatasetError: the files have different environments.
    """
    environments = []
    for header in selection.headers:
        at_rate = replace(header, record_hz=selection.spec.hz)
        environments.append(to_json(at_rate.env_args))
    for path, other in zip(selection.paths, environments, strict=True):
        if other != environments[0]:
            raise DatasetError(
                f"{selection.paths[0]} and {path} are of different environments, and a"
                " file of robomimic names only one: export them one by one"
            )
    return environments[0]


def _parts(selection: Selection) -> dict[str, _Part]:
    """Returns name -> part, for the parts of proprioception and privileged state."""
    parts = {}
    metadata = selection.headers[0].metadata
    # vector -> the entry of the metadata with its parts
    vectors = {AGENT_KEY: "agent_layout"}
    if selection.spec.state_names:
        vectors[STATE_KEY] = "state_layout"
    for vector, layout in vectors.items():
        widths = tuple((name, width) for name, width in metadata.get(layout, ()))
        for name, elements in Layout(widths).slices().items():
            parts[name] = _Part(vector, elements)
    return parts


def _obs_keys(
    selection: Selection, parts: Mapping[str, _Part], keys: Sequence[str] | None
) -> list[str]:
    """Returns the keys to write below `obs`.

    Args:
        selection: the episodes to export.
        parts: the parts of the vectors, by name.
        keys: the user's choice; None for all whole arrays, without parts.

    Raises:
        EmbodiedError: there is no such key; lists the existing keys.
    """
    whole_arrays = [AGENT_KEY]
    if selection.spec.state_names:
        whole_arrays.append(STATE_KEY)
    whole_arrays += [camera + IMAGE_SUFFIX for camera in selection.spec.cameras]
    whole_arrays += selection.spec.truth
    if keys is None:
        return whole_arrays

    for key in keys:
        if key not in whole_arrays and key not in parts:
            raise unknown("key", key, [*whole_arrays, *parts])
    return list(dict.fromkeys(keys))


def _observations(
    episode: SelectedEpisode, parts: Mapping[str, _Part], keys: Sequence[str]
) -> dict[str, np.ndarray]:
    """Returns key -> (F, ...) the arrays to write below `obs`.

    Args:
        episode: the episode to export.
        parts: the parts of the vectors, by name.
        keys: the keys to write.
    """
    arrays = {AGENT_KEY: episode.agent_pos, STATE_KEY: episode.environment_state}
    for camera, rows in episode.images.items():
        arrays[camera + IMAGE_SUFFIX] = rows
    arrays |= episode.truth

    # a key names a whole array, or a part of a vector
    observations = {}
    for key in keys:
        if key in arrays:
            observations[key] = arrays[key]
        else:
            part = parts[key]
            observations[key] = arrays[part.vector][:, part.elements]

    return observations


def _write_demo(
    demo: H5, episode: SelectedEpisode, observations: Mapping[str, np.ndarray]
) -> None:
    """Writes an episode to its group of robomimic's file.

    Args:
        demo: the new group of the episode.
        episode: the episode to write.
        observations: the arrays (F, ...) to write below `obs`, by key.
    """
    obs = demo.create_group("obs")
    for key, rows in observations.items():
        options: dict[str, Any] = {}
        if is_picture_key(key):
            # one image per chunk, so that any image is found with a single read
            options = {"chunks": (1, *rows.shape[1:]), "compression": "gzip"}
            options["compression_opts"] = 1
        obs.create_dataset(key, data=rows, **options)

    # the arrays beside `obs`; `success` is ours, and robomimic ignores it
    dones = np.zeros(len(episode.actions), np.uint8)
    dones[-1] = 1
    demo["actions"] = episode.actions
    demo["rewards"] = episode.rewards
    demo["dones"] = dones
    demo["states"] = episode.states
    demo["success"] = episode.success.astype(np.uint8)

    demo.attrs["ep_meta"] = json.dumps({"lang": episode.meta.instruction})
    demo.attrs[NOTE] = json.dumps(episode_note(episode))
    demo.attrs["num_samples"] = len(episode.actions)
