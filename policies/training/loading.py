"""The demonstrations of an imitation training, kept in memory if they fit."""

from __future__ import annotations

import os

import torch

from embodied.policies.device import memory_bytes
from embodied.policies.training.actor_weights import ActorWeights
from embodied.policies.training.config import ImitationConfig
from embodied.policies.training.samples import (
    Samples,
    load_samples,
    samples_bytes,
    training_episodes,
)
from embodied.policies.vla.network import NetConfig

# Images and control steps are kept in memory if they take at most this share of it.
MEMORY_SHARE = 0.25
MAX_WORKERS = 16  # the most processes that read them from disk otherwise


def reading_workers(
    config: ImitationConfig, device: torch.device, local_ranks: int = 1
) -> int:
    """Returns the number of processes that read images and steps; 0 to keep all in memory.

    Args:
        config: the settings.
        device: the device of the training.
        local_ranks: the number of processes on this machine that train together, each of
            which keeps all images and steps in memory, or reads them by workers.
    """
    if config.workers is not None:
        return config.workers

    # both are read into the CPU's memory, then moved to the device, and must fit there, too
    masks = training_episodes(config.datasets)
    needed_bytes = sum(samples_bytes(mask, config.cameras) for mask in masks)
    room_bytes = memory_bytes(torch.device("cpu")) / local_ranks
    if device.type == "cuda":
        room_bytes = min(room_bytes, memory_bytes(device))
    if needed_bytes <= MEMORY_SHARE * room_bytes:
        return 0
    cores_per_rank = max(1, (os.cpu_count() or 1) // local_ranks)
    return min(cores_per_rank, MAX_WORKERS)


def load_demonstrations(
    config: ImitationConfig, in_memory: bool, quiet: bool = False
) -> tuple[Samples, Samples]:
    """Returns the samples for training and for validation.

    Args:
        config: the settings.
        in_memory: whether to read all images and control steps now.
        quiet: whether to show no progress.
    """
    train, valid = training_episodes(config.datasets)
    cameras = config.cameras
    history_s = NetConfig.history_s  # the networks' default
    weights = ActorWeights(takeover=config.takeover_weight, shadow=config.shadow_weight)

    samples = load_samples(
        train, cameras, history_s, in_memory, weights=weights, quiet=quiet
    )
    # weights affect training only, so that validation figures stay comparable
    held_out = load_samples(valid, cameras, history_s, in_memory, quiet=quiet)
    return samples, held_out
