"""Stores a ledger as a Markdown page for people, and as JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic

from embodied.benchmark.codec import decode, encode
from embodied.errors import EmbodiedError
from embodied.files import replace_text
from embodied.pages.ledger import Command, Ledger, Question, R

SCHEMA_VERSION = 2


@dataclass(frozen=True)
class Book(Generic[R]):
    """The two files of a ledger, and the function that renders its page.

    Attributes:
        page: the Markdown file; the JSON file has the same name with `.json`.
        kind: the kind of the ledger, e.g. "survey"; it is part of the JSON file's
            format name.
        row_types: name of each kind of row -> its dataclass.
        render: a function of the ledger and the name of the JSON file, which returns the
            text of the page.

    Raises:
        EmbodiedError: the page ends in `.json`.
    """

    page: Path
    kind: str
    row_types: Mapping[str, type[R]]
    render: Callable[[Ledger[R], str], str]

    def __post_init__(self) -> None:
        if self.page.suffix == ".json":
            raise EmbodiedError(
                f"{self.page} must not end in .json: "
                "the page is Markdown, and its JSON file is written beside it"
            )

    @property
    def figures(self) -> Path:
        """The JSON file."""
        return self.page.with_suffix(".json")

    def open(
        self, questions: Sequence[Question], resume: bool, overwrite: bool
    ) -> Ledger[R]:
        """Returns the ledger with the rows that need not be measured again.

        Args:
            questions: the measurements that are wanted.
            resume: whether to keep the rows that answer them.
            overwrite: whether to remove the rows that answer them.

        Raises:
            EmbodiedError: the JSON file exists, and neither `resume` nor `overwrite` is
                set.
        """
        if self.figures.exists() and not (resume or overwrite):
            raise EmbodiedError(
                f"{self.figures} exists: --resume to continue it, --overwrite to measure "
                "anew, or another name after -o"
            )

        ledger = self.read()
        return ledger.without(questions) if overwrite else ledger

    def read(self) -> Ledger[R]:
        """Returns the ledger in the JSON file; an empty one if there is no file.

        Raises:
            EmbodiedError: the file is of another kind or version, or damaged.
        """
        if not self.figures.exists():
            return Ledger()

        # every error about the content must name the file
        try:
            content = json.loads(self.figures.read_text(encoding="utf-8"))
            self._check_format(content)
            return Ledger(
                commands=tuple(
                    decode(Command, command, f"commands[{k}]")
                    for k, command in enumerate(content["commands"])
                ),
                machines=content["machines"],
                rows=tuple(
                    self._decode_row(row, f"rows[{k}]")
                    for k, row in enumerate(content["rows"])
                ),
            )
        except (OSError, ValueError, KeyError, TypeError, EmbodiedError) as error:
            raise EmbodiedError(
                f"{self.figures} is no {self.kind} that this version reads: {error!r}"
            ) from error

    def write(self, ledger: Ledger[R]) -> None:
        """Replaces the page and the JSON file beside it, each atomically."""
        content = {
            "format": f"embodied-{self.kind}",
            "schema_version": SCHEMA_VERSION,
            "commands": encode(ledger.commands),
            "machines": encode(ledger.machines),
            "rows": [self._encode_row(row) for row in ledger.rows],
        }
        text = json.dumps(content, indent=1, allow_nan=False)

        # the JSON file first, because the page can be rendered from it again
        self.page.parent.mkdir(parents=True, exist_ok=True)
        replace_text(self.figures, f"{text}\n")
        replace_text(self.page, self.render(ledger, self.figures.name))

    def _check_format(self, content: Any) -> None:
        """Raises ValueError for JSON of another kind or schema version."""
        expected = (f"embodied-{self.kind}", SCHEMA_VERSION)
        given = (content["format"], content["schema_version"])
        if given != expected:
            raise ValueError(f"its format is {given}, not {expected}")

    def _encode_row(self, row: R) -> dict[str, Any]:
        """Returns a row for `json`, with the name of its kind."""
        names = {row_type: name for name, row_type in self.row_types.items()}
        return {"kind": names[type(row)], **encode(row)}

    def _decode_row(self, content: Mapping[str, Any], where: str) -> R:
        """Returns the row encoded in `content`; `where` is its place for errors."""
        values = dict(content)
        row_type = self.row_types[values.pop("kind")]
        return decode(row_type, values, where)
