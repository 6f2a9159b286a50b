"""The checked entries of a LeRobotDataset's `meta/info.json`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from embodied.datasets.export.lerobot_features import ACTION, IMAGES, STATE
from embodied.datasets.importing.foreign import whole_rate
from embodied.datasets.schema import DatasetError
from embodied.names import is_name

# A vector or image with a longer axis than this is taken for damage.
LONGEST_AXIS = 10**5


def checked_features(folder: Path, info: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the features whose names and shapes are safe to use, by name.

    Args:
        folder: the folder of the dataset.
        info: the content of `info.json`.

    Raises:
        DatasetError: the dataset's version cannot be read, or a required feature is
            missing.
    """
    version = str(info.get("codebase_version"))
    if not version.startswith("v3."):
        raise DatasetError(
            f"{folder} is a LeRobot dataset of version {version}; v3.0 is read. LeRobot"
            " converts older ones: python -m lerobot.scripts.convert_dataset_v21_to_v30"
        )
    features = info.get("features")
    if not isinstance(features, dict):
        raise DatasetError(f"{folder}/meta/info.json has no features")

    # features with odd names or shapes are left out, unless they are needed
    usable = {
        name: feature for name, feature in features.items() if _is_usable(name, feature)
    }
    for name in (STATE, ACTION):
        if name not in usable:
            raise DatasetError(
                f"{folder} has no {name}; its features are {', '.join(features)}"
            )
    return usable


def _is_usable(name: str, feature: Any) -> bool:
    """Returns whether a feature has a shape, and a name that is safe in a path."""
    shape = feature.get("shape") if isinstance(feature, dict) else None
    if not isinstance(shape, list) or not shape:
        return False
    # `isinstance` would also accept True and False, which are ints
    is_sound_shape = all(
        type(length) is int and 0 < length <= LONGEST_AXIS for length in shape
    )
    return is_sound_shape and all(is_name(part) for part in name.split("."))


def colour_cameras(features: Mapping[str, Any]) -> dict[str, str]:
    """Returns the name of each camera -> the name of the feature with its colour images."""
    cameras = {}
    for name, feature in features.items():
        has_images = feature.get("dtype") in ("image", "video")
        is_depth = bool((feature.get("info") or {}).get("video.is_depth_map"))
        is_colour = feature["shape"][2:] == [3]  # (H, W, 3)
        if has_images and is_colour and not is_depth:
            # `observation.images.front.left` is the camera `front_left`
            camera = name.removeprefix(IMAGES).removeprefix("observation.")
            cameras[camera.replace(".", "_")] = name
    return cameras


def frame_rate(folder: Path, info: Mapping[str, Any]) -> int:
    """Returns frames per second; raises DatasetError unless it is a whole number."""
    rate = whole_rate(info.get("fps"))
    if rate is None:
        raise DatasetError(
            f"{folder}: fps is {info.get('fps')!r}, but must be a whole number"
        )
    return rate
