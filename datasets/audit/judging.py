"""What a replay says of episodes: whether they end as a success, and their sentence."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from embodied.datasets.audit.context import Judgement
from embodied.datasets.episode_reading import read_episode
from embodied.datasets.playing import filled, play
from embodied.datasets.replay import replay_config
from embodied.datasets.schema import H5, DatasetError, Episode, Header
from embodied.envs.worlds import Worlds
from embodied.errors import EmbodiedError, one_line

# So many episodes are replayed at once, at most.
MOST_WORLDS = 16


def judge(
    header: Header,
    demos: Mapping[str, H5],
    on_replayed: Callable[[int], None],
) -> tuple[dict[str, Judgement], dict[str, str]]:
    """Replays episodes, and judges those that come out bit for bit the same.

    A file names a task and a robot; it never decides which code is run. So both must be
    known here, as `replay_config` says.

    Args:
        header: of the file.
        demos: the groups of the episodes, by name.
        on_replayed: is told how many more episodes have been replayed.

    Returns:
        The judgements by demo, and by demo why there is none.
    """
    episodes: dict[str, Episode] = {}
    reasons: dict[str, str] = {}
    worlds: Worlds | None = None
    try:
        config = replace(replay_config(header.metadata), num_threads=1)
        worlds = Worlds(config, min(MOST_WORLDS, len(demos)))
        reason = _other_model(header, worlds)
        if reason:
            return {}, dict.fromkeys(demos, reason)

        judgements: dict[str, Judgement] = {}
        for name, demo in demos.items():
            episodes |= _readable(name, demo, reasons)
            if len(episodes) == worlds.num_worlds:
                judgements |= _judge_batch(worlds, episodes, reasons)
                on_replayed(len(episodes))
                episodes = {}
        if episodes:
            judgements |= _judge_batch(worlds, episodes, reasons)
            on_replayed(len(episodes))
        return judgements, reasons
    except EmbodiedError as error:
        return {}, dict.fromkeys(demos, f"{error}")
    finally:
        if worlds is not None:
            worlds.close()


def _other_model(header: Header, worlds: Worlds) -> str:
    """Returns why a replay cannot be the same: another model or MuJoCo; "" if none."""
    present = worlds.metadata()
    recorded = header.metadata
    if present["model_hash"] != recorded.get("model_hash"):
        return "its model is another one than this version's"
    versions = recorded.get("versions", {})
    if present["versions"]["mujoco"] != versions.get("mujoco"):
        return f"it was recorded with MuJoCo {versions.get('mujoco')}"
    return ""


def _readable(name: str, demo: H5, reasons: dict[str, str]) -> dict[str, Episode]:
    """Returns {name: episode}; {} for a damaged one, whose reason goes to `reasons`."""
    # anything that a damaged file may raise here
    try:
        episode = read_episode(demo, images=False)
        actions = episode.streams["action"].value
        checksums = episode.streams["checksum"].value
    except (KeyError, DatasetError, OSError, TypeError, ValueError) as error:
        reasons[name] = f"it cannot be read ({one_line(error)})"
        return {}

    if not len(actions) or len(actions) != len(checksums) or episode.meta.fault:
        reasons[name] = "it has a fault, or steps are missing"
        return {}
    if not np.isfinite(actions).all():
        reasons[name] = "its actions are not finite"
        return {}

    return {name: episode}


def _judge_batch(
    worlds: Worlds, episodes: Mapping[str, Episode], reasons: dict[str, str]
) -> dict[str, Judgement]:
    """Replays at most one episode per world, all at once; returns judgements by name.

    Those that do not come out the same get none, and an entry in `reasons`.
    """
    running = filled(worlds, list(episodes.values()))
    sentences = _sentences(worlds, running)

    success = np.zeros(len(running), bool)
    same = np.ones(len(running), bool)
    for step in play(worlds, running):
        same &= ~step.differs
        success = np.where(step.is_last, step.result.success, success)

    judgements = {}
    for world, name in enumerate(episodes):
        if same[world]:
            judgements[name] = Judgement(bool(success[world]), sentences[world])
        else:
            reasons[name] = "its replay is not bit for bit the same"
    return judgements


def _sentences(worlds: Worlds, episodes: Sequence[Episode]) -> list[str]:
    """Returns the sentence of each seed, where the start is that of the seed, else ""."""
    seeds = [episode.meta.seed for episode in episodes]
    worlds.reset(np.arange(worlds.num_worlds), seeds)
    sentences = []
    for world, episode in enumerate(episodes):
        start = worlds.episode_start(world)
        # compare all sampled values but the sentence, which is what is to be judged
        sampled = {**episode.meta.variation}
        sampled["instruction"] = start.variation.get("instruction")
        is_same = np.array_equal(start.state, episode.start_state)
        is_same = is_same and sampled == start.variation
        sentences.append(worlds.instructions[world] if is_same else "")
    return sentences
