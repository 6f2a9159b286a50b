"""Reading files of a folder from elsewhere, without ever leaving the folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from embodied.datasets.schema import DatasetError
from embodied.errors import one_line


def file_inside(folder: Path, relative: str) -> Path:
    """Returns the path of a file in a folder, after a check that it is in the folder.

    Args:
        folder: the folder of another tool's dataset.
        relative: the path of the file below the folder.

    Raises:
        DatasetError: there is no such file, or the path or a link leads out of the
            folder.
    """
    path = folder / relative
    if not path.resolve().is_relative_to(folder.resolve()):
        raise DatasetError(f"{path} leads out of {folder}, which is never followed")
    if not path.is_file():
        raise DatasetError(f"{folder} is incomplete: there is no {relative}")
    return path


def read_json(folder: Path, relative: str) -> dict[str, Any]:
    """Reads a file of a folder that contains a JSON object.

    Args:
        folder: the folder of another tool's dataset.
        relative: the path of the file below the folder.

    Raises:
        DatasetError: there is no such file, or it does not contain a JSON object.
    """
    path = file_inside(folder, relative)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise DatasetError(f"{path} is not JSON: {one_line(error)}") from error
    if not isinstance(content, dict):
        raise DatasetError(f"{path} holds no JSON object")
    return content
