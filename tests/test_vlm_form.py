"""Answers of vision-language models: their form, their grammar, and what is refused.

Nothing here needs transformers.
"""

from __future__ import annotations

import json
import re
import sys
import tomllib
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from string import Template
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embodied.cli.main import build_parser
from embodied.core import SKILLS
from embodied.envs.config import EnvConfig
from embodied.envs.skills.scripted import pointing_down
from embodied.envs.worlds import Worlds
from embodied.errors import EmbodiedError
from embodied.policies.episodes import EpisodeRunner, env_config_for
from embodied.policies.plans import check_payload
from embodied.policies.registry import find_policy
from embodied.policies.vlm.bins import Bins
from embodied.policies.vlm.form import FormConfig, PlanForm
from embodied.policies.vlm.grammar import Beginning, Grammar
from embodied.policies.vlm.settings import (
    FIELDS,
    KEYS,
    checked_prompt,
    checked_settings,
    default_prompt,
    read_settings,
)
from embodied.rotations import quat_to_rot6d
from tests.commands import TASK, refused

PAGE = (Path(__file__).parent.parent / "docs" / "vlm_planner.md").read_text("utf-8")
ROBOTS = [("ToteTransfer", "arm"), ("TeamSort", "arm+arm"), ("TeamSort", "dual_arm")]


def in_bytes(text: str) -> list[int]:
    return list(text.encode())


def in_pairs(text: str) -> list[int]:
    """Tokens of two letters where they fit, as tokenisers merge letters."""
    words = [" " * (k > 0) + word for k, word in enumerate(text.split(" "))]
    pieces = [word[k : k + 2] for word in words for k in range(0, len(word), 2)]
    return [int.from_bytes(piece.encode(), "big") for piece in pieces]


@given(st.floats(-2, 2), st.integers(2, 1000))
def test_a_number_is_off_by_half_a_bin_at_most(value: float, count: int) -> None:
    bins = Bins(-1.0, 1.0, count)
    index = bins.index(value)
    assert bins.value(index) == pytest.approx(
        np.clip(value, -1, 1), abs=bins.step / 2 + 1e-9
    )
    assert (bins.value(0), bins.value(count - 1)) == (-1, pytest.approx(1))
    assert {len(word) for word in bins.words} == {3}


@settings(max_examples=50)
@given(st.randoms(), st.sampled_from([in_bytes, in_pairs]))
def test_every_allowed_answer_is_read_back(
    random: Any, encode: Callable[[str], list[int]]
) -> None:
    words = [SKILLS, Bins(0, 1).words, ("yes", "no"), Bins(0, 1).words]
    grammar = Grammar(words, encode)

    # whatever is chosen among what is allowed comes to an end
    tokens: list[int] = []
    while allowed := grammar.allowed(tokens):
        tokens.append(random.choice(allowed))
    assert len(tokens) <= grammar.max_tokens
    assert max(tokens) <= grammar.largest_token

    # what was chosen is what the text says
    chosen = grammar.read(tokens)
    text = " ".join(word[k] for word, k in zip(words, chosen, strict=True))
    before = encode("stop")
    assert before + tokens == encode(f"stop {text}")
    with pytest.raises(KeyError):
        grammar.read([*tokens, tokens[-1]])


def test_a_tokeniser_that_mixes_up_words_is_refused() -> None:
    numbers = [Bins(0, 1).words]
    with pytest.raises(EmbodiedError, match="does not tell '000' from '001'"):
        Grammar(numbers, lambda text: [1] * len(text.split()))
    # the first two digits are all that it keeps
    with pytest.raises(EmbodiedError, match="does not tell '000' from '001'"):
        Grammar(numbers, lambda text: in_bytes(text[:7]))
    # a word that is the beginning of another one
    with pytest.raises(EmbodiedError, match="does not tell 'press' from 'press_on'"):
        Grammar([("press", "press_on")], in_bytes)
    with pytest.raises(EmbodiedError, match="does not tell 'press_on' from 'press'"):
        Grammar([("press_on", "press")], in_bytes)
    with pytest.raises(EmbodiedError, match="does not keep the word '000' apart"):
        Grammar(numbers, lambda text: in_bytes(text[::-1]))


