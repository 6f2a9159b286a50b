"""Writes the JSON schemas of results and sweeps for other programs: `make docs`."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from embodied.benchmark.results_schema import results_schema
from embodied.benchmark.sweep_file import sweep_schema
from embodied.files import replace_text

SWEEP_PAGE = "sweep.schema.json"  # beside the schema of results


def schema_text(schema: Mapping[str, Any]) -> str:
    """Returns a schema as it is published."""
    return json.dumps(schema, indent=1) + "\n"


def main(path: Path) -> None:
    """Writes the schema of results to `path`, and that of sweeps beside it."""
    replace_text(path, schema_text(results_schema()))
    replace_text(path.parent / SWEEP_PAGE, schema_text(sweep_schema()))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
