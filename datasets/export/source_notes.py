"""Notes beside an export, on information that other formats cannot store.

`embodied.json` holds the headers of the exported files, `embodied_episodes.jsonl` one
line per episode. Other tools ignore both; our import reads units, seeds and success from
them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from embodied.closing import ClosedOnExit
from embodied.datasets.export.frames import SelectedEpisode
from embodied.datasets.schema import Header

HEADERS_FILE = "embodied.json"
EPISODES_FILE = "embodied_episodes.jsonl"


class SourceNotes(ClosedOnExit):
    """Writes the notes, episode by episode.

    Args:
        folder: the folder to write to.
        headers: the headers of the exported files.
    """

    def __init__(self, folder: Path, headers: Sequence[Header]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"sources": [header_note(header) for header in headers]})
        (folder / HEADERS_FILE).write_text(text)
        self._file = (folder / EPISODES_FILE).open("w")

    def close(self) -> None:
        """Closes the file of episodes."""
        self._file.close()

    def add(self, note: Mapping[str, Any]) -> None:
        """Writes the line of an episode, given its `episode_note`."""
        self._file.write(json.dumps(note) + "\n")


def header_note(header: Header) -> dict[str, Any]:
    """Returns the header of a file as JSON values."""
    return {
        "metadata": json.loads(header.metadata_json),
        "policy": header.policy,
        "record_hz": header.record_hz,
        "planner_hz": header.planner_hz,
        "schema_version": header.schema_version,
    }


def episode_note(episode: SelectedEpisode) -> dict[str, Any]:
    """Returns an episode's row of the table, and where the episode was exported from.

    `source` is the index of the exported file, `episode` the episode's number in the file.
    """
    origin = {"source": episode.file_index, "episode": episode.number}
    return origin | asdict(episode.meta)
