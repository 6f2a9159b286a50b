"""The JSON schema of `results.json`, made from the dataclasses that it holds.

`docs/results.schema.json` publishes it for other programs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

from embodied.benchmark.results import (
    Condition,
    Provenance,
    ResultsError,
    Summary,
    UnfinishedCell,
)
from embodied.benchmark.statistics import Rate
from embodied.rollout.rollout import EpisodeResult

FORMAT = "embodied-results"
SCHEMA_VERSION = 8
DIALECT = "https://json-schema.org/draft/2020-12/schema"
TEXT = {"type": "string"}
TEXTS = {"type": "array", "items": TEXT}
SIMPLE = {str: "string", bool: "boolean", int: "integer"}
# properties that the file adds to those of a dataclass
ADDED = {Rate: {"rate": {"type": "number", "minimum": 0, "maximum": 1}}}


@cache
def results_schema() -> dict[str, Any]:
    """Returns the schema of a file of the present version."""
    cell = {
        "condition": schema_of(Condition),
        "label": TEXT,
        "wall_s": {"type": "number", "minimum": 0},
        "view": TEXTS,
        "abilities": TEXTS,
        "rule": TEXT,
        "summary": schema_of(Summary),
        "episodes": {
            "type": "array",
            "items": schema_of(EpisodeResult),
            "minItems": 1,
        },
    }

    file = {
        "format": {"const": FORMAT},
        "schema_version": {"const": SCHEMA_VERSION},
        "provenance": schema_of(Provenance),
        "cells": {"type": "array", "items": object_schema(cell)},
        "unfinished": {"type": "array", "items": schema_of(UnfinishedCell)},
        "checksum": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
    }

    required = [name for name in file if name != "unfinished"]
    title = "Results of an evaluation, as `embodied eval` writes them"
    return {"$schema": DIALECT, "title": title, **object_schema(file, required)}


@cache
def _validator() -> Any:
    """Returns what checks a file against the schema."""
    return validator_of(results_schema())


def validator_of(schema: Mapping[str, Any]) -> Any:
    """Returns what checks values against a schema."""
    # imported here, because few commands need it
    from jsonschema import Draft202012Validator

    return Draft202012Validator(schema)


def check_schema(content: Mapping[str, Any]) -> None:
    """Checks that what is in a results file, or is to be, fits the schema.

    Raises:
        ResultsError: it does not; names the place.
    """
    check_fits(content, _validator())


def check_fits(content: Mapping[str, Any], validator: Any) -> None:
    """Checks that what is in a file, or is to be, fits the schema of a validator.

    Raises:
        ResultsError: it does not; names the place.
    """
    from jsonschema.exceptions import best_match

    error = best_match(validator.iter_errors(content))
    if error is not None:
        place = "/".join(map(str, error.absolute_path)) or "the file"
        raise ResultsError(f"{place} does not fit the schema: {error.message[:200]}")


def object_schema(
    properties: dict[str, Any], required: list[str] | None = None
) -> dict[str, Any]:
    """Returns the schema of an object that has these properties and no others."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties) if required is None else required,
        "additionalProperties": False,
    }


def schema_of(kind: type[Any]) -> dict[str, Any]:
    """Returns the schema of a dataclass, as `codec.encode` writes it."""
    hints = get_type_hints(kind)
    properties = {f.name: _type_of(hints[f.name]) for f in fields(kind)}
    return object_schema({**properties, **ADDED.get(kind, {})})


def _type_of(hint: Any) -> dict[str, Any]:
    """Returns the schema of a value of a field's type."""
    alternatives = get_args(hint) if isinstance(hint, UnionType) else (hint,)
    kinds = [_plain_type(one) for one in alternatives if one is not NoneType]
    if NoneType in alternatives:
        kinds.append({"type": "null"})
    if len(kinds) == 1:
        return kinds[0]

    # a list of type names is quicker to check than `anyOf`, which counts for thousands
    # of episodes; a float has two names itself, for its null
    names = [kind["type"] for kind in kinds if set(kind) == {"type"}]
    if len(names) == len(kinds):
        flat = [
            names_of if isinstance(names_of, list) else [names_of] for names_of in names
        ]
        return {"type": sorted({name for part in flat for name in part})}
    return {"anyOf": kinds}


def _plain_type(hint: Any) -> dict[str, Any]:
    """Returns the schema of a type that is no union."""
    if hint in SIMPLE:
        return {"type": SIMPLE[hint]}
    if hint is float:
        # a number that is not finite is null
        return {"type": ["number", "null"]}
    if is_dataclass(hint) and isinstance(hint, type):
        return schema_of(hint)

    origin = get_origin(hint) or hint
    if origin is tuple:
        # all items of our tuples have the type of the first
        return {"type": "array", "items": _type_of(get_args(hint)[0])}
    # of a mapping, whose keys are always text in JSON
    values = get_args(hint)[1:]
    if origin in (dict, Mapping) and values and values[0] is not Any:
        return {"type": "object", "additionalProperties": _type_of(values[0])}
    return {"type": "object"}
