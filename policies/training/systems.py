"""What differs between the systems that imitation trains: the dual one and single ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from embodied.policies.training.batches import (
    Ages,
    Batch,
    BatchDataset,
    BatchRequests,
    agent_noise,
)
from embodied.policies.training.config import ImitationConfig
from embodied.policies.training.distributed import ALONE, Ranks
from embodied.policies.training.loss import Loss, joint_loss, single_loss
from embodied.policies.training.samples import Samples
from embodied.policies.vla.head_config import HeadConfig
from embodied.policies.vla.network import DualSystemNet, NetConfig, PlannerOutput
from embodied.policies.vla.run_folder import load_net
from embodied.policies.vla.single import SingleSystemNet
from embodied.policies.vla.single_run import load_single_net
from embodied.policies.vla.text import Vocabulary

SystemNet = DualSystemNet | SingleSystemNet


def first_net(
    config: ImitationConfig, metadata: Mapping[str, Any], samples: Samples
) -> SystemNet:
    """Returns the networks to start with: those of the run `config.start`, or new ones.

    New networks have random weights, with the normalisation fitted to the samples. The
    vocabulary of a run is not extended by the words of the samples.

    Args:
        config: the settings; their run to start from fits (see `require_start_fits`).
        metadata: the metadata that all datasets share.
        samples: the samples for training.
    """
    if config.start is not None:
        if config.head is None:
            return load_net(config.start)
        return load_single_net(config.start)

    net_config = NetConfig(
        words=Vocabulary.of(samples.sentences).words,
        agent_parts=tuple((name, size) for name, size in metadata["agent_layout"]),
        cameras=config.cameras,
        action_size=samples.action.shape[1],
        image_size=metadata["image_size"],
        bases=samples.base_goal_w.shape[1],  # number of bases that move
    )
    if config.head is None:
        net: SystemNet = DualSystemNet(net_config)
    else:
        head = HeadConfig.of(config.head, samples.control_hz)
        net = SingleSystemNet(net_config, head)
    fit_scales(net, samples)
    return net


def fit_scales(net: SystemNet, samples: Samples) -> None:
    """Fits the normalisation of networks to the samples for training."""
    # `agent_pos` and `action` have a row per control step; the others have one per plan
    values: dict[str, Tensor] = {
        "agent_pos": samples.agent_pos[samples.step],  # at the times of the plans
        "goal_pos_w": samples.goal_pos_w,
        "goal_vel_w": samples.goal_vel_w,
        "base_goal_w": samples.base_goal_w,
    }
    if isinstance(net, SingleSystemNet):
        values["action"] = samples.action[samples.frame_step]
    net.fit_scales(**values)


def head_config(net: SystemNet) -> HeadConfig | None:
    """Returns the settings of the action head; None for a dual system."""
    return net.head.config if isinstance(net, SingleSystemNet) else None


def batch_requests(
    net: SystemNet,
    samples: Samples,
    config: ImitationConfig,
    generator: torch.Generator,
) -> BatchRequests:
    """Returns the requests for the batches of a training."""
    ages = Ages(config.ages_per_plan, config.min_age_s, config.max_age_s)
    noise_shape = (0, 0)
    if isinstance(net, SingleSystemNet):
        # a chunk is predicted once, at the time of its plan
        ages = Ages(per_plan=1, youngest_s=0.0, oldest_s=0.0)
        if net.head.draws_noise:
            noise_shape = net.head.chunk_shape

    return BatchRequests(
        samples,
        noise=agent_noise(net.config.agent_parts),
        batch_size=config.batch_size,
        ages=ages,
        jitter=config.jitter,
        generator=generator,
        noise_shape=noise_shape,
    )


def batch_dataset(net: SystemNet, samples: Samples) -> BatchDataset:
    """Returns the dataset that makes batches of some samples, on the samples' device."""
    tokens = net.config.vocabulary.encode(samples.sentences)
    tokens = tokens.to(samples.step.device)
    if isinstance(net, SingleSystemNet):
        head = net.head.config
        return BatchDataset(samples, tokens, head.rows, chunk_hz=head.chunk_hz)
    return BatchDataset(samples, tokens, net.config.chunk)


def batch_loss(
    net: SystemNet, batch: Batch, ranks: Ranks = ALONE
) -> tuple[Loss, PlannerOutput]:
    """Returns the loss of the networks on a batch, and their plans; see `joint_loss`."""
    if isinstance(net, SingleSystemNet):
        return single_loss(net, batch, ranks)
    return joint_loss(net, batch, ranks)
