"""The reference dual system: its words, its memory, its fixed batches, its files."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from embodied.core import Observation, PolicySpec
from embodied.errors import EmbodiedError
from embodied.plan import Payload
from embodied.policies.checkpoint import write_tensors
from embodied.policies.inference import BATCH_ROWS, infer_in_batches
from embodied.policies.run_folder import INFO, WEIGHTS, read_info, write_info
from embodied.policies.training.loss import gaze_loss
from embodied.policies.training.samples import goal_view
from embodied.policies.vla.agents import ChunkController, ImageMemory, VLAPlanner
from embodied.policies.vla.network import DualSystemNet, NetConfig
from embodied.policies.vla.run_folder import (
    RunInfo,
    VLARun,
    load_net,
    read_run,
)
from embodied.policies.vla.text import PADDING, UNKNOWN, Vocabulary
from embodied.policies.vla.vision import PIECE, FilmConv
from tests.training import AGENT, SIDE


@pytest.fixture(scope="module")
def net() -> DualSystemNet:
    torch.manual_seed(0)
    return DualSystemNet(
        NetConfig(
            ("belt", "red", "tote"), AGENT, ("front",), action_size=7, image_size=SIDE
        )
    ).eval()


def make_observation(rows: int, tick: int, seed: int = 0) -> Observation:
    rng = np.random.default_rng(seed)
    return Observation(
        tick=np.full(rows, tick),
        agent_pos=rng.normal(size=(rows, 24)),
        environment_state=np.zeros((rows, 0)),
        instruction=("Take the red tote.",) * rows,
        pixels={"front": rng.integers(0, 256, (rows, SIDE, SIDE, 3), dtype=np.uint8)},
        pixels_tick=np.full(rows, tick),
    )


def test_words_are_known_unknown_or_padding() -> None:
    vocabulary = Vocabulary.of(["Take the RED tote.", "the tote"])
    tokens = vocabulary.encode(["red, tote!", "purple tote"])
    assert vocabulary.words == ("red", "take", "the", "tote")
    assert tokens[0, :3].tolist() == [2, 5, PADDING]
    assert tokens[1, 0] == UNKNOWN


def test_a_long_sentence_is_cut() -> None:
    assert Vocabulary(("a",), length=3).encode(["a a a a a"]).tolist() == [[2, 2, 2]]


@pytest.mark.parametrize("rows", [1, 5, BATCH_ROWS, BATCH_ROWS + 3])
def test_inference_runs_in_one_batch_size_and_returns_every_row(rows: int) -> None:
    batch_sizes: list[int] = []

    def run(ids: np.ndarray) -> list[torch.Tensor]:
        batch_sizes.append(len(ids))
        return [torch.from_numpy(ids)]

    assert infer_in_batches(rows, run)[0].tolist() == list(range(rows))
    assert set(batch_sizes) == {BATCH_ROWS}


def test_a_plan_does_not_depend_on_the_neighbours(net: DualSystemNet) -> None:
    together = VLAPlanner(net)
    together.reset(np.arange(20), range(20))
    many = together.plan(make_observation(20, 0), np.arange(20))
    for world in (0, 7, 19):
        alone = VLAPlanner(net)
        alone.reset(np.array([0]), [0])
        one = alone.plan(make_observation(20, 0).rows(np.array([world])), np.array([0]))
        assert np.array_equal(one.latent[0], many.latent[world])
        assert np.array_equal(one.goal_pos_w[0], many.goal_pos_w[world])


def test_a_large_batch_of_images_is_encoded_in_pieces() -> None:
    torch.manual_seed(0)
    encoder = FilmConv(channels=6, text_width=4)
    count = 2 * PIECE + 5
    images = torch.rand(count, 6, SIDE, SIDE)
    text = torch.rand(count, 4)
    whole = encoder(images, text)  # with gradients
    with torch.no_grad():
        pieces = encoder(images, text)
    for one, other in zip(whole, pieces, strict=True):
        assert torch.allclose(one, other, atol=1e-5)


def test_payload_is_well_formed(net: DualSystemNet) -> None:
    planner = VLAPlanner(net)
    planner.reset(np.arange(3), range(3))
    payload = planner.plan(make_observation(3, 0), np.arange(3))
    assert payload.shape == planner.plan_shape
    assert np.allclose(np.linalg.norm(payload.goal_quat_wxyz, axis=-1), 1)
    assert ((payload.completion >= 0) & (payload.completion <= 1)).all()
    assert (np.abs(payload.gripper) <= 1).all()


def test_the_image_of_half_a_second_ago_is_remembered() -> None:
    memory = ImageMemory(("front",), history_s=0.5)
    memory.forget(np.array([0]))

    # An image every 50 ticks; half a second has 200.
    images = {
        tick: np.full((1, SIDE, SIDE, 3), tick % 251, np.uint8)
        for tick in range(0, 500, 50)
    }
    for tick, image in images.items():
        remembered = memory.remember(0, tick, image)
        assert (remembered == images[max(0, tick - 200)]).all()

    # A new episode remembers nothing of the one before.
    memory.forget(np.array([0]))
    assert (memory.remember(0, 0, images[450]) == images[450]).all()


def test_what_is_privileged_does_not_reach_a_trained_policy(net: DualSystemNet) -> None:
    planner = VLAPlanner(net)
    planner.reset(np.arange(2), range(2))
    clean = planner.plan(make_observation(2, 0), np.arange(2))
    planner.reset(np.arange(2), range(2))
    privileged = planner.plan(
        replace(make_observation(2, 0), environment_state=np.full((2, 5), 9.0)),
        np.arange(2),
    )
    assert np.array_equal(clean.latent, privileged.latent)


def test_a_chunk_is_executed_before_the_next(net: DualSystemNet) -> None:
    controller = ChunkController(
        net, PolicySpec(control_mode="ee_delta", control_hz=200)
    )
    controller.reset(np.arange(2), [0, 1])
    payload = Payload.empty(2, net.planner.plan_shape)

    rows: list[int] = []
    predict = controller._predict
    controller._predict = lambda *args: (rows.append(len(args[0])), predict(*args))[1]  # type: ignore[method-assign,func-returns-value]
    for step in range(11):
        if step == 7:
            controller.reset(np.array([1]), [5])
        action = controller.act(
            make_observation(2, 2 * step, seed=step), payload, np.zeros(2)
        )
        assert action.shape == (2, 7)
        assert (np.abs(action) <= 1).all()

    # Both worlds at steps 0 and 5, world 1 at 7, world 0 at 10.
    assert rows == [2, 2, 1, 1]


def test_the_goal_in_view() -> None:
    straight_down = {
        "pos_w": [0, 0, 2.0],
        "mat_w": np.eye(3).ravel().tolist(),
        "fovy_deg": 90.0,
    }

    view = goal_view(
        np.array([[0, 0, 0], [1.0, 0, 0], [0, 1.0, 0], [9, 0, 0], [0, 0, 3.0]]),
        [straight_down, None],
    )

    # Rows count down, columns to the right.
    assert np.allclose(view[:3, 0], [[0, 0], [0, 0.5], [-0.5, 0]])
    # Beside the image, behind the camera, and of a camera that is not known.
    assert np.isnan(view[3:, 0]).all()
    assert np.isnan(view[:, 1]).all()


def test_the_gaze_loss_wants_the_goals_cell() -> None:
    side = 4
    view = torch.tensor([[[-0.75, 0.25]]])  # middle of row 0, column 2
    gaze = torch.full((1, 1, side * side), -20.0)
    gaze[0, 0, 2] = 0.0
    assert gaze_loss(gaze, view) < 1e-6
    assert gaze_loss(gaze.roll(1, dims=2), view) > 10
    assert gaze_loss(gaze, torch.full((1, 1, 2), torch.nan)) == 0


def run_info(net: DualSystemNet) -> RunInfo:
    config = {"control_mode": "ee_delta", "control_hz": 200, "camera_hz": 8}
    return RunInfo.of(
        net.config,
        {"task": "T", "robot": "arm", "config": config, "planner_hz": 8.0},
        ["T"],
        [Path("a.hdf5")],
    )


def save(net: DualSystemNet, folder: Path) -> None:
    write_tensors(folder / WEIGHTS, net.state_dict())
    write_info(folder, run_info(net).to_json(), packages=("torch",))


def test_a_run_folder_gives_back_what_was_saved(
    net: DualSystemNet, tmp_path: Path
) -> None:
    save(net, tmp_path)
    loaded = load_net(tmp_path)
    assert read_run(tmp_path) == run_info(net)
    for name, value in net.state_dict().items():
        assert torch.equal(value, loaded.state_dict()[name])
    assert VLARun.of(tmp_path, read_info(tmp_path)).planner_hz == 8.0


def test_what_is_no_run_folder_is_named(net: DualSystemNet, tmp_path: Path) -> None:
    with pytest.raises(EmbodiedError, match="not a run folder"):
        read_run(tmp_path)

    # Weights that were cut, as of a copy that was interrupted.
    save(net, tmp_path)
    weights = (tmp_path / WEIGHTS).read_bytes()
    (tmp_path / WEIGHTS).write_bytes(weights[: len(weights) // 2])
    with pytest.raises(EmbodiedError, match="do not fit"):
        load_net(tmp_path)

    stored = json.loads((tmp_path / INFO).read_text())
    (tmp_path / INFO).write_text(json.dumps({**stored, "schema_version": 99}))
    with pytest.raises(EmbodiedError, match="schema version 99"):
        read_run(tmp_path)

    (tmp_path / INFO).write_text("{")
    with pytest.raises(EmbodiedError, match="not JSON"):
        read_run(tmp_path)
