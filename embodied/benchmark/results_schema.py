"""Derives the JSON schema of `results.json` from the dataclasses that it encodes.

`docs/results.schema.json` publishes the schema for other programs.
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
SCHEMA_VERSION = 10
DIALECT = "https://json-schema.org/draft/2020-12/schema"
TEXT = {"type": "string"}
TEXTS = {"type": "array", "items": TEXT}
SIMPLE = {str: "string", bool: "boolean", int: "integer"}
# properties that the file adds to the fields of a dataclass
ADDED = {Rate: {"rate": {"type": "number", "minimum": 0, "maximum": 1}}}


@cache
def results_schema() -> dict[str, Any]:
    """Returns the JSON schema of `results.json` in its current version."""
    cell = {
        "condition": dataclass_schema(Condition),
        "label": TEXT,
        "wall_s": {"type": "number", "minimum": 0},
        "view": TEXTS,
        "abilities": TEXTS,
        "rule": TEXT,
        "summary": dataclass_schema(Summary),
        "episodes": {
            "type": "array",
            "items": dataclass_schema(EpisodeResult),
            "minItems": 1,
        },
    }

    file = {
        "format": {"const": FORMAT},
        "schema_version": {"const": SCHEMA_VERSION},
        "provenance": dataclass_schema(Provenance),
        "cells": {"type": "array", "items": object_schema(cell)},
        "unfinished": {"type": "array", "items": dataclass_schema(UnfinishedCell)},
        "checksum": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
    }

    # "unfinished" is only in the file of an evaluation that was stopped
    required = [name for name in file if name != "unfinished"]
    title = "Results of an evaluation, as `embodied eval` writes them"
    return {"$schema": DIALECT, "title": title, **object_schema(file, required)}


@cache
def _validator() -> Any:
    """Returns the validator of results files."""
    return schema_validator(results_schema())


def schema_validator(schema: Mapping[str, Any]) -> Any:
    """Returns a validator of a JSON schema."""
    # imported here, because most commands do not need it
    from jsonschema import Draft202012Validator

    return Draft202012Validator(schema)


def check_schema(content: Mapping[str, Any]) -> None:
    """Checks the content of a results file against the schema.

    Raises:
        ResultsError: it does not fit; the message names the entry.
    """
    check_fits(content, _validator())


def check_fits(content: Mapping[str, Any], validator: Any) -> None:
    """Checks the content of a file with a validator.

    Raises:
        ResultsError: it does not fit; the message names the entry.
    """
    # imported here, because most commands do not need it
    from jsonschema.exceptions import best_match

    error = best_match(validator.iter_errors(content))
    if error is not None:
        entry = "/".join(map(str, error.absolute_path)) or "the file"
        raise ResultsError(f"{entry} does not fit the schema: {error.message[:200]}")


def object_schema(
    properties: dict[str, Any], required: list[str] | None = None
) -> dict[str, Any]:
    """Returns the schema of an object with these properties and no others.

    `required` are the properties that must be present; None for all.
    """
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties) if required is None else required,
        "additionalProperties": False,
    }


def dataclass_schema(kind: type[Any]) -> dict[str, Any]:
    """Returns the schema of a dataclass as `codec.encode` writes it."""
    hints = get_type_hints(kind)
    properties = {f.name: _type_schema(hints[f.name]) for f in fields(kind)}
    return object_schema({**properties, **ADDED.get(kind, {})})


def _type_schema(hint: Any) -> dict[str, Any]:
    """Returns the schema of a value of a field's type."""
    alternatives = get_args(hint) if isinstance(hint, UnionType) else (hint,)
    kinds = [
        _plain_type(alternative)
        for alternative in alternatives
        if alternative is not NoneType
    ]
    if NoneType in alternatives:
        kinds.append({"type": "null"})
    if len(kinds) == 1:
        return kinds[0]

    # Plain types become one list of names, {"type": ["integer", "null"]}: validators
    # check it faster than `anyOf`, which matters for thousands of episodes.
    if any(set(kind) != {"type"} for kind in kinds):
        return {"anyOf": kinds}
    names: set[str] = set()
    for kind in kinds:
        # a float has a list of names already: ["number", "null"]
        own_names = kind["type"]
        names.update(own_names if isinstance(own_names, list) else [own_names])
    return {"type": sorted(names)}


def _plain_type(hint: Any) -> dict[str, Any]:
    """Returns the schema of a type that is not a union."""
    if hint in SIMPLE:
        return {"type": SIMPLE[hint]}
    if hint is float:
        # numbers that are not finite are written as null
        return {"type": ["number", "null"]}
    if is_dataclass(hint) and isinstance(hint, type):
        return dataclass_schema(hint)

    origin = get_origin(hint) or hint
    if origin is tuple:
        # every tuple in our dataclasses has items of one type
        return {"type": "array", "items": _type_schema(get_args(hint)[0])}

    # a mapping: its keys are always strings in JSON, so only the type of values matters
    values = get_args(hint)[1:]
    if origin in (dict, Mapping) and values and values[0] is not Any:
        return {"type": "object", "additionalProperties": _type_schema(values[0])}
    return {"type": "object"}
