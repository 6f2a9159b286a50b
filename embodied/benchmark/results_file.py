"""Reads and resumes `results.json`, which `results_writing` writes.

The file holds `format`, `schema_version`, `provenance` and `cells`. A cell holds
`condition`, `label`, `wall_s`, `view` (the command that shows its episodes, without the
seed), `summary` (for people and programs that read the file; the readers here compute it
from the episodes instead) and `episodes`. A number that is not finite is null. While a cell is
measured, `unfinished` holds its episodes so far.

`checksum` is the SHA-256 of the rest, so that manual changes are detected. The file is
checked against the JSON schema of `results_schema` on writing and on reading.

Version 5 added `checksum`; task and robot of each condition; the suite, the models, the
code and the shard of the provenance; `abilities` and `rule` of a cell, and `error` of an
episode. Version 6 added `outage` and `bridge` of a condition, and `plan_faults` of an
episode. Version 7 added `stale_share` and `plan_jump` of an episode. Version 8 added
`energy_j` and `smoothness` of an episode, and their medians to the summary. Version 9
added `measures` of an episode, and version 10 `near_misses`. Versions from 3 on can be read.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from embodied.benchmark.codec import DecodeError, decode
from embodied.benchmark.results import (
    Cell,
    Condition,
    Provenance,
    Results,
    ResultsError,
    UnfinishedCell,
)
from embodied.benchmark.results_schema import FORMAT, SCHEMA_VERSION, check_schema
from embodied.benchmark.results_upgrade import READABLE, upgraded
from embodied.benchmark.results_writing import checksum
from embodied.rollout.rollout import EpisodeResult


def read_results(path: Path) -> Results:
    """Returns the results in a file.

    Raises:
        ResultsError: it is not a file, not JSON, not a results file, of an unknown schema
            version, damaged, or changed since it was written.
    """
    content = read_json(path)
    if content.get("format") != FORMAT:
        raise ResultsError(
            f"{path} is no results file: "
            f"its 'format' is {content.get('format')!r}, not {FORMAT!r}"
        )

    schema_version = content.get("schema_version")
    if schema_version not in READABLE:
        versions = ", ".join(map(str, READABLE[:-1]))
        raise ResultsError(
            f"{path} has schema version {schema_version!r}; "
            f"this version reads {versions} and {READABLE[-1]}"
        )

    with _path_in_errors(path):
        current = upgraded(content)
        provenance = _get(current, "provenance", dict, "the file")
        cells = _get(current, "cells", list, "the file")
        results = Results(
            decode(Provenance, provenance, "provenance"),
            tuple(_decode_cell(cell, f"cells[{i}]") for i, cell in enumerate(cells)),
            _decode_unfinished(current.get("unfinished", [])),
        )
        if schema_version == SCHEMA_VERSION:
            check_schema(content)

    # files before version 5 have no checksum
    if schema_version >= 5 and content.get("checksum") != checksum(content):
        raise ResultsError(
            f"{path} was changed after it was written: its checksum no longer fits. "
            "Take the file as `embodied eval` wrote it, or measure again with --overwrite"
        )
    return results


def resume_results(path: Path, provenance: Provenance) -> Results:
    """Returns the results in a file, to be continued; empty ones if there is no file.

    Raises:
        ResultsError: the file was measured with another task, robot, model or package
            version, or is another shard.
    """
    if not path.exists():
        return Results(provenance)

    results = read_results(path)
    # cells of different setups must not be mixed in one table
    wanted = _setup(provenance)
    for name, value in _setup(results.provenance).items():
        if wanted[name] != value:
            raise ResultsError(
                f"{path} cannot be resumed: "
                f"its {name} is {_brief(value)}, this run's is {_brief(wanted[name])}"
            )
    if results.provenance.shard != provenance.shard:
        raise ResultsError(
            f"{path} cannot be resumed: it holds shard "
            f"{results.provenance.shard or 'none'}, this run is shard "
            f"{provenance.shard or 'none'}"
        )
    return results


def require_same_setup(
    path: Path, provenance: Provenance, other_path: Path, other: Provenance
) -> None:
    """Raises ResultsError if two files have different setups.

    Args:
        path: the path of the first file, for the error message.
        provenance: the provenance of the first file.
        other_path: the path of the second file.
        other: provenance of the second file.
    """
    wanted = _setup(other)
    for name, value in _setup(provenance).items():
        if wanted[name] != value:
            raise ResultsError(
                f"{path} and {other_path} don't go together: the {name} of the first is "
                f"{_brief(value)}, that of the second {_brief(wanted[name])}"
            )


def _setup(provenance: Provenance) -> dict[str, Any]:
    """Returns the parts of a provenance that cells in one table must share."""
    # the number of episodes is not part of the setup: more may be added later
    suite = {k: v for k, v in provenance.suite.items() if k != "episodes"}
    return {
        "task": provenance.task,
        "robot": provenance.robot,
        "versions": dict(provenance.versions),
        "robot_hash": provenance.metadata.get("robot_hash"),
        "model_hash": provenance.metadata.get("model_hash"),
        "models": dict(provenance.models),
        "suite": suite,
    }


def _brief(value: Any) -> str:
    """Returns a value for an error message; for a suite only name and version."""
    if isinstance(value, dict) and "protocol" in value:
        return f"{value['name']} {value['version']}"
    return repr(value)


def read_json(path: Path, expected: str = "results.json") -> dict[str, Any]:
    """Returns the JSON object in a file.

    Args:
        path: the path of the file.
        expected: the usual name of such a file, for error messages.

    Raises:
        ResultsError: there is no file, or no JSON object in it.
    """
    if not path.is_file():
        what = "a folder" if path.is_dir() else "missing"
        raise ResultsError(f"{path} is {what}; expected a {expected} file")

    try:
        text = path.read_text(encoding="utf-8")
        content = json.loads(text, parse_constant=_refuse_constant)
    except ValueError as error:  # covers JSON and UTF-8 errors
        raise ResultsError(f"{path} is not JSON: {error}") from error

    # JSON may also be a list or a number
    if not isinstance(content, dict):
        raise ResultsError(
            f"{path} is no {expected} file: "
            f"it holds a {type(content).__name__}, not an object"
        )
    return content


def _refuse_constant(name: str) -> None:
    """Raises ValueError for NaN and infinities, which Python's `json` accepts."""
    raise ValueError(f"{name} is not JSON")


