"""Import of a file in robomimic's format."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from embodied.closing import ClosedOnExit
from embodied.datasets.export.robomimic import NOTE, NOTES_GROUP
from embodied.datasets.guarded import damage_named, own_array, own_group, read_array
from embodied.datasets.h5_files import open_to_read
from embodied.datasets.importing.action_range import ActionRange
from embodied.datasets.importing.foreign import (
    ForeignEpisode,
    ForeignSet,
    whole_rate,
)
from embodied.datasets.schema import H5, IMAGE_SUFFIX, DatasetError
from embodied.errors import one_line
from embodied.names import is_name

ORIGIN = "robomimic"
AGENT_KEY = "agent_pos"
# The keys of privileged observations, which a real robot could not have. In robosuite the
# key of the scene's state is `object` or similar.
PRIVILEGED = ("environment_state", "object", "object-state", "object_state")
# The entries of `env_kwargs` that may hold the frame rate; the first existing one is used.
RATE_ENTRIES = ("control_hz", "control_freq")


class RobomimicFile(ClosedOnExit):
    """Reads the episodes of a file in robomimic's format.

    Attributes:
        foreign: the properties that all episodes share.
        omitted: the names below `obs` that are not read.

    Args:
        path: the path of the file.
        hz: frames per second; None to take the rate stored in the file.

    Raises:
        DatasetError: the file does not have robomimic's groups; its arrays are in other
            files, which are never opened; or the frame rate is unknown.
    """

    def __init__(self, path: Path, hz: int | None = None) -> None:
        """Opens the file, and finds its episodes and their arrays."""
        self._path = path
        try:
            self._file = open_to_read(path, is_foreign=True)
        except OSError as error:
            raise DatasetError(
                f"{path} cannot be opened as HDF5: {one_line(error)}"
            ) from error

        try:
            with damage_named(path):
                self._demos = self._find_demos()
                # the key of a vector -> its width; a camera -> the key of its images; and
                # all other keys
                self._widths, self._cameras, self.omitted = self._classify_keys()
                self.foreign = self._shared_properties(hz)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def __len__(self) -> int:
        return len(self._demos)

    @property
    def says_success(self) -> bool:
        """Whether all episodes store their success, as our export does."""
        return all("success" in self._demo(name) for name in self._demos)

    def action_range(self) -> ActionRange:
        """Returns the range of all actions."""
        with damage_named(self._path, "actions"):
            return ActionRange.of(
                self._rows(self._demo(name), "actions") for name in self._demos
            )

    def load(self, success: bool | None) -> Iterator[ForeignEpisode]:
        """Yields the episodes.

        Args:
            success: whether all episodes ended in success, if the file does not store
                success; None if that is unknown.

        Raises:
            DatasetError: an episode cannot be read.
        """
        for name in self._demos:
            with damage_named(self._path, name):
                episode = self._load(self._demo(name), success)
            yield episode

    def _load(self, demo: H5, success: bool | None) -> ForeignEpisode:
        """Reads the episode in a group; see `load` for `success`."""
        actions = self._rows(demo, "actions")
        count = len(actions)
        succeeded = None if success is None else np.zeros(count, bool)
        if "success" in demo:
            succeeded = self._rows(demo, "success")[:, 0].astype(bool)
        elif succeeded is not None:
            # success is known for the last frame only; a slice, because an episode without
            # frames is refused later
            succeeded[-1:] = success

        rewards = np.zeros(count, np.float32)
        if "rewards" in demo:
            rewards = self._rows(demo, "rewards")[:, 0]
        states = np.zeros((count, 0))
        if "states" in demo:
            states = self._rows(demo, "states")

        return ForeignEpisode(
            agent_pos=self._joined_vectors(demo, privileged=False, count=count),
            environment_state=self._joined_vectors(demo, privileged=True, count=count),
            images={
                camera: read_array(_array(demo, f"obs/{key}"))
                for camera, key in self._cameras.items()
            },
            actions=actions,
            rewards=rewards,
            success=succeeded,
            states=states,
            instruction=stored_instruction(demo),
            note=_json_object(demo.attrs.get(NOTE)) or None,
        )

    def _joined_vectors(self, demo: H5, privileged: bool, count: int) -> np.ndarray:
        """Returns the observed vectors of one kind, joined to (F, P) or (F, S).

        Args:
            demo: the episode's group.
            privileged: whether to take the vectors in `PRIVILEGED`, or all others.
            count: the number of frames F.
        """
        # begin with a vector of width 0, because there may be no vector of this kind
        vectors = [np.zeros((count, 0), np.float32)]
        for key in self._widths:
            if (key in PRIVILEGED) != privileged:
                continue
            rows = self._rows(demo, f"obs/{key}")
            if len(rows) != count:
                raise DatasetError(
                    f"{demo.name} of {self._path} has {count} actions, but {len(rows)}"
                    f" rows of the observation {key}"
                )
            vectors.append(rows)
        return np.concatenate(vectors, axis=1)

    def _rows(self, demo: H5, key: str) -> np.ndarray:  # (F, d)
        """Returns an array of a demo with its rows flattened.

        Raises:
            DatasetError: there is no such array, or it does not hold numbers.
        """
        values = read_array(_array(demo, key))
        # numpy's kinds of floats, integers, unsigned integers and bools
        if values.dtype.kind not in "fiub" or not values.size:
            raise DatasetError(f"{demo.name}/{key} of {self._path} holds no numbers")
        return values.reshape(len(values), -1)

    def _demo(self, name: str) -> H5:
        return self._file["data"][name]

    def _find_demos(self) -> list[str]:
        """Returns the names of the episodes, in the order of their numbers.

        Raises:
            DatasetError: there are no episodes, or one is in another file.
        """
        if own_group(self._file, "data") is None:
            raise DatasetError(
                f"{self._path} is not robomimic's layout: it has no group /data, but"
                f" {', '.join(sorted(self._file)) or 'nothing'}"
            )

        # other groups than `demo_<number>` are not episodes
        names = []
        for name in self._file["data"]:
            if not re.fullmatch(r"demo_[0-9]{1,9}", name):
                continue
            if own_group(self._file["data"], name) is None:
                raise DatasetError(
                    f"{name} of {self._path} lies in another file, which is not followed"
                )
            names.append(name)

        if not names:
            raise DatasetError(f"{self._path} has no demo in /data")
        return sorted(names, key=lambda name: int(name.removeprefix("demo_")))

    def _classify_keys(self) -> tuple[dict[str, int], dict[str, str], list[str]]:
        """Classifies the arrays below `obs` of the first episode, for all episodes.

        Returns:
            The key of each vector -> its width; the name of each camera -> the key of its
            images; and the keys of all other arrays.

        Raises:
            DatasetError: all vectors are privileged, or there are none.
        """
        widths = {}
        cameras = {}
        omitted = []

        first = self._demo(self._demos[0])
        for key in own_group(first, "obs") or ():
            array = own_array(first["obs"], key)
            if array is None or not is_name(key):
                omitted.append(key)
                continue

            # images are (F, H, W, 3) uint8, vectors (F,) or (F, d) numbers
            if array.ndim == 4 and array.shape[3] == 3 and array.dtype == np.uint8:
                cameras[key.removesuffix(IMAGE_SUFFIX)] = key
            elif array.ndim in (1, 2) and array.dtype.kind in "fiub":
                widths[key] = int(np.prod(array.shape[1:]))
            else:
                omitted.append(key)

        if not any(key not in PRIVILEGED for key in widths):
            raise DatasetError(
                f"{self._path} has no vector in obs that a robot could see; it has"
                f" {', '.join(first.get('obs', ())) or 'nothing'}"
            )
        return widths, cameras, omitted

    def _shared_properties(self, hz: int | None) -> ForeignSet:
        """Returns the properties that all episodes share.

        Args:
            hz: frames per second; None for the rate stored in the file.

        Raises:
            DatasetError: `hz` is None, and the file stores no rate.
        """
        # robomimic's description of the environment; any tool may have written it
        env_args = _json_object(self._file["data"].attrs.get("env_args"))
        env_kwargs = env_args.get("env_kwargs")
        if not isinstance(env_kwargs, dict):
            env_kwargs = {}
        header = self._noted_header()
        rate = whole_rate(stored_rate(self._file) if hz is None else hz)
        if rate is None:
            raise DatasetError(
                f"{self._path} does not say how many frames it has per second: give --hz"
            )

        # the names of vectors and actions, of which robomimic stores only widths
        proprioceptive = [key for key in self._widths if key not in PRIVILEGED]
        privileged = [key for key in self._widths if key in PRIVILEGED]
        width = self._rows(self._demo(self._demos[0]), "actions").shape[1]
        return ForeignSet(
            origin=ORIGIN,
            hz=rate,
            name=str(env_args.get("env_name", self._path.stem)).rpartition("/")[2],
            robot=_robot(env_kwargs),
            agent_layout=tuple((key, self._widths[key]) for key in proprioceptive),
            state_layout=tuple((key, self._widths[key]) for key in privileged),
            action_names=tuple(f"action.{number}" for number in range(width)),
            cameras=tuple(self._cameras),
            header=header,
        )

    def _noted_header(self) -> Mapping[str, Any] | None:
        """Returns the header of our dataset from which this file was exported.

        The result is None if there is no such header; if several datasets were exported,
        because their headers may differ; or if only parts of the vectors were exported,
        because the header describes whole vectors.
        """
        headers = noted_headers(self._file)
        if len(headers) != 1:
            return None

        # an exported part of a vector has another key, such as `tcp_pos_w`
        whole_vectors = {AGENT_KEY, "environment_state"}
        return headers[0] if set(self._widths) <= whole_vectors else None


def stored_rate(file: H5) -> object:
    """Returns the frame rate that a robomimic file stores; None if it stores none.

    The value comes from the file as it is, and need not be a number.
    """
    env_args = _json_object(file["data"].attrs.get("env_args"))
    env_kwargs = env_args.get("env_kwargs")
    if not isinstance(env_kwargs, dict):
        return None
    rates = [env_kwargs[name] for name in RATE_ENTRIES if name in env_kwargs]
    return rates[0] if rates else None


def stored_instruction(demo: H5) -> str:
    """Returns the instruction of an episode in a robomimic file; "" if there is none.

    RoboCasa stores an instruction per episode, LIBERO one for the whole file.
    """
    of_episode = _json_object(demo.attrs.get("ep_meta"))
    of_file = _json_object(demo.parent.attrs.get("problem_info"))
    text = of_episode.get("lang") or of_file.get("language_instruction") or ""
    return text if isinstance(text, str) else ""


def noted_headers(file: H5) -> list[Any]:
    """Returns the headers of our datasets from which a robomimic file was exported.

    The list is empty for a file that our export did not write. The values are JSON, whose
    content is not checked.
    """
    if own_group(file, NOTES_GROUP) is None:
        return []
    sources = _json_object(file[NOTES_GROUP].attrs.get(NOTE)).get("sources")
    return sources if isinstance(sources, list) else []


def _robot(env_kwargs: Mapping[str, Any]) -> str:
    """Returns the robot's name, or the joined names of several; "" if unknown."""
    robots = env_kwargs.get("robot", env_kwargs.get("robots", ""))
    if isinstance(robots, list):
        return "_".join(str(robot) for robot in robots)
    return str(robots)


def _array(demo: H5, key: str) -> H5:
    """Returns an array of a demo.

    Raises:
        DatasetError: there is no such array, or its values are in another file.
    """
    parent, _, name = key.rpartition("/")
    group = own_group(demo, parent) if parent else demo
    array = None if group is None else own_array(group, name)
    if array is None:
        raise DatasetError(
            f"{demo.name} of {demo.file.filename} has no array {key} of its own"
        )
    return array


def _json_object(text: Any) -> dict[str, Any]:
    """Returns the JSON object in an attribute; {} if the attribute holds none."""
    if not isinstance(text, str | bytes):
        return {}
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
