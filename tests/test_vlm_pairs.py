"""Pairs of questions and answers from a dataset say what was seen and what was planned."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from embodied.datasets.reader import Dataset
from embodied.envs.registry import get_robot
from embodied.policies.vlm.form import FormConfig, PlanForm
from tests.commands import embodied, refused

SETTINGS = 'folder = "nowhere"\nimage_size = 96\ncameras = ["overview"]\n'


def export(source: Path, target: Path, *words: object) -> int:
    fixed = ("data", "export", source, "-o", target, "--format", "vlm")
    return embodied(*fixed, "--mask", "all", *words)


def lines_of(folder: Path) -> list[dict[str, Any]]:
    text = (folder / "pairs.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    path = tmp_path / "vlm.toml"
    path.write_text(SETTINGS)
    return path


def test_each_frame_is_a_question_and_its_plan_the_answer(
    pictures: Path, settings: Path, tmp_path: Path
) -> None:
    target = tmp_path / "pairs"
    assert export(pictures, target, "--settings", settings) == 0
    lines = iter(lines_of(target))

    robot = get_robot("arm")
    with Dataset(pictures) as dataset:
        form = PlanForm(robot, dataset.agent_layout, FormConfig())
        for number in range(len(dataset)):
            episode = dataset.episode(number)
            made = episode.plans["tick_frame"]
            for frame, tick in enumerate(episode.frame_tick):
                plan = np.searchsorted(made, tick, side="right") - 1
                line = next(lines)
                asked, answered = line["messages"]

                # the question has the picture, and the sentence
                [name] = line["images"]
                seen = np.asarray(Image.open(target / name))
                expected = episode.obs["overview_image"][frame]
                np.testing.assert_array_equal(seen, expected)
                question = asked["content"][-1]["text"]
                assert f"instruction: {episode.meta.instruction}\n" in question

                # the answer is the plan, as exactly as bins can say it
                words = answered["content"][0]["text"].split()
                chosen = [
                    choices.index(word)
                    for choices, word in zip(form.words, words, strict=True)
                ]
                agent_pos = episode.obs["agent_pos"][frame][None]
                payload = form.payload([chosen], agent_pos)
                assert payload.subtask[0] == episode.plans["subtask"][plan]
                goal_pos_w = episode.plans["goal_pos_w"][plan]
                np.testing.assert_allclose(
                    payload.goal_pos_w[0], goal_pos_w, atol=0.004
                )
                goal_quat = episode.plans["goal_quat_wxyz"][plan]
                turned = np.abs((payload.goal_quat_wxyz[0] * goal_quat).sum(axis=-1))
                np.testing.assert_allclose(turned, 1, atol=1e-3)
                gripper = episode.plans["gripper"][plan]
                np.testing.assert_allclose(payload.gripper[0], gripper, atol=0.004)
                done = episode.plans["completion"][plan]
                assert payload.completion[0] == pytest.approx(done, abs=0.002)
    assert list(lines) == []


def test_goals_out_of_range_are_counted(
    pictures: Path,
    settings: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    box = "box_m = [[0, 0.1], [-1, 1], [-1, 1]]\n"
    settings.write_text(SETTINGS + box)
    assert export(pictures, tmp_path / "pairs", "--settings", settings) == 0
    assert "the goal is out of range: widen box_m" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (
            'cameras = ["wrist"]\n',
            "the camera wrist, which the model is shown, was not",
        ),
        ("image_size = 224\n", "record with --image-size 224, or set image_size = 96"),
        ('subtasks = ["lift"]\n', "which is none of those that may be answered: lift"),
    ],
)
def test_settings_that_do_not_fit_the_dataset_are_told(
    more: str,
    words: str,
    pictures: Path,
    settings: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    key = more.split(" = ", maxsplit=1)[0]
    kept = [line for line in SETTINGS.splitlines() if not line.startswith(key)]
    settings.write_text("\n".join([*kept, more]))
    fixed = ("data", "export", pictures, "-o", tmp_path / "pairs", "--format", "vlm")
    assert words in refused(capsys, *fixed, "--settings", settings)
    assert not (tmp_path / "pairs").exists()


def test_a_dataset_without_plans_is_told(
    tmp_path: Path, settings: Path, capsys: pytest.CaptureFixture[str], short: None
) -> None:
    path = tmp_path / "hold.hdf5"
    words = ("--policy", "hold", "--episodes", "1", "--workers", "1", "--level", "L1")
    pictures = ("--record-hz", "5", "--image-size", "96")
    assert embodied("collect", "ToteTransfer", "-o", path, *words, *pictures) == 0
    fixed = ("data", "export", path, "-o", tmp_path / "pairs", "--mask", "all")
    error = refused(capsys, *fixed, "--format", "vlm", "--settings", settings)
    assert "has no plans: record it with a policy that plans" in error


def test_the_flag_is_of_this_format_alone(
    pictures: Path, settings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fixed = ("data", "export", pictures, "-o", tmp_path / "out", "--settings", settings)
    error = refused(capsys, *fixed, "--format", "lerobot")
    assert "--settings has an effect only with --format vlm" in error
