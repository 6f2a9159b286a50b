"""Heads: what is linear is found, what is held out is told, files come back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from embodied.datasets.reader import Dataset
from embodied.errors import EmbodiedError
from embodied.policies.pretrained import pretrained_folder
from embodied.policies.vla.latents import payload_of_latents
from embodied.policies.vla.run_folder import load_net
from embodied.policies.vlm.head import (
    INFO,
    WEIGHTS,
    HeadInfo,
    fit_head,
    read_head,
    write_head,
)
from tests.commands import embodied, refused

ROWS = 400
HIDDEN = 12
LATENT = 5
FITTED_TO = HeadInfo(
    asked="a",
    run="runs/a",
    run_weights="b",
    ridge=0.1,
    explained=0.5,
    fitted=3,
    held_out=1,
)


def linear(noise: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Hidden states of very different sizes, latents that are linear in them."""
    rng = np.random.default_rng(0)
    hidden = rng.normal(2, 1, (ROWS, HIDDEN)) * 10.0 ** np.arange(-5, HIDDEN - 5)
    hidden[:, 3] = 7  # one that never changes
    weight = rng.normal(size=(HIDDEN, LATENT)) / hidden.std(axis=0).max()
    latent = hidden @ weight + 3 + noise * rng.normal(size=(ROWS, LATENT))
    return hidden, latent, np.arange(ROWS) >= 300


def test_what_is_linear_is_found() -> None:
    hidden, latent, is_held_out = linear(noise=0.0)
    head, ridge, explained = fit_head(hidden, latent, is_held_out)
    assert ridge == 1e-4
    assert explained > 0.999
    found = np.stack([head.latent(row) for row in hidden.astype(np.float32)])
    inside = (latent >= head.low) & (latent <= head.high)
    np.testing.assert_allclose(found[inside], latent[inside], atol=0.01)


def test_latents_stay_within_those_seen() -> None:
    hidden, latent, is_held_out = linear(noise=0.1)
    head, _, _ = fit_head(hidden, latent, is_held_out)
    far = head.latent(1e6 * hidden[0].astype(np.float32))
    assert ((far == head.low) | (far == head.high)).all()


def test_what_cannot_be_explained_is_told() -> None:
    hidden, latent, is_held_out = linear(noise=0.0)
    rng = np.random.default_rng(1)
    _, ridge, explained = fit_head(hidden, rng.normal(size=latent.shape), is_held_out)
    assert explained < 0.1
    assert ridge == 10
    # latents that never change
    _, _, explained = fit_head(hidden, 0 * latent + 2, is_held_out)
    assert explained == pytest.approx(0, abs=1e-9)


def test_what_cannot_be_fitted_is_refused() -> None:
    hidden, latent, is_held_out = linear(noise=0.0)
    with pytest.raises(EmbodiedError, match="at least 2"):
        fit_head(hidden, latent, np.ones(ROWS, bool))
    hidden[7, 2] = np.nan
    with pytest.raises(EmbodiedError, match="not finite"):
        fit_head(hidden, latent, is_held_out)


def test_a_head_comes_back_from_its_folder(tmp_path: Path) -> None:
    head, _, _ = fit_head(*linear(noise=0.1))
    write_head(tmp_path / "head", head, FITTED_TO)
    again, info = read_head(tmp_path / "head")
    assert info == FITTED_TO
    for name, values in vars(head).items():
        np.testing.assert_array_equal(getattr(again, name), values)

    with pytest.raises(EmbodiedError, match="is no head"):
        read_head(tmp_path)
    (tmp_path / "head" / WEIGHTS).write_bytes(b"\xff" * 32)
    with pytest.raises(EmbodiedError, match="is damaged"):
        read_head(tmp_path / "head")
    write_head(tmp_path / "head", head, FITTED_TO)
    (tmp_path / "head" / INFO).write_text('{"asked": 3}')
    with pytest.raises(EmbodiedError, match="is damaged"):
        read_head(tmp_path / "head")


def test_a_latent_says_its_goals() -> None:
    # the planner network's own outputs are those in its latent
    import torch

    net = load_net(pretrained_folder("ToteTransfer", "arm")).planner
    rng = np.random.default_rng(0)
    size = net.agent_scale.mean.numel()
    with torch.inference_mode():
        output = net(
            torch.from_numpy(rng.integers(0, 255, (3, 1, 2, 96, 96, 3), np.uint8)),
            torch.ones((3, 8), dtype=torch.long),
            torch.from_numpy(rng.normal(size=(3, size)).astype(np.float32)),
        )
    payload = payload_of_latents(net, output.latent.numpy())
    np.testing.assert_allclose(payload.goal_pos_w, output.goal_pos_w, atol=1e-5)
    np.testing.assert_allclose(payload.goal_vel_w, output.goal_vel_w, atol=1e-5)
    np.testing.assert_allclose(payload.gripper, output.gripper, atol=1e-6)
    np.testing.assert_allclose(payload.completion, output.completion, atol=1e-6)
    np.testing.assert_array_equal(payload.subtask, output.subtask_logits.argmax(dim=1))


def test_datasets_keep_latents(tmp_path: Path, short: None) -> None:
    path = tmp_path / "late.hdf5"
    words = ("--policy", "pretrained", "--episodes", 1, "--level", "L1")
    options = ("--record-hz", 5, "--workers", 1)
    assert embodied("collect", "ToteTransfer", "-o", path, *words, *options) == 0

    # a latent says the goals that stand beside it
    net = load_net(pretrained_folder("ToteTransfer", "arm")).planner
    with Dataset(path) as dataset:
        plans = dataset.episode(0, images=False).plans
    assert plans["latent"].shape == (len(plans["seq"]), net.plan_shape.latent)
    payload = payload_of_latents(net, plans["latent"])
    np.testing.assert_allclose(payload.goal_pos_w, plans["goal_pos_w"], atol=1e-5)
    np.testing.assert_array_equal(payload.subtask, plans["subtask"])


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--episodes", "0"), "--episodes must be at least 1"),
        (("--num-envs", "0"), "--num-envs must be at least 1"),
        ((), "is no folder"),
    ],
)
def test_wrong_words_are_told(
    words: tuple[str, ...],
    told: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    fixed = ("fit-head", tmp_path / "nowhere", "--run", tmp_path, "-o")
    assert told in refused(capsys, *fixed, tmp_path / "head", *words)
    if not words:
        (tmp_path / "head").mkdir()
        error = refused(capsys, *fixed, tmp_path / "head")
        assert "--overwrite to replace it" in error
