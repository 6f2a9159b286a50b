"""The training ground in pictures: every task with each of its robots, the expert at
work.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from embodied.core import PHYSICS_HZ, Observation
from embodied.envs.registry import get_task
from embodied.envs.worlds import Worlds
from embodied.policies.catalog import Player, env_config, policy_spec
from embodied.rollout.film import (
    BACKGROUND,
    BAR_COLOUR,
    FAINT,
    TEXT,
    Clip,
    Film,
    Shot,
    shorten,
    two_lines,
)
from embodied.rollout.rollout import EpisodeResult, Step
from embodied.rollout.shards import Report

# (H, W); of simulated time
FILM_SIZE = (480, 640)
FILM_FPS = 10
CLIP_SIZE = (360, 480)
CANDIDATES = 6  # episodes that are tried for one that succeeds
MOMENT = 0.6  # progress at which something is to be seen
LAST_S = 1.5  # how long a loop shows its last picture
Caption = tuple[str, str, str]  # title, note, words


@dataclass(frozen=True)
class Sitting:
    """What one film shows."""

    task: str
    robot: str
    level: str
    first_seed: int

    @property
    def name(self) -> str:
        return f"{self.task}_{self.robot}"


@dataclass(frozen=True)
class Take:
    """A filmed episode, and the frame in which something happens."""

    sitting: Sitting
    clip: Clip
    moment: int

    def small(self, k: int) -> np.ndarray:  # (H, W, 3)
        """Frame k as clips show it."""
        return np.asarray(_resized(self.clip.frame(k), CLIP_SIZE))

    def at(self, share: float) -> np.ndarray:  # (H, W, 3)
        """The frame after a share of the episode, in [0, 1]."""
        return self.clip.frame(round(share * (len(self.clip.frames) - 1)))


@dataclass
class ProgressTrace:
    """A rollout hook that notes world 0's progress at the frames of a film of `fps`."""

    fps: int
    values: list[float] = field(default_factory=list)

    def on_start(
        self,
        worlds: Worlds,
        ids: np.ndarray,
        indices: np.ndarray,
        observation: Observation,
    ) -> None:
        self.values = [0.0]

    def on_step(self, worlds: Worlds, step: Step) -> None:
        tick = int(step.before.tick[0]) + worlds.ticks_per_step
        missing = tick * self.fps // PHYSICS_HZ + 1 - len(self.values)
        self.values.extend([float(step.result.progress[0])] * missing)

    def on_end(self, worlds: Worlds, world: int, result: EpisodeResult) -> None:
        """One episode is all."""

    @property
    def moment(self) -> int:
        """The first frame at which most of the work has begun, else the one furthest
        on.
        """
        values = np.array(self.values)
        return (
            int(np.argmax(values >= MOMENT))
            if (values >= MOMENT).any()
            else int(np.argmax(values))
        )


@dataclass(frozen=True)
class Shooting:
    """The work of one process: films of some sittings; what is shared out are their
    places, instead of seeds.
    """

    sittings: tuple[Sitting, ...]

    def __call__(self, seeds: Sequence[int], report: Report) -> list[Take]:
        takes = []
        for k in seeds:
            takes.append(shoot(self.sittings[k]))
            report(takes[-1].sitting)
        return takes


def shoot(sitting: Sitting) -> Take:
    """Films the first of some episodes that succeeds, or the one that comes furthest."""
    spec = policy_spec("expert", sitting.task, sitting.robot)
    config = env_config(spec, sitting.task, sitting.level, "train", sitting.robot)
    seeds = range(sitting.first_seed, sitting.first_seed + CANDIDATES)
    tried = Player("expert", config, num_envs=CANDIDATES).play(seeds)
    best = max(
        tried,
        key=lambda result: (result.success_at_end, result.progress_max, -result.index),
    )
    shot = Shot(get_task(sitting.task).beauty_camera, sitting.name, FILM_SIZE, FILM_FPS)
    film = Film(shot, [0])
    trace = ProgressTrace(FILM_FPS)
    Player("expert", config, num_envs=1).play([best.seed], [film, trace])
    return Take(sitting, film.clips[0], trace.moment)


