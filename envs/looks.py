"""Changes to the light, cameras and pixel noise of recorded episodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from embodied.envs.common_factors import LOOKS
from embodied.envs.variation import LEVELS, Variable, Variation
from embodied.errors import EmbodiedError, unknown

SHIFT = "camera_shift"  # the only variable with one value per axis
AXES = 3


@dataclass(frozen=True)
class Looks:
    """Variables that change only pictures, each with a value or a level.

    If a level is given, the value is sampled as in an episode of the same seed at that
    level.

    Raises:
        EmbodiedError: a variable changes more than pictures, or does not exist.
    """

    values: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in self.values:
            if name not in LOOKS:
                raise unknown("variable of pictures", name, LOOKS)

    def __bool__(self) -> bool:
        return bool(self.values)

    def sample(self, table: Sequence[Variable], seed: int) -> dict[str, Any]:
        """Returns the values of the variables in one episode, by name.

        Args:
            table: the task's table of variables.
            seed: the episode's seed.

        Raises:
            EmbodiedError: a value is outside the variable's range in the table.
        """
        chosen = {}
        for name, value in self.values.items():
            if value in LEVELS:
                variation = Variation(table, value, "train")
            else:
                # the level does not matter, because the value overrides it
                variation = Variation(table, LEVELS[0], "train", {name: value})
            if name == SHIFT:
                chosen[name] = variation.sample_many(seed, name, AXES)
            else:
                chosen[name] = variation.sample(seed, name)
        return chosen

    def as_text(self) -> str:
        """Returns the variables with their values, such as `brightness=L3`."""
        return " ".join(f"{name}={value}" for name, value in self.values.items())


def parsed_looks(words: Sequence[str]) -> Looks:
    """Returns the looks for words such as `brightness=0.8` or `pixel_noise=L3`.

    Raises:
        EmbodiedError: a word has another form, or names no variable of pictures.
    """
    values: dict[str, Any] = {}
    for word in words:
        name, _, text = word.partition("=")
        if text in LEVELS:
            values[name] = text
            continue
        try:
            values[name] = float(text)
        except ValueError:
            raise EmbodiedError(
                f"{word!r} is not NAME=VALUE or NAME=LEVEL, such as brightness=0.8 or "
                f"brightness=L3; names are {', '.join(LOOKS)}"
            ) from None
    return Looks(values)
