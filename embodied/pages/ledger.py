"""A ledger: measured rows that are kept between runs.

A measurement is a `Question`, and its result is a `Row`. Both have a `key`, which
identifies what is measured, without code, seeds and versions. A newer row replaces an
older row with the same key.
"""

from __future__ import annotations

import shlex
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Generic, Protocol, TypeVar

Facts = Mapping[str, str | int]
# Flags that affect how a command runs, but not what it measures; they are not listed.
FLAGS_OF_A_RUN = ("--resume", "--overwrite", "--json")


class Row(Protocol):
    """One measured result."""

    @property
    def key(self) -> Hashable:
        """Identifies what was measured, without code, seeds and versions."""


class Question(Protocol):
    """One measurement that is wanted."""

    @property
    def key(self) -> Hashable:
        """The key of the row that answers it."""

    def is_answered_by(self, row: Any) -> bool:
        """Returns whether the row was measured with the same code, seeds and versions."""


R = TypeVar("R", bound=Row)
Q = TypeVar("Q", bound=Question)


@dataclass(frozen=True)
class Command:
    """A command that measured something, with its date."""

    day: str  # ISO 8601
    line: str


@dataclass(frozen=True)
class Ledger(Generic[R]):
    """Everything measured so far. It is immutable: each change returns a new ledger."""

    commands: tuple[Command, ...] = ()
    # device -> facts about it and its machine, at the time of the newest rows
    machines: Mapping[str, Facts] = field(default_factory=dict)
    rows: tuple[R, ...] = ()

    def missing(self, questions: Sequence[Q]) -> list[Q]:
        """Returns the questions that no row answers."""
        return [
            question
            for question in questions
            if not any(question.is_answered_by(row) for row in self.rows)
        ]

    def without(self, questions: Sequence[Question]) -> Ledger[R]:
        """Returns the ledger without the rows that answer these questions."""
        keys = {question.key for question in questions}
        return replace(self, rows=tuple(r for r in self.rows if r.key not in keys))

    def with_row(self, row: R) -> Ledger[R]:
        """Returns the ledger with the row, which replaces an older row with its key."""
        kept = tuple(known for known in self.rows if known.key != row.key)
        return replace(self, rows=(*kept, row))

    def signed(self, words: Sequence[str], device: str, facts: Facts) -> Ledger[R]:
        """Returns the ledger with the current command added, dated today.

        Args:
            words: the words of the command, after `embodied`.
            device: the device on which the command measures.
            facts: what to note about that device and its machine.
        """
        kept_words = [word for word in words if word not in FLAGS_OF_A_RUN]
        line = shlex.join(["embodied", *kept_words])
        command = Command(datetime.now(UTC).date().isoformat(), line)

        # a repeated command is listed once, with its last date
        earlier = (known for known in self.commands if known.line != line)
        return replace(
            self,
            commands=(*earlier, command),
            machines={**self.machines, device: dict(facts)},
        )
