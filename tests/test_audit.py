"""The audit: every planted fault is found, and nothing else is flagged."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embodied.benchmark.audit_page import write_audit_page
from embodied.datasets.array_specs import STREAMS, STREAMS_OF_ACTORS, ArraySpec
from embodied.datasets.audit import store
from embodied.datasets.audit.context import Context
from embodied.datasets.audit.diversity import find_gaps, range_coverage
from embodied.datasets.audit.facts import (
    EpisodeSummary,
    episode_summary,
    find_twins,
    set_facts,
)
from embodied.datasets.audit.findings import FAULTS
from embodied.datasets.audit.metrics import lag, roughness, stretches, sudden_steps
from embodied.datasets.audit.motion import find_idle
from embodied.datasets.audit.run import Audit, audit, opened
from embodied.datasets.audit.source import Source
from embodied.datasets.audit.table import CHECKS
from embodied.datasets.audit.thresholds import THRESHOLDS
from embodied.datasets.audit.view import View, picture_paths, read_view
from embodied.datasets.reader import Dataset
from embodied.datasets.schema import DatasetError
from tests import audit_plants as plants
from tests.audit_plants import Plant
from tests.commands import QUICKLY, collect, embodied, refused
from tests.datasets_fakes import open_hdf5, write_dataset

pytestmark = pytest.mark.usefixtures("few_threads")

PLANTED = "demo_2"
EPISODES = 6
# check, verdict, what is planted
FOUND_BY_LOOKING = [
    ("thin", "REVIEW", plants.cut_off),
    ("thin", "REVIEW", plants.move_nowhere),
    ("idle", "REVIEW", plants.rest_long),
    ("long", "REVIEW", plants.last_very_long),
    ("strange_start", "REVIEW", plants.start_elsewhere),
    ("success_label", "EXCLUDE", plants.flip_label),
    ("instruction", "EXCLUDE", plants.other_sentence),
    ("instruction", "REVIEW", plants.no_sentence),
    ("twin", "REVIEW", plants.go_the_way_of_the_first),
    ("fault", "EXCLUDE", plants.break_world),
    ("fault", "EXCLUDE", plants.lose_seed),
    ("not_finite", "EXCLUDE", plants.nan_in("streams/agent_pos/value")),
    ("not_finite", "EXCLUDE", plants.nan_in("obs/agent_pos")),
    ("not_finite", "EXCLUDE", plants.nan_in("actions")),
    ("not_finite", "EXCLUDE", plants.nan_in("states")),
    ("ragged", "EXCLUDE", plants.shorten("rewards")),
    ("ragged", "EXCLUDE", plants.shorten("obs/wrist_image")),
    ("ragged", "EXCLUDE", plants.shorten("streams/agent_pos/value")),
    (
        "ragged",
        "EXCLUDE",
        plants.shorten("streams/agent_pos/t", "streams/agent_pos/value"),
    ),
    ("times", "EXCLUDE", plants.stop_clock),
    ("times", "EXCLUDE", plants.skip_frame),
    ("state_times", "EXCLUDE", plants.roll("states", 3)),
    ("old_pictures", "REVIEW", plants.age_pictures),
    ("readings", "EXCLUDE", plants.roll("obs/agent_pos", 2)),
    ("sums", "REVIEW", plants.wrong_sum),
    ("dead", "REVIEW", plants.dead_joint),
    ("dead", "EXCLUDE", plants.move_nowhere),
    ("frozen", "REVIEW", plants.freeze),
    ("jump", "REVIEW", plants.jump),
    ("jump", "REVIEW", plants.displace),
    ("jerk", "REVIEW", plants.shake),
    ("limits", "REVIEW", plants.leave_range),
    ("limits", "EXCLUDE", plants.too_large_action),
    ("lag", "REVIEW", plants.delay("streams/agent_pos/value", 80)),
    ("lag", "REVIEW", plants.delay("streams/joint_target/value", 100)),
    ("blank_camera", "EXCLUDE", plants.blank(slice(None))),
    ("blank_camera", "REVIEW", plants.blank(slice(20, 25))),
    ("frozen_camera", "EXCLUDE", plants.freeze_camera(slice(0, None))),
    ("frozen_camera", "REVIEW", plants.freeze_camera(slice(2, 40))),
    ("swapped_cameras", "REVIEW", plants.swap_cameras),
    ("swapped_cameras", "EXCLUDE", plants.double_camera),
    ("late_camera", "REVIEW", plants.roll("obs/wrist_image", 10)),
]
FOUND_BY_REPLAYING = [
    ("success_label", plants.flip_label_everywhere),
    ("instruction", plants.other_sentence_everywhere),
]


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six short demonstrations with two cameras."""
    path = tmp_path_factory.mktemp("good") / "panel.hdf5"
    options = f"--episodes {EPISODES} --num-envs {EPISODES} --workers 1 --image-size 32"
    assert embodied("collect", "PanelReset", "-o", path, *options.split()) == 0
    return path


