"""Exports questions and answers from a dataset, to train a vision-language model on.

Each frame of a recorded episode becomes a question, worded as the planner words it, and the
plan at that moment becomes the answer.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from embodied.core import Layout
from embodied.datasets.export.folders import NewFolder, new_folder
from embodied.datasets.export.frames import SelectedEpisode
from embodied.datasets.export.selection import Selection, after
from embodied.datasets.schema import DatasetError
from embodied.envs.registry import get_robot, get_task
from embodied.errors import EmbodiedError
from embodied.plan import Payload
from embodied.policies.vlm.form import PlanForm
from embodied.policies.vlm.settings import Settings

PAIRS = "pairs.jsonl"
IMAGES = "images"


def export_pairs(
    selection: Selection,
    episodes: Iterable[SelectedEpisode],
    target: Path,
    settings: Settings,
    resume: bool = False,
) -> str:
    """Writes pairs of questions and answers, as a folder with `pairs.jsonl` and images.

    Each line of `pairs.jsonl` has `images`, the paths of PNG files in the folder, and
    `messages`, a user's and an assistant's, in the form that chat templates take.

    Args:
        selection: the episodes to export.
        episodes: the selection's episodes, loaded with images.
        target: the folder to create.
        settings: the model, and how it will be asked.
        resume: whether to continue a killed call with the same arguments.

    Returns:
        A sentence on the number of pairs, and on goals out of range.

    Raises:
        DatasetError: `target` exists, or the episodes have no plans with goals.
        EmbodiedError: the cameras or the size of the pictures differ from the settings, or
            a recorded subtask is not among the settings' subtasks.
        WriteError: a file cannot be written.
    """
    writer = _PairWriter(selection, settings)
    identity = [
        "vlm",
        selection.identity,
        repr(settings.form),
        settings.prompt.template,
    ]
    with new_folder(target, identity, resume) as folder:
        (folder.path / IMAGES).mkdir(exist_ok=True)
        # one record per episode; a resumed export begins after the finished episodes
        records = list(folder.finished)
        first = len(records)
        for number, episode in enumerate(after(episodes, first), start=first):
            records.append(writer.write(folder, number, episode))

        lines = [line for record in records for line in record["pairs"]]
        text = "".join(f"{json.dumps(line)}\n" for line in lines)
        (folder.path / PAIRS).write_text(text, encoding="utf-8")

    num_outside = sum(record["outside"] for record in records)
    sentence = f"{len(lines)} pairs"
    if num_outside:
        sentence += (
            f"; in {num_outside} the goal is out of range: widen box_m in the settings"
        )
    return sentence


class _PairWriter:
    """Writes the pairs of episodes of one robot.

    Args:
        selection: the episodes to export.
        settings: the model, and how it will be asked.

    Raises:
        EmbodiedError: the cameras or the size of the pictures differ from the settings.
    """

    def __init__(self, selection: Selection, settings: Settings) -> None:
        """Finds the robot and the cameras in the selection's first header."""
        metadata = selection.headers[0].metadata
        robot = get_robot(str(metadata["robot"]))
        parts = tuple((str(name), int(size)) for name, size in metadata["agent_layout"])
        self._form = PlanForm(robot, Layout(parts), settings.form)
        self._settings = settings

        cameras = settings.cameras
        if cameras is None:
            cameras = get_task(str(metadata["task"])).cameras_for(robot)
        self._cameras = cameras
        _check_cameras(selection.spec.cameras, cameras, settings.image_size)

    def write(
        self, folder: NewFolder, number: int, episode: SelectedEpisode
    ) -> dict[str, Any]:
        """Writes the images of an episode, and marks the episode as finished.

        Args:
            folder: the folder to write to.
            number: the number of the episode in the selection.
            episode: the episode.

        Returns:
            A record of the episode: `pairs`, its lines of `pairs.jsonl`, and `outside`, the
            number of goals out of range.
        """
        # the questions and answers of all frames
        frames, plans = _plans_of_frames(episode)
        payload = self._payload(episode.plans, plans)
        agent_pos = episode.agent_pos[frames]
        word_indices, is_outside = self._form.word_indices(payload, agent_pos)
        answers = self._form.answers(word_indices)
        texts = self._form.proprioception(agent_pos)

        # one line per frame, with a picture per camera
        lines = []
        files = []
        for frame, answer, text in zip(frames.tolist(), answers, texts, strict=True):
            names = []
            for camera in self._cameras:
                name = f"{IMAGES}/{number:06d}_{frame:05d}_{camera}.png"
                Image.fromarray(episode.images[camera][frame]).save(folder.path / name)
                names.append(name)
            instruction = episode.meta.instruction
            question = self._form.question(self._settings.prompt, instruction, text)
            lines.append(_line(names, question, answer))
            files += [folder.path / name for name in names]

        record = {"pairs": lines, "outside": int(is_outside.sum())}
        folder.add_finished([record], files)
        return record

    def _payload(self, stored: Mapping[str, np.ndarray], rows: np.ndarray) -> Payload:
        """Returns rows of an episode's plans.

        Args:
            stored: the arrays of the episode's plans, by name.
            rows: (n,) the indices of the plans to return.

        Raises:
            DatasetError: the plans have no goals for all hands and bases of the robot.
        """
        # the arrays that plans of this form have, with their shapes
        empty = Payload.empty(len(rows), self._form.plan_shape)
        fields = {}
        for name, expected in empty.given.items():
            # answers have no latent; plans with one may be recorded, too
            if name == "latent":
                fields[name] = expected
                continue
            value = stored[name][rows]
            if value.shape != expected.shape:
                raise DatasetError(
                    f"{name} of the plans has the shape {value.shape[1:]}, but this robot "
                    f"needs {expected.shape[1:]}: record with a policy that plans for all "
                    "its hands, such as expert"
                )
            fields[name] = value
        return Payload(**fields)


