"""Export to a dataset of Minari, which is read without its own writer."""

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

MINARI_VERSION = "0.5.4"  # whose format this is
AGENT_KEY = "agent_pos"
DATA_PATH = Path("data") / "main_data.hdf5"
DATASET_NAME = re.compile(r"[A-Za-z0-9_-]+-v[0-9]+")
LIMIT = float(np.finfo(np.float32).max)  # of observations: Minari knows no other


def export_minari(
    selection: Selection,
    episodes: Iterable[SelectedEpisode],
    target: Path,
    resume: bool = False,
) -> None:
    """Writes a selection as a dataset of Minari.

    Minari has an observation after the last action; ours end with it, so the last frame
    is shown twice there.

    Args:
        selection: what to export.
        episodes: those of the selection, loaded with their pictures.
        target: the folder to make. Its name is the dataset's, such as `totes-v0`;
            Minari finds it in the folder that its variable MINARI_DATASETS_PATH names.
        resume: whether to go on with what a killed call has left.

    Raises:
        DatasetError: the name of `target` is none of Minari's, or it exists.
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
        if not path.exists():  # an earlier call may have come so far
            _write_episodes(path, selection, episodes, identity, resume)

        # written last, since it tells the size of the other file
        steps = sum(meta.num_samples for meta in selection.metas)
        metadata = _metadata(selection, target.name, steps, path)
        path.with_name("metadata.json").write_text(json.dumps(metadata))


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.writing")


def _growing_files() -> list[str]:
    """Returns the files that a killed call leaves for the next one."""
    temporary = _temporary(DATA_PATH)
    return [str(each) for each in (DATA_PATH, temporary, undo_path(temporary))]


def _write_episodes(
    path: Path,
    selection: Selection,
    episodes: Iterable[SelectedEpisode],
    identity: list[Any],
    resume: bool,
) -> None:
    """Writes the file of episodes, or what is missing of it."""
    with growing_file(path, _temporary(path), identity, resume) as growing:
        rest = after(episodes, growing.done)
        for first, end in growing.steps(len(selection)):
            with growing.step(end) as new:
                # those of this step, numbered through all steps
                for number, episode in enumerate(islice(rest, end - first), first):
                    group = new.h5.create_group(f"episode_{number}")
                    _write_episode(group, number, episode)
                    new.check()


def _write_episode(group: H5, number: int, episode: SelectedEpisode) -> None:
    """Writes an episode to its group, with one observation more than actions."""
    count = len(episode.actions)
    # one observation more than actions: the last frame once again
    rows = np.append(np.arange(count), count - 1)
    observations = {AGENT_KEY: episode.agent_pos}
    if episode.environment_state.shape[1]:
        observations[STATE_KEY] = episode.environment_state
    for key, values in observations.items():
        group[f"observations/{key}"] = values[rows]
    for name, pictures in {**episode.images, **episode.truth}.items():
        group.create_dataset(
            f"observations/{name}",
            data=pictures[rows],
            chunks=(1, *pictures.shape[1:]),
            compression="gzip",
            compression_opts=1,
        )

    truncations = np.zeros(count, bool)
    truncations[-1] = True
    group["actions"] = episode.actions
    group["rewards"] = episode.rewards.astype(np.float64)
    group["terminations"] = np.zeros(count, bool)
    group["truncations"] = truncations
    group["infos/is_success"] = np.append(episode.success, episode.success[-1])

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
        "action_space": json.dumps(_box((size,), "float32", -1.0, 1.0)),
        "minari_version": MINARI_VERSION,
        "algorithm_name": selection.headers[0].policy,
        "description": f"{metadata.get('task')} by {spec.robot}, {spec.hz} frames per second",
        "requirements": [f"embodied-ground=={version('embodied-ground')}"],
        "dataset_size": round(path.stat().st_size / 1e6, 1),
    }


def _observation_space(spec: FrameSpec) -> Mapping[str, Any]:
    spaces = {AGENT_KEY: _box((len(spec.agent_names),), "float32", -LIMIT, LIMIT)}
    if spec.state_names:
        spaces[STATE_KEY] = _box((len(spec.state_names),), "float32", -LIMIT, LIMIT)
    for camera, size in spec.cameras.items():
        spaces[camera] = _box((*size, 3), "uint8", 0, 255)
    for name, size in spec.truth.items():
        is_depth = name.endswith(DEPTH_SUFFIX)
        dtype = "float32" if is_depth else "uint16"
        high = LIMIT if is_depth else np.iinfo(np.uint16).max
        spaces[name] = _box((*size, 1), dtype, 0, high)
    return {"type": "Dict", "subspaces": spaces}


def _box(shape: tuple[int, ...], dtype: str, low: float, high: float) -> dict[str, Any]:
    """Returns a space of numbers as Minari writes it, with every limit in full."""
    return {
        "type": "Box",
        "dtype": dtype,
        "shape": list(shape),
        "low": np.full(shape, low).tolist(),
        "high": np.full(shape, high).tolist(),
    }