@pytest.fixture(scope="module")
def audited(good: Path) -> Audit:
    """The audit of good data."""
    return audit(good)


def with_plant(good: Path, folder: Path, plant: Plant, demo: str = PLANTED) -> Path:
    """A copy of good data in which one episode has a fault."""
    path = folder / "planted.hdf5"
    shutil.copy(good, path)
    with open_hdf5(path, "r+") as file:
        plant(file[f"data/{demo}"])
    return path


def found_in(one: Audit) -> dict[str, dict[str, str]]:
    """demo -> check -> verdict, of the episodes with findings."""
    return {
        episode.demo: {f.check: f.verdict for f in reversed(episode.findings)}
        for episode in one.episodes
        if episode.findings
    }


def as_foreign(good: Path, path: Path) -> Path:
    """The same episodes as robomimic's own tools would have written them."""
    with open_hdf5(good) as old, open_hdf5(path, "w") as new:
        for name in old["data"]:
            demo = new.create_group(f"data/{name}")
            for key in ("actions", "rewards", "dones", "states"):
                demo[key] = old[f"data/{name}/{key}"][()]
            sensed = old[f"data/{name}/obs/agent_pos"][()]
            demo["obs/robot0_joint_pos"] = sensed[:, :7]
            demo["obs/agentview_image"] = old[f"data/{name}/obs/overview_image"][()]
            demo.attrs["num_samples"] = len(sensed)
        args = {"env_name": "Lift", "type": 1, "env_kwargs": {"control_freq": 20}}
        new["data"].attrs["env_args"] = json.dumps(args)
    return path


def test_good_data_pass(audited: Audit) -> None:
    assert found_in(audited) == {}
    assert audited.counts == {"PASS": EPISODES, "REVIEW": 0, "EXCLUDE": 0}
    assert not any(audited.not_judged)  # all were judged by a replay


@pytest.mark.parametrize(("check", "verdict", "plant"), FOUND_BY_LOOKING)
def test_a_planted_fault_is_found(
    good: Path, tmp_path: Path, check: str, verdict: str, plant: Plant
) -> None:
    path = with_plant(good, tmp_path, plant)

    found = found_in(audit(path, replays=False))

    assert found.get(PLANTED, {}).get(check) == verdict
    assert found.keys() == {PLANTED}


@pytest.mark.parametrize(("check", "plant"), FOUND_BY_REPLAYING)
def test_a_replay_finds_what_contradicts_nothing_in_the_file(
    good: Path, tmp_path: Path, check: str, plant: Plant
) -> None:
    path = with_plant(good, tmp_path, plant)
    assert found_in(audit(path, replays=False)) == {}

    assert found_in(audit(path)) == {PLANTED: {check: "EXCLUDE"}}


