"""Export to a Minari dataset, written without the Minari package."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from embodied.datasets.export.folders import new_folder
from embodied.datasets.export.frames import FrameSpec, SelectedEpisode
from embodied.datasets.export.selection import STATE_KEY, Selection, after
from embodied.datasets.growing import growing_file, undo_path
from embodied.datasets.schema import DEPTH_SUFFIX, H5, DatasetError

MINARI_VERSION = "0.5.4"  # the version of Minari whose format is written
AGENT_KEY = "agent_pos"
DATA_PATH = Path("data") / "main_data.hdf5"
DATASET_NAME = re.compile(r"[A-Za-z0-9_-]+-v[0-9]+")
# Minari needs limits of the observations. Our observations have no limits, so the largest
# number is used.
LIMIT = float(np.finfo(np.float32).max)


def export_minari(
    selection: Selection,
    episodes: Iterable[SelectedEpisode],
    target: Path,
    resume: bool = False,
) -> None:
    """Writes a selection as a Minari dataset.

    Minari requires an observation after the last action. Our datasets have none, so the
    last observation is written twice.

    Args:
        selection: the episodes to export.
        episodes: the selection's episodes, loaded with images.
        target: the folder to create. The folder's name is the name of the dataset, such
            as `totes-v0`. Minari finds datasets in the folder MINARI_DATASETS_PATH.
        resume: whether to continue a killed call with the same arguments.

    Raises:
        DatasetError: `target` exists, or its name is not valid in Minari.
        WriteError: a file cannot be written.
    """
    if not DATASET_NAME.fullmatch(target.name):
        raise DatasetError(
            f"{target.name} is no name of a dataset of Minari: it ends with -v and a"
            " number, such as totes-v0"
        )

    identity = ["minari", selection.identity]
    with new_folder(target, identity, resume, kept=_growing_files()) as folder:
        path = folder.path / DATA_PATH
        path.parent.mkdir(exist_ok=True)
        # a killed call may have finished the file of episodes
        if not path.exists():
            _write_episodes(path, selection, episodes, identity, resume)

        # written last, since it contains the size of the file of episodes
        steps = sum(meta.num_samples for meta in selection.metas)
        metadata = _metadata(selection, target.name, steps, path)
        path.with_name("metadata.json").write_text(json.dumps(metadata))


def _temporary(path: Path) -> Path:
    """Returns the path at which a file is written, before it is renamed."""
    return path.with_name(f".{path.name}.writing")


def _growing_files() -> list[str]:
    """Returns the names of the files that resuming a killed call needs."""
    temporary = _temporary(DATA_PATH)
    return [str(DATA_PATH), str(temporary), str(undo_path(temporary))]


def _write_episodes(
    path: Path,
    selection: Selection,
    episodes: Iterable[SelectedEpisode],
    identity: list[Any],
    resume: bool,
) -> None:
    """Writes the file of episodes, or completes the file of a killed call.

    Args:
        path: the path of the file.
        selection: the episodes to export.
        episodes: the selection's episodes, loaded with images.
        identity: see `growing_file`.
        resume: whether to continue a killed call.
    """
    with growing_file(path, _temporary(path), identity, resume) as growing:
        remaining = after(episodes, growing.done)
        for first, end in growing.steps(len(selection)):
            with growing.step(end) as new:
                episodes_of_step = islice(remaining, end - first)
                for number, episode in enumerate(episodes_of_step, start=first):
                    group = new.h5.create_group(f"episode_{number}")
                    _write_episode(group, number, episode)
                    new.check()


def _write_episode(group: H5, number: int, episode: SelectedEpisode) -> None:
    """Writes an episode to a group of Minari's HDF5 file.

    Args:
        group: the new group of the episode.
        number: the number of the episode in the export.
        episode: the episode to write.
    """
    count = len(episode.actions)
    # Minari needs one observation more than actions, so the last observation is repeated
    rows = np.append(np.arange(count), count - 1)
    observations = {AGENT_KEY: episode.agent_pos}
    if episode.environment_state.shape[1]:
        observations[STATE_KEY] = episode.environment_state
    stored = group.create_group("observations")
    for key, values in observations.items():
        stored[key] = values[rows]
    # one image per chunk, so that any image is found with a single read
    for name, pictures in {**episode.images, **episode.truth}.items():
        stored.create_dataset(
            name,
            data=pictures[rows],
            chunks=(1, *pictures.shape[1:]),
            compression="gzip",
            compression_opts=1,
        )

    # recordings end by truncation: the state after them still has a value
    truncations = np.zeros(count, bool)
    truncations[-1] = True
    group["actions"] = episode.actions
    group["rewards"] = episode.rewards.astype(np.float64)
    group["terminations"] = np.zeros(count, bool)
    group["truncations"] = truncations
    infos = group.create_group("infos")
    infos["is_success"] = np.append(episode.success, episode.success[-1])

    # the attributes that Minari expects, and the instruction
    group.attrs["id"] = number
    group.attrs["total_steps"] = count
    group.attrs["seed"] = episode.meta.seed
    group.attrs["instruction"] = episode.meta.instruction
    rewards = episode.rewards
    group.attrs["rewards_sum"] = float(rewards.sum())
    group.attrs["rewards_max"] = float(rewards.max())
    group.attrs["rewards_min"] = float(rewards.min())
    group.attrs["rewards_mean"] = float(rewards.mean())
    group.attrs["rewards_std"] = float(rewards.std())


def _metadata(
    selection: Selection, name: str, steps: int, path: Path
) -> dict[str, Any]:
    """Returns the content of `metadata.json`.

    Args:
        selection: the exported episodes.
        name: the name of the dataset.
        steps: the number of actions in all episodes.
        path: the path of the file of episodes.
    """
    spec = selection.spec
    metadata = selection.headers[0].metadata
    size = len(spec.action_names)

    return {
        "dataset_id": name,
        "total_episodes": len(selection),
        "total_steps": steps,
        "data_format": "hdf5",
        "jpeg_encoding": False,
        "observation_space": json.dumps(_observation_space(spec)),
        "action_space": json.dumps(_box((size,), "float32", low=-1.0, high=1.0)),
        "minari_version": MINARI_VERSION,
        "algorithm_name": selection.headers[0].policy,
        "description": f"{metadata.get('task')} by {spec.robot}, {spec.hz} frames per second",
        "requirements": [f"embodied-ground=={version('embodied-ground')}"],
        "dataset_size": round(path.stat().st_size / 1e6, 1),  # MB
    }


def _observation_space(spec: FrameSpec) -> Mapping[str, Any]:
    """Returns the observation space in Minari's JSON form."""
    # vectors
    agent_shape = (len(spec.agent_names),)
    spaces = {AGENT_KEY: _box(agent_shape, "float32", low=-LIMIT, high=LIMIT)}
    if spec.state_names:
        state_shape = (len(spec.state_names),)
        spaces[STATE_KEY] = _box(state_shape, "float32", low=-LIMIT, high=LIMIT)

    # pictures, depth, and ids of segmentation
    for camera, size in spec.cameras.items():
        spaces[camera] = _box((*size, 3), "uint8", low=0, high=255)
    for name, size in spec.truth.items():
        is_depth = name.endswith(DEPTH_SUFFIX)
        dtype = "float32" if is_depth else "uint16"
        high = LIMIT if is_depth else np.iinfo(np.uint16).max
        spaces[name] = _box((*size, 1), dtype, low=0, high=high)
    return {"type": "Dict", "subspaces": spaces}


def _box(shape: tuple[int, ...], dtype: str, low: float, high: float) -> dict[str, Any]:
    """Returns a Gymnasium `Box` in Minari's JSON form, with a limit per element."""
    return {
        "type": "Box",
        "dtype": dtype,
        "shape": list(shape),
        "low": np.full(shape, low).tolist(),
        "high": np.full(shape, high).tolist(),
    }
