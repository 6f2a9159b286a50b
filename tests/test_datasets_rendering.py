"""Rendered pictures are those that a recording with cameras would have held."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from embodied.datasets.reader import Dataset
from embodied.datasets.rendering import FAR_MM
from embodied.datasets.statistics import measured_keys, statistics
from embodied.datasets.writer import EpisodeWriter
from embodied.envs.common_factors import LOOKS
from embodied.envs.registry import get_task, robots_for, task_names
from embodied.envs.variation import Variation
from tests.commands import embodied, refused
from tests.dataset_recordings import EPISODES, record
from tests.datasets_fakes import file_digest, open_hdf5, write_dataset
from tests.ground import some_of

SIZE = 16
HORIZON_S = 0.25
# pixel noise, and shifted cameras
LEVEL = "L3"


def seen(*cameras: str, camera_hz: float = 20, size: int = SIZE) -> dict[str, Any]:
    """The settings of worlds that show pictures."""
    return {
        "obs": "both",
        "cameras": cameras,
        "camera_hz": camera_hz,
        "image_size": size,
    }


def blind(
    path: Path, task: str = "ToteTransfer", robot: str = "arm", noise: float = 0
) -> Path:
    """Records without cameras."""
    return record(path, task, robot, HORIZON_S, noise, LEVEL, cameras=())


def render(source: Path, target: Path, *words: object) -> Path:
    size = () if "--image-size" in words else ("--image-size", SIZE)
    again = ("--workers", 1, *size, *words)
    assert embodied("data", "render", source, "-o", target, *again) == 0
    return target


@pytest.fixture(scope="module")
def states(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset without pictures."""
    return blind(tmp_path_factory.mktemp("states") / "states.hdf5")


@pytest.mark.parametrize(
    ("task", "robot", "cameras"),
    [
        ("ToteTransfer", "arm", ("overview", "wrist")),
        pytest.param("TableWipe", "wheeled_arm", ("wrist",), marks=pytest.mark.slow),
    ],
)
def test_the_file_is_that_of_a_recording_with_cameras(
    task: str, robot: str, cameras: tuple[str, ...], tmp_path: Path
) -> None:
    source = blind(tmp_path / "states.hdf5", task, robot, noise=0.3)
    whole = tmp_path / "whole.hdf5"
    record(whole, task, robot, HORIZON_S, 0.3, LEVEL, **seen(*cameras))

    for num_envs in (1, 3):
        target = tmp_path / f"rendered_{num_envs}.hdf5"
        render(source, target, "--camera", *cameras, "--num-envs", num_envs)
        assert file_digest(target) == file_digest(whole)


