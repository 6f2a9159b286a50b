"""Action heads, and the single system that they make of a planner network."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from embodied.errors import EmbodiedError
from embodied.policies.training.batches import BatchDataset
from embodied.policies.training.config import ImitationConfig
from embodied.policies.training.samples import Samples
from embodied.policies.training.systems import (
    batch_dataset,
    batch_loss,
    batch_requests,
    fit_scales,
)
from embodied.policies.vla.head_config import HEADS, HeadConfig
from embodied.policies.vla.heads import (
    CLASSES,
    ActionHead,
    Context,
    ContextSizes,
    Draws,
    make_head,
)
from embodied.policies.vla.network import DualSystemNet
from embodied.policies.vla.single import SinglePlanner, SingleSystemNet
from tests.test_vla import make_observation
from tests.training import CONFIG, make_net, make_samples

ROWS = 3
ACTIONS = 2
SIZES = ContextSizes(hidden=6, cameras=2, camera=5, text=4, robot=3)


def tiny_head(name: str, rows: int = ROWS, actions: int = ACTIONS) -> ActionHead:
    torch.manual_seed(0)
    config = HeadConfig(name, rows, chunk_hz=50.0, width=16, layers=1)
    return make_head(config, actions, SIZES)


def make_context(n: int, seed: int = 0) -> Context:
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        return torch.randn((n, *shape), generator=generator)

    return Context(
        hidden=draw(SIZES.hidden),
        cameras=draw(SIZES.cameras, SIZES.camera),
        text=draw(SIZES.text),
        robot=draw(SIZES.robot),
    )


def make_draws(n: int, rows: int = ROWS, actions: int = ACTIONS) -> Draws:
    return Draws(torch.randn(n, rows, actions), torch.rand(n))


def train(
    head: ActionHead, context: Context, wanted: Tensor, steps: int, rate: float
) -> None:
    """Overfits a head; for `flow` each step draws other noise."""
    optimizer = torch.optim.Adam(head.parameters(), lr=rate)
    for _ in range(steps):
        loss = head.loss(context, wanted, make_draws(*wanted.shape))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def test_every_head_that_can_be_named_exists() -> None:
    assert tuple(CLASSES) == HEADS
    with pytest.raises(EmbodiedError, match="unknown action head.*mlp"):
        HeadConfig.of("diffusion", control_hz=200)
    with pytest.raises(EmbodiedError, match="unknown action head"):
        replace(CONFIG, head="diffusion")


def test_a_chunk_lasts_a_second_at_any_control_rate() -> None:
    fast = HeadConfig.of("mlp", control_hz=200)
    slow = HeadConfig.of("mlp", control_hz=20)
    assert (fast.rows, fast.chunk_hz) == (50, 50.0)
    assert (slow.rows, slow.chunk_hz) == (20, 20.0)


@pytest.mark.parametrize("name", HEADS)
def test_a_head_gives_chunks_and_passes_gradients_to_all_it_sees(name: str) -> None:
    head = tiny_head(name)
    context = make_context(4)
    parts = vars(context)
    for part in parts.values():
        part.requires_grad_()
    loss = head.loss(context, torch.rand(4, ROWS, ACTIONS), make_draws(4))
    assert loss.shape == ()
    loss.backward()
    assert head.sample(context, torch.randn(4, ROWS, ACTIONS)).shape == (4, 3, 2)

    # `mlp` sees images and text through the trunk alone
    seen = {"hidden", "robot"} if name == "mlp" else set(parts)
    reached = {
        part
        for part, value in parts.items()
        if value.grad is not None and value.grad.abs().sum() > 0
    }
    assert reached == seen


@pytest.mark.parametrize("name", ["mlp", "transformer"])
def test_a_head_learns_a_handful_of_chunks_by_heart(name: str) -> None:
    head = tiny_head(name)
    context = make_context(4)
    wanted = torch.rand(4, ROWS, ACTIONS) * 2 - 1
    head.fit_scale(wanted.flatten(0, 1))

    def error() -> float:
        with torch.no_grad():
            chunk = head.sample(context, torch.zeros(4, ROWS, ACTIONS))
            return float((chunk - wanted).abs().mean())

    before = error()
    train(head, context, wanted, steps=80, rate=1e-2)
    assert error() < 0.3 * before


@pytest.mark.slow
def test_flow_samples_one_of_two_ways_where_regression_averages_them() -> None:
    """Demonstrations go left or right from the same observation, as often."""
    n = 32
    one = make_context(1)
    context = Context(
        **{name: v.expand(n, *v.shape[1:]) for name, v in vars(one).items()}
    )
    wanted = torch.ones(n, 1, 1)
    wanted[::2] = -1
    noise = torch.randn(n, 1, 1, generator=torch.Generator().manual_seed(1))

    chunks = {}
    for name, steps in (("mlp", 100), ("flow", 250)):
        head = tiny_head(name, rows=1, actions=1)
        head.fit_scale(wanted.flatten(0, 1))
        train(head, context, wanted, steps, rate=3e-3)
        with torch.no_grad():
            chunks[name] = head.sample(context, noise)

    assert float(chunks["mlp"].abs().max()) < 0.5
    assert float((chunks["flow"].abs() - 1).abs().median()) < 0.25
    left = float((chunks["flow"] < 0).float().mean())
    assert 0.25 < left < 0.75


# ---- the whole network


def make_single(samples: Samples, name: str) -> SingleSystemNet:
    torch.manual_seed(0)
    head = HeadConfig(name, rows=5, chunk_hz=50.0, width=16, layers=1)
    net = SingleSystemNet(make_net(samples).config, head)
    fit_scales(net, samples)
    return net


def single_config(name: str) -> ImitationConfig:
    return replace(CONFIG, batch_size=4, head=name)


@pytest.mark.parametrize("name", HEADS)
def test_a_step_of_a_single_system_works_on_any_device(name: str) -> None:
    """On torch's `meta` device nothing has values: whatever asks for one on the host,
    or mixes devices, fails.
    """
    meta = torch.device("meta")
    samples = make_samples(1)
    net = make_single(samples, name).to(meta)
    generator = torch.Generator().manual_seed(0)
    requests = batch_requests(net, samples, single_config(name), generator)
    batch = batch_dataset(net, samples.to(meta))[next(iter(requests))]
    loss, _ = batch_loss(net, batch)
    loss.total().backward()

    # the encoders are trained, too, by the actions as by the labels of plans
    assert batch.action.shape == (4, 1, 5, 7)
    assert all(parameter.grad is not None for parameter in net.parameters())
    assert {value.device for value in vars(batch).values()} == {meta}


@pytest.mark.parametrize("name", HEADS)
def test_actions_alone_train_the_encoders(name: str) -> None:
    samples = make_samples(1)
    net = make_single(samples, name)
    generator = torch.Generator().manual_seed(0)
    requests = batch_requests(net, samples, single_config(name), generator)
    batch = batch_dataset(net, samples)[next(iter(requests))]
    loss, _ = batch_loss(net, batch)
    loss.action.backward()
    for parameter in (
        net.planner.vision.patches.weight,
        net.planner.text.mix[1].weight,
    ):
        assert float(parameter.grad.abs().sum()) > 0


def test_the_rows_of_a_chunk_are_the_actions_from_the_image_on() -> None:
    samples = make_samples(1)
    # images that are two control steps older than their plans
    samples = replace(samples, frame_step=(samples.step - 2).clamp_min(0))
    net = make_single(samples, "mlp")
    dataset = batch_dataset(net, samples)
    assert isinstance(dataset, BatchDataset)
    generator = torch.Generator().manual_seed(0)
    requests = batch_requests(net, samples, single_config("mlp"), generator)
    batch = dataset[requests.undisturbed(6)]

    # one row in 4 control steps: 200 Hz against 50 Hz; the last step is repeated
    last = int(samples.last_step[1])
    steps = [min(int(samples.frame_step[1]) + 4 * k, last) for k in range(5)]
    assert steps[-2:] == [last, last] or steps[-1] == last
    assert torch.equal(batch.action[1, 0], samples.action[steps])
    assert torch.equal(batch.agent_pos[:, 0], samples.agent_pos[samples.step[:6]])


def test_a_single_system_is_about_as_large_as_the_dual_one() -> None:
    samples = make_samples(1)
    config = make_net(samples).config

    def size(net: torch.nn.Module) -> int:
        return sum(parameter.numel() for parameter in net.parameters())

    dual = size(DualSystemNet(config))
    for name in HEADS:
        single = size(SingleSystemNet(config, HeadConfig.of(name, control_hz=200)))
        assert abs(single / dual - 1) < 0.1, name


@pytest.mark.parametrize("name", HEADS)
def test_plans_repeat_by_seed_and_know_no_neighbours(name: str) -> None:
    net = make_single(make_samples(1), name)
    many = SinglePlanner(net)
    many.reset(np.arange(3), [5, 6, 7])
    together = many.plan(make_observation(3, 0), np.arange(3))
    assert together.shape == many.plan_shape == net.plan_shape
    assert (np.abs(together.chunk) <= 1).all()

    def alone(seed: int) -> np.ndarray:
        planner = SinglePlanner(net)
        planner.reset(np.array([0]), [seed])
        observation = make_observation(3, 0).rows(np.array([1]))
        return np.asarray(planner.plan(observation, np.array([0])).chunk[0])

    assert np.array_equal(alone(6), together.chunk[1])
    # only noise makes a difference between episodes
    assert np.array_equal(alone(6), alone(8)) == (name != "flow")

    # the next plan from the same observation has other noise
    again = many.plan(make_observation(3, 0), np.arange(3))
    assert np.array_equal(again.chunk, together.chunk) == (name != "flow")
