"""Imitation on made-up demonstrations: it learns, repeats itself, and runs anywhere."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from embodied.core import SKILLS
from embodied.errors import EmbodiedError
from embodied.policies import device as device_module
from embodied.policies.device import training_device
from embodied.policies.training import batches as batches_module
from embodied.policies.training.batches import (
    SKILL_WEIGHT,
    Ages,
    BatchDataset,
    BatchRequests,
    agent_noise,
    load_batches,
    plan_weights,
)
from embodied.policies.training.loss import joint_loss
from embodied.policies.training.samples import Samples
from embodied.policies.vla import vision
from tests.training import (
    AGENT,
    CONFIG,
    EPISODES,
    PLANS,
    make_learner,
    make_net,
    make_run,
    make_samples,
)

CPU = torch.device("cpu")


def make_requests(
    samples: Samples, batch_size: int = 4, ages_s: tuple[float, float] = (0.0, 0.8)
) -> BatchRequests:
    return BatchRequests(
        samples,
        noise=agent_noise(AGENT),
        batch_size=batch_size,
        ages=Ages(3, *ages_s),
        jitter=0.06,
        generator=torch.Generator().manual_seed(0),
    )


def make_dataset(samples: Samples, device: torch.device = CPU) -> BatchDataset:
    config = make_net(samples).config
    tokens = config.vocabulary.encode(samples.sentences)
    return BatchDataset(samples.to(device), tokens.to(device), config.chunk)


@pytest.mark.parametrize("ages_s", [(0.0, 0.125), (0.25, 0.375), (0.3, 0.3)])
def test_plans_are_as_old_as_asked_for(ages_s: tuple[float, float]) -> None:
    requests = make_requests(make_samples(1), batch_size=200, ages_s=ages_s)
    low, high = ages_s
    age_s = next(iter(requests)).age_s
    assert low <= float(age_s.min()) <= low + 0.01
    assert high - 0.01 <= float(age_s.max()) <= high + 1e-6

    # the default is what it was before there was a choice, number by number
    twice = [make_requests(make_samples(1), ages_s=ages) for ages in ((0, 0.8), ages_s)]
    usual, chosen = (next(iter(one)).age_s for one in twice)
    assert torch.allclose(chosen, low + usual / 0.8 * (high - low))


def test_plan_ages_tell_trainings_apart() -> None:
    usual = CONFIG.identity()
    assert usual["plan_age_s"] is None  # as in runs that are older than the choice
    other = replace(CONFIG, min_age_s=0.25, max_age_s=0.375).identity()
    assert other == {**usual, "plan_age_s": [0.25, 0.375]}
    for ages_s in ((0.4, 0.3), (-0.1, 0.3), (0.0, float("inf"))):
        with pytest.raises(EmbodiedError, match="plans must be from 0 s old up"):
            replace(CONFIG, min_age_s=ages_s[0], max_age_s=ages_s[1])


@pytest.mark.slow
def test_training_learns_what_the_picture_shows(tmp_path: Path) -> None:
    learner = make_learner()
    before = learner.validate()
    run = make_run(tmp_path, learner, steps=250)
    run.train()

    last = run.history[-1]
    assert last["share"] == 1.0
    assert last["goal_error_mm"] < 0.6 * before["goal_error_mm"]
    assert last["valid_action_loss"] < before["valid_action_loss"]


def weights_after(folder: Path, seed: int) -> dict[str, Tensor]:
    learner = make_learner(seed=seed)
    make_run(folder, learner).train()
    return dict(learner.weights())


@pytest.mark.slow
def test_the_same_seed_trains_the_same_weights(tmp_path: Path) -> None:
    first = weights_after(tmp_path / "first", seed=0)
    second = weights_after(tmp_path / "second", seed=0)
    other = weights_after(tmp_path / "other", seed=1)

    for name, value in first.items():
        assert torch.equal(value, second[name]), name
    assert not torch.equal(first["planner.heads.weight"], other["planner.heads.weight"])


def test_a_step_works_on_any_device() -> None:
    """On torch's `meta` device nothing has values: whatever asks for one on the host,
    or mixes devices, fails.
    """
    meta = torch.device("meta")
    samples = make_samples(1)
    request = next(iter(make_requests(samples)))
    net = make_net(samples).to(meta)
    batch = make_dataset(samples, meta)[request]
    loss, output = joint_loss(net, batch)
    total = loss.total()
    total.backward()

    # The shapes are (B, E, 3) of a plan's goal, and (B, K, chunk, A) of the actions.
    assert total.device == meta
    assert total.shape == ()
    assert output.goal_pos_w.shape == (4, 1, 3)
    assert batch.action.shape == (4, 3, net.config.chunk, 7)
    assert all(parameter.grad is not None for parameter in net.parameters())
    assert {value.device for value in vars(batch).values()} == {meta}


def test_bfloat16_keeps_to_the_convolutions(monkeypatch: pytest.MonkeyPatch) -> None:
    """What CUDA does, on the CPU: the loss stays near, and places keep their digits."""

    def half_precision(device: torch.device) -> AbstractContextManager[object]:
        return torch.autocast("cpu", torch.bfloat16)

    samples = make_samples(1)
    net = make_net(samples)
    batch = make_dataset(samples)[next(iter(make_requests(samples)))]
    exact, _ = joint_loss(net, batch)
    monkeypatch.setattr(vision, "half_precision", half_precision)
    rough, output = joint_loss(net, batch)
    rough.total().backward()

    # The loss did change, so the convolutions were rough.
    assert not torch.equal(rough.goal, exact.goal)
    torch.testing.assert_close(rough.total(), exact.total(), rtol=0.05, atol=0.0)
    assert output.goal_pos_w.dtype == output.gaze.dtype == torch.float32
    assert net.planner.vision.patches.weight.grad.dtype == torch.float32


@pytest.mark.slow
def test_batches_do_not_depend_on_who_reads_them() -> None:
    samples = make_samples(1)
    dataset = make_dataset(samples)
    few = make_requests(samples)
    many = make_requests(samples)
    here = load_batches(dataset, few, workers=0, pin_memory=False)
    there = load_batches(dataset, many, workers=2, pin_memory=False)

    for _ in range(8):
        ours = vars(next(here))
        for name, value in vars(next(there)).items():
            assert torch.equal(ours[name], value), name
        # a validation, before which the workers have requested more batches than we have
        few.undisturbed(2)
        many.undisturbed(2)


def test_an_episode_stays_at_its_end() -> None:
    samples = make_samples(1)
    dataset = make_dataset(samples)
    request = make_requests(samples).undisturbed(len(samples))
    late = dataset[replace(request, age_s=torch.full((len(samples), 1), 9.0))]
    assert torch.equal(late.agent_pos[:, 0], samples.agent_pos[samples.last_step])
    last_action = samples.action[samples.last_step]
    assert torch.equal(late.action[:, 0, -1], last_action)


def test_thinned_samples_keep_their_pictures() -> None:
    samples = make_samples(1)
    some = samples.thinned(EPISODES)
    assert len(some) == EPISODES
    rows = torch.arange(0, EPISODES * PLANS, PLANS)
    assert torch.equal(some.goal_pos_w, samples.goal_pos_w[rows])
    for moment in ("earlier_frame", "newest_frame"):
        ours = some.frames.take(getattr(some, moment))
        assert torch.equal(ours, samples.frames.take(getattr(samples, moment)[rows]))


def test_skills_that_look_are_sampled_more_often() -> None:
    reach = SKILLS.index("reach")
    lift = SKILLS.index("lift")
    subtask = torch.tensor([reach] * 50 + [lift] * 50)
    weights = plan_weights(subtask, torch.ones(100))
    ratio = float(weights[0] / weights[-1])
    assert ratio == pytest.approx(SKILL_WEIGHT["reach"], rel=0.1)


def test_the_planner_knows_its_pose_only_roughly() -> None:
    noise = agent_noise(AGENT)
    assert noise[14] == 0  # the gripper's width decides what is held
    assert (noise[15:18] > 0).all()
    assert set(batches_module.AGENT_NOISE) < {name for name, _ in AGENT}


def test_auto_is_cuda_where_there_is_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert training_device("auto") == torch.device("cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert training_device("auto") == torch.device("cuda")
    assert training_device("cuda:1") == torch.device("cuda", 1)
    with pytest.raises(EmbodiedError, match="finds 2 CUDA devices"):
        training_device("cuda:2")


@pytest.mark.parametrize("name", ["gpu", "cuda:x", "meta", "mps", ""])
def test_what_is_no_device_is_named(name: str) -> None:
    with pytest.raises(EmbodiedError, match="give auto, cpu, cuda or cuda:<number>"):
        training_device(name)


def test_nothing_changes_on_the_cpu() -> None:
    with device_module.half_precision(torch.device("cpu")):
        product = torch.ones(2, 2) @ torch.ones(2, 2)
    assert product.dtype == torch.float32
