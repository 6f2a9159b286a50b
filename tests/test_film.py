"""Film: the right moments of the right episodes, in files that decode to the frames
that were put in.
"""

import io
from types import SimpleNamespace

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ImageFont

from embodied.core import PHYSICS_HZ, Observation
from embodied.datasets.export.video_files import VideoFile
from embodied.errors import EmbodiedError
from embodied.rollout.captions import two_lines
from embodied.rollout.film import Clip, Film, Shot
from embodied.rollout.grid import (
    CAPTION_HEIGHT_PX,
    FAILURE_RGB,
    OUTLINE_PX,
    SUCCESS_RGB,
    Grid,
    grid_video,
)
from embodied.rollout.rollout import EpisodeResult
from embodied.rollout.video import BT709, encode_jpeg, write_mp4
from tests.episode_results import episode_result

SHOT = Shot("front", "Trained", size=(48, 64), fps=20)


def result(
    index: int,
    success: bool = True,
    at_end: bool | None = None,
    time_s: float | None = 1.0,
) -> EpisodeResult:
    # An instruction that is too long for one line of the picture.
    instruction = (
        "put the red tote into slot 2,"
        " then wait for the next one to come along the belt"
    )

    return episode_result(
        index,
        success,
        instruction=instruction,
        success_at_end=success if at_end is None else at_end,
        progress_max=1.0,
        progress_end=1.0,
        time_to_success_s=time_s if success else None,
        duration_s=2.0,
        mean_plan_age_s=None,
    )


def clip(num_frames: int, shade: int = 120, shot: Shot = SHOT, **outcome) -> Clip:
    frame = encode_jpeg(np.full((*shot.size, 3), shade, np.uint8))
    return Clip(shot, result(0, **outcome), (frame,) * num_frames)


def decode(source) -> list[np.ndarray]:
    with av.open(source) as container:
        assert container.streams.video[0].codec_context.pix_fmt == "yuv420p"
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


