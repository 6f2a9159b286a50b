"""Judging episodes by replaying them: their success, and their instruction."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from embodied.datasets.audit.context import Judgement
from embodied.datasets.episode_reading import read_episode
from embodied.datasets.playing import one_per_world, play
from embodied.datasets.replay import replay_config
from embodied.datasets.schema import H5, DatasetError, Episode, Header
from embodied.envs.worlds import Worlds
from embodied.errors import EmbodiedError, one_line

# At most this many episodes are replayed at once.
MOST_WORLDS = 16


def judge(
    header: Header,
    demos: Mapping[str, H5],
    on_replayed: Callable[[int], None],
) -> tuple[dict[str, Judgement], dict[str, str]]:
    """Replays episodes, and judges the episodes whose replay is bit for bit the same.

    Task and robot must be registered, see `replay_config`: a file gives their names, but
    never decides which code is run.

    Args:
        header: the header of the file.
        demos: the groups of the episodes, by name.
        on_replayed: a function that is called with the number of episodes replayed
            since the last call.

    Returns:
        The judgement of each judged demo; and for each other demo the reason why it
        was not judged.
    """
    batch: dict[str, Episode] = {}  # episodes to replay together, by name
    reasons: dict[str, str] = {}  # the functions below add reasons
    worlds: Worlds | None = None
    try:
        config = replace(replay_config(header.metadata), num_threads=1)
        worlds = Worlds(config, min(MOST_WORLDS, len(demos)))
        reason = _why_replay_differs(header, worlds)
        if reason:
            return {}, dict.fromkeys(demos, reason)

        judgements: dict[str, Judgement] = {}
        for name, demo in demos.items():
            batch |= _read_replayable(name, demo, reasons)
            if len(batch) == worlds.num_worlds:
                judgements |= _judge_batch(worlds, batch, reasons)
                on_replayed(len(batch))
                batch = {}
        # the last batch may be smaller
        if batch:
            judgements |= _judge_batch(worlds, batch, reasons)
            on_replayed(len(batch))
        return judgements, reasons
    except EmbodiedError as error:
        return {}, dict.fromkeys(demos, f"{error}")
    finally:
        if worlds is not None:
            worlds.close()


def _why_replay_differs(header: Header, worlds: Worlds) -> str:
    """Returns why no replay can give the recorded states; "" if a replay can.

    The model and MuJoCo's version are compared with the model and the version of the
    recording.
    """
    present = worlds.metadata()
    recorded = header.metadata
    if present["model_hash"] != recorded.get("model_hash"):
        return "this version has another model of the robot or the scene"
    versions = recorded.get("versions", {})
    if present["versions"]["mujoco"] != versions.get("mujoco"):
        return f"it was recorded with MuJoCo {versions.get('mujoco')}"
    return ""


def _read_replayable(
    name: str, demo: H5, reasons: dict[str, str]
) -> dict[str, Episode]:
    """Reads an episode; returns {name: episode}, or {} if it cannot be replayed.

    Args:
        name: the name of the episode's group.
        demo: the episode's group.
        reasons: the reasons by name; one is added if the episode cannot be replayed.
    """
    # a damaged file may raise any of these errors
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
    """Replays at most one episode per world at the same time.

    Args:
        worlds: N worlds of the recorded task and robot.
        episodes: at most N episodes, by the names of their groups.
        reasons: the reasons by name; one is added for each episode whose replay differs.

    Returns:
        The judgements of the episodes whose replay is the same, by name.
    """
    # surplus worlds repeat the first episode; their results are not used
    running = one_per_world(worlds, list(episodes.values()))
    sentences = _sentences_of_seeds(worlds, running)

    success_at_end = np.zeros(len(running), bool)
    is_same = np.ones(len(running), bool)
    for step in play(worlds, running):
        is_same &= ~step.differs
        success_at_end[step.is_last] = step.result.success[step.is_last]

    judgements = {}
    for world, name in enumerate(episodes):
        if is_same[world]:
            judgements[name] = Judgement(
                success=bool(success_at_end[world]), instruction=sentences[world]
            )
        else:
            reasons[name] = "its replay is not bit for bit the same"
    return judgements


def _sentences_of_seeds(worlds: Worlds, episodes: Sequence[Episode]) -> list[str]:
    """Returns the instruction that a reset with each episode's seed gives.

    The instruction is "" if the reset does not give the episode's recorded start, because
    it then says nothing about the episode.
    """
    seeds = [episode.meta.seed for episode in episodes]
    worlds.reset(np.arange(worlds.num_worlds), seeds)
    sentences = []
    for world, episode in enumerate(episodes):
        start = worlds.episode_start(world)
        # Compare the sampled values, too, but not the instruction, because the recorded
        # instruction is to be judged. So both sides get the same instruction.
        recorded_values = dict(episode.meta.variation)
        recorded_values["instruction"] = start.variation.get("instruction")
        is_same_start = np.array_equal(start.state, episode.start_state)
        is_same_start = is_same_start and recorded_values == start.variation
        sentences.append(worlds.instructions[world] if is_same_start else "")
    return sentences
