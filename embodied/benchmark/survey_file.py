"""A survey as a JSON file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from embodied.benchmark.statistics import Rate
from embodied.benchmark.survey import Cost, Subject, Success, Survey
from embodied.errors import EmbodiedError
from embodied.files import replace_text

FORMAT = "embodied-survey"
SCHEMA_VERSION = 1


def write_survey(path: Path, survey: Survey) -> None:
    """Replaces the file in one step."""
    content = {
        "format": FORMAT,
        "schema_version": SCHEMA_VERSION,
        "commands": [
            {"day": day, "command": command} for day, command in survey.commands
        ],
        "host": dict(survey.host),
        "successes": [
            asdict(finding)
            for finding in survey.findings
            if isinstance(finding, Success)
        ],
        "costs": [
            asdict(finding) for finding in survey.findings if isinstance(finding, Cost)
        ],
    }
    replace_text(path, json.dumps(content, indent=1) + "\n")


def read_survey(path: Path) -> Survey:
    """The survey in a file. Raises EmbodiedError where it is none."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if (content["format"], content["schema_version"]) != (FORMAT, SCHEMA_VERSION):
            raise ValueError(
                f"its format is {content['format']!r} {content['schema_version']!r}"
            )
        commands = tuple((made["day"], made["command"]) for made in content["commands"])
        findings: list[Success | Cost] = [_success(row) for row in content["successes"]]
        findings += [_cost(row) for row in content["costs"]]
        return Survey(commands, content["host"], tuple(findings))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise EmbodiedError(
            f"{path} is no survey that this version reads: {error!r}"
        ) from error


def _success(row: Mapping[str, Any]) -> Success:
    quartiles_s = row["quartiles_s"] and tuple(row["quartiles_s"])
    own = {
        "rate": Rate(**row["rate"]),
        "quartiles_s": quartiles_s,
        "failed_seeds": tuple(row["failed_seeds"]),
    }
    return Success(**{**row, "subject": Subject(**row["subject"]), **own})


def _cost(row: Mapping[str, Any]) -> Cost:
    return Cost(**{**row, "subject": Subject(**row["subject"])})