@dataclass(frozen=True)
class Sheet:
    """Pictures in rows of `columns`; below each its title, at the right a note, and a
    line of words.
    """

    columns: int
    picture: tuple[int, int]  # (H, W)
    margin: int = 8
    _fonts: tuple[Any, Any] = field(
        default_factory=lambda: (
            ImageFont.load_default(17),
            ImageFont.load_default(13),
        ),
        repr=False,
    )

    @property
    def tile(self) -> tuple[int, int]:  # (H, W), with caption
        return self.picture[0] + 66, self.picture[1]

    def draw(
        self, frames: Sequence[np.ndarray], captions: Sequence[Caption]
    ) -> Image.Image:
        """`frames` of any size, one caption each."""
        rows = -(-len(frames) // self.columns)
        columns = min(self.columns, len(frames))
        (height, width) = self.tile
        gap = self.margin
        canvas = Image.new(
            "RGB",
            (columns * (width + gap) + gap, rows * (height + gap) + gap),
            BACKGROUND,
        )
        for k, (frame, caption) in enumerate(zip(frames, captions, strict=True)):
            row, column = divmod(k, self.columns)
            canvas.paste(
                self._tile(frame, caption),
                (gap + column * (width + gap), gap + row * (height + gap)),
            )
        return canvas

    def _tile(self, frame: np.ndarray, caption: Caption) -> Image.Image:
        (height, width) = self.tile
        (title, note, words) = caption
        (large, small) = self._fonts
        tile = Image.new("RGB", (width, height), BAR_COLOUR)
        tile.paste(_resized(frame, self.picture), (0, 0))
        draw = ImageDraw.Draw(tile)
        top = self.picture[0] + 6
        room = width - 30 - small.getlength(note)
        draw.text((10, top), shorten(title, large, room), TEXT, large)
        draw.text((width - 10, top + 3), note, FAINT, small, anchor="ra")
        draw.multiline_text(
            (10, top + 23),
            "\n".join(two_lines(words, small, width - 20)),
            FAINT,
            small,
            spacing=3,
        )
        return tile


def _resized(frame: np.ndarray, size: tuple[int, int]) -> Image.Image:
    height, width = size
    return Image.fromarray(frame).resize((width, height), Image.Resampling.LANCZOS)


def contact_sheet(takes: Sequence[Take]) -> Image.Image:
    """The moment of every take."""
    sheet = Sheet(columns=4, picture=(315, 420))
    return sheet.draw(
        [take.clip.frame(take.moment) for take in takes],
        [_caption(take) for take in takes],
    )


def _caption(take: Take) -> Caption:
    return take.sitting.task, take.sitting.robot, take.clip.result.instruction


def loop_frames(takes: Sequence[Take], count: int) -> Iterator[Image.Image]:
    """`count` pictures of one take a task, the robots in turn, all from start to end in
    the same time.
    """
    shown = one_a_task(takes)
    sheet = Sheet(columns=3, picture=(210, 280), margin=6)
    captions = [_caption(take) for take in shown]
    for k in range(count):
        yield sheet.draw([take.at(k / (count - 1)) for take in shown], captions)


def one_a_task(takes: Sequence[Take]) -> list[Take]:
    """The first task with its first robot, the second with its second, and so on."""
    by_task: dict[str, list[Take]] = {}
    for take in takes:
        by_task.setdefault(take.sitting.task, []).append(take)
    return [own[k % len(own)] for k, own in enumerate(by_task.values())]


def write_png(path: Path, image: Image.Image, limit_bytes: int) -> None:
    """As it is where that fits into the limit, else with 256 colours."""
    image.save(path, optimize=True)
    if path.stat().st_size > limit_bytes:
        image.quantize(
            256, Image.Quantize.MEDIANCUT, dither=Image.Dither.FLOYDSTEINBERG
        ).save(path, optimize=True)


def write_loop(
    path: Path, frames: Iterator[Image.Image], fps: int, quality: int
) -> None:
    """An animated WebP that starts again for ever: what GitHub's pages play in place."""
    first, *others = frames
    durations_ms = [*[round(1000 / fps)] * len(others), round(1000 * LAST_S)]
    first.save(
        path,
        save_all=True,
        append_images=others,
        duration=durations_ms,
        loop=0,
        quality=quality,
        method=4,
    )
