"""`embodied data generate`: what is kept, from what, and that no byte depends on who works."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embodied.core import Observation
from embodied.datasets.reader import Dataset
from embodied.datasets.replay import replay_config
from embodied.datasets.storage import parts_folder
from embodied.envs.objects import ObjectPose, Objects
from embodied.envs.registry import get_task, task_names
from embodied.envs.worlds import Worlds
from embodied.errors import EmbodiedError
from embodied.policies.generation import generating
from embodied.policies.generation.follower import Follower
from embodied.policies.generation.motion import Motion, ObjectPath
from embodied.policies.generation.segments import closed_intervals, find_segments
from embodied.policies.generation.source import task_objects
from embodied.rollout.rollout import rollout
from tests.commands import QUICKLY, embodied, refused

pytestmark = pytest.mark.usefixtures("few_threads")

DEMONSTRATIONS = 2
WORDS = ("--no-cameras", *QUICKLY)
DT_S = 0.005


def collect(path: Path, task: str, *words: object, episodes: int) -> Path:
    """Records episodes at L1, from seed 0 on."""
    level = ("--level", "L1", "--episodes", episodes)
    assert embodied("collect", task, "-o", path, *level, *WORDS, *words) == 0
    return path


def generate(source: Path, output: Path, *words: object) -> int:
    return embodied("data", "generate", source, "-o", output, *WORDS, *words)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two demonstrations of PanelReset, which are short."""
    path = tmp_path_factory.mktemp("source") / "panel.hdf5"
    return collect(path, "PanelReset", episodes=DEMONSTRATIONS)


@pytest.fixture(scope="module")
def generated(source: Path) -> Path:
    """Three demonstrations that were generated from these."""
    path = source.parent / "many.hdf5"
    assert generate(source, path, "--episodes", 3) == 0
    return path


def test_generated_episodes_succeed_and_name_what_they_are_from(
    source: Path, generated: Path
) -> None:
    with Dataset(generated) as dataset:
        assert [meta.seed for meta in dataset.episodes] == [2, 3, 4]
        assert dataset.header.policy == "generated from panel.hdf5"
        assert dataset.header.metadata["source"]["file"] == "panel.hdf5"
        for meta in dataset.episodes:
            assert meta.success
            assert meta.source_file == source.name
            assert meta.source_episode in range(DEMONSTRATIONS)
            assert meta.source_segments == str(meta.source_episode)

    with Dataset(source) as dataset:
        assert dataset.episodes[0].source_file is None
        keys = set(dataset.keys(0))
    with Dataset(generated) as dataset:
        assert set(dataset.keys(0)) == keys


def test_plans_say_what_is_to_be_done_from_where_the_hand_is(generated: Path) -> None:
    with Dataset(generated) as dataset:
        config = replay_config(dataset.header.metadata, None)
        episodes = [dataset.episode(number, images=False) for number in range(3)]
    with closing(Worlds(config)) as worlds:
        planner, _ = worlds.spec.expert(
            worlds.agent_layout, worlds.state_layout, worlds.robot
        )

    for episode in episodes:
        # the plans at whose time there was a frame, and these frames
        _, plans, frames = np.intersect1d(
            episode.plans["tick_frame"], episode.frame_tick, return_indices=True
        )
        observation = Observation(
            tick=episode.frame_tick[frames],
            agent_pos=np.float64(episode.obs["agent_pos"][frames]),
            environment_state=np.float64(episode.obs["environment_state"][frames]),
            instruction=("",) * len(frames),
        )
        said = planner.plan(observation, np.arange(len(frames)))
        assert len(frames) > 3
        assert episode.plans["subtask"][plans].tolist() == said.subtask.tolist()
        recorded = episode.plans["goal_pos_w"][plans]
        np.testing.assert_allclose(recorded, said.goal_pos_w, atol=1e-5)