def test_every_check_is_tried_with_a_fault() -> None:
    tried = {check for check, *_ in FOUND_BY_LOOKING}
    assert tried == {check.name for check in CHECKS}
    assert {check.fault for check in CHECKS} == set(FAULTS)


@pytest.mark.parametrize(
    "change",
    [
        {"model_hash": "0"},
        {"config": {"task": "Nowhere"}},
        {"config": {"robot": "x.toml"}},
    ],
)
def test_only_recordings_of_this_model_are_judged(
    good: Path, tmp_path: Path, change: dict[str, object]
) -> None:
    path = tmp_path / "other.hdf5"
    shutil.copy(good, path)
    with open_hdf5(path, "r+") as file:
        metadata = json.loads(file["meta"].attrs["metadata"])
        for name, value in change.items():
            merged = {**metadata[name], **value} if isinstance(value, dict) else value
            metadata[name] = merged
        file["meta"].attrs["metadata"] = json.dumps(metadata)
        plants.flip_label(file[f"data/{PLANTED}"])

    one = audit(path)

    assert sum(one.not_judged.values()) == EPISODES
    assert all(one.not_judged)
    # what the file itself contradicts is found all the same
    assert found_in(one) == {PLANTED: {"success_label": "EXCLUDE"}}


@pytest.mark.parametrize(
    ("check", "path", "edit"),
    [
        ("not_finite", "obs/robot0_joint_pos", lambda v: v * np.nan),
        ("ragged", "rewards", lambda v: v[:-1]),
        (
            "jump",
            "obs/robot0_joint_pos",
            lambda v: v + (np.arange(len(v)) > 30)[:, None],
        ),
        (
            "dead",
            "obs/robot0_joint_pos",
            lambda v: np.where(np.arange(7) == 2, v[:1], v),
        ),
        ("blank_camera", "obs/agentview_image", lambda v: v * 0),
        ("frozen_camera", "obs/agentview_image", lambda v: np.repeat(v[:1], len(v), 0)),
        ("thin", "obs/robot0_joint_pos", lambda v: np.repeat(v[:1], len(v), 0)),
    ],
)
def test_files_from_elsewhere_are_checked_as_far_as_they_go(
    good: Path, tmp_path: Path, check: str, path: str, edit: plants.Callable
) -> None:
    foreign = as_foreign(good, tmp_path / "foreign.hdf5")
    one = audit(foreign)
    assert found_in(one) == {}
    assert one.not_judged == {"the file is from elsewhere": EPISODES}

    with open_hdf5(foreign, "r+") as file:
        plants.change(file[f"data/{PLANTED}"], path, edit)

    found = found_in(audit(foreign))
    assert check in found[PLANTED]
    assert found.keys() == {PLANTED}


