"""Windows over the streams of datasets: each is what the reader gives by hand."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from embodied.core import PHYSICS_HZ
from embodied.datasets.array_specs import PLAN_PAYLOAD
from embodied.datasets.index.opening import index_path
from embodied.datasets.reader import Dataset
from embodied.datasets.schema import DatasetError, Episode
from embodied.datasets.windows import Normaliser, Window, WindowLoader, Windows
from embodied.datasets.windows.dataset import Request
from embodied.datasets.windows.window import stored_key, ticks_key
from embodied.datasets.writer import EpisodeWriter
from embodied.errors import EmbodiedError
from tests.datasets_fakes import fake_episode, fake_header, open_hdf5, unsealed

FRAMES = (6, 1, 9)  # of the episodes
NAMES = (
    "actions",
    "rewards",
    "obs/agent_pos",
    "obs/front_image",
    "streams/intended",
    "streams/joint_target",
    "streams/success",
    "plans/goal_pos_w",
    "plans/subtask",
)
# The arrays of each episode by their names.
Stored = list[dict[str, np.ndarray]]
ROWS = {"obs/agent_pos": range(-1, 1), "actions": range(4)}


def planned(seed: int, frames: int) -> Episode:
    """An episode with four plans, of which two were made of the same picture."""
    episode = fake_episode(seed, frames)
    rng = np.random.default_rng(seed)
    ticks = np.sort(rng.integers(0, frames * PHYSICS_HZ // 10, 3))
    plans: dict[str, np.ndarray] = {
        spec.name: rng.random((4, 1, 3)).astype(np.float32) for spec in PLAN_PAYLOAD
    }
    plans["tick_frame"] = np.array([0, *ticks[:2], ticks[1]])
    plans["subtask"] = rng.integers(0, 5, 4)
    return replace(episode, plans=plans)


def write(path: Path, frames: Iterable[int] = FRAMES, **metadata: Any) -> Path:
    with EpisodeWriter(path, fake_header(**metadata)) as writer:
        for seed, count in enumerate(frames):
            writer.write(planned(seed, count))
    return path


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("windows") / "set.hdf5")


@pytest.fixture(scope="module")
def stored(path: Path) -> Stored:
    """All arrays of the file, as the reader gives them."""
    with Dataset(path) as dataset:
        return [
            {key: dataset.read(number, key) for key in dataset.keys(number)}
            for number in range(len(dataset))
        ]


def by_hand(
    episode: dict[str, np.ndarray], name: str, tick: int, rows: range
) -> tuple[np.ndarray, list[bool]]:
    """The rows of one window and which of them are padding, in the plainest way."""
    values = episode[stored_key(name)]
    ticks = episode[ticks_key(name)].tolist()
    newest = max([row for row, when in enumerate(ticks) if when <= tick], default=0)
    taken = []
    padding = []
    for row in rows:
        wanted = newest + row
        present = min(max(wanted, 0), len(values) - 1)
        taken.append(values[present])
        padding.append(wanted != present)
    return np.stack(taken), padding


@st.composite
def windows_of_any_kind(draw: st.DrawFn) -> Window:
    rows = {}
    for name in draw(st.lists(st.sampled_from(NAMES), min_size=1, unique=True)):
        first = draw(st.integers(-8, 8))
        count = draw(st.integers(1, 6))
        step = draw(st.integers(1, 3))
        rows[name] = range(first, first + count * step, step)
    at = draw(st.sampled_from(["frames", "plans", "streams/intended"]))
    ages = draw(st.none() | st.tuples(st.floats(0, 0.2), st.floats(0.2, 2)))
    return Window(rows, at, ages)


@settings(max_examples=40, deadline=None)
@given(window=windows_of_any_kind(), in_memory=st.booleans())
def test_every_window_is_what_the_reader_gives_by_hand(
    path: Path, stored: Stored, window: Window, in_memory: bool
) -> None:
    with Windows(path, window, mask="all") as windows:
        if in_memory:
            assert set(windows.load()) == set(windows.names)
        age = np.linspace(0, 0.999, len(windows))
        batch = windows.batch(Request(np.arange(len(windows)), age))

    # There is a window at each row of what they are at.
    moments = [
        (number, int(tick))
        for number, episode in enumerate(stored)
        for tick in episode[ticks_key(window.at)]
    ]
    assert batch["episode"].tolist() == [number for number, _ in moments]
    assert batch["tick"].tolist() == [tick for _, tick in moments]

    for name, rows in window.rows.items():
        # Where several plans were made of one picture, each has a window of its own:
        # see the next test.
        if ticks_key(name) == ticks_key(window.at):
            continue
        expected = [
            by_hand(stored[number], name, tick, rows) for number, tick in moments
        ]
        values = np.stack([values for values, _ in expected])
        assert np.array_equal(batch[name].numpy(), values.astype(np.float32))
        padding = [padding for _, padding in expected]
        assert batch[f"{name}_is_pad"].tolist() == padding

    if window.plan_age_s is not None:
        least, greatest = window.plan_age_s
        for number, (episode, tick) in enumerate(moments):
            age_s = least + age[number] * (greatest - least)
            goal, true_age_s = plan_by_hand(stored[episode], tick, age_s)
            assert np.array_equal(batch["plan/goal_pos_w"][number].numpy(), goal)
            assert batch["plan_age_s"][number] == true_age_s


def plan_by_hand(
    episode: dict[str, np.ndarray], tick: int, age_s: float
) -> tuple[np.ndarray, np.float32]:
    """The goal and age of the newest plan that is at least so old; else the first's."""
    ticks = episode["plans/tick_frame"]
    old_enough = np.flatnonzero(ticks <= tick - age_s * PHYSICS_HZ)
    plan = old_enough[-1] if len(old_enough) else 0
    age = np.float32((tick - ticks[plan]) / PHYSICS_HZ)
    return episode["plans/goal_pos_w"][plan], age


