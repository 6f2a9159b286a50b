"""Writes `results.json`, again and again while cells are added.

A finished cell does not change any more, so it is encoded and checked only once. The text of
the file and its checksum are then put together from the texts of the cells.
"""

from __future__ import annotations

import hashlib
import json
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from embodied.benchmark.codec import encode
from embodied.benchmark.results import Cell, Condition, Results, summarize
from embodied.benchmark.results_schema import FORMAT, SCHEMA_VERSION, check_schema
from embodied.files import replace_text

# The text of the file's empty list of cells: with one space, so at the top level.
NO_CELLS = '\n "cells": []'
CELL_INDENT = 2 * " "


@dataclass(frozen=True)
class _WrittenCell:
    """A finished cell and its texts.

    Attributes:
        cell: the cell.
        text: its text in the file, indented.
        plain: its text for the checksum, without spaces and with sorted keys.
    """

    cell: Cell
    text: str
    plain: str


class ResultsWriter:
    """Writes one results file, whose content grows from write to write."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._written: dict[Condition, _WrittenCell] = {}

    def write(self, results: Results) -> None:
        """Writes the file atomically, so that it is valid at any moment.

        Cells that were not written before are checked against the JSON schema.

        Raises:
            ResultsError: the content does not fit the schema.
        """
        # everything but the cells, in the order of the file
        content: dict[str, Any] = {
            "format": FORMAT,
            "schema_version": SCHEMA_VERSION,
            "provenance": encode(results.provenance),
            "cells": [],
        }
        if results.unfinished:
            content["unfinished"] = encode(results.unfinished)

        cells = self._encoded(results, content)
        content["checksum"] = _checksum(content, [cell.plain for cell in cells])
        text = json.dumps(content, indent=1, allow_nan=False)
        if cells:
            listed = ",\n".join(cell.text for cell in cells)
            text = text.replace(NO_CELLS, f'\n "cells": [\n{listed}\n ]', 1)
        replace_text(self._path, text)

    def _encoded(
        self, results: Results, content: Mapping[str, Any]
    ) -> list[_WrittenCell]:
        """Returns the texts of all cells; checks those that are new.

        Args:
            results: the results.
            content: the content of the file without cells.
        """
        new = []
        cells = []
        for cell in results.cells:
            written = self._written.get(cell.condition)
            # a cell that was extended by more episodes is another object
            if written is None or written.cell is not cell:
                encoded = _encode_cell(cell)
                new.append(encoded)
                written = _write_cell(cell, encoded)
                self._written[cell.condition] = written
            cells.append(written)

        # the checksum is not known yet, but its form is
        sum_of_nothing = _checksum({}, [])
        check_schema({**content, "cells": new, "checksum": sum_of_nothing})
        return cells


def write_results(path: Path, results: Results) -> None:
    """Writes a results file once; see `ResultsWriter.write`."""
    ResultsWriter(path).write(results)


def checksum(content: Mapping[str, Any]) -> str:
    """Returns the SHA-256 of a file's content, without `checksum` itself."""
    return _checksum(content, [_plain(cell) for cell in content.get("cells", ())])


def _checksum(content: Mapping[str, Any], cells: list[str]) -> str:
    """Returns the SHA-256 of a file's content, given the plain texts of its cells.

    It is the sum of the content as JSON without spaces, in which keys are sorted.

    Args:
        content: the content; its `cells` and `checksum` are not used.
        cells: the plain text of each cell.
    """
    texts = {
        name: _plain(value)
        for name, value in content.items()
        if name not in ("cells", "checksum")
    }
    if "cells" in content:
        texts["cells"] = f"[{','.join(cells)}]"
    entries = [f"{_plain(name)}:{texts[name]}" for name in sorted(texts)]
    return hashlib.sha256(f"{{{','.join(entries)}}}".encode()).hexdigest()


def _plain(value: Any) -> str:
    """Returns a value as JSON without spaces, with sorted keys."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def _write_cell(cell: Cell, encoded: dict[str, Any]) -> _WrittenCell:
    """Returns the texts of a cell, given the cell as JSON values."""
    text = json.dumps(encoded, indent=1, allow_nan=False)
    # JSON escapes line breaks in strings, so that every line may be indented
    return _WrittenCell(cell, textwrap.indent(text, CELL_INDENT), _plain(encoded))


def _encode_cell(cell: Cell) -> dict[str, Any]:
    """Returns a cell as an object for `json`."""
    summary = summarize(cell)
    # the file also gives the rates themselves, which `Rate` computes from its counts
    plain_summary = encode(summary)
    plain_summary["success_once"]["rate"] = summary.success_once.value
    plain_summary["success_at_end"]["rate"] = summary.success_at_end.value

    return {
        "condition": encode(cell.condition),
        "label": cell.label,
        "wall_s": cell.wall_s,
        "view": list(cell.view),
        "abilities": list(cell.abilities),
        "rule": cell.rule,
        "summary": plain_summary,
        "episodes": encode(cell.episodes),
    }
