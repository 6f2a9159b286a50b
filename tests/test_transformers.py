"""Vision-language models of transformers as planners: a tiny random one, made here."""

from __future__ import annotations

import json
import shutil
import socket
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from embodied.benchmark.results_file import read_results
from embodied.core import SKILLS, Observation
from embodied.envs.worlds import Worlds
from embodied.errors import EmbodiedError
from embodied.policies.dual_system import DualSystem
from embodied.policies.episodes import EpisodeRunner, env_config_for
from embodied.policies.plans import check_payload
from embodied.policies.pretrained import pretrained_folder
from embodied.policies.registry import find_policy
from embodied.policies.vlm.bins import Bins
from embodied.policies.vlm.chat import beginning_of_answers, question_text
from embodied.policies.vlm.folder import load_model
from embodied.policies.vlm.form import PlanForm
from embodied.policies.vlm.grammar import Grammar
from embodied.policies.vlm.planner import hidden_state
from embodied.policies.vlm.questions import Questions
from embodied.policies.vlm.source import open_transformers
from tests.commands import QUICKLY, TASK, embodied, refused
from tests.tiny_vlm import save_tiny_vlm, template

WEIGHTS = "model.safetensors"
SETTINGS = 'folder = "."\nimage_size = 32\ncamera_hz = 2\nplanner_hz = 1\n'
OUTPUT = "language_model.lm_head.weight"  # the layer that gives the scores of tokens


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = save_tiny_vlm(tmp_path_factory.mktemp("vlm") / "tiny")
    (folder / "vlm.toml").write_text(SETTINGS)
    return folder


@pytest.fixture
def own_copy(folder: Path, tmp_path: Path) -> Path:
    """A copy that a test may spoil."""
    return shutil.copytree(folder, tmp_path / "copy")


def refuse_network(*args: object) -> NoReturn:
    raise AssertionError("nothing may ask the network")


