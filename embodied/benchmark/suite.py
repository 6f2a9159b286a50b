"""Reads suites: benchmarks with cells, a protocol and a version, as TOML files.

The suites of this package are in `suites/`. Any change that could affect an outcome needs
a new version: `suites/versions.json` holds the hash of each version.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from embodied.envs.variation import LEVELS, SPLITS
from embodied.errors import EmbodiedError, unknown

FOLDER = Path(__file__).parent / "suites"
# Ability classes of the CAICT's evaluation method.
CLASSES = ("basic", "cognitive", "closed loop")
# Ability dimensions of the standard T/CIE 298-2025.
DIMENSIONS = ("perception", "decision", "execution", "cooperation")
# Keys of a suite's file, of its table `protocol`, of its tables `cells`, and of a timing
# in such a table.
FILE_KEYS = ("name", "version", "summary", "protocol", "cells")
PROTOCOL_KEYS = ("episodes", "first_seed", "success", "rates", "horizon_s")
CELL_KEYS = ("tasks", "robots", "levels", "splits", "timings", "class", "dimensions")
TIMING_KEYS = ("channel", "drop", "freeze_s", "freeze_hz")
# The only values that `success` and `rates` of a protocol may have so far.
SUCCESS = "at the end"
OWN_RATES = "the policy's own"


@dataclass(frozen=True)
class SuiteCell:
    """A cell of a suite: a scenario, and the abilities that it measures."""

    task: str
    robot: str
    level: str
    split: str
    # key in TIMING_KEYS -> value; empty if plans arrive at once
    timing: Mapping[str, Any]
    ability: str  # one of CLASSES
    dimensions: tuple[str, ...]  # some of DIMENSIONS


@dataclass(frozen=True)
class Suite:
    """A benchmark: cells and a protocol.

    Attributes:
        name: e.g. "handling".
        version: a whole number from 1 on.
        summary: its subject, in half a line.
        protocol: number of episodes per cell, first seed, criterion of success, rates,
            and horizon of each task and robot.
        cells: the cells, in the order in which they are measured.
        content: the content of the file; its cells are stored with results.
    """

    name: str
    version: int
    summary: str
    protocol: Mapping[str, Any]
    cells: tuple[SuiteCell, ...]
    content: Mapping[str, Any]

    @property
    def hash(self) -> str:
        """SHA-256 of everything that could affect an outcome: all but the summary."""
        hashed = {k: v for k, v in self.content.items() if k != "summary"}
        text = json.dumps(hashed, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def seeds(self) -> range:
        first = int(self.protocol["first_seed"])
        return range(first, first + int(self.protocol["episodes"]))

    def stored(self, seeds: range) -> dict[str, Any]:
        """Returns the entry `suite` in the provenance of results.

        Args:
            seeds: the seeds to be measured, perhaps fewer than the protocol's.
        """
        return {
            "name": self.name,
            "version": self.version,
            "hash": self.hash,
            "episodes": len(seeds),
            "protocol": dict(self.protocol),
            "cells": list(self.content["cells"]),
        }


def suite_names() -> tuple[str, ...]:
    """Returns the names of the suites that come with the package."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.toml")))


def find_suite(name: str) -> Suite:
    """Returns a suite of this package by its name, or the suite in a TOML file.

    Raises:
        EmbodiedError: there is no such suite, or its file is invalid.
    """
    # the suites of this package are TOML files, too, in FOLDER
    path = Path(name)
    if path.suffix != ".toml":
        if name not in suite_names():
            message = unknown("suite", name, suite_names())
            raise EmbodiedError(f"{message}; or FILE.toml for one of your own")
        path = FOLDER / f"{name}.toml"

    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise EmbodiedError(f"{path} cannot be read as a suite: {error}") from error
    return _checked_suite(content, path.name)


def _checked_suite(content: dict[str, Any], file: str) -> Suite:
    """Returns the suite of a file's content; `file` names it in error messages."""
    _require_keys(content, FILE_KEYS, file)
    protocol = content["protocol"]
    _require_keys(protocol, PROTOCOL_KEYS, f"{file}, protocol")
    for name in ("episodes", "first_seed"):
        if not isinstance(protocol[name], int) or protocol[name] < 0:
            raise EmbodiedError(f"{file}, protocol: {name} must be a whole number")
    if (protocol["success"], protocol["rates"]) != (SUCCESS, OWN_RATES):
        raise EmbodiedError(
            f"{file}, protocol: success can only be {SUCCESS!r}, and rates {OWN_RATES!r}"
        )

    # a table of the file stands for several cells, see `_suite_cells`
    cells: list[SuiteCell] = []
    for number, table in enumerate(content["cells"]):
        cells += _suite_cells(table, f"{file}, cells[{number}]")
    return Suite(
        name=str(content["name"]),
        version=int(content["version"]),
        summary=str(content["summary"]),
        protocol=protocol,
        cells=tuple(cells),
        content=content,
    )


def _suite_cells(table: dict[str, Any], where: str) -> list[SuiteCell]:
    """Returns the cells of one table: every combination of its values.

    `where` names the table in error messages.
    """
    # `timings` is optional; without it plans arrive at once
    _require_keys({"timings": [{}], **table}, CELL_KEYS, where)
    _require_known("level", table["levels"], LEVELS, where)
    _require_known("split", table["splits"], SPLITS, where)
    _require_known("class", [table["class"]], CLASSES, where)
    _require_known("dimension", table["dimensions"], DIMENSIONS, where)
    timings = table.get("timings", [{}])
    for timing in timings:
        _require_known("timing", timing, TIMING_KEYS, where)

    # one cell for each combination of values
    axes = (table["tasks"], table["robots"], table["levels"], table["splits"], timings)
    cells = []
    for task, robot, level, split, timing in product(*axes):
        cell = SuiteCell(
            task=task,
            robot=robot,
            level=level,
            split=split,
            timing=timing,
            ability=table["class"],
            dimensions=tuple(table["dimensions"]),
        )
        cells.append(cell)
    return cells


def _require_keys(content: Any, names: Sequence[str], where: str) -> None:
    """Raises EmbodiedError unless a table has exactly these keys; `where` names it."""
    given = sorted(content) if isinstance(content, dict) else type(content).__name__
    if given != sorted(names):
        raise EmbodiedError(f"{where}: expected the keys {sorted(names)}, not {given}")


def _require_known(
    kind: str, values: Iterable[str], known: Sequence[str], where: str
) -> None:
    """Raises EmbodiedError if one of the values is unknown; `where` names its table."""
    for value in values:
        if value not in known:
            raise EmbodiedError(f"{where}: {unknown(kind, value, known)}")


def cells_at(
    suite: Suite, task: str | None = None, robot: str | None = None
) -> list[SuiteCell]:
    """Returns the cells of a suite, restricted to a task or a robot if one is given.

    Raises:
        EmbodiedError: the suite has no such cell.
    """
    chosen = suite.cells
    for kind, wanted in (("task", task), ("robot", robot)):
        if wanted is None:
            continue
        known = dict.fromkeys(getattr(cell, kind) for cell in chosen)
        if wanted not in known:
            raise unknown(f"{kind} of the suite {suite.name}", wanted, known)
        chosen = tuple(cell for cell in chosen if getattr(cell, kind) == wanted)
    return list(chosen)
