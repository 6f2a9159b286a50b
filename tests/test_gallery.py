"""The gallery: moments in which something happens, sheets and loops of the right size,
for every task and robot.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from embodied.cli import main
from embodied.envs.registry import get_task, robots_for, task_names
from embodied.errors import EmbodiedError
from embodied.pages import gallery
from embodied.pages.contact_sheet import Caption, Sheet, films_of_loop, write_png
from embodied.pages.gallery import FilmPlan, FilmWork, ProgressTrace, Take
from embodied.pages.stored_films import (
    LIST_NAME,
    FilmRecord,
    StoredFilm,
    store_film,
    stored_films,
)
from tests.ground import TOTE_TRANSFER, shorten_horizon
from tests.test_film import clip


def take(task: str = TOTE_TRANSFER, robot: str = "arm") -> Take:
    """Five frames that grow lighter."""
    frames = tuple(clip(1, shade).frames[0] for shade in (40, 80, 120, 160, 200))
    plan = FilmPlan(task, robot, "L2", first_seed=0)
    return Take(plan, replace(clip(1), frames=frames), moment=2)


@pytest.mark.parametrize(
    ("values", "moment"),
    [
        ([0, 0.1, 0.3, 0.7, 0.5, 1.0], 3),
        ([0, 0.2, 0.5, 0.1], 2),
        ([0, 0, 0], 0),
        ([0, 0, 1, 1], 2),
    ],
)
def test_the_moment_is_when_most_of_the_work_has_begun(
    values: list[float], moment: int
) -> None:
    assert ProgressTrace(10, values).moment == moment


def test_a_sheet_has_room_for_every_picture() -> None:
    sheet = Sheet(columns=3, picture_size=(60, 80), gap_px=4)
    shades = [40, 90, 140, 190]
    frames = [np.full((48, 64, 3), shade, np.uint8) for shade in shades]
    picture = np.asarray(sheet.draw(frames, [Caption("Task", "arm", "do it")] * 4))

    # two rows of three, with gaps between and around
    height, width = sheet.tile_size
    assert picture.shape == (2 * (height + 4) + 4, 3 * (width + 4) + 4, 3)
    for k, shade in enumerate(shades):
        row, column = divmod(k, 3)
        middle = picture[4 + row * (height + 4) + 30, 4 + column * (width + 4) + 40]
        assert middle.tolist() == [shade] * 3

    captions = picture[4 + 60 : 4 + height, 4 : 4 + width]
    assert captions.max() > 200  # words are there


def test_a_loop_shows_each_task_and_the_robots_in_turn() -> None:
    films = [
        StoredFilm(FilmRecord(task, robot, "L2", 0, "do it", "", 0), Path())
        for task in ("A", "B", "C", "D")
        for robot in ("arm", "rover")
    ]
    pairs = [(film.record.task, film.record.robot) for film in films_of_loop(films)]
    assert pairs[:4] == [("A", "arm"), ("B", "rover"), ("C", "arm"), ("D", "rover")]

    # the second row of three is filled with other films of the first tasks
    assert pairs[4:] == [("A", "rover"), ("B", "arm")]


def test_films_that_are_not_made_anew_stay(tmp_path: Path) -> None:
    for robot in ("arm", "rover", "arm"):
        store_film(tmp_path, take("B", robot))
    store_film(tmp_path, take("A"))
    films = stored_films(tmp_path, [("A", "arm"), ("B", "arm")])
    pairs = [(film.record.task, film.record.robot) for film in films]
    assert pairs == [("A", "arm"), ("B", "arm"), ("B", "rover")]
    assert [film.record.moment for film in films] == [2, 2, 2]

    # lighter from frame to frame, as the take was
    shades = [frame.mean() for frame in films[0].frames()]
    assert np.allclose(shades, (40, 80, 120, 160, 200), atol=4)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (LIST_NAME, "{}", "is no list of films that this version reads"),
        (LIST_NAME, '{"format": "x", "schema_version": 1}', "its format is"),
        ("clips/A_arm.mp4", "no film", "film A with arm anew"),
    ],
)
def test_damaged_films_are_named(
    tmp_path: Path, name: str, content: str, message: str
) -> None:
    store_film(tmp_path, take("A"))
    (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(EmbodiedError, match=message):
        stored_films(tmp_path, [])[0].frames()


def test_a_large_sheet_is_written_with_fewer_colours(tmp_path: Path) -> None:
    noise = Image.fromarray(
        np.random.default_rng(0).integers(0, 255, (120, 160, 3), dtype=np.uint8)
    )
    write_png(tmp_path / "small.png", noise, limit_bytes=1_000_000)
    write_png(tmp_path / "large.png", noise, limit_bytes=30_000)

    for name, mode in (("small.png", "RGB"), ("large.png", "P")):
        with Image.open(tmp_path / name) as image:
            assert image.mode == mode
    assert (tmp_path / "small.png").stat().st_size > 30_000
    assert (tmp_path / "large.png").stat().st_size < 30_000


def test_a_film_goes_from_start_to_end(monkeypatch: pytest.MonkeyPatch) -> None:
    shorten_horizon(monkeypatch, 1.5)
    monkeypatch.setattr(gallery, "FILM_SIZE", (48, 64))
    monkeypatch.setattr(gallery, "CANDIDATES", 2)
    takes: list[Take] = []
    plan = FilmPlan(TOTE_TRANSFER, "arm", "L2", first_seed=3)
    FilmWork((plan,))([0], takes.append)
    (made,) = takes
    assert made.plan == plan
    assert made.clip.result.seed in (3, 4)
    assert len(made.clip.frames) == 1 + 1.5 * gallery.FILM_FPS

    # the hand has come nearer: not the start
    assert 0 < made.moment < len(made.clip.frames)
    assert (made.clip.frame(made.moment) != made.clip.frame(0)).any()


@pytest.mark.slow
def test_the_command_writes_every_task_and_robot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # Pictures of five frames in place of films, which would be simulated.
    monkeypatch.setattr(gallery, "film", lambda plan: take(plan.task, plan.robot))
    folder = tmp_path / "pictures"
    assert main.main(["gallery", "-o", str(folder), "--workers", "1"]) == 0

    names = [
        f"{task}_{robot}"
        for task in task_names()
        for robot in robots_for(get_task(task))
    ]
    clips = sorted(path.stem for path in (folder / "clips").iterdir())
    assert clips == sorted(names)
    with av.open(folder / "clips" / f"{names[0]}.mp4") as container:
        assert sum(1 for _ in container.decode(video=0)) == 5

    with Image.open(folder / "gallery.webp") as loop:
        assert loop.format == "WEBP"
        assert loop.n_frames == 5  # equal ones are one
        assert loop.info["loop"] == 0  # for ever

    with Image.open(folder / "gallery.png") as sheet:
        assert sheet.size[0] > 420
    assert capsys.readouterr().out.count(" MB\n") == 2 + len(names)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--task", "Nothing"), "unknown task"),
        (("--robot", "leg"), "unknown robot 'leg'"),
    ],
)
def test_wrong_words(
    words: tuple[str, ...],
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main.main(["gallery", "-o", str(tmp_path), *words]) == 2
    assert message in capsys.readouterr().err
