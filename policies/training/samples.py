"""Demonstrations in memory, as training needs them: for each plan its pictures and
labels, and what followed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from embodied.core import PHYSICS_HZ
from embodied.datasets.reader import Dataset
from embodied.datasets.schema import IMAGE_SUFFIX, DatasetError, Episode
from embodied.rotations import quat_to_rot6d


@dataclass(frozen=True)
class Samples:
    """k plans out of all episodes of a set; control-rate rows of all episodes lie one
    after the other (T in all).
    """

    frames: Tensor  # (F, cameras, H, W, 3) uint8
    now: Tensor  # (k,) row of `frames` at the plan's time
    then: Tensor  # (k,) row of `frames` a while before
    sentence: Tensor  # (k,) row of `sentences`
    step: Tensor  # (k,) row of the control-rate streams at the plan's time
    # (k,) the same when the plan's picture was taken: its age counts from there
    frame_step: Tensor
    last_step: Tensor  # (k,) last such row of the plan's episode
    subtask: Tensor  # (k,) int64
    goal_pos_w: Tensor  # (k, 3)
    goal_rot6d: Tensor  # (k, 6)
    goal_vel_w: Tensor  # (k, 3)
    gripper: Tensor  # (k,)
    completion: Tensor  # (k,)
    # (k, cameras, 2) row and column of the goal in each picture, in [-1, 1]; nan where
    # unseen
    goal_view: Tensor
    agent_pos: Tensor  # (T, P)
    action: Tensor  # (T, A) as the expert intended it
    sentences: tuple[str, ...]
    control_hz: float

    def __len__(self) -> int:
        return len(self.now)


_LABELS = ("subtask", "goal_pos_w", "goal_rot6d", "goal_vel_w", "gripper", "completion")


Part = list[tuple[Path, list[int]]]  # numbers of episodes in each dataset


def training_episodes(paths: Sequence[Path]) -> tuple[Part, Part]:
    """Episodes to learn from and, of their own masks, episodes to validate on.

    Where a small set has none of the latter, one in ten of the former is kept apart.
    Raises DatasetError for fewer than two demonstrations.
    """
    masks: dict[str, Part] = {"train": [], "valid": []}
    for path in paths:
        with Dataset(path) as dataset:
            for name, part in masks.items():
                part.append((path, list(dataset.mask(name))))
    learn = masks["train"]
    valid = masks["valid"]
    if not any(numbers for _, numbers in valid):
        path, numbers = max(learn, key=lambda entry: len(entry[1]))
        kept = max(1, len(numbers) // 10)
        valid.append((path, numbers[-kept:]))
        del numbers[-kept:]
    if not any(numbers for _, numbers in learn):
        raise DatasetError(
            f"too few successful episodes to learn from in {', '.join(map(str, paths))}"
        )
    return learn, valid


def load_samples(part: Part, cameras: Sequence[str], history_s: float) -> Samples:
    """Reads episodes. Raises DatasetError where a set lacks plans or a camera's
    pictures.
    """
    parts: dict[str, list[np.ndarray]] = {
        f.name: [] for f in fields(Samples) if f.name not in ("sentences", "control_hz")
    }
    sentences: dict[str, int] = {}
    frames = steps = 0
    for path, numbers in part:
        with Dataset(path) as dataset:
            control_hz = float(dataset.header.metadata["config"]["control_hz"])
            poses = dataset.header.metadata.get("camera_poses", {})
            for number in tqdm(
                numbers, desc=f"read {path.name}", leave=False, disable=None
            ):
                episode = dataset.episode(number)
                rows = _episode_rows(path, episode, cameras, history_s)
                rows["goal_view"] = _goal_view(
                    rows["goal_pos_w"], [poses.get(name) for name in cameras]
                )
                rows["now"], rows["then"] = rows["now"] + frames, rows["then"] + frames
                for name in ("step", "frame_step", "last_step"):
                    rows[name] = rows[name] + steps
                said = sentences.setdefault(episode.meta.instruction, len(sentences))
                rows["sentence"] = np.full(len(rows["now"]), said)
                frames = frames + len(rows["frames"])
                steps = steps + len(rows["action"])
                for name, values in rows.items():
                    parts[name].append(values)
    joined = {
        name: torch.from_numpy(np.concatenate(values)) for name, values in parts.items()
    }
    return Samples(**joined, sentences=tuple(sentences), control_hz=control_hz)


def _episode_rows(
    path: Path, episode: Episode, cameras: Sequence[str], history_s: float
) -> dict[str, np.ndarray]:
    missing = [name for name in cameras if f"{name}{IMAGE_SUFFIX}" not in episode.obs]
    if missing or not episode.plans:
        lacks = f"pictures of cameras {missing}" if missing else "plans"
        raise DatasetError(
            f"{path} has no {lacks}; it holds {sorted(episode.obs)}: collect it with them"
        )
    taken = episode.image_tick if episode.image_tick is not None else episode.frame_tick
    agent = episode.streams["agent_pos"]
    action = episode.streams["intended"]
    plans = episode.plans
    tick = plans["tick_frame"]
    step = np.searchsorted(agent.tick, tick, side="right") - 1
    now = np.maximum(np.searchsorted(taken, tick, side="right") - 1, 0)
    labels = {name: plans[name] for name in _LABELS if name != "goal_rot6d"}
    labels["goal_rot6d"] = quat_to_rot6d(plans["goal_quat_wxyz"])
    return {
        "frames": np.stack(
            [episode.obs[f"{name}{IMAGE_SUFFIX}"] for name in cameras], axis=1
        ),
        "now": now,
        "then": np.maximum(
            np.searchsorted(taken, tick - history_s * PHYSICS_HZ, side="right") - 1, 0
        ),
        "step": step,
        "frame_step": np.searchsorted(agent.tick, taken[now], side="right") - 1,
        "last_step": np.full(len(step), len(action.tick) - 1),
        "agent_pos": agent.value.astype(np.float32),
        "action": action.value.astype(np.float32),
        **{
            name: value if name == "subtask" else value.astype(np.float32)
            for name, value in labels.items()
        },
    }


def _goal_view(
    goal_pos_w: np.ndarray, poses: Sequence[dict[str, Any] | None]
) -> np.ndarray:
    """(k, cameras, 2) float32: where goals (k, 3) lie in the pictures of fixed cameras,
    nan where they are not seen.
    """
    view = np.full((len(goal_pos_w), len(poses), 2), np.nan, np.float32)
    for number, pose in enumerate(poses):
        if pose is None:  # a camera that moves
            continue
        # x right, y up
        local = (goal_pos_w - np.asarray(pose["pos_w"])) @ np.asarray(
            pose["mat_w"]
        ).reshape(3, 3)
        reach = -local[:, 2] * np.tan(np.deg2rad(pose["fovy_deg"]) / 2)
        seen = (
            np.stack([-local[:, 1], local[:, 0]], axis=1)
            / np.where(reach > 0, reach, np.nan)[:, None]
        )
        view[:, number] = np.where(
            (np.abs(seen) < 1).all(axis=1, keepdims=True), seen, np.nan
        )
    return view
