"""Dataclasses that are made anew at every step of the worlds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def step_data(cls: type[T]) -> type[T]:
    """Makes a class a dataclass that is frozen for type checkers only.

    A dataclass that is frozen at run time, too, sets each field by a call. Then
    `env.step` would take 10 us more, 4% of its time beside physics.
    """
    return dataclass(cls)
