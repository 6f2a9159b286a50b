"""Questions and answers from a dataset, to train a vision-language model on.

Each frame of a recorded episode is a question, as the planner asks it, and the plan of that
moment is the answer.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from embodied.core import Layout, Payload
from embodied.datasets.export.folders import NewFolder, new_folder
from embodied.datasets.export.frames import SelectedEpisode
from embodied.datasets.export.selection import Selection, after
from embodied.datasets.schema import DatasetError
from embodied.envs.registry import get_robot, get_task
from embodied.errors import EmbodiedError
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

    Each line has `images`, the paths of PNG files in the folder, and `messages`, a user's
    and an assistant's, in the form that chat templates have.

    Args:
        selection: the episodes to export.
        episodes: the selection's episodes, loaded with images.
        target: the folder to create.
        settings: how the model will be asked.
        resume: whether to continue a killed call with the same arguments.

    Returns:
        A sentence on the number of pairs, and on goals out of range.

    Raises:
        DatasetError: `target` exists, or the episodes have no plans with goals.
        EmbodiedError: the pictures are not those that the model will see, or a subtask
            may not be answered.
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
        notes = list(folder.finished)
        first = len(notes)
        for number, episode in enumerate(after(episodes, first), start=first):
            note = writer.write(folder, number, episode)
            notes.append(note)

        lines = [line for note in notes for line in note["pairs"]]
        text = "".join(f"{json.dumps(line)}\n" for line in lines)
        (folder.path / PAIRS).write_text(text, encoding="utf-8")

    outside = sum(note["outside"] for note in notes)
    told = f"{len(lines)} pairs"
    if outside:
        told += f"; in {outside} the goal is out of range: widen box_m in the settings"
    return told


class _PairWriter:
    """Writes the pairs of episodes of one robot.

    Args:
        selection: the episodes to export.
        settings: how the model will be asked.
    """

    def __init__(self, selection: Selection, settings: Settings) -> None:
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
        """Writes the images of an episode; returns its lines, and how many are cut off."""
        frames, plans = _plans_of_frames(episode)
        payload = self._payload(episode.plans, plans)
        agent_pos = episode.agent_pos[frames]
        chosen, is_outside = self._form.chosen(payload, agent_pos)
        answers = self._form.answers(chosen)
        texts = self._form.proprioception(agent_pos)

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

        note = {"pairs": lines, "outside": int(is_outside.sum())}
        folder.add_finished([note], files)
        return note

    def _payload(self, stored: Mapping[str, np.ndarray], rows: np.ndarray) -> Payload:
        """Returns rows of an episode's plans.

        Raises:
            DatasetError: they have no goals for all hands and bases of the robot.
        """
        empty = Payload.empty(len(rows), self._form.plan_shape)
        values = {}
        for name, wanted in empty.given.items():
            # plans of other kinds may be recorded, too
            if name == "latent":
                values[name] = wanted
                continue
            value = stored[name][rows]
            if value.shape != wanted.shape:
                raise DatasetError(
                    f"{name} of the plans has the shape {value.shape[1:]}, but this robot "
                    f"needs {wanted.shape[1:]}: record with a policy that plans for all "
                    "its hands, such as expert"
                )
            values[name] = value
        return Payload(**values)


def _plans_of_frames(episode: SelectedEpisode) -> tuple[np.ndarray, np.ndarray]:
    """Returns the frames (n,) with a plan, and the plan (n,) of each.

    It is the newest sound one that was made from what was seen until then.

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
    sound = np.flatnonzero(fault == 0)
    order = sound[np.argsort(plans["tick_frame"][sound], kind="stable")]

    made = plans["tick_frame"][order]
    newest = np.searchsorted(made, episode.tick, side="right") - 1
    frames = np.flatnonzero(newest >= 0)
    return frames, order[newest[frames]]


def _check_cameras(
    recorded: Mapping[str, tuple[int, int]], cameras: tuple[str, ...], image_size: int
) -> None:
    """Raises EmbodiedError unless the pictures are those that the model will see."""
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
    """Returns a pair as a user's and an assistant's message."""
    content = [{"type": "image"} for _ in images]
    asked = [*content, {"type": "text", "text": question}]
    return {
        "images": images,
        "messages": [
            {"role": "user", "content": asked},
            {"role": "assistant", "content": [{"type": "text", "text": answer}]},
        ],
    }
