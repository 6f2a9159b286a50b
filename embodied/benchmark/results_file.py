"""`results.json`: results as a file that is whole at any moment, and as results again.

The file holds `format`, `schema_version`, `provenance` and `cells`; a cell holds
`condition`, `label`, `wall_s`, `summary` (for readers; computed anew from the episodes
when read) and `episodes`. A number that is not finite is null.
"""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

import numpy as np

from embodied.benchmark.results import (
    Cell,
    Condition,
    Provenance,
    Results,
    ResultsError,
    summarize,
)
from embodied.benchmark.statistics import Rate
from embodied.files import replace_text
from embodied.rollout.rollout import EpisodeResult

FORMAT = "embodied-results"
SCHEMA_VERSION = 2
T = TypeVar("T")


def write_results(path: Path, results: Results) -> None:
    """Replaces the file in one step: whoever reads it, or whatever kills the process,
    finds a whole one.
    """
    cells = [
        {
            "condition": _plain(cell.condition),
            "label": cell.label,
            "wall_s": cell.wall_s,
            "summary": _plain(summarize(cell)),
            "episodes": [_plain(episode) for episode in cell.episodes],
        }
        for cell in results.cells
    ]
    content = {
        "format": FORMAT,
        "schema_version": SCHEMA_VERSION,
        "provenance": _plain(results.provenance),
    }
    replace_text(
        path, json.dumps({**content, "cells": cells}, indent=1, allow_nan=False)
    )


def read_results(path: Path) -> Results:
    """The results in a file.

    Raises:
        ResultsError: it is not a file, not JSON, not a results file, of another schema
            version, or damaged.
    """
    content = _read_json(path)
    if content.get("format") != FORMAT:
        raise ResultsError(
            f"{path} is no results file: its 'format' is {content.get('format')!r}, not {FORMAT!r}"
        )
    if content.get("schema_version") != SCHEMA_VERSION:
        raise ResultsError(
            f"{path} has schema version {content.get('schema_version')!r}; this version reads {SCHEMA_VERSION}"
        )
    with _naming(str(path)):
        cells = [
            _cell(cell, f"cells[{i}]")
            for i, cell in enumerate(_get(content, "cells", list, "the file"))
        ]
        return Results(
            _decode(
                Provenance, _get(content, "provenance", dict, "the file"), "provenance"
            ),
            tuple(cells),
        )


def resume_results(path: Path, provenance: Provenance) -> Results:
    """The results to go on with: those in the file if there is one, else none yet.

    Raises:
        ResultsError: the file is of another task, robot, model or package version: its
            cells are no part of this run.
    """
    if not path.exists():
        return Results(provenance)
    results = read_results(path)
    found = _setup(results.provenance)
    wanted = _setup(provenance)
    for name in wanted:
        if found[name] != wanted[name]:
            raise ResultsError(
                f"{path} cannot be resumed: its {name} is {found[name]!r}, this run's is {wanted[name]!r}"
            )
    return results


def _setup(provenance: Provenance) -> dict[str, Any]:
    """What must be the same for cells to stand side by side."""
    return {
        "task": provenance.task,
        "robot": provenance.robot,
        "versions": dict(provenance.versions),
        "model_hash": provenance.metadata.get("model_hash"),
    }


def _read_json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise ResultsError(
            f"{path} is {'a folder' if path.is_dir() else 'missing'}; expected a results.json file"
        )
    try:
        content = json.loads(
            path.read_text(encoding="utf-8"), parse_constant=_refuse_constant
        )
    except ValueError as error:  # covers JSON and UTF-8 errors
        raise ResultsError(f"{path} is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise ResultsError(
            f"{path} is no results file: it holds a {type(content).__name__}, not an object"
        )
    return content


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


@contextlib.contextmanager
def _naming(path: str) -> Iterator[None]:
    try:
        yield
    except ResultsError as error:
        raise ResultsError(f"{path} is damaged: {error}") from error


def _cell(content: Any, where: str) -> Cell:
    if not isinstance(content, dict):
        raise ResultsError(f"{where} is a {type(content).__name__}, not an object")
    rows = _get(content, "episodes", list, where)
    return Cell(
        condition=_decode(
            Condition, _get(content, "condition", dict, where), f"{where}.condition"
        ),
        label=_get(content, "label", str, where),
        wall_s=float(_get(content, "wall_s", (int, float), where)),
        episodes=tuple(
            _decode(EpisodeResult, row, f"{where}.episodes[{i}]")
            for i, row in enumerate(rows)
        ),
    )


def _get(
    content: Mapping[str, Any], name: str, kind: type | tuple[type, ...], where: str
) -> Any:
    if not isinstance(content.get(name), kind):
        raise ResultsError(f"'{name}' of {where} is {content.get(name, 'missing')!r}")
    return content[name]


def _decode(cls: type[T], content: Any, where: str) -> T:
    """A dataclass of plain values from an object that has exactly its fields."""
    wanted = {f.name for f in fields(cls)}  # type: ignore[arg-type]
    if not isinstance(content, dict) or set(content) != wanted:
        found = sorted(content) if isinstance(content, dict) else type(content).__name__
        raise ResultsError(
            f"{where} must have the fields {sorted(wanted)}, found {found}"
        )
    hints = get_type_hints(cls)
    return cls(
        **{
            name: _value(hints[name], value, f"{where}.{name}")
            for name, value in content.items()
        }
    )


def _value(hint: Any, value: Any, where: str) -> Any:
    kinds = get_args(hint) if isinstance(hint, UnionType) else (hint,)
    if value is None and float in kinds and NoneType not in kinds:
        return math.nan  # it was written as null because it was not finite
    if float in kinds and type(value) is int:
        return float(value)
    if not any(type(value) is _plain_type(kind) for kind in kinds):
        raise ResultsError(f"{where} is {value!r}, expected {hint}")
    return value


def _plain_type(kind: Any) -> type:
    origin = get_origin(kind) or kind
    return dict if origin in (dict, Mapping) else origin


def _plain(value: Any) -> Any:
    """What `json` can write: numpy becomes Python, and a number that is not finite
    becomes None.
    """
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if is_dataclass(value) and not isinstance(value, type):
        extra = {"rate": value.value} if isinstance(value, Rate) else {}
        value = {f.name: getattr(value, f.name) for f in fields(value)} | extra
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