@pytest.mark.slow
@pytest.mark.parametrize(
    "number", some_of(range(0, len(task_names()), 4), 2, pytest.mark.exhaustive)
)
def test_whole_episodes_are_those_of_a_recording(number: int, tmp_path: Path) -> None:
    """Those of every fourth task, with the robots in turn."""
    task = task_names()[number]
    robot = ("arm", "wheeled_arm")[number // 4 % 2]
    if robot not in robots_for(get_task(task)):
        robot = get_task(task).default_robot
    # two, for two processes
    episodes = 2 if number == 0 else 1
    words = (
        "collect",
        task,
        "--robot",
        robot,
        "--episodes",
        episodes,
        "--level",
        LEVEL,
    )
    size = ("--image-size", SIZE)
    source = tmp_path / "states.hdf5"
    whole = tmp_path / "whole.hdf5"
    assert embodied(*words, "-o", source, "--no-cameras", "--workers", 1) == 0
    assert embodied(*words, "-o", whole, *size, "--workers", 1) == 0

    target = tmp_path / "rendered.hdf5"
    assert embodied("data", "render", source, "-o", target, *size, "--workers", 2) == 0
    assert file_digest(target) == file_digest(whole)


def test_pictures_that_were_recorded_come_out_again(tmp_path: Path) -> None:
    # those of a policy that looks less often than frames are recorded
    source = tmp_path / "seen.hdf5"
    record(
        source,
        "ToteTransfer",
        "arm",
        HORIZON_S,
        level=LEVEL,
        **seen("wrist", camera_hz=8),
    )
    target = tmp_path / "again.hdf5"
    assert embodied("data", "render", source, "-o", target, "--workers", 1) == 0
    assert file_digest(target) == file_digest(source)


def test_depth_and_things_say_what_the_pictures_show(
    states: Path, tmp_path: Path
) -> None:
    words = ("--camera", "overview", "--segmentation", "--depth")
    metres = Dataset(render(states, tmp_path / "m.hdf5", *words, "m"))
    millimetres = Dataset(render(states, tmp_path / "mm.hdf5", *words, "mm"))

    for number in range(EPISODES):
        depth_m = metres.read(number, "obs/overview_depth")
        depth_mm = millimetres.read(number, "obs/overview_depth")
        things = metres.read(number, "obs/overview_segmentation")
        frames = metres.episodes[number].num_samples
        for array, dtype in (
            (depth_m, np.float32),
            (depth_mm, np.uint16),
            (things, np.uint16),
        ):
            assert array.dtype == dtype
            assert array.shape == (frames, SIZE, SIZE, 1)
        expected = np.minimum(np.rint(depth_m * 1000.0), FAR_MM)
        assert np.array_equal(depth_mm, expected.astype(np.uint16))
        assert depth_m.min() > 0.05

        # the arm is there, in front of the floor
        names = metres.header.metadata["segmentation_names"]
        shown = {names[k] for k in np.unique(things)}
        assert {"floor", "link2"} <= shown
        of_arm = depth_m[things == names.index("link2")]
        assert of_arm.max() < depth_m[things == names.index("floor")].max()

    units = [
        dataset.arrays(0)["obs/overview_depth"].attrs["unit"].decode()
        for dataset in (metres, millimetres)
    ]
    assert units == ["m", "mm"]

    # those who leave pictures out leave these out, too
    assert set(metres.episode(0, images=False).obs) == set(
        Dataset(states).episode(0).obs
    )
    keys = measured_keys(metres, 0)
    assert "obs/overview_segmentation" not in keys
    depth = statistics(metres, [0], ["obs/overview_depth"])[0]
    assert depth.max == pytest.approx([metres.read(0, "obs/overview_depth").max()])


def test_other_light_changes_pictures_and_nothing_that_moves(
    states: Path, tmp_path: Path
) -> None:
    plain = Dataset(render(states, tmp_path / "plain.hdf5"))
    dark_path = render(
        states, tmp_path / "dark.hdf5", "--vary", "brightness=0.56", "camera_fovy=L1"
    )
    dark = Dataset(dark_path)

    assert dark.header.metadata["looks"] == "brightness=0.56 camera_fovy=L1"
    for number in range(EPISODES):
        one = plain.episode(number)
        other = dark.episode(number)
        assert np.array_equal(one.states, other.states)
        assert other.meta.variation["brightness"] == 0.56
        assert other.meta.variation["camera_fovy"] == 0
        key = "overview_image"
        assert other.obs[key].mean() < one.obs[key].mean() - 3

    # a file that was made so says all that it takes to make it again
    again = tmp_path / "again.hdf5"
    assert embodied("data", "render", dark_path, "-o", again, "--workers", 1) == 0
    assert file_digest(again) == file_digest(dark_path)


@pytest.mark.slow
def test_a_level_draws_what_a_recording_at_that_level_would(
    states: Path, tmp_path: Path
) -> None:
    words = [f"{name}=L3" for name in LOOKS]
    source = record(
        tmp_path / "narrow.hdf5", "ToteTransfer", "arm", HORIZON_S, cameras=()
    )
    target = Dataset(render(source, tmp_path / "wide.hdf5", "--vary", *words))
    variation = Variation(get_task("ToteTransfer").table, "L3", "train")
    wide = Dataset(states)
    for number, meta in enumerate(target.episodes):
        for name in LOOKS:
            expected = wide.episodes[number].variation[name]
            assert meta.variation[name] == expected
            if name != "camera_shift":
                assert expected == variation.sample(meta.seed, name)


def test_an_episode_that_does_not_replay_is_named_and_can_still_be_rendered(
    states: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = Dataset(render(states, tmp_path / "whole.hdf5"))
    tampered = tmp_path / "tampered.hdf5"
    tampered.write_bytes(states.read_bytes())
    with open_hdf5(tampered, "r+") as file:
        action = file["data/demo_1/streams/action/value"]
        action[20:40] = -action[20:40]

    target = tmp_path / "rendered.hdf5"
    words = ("data", "render", tampered, "-o", target, "--workers", 1)
    error = refused(capsys, *words)
    assert "episode 1 of" in error
    assert "does not replay" in error
    assert "--set-states" in error
    assert not target.exists()

    render(tampered, target, "--set-states", "--overwrite")
    rendered = Dataset(target)
    assert rendered.header.metadata["pictures_of"] == "recorded states"
    for number in range(EPISODES):
        key = "obs/overview_image"
        assert np.array_equal(rendered.read(number, key), whole.read(number, key))


def test_a_rendering_that_was_stopped_goes_on(
    states: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    whole = render(states, tmp_path / "whole.hdf5", "--depth", "mm")
    target = tmp_path / "rendered.hdf5"
    words = ("data", "render", states, "-o", target, "--image-size", SIZE)
    words = (*words, "--workers", 1, "--num-envs", 1)

    write = EpisodeWriter.write
    with monkeypatch.context() as patch:

        def stop_at_third(writer: EpisodeWriter, *args: Any) -> None:
            if len(writer.seeds) == 2:
                raise KeyboardInterrupt
            write(writer, *args)

        patch.setattr(EpisodeWriter, "write", stop_at_third)
        assert embodied(*words, "--depth", "mm") == 130
    assert f"Kept: 2 of {EPISODES}" in capsys.readouterr().err
    assert not target.exists()

    # what is there was rendered otherwise
    assert "depth_unit" in refused(capsys, *words, "--resume")
    assert embodied(*words, "--depth", "mm", "--resume") == 0
    assert file_digest(target) == file_digest(whole)
    capsys.readouterr()
    assert embodied(*words, "--depth", "mm", "--resume") == 0
    assert "nothing to do" in capsys.readouterr().out


def test_masks_and_what_other_tools_wrote_stay(states: Path, tmp_path: Path) -> None:
    source = tmp_path / "states.hdf5"
    source.write_bytes(states.read_bytes())
    with open_hdf5(source, "r+") as file:
        file["mask/favourites"] = np.array([b"demo_3", b"demo_1"])
        file["data/demo_1"].attrs["operator"] = "ann"
        file["data/demo_1/notes/force"] = np.arange(5)
        # a link that leads out of the file is never followed
        file["data/demo_1/elsewhere"] = h5py.ExternalLink("other.hdf5", "/data")
    target = Dataset(render(source, tmp_path / "rendered.hdf5"))
    assert sorted(target.mask("favourites")) == [1, 3]
    assert target.attributes(1)["operator"] == "ann"
    assert np.array_equal(target.read(1, "notes/force"), np.arange(5))
    assert "operator" not in target.attributes(0)
    assert "elsewhere" not in target.group(1)


def test_mistakes_are_named(
    states: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("data", "render", states, "-o", tmp_path / "rendered.hdf5")
    mistakes = {
        ("--camera", "front"): "unknown camera 'front'",
        ("--image-size", 5): "image_size 5 must be from 16",
        ("--episode", 9): "there is no episode 9",
        ("--vary", "brightness"): "'brightness' is not NAME=VALUE",
        ("--vary", "mass=L2"): "unknown variable of pictures 'mass'",
        ("--vary", "brightness=9"): "brightness cannot be 9.0",
        ("--num-envs", 0): "--num-envs must be at least 1",
    }
    for mistake, message in mistakes.items():
        assert message in refused(capsys, *words, *mistake)
    same = ("data", "render", states, "-o", states, "--overwrite")
    assert "is the file that is read" in refused(capsys, *same)

    other = write_dataset(tmp_path / "fake.hdf5", [1])
    assert "robot None" in refused(
        capsys, "data", "render", other, "-o", tmp_path / "x"
    )
    assert list(tmp_path.glob("*.parts")) == []


@pytest.mark.slow
def test_depth_is_of_the_moment_of_its_picture(tmp_path: Path) -> None:
    # cameras at 8 Hz take their pictures between the frames
    source = record(
        tmp_path / "seen.hdf5",
        "ToteTransfer",
        "arm",
        HORIZON_S,
        **seen("wrist", camera_hz=8),
    )
    slow = Dataset(render(source, tmp_path / "slow.hdf5", "--depth", "m"))
    fast = record(
        tmp_path / "fast.hdf5",
        "ToteTransfer",
        "arm",
        HORIZON_S,
        **seen("wrist", camera_hz=200),
    )
    ticks = slow.read(0, "image_tick")
    assert len(np.unique(ticks)) < len(ticks)
    truth = Dataset(render(fast, tmp_path / "truth.hdf5", "--depth", "m"))
    of_frames = truth.read(0, "obs/wrist_depth")
    depth = slow.read(0, "obs/wrist_depth")
    for frame, tick in enumerate(ticks):
        same = np.flatnonzero(truth.read(0, "frame_tick") == tick)
        for other in same:
            assert np.array_equal(depth[frame], of_frames[other])
    # a picture that is shown twice has one depth
    twice = np.flatnonzero(np.diff(ticks) == 0)
    assert np.array_equal(depth[twice], depth[twice + 1])


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("streams/action/value", np.zeros((50, 2), np.float32), "its actions are"),
        ("streams/checksum/value", np.zeros(50, np.float32)[:, None], "checksums"),
        ("start/fields/geom_rgba", np.zeros(3), "recorded geom_rgba is"),
        ("start/fields/geom_bogus", np.zeros(3), "which this model and task have not"),
        ("states", None, "its states have"),
    ],
)
def test_recordings_that_do_not_fit_the_worlds_are_named(
    states: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    key: str,
    value: Any,
    message: str,
) -> None:
    source = tmp_path / "states.hdf5"
    source.write_bytes(states.read_bytes())
    with open_hdf5(source, "r+") as file:
        place = f"data/demo_0/{key}"
        if value is None:
            value = file[place][:, :-1]
        if place in file:
            del file[place]
        file[place] = value
    target = tmp_path / "rendered.hdf5"
    render_words = ("data", "render", source, "-o", target, "--workers", 1)
    assert message in refused(capsys, *render_words)
    assert message in refused(capsys, "data", "replay", source)
    assert not list(tmp_path.glob("rendered*"))
