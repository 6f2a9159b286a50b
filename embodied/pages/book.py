"""A ledger on disk: a Markdown page for people and, beside it, JSON for programs."""

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
    """Where a ledger is kept, and how it is shown.

    Attributes:
        page: the Markdown file; the JSON file has the same name with `.json`.
        kind: what the ledger is about, e.g. "survey"; part of the JSON file's format.
        row_types: name of each kind of row -> its dataclass.
        render: (ledger, the JSON file's name) -> the page's text.

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
        """Returns the ledger of what need not be measured again.

        Args:
            questions: the measurements asked for, whose rows `overwrite` removes.
            resume: keep the rows that answer them.
            overwrite: measure all of them anew.

        Raises:
            EmbodiedError: there are figures already, and neither `resume` nor
                `overwrite` was asked for.
        """
        if self.figures.exists() and not (resume or overwrite):
            raise EmbodiedError(
                f"{self.figures} exists: --resume to continue it, --overwrite to measure "
                "anew, or another name after -o"
            )

        ledger = self.read()
        return ledger.without(questions) if overwrite else ledger

    def read(self) -> Ledger[R]:
        """Returns the ledger in the JSON file; an empty one where there is no file.

        Raises:
            EmbodiedError: the file holds something else.
        """
        if not self.figures.exists():
            return Ledger()

        # whatever is wrong with the file, the error names it
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
        """Replaces both files, each in one step."""
        content = {
            "format": f"embodied-{self.kind}",
            "schema_version": SCHEMA_VERSION,
            "commands": encode(ledger.commands),
            "machines": encode(ledger.machines),
            "rows": [self._encode_row(row) for row in ledger.rows],
        }
        text = json.dumps(content, indent=1, allow_nan=False)

        # the figures first: the page can be written again from them
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
        """Returns the row that `_encode_row` made `content` of; `where` is for errors."""
        values = dict(content)
        row_type = self.row_types[values.pop("kind")]
        return decode(row_type, values, where)