@contextlib.contextmanager
def _path_in_errors(path: Path) -> Iterator[None]:
    """Adds the file's path to errors about its content that the `with` block raises."""
    try:
        yield
    except (ResultsError, DecodeError) as error:
        raise ResultsError(f"{path} is damaged: {error}") from error


def _decode_cell(content: Any, where: str) -> Cell:
    """Returns the cell in a JSON value; raises ResultsError if it holds none."""
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
        view=tuple(map(str, _get(content, "view", list, where))),
        abilities=tuple(map(str, _get(content, "abilities", list, where))),
        rule=_get(content, "rule", str, where),
    )


def _decode_unfinished(content: Any) -> tuple[UnfinishedCell, ...]:
    """Returns the cells in the JSON value of `unfinished`."""
    if not isinstance(content, list):
        raise ResultsError(
            f"'unfinished' is a {type(content).__name__}, not a list of cells"
        )
    return tuple(
        decode(UnfinishedCell, cell, f"unfinished[{i}]")
        for i, cell in enumerate(content)
    )


def _get(
    content: Mapping[str, Any], name: str, kind: type | tuple[type, ...], where: str
) -> Any:
    """Returns a field of a JSON object.

    Args:
        content: the object.
        name: the name of the field.
        kind: expected type of the value.
        where: location of the object for the error message.

    Raises:
        ResultsError: the field is missing or of another type.
    """
    if not isinstance(content.get(name), kind):
        raise ResultsError(f"'{name}' of {where} is {content.get(name, 'missing')!r}")
    return content[name]