@pytest.mark.parametrize("at", ["frames", "plans", "streams/intended"])
def test_row_0_of_what_windows_are_at_is_each_of_its_rows(
    path: Path, stored: Stored, at: str
) -> None:
    name = {"frames": "obs/agent_pos", "plans": "plans/goal_pos_w"}.get(at, at)
    with Windows(path, Window({name: range(1)}, at), "all") as windows:
        batch = windows.batch(Request.of(range(len(windows))))
    rows = np.concatenate([episode[stored_key(name)] for episode in stored])
    assert np.array_equal(batch[name][:, 0].numpy(), rows)


def test_borders_are_filled_with_the_nearest_row_and_marked(path: Path) -> None:
    window = Window({"actions": range(-2, 3)})
    with Windows(path, window, "all") as windows:
        first = windows[0]
        last = windows[FRAMES[0] - 1]
        alone = windows[FRAMES[0]]  # of the episode with one frame
    assert first["actions_is_pad"].tolist() == [True, True, False, False, False]
    assert torch.equal(first["actions"][0], first["actions"][2])
    assert last["actions_is_pad"].tolist() == [False, False, False, True, True]
    assert torch.equal(last["actions"][4], last["actions"][2])
    assert alone["actions_is_pad"].tolist() == [True, True, False, True, True]


def test_plain_torch_loaders_take_them(path: Path) -> None:
    with Windows(path, Window(ROWS, plan_age_s=(0, 1)), "all") as windows:
        expected = windows.batch(Request.of(range(5)))
        for loader in (DataLoader(windows, 5), DataLoader(windows, 5, num_workers=1)):
            batch = next(iter(loader))
            assert batch.keys() == expected.keys()
            for name, values in expected.items():
                assert torch.equal(batch[name], values)


def taken(windows: Windows, epochs: int = 2, **settings: Any) -> list[Any]:
    """Everything that a loader gives, as lists of plain numbers."""
    loader = WindowLoader(windows, batch_size=3, seed=5, **settings)
    return [
        {name: values.tolist() for name, values in batch.items()}
        for _ in range(epochs)
        for batch in loader
    ]


@pytest.mark.parametrize(
    "in_memory", [False, pytest.param(True, marks=pytest.mark.slow)]
)
def test_forked_workers_change_nothing(path: Path, in_memory: bool) -> None:
    window = Window({**ROWS, "obs/front_image": range(-1, 1)}, plan_age_s=(0, 1))
    with Windows(path, window, "all") as windows:
        if in_memory:
            windows.load()
        alone = taken(windows)
        assert taken(windows, workers=2, context="fork") == alone
    per_epoch = sum(FRAMES) // 3
    assert len(alone) == 2 * per_epoch
    assert alone[:per_epoch] != alone[per_epoch:]
    for epoch in (alone[:per_epoch], alone[per_epoch:]):
        seen = [
            (episode, tick)
            for batch in epoch
            for episode, tick in zip(batch["episode"], batch["tick"], strict=True)
        ]
        assert len(set(seen)) == 3 * per_epoch