def _plans_of_frames(episode: SelectedEpisode) -> tuple[np.ndarray, np.ndarray]:
    """Returns the indices (n,) of frames that have a plan, and of their plans (n,).

    The plan of a frame is the newest plan without a fault whose images are not newer than
    the frame.

    Raises:
        DatasetError: the episode has no plans.
    """
    plans = episode.plans
    if "subtask" not in plans or not len(plans["subtask"]):
        raise DatasetError(
            f"episode {episode.number} has no plans: record it with a policy that plans, "
            "such as expert"
        )
    fault = plans.get("fault", np.zeros(len(plans["subtask"]), np.int64))
    faultless = np.flatnonzero(fault == 0)
    by_age = faultless[np.argsort(plans["tick_frame"][faultless], kind="stable")]

    # the newest plan of each frame, as an index into `by_age`; -1 before the first plan
    tick_frame = plans["tick_frame"][by_age]
    newest = np.searchsorted(tick_frame, episode.tick, side="right") - 1
    frames = np.flatnonzero(newest >= 0)
    return frames, by_age[newest[frames]]


def _check_cameras(
    recorded: Mapping[str, tuple[int, int]], cameras: tuple[str, ...], image_size: int
) -> None:
    """Raises EmbodiedError unless the recorded pictures suit the model's cameras and size.

    Args:
        recorded: the name of each camera -> the height and width of its recorded pictures.
        cameras: the cameras whose pictures the model will see.
        image_size: the height and width of these pictures.
    """
    for camera in cameras:
        if camera not in recorded:
            raise EmbodiedError(
                f"the camera {camera}, which the model is shown, was not recorded; there "
                f"are {', '.join(recorded) or 'no cameras'}: name others with cameras = "
                "[...] in the settings"
            )

        # the model is shown square pictures
        if recorded[camera] != (image_size, image_size):
            height, width = recorded[camera]
            raise EmbodiedError(
                f"pictures of {camera} are {height} x {width}, but the model is shown "
                f"{image_size} x {image_size}: record with --image-size {image_size}, or "
                f"set image_size = {height} in the settings"
            )


def _line(images: list[str], question: str, answer: str) -> dict[str, Any]:
    """Returns the line of a pair: its images, and a user's and an assistant's message."""
    image_markers = [{"type": "image"} for _ in images]
    user_content = [*image_markers, {"type": "text", "text": question}]
    return {
        "images": images,
        "messages": [
            {"role": "user", "content": user_content},
            {"role": "assistant", "content": [{"type": "text", "text": answer}]},
        ],
    }
