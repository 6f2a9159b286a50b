"""A device that reads its commands from a file, for takes without a person, as in tests.

Each line is a JSON object with fields of a `Command`; missing fields are 0 or no events.
`steps` is the number of consecutive reads that return the command (default 1):

    {"move": [0.5, 0, 0], "steps": 100}
    {"events": ["grip"]}
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from embodied.errors import EmbodiedError, unknown
from embodied.policies.teleop.device import EVENTS, Command

SIZES = {"move": 3, "turn": 3, "drive": 4}  # field -> its number of elements
FIELDS = (*SIZES, "grip", "events", "steps")


class Script:
    """Reads the commands one after the other, then ends the session."""

    name = "script"
    keys: tuple[tuple[str, str], ...] = ()

    def __init__(self, path: Path) -> None:
        self._path = path
        self._commands: Iterator[Command] = iter(())

    def open(self) -> None:
        """Reads and parses the script; raises EmbodiedError if it is missing or wrong."""
        try:
            text = self._path.read_text(encoding="utf-8")
        except (OSError, UnicodeError) as error:
            raise EmbodiedError(
                f"no script can be read from {self._path}: {error}"
            ) from error
        lines = [
            (f"{self._path}, line {number}", line)
            for number, line in enumerate(text.splitlines(), start=1)
            if line.strip()
        ]
        # parse all lines now, so that errors are found before the first take
        commands = [_parsed(location, line) for location, line in lines]
        self._commands = _repeated(commands)

    def close(self) -> None:
        self._commands = iter(())

    def read(self) -> Command:
        return next(self._commands, Command(events=frozenset({"quit"})))


def _repeated(commands: list[tuple[Command, int]]) -> Iterator[Command]:
    """Yields each command `steps` times, from pairs (command, steps)."""
    for command, steps in commands:
        for _ in range(steps):
            yield command


def _parsed(location: str, line: str) -> tuple[Command, int]:
    """Parses a line; returns the command, and the number of reads that return it.

    Args:
        location: the file and the number of the line, for error messages.
        line: the text of the line.

    Raises:
        EmbodiedError: the line is not a command.
    """
    try:
        stored: Any = json.loads(line)
    except ValueError as error:
        raise EmbodiedError(f"{location} is not JSON: {error}") from error
    if not isinstance(stored, dict):
        raise EmbodiedError(f"{location} must be an object, not {line.strip()[:40]}")
    for name in stored:
        if name not in FIELDS:
            raise unknown(f"field of {location}", name, FIELDS)

    # check the value of each field; a missing field is 0
    values: dict[str, Any] = {}
    for name, size in SIZES.items():
        given = stored.get(name, [0.0] * size)
        values[name] = _numbers(location, name, given, size=size)
    [values["grip"]] = _numbers(location, "grip", [stored.get("grip", 0.0)], size=1)
    events = stored.get("events", [])
    for event in events if isinstance(events, list) else [events]:
        if event not in EVENTS:
            raise unknown(f"event of {location}", str(event), EVENTS)
    steps = stored.get("steps", 1)
    if type(steps) is not int or steps < 1:
        raise EmbodiedError(
            f"{location}: steps must be a number from 1 on, not {steps}"
        )
    return Command(**values, events=frozenset(events)), steps


def _numbers(location: str, name: str, given: Any, size: int) -> Any:
    """Returns a field's numbers as a tuple.

    Args:
        location: the file and the number of the line, for error messages.
        name: the name of the field.
        given: the field's value.
        size: the number of elements that the value must have.

    Raises:
        EmbodiedError: the value is not a list of that many numbers in [-1, 1].
    """
    is_valid = isinstance(given, list) and len(given) == size
    is_valid = is_valid and all(
        type(value) in (int, float) and -1 <= value <= 1 for value in given
    )
    if not is_valid:
        raise EmbodiedError(
            f"{location}: {name} must be {size} numbers from -1 to 1, not {given}"
        )
    return tuple(float(value) for value in given)