@pytest.mark.slow
def test_spawned_workers_change_nothing(path: Path) -> None:
    window = Window({**ROWS, "obs/front_image": range(-1, 1)}, plan_age_s=(0, 1))
    for in_memory in (False, True):
        with Windows(path, window, "all") as windows:
            if in_memory:
                windows.load()
            alone = taken(windows)
            assert taken(windows, workers=2, context="spawn") == alone


def test_another_seed_gives_another_order(path: Path) -> None:
    with Windows(path, Window(ROWS), "all") as windows:
        orders = [
            [batch["tick"].tolist() for batch in WindowLoader(windows, 4, seed=seed)]
            for seed in (0, 0, 1)
        ]
    assert orders[0] == orders[1] != orders[2]


@pytest.mark.parametrize("workers", [0, 2])
def test_a_loader_goes_on_where_another_one_stood(path: Path, workers: int) -> None:
    with Windows(path, Window(ROWS, plan_age_s=(0, 1)), "all") as windows:
        whole = taken(windows)
        loader = WindowLoader(windows, 3, seed=5, workers=workers)
        for number, _ in enumerate(loader):
            if number == 1:
                break
        state = loader.state_dict()

        # with another number of workers, too
        resumed = WindowLoader(windows, 3, seed=5)
        resumed.load_state_dict(state)
        rest = [batch["tick"].tolist() for _ in range(2) for batch in resumed]
        assert rest == [batch["tick"] for batch in whole[2:]]

        # the first one itself, too
        rest = [batch["tick"].tolist() for _ in range(2) for batch in loader]
        assert rest == [batch["tick"] for batch in whole[2:]]

        other = WindowLoader(windows, 3, seed=6)
        with pytest.raises(EmbodiedError, match=r"seed 6 cannot go on from one with 5"):
            other.load_state_dict(state)


def test_weights_decide_how_often_files_are_drawn_from(tmp_path: Path) -> None:
    files = [write(tmp_path / "a.hdf5", (60,)), write(tmp_path / "b.hdf5", (200,))]
    with Windows(files, Window(ROWS), "all") as windows:
        loader = WindowLoader(windows, 20, seed=0, weights=(3, 1))
        batches = [batch for _ in range(5) for batch in loader]
        seen = torch.cat([batch["file"] for batch in batches])
        ticks = torch.cat([batch["tick"] for batch in batches])
        assert (seen == 0).float().mean() == pytest.approx(0.75, abs=0.05)
        for file, frames in enumerate((60, 200)):
            assert len(ticks[seen == file].unique()) > 0.7 * frames
        again = WindowLoader(windows, 20, seed=0, weights=(3, 1))
        assert torch.equal(next(iter(again))["tick"], batches[0]["tick"])

        for wrong in ((1,), (1, 0), (1, float("inf"))):
            with pytest.raises(EmbodiedError, match="must be 2 positive numbers"):
                WindowLoader(windows, 20, weights=wrong)


def test_torchs_own_random_numbers_are_left_alone(path: Path) -> None:
    with Windows(path, Window(ROWS), "all") as windows:
        torch.manual_seed(0)
        expected = torch.rand(3)
        torch.manual_seed(0)
        taken(windows)
        assert torch.equal(torch.rand(3), expected)


def test_files_of_several_robots_and_tasks_stack(tmp_path: Path) -> None:
    narrow = write(tmp_path / "a.hdf5", (4, 2), robot="arm")
    wide = tmp_path / "b.hdf5"
    with EpisodeWriter(wide, fake_header(robot="tall", task="Other")) as writer:
        episode = planned(7, 5)
        obs = {**episode.obs, "agent_pos": np.ones((5, 6), np.float32)}
        writer.write(replace(episode, obs=obs))

    with Windows([narrow, wide], Window(ROWS), "all") as windows:
        batch = windows.batch(Request(np.array([10, 0, 5]), np.zeros(3)))
        assert (windows.robots, windows.tasks) == (("arm", "tall"), ("Fake", "Other"))
        filled = windows.filled("obs/agent_pos")
        instructions = [windows.instructions[k] for k in batch["instruction"]]
        for number, file in enumerate((narrow, wide)):
            with Windows(file, Window(ROWS), "all") as alone:
                own = alone[4] if number else alone[0]
            row = batch["obs/agent_pos"][0 if number else 1]
            width = own["obs/agent_pos"].shape[1]
            assert torch.equal(row[:, :width], own["obs/agent_pos"])
            assert not row[:, width:].any()
            assert filled[number].tolist() == [True] * width + [False] * (6 - width)

    assert batch["file"].tolist() == batch["robot"].tolist() == [1, 0, 0]
    assert batch["task"].tolist() == [1, 0, 0]
    assert instructions == ["take tote 7", "take tote 0", "take tote 1"]