def test_a_folder_of_lerobot_is_audited_as_it_is(
    good: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "lerobot"
    options = ("--format", "lerobot", "--images", "image")
    assert embodied("data", "export", good, "-o", folder, *options) == 0
    page = tmp_path / "audit.html"
    capsys.readouterr()

    def found() -> dict[str, list[tuple[str, str]]]:
        assert embodied("data", "audit", folder, "--json", "--html", page) == 0
        [one] = json.loads(capsys.readouterr().out)
        assert one["path"] == str(folder)
        return {
            episode["demo"]: [(f["check"], f["verdict"]) for f in episode["findings"]]
            for episode in one["episodes"]
            if episode["findings"]
        }

    assert found() == {}

    # an import would refuse each of these, and name the first one only
    [path] = folder.glob("data/*/*.parquet")
    table = pq.read_table(path)
    frames = table.to_pylist()
    starts = [row for row, frame in enumerate(frames) if frame["frame_index"] == 0]
    frames[starts[1] + 4]["observation.state"][0] = float("nan")
    frames[starts[2] + 4]["timestamp"] = 0.0  # the clock runs back
    frames[starts[3] + 4]["observation.images.wrist"]["bytes"] = b"no picture"
    del frames[starts[5] - 1]  # the last frame of an episode
    pq.write_table(pa.Table.from_pylist(frames, table.schema), path)

    assert found() == {
        "demo_1": [("not_finite", "EXCLUDE")],
        "demo_2": [("times", "EXCLUDE")],
        "demo_3": [("fault", "EXCLUDE")],
        "demo_4": [("fault", "EXCLUDE"), ("ragged", "EXCLUDE"), ("thin", "REVIEW")],
    }
    # the report has the pictures that can be read
    assert "overview, first" in page.read_text()

    copy = ("--copy", tmp_path / "copy.hdf5")
    assert "is a folder" in refused(capsys, "data", "audit", folder, *copy)
    assert "no LeRobot" in refused(capsys, "data", "audit", tmp_path)


def test_an_export_for_robomimic_is_audited_at_its_own_rate(
    good: Path, tmp_path: Path
) -> None:
    path = tmp_path / "robomimic.hdf5"
    options = ("--format", "robomimic", "--hz", 10)
    assert embodied("data", "export", good, "-o", path, *options) == 0

    with opened(path) as (file, source):
        view = read_view(file[f"data/{PLANTED}"], source, images=False)
    assert source.frame_hz == 10
    # seven joints and the gripper's width, without velocities
    assert view.positions.shape == (view.num_frames, 8)


def test_what_surrounds_a_robot_from_elsewhere_is_not_its_position() -> None:
    for name in ("agent_pos", "state"):
        arrays = {
            f"obs/{name}": np.zeros((4, 2)),
            "obs/environment_state": np.ones((4, 3)),  # a lamp goes on at once
        }
        view = View(
            demo="demo_0",
            source=Source(None, 20.0),
            arrays=arrays,
            cameras={},
            meta=None,
            damage="",
            instruction="",
        )
        assert (view.positions == np.zeros((4, 2))).all()


def test_a_damaged_camera_leaves_the_other_cameras_to_be_compared(
    good: Path, tmp_path: Path
) -> None:
    path = tmp_path / "damaged.hdf5"
    shutil.copy(good, path)
    with opened(path) as (file, source):
        demo = file[f"data/{PLANTED}"]
        cameras = list(picture_paths(demo).items())
        camera, array = cameras[0]
        chunk = demo[array].id.get_chunk_info(0)
        view = read_view(demo, source)
    with path.open("r+b") as bytes_of_file:
        bytes_of_file.seek(chunk.byte_offset)
        bytes_of_file.write(bytes(chunk.size))

    with opened(path) as (file, _):
        pictures = episode_summary(view, file[f"data/{PLANTED}"]).pictures

    others = {name for name, _ in cameras} - {camera}
    assert others
    assert pictures.keys() == others

    # the report shows the images that can be read
    report = tmp_path / "report.html"
    write_audit_page([audit(path, replays=False)], report)
    assert all(f"{name}, first" in report.read_text() for name in others)
    assert f"{camera}, first" not in report.read_text()


def test_what_is_no_dataset_is_refused(tmp_path: Path) -> None:
    for name in ("text.hdf5", "other.hdf5"):
        path = tmp_path / name
        path.write_text("no HDF5")
        if name == "other.hdf5":
            with open_hdf5(path, "w") as file:
                file["x"] = np.arange(3)
        with pytest.raises(DatasetError, match=name):
            audit(path)


@pytest.mark.parametrize(
    "spec", [*STREAMS, *STREAMS_OF_ACTORS], ids=lambda spec: spec.name
)
def test_a_stream_with_an_axis_more_is_named(tmp_path: Path, spec: ArraySpec) -> None:
    path = write_dataset(tmp_path / "set.hdf5", [1])
    name = f"streams/{spec.name}/value"
    with open_hdf5(path, "r+") as file:
        demo = file["data/demo_0"]
        shape = [2] * (2 + len(spec.row_axes))
        if name in demo:
            del demo[name]
        demo[name] = np.ones(shape, spec.dtype)

    [episode] = audit(path, replays=False).episodes
    assert episode.verdict == "EXCLUDE"
    [fault] = [finding for finding in episode.findings if finding.check == "fault"]
    assert fault.message == f"{name} has {len(shape)} axes"


def test_verdicts_are_stored_as_masks(good: Path, tmp_path: Path) -> None:
    path = with_plant(good, tmp_path, plants.flip_label)
    with open_hdf5(path, "r+") as file:
        plants.jump(file["data/demo_4"])
    copy = tmp_path / "copy.hdf5"
    before = path.read_bytes()

    options = ["--no-replay", "--beside", "--copy", copy]
    assert embodied("data", "audit", path, *options) == 0

    assert path.read_bytes() == before
    with Dataset(copy) as dataset:
        assert dataset.mask("audit_pass") == [0, 1, 3, 5]
        assert dataset.mask("audit_review") == [4]
        assert dataset.mask("audit_exclude") == [2]
        assert "train" in dataset.masks
        with Dataset(path) as original:
            assert dataset.header == original.header
            assert dataset.episodes == original.episodes
    # so that `filter` takes the good ones
    passed = tmp_path / "passed.hdf5"
    assert embodied("data", "filter", copy, "mask=audit_pass", "-o", passed) == 0
    with Dataset(passed) as dataset:
        assert len(dataset) == 4

    stored = json.loads(store.json_path(path).read_text())
    assert stored["masks"]["audit_exclude"] == ["demo_2"]
    assert stored["thresholds"]["idle_s"] == THRESHOLDS.idle_s


def test_the_verb_says_what_it_found(
    good: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = with_plant(good, tmp_path, plants.jump)
    page = tmp_path / "audit.html"
    capsys.readouterr()

    assert embodied("data", "audit", path, "--no-replay", "--html", page) == 0
    said = capsys.readouterr().out
    assert "6 episodes: 5 PASS, 1 REVIEW, 0 EXCLUDE" in said
    assert "demo_2" in said
    assert "success not recomputed for 6 episodes: no replay was asked for" in said

    # the page has the pictures of the flagged episode, and needs no network
    text = page.read_text()
    assert text.count("data:image/png;base64,") == 4
    assert "http" not in text.replace("http-equiv", "")

    assert embodied("data", "audit", path, good, "--no-replay", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert [one["counts"]["PASS"] for one in found] == [5, 6]
    assert found[0]["episodes"][2]["findings"][0]["check"] == "jump"
    assert embodied("data", "audit", path, good, "--no-replay") == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == "together: 12 episodes: 11 PASS, 1 REVIEW, 0 EXCLUDE"


def test_what_does_not_go_together_is_refused(
    good: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "copy.hdf5"
    copy.touch()
    audit_good = ("data", "audit", good, "--no-replay")
    assert "give --copy" in refused(capsys, *audit_good, "--overwrite")
    assert "exists" in refused(capsys, *audit_good, "--copy", copy)
    onto_itself = (*audit_good, "--copy", good, "--overwrite")
    assert "the file that is read" in refused(capsys, *onto_itself)
    assert "one dataset" in refused(capsys, "data", "audit", good, good, "--copy", copy)
    assert "no dataset at" in refused(capsys, "data", "audit", "nowhere.hdf5")


def test_a_collection_can_be_audited_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "plain.hdf5"
    assert collect(path, "--no-cameras", "--audit", *QUICKLY, episodes=1) == 0

    assert "1 episode: 1 PASS" in capsys.readouterr().out
    assert json.loads(store.json_path(path).read_text())["counts"]["PASS"] == 1


def summary(demo: str, path: np.ndarray, **variation: object) -> EpisodeSummary:
    """An episode that went a path (PATH_POINTS, J)."""
    empty = np.zeros(0)
    return EpisodeSummary(demo, 1.0, "go", variation, path[0], path, empty, {}, {})


@settings(deadline=None)
@given(st.lists(st.integers(0, 12), min_size=2, max_size=12), st.integers(0, 5))
def test_twins_are_those_that_comparing_all_pairs_finds(
    levels: list[int], distance: int
) -> None:
    rng = np.random.default_rng(0)
    shape = rng.uniform(-0.1, 0.1, (24, 2))
    summaries = [summary(f"demo_{i}", shape + level) for i, level in enumerate(levels)]
    extent = np.ptp(np.stack([b.path for b in summaries]), axis=(0, 1))
    limit = (distance + 0.5) / extent.max()

    expected = {
        one.demo
        for i, one in enumerate(summaries)
        for other in summaries[:i]
        if (np.abs(one.path - other.path) / extent).max() <= limit
    }
    assert find_twins(summaries, limit).keys() == expected


def test_a_set_that_covers_little_is_told(good: Path) -> None:
    rng = np.random.default_rng(0)
    with Dataset(good) as dataset:
        header = dataset.header
    wide = [
        summary(
            f"demo_{i}",
            rng.random((24, 2)),
            place=int(rng.choice([0, 1, 2, 4, 6, 7, 9, 10, 11])),
            console_x=float(rng.uniform(-0.01, 0.01)),
        )
        for i in range(40)
    ]
    facts = set_facts(wide, THRESHOLDS.twin_distance)
    assert find_gaps(range_coverage(header, wide), facts, THRESHOLDS) == []

    path = rng.random((24, 2))
    narrow = [summary(f"demo_{i}", path, place=4, console_x=0.001) for i in range(40)]
    facts = set_facts(narrow, THRESHOLDS.twin_distance)
    gaps = find_gaps(range_coverage(header, narrow), facts, THRESHOLDS)
    said = " ".join(gap.message for gap in gaps)
    assert "place covers 1 of 9" in said
    assert "console_x covers 1 of 10" in said


def test_a_robot_may_wait_for_what_moves() -> None:
    time_s = np.arange(200) / 20
    positions = np.zeros((200, 2))
    moving = np.stack([time_s, 0.1 * time_s], axis=1)
    resting = np.stack([time_s, 0 * time_s], axis=1)
    for states, seconds, found in (
        (moving, 10, []),
        (resting, 10, ["idle"]),
        (moving, 20, ["idle"]),
    ):
        repeats = seconds // 10
        rows = {
            "actions": np.ones((200 * repeats, 2)),
            "obs/joint_pos": np.tile(positions, (repeats, 1)),
            "states": np.concatenate([states] * repeats),
        }
        view = View("demo_0", Source(None, 20.0), rows)
        context = Context(set_facts([], 0.01), THRESHOLDS)
        assert [one.check for one in find_idle(view, context)] == found


def test_measures_of_movements() -> None:
    time_s = np.arange(400) / 200
    smooth = np.sin(time_s)[:, None]
    rng = np.random.default_rng(0)
    assert roughness(smooth, 200) < 0.1
    assert roughness(rng.normal(size=(400, 1)), 200) == pytest.approx(1.7, abs=0.2)

    # what follows 0.2 s later is told, with its sign
    signal = rng.normal(size=400)
    assert lag(signal, np.roll(signal, 40), 200)[0] == pytest.approx(0.2)
    assert lag(signal, np.roll(signal, -40), 200)[0] == pytest.approx(-0.2)

    # a fast movement is no jump, one wrong reading is
    steps = sudden_steps(np.cumsum(np.full((50, 1), 0.3), axis=0))
    assert steps.max() == pytest.approx(0)
    smooth[200] += 0.3
    assert sudden_steps(smooth).max() == pytest.approx(0.3, abs=0.02)

    found = stretches(np.array([1, 1, 0, 1], bool))
    assert [(one.first, one.last) for one in found] == [(0, 1), (3, 3)]
