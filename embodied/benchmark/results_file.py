"""`results.json`: how results are written, read, and resumed.

The file holds `format`, `schema_version`, `provenance` and `cells`; a cell holds
`condition`, `label`, `wall_s`, `view` (the command that shows its episodes, but for the
seed), `summary` (for readers; computed anew from the episodes when read) and `episodes`.
A number that is not finite is null. While a cell is measured, `unfinished` holds its
episodes so far.

Version 4 added `view`, and to each episode `ended`, `subtask` and `stage`. Version 3
still reads.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from embodied.benchmark.codec import DecodeError, decode, encode
from embodied.benchmark.results import (
    Cell,
    Condition,
    Provenance,
    Results,
    ResultsError,
    UnfinishedCell,
    summarize,
)
from embodied.files import replace_text
from embodied.rollout.endings import FAULT, SUCCESS
from embodied.rollout.rollout import EpisodeResult

FORMAT = "embodied-results"
SCHEMA_VERSION = 4
READABLE = (3, 4)


def write_results(path: Path, results: Results) -> None:
    """Writes the file in one step, so that it is whole at any moment."""
    content: dict[str, Any] = {
        "format": FORMAT,
        "schema_version": SCHEMA_VERSION,
        "provenance": encode(results.provenance),
        "cells": [_encode_cell(cell) for cell in results.cells],
    }
    if results.unfinished:
        content["unfinished"] = encode(results.unfinished)
    replace_text(path, json.dumps(content, indent=1, allow_nan=False))


def read_results(path: Path) -> Results:
    """Returns the results in a file.

    Raises:
        ResultsError: it is not a file, not JSON, not a results file, of another schema
            version, or damaged.
    """
    content = _read_json(path)
    if content.get("format") != FORMAT:
        raise ResultsError(
            f"{path} is no results file: "
            f"its 'format' is {content.get('format')!r}, not {FORMAT!r}"
        )

    schema_version = content.get("schema_version")
    if schema_version not in READABLE:
        raise ResultsError(
            f"{path} has schema version {schema_version!r}; "
            f"this version reads {' and '.join(map(str, READABLE))}"
        )

    with _naming(path):
        provenance = _get(content, "provenance", dict, "the file")
        cells = _get(content, "cells", list, "the file")
        unfinished = content.get("unfinished", [])
        if schema_version == 3:
            cells = _upgraded(cells)
            unfinished = _upgraded(unfinished)
        return Results(
            decode(Provenance, provenance, "provenance"),
            tuple(_decode_cell(cell, f"cells[{i}]") for i, cell in enumerate(cells)),
            _decode_unfinished(unfinished),
        )


def resume_results(path: Path, provenance: Provenance) -> Results:
    """Returns the results to go on with: those in the file, or none where it is new.

    Raises:
        ResultsError: the file is of another task, robot, model or package version, so
            that its cells are no part of this run.
    """
    if not path.exists():
        return Results(provenance)

    results = read_results(path)
    # cells of something else must not stand in one table with this run's
    file_setup = _setup(results.provenance)
    for name, value in _setup(provenance).items():
        if file_setup[name] != value:
            raise ResultsError(
                f"{path} cannot be resumed: "
                f"its {name} is {file_setup[name]!r}, this run's is {value!r}"
            )
    return results


def _setup(provenance: Provenance) -> dict[str, Any]:
    """Returns what must be equal for cells to stand in one table."""
    return {
        "task": provenance.task,
        "robot": provenance.robot,
        "versions": dict(provenance.versions),
        "model_hash": provenance.metadata.get("model_hash"),
    }


def _read_json(path: Path) -> dict[str, Any]:
    """Returns the JSON object in a file; raises ResultsError where there is none."""
    if not path.is_file():
        what = "a folder" if path.is_dir() else "missing"
        raise ResultsError(f"{path} is {what}; expected a results.json file")

    try:
        text = path.read_text(encoding="utf-8")
        content = json.loads(text, parse_constant=_refuse_constant)
    except ValueError as error:  # covers JSON and UTF-8 errors
        raise ResultsError(f"{path} is not JSON: {error}") from error

    # JSON may also be a list or a number
    if not isinstance(content, dict):
        raise ResultsError(
            f"{path} is no results file: "
            f"it holds a {type(content).__name__}, not an object"
        )
    return content


def _refuse_constant(name: str) -> None:
    """Raises ValueError for NaN and infinities, which Python's `json` would take."""
    raise ValueError(f"{name} is not JSON")


@contextlib.contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Adds the file's name to errors about its content."""
    try:
        yield
    except (ResultsError, DecodeError) as error:
        raise ResultsError(f"{path} is damaged: {error}") from error


def _encode_cell(cell: Cell) -> dict[str, Any]:
    """Returns a cell as an object for `json`."""
    summary = summarize(cell)
    # for readers of the file, who need not compute a share themselves
    plain_summary = encode(summary)
    plain_summary["success_once"]["rate"] = summary.success_once.value
    plain_summary["success_at_end"]["rate"] = summary.success_at_end.value

    return {
        "condition": encode(cell.condition),
        "label": cell.label,
        "wall_s": cell.wall_s,
        "view": list(cell.view),
        "summary": plain_summary,
        "episodes": encode(cell.episodes),
    }


def _decode_cell(content: Any, where: str) -> Cell:
    """Returns the cell in a JSON value; raises ResultsError for any other value."""
    if not isinstance(content, dict):
        raise ResultsError(f"{where} is a {type(content).__name__}, not an object")

    condition = _get(content, "condition", dict, where)
    episodes = _get(content, "episodes", list, where)
    return Cell(
        condition=decode(Condition, condition, f"{where}.condition"),
        label=_get(content, "label", str, where),
        wall_s=float(_get(content, "wall_s", (int, float), where)),
        episodes=tuple(
            decode(EpisodeResult, episode, f"{where}.episodes[{i}]")
            for i, episode in enumerate(episodes)
        ),
        # version 3 has none
        view=tuple(map(str, content.get("view") or ())),
    )


def _decode_unfinished(content: Any) -> tuple[UnfinishedCell, ...]:
    if not isinstance(content, list):
        raise ResultsError(
            f"'unfinished' is a {type(content).__name__}, not a list of cells"
        )
    return tuple(
        decode(UnfinishedCell, cell, f"unfinished[{i}]")
        for i, cell in enumerate(content)
    )


def _upgraded(cells: Any) -> Any:
    """Returns cells of version 3 whose episodes have what version 4 adds.

    What is damaged stays as it is, and is found when it is decoded.
    """
    if not isinstance(cells, list):
        return cells

    return [_upgraded_cell(cell) for cell in cells]


def _upgraded_cell(cell: Any) -> Any:
    if not isinstance(cell, dict) or not isinstance(cell.get("episodes"), list):
        return cell
    episodes = [_upgraded_episode(episode) for episode in cell["episodes"]]
    return {**cell, "episodes": episodes}


def _upgraded_episode(episode: Any) -> Any:
    if not isinstance(episode, dict):
        return episode

    # A time out and a loss were not told apart.
    ended = ""
    if episode.get("success_at_end") is True:
        ended = SUCCESS
    elif episode.get("fault"):
        ended = FAULT
    return {**episode, "ended": ended, "subtask": "", "stage": ""}


def _get(
    content: Mapping[str, Any], name: str, kind: type | tuple[type, ...], where: str
) -> Any:
    """Returns a value of an object; raises ResultsError unless it is of its kind.

    `where` is what the object is, for the error.
    """
    if not isinstance(content.get(name), kind):
        raise ResultsError(f"'{name}' of {where} is {content.get(name, 'missing')!r}")
    return content[name]