def test_the_first_word_follows_the_question() -> None:
    spaced = Grammar([("lift",)], in_bytes, Beginning(":", " "))
    assert spaced.allowed([]) == in_bytes(" ")
    joined = Grammar([("lift",), ("000",)], in_bytes, Beginning("\n"))
    assert joined.allowed([]) == in_bytes("l")
    assert joined.allowed(in_bytes("lift")) == in_bytes(" ")


def test_no_subtask_begins_with_another() -> None:
    Grammar([SKILLS], in_bytes)


@pytest.mark.parametrize(("task", "robot"), ROBOTS)
def test_answers_are_plans_for_the_robot(task: str, robot: str) -> None:
    config = EnvConfig(task, robot=robot, control_mode="ee_delta", num_threads=1)
    with closing(Worlds(config, num_worlds=2)) as worlds:
        worlds.reset(np.arange(2), [3, 4])
        agent_pos = worlds.observe().agent_pos
        form = PlanForm(worlds.robot, worlds.agent_layout, FormConfig())
        parts = worlds.agent_layout.slices()
    words = form.words
    assert len(words) == len(form.names)
    assert ("drive_to" in form.subtasks) == (robot == "dual_arm")

    # any answer is a valid plan
    rng = np.random.default_rng(0)
    sizes = [len(choices) for choices in words]
    for _ in range(20):
        payload = form.payload(rng.integers(0, sizes, (2, len(sizes))), agent_pos)
        check_payload(payload, 2, worlds.robot.plan_shape)
        assert (np.abs(payload.gripper) <= 1).all()
        assert ((payload.completion >= 0) & (payload.completion <= 1)).all()

    # what the prompt says of the hands, as an answer, is where they are
    chosen = np.zeros((2, len(sizes)), np.int64)
    for world, text in enumerate(form.proprioception(agent_pos)):
        hands = text.split(", ")[: len(worlds.robot.effectors)]
        for k, hand in enumerate(hands):
            _, *numbers = hand.split()
            chosen[world, 1 + 7 * k : 7 + 7 * k] = [int(number) for number in numbers]
    payload = form.payload(chosen, agent_pos)
    for k, effector in enumerate(worlds.robot.effectors):
        pos_w = agent_pos[:, parts[f"{effector.name}_pos_w"]]
        rot6d = agent_pos[:, parts[f"{effector.name}_rot6d"]]
        np.testing.assert_allclose(payload.goal_pos_w[:, k], pos_w, atol=0.004)
        turned = quat_to_rot6d(payload.goal_quat_wxyz[:, k])
        np.testing.assert_allclose(turned, rot6d, atol=0.03)


def test_an_answer_of_known_meaning() -> None:
    config = EnvConfig(TASK, robot="wheeled_arm", num_threads=1)
    with closing(Worlds(config)) as worlds:
        worlds.reset(np.arange(1), [3])
        agent_pos = worlds.observe().agent_pos
        box = ((0.0, 0.5), (-1.0, 1.0), (-1.0, 1.0))
        form = PlanForm(
            worlds.robot, worlds.agent_layout, FormConfig(("lift",), 101, box)
        )
        base = agent_pos[0, :3]  # x, y and yaw of the mount
    half_turn = 50
    hand = (100, 50, 75, 50, 50, half_turn, 100)
    payload = form.payload([[0, *hand, 50, 75, 50, 50, 20]], agent_pos)

    forwards = np.array([np.cos(base[2]), np.sin(base[2])])
    left = np.array([-forwards[1], forwards[0]])
    assert SKILLS[payload.subtask[0]] == "lift"
    assert payload.completion[0] == pytest.approx(0.2)
    assert payload.gripper[0, 0] == 1
    np.testing.assert_allclose(
        payload.goal_pos_w[0, 0, :2], base[:2] + 0.5 * forwards, atol=1e-9
    )
    np.testing.assert_allclose(
        payload.base_goal_w[0, 0, :2], base[:2] + 1.0 * left, atol=1e-9
    )

    # the middle of 101 bins of a turn is nearly none, as the last bin is a step before a turn
    yaw = base[2:] + 50 * 2 * np.pi / 101 - np.pi
    assert abs(payload.base_goal_w[0, 0, 3] - yaw[0]) < 1e-9
    down = quat_to_rot6d(pointing_down(np, yaw))
    turned = quat_to_rot6d(payload.goal_quat_wxyz[:, 0])
    np.testing.assert_allclose(turned, down, atol=0.05)


