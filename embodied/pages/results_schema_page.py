"""Writes the JSON schema of `results.json` for other programs: `make docs`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from embodied.benchmark.results_schema import results_schema
from embodied.files import replace_text


def schema_text() -> str:
    """Returns the published schema."""
    return json.dumps(results_schema(), indent=1) + "\n"


def main(path: Path) -> None:
    """Writes the schema."""
    replace_text(path, schema_text())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
