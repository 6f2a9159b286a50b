"""Writes the tables of docs/datasets.md from the schema.

The text between the tables stays. Run by `make docs`, or by
`python -m embodied.pages.dataset_page FILE`.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from embodied.core import SKILLS
from embodied.datasets.descriptions import (
    DEMO_GROUPS,
    EPISODE_ATTRIBUTES,
    FILE_GROUPS,
    HEADER_ATTRIBUTES,
    Described,
    described_arrays,
)
from embodied.files import replace_text
from embodied.pages.blocks import put_block
from embodied.pages.markdown import table

# What an array has one row for (`Described.rows`) -> (heading of the table of such arrays,
# rate of the rows). Arrays that an episode has only once have "".
TABLES_OF_ARRAYS = {
    "frame": ("frames", "`record_hz`"),
    "control step": ("streams", "`config.control_hz`"),
    "plan": ("plans", "`planner_hz`"),
    "": ("start", "once"),
}


def update_page(page: str) -> str:
    """Returns the page with its tables updated; missing tables are appended."""
    page = _put(page, "groups", _groups())
    attributes = {"meta": HEADER_ATTRIBUTES, "episodes": EPISODE_ATTRIBUTES}
    for name, rows in attributes.items():
        page = _put(page, name, _attributes(rows))

    arrays = described_arrays()
    for row_per, (name, rate) in TABLES_OF_ARRAYS.items():
        arrays_of_table = [array for array in arrays if array.rows == row_per]
        page = _put(page, name, _arrays(arrays_of_table, rate))
    skills = ", ".join(f"{number} `{skill}`" for number, skill in enumerate(SKILLS))
    return _put(page, "subtasks", f"{skills}.")


def _put(page: str, name: str, content: str) -> str:
    """Returns the page with a block updated; a new block gets a section of its name."""
    return put_block(page, name, content, section=f"\n## {name.capitalize()}\n\n")


def _groups() -> str:
    rows = [(f"`/{name}`", text) for name, text in FILE_GROUPS.items()]
    rows += [(f"`/data/demo_<i>/{name}`", text) for name, text in DEMO_GROUPS.items()]
    return table(("group", "what it holds"), rows)


def _attributes(attributes: Mapping[str, tuple[str, str]]) -> str:
    """Returns a table of attributes, name -> (unit, meaning); unit "1" means none."""
    rows = [
        (f"`{name}`", "" if unit == "1" else unit, meaning)
        for name, (unit, meaning) in attributes.items()
    ]
    return table(("attribute", "unit", "meaning"), rows)


def _arrays(arrays: list[Described], rate: str) -> str:
    """Returns the table of some arrays that have one row per `rate`."""
    rows = []
    for array in arrays:
        unit = "" if array.unit == "1" else array.unit
        shape = "one number" if array.shape == "()" else f"`{array.shape}`"
        rows.append((f"`{array.key}`", array.dtype, shape, unit, rate, array.meaning))
    return table(("array", "type", "row", "unit", "rate", "meaning"), rows)


def main(path: Path) -> None:
    """Brings the page in a file up to date."""
    replace_text(path, update_page(path.read_text(encoding="utf-8")))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