def test_masks_choose_the_episodes(path: Path) -> None:
    with Dataset(path) as dataset:
        for mask in ("train", "success"):
            with Windows(path, Window(ROWS), mask) as windows:
                frames = sum(FRAMES[number] for number in dataset.mask(mask))
                assert len(windows) == frames


def test_the_index_is_made_once_and_anew_when_the_file_has_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = unsealed(write(tmp_path / "set.hdf5"))
    Windows(path, Window(ROWS), "all")
    kept = index_path(path).read_bytes()

    # what is there is not searched for again
    module = "embodied.datasets.index.finding.find_row_positions"
    with monkeypatch.context() as patched:
        patched.setattr(module, None)
        Windows(path, Window(ROWS), "all")
    assert index_path(path).read_bytes() == kept

    # another file at the same place, and an index that is no index
    unsealed(write(tmp_path / "other.hdf5", (3, 3))).replace(path)
    assert len(Windows(path, Window(ROWS), "all")) == 6
    index_path(path).write_bytes(b"no index")
    assert len(Windows(path, Window(ROWS), "all")) == 6


def test_a_folder_that_cannot_be_written_needs_no_index(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = unsealed(write(tmp_path / "set.hdf5"))
    index_path(path).mkdir()
    assert len(Windows(path, Window(ROWS), "all")) == sum(FRAMES)


def test_a_file_that_is_replaced_under_way_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "set.hdf5")
    windows = Windows(path, Window(ROWS), "all")
    write(tmp_path / "other.hdf5", (3, 3)).replace(path)
    with pytest.raises(DatasetError, match="has changed since it was opened"):
        windows[0]


@pytest.mark.parametrize(
    "layout",
    [
        {"chunks": (2, 3), "compression": "lzf"},
        {"chunks": (1, 3), "compression": "gzip", "shuffle": True},
        {"dtype": ">f4"},
    ],
)
def test_any_layout_is_read(path: Path, tmp_path: Path, layout: dict[str, Any]) -> None:
    copy = tmp_path / "copy.hdf5"
    copy.write_bytes(path.read_bytes())
    with open_hdf5(copy, "r+") as file:
        for demo in file["data"].values():
            values = demo["actions"][()]
            del demo["actions"]
            if len(values) == 1 and "chunks" in layout:
                demo.create_dataset("actions", data=values, chunks=(1, 3))
            else:
                demo.create_dataset("actions", data=values, **layout)

    window = Window({"actions": range(-3, 6, 2)})
    with Windows(path, window, "all") as plain, Windows(copy, window, "all") as other:
        request = Request.of(range(len(plain)))
        expected = plain.batch(request)["actions"]
        assert torch.equal(other.batch(request)["actions"], expected)
        other.load()
        assert torch.equal(other.batch(request)["actions"], expected)


def damaged(path: Path, folder: Path, change: Any) -> Path:
    """A copy of a file whose third episode was changed."""
    copy = folder / "damaged.hdf5"
    copy.write_bytes(path.read_bytes())
    with open_hdf5(copy, "r+") as file:
        change(file["data/demo_2"])
    return copy


def read_all(path: Path, window: Window) -> None:
    with Windows(path, window, "all") as windows:
        windows.batch(Request.of(range(len(windows))))


def put(key: str, values: Any) -> Any:
    """A change that puts other values in place of an array's."""

    def change(demo: Any) -> None:
        new = values(demo[key][()])
        del demo[key]
        demo[key] = new

    return change


def with_nan(values: np.ndarray) -> np.ndarray:
    values[4, 1] = np.nan
    return values


REFUSED = {
    "nan": (put("actions", with_nan), r"row 4 of actions in demo_2 .* not finite"),
    "ragged": (
        put("streams/intended/value", lambda values: values[:-1]),
        r"streams/intended/value of demo_2 has 44 rows, but streams/intended/t has 45",
    ),
    "ticks": (
        put("streams/intended/t", lambda ticks: ticks[::-1]),
        r"the ticks of streams/intended/t in demo_2 do not rise",
    ),
    "wider": (
        put("actions", lambda values: np.ones((9, 5), np.float32)),
        r"demo_2 has actions with rows \(5,\) of float32; in demo_0 they are \(3,\)",
    ),
    "missing": (lambda demo: demo.pop("actions"), r"demo_2 has no actions, which"),
    "no ticks": (
        put("streams/intended/t", lambda ticks: ticks[:0]),
        r"demo_2 has no row of streams/intended/t",
    ),
}