class ClockWorlds:
    """Worlds whose picture is a shade of grey that tells the tick, so that a frame says
    when it was taken.
    """

    def __init__(self, ticks_per_step: int) -> None:
        self.ticks_per_step = ticks_per_step
        self.tick = np.zeros(3, dtype=np.int64)
        self.rendered = 0

    def render(self, world: int, camera: str, size: tuple[int, int]) -> np.ndarray:
        assert camera == SHOT.camera
        self.rendered += 1
        return np.full((*size, 3), self.tick[world] // 10, np.uint8)

    def observation(self) -> Observation:
        return Observation(
            self.tick.copy(), np.zeros((3, 1)), np.zeros((3, 0)), ("", "", "")
        )

    def step(self, film: Film, active=(True, True, True), fault=(0, 0, 0)) -> None:
        before = self.observation()
        self.tick += self.ticks_per_step
        outcome = SimpleNamespace(fault=np.array(fault))
        film.on_step(
            self,
            SimpleNamespace(before=before, result=outcome, active=np.array(active)),
        )


def start(film: Film, worlds: ClockWorlds, ids: list[int], episodes: list[int]) -> None:
    worlds.tick[ids] = 0
    film.on_start(worlds, np.array(ids), np.array(episodes), worlds.observation())


def ticks(film_clip: Clip) -> list[int]:
    return [round(film_clip.frame(k).mean()) * 10 for k in range(len(film_clip.frames))]


@pytest.mark.parametrize("ticks_per_step", [2, 20, 40, 50])
def test_film_is_at_constant_rate_of_simulated_time(ticks_per_step):
    worlds = ClockWorlds(ticks_per_step)
    film = Film(SHOT, [0])
    start(film, worlds, [0, 1, 2], [0, 1, 2])
    for _ in range(800 // ticks_per_step):
        worlds.step(film)
    film.on_end(worlds, 0, result(0))

    # each frame is at most a step late
    (filmed,) = film.clips
    due_ticks = [k * PHYSICS_HZ // SHOT.fps for k in range(41)]
    assert len(filmed.frames) == len(due_ticks)
    late_ticks = np.array(ticks(filmed)) - due_ticks
    assert late_ticks.min() >= -10  # the shade counts tens of ticks
    assert late_ticks.max() <= ticks_per_step + 10

    # nothing is rendered that is not shown
    assert worlds.rendered <= 41


def test_film_keeps_only_the_chosen_episodes():
    worlds = ClockWorlds(20)
    film = Film(SHOT, [1, 4])

    # world 1 runs episode 1
    start(film, worlds, [0, 1, 2], [0, 1, 2])
    for _ in range(10):
        worlds.step(film)
    film.on_end(worlds, 0, result(0))
    film.on_end(worlds, 1, result(1))

    # then world 0 runs episode 4
    start(film, worlds, [0, 1], [4, 3])
    for _ in range(3):
        worlds.step(film)
    film.on_end(worlds, 1, result(3))
    assert [(c.result.index, len(c.frames)) for c in film.clips] == [(1, 11)]
    film.on_end(worlds, 0, result(4))
    assert [(c.result.index, len(c.frames)) for c in film.clips] == [(1, 11), (4, 4)]
    assert ticks(film.clips[1]) == [0, 20, 40, 60]


def test_faulty_world_is_not_rendered():
    worlds = ClockWorlds(20)
    film = Film(SHOT, [0, 1])
    start(film, worlds, [0, 1], [0, 1])
    worlds.step(film)

    # the world without a fault is still rendered
    rendered = worlds.rendered
    worlds.step(film, fault=(3, 0, 0))
    assert worlds.rendered == rendered + 1

    worlds.step(film, active=(False, True, True))
    film.on_end(worlds, 0, result(0, success=False))
    film.on_end(worlds, 1, result(1))
    assert ticks(film.clips[0]) == [0, 20, 20]
    assert ticks(film.clips[1]) == [0, 20, 40, 60]


def gradient(height: int, width: int, k: int) -> np.ndarray:
    rows, columns = np.mgrid[0:height, 0:width]
    blue = np.full_like(rows, 40 * (k % 5))
    frame = np.stack([rows * 2 + k, columns * 2, blue], axis=-1)
    return frame.clip(0, 255).astype(np.uint8)


@settings(max_examples=12, deadline=None)
@given(
    st.integers(16, 65),
    st.integers(16, 65),
    st.integers(1, 30),
    st.sampled_from([5, 20, 30]),
)
def test_mp4_decodes_to_the_same_frames(height, width, count, fps):
    buffer = io.BytesIO()
    frames = [gradient(height, width, k) for k in range(count)]
    assert write_mp4(buffer, iter(frames), fps, crf=10) == count

    # as many frames, of an even size, and nearly the same
    buffer.seek(0)
    decoded = decode(buffer)
    assert len(decoded) == count
    assert decoded[0].shape == (height + height % 2, width + width % 2, 3)
    error = np.abs(decoded[-1][:height, :width].astype(int) - frames[-1])
    assert error.mean() < 12

    # at the same rate
    buffer.seek(0)
    with av.open(buffer) as container:
        assert container.streams.video[0].average_rate == fps


def test_the_same_images_give_the_same_file(tmp_path):
    """x264's macroblock tree differs once in a hundred encodings: it is off everywhere.

    x264 writes its settings into each file.
    """
    frames = [gradient(32, 32, k) for k in range(4)]
    film = io.BytesIO()
    write_mp4(film, frames, 10, crf=10)
    exported = tmp_path / "exported.mp4"
    with VideoFile(exported, 10, (32, 32)) as video:
        video.add(np.stack(frames))

    for content in (film.getvalue(), exported.read_bytes()):
        assert b" mbtree=0 " in content


def test_colours_survive():
    buffer = io.BytesIO()
    colour = np.array([200, 60, 30], np.uint8)
    write_mp4(buffer, [np.broadcast_to(colour, (64, 64, 3))] * 3, 10, crf=10)

    buffer.seek(0)
    with av.open(buffer) as container:
        frame = next(container.decode(video=0))
        assert frame.colorspace == BT709
        decoded = frame.reformat(format="rgb24", src_colorspace="ITU709").to_ndarray()
    assert np.abs(decoded.reshape(-1, 3).mean(axis=0) - colour).max() < 4


def test_mp4_file_appears_whole_or_not_at_all(tmp_path):
    target = tmp_path / "film.mp4"

    def broken():
        yield gradient(32, 32, 0)
        raise RuntimeError("the renderer died")

    # The frames break off after the first one.
    with pytest.raises(RuntimeError, match="renderer died"):
        write_mp4(target, broken(), 20)
    assert list(tmp_path.iterdir()) == []

    write_mp4(target, [gradient(32, 32, k) for k in range(5)], 20)
    assert [path.name for path in tmp_path.iterdir()] == ["film.mp4"]
    assert len(decode(str(target))) == 5


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        ([], "at least one frame"),
        ([np.zeros((32, 32, 3))], "frame 0 is float64"),
        ([np.zeros((32, 32), np.uint8)], r"frame 0 is uint8 \(32, 32\)"),
        (
            [np.zeros((32, 32, 3), np.uint8), np.zeros((32, 34, 3), np.uint8)],
            r"frame 1 .* expected uint8 \(32, 32, 3\)",
        ),
    ],
)
def test_mp4_refuses_what_is_no_film(frames, message):
    with pytest.raises(EmbodiedError, match=message):
        write_mp4(io.BytesIO(), frames, 20)


def test_outcome_shows_once_it_is_known():
    # Frames come at 20 Hz: success is at frame 20, and the last of 41 frames ends the
    # clip.
    succeeds = clip(41, time_s=1.0)
    assert [succeeds.outcome(k) for k in (0, 19, 20, 40, 90)] == [
        None,
        None,
        True,
        True,
        True,
    ]

    fails = clip(41, success=False)
    assert [fails.outcome(k) for k in (0, 39, 40, 90)] == [None, None, False, False]

    loses_it = clip(41, at_end=False)
    assert [loses_it.outcome(k) for k in (19, 20, 40)] == [None, True, False]


def test_grid_holds_the_last_frame_and_outlines_the_outcome():
    clips = (clip(41, shade=90), clip(21, success=False), clip(30))
    grid = Grid(clips, columns=2)
    assert grid.size[0] % 2 == grid.size[1] % 2 == 0

    # the video is longer than the longest clip
    video = grid_video(clips, columns=2)
    decoded = decode(io.BytesIO(video.mp4))
    assert decoded[0].shape == (video.height, video.width, 3) == (*grid.size, 3)
    assert len(decoded) / SHOT.fps == video.duration_s > 41 / SHOT.fps

    # the outline appears with the outcome
    corners = {(6, 6): SUCCESS_RGB, (6, 6 + 64 + 6): FAILURE_RGB}
    first = grid.frame(0)
    last = grid.frame(100)
    for (row, column), colour in corners.items():
        inside = (row + OUTLINE_PX // 2, column + OUTLINE_PX // 2)
        assert tuple(last[inside]) == colour
        assert tuple(first[inside]) != colour

    assert abs(int(last[6 + CAPTION_HEIGHT_PX + 24, 6 + 32, 0]) - 90) <= 2


def test_grid_refuses_unlike_clips():
    with pytest.raises(EmbodiedError, match="one size and rate"):
        Grid(
            (clip(2), clip(2, shot=Shot("front", "Trained", size=(48, 64), fps=10))), 2
        )
    with pytest.raises(EmbodiedError, match="one size and rate"):
        Grid((), 2)


@given(st.lists(st.text("abcdefgh", min_size=1, max_size=12), max_size=20))
def test_a_caption_loses_no_word_that_fits_into_two_lines(words):
    font = ImageFont.load_default(12)
    room_px = 150
    first, second = two_lines(" ".join(words), font, room_px)
    assert max(font.getlength(line) for line in (first, second)) <= room_px

    shown_words = f"{first} {second}".split()
    if shown_words and shown_words[-1].endswith("…"):
        # it did need more than one line
        assert font.getlength(" ".join(words)) > room_px
        assert words[: len(shown_words) - 1] == shown_words[:-1]
    else:
        assert shown_words == words
