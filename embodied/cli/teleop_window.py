"""The window of `embodied teleop`: two camera views, instruction, status and keys."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import numpy as np

from embodied.core import ACTORS, PHYSICS_HZ, Observation
from embodied.errors import EmbodiedError
from embodied.policies.teleop.device import Device, KeyListener
from embodied.policies.teleop.gamepad import import_pygame
from embodied.rollout.endings import describe_ending
from embodied.rollout.rollout import EpisodeResult, Step
from embodied.sim.window import has_display

if TYPE_CHECKING:
    from embodied.envs.worlds import Worlds

VIEW_SIZE = (480, 640)  # (H, W) of each view, in pixels
MAX_FPS = 25
# Rendering takes at most this share of the time, so that slow rendering does not stop
# the simulation.
RENDERING_SHARE = 0.5
TEXT_HEIGHT = 108  # height in pixels of the area for text below the views
FONT_SIZE = 18  # pixels
KEY_ROWS = 3  # lines of text that explain the keys
TEXT_COLOUR = (235, 235, 235)
BACKGROUND_COLOUR = (24, 26, 30)
STATUS_COLOUR = (130, 220, 140)
PAUSE_S = 0.02  # time between two readings of the device while the person decides
DECIDE = "keep it, keep it with a mark, or throw it away?"


class TeleopWindow:
    """A rollout hook that shows world 0 to a person, and keeps the pace of real time."""

    def __init__(self, worlds: Worlds, device: Device, is_shared: bool = False) -> None:
        """Opens the window.

        Args:
            worlds: the worlds, of which the window shows world 0.
            device: the input device, whose keys are listed. If it is a `KeyListener`, it
                receives key events.
            is_shared: whether a policy also drives.

        Raises:
            EmbodiedError: there is no display, or pygame is not installed.
        """
        # without a display, SDL would draw invisibly, and wait for input for ever
        if not (has_display() or os.environ.get("SDL_VIDEODRIVER")):
            raise EmbodiedError(
                "a window needs a display, and neither DISPLAY nor WAYLAND_DISPLAY is set: "
                "--headless with a script or a device of your own needs none"
            )
        self._pygame = import_pygame()
        self._is_shared = is_shared
        self._worlds = worlds
        self._device = device
        self._cameras = _views(worlds)
        # `pygame.init` would also start sound, which fails without a sound card
        self._pygame.display.init()
        self._pygame.font.init()
        height, width = VIEW_SIZE
        size = (width * len(self._cameras), height + TEXT_HEIGHT)
        self._surface = self._pygame.display.set_mode(size)
        self._pygame.display.set_caption(f"{worlds.spec.name}: {device.name}")
        # pygame's default font is smaller than its nominal size
        self._font = self._pygame.font.Font(None, FONT_SIZE + 4)

        # on the wall clock: the start of the take, and when the next picture is due
        self._take_begun_s = 0.0
        self._next_picture_s = 0.0
        self._shown_status = ""

    def close(self) -> None:
        """Closes the window."""
        self._pygame.quit()

    def on_start(
        self,
        worlds: Worlds,
        ids: np.ndarray,
        indices: np.ndarray,
        observation: Observation,
    ) -> None:
        """Shows the start of the take."""
        self._take_begun_s = time.monotonic()
        self._next_picture_s = 0.0  # at once
        self._draw(observation.instruction[0], "")

    def on_step(self, worlds: Worlds, step: Step) -> None:
        """Keeps the pace of real time, and shows a picture when one is due."""
        self._pump()
        now_s = (int(step.before.tick[0]) + worlds.ticks_per_step) / PHYSICS_HZ
        ahead_s = self._take_begun_s + now_s - time.monotonic()
        if ahead_s > 0:
            time.sleep(ahead_s)
        else:
            # A simulation that is late does not run faster afterwards to catch up: the
            # start of the take is moved instead.
            self._take_begun_s -= ahead_s

        if time.monotonic() < self._next_picture_s:
            return

        # the status line below the views
        drawing_begun_s = time.monotonic()
        progress = float(step.result.progress[0])
        left_s = worlds.horizon_s - now_s
        status = f"progress {progress:.0%}, {left_s:.0f} s left"
        if step.result.success[0]:
            status = "done: hold it for a moment"
        if self._is_shared and step.executed_by is not None:
            driver = ACTORS[int(step.executed_by[0])]
            status = f"the {driver} drives; {status}"
        self._draw(step.before.instruction[0], status)

        # the next picture is due when neither MAX_FPS nor RENDERING_SHARE is exceeded
        took_s = time.monotonic() - drawing_begun_s
        pause_s = max(1 / MAX_FPS, took_s / RENDERING_SHARE)
        self._next_picture_s = drawing_begun_s + pause_s

    def on_end(self, worlds: Worlds, world: int, result: EpisodeResult) -> None:
        """Does nothing: `ask` shows the ending."""

    def ask(self, result: EpisodeResult) -> None:
        """Shows how a take ended, and waits PAUSE_S for the person's decision."""
        self._pump()
        question = f"{describe_ending(result)}: {DECIDE}"
        if question != self._shown_status:
            self._draw(result.instruction, question)
        self._shown_status = question
        time.sleep(PAUSE_S)

    def _pump(self) -> None:
        """Passes key events to the device; raises KeyboardInterrupt if the window closed."""
        pygame = self._pygame
        for event in pygame.event.get():
            if event.type == pygame.QUIT:
                raise KeyboardInterrupt("The window was closed")
            if not isinstance(self._device, KeyListener):
                continue
            if event.type == pygame.KEYDOWN:
                self._device.press(pygame.key.name(event.key))
            elif event.type == pygame.KEYUP:
                self._device.release(pygame.key.name(event.key))

    def _draw(self, instruction: str, status: str) -> None:
        """Draws the views, the instruction, the status line and the keys."""
        self._shown_status = status
        height, width = VIEW_SIZE
        self._surface.fill(BACKGROUND_COLOUR)
        for number, camera in enumerate(self._cameras):
            picture = self._worlds.render(0, camera, VIEW_SIZE)
            # pygame's arrays are (W, H, 3)
            view = self._pygame.surfarray.make_surface(picture.swapaxes(0, 1))
            self._surface.blit(view, (number * width, 0))
        keys = "   ".join(f"{key}: {meaning}" for key, meaning in self._device.keys)
        lines = [
            (instruction, TEXT_COLOUR),
            (status, STATUS_COLOUR),
            *_wrapped(keys, KEY_ROWS),
        ]
        for row, (text, colour) in enumerate(lines):
            # (x, y) in pixels, with small margins beside and between the lines
            position = (8, height + 4 + row * (FONT_SIZE + 2))
            self._surface.blit(self._font.render(text, True, colour), position)
        self._pygame.display.flip()


def _views(worlds: Worlds) -> tuple[str, ...]:
    """Returns the cameras to show: the task's overview, and a camera on the wrist.

    If there is no wrist camera, the second camera is the task's first camera.
    """
    known = worlds.spec.cameras_for(worlds.robot)
    overview = worlds.spec.beauty_camera
    on_wrist = [name for name in known if "wrist" in name]
    second = [*on_wrist, *known][:1]
    # without duplicates, because the overview may be the only camera
    return tuple(dict.fromkeys([overview, *second]))


def _wrapped(text: str, rows: int) -> list[tuple[str, tuple[int, int, int]]]:
    """Returns a text in rows of similar length, each as (text, colour).

    Rows are broken between words; the last row takes the rest of the text.
    """
    words = text.split(" ")
    length = -(-len(text) // rows)  # rounded up
    lines = [""]
    for word in words:
        if len(lines[-1]) + len(word) > length and len(lines) < rows:
            lines.append("")
        lines[-1] += f"{word} "
    return [(line.strip(), TEXT_COLOUR) for line in lines]