def change_weights(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    weights = load_file(folder / WEIGHTS)
    change(weights)
    save_file(weights, folder / WEIGHTS, {"format": "pt"})


def test_it_is_evaluated_late(folder: Path, tmp_path: Path, short: None) -> None:
    words = ("eval", TASK, "--level", "L1", "--episodes", "2")
    policy = f"transformers:{folder / 'vlm.toml'}"
    options = ("--delay-ms", "250", *QUICKLY)
    out = tmp_path / "out"
    assert embodied(*words, "--policy", policy, *options, "-o", out) == 0

    [cell] = read_results(out / "results.json").cells
    assert len(cell.condition.weights) == 64
    for episode in cell.episodes:
        assert episode.plan_faults == 0
        assert episode.fault == ""
        assert episode.subtask in SKILLS
        # a plan per second, 250 ms late
        assert episode.mean_plan_age_s == pytest.approx(0.25 + 0.5, abs=0.1)


def test_no_world_depends_on_the_others(folder: Path) -> None:
    name = f"transformers:{folder / 'vlm.toml'}"
    spec = find_policy(name).spec(TASK)
    assert spec.cameras == ("overview",)
    assert not spec.privileged
    config = replace(env_config_for(spec, TASK, "L2", "train"), horizon_s=1)

    together = EpisodeRunner(name, config, num_envs=2).run([3, 4])
    alone = EpisodeRunner(name, config, num_envs=1).run([4])
    assert alone[0] == replace(together[1], index=0)


def test_what_it_sees_and_reads_decides(own_copy: Path) -> None:
    more = 'subtasks = ["lift", "press"]\n'
    (own_copy / "vlm.toml").write_text(SETTINGS + more)
    source = open_transformers(str(own_copy / "vlm.toml"))
    config = env_config_for(source.spec(TASK), TASK, "L2", "train")
    ids = np.arange(2)
    with closing(Worlds(config, num_worlds=2)) as worlds:
        worlds.reset(ids, [3, 4])
        seen = worlds.observe()
        policy = source.make(worlds)
        assert isinstance(policy, DualSystem)
        payload = policy.planner.plan(seen, ids)
        check_payload(payload, 2, worlds.robot.plan_shape)
        form = PlanForm(worlds.robot, worlds.agent_layout, source.settings.form)
    assert {SKILLS[k] for k in payload.subtask} <= {"lift", "press"}

    # the same question has the same answer
    again = policy.planner.plan(seen, ids)
    np.testing.assert_array_equal(again.goal_pos_w, payload.goal_pos_w)

    # what is seen, read and felt reaches the network
    model = load_model(own_copy, "cpu")
    prompt = source.settings.prompt
    questions = Questions(model, form, prompt, config.cameras or ())

    def state(observation: Observation) -> np.ndarray:
        return hidden_state(model, next(questions.inputs(observation)))

    black = {name: 0 * frames for name, frames in seen.pixels.items()}
    others = [
        replace(seen, pixels=black),
        replace(seen, instruction=("", "?")),
        replace(seen, agent_pos=seen.agent_pos + 0.1),
    ]
    for other in others:
        assert (state(other) != state(seen)).any()


@pytest.mark.parametrize(("before", "lead"), [("\nAnswer:", " "), ("<end>\n", "")])
def test_what_a_trainer_writes_is_what_the_planner_may_answer(
    before: str, lead: str, own_copy: Path
) -> None:
    (own_copy / "chat_template.jinja").write_text(template(before, lead))
    model = load_model(own_copy, "cpu")
    words = [SKILLS, *[Bins(0, 1).words] * 8]
    grammar = Grammar(words, model.encode, beginning_of_answers(model))
    chosen = [3, 0, 17, 255, 128, 99, 100, 7, 200]
    answer = " ".join(choices[k] for choices, k in zip(words, chosen, strict=True))

    # a question with its answer, as a trainer has it: tokens of one text
    asked = {"role": "user", "content": [{"type": "text", "text": "What next?"}]}
    answered = {"role": "assistant", "content": [{"type": "text", "text": answer}]}
    whole = model.processor.apply_chat_template([asked, answered])
    question = question_text(model, "What next?", 0)
    tokens = model.encode(whole)[len(model.encode(question)) :]
    assert grammar.read(tokens) == chosen
    assert grammar.allowed(tokens) == []


def test_scores_that_are_not_finite_lose_the_plan(
    own_copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def spoil(weights: dict[str, Any]) -> None:
        weights[OUTPUT][:] = np.nan

    change_weights(own_copy, spoil)
    words = ("eval", TASK, "--level", "L1", "--episodes", "1", "--workers", "1")
    policy = f"transformers:{own_copy / 'vlm.toml'}"
    error = refused(capsys, *words, "--policy", policy, "-o", tmp_path / "out")
    assert "goal_pos_w of a plan must be finite" in error


def test_the_hash_is_of_the_weights_and_the_question(own_copy: Path) -> None:
    hashes = [open_transformers(str(own_copy)).weights_hash]
    (own_copy / "ask.txt").write_text("What next? $instruction")
    file = own_copy / "vlm.toml"
    file.write_text('folder = "."\nprompt = "ask.txt"\n')
    hashes.append(open_transformers(str(file)).weights_hash)

    def nudge(weights: dict[str, Any]) -> None:
        weights[OUTPUT] += 0.001

    change_weights(own_copy, nudge)
    hashes.append(open_transformers(str(file)).weights_hash)
    assert len(set(hashes)) == 3


@pytest.mark.slow
def test_a_head_steers_the_controller_of_a_run(
    own_copy: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    short: None,
) -> None:
    file = own_copy / "vlm.toml"
    file.write_text('folder = "."\n')
    run = pretrained_folder(TASK, "arm")
    words = ("--level", "L1", "--episodes", "2", "--num-envs", "2")
    head = tmp_path / "head"
    assert embodied("fit-head", file, "--run", run, *words, "-o", head) == 0
    assert "of the variance of the latents in the episodes held out" in (
        capsys.readouterr().out
    )

    file.write_text(f'folder = "."\nhead = "{head}"\nplanner_hz = 4\n')
    source = open_transformers(str(file))
    spec = source.spec(TASK)
    assert spec == find_policy(str(run)).spec(TASK)
    config = replace(env_config_for(spec, TASK, "L1", "train"), horizon_s=1)
    runner = EpisodeRunner(f"transformers:{file}", config, num_envs=2)
    together = runner.run([3, 4])
    alone = replace(runner, num_envs=1).run([4])
    assert alone[0] == replace(together[1], index=0)
    assert [result.plan_faults for result in together] == [0, 0]

    # what it was fitted to must not change
    (own_copy / "ask.txt").write_text("What next? $instruction")
    file.write_text(f'folder = "."\nhead = "{head}"\nprompt = "ask.txt"\n')
    with pytest.raises(EmbodiedError, match="another model or another question"):
        open_transformers(str(file))


def test_it_is_loaded_without_the_network(
    own_copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket.socket, "connect", refuse_network)
    # a config may name a repository that it came from
    config = json.loads((own_copy / "config.json").read_text())
    config["_name_or_path"] = "org/model"
    (own_copy / "config.json").write_text(json.dumps(config))
    assert load_model(own_copy, "cpu").encode("12") != []


def another_kind(folder: Path) -> None:
    (folder / "config.json").write_text('{"model_type": "bert"}')


def too_few_weights(folder: Path) -> None:
    change_weights(folder, lambda weights: weights.pop(OUTPUT))


def other_sizes(folder: Path) -> None:
    def cut(weights: dict[str, Any]) -> None:
        weights[OUTPUT] = weights[OUTPUT][:, :8].copy()

    change_weights(folder, cut)


def damaged_weights(folder: Path) -> None:
    (folder / WEIGHTS).write_bytes(b"\xff" * 64)


def a_processor_of_nothing(folder: Path) -> None:
    (folder / "processor_config.json").write_text("{}")


def no_place_for_images(folder: Path) -> None:
    (folder / "chat_template.jinja").write_text("{{ nothing.at_all }}")


def too_many_tokens(folder: Path) -> None:
    """Gives every digit a token that the network does not know."""
    file = folder / "tokenizer.json"
    stored = json.loads(file.read_text())
    for digit in "0123456789":
        stored["model"]["vocab"][digit] += 1000
    file.write_text(json.dumps(stored))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (another_kind, "of the kind 'bert', which is no image-text-to-text model"),
        (too_few_weights, "1 missing keys, the first is "),
        (other_sizes, "1 mismatched keys, the first is "),
        (damaged_weights, "cannot be loaded: "),
        (a_processor_of_nothing, "the processor in "),
        (no_place_for_images, "chat template"),
        (too_many_tokens, "they do not belong together"),
    ],
)
def test_models_that_cannot_plan_are_told(
    spoil: Callable[[Path], None], words: str, own_copy: Path
) -> None:
    spoil(own_copy)
    with pytest.raises(EmbodiedError) as caught:
        find_policy(f"transformers:{own_copy}").spec(TASK)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600