def test_a_file_says_how_a_model_is_asked(tmp_path: Path) -> None:
    (tmp_path / "ask.txt").write_text("Do this for $$5: $instruction\n")
    file = tmp_path / "vlm.toml"
    file.write_text(
        'folder = "model"\nprompt = "ask.txt"\nsubtasks = ["lift", "stop"]\nbins = 512\n'
        "box_m = [[0, 1], [-0.5, 0.5], [-0.2, 0.8]]\ncameras = ['overview']\n"
        "image_size = 64\ncamera_hz = 4\nplanner_hz = 1.5\ndevice = 'cpu'\n"
    )
    read = read_settings(str(file))
    assert read.folder == tmp_path / "model"
    assert read.prompt.substitute(instruction="Lift.") == "Do this for $5: Lift."
    assert read.form == FormConfig(
        ("lift", "stop"), 512, ((0, 1), (-0.5, 0.5), (-0.2, 0.8))
    )
    assert read.cameras == ("overview",)
    assert (read.image_size, read.camera_hz, read.planner_hz) == (64, 4, 1.5)
    assert read.device == "cpu"

    # without a file there are defaults
    plain = read_settings(str(tmp_path))
    assert plain == replace(
        plain, form=FormConfig(), cameras=None, planner_hz=2.0, device="auto"
    )
    assert sorted(plain.prompt.get_identifiers()) == sorted(FIELDS)
    assert isinstance(checked_prompt("$instruction"), Template)


WRONG_ENTRIES: dict[str, tuple[dict[str, Any], str]] = {
    "unknown": ({"promt": "x"}, "Did you mean 'prompt'?"),
    "none": ({}, "folder must be given"),
    "kind": ({"folder": 3}, "folder must be a text, not 3"),
    "truth": ({"bins": True}, "bins must be a whole number, not True"),
    "bins": ({"bins": 1001}, "bins must be from 2 to 1000"),
    "rate": ({"planner_hz": 0}, "planner_hz must be above 0"),
    "subtask": ({"subtasks": ["lift", "fly"]}, "unknown subtask 'fly'"),
    "twice": ({"subtasks": ["lift", "lift"]}, "each once"),
    "no subtask": ({"subtasks": []}, "must name at least one"),
    "names": ({"cameras": [1]}, "cameras must be a list of names"),
    "no camera": ({"cameras": []}, "cameras must name at least one"),
    "box": ({"box_m": [[0, 1]]}, "a list of three ranges"),
    "range": ({"box_m": [[0, 1], [0, 1], [1, 0]]}, "must rise"),
    "word": ({"box_m": [[0, 1], [0, 1], ["a", 1]]}, "a list of three ranges"),
    "head": ({"head": "h", "image_size": 96}, "pictures are those of its run"),
    "no prompt": ({"prompt": "nowhere.txt"}, "cannot be read"),
}


@pytest.mark.parametrize("case", WRONG_ENTRIES)
def test_wrong_settings_are_told(case: str, tmp_path: Path) -> None:
    entries, words = WRONG_ENTRIES[case]
    given_folder = {"folder": "model"} if entries else {}
    with pytest.raises(EmbodiedError) as caught:
        checked_settings(given_folder | entries, tmp_path)
    assert words in str(caught.value)
    assert set(entries) <= {*KEYS, "promt"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("$instruction $subtask", "unknown field of the prompt 'subtask'"),
        ("Do it for 5 $", "write $$ for"),
        ("Do something.", "must have the field $instruction"),
    ],
)
def test_wrong_prompts_are_told(text: str, words: str) -> None:
    with pytest.raises(EmbodiedError) as caught:
        checked_prompt(text)
    assert words in str(caught.value)


