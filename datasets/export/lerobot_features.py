"""The features (columns) of a LeRobot dataset: their names, types and shapes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from embodied.datasets.export.frames import FrameSpec
from embodied.datasets.export.video_files import video_info

# How images are stored: as videos, as PNG files in the tables, or not at all.
Pictures = Literal["video", "image", "none"]

STATE = "observation.state"
ENVIRONMENT_STATE = "observation.environment_state"
IMAGES = "observation.images."
ACTION = "action"
REWARD = "next.reward"
DONE = "next.done"
SUCCESS = "next.success"
LANGUAGE = "language_persistent"
LANGUAGE_EVENTS = "language_events"
# GR00T's columns of sentences, which hold numbers in the table of tasks
DESCRIPTION = "annotation.human.action.task_description"
SUBTASK = "annotation.human.action.subtask"

# Columns of counters that every LeRobot dataset has.
COUNTERS = ("frame_index", "episode_index", "index", "task_index")


def lerobot_features(
    spec: FrameSpec, pictures: Pictures, subtasks: bool
) -> dict[str, dict[str, Any]]:
    """Returns the entry `features` of `info.json`: the description of each column, by name.

    Args:
        spec: the arrays of a frame.
        pictures: how images are stored.
        subtasks: whether there are language columns.
    """
    # what the policy observes
    features = {STATE: _vector(spec.agent_names)}
    if spec.state_names:
        features[ENVIRONMENT_STATE] = _vector(spec.state_names)
    if pictures != "none":
        for camera, size in spec.cameras.items():
            features[IMAGES + camera] = _picture(spec.hz, size, pictures)

    # its action, the outcome of the action, and the subtasks
    features[ACTION] = _vector(spec.action_names)
    features[REWARD] = _scalar("float32")
    features[DONE] = _scalar("bool")
    features[SUCCESS] = _scalar("bool")
    if subtasks:
        features[LANGUAGE] = _scalar("language")
        features[LANGUAGE_EVENTS] = _scalar("language")

    # the columns that every LeRobot dataset has
    features["timestamp"] = _scalar("float32")
    for name in COUNTERS:
        features[name] = _scalar("int64")
    return features


def with_annotations(
    features: Mapping[str, dict[str, Any]], subtasks: bool
) -> dict[str, dict[str, Any]]:
    """Returns features with GR00T's columns of sentences added.

    Args:
        features: the features of LeRobot.
        subtasks: whether to add a column of subtasks, too.
    """
    annotated = {**features, DESCRIPTION: _scalar("int64")}
    if subtasks:
        annotated[SUBTASK] = _scalar("int64")
    return annotated


def arrow_schema(pa: Any, features: Mapping[str, Mapping[str, Any]]) -> Any:
    """Returns the schema of the Parquet files with the frames; videos have no column.

    Args:
        pa: the module `pyarrow`.
        features: the features of the dataset.
    """
    scalars = {"float32": pa.float32(), "int64": pa.int64(), "bool": pa.bool_()}
    columns = []
    for name, feature in features.items():
        dtype = feature["dtype"]
        if dtype == "video":
            continue

        # an image is a struct of a PNG file and a path, which stays empty
        if dtype == "image":
            kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
        elif dtype == "language":
            kind = pa.list_(_language_row(pa, has_time=name == LANGUAGE))
        elif feature["shape"] == [1]:
            kind = scalars[dtype]
        else:
            kind = pa.list_(scalars[dtype], feature["shape"][0])

        columns.append(pa.field(name, kind))
    return pa.schema(columns)


def _vector(names: tuple[str, ...]) -> dict[str, Any]:
    return {"dtype": "float32", "shape": [len(names)], "names": list(names)}


def _scalar(dtype: str) -> dict[str, Any]:
    return {"dtype": dtype, "shape": [1], "names": None}


def _picture(hz: int, size: tuple[int, int], pictures: Pictures) -> dict[str, Any]:
    """Returns the description of a feature of images, as `meta/info.json` has it.

    Args:
        hz: frames per second.
        size: the size (H, W) of the images.
        pictures: how images are stored.
    """
    feature: dict[str, Any] = {
        "dtype": pictures,
        "shape": [*size, 3],
        "names": ["height", "width", "channels"],
    }
    if pictures == "video":
        feature["info"] = video_info(hz, size)
    return feature


def _language_row(pa: Any, has_time: bool) -> Any:
    """Returns the type of one language row in LeRobot 0.6.

    Args:
        pa: the module `pyarrow`.
        has_time: whether a row has a timestamp; rows of events have none.
    """
    row = [
        pa.field("role", pa.string(), nullable=False),
        pa.field("content", pa.string()),
        pa.field("style", pa.string()),
        pa.field("timestamp", pa.float32(), nullable=False),
        pa.field("camera", pa.string()),
        pa.field("tool_calls", pa.list_(pa.string())),
    ]
    return pa.struct([field for field in row if has_time or field.name != "timestamp"])