def test_an_interrupted_generation_goes_on_to_the_same_file_in_other_worlds(
    source: Path,
    generated: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "many.hdf5"

    def stops_after_two(
        worlds: Any, policy: Any, seeds: Sequence[int], **others: Any
    ) -> Any:
        rollout(worlds, policy, seeds[:2], **others)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(generating, "rollout", stops_after_two)
        assert generate(source, path, "--episodes", 3) != 0
    error = capsys.readouterr().err
    assert "Kept: 2 of 3 episodes. Continue with: embodied data generate" in error
    assert not path.exists()

    assert generate(source, path, "--episodes", 3, "--resume", "--num-envs", 1) == 0
    assert path.read_bytes() == generated.read_bytes()
    assert not parts_folder(path).exists()


@pytest.mark.slow
def test_a_finished_file_can_be_continued(
    source: Path, generated: Path, tmp_path: Path
) -> None:
    path = tmp_path / "many.hdf5"
    assert generate(source, path, "--episodes", 2) == 0
    assert generate(source, path, "--episodes", 3, "--resume") == 0
    assert path.read_bytes() == generated.read_bytes()


@pytest.mark.slow
def test_failures_are_tried_once_and_not_kept(
    source: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    odd_worlds: set[int] = set()
    tried: list[int] = []
    reset = Follower.reset
    act = Follower.act

    def noting_reset(self: Follower, ids: Any, seeds: Sequence[int]) -> None:
        tried.extend(seeds)
        for world, seed in zip(np.asarray(ids).tolist(), seeds, strict=True):
            (odd_worlds.add if seed % 2 else odd_worlds.discard)(world)
        reset(self, ids, seeds)

    def failing_act(self: Follower, *args: Any) -> Any:
        actions = act(self, *args)
        actions[sorted(odd_worlds)] = np.nan
        return actions

    monkeypatch.setattr(Follower, "reset", noting_reset)
    monkeypatch.setattr(Follower, "act", failing_act)
    path = tmp_path / "even.hdf5"
    assert generate(source, path, "--episodes", 2, "--json") == 0
    summary = json.loads(capsys.readouterr().out)
    assert (summary["kept"], summary["tried"]) == (2, 3)
    with Dataset(path) as dataset:
        assert [meta.seed for meta in dataset.episodes] == [2, 4]
    assert len(tried) == len(set(tried))

    # too few tries are told by the status, and what was kept is written
    few = tmp_path / "few.hdf5"
    assert generate(source, few, "--episodes", 2, "--tries", 2) == 1
    assert "2 were asked for: --resume with a larger --tries" in capsys.readouterr().out
    with Dataset(few) as dataset:
        assert [meta.seed for meta in dataset.episodes] == [2]


@pytest.mark.slow
def test_at_its_own_start_a_demonstration_is_done_again(
    source: Path, tmp_path: Path
) -> None:
    path = tmp_path / "same.hdf5"
    assert generate(source, path, "--episodes", 1, "--seed", 0) == 0
    with Dataset(source) as before, Dataset(path) as after:
        assert after.episodes[0].source_episode == 0
        hand = before.agent_layout.slices()["tcp_pos_w"]
        one = before.read(0, "streams/agent_pos/value")[:, hand]
        other = after.read(0, "streams/agent_pos/value")[:, hand]
    # without its pauses it is a little shorter; each of its points is near the path
    assert len(one) * 0.8 < len(other) <= len(one) * 1.05
    gap_m = np.linalg.norm(other[:, None] - one[None, ::4], axis=2).min(axis=1)
    assert gap_m.max() < 0.01


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task", "policy"),
    [("ToteTransfer", "tests.hand_made:HAND"), ("DrawerTidy", "expert")],
)
def test_most_tries_succeed(task: str, policy: str, tmp_path: Path) -> None:
    source = collect(tmp_path / "few.hdf5", task, "--policy", policy, episodes=4)
    path = tmp_path / "many.hdf5"
    assert generate(source, path, "--episodes", 5, "--tries", 8) == 0
    with Dataset(path) as dataset:
        assert len(dataset) == 5
        # held objects, from plans or from the gripper, make segments
        assert len((dataset.episodes[0].source_segments or "").split()) > 2


def edited(source: Path, path: Path, edit: Callable[[Any], None]) -> Path:
    """Returns a copy of a file, with something changed in it."""
    shutil.copy(source, path)
    with h5py.File(path, "r+") as file:
        edit(file)
    return path


def fail(file: Any) -> None:
    for demo in file["data"].values():
        demo.attrs["success_at_end"] = False


def be_another_task(file: Any) -> None:
    text = file["meta"].attrs["metadata"]
    file["meta"].attrs["metadata"] = text.replace(b"PanelReset", b"TableWipe")


def be_of_another_version(file: Any) -> None:
    metadata = json.loads(file["meta"].attrs["metadata"])
    metadata["versions"]["mujoco"] = "9.9"
    file["meta"].attrs["metadata"] = json.dumps(metadata)
    file["data/demo_0/streams/action/value"][...] *= 0.9


def lose_plans(file: Any) -> None:
    for demo in file["data"].values():
        del demo["plans"]


@pytest.mark.parametrize(
    ("edit", "words", "message"),
    [
        (
            fail,
            (),
            "none of 2 episodes of {path} succeeded, so there is nothing to",
        ),
        (be_another_task, (), "task TableWipe declares no objects of its subtasks"),
        (
            be_of_another_version,
            (),
            "the replay of episode 0 of {path} differs from its recording, so the poses of "
            "its objects are not known (mujoco was 9.9",
        ),
        (
            lose_plans,
            ("--segments", "plans"),
            "{path} has episodes without plans: leave out --segments plans",
        ),
        (
            None,
            ("--robot", "wheeled_arm"),
            "{path} has paths of the robot arm, which wheeled_arm cannot follow",
        ),
        (None, ("--segments", "guess"), "unknown way to find segments 'guess'"),
        (None, ("--episodes", 0), "--episodes must be at least 1"),
        (None, ("--episodes", 5, "--tries", 4), "--tries must be at least --episodes"),
        (None, ("--noise", 2), "--noise must be from 0 to 1"),
        (None, ("--level", "L5"), "unknown level 'L5'"),
    ],
)
def test_what_cannot_be_generated_is_refused_in_a_line(
    source: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    edit: Callable[[Any], None] | None,
    words: tuple[object, ...],
    message: str,
) -> None:
    path = edited(source, tmp_path / "edited.hdf5", edit or (lambda file: None))
    output = tmp_path / "out.hdf5"
    verb = ("data", "generate", path, "-o", output)
    assert message.format(path=path) in refused(capsys, *verb, *WORDS, *words)
    assert sorted(tmp_path.iterdir()) == [path]


def test_a_source_is_not_overwritten(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = edited(source, tmp_path / "copy.hdf5", lambda file: None)
    verb = ("data", "generate", path, "-o", path, "--overwrite")
    assert f"{path} is the file to generate from" in refused(capsys, *verb)
    with Dataset(path) as dataset:
        assert len(dataset) == DEMONSTRATIONS


@pytest.mark.parametrize("task", task_names())
def test_each_task_has_objects_or_is_named_as_one_without(task: str) -> None:
    # that the objects are where the task's state says is a contract of its own
    if get_task(task).objects is None:
        with pytest.raises(EmbodiedError, match=f"task {task} declares no objects"):
            task_objects(task)
    else:
        assert task_objects(task) is get_task(task).objects


# --- Segments from the gripper, on a path that is made up ---


def poses(xp: Any, state: Any) -> dict[str, ObjectPose]:
    raise AssertionError("a made-up motion has its objects")


TAKE = Objects(poses, brought_to={"thing": "place"})


def line(start: Sequence[float], end: Sequence[float], steps: int) -> np.ndarray:
    return np.linspace(start, end, steps, endpoint=False)


def taken_motion(empty_grasp: bool, wait: int) -> tuple[Motion, int, int]:
    """Returns a demonstration without plans, and when its thing is taken and let go.

    Args:
        empty_grasp: whether the hand closes once where nothing is.
        wait: steps for which it stands still before it goes on.
    """
    home = (0, 0, 0.4)
    above = (0.5, 0, 0.3)
    thing = (0.5, 0, 0)
    place = (0, 0.5, 0)
    hand = [line(home, above, 100), np.tile(above, (wait + 60, 1))]
    width = [np.full(100, 0.08)]
    if empty_grasp:
        closing = np.linspace(0.08, 0.0, 20)
        width += [closing, np.zeros(wait + 20), closing[::-1]]
    else:
        width += [np.full(wait + 60, 0.08)]

    # down, close, away with it, open, up
    hand += [line(above, thing, 100), np.tile(thing, (60, 1))]
    width += [np.full(100, 0.08), np.linspace(0.08, 0.03, 20), np.full(40, 0.03)]
    taken = sum(map(len, hand)) - 40
    hand += [line(thing, above, 100), line(above, (0, 0.5, 0.3), 200)]
    hand += [line((0, 0.5, 0.3), place, 100), np.tile(place, (40, 1))]
    width += [np.full(400, 0.03), np.linspace(0.03, 0.08, 20), np.full(20, 0.08)]
    let_go = sum(map(len, hand)) - 40
    hand += [line(place, (0, 0.5, 0.3), 100)]
    width += [np.full(100, 0.08)]

    path = np.concatenate(hand)
    count = len(path)
    thing_w = np.where(np.arange(count)[:, None] < taken, thing, path)
    thing_w = np.where(np.arange(count)[:, None] >= let_go, place, thing_w)
    still = np.tile([1.0, 0.0, 0.0, 0.0], (count, 1))
    objects = {"thing": thing_w, "place": np.tile(place, (count, 1))}
    motion = Motion(
        episode=0,
        dt_s=DT_S,
        hand_pos_w=path,
        hand_quat_wxyz=still,
        width_m=np.concatenate(width),
        grip=np.ones(count),
        mount=np.zeros((count, 4)),
        objects={
            name: ObjectPath(np.asarray(pos, float), still, np.zeros(0))
            for name, pos in objects.items()
        },
        plans={},
    )
    return motion, taken, let_go


@given(empty_grasp=st.booleans(), wait=st.integers(0, 400))
def test_the_gripper_tells_segments_whatever_the_timing(
    empty_grasp: bool, wait: int
) -> None:
    motion, taken, let_go = taken_motion(empty_grasp, wait)
    segments = find_segments(motion, TAKE, by_plans=False)
    about = [(segment.anchor, segment.carried) for segment in segments]
    assert about == [("thing", ""), ("place", "thing"), ("place", "")]

    # they follow one another, and change where the thing is taken and let go
    assert [segment.start for segment in segments[1:]] == [
        segment.stop for segment in segments[:-1]
    ]
    assert (segments[0].start, segments[-1].stop) == (0, len(motion))
    assert abs(segments[0].stop - taken) < 10
    assert abs(segments[1].stop - let_go) < 10
    # the hand arrives on the straight way down
    assert abs(segments[0].contact - (taken - 120)) < 30 or segments[0].contact < taken
    assert segments[1].contact >= let_go - 110


@given(st.integers(1, 5), st.floats(0.0, 0.06))
def test_each_closing_of_a_gripper_is_found(closings: int, closed_m: float) -> None:
    open_m = 0.08
    down = np.linspace(open_m, closed_m, 30)
    once = [np.full(40, open_m), down, np.full(50, closed_m), down[::-1]]
    width = np.concatenate([*once * closings, np.full(40, open_m)])
    found = closed_intervals(width, DT_S)
    assert len(found) == closings
    for number, (start, stop) in enumerate(found):
        begun = number * 150 + 40
        assert begun < start < begun + 40
        assert begun + 80 <= stop < begun + 110