def no_config(folder: Path) -> None:
    (folder / "config.json").unlink()


def no_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def pickled_weights(folder: Path) -> None:
    no_weights(folder)
    (folder / "pytorch_model.bin").write_bytes(b"")


def no_processor(folder: Path) -> None:
    (folder / "processor_config.json").unlink()


def no_tokeniser(folder: Path) -> None:
    (folder / "tokenizer_config.json").unlink()


def no_json(folder: Path) -> None:
    (folder / "config.json").write_text("{")


def no_kind(folder: Path) -> None:
    (folder / "config.json").write_text("{}")


def own_code(folder: Path) -> None:
    config = {"model_type": "mine", "auto_map": {"AutoModel": "mine.Model"}}
    (folder / "config.json").write_text(json.dumps(config))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (no_config, "has no config.json"),
        (no_weights, "no *.safetensors in it"),
        (pickled_weights, "pytorch_model.bin, which can run code"),
        (no_processor, "processor_config.json or preprocessor_config.json not found"),
        (no_tokeniser, "tokenizer_config.json not found"),
        (no_json, "config.json is not JSON"),
        (no_kind, "does not say its model_type"),
        (own_code, "brings Python code of its own"),
    ],
)
def test_folders_without_a_model_are_told(
    spoil: Callable[[Path], None],
    words: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ("config.json", "processor_config.json", "tokenizer_config.json"):
        (tmp_path / name).write_text('{"model_type": "llava"}')
    (tmp_path / "model.safetensors").write_bytes(b"")
    spoil(tmp_path)
    policy = f"transformers:{tmp_path}"
    assert words in refused(
        capsys, "eval", TASK, "--policy", policy, "-o", tmp_path / "out"
    )


def test_without_transformers_the_extra_is_named(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ("config.json", "processor_config.json", "tokenizer_config.json"):
        (tmp_path / name).write_text('{"model_type": "llava"}')
    (tmp_path / "model.safetensors").write_bytes(b"")
    # as if it were not installed
    monkeypatch.setitem(sys.modules, "transformers", None)
    policy = f"transformers:{tmp_path}"
    words = ("eval", TASK, "--policy", policy, "-o", tmp_path / "out")
    assert "pip install 'embodied-ground[transformers]'" in refused(capsys, *words)


def test_a_place_without_a_folder_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("eval", TASK, "-o", tmp_path / "out", "--policy")
    assert "never downloaded" in refused(capsys, *words, "transformers:org/model")
    nowhere = f"transformers:{tmp_path / 'vlm.toml'}"
    assert "cannot be read" in refused(capsys, *words, nowhere)


def blocks(language: str) -> list[str]:
    fence = rf"^```{language}\n(.*?)^```$"
    return re.findall(fence, PAGE, flags=re.DOTALL | re.MULTILINE)


def test_the_page_is_true() -> None:
    lines = [line for block in blocks("bash") for line in block.splitlines()]
    commands = [words for words in map(str.split, lines) if words[0] == "embodied"]
    assert len(commands) >= 6
    for _, *words in commands:
        build_parser(words).parse_args(words)

    # its settings name every key, one as a remark; its question is the one that ships
    [text] = blocks("toml")
    entries = tomllib.loads(text)
    assert entries.keys() == KEYS.keys() - {"head"}
    assert "# head = " in text
    del entries["prompt"]
    assert checked_settings(entries, Path()).form.bins == 512
    assert blocks("text") == [default_prompt()]


def test_the_module_of_the_page_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    [text] = blocks("python")
    (tmp_path / "my_rounded.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    source = find_policy("my_rounded:finer")
    config = env_config_for(source.spec("PanelReset"), "PanelReset", "L1", "train")
    [result] = EpisodeRunner("my_rounded:finer", config).run([10_000])
    assert result.success_at_end
    assert result.plan_faults == 0