@pytest.mark.parametrize(("change", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_what_does_not_fit_is_refused_by_name(
    path: Path, tmp_path: Path, change: Any, message: str
) -> None:
    copy = damaged(path, tmp_path, change)
    window = Window({"actions": range(2), "streams/intended": range(2)})
    with pytest.raises(DatasetError, match=message):
        read_all(copy, window)


def test_workers_and_statistics_name_what_is_not_finite(
    path: Path, tmp_path: Path
) -> None:
    copy = damaged(path, tmp_path, put("actions", with_nan))
    with Windows(copy, Window(ROWS), "all") as windows:
        loader = WindowLoader(windows, 4, workers=1)
        with pytest.raises(DatasetError, match="row 4 of actions in demo_2"):
            list(loader)
        with pytest.raises(DatasetError, match="row 4 of actions in demo_2"):
            Normaliser(windows)


def test_links_are_not_followed_out_of_the_file(path: Path, tmp_path: Path) -> None:
    outside = write(tmp_path / "outside.hdf5")

    def link(demo: Any) -> None:
        del demo["actions"]
        demo["actions"] = h5py.ExternalLink(outside.name, "data/demo_2/actions")

    def whole(demo: Any) -> None:
        parent = demo.parent
        del parent["demo_2"]
        parent["demo_2"] = h5py.ExternalLink(outside.name, "data/demo_2")

    for change, message in (
        (link, "actions of demo_2 leads to another file"),
        (whole, r"/mask/.* cannot be read \('demo_2'\)"),  # which is no episode then
    ):
        copy = damaged(path, tmp_path, change)
        with pytest.raises(DatasetError, match=message):
            Windows(copy, Window(ROWS), "all")


def test_damaged_pictures_are_named(path: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.hdf5"
    copy.write_bytes(path.read_bytes())
    with open_hdf5(copy) as file:
        chunk = file["data/demo_2/obs/front_image"].id.get_chunk_info(3)
    with copy.open("r+b") as raw:
        raw.seek(chunk.byte_offset + 5)
        raw.write(os.urandom(20))

    with pytest.raises(DatasetError, match="row 3 of obs/front_image in demo_2"):
        read_all(copy, Window({"obs/front_image": range(1)}))


MISTAKES = {
    "no rows": (lambda: Window({}), "needs rows"),
    "a number": (lambda: Window({"actions": 16}), "must be a range that rises"),
    "backwards": (lambda: Window({"actions": range(3, 0, -1)}), "range that rises"),
    "at": (lambda: Window(ROWS, at="seconds"), "cannot be at 'seconds'"),
    "ages": (lambda: Window(ROWS, plan_age_s=(1, 0)), "least and the greatest age"),
}


@pytest.mark.parametrize(("make", "message"), MISTAKES.values(), ids=MISTAKES.keys())
def test_a_wrong_window_is_refused(make: Any, message: str) -> None:
    with pytest.raises(EmbodiedError, match=message):
        make()


def test_wrong_names_are_answered_with_what_there_is(path: Path) -> None:
    with pytest.raises(EmbodiedError, match=r"Did you mean 'obs/front_image'"):
        Windows(path, Window({"obs/fron_image": range(1)}), "all")
    with pytest.raises(EmbodiedError, match=r"mask 'tran': choose one of \{"):
        Windows(path, Window(ROWS), "tran")
    with pytest.raises(EmbodiedError, match="checksums"):
        Windows(path, Window({"streams/checksum": range(1)}), "all")
    with pytest.raises(DatasetError, match="given twice"):
        Windows([path, path], Window(ROWS), "all")
    with pytest.raises(DatasetError, match="no dataset at"):
        Windows(path.with_name("none.hdf5"), Window(ROWS))
    with Windows(path, Window(ROWS), "all") as windows:
        with pytest.raises(EmbodiedError, match="from 1 to 16"):
            WindowLoader(windows, 17)
        with pytest.raises(EmbodiedError, match="workers must be at least 0"):
            WindowLoader(windows, 4, workers=-1)
        with pytest.raises(IndexError, match="no window 16"):
            windows[16]
