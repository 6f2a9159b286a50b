"""The window of `embodied teleop`, on a screen that nobody sees."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from embodied.cli import teleop_window
from embodied.cli.teleop_window import TeleopWindow
from embodied.policies.teleop.keyboard import (
    DRIVES,
    EVENT_KEYS,
    MOVES,
    SLOW_KEY,
    TURNS,
    Keyboard,
)
from embodied.policies.teleop.operator import Operator
from embodied.rollout.rollout import rollout
from tests.commands import refused
from tests.ground import expert_worlds

pygame: Any = pytest.importorskip("pygame")
HORIZON_S = 0.2


@pytest.fixture
def hidden(monkeypatch: pytest.MonkeyPatch, grey_pictures: None) -> None:
    """A screen without a screen, and pictures that cost nothing."""
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")


@contextlib.contextmanager
def opened(keyboard: Keyboard) -> Iterator[tuple[TeleopWindow, Operator, Any]]:
    with contextlib.closing(expert_worlds(1, horizon_s=HORIZON_S)) as worlds:
        operator = Operator(worlds, keyboard)
        with contextlib.closing(TeleopWindow(worlds, keyboard)) as window:
            yield window, operator, worlds


def key_event(kind: int, key: str) -> Any:
    return pygame.event.Event(kind, key=pygame.key.key_code(key))


@pytest.mark.usefixtures("hidden")
def test_keys_of_the_window_reach_the_keyboard() -> None:
    keyboard = Keyboard()
    with opened(keyboard) as (window, operator, worlds):
        seen: list[np.ndarray] = []

        def draw(instruction: str, status: str) -> None:
            original(instruction, status)
            seen.append(pygame.surfarray.array3d(pygame.display.get_surface()))

        original = window._draw
        window._draw = draw  # type: ignore[method-assign]
        pygame.event.post(key_event(pygame.KEYDOWN, "w"))
        [result] = rollout(worlds, operator, [0], [window])
        assert keyboard.read().move == (1.0, 0.0, 0.0)

        pygame.event.post(key_event(pygame.KEYUP, "w"))
        pygame.event.post(key_event(pygame.KEYDOWN, "return"))
        window.ask(result)
        command = keyboard.read()
        assert command.move == (0.0, 0.0, 0.0)
        assert command.events == {"keep"}

        # the views are grey here; text is brighter, and there is some below them
        height = teleop_window.VIEW_SIZE[0]
        assert (seen[-1][:, :height] == 128).all()
        assert seen[-1][:, height:].max() > 200

        pygame.event.post(pygame.event.Event(pygame.QUIT))
        with pytest.raises(KeyboardInterrupt):
            window.ask(result)


@pytest.mark.usefixtures("hidden")
def test_every_key_of_the_keyboard_is_one_of_the_window() -> None:
    pygame.display.init()
    for key in (*MOVES, *TURNS, *DRIVES, *EVENT_KEYS, SLOW_KEY):
        assert pygame.key.name(pygame.key.key_code(key)) == key
    pygame.quit()


def test_a_machine_without_a_screen_is_told_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(teleop_window, "has_display", lambda: False)
    monkeypatch.delenv("SDL_VIDEODRIVER", raising=False)
    error = refused(capsys, "teleop", "ToteTransfer", "-o", tmp_path / "x.hdf5")
    assert "a window needs a display" in error
    assert not list(tmp_path.iterdir())
