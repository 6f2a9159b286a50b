"""The folder `meta` of a LeRobotDataset v3.0."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from embodied.closing import ClosedOnExit
from embodied.datasets.export.numbered_files import FILES_PER_CHUNK, FileNumber

LEROBOT_VERSION = "v3.0"
DATA_PATH = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
VIDEO_PATH = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
INDEX_COLUMN = "__index_level_0__"  # pandas' name for an index without a name
ROWS_AT_ONCE = 500  # the table of episodes is written in blocks of this many rows


class EpisodeTable(ClosedOnExit):
    """Writes the table of episodes, `ROWS_AT_ONCE` rows at a time."""

    def __init__(self, pa: Any, folder: Path) -> None:
        self._pa = pa
        self._path = folder / "meta" / "episodes" / FileNumber().path("parquet")
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._rows: list[dict[str, Any]] = []
        self._file: Any = None

    def add(self, row: Mapping[str, Any]) -> None:
        """Adds the row of an episode; all rows must have the same columns."""
        # a row also names the file of this table that contains it; here there is one file
        table_file = {"meta/episodes/chunk_index": 0, "meta/episodes/file_index": 0}
        self._rows.append({**row, **table_file})
        if len(self._rows) >= ROWS_AT_ONCE:
            self._write()

    def close(self) -> None:
        """Writes the remaining rows, and closes the file."""
        if self._rows:
            self._write()
        if self._file is not None:
            self._file.close()
            self._file = None

    def _write(self) -> None:
        """Writes the collected rows; the first block determines the columns' types."""
        schema = None if self._file is None else self._file.schema
        table = self._pa.Table.from_pylist(self._rows, schema=schema)
        if self._file is None:
            self._file = self._pa.parquet.ParquetWriter(self._path, table.schema)
        self._file.write_table(table)
        self._rows.clear()


def write_tasks(pa: Any, folder: Path, tasks: Sequence[str]) -> None:
    """Writes the table of tasks: sentence -> number.

    LeRobot reads the table with pandas, and expects the sentences as the index. pandas
    finds the index by JSON in the metadata of the Parquet file, which is built here.
    """
    index = {
        "name": None,
        "field_name": INDEX_COLUMN,
        "pandas_type": "unicode",
        "numpy_type": "object",
        "metadata": None,
    }
    column = {
        "name": "task_index",
        "field_name": "task_index",
        "pandas_type": "int64",
        "numpy_type": "int64",
        "metadata": None,
    }
    names = {
        "name": None,
        "field_name": None,
        "pandas_type": "unicode",
        "numpy_type": "object",
        "metadata": {"encoding": "UTF-8"},
    }
    pandas = {
        "index_columns": [INDEX_COLUMN],
        "column_indexes": [names],
        "columns": [column, index],
        "creator": {"library": "pyarrow", "version": pa.__version__},
        "pandas_version": "2.0.0",
    }

    fields = [("task_index", pa.int64()), (INDEX_COLUMN, pa.string())]
    schema = pa.schema(fields, metadata={"pandas": json.dumps(pandas)})
    table = pa.table([list(range(len(tasks))), list(tasks)], schema=schema)
    pa.parquet.write_table(table, folder / "meta" / "tasks.parquet")


def write_info(folder: Path, info: Mapping[str, Any], has_videos: bool) -> None:
    """Writes `info.json`.

    Args:
        folder: the folder of the dataset.
        info: the entries that depend on the dataset; all other entries are constant.
        has_videos: whether the dataset has videos.
    """
    content = {
        "codebase_version": LEROBOT_VERSION,
        **info,
        "chunks_size": FILES_PER_CHUNK,
        # MAX_FILE_MB of `lerobot`, and of `video_files`
        "data_files_size_in_mb": 100,
        "video_files_size_in_mb": 200,
        "splits": {"train": f"0:{info['total_episodes']}"},
        "data_path": DATA_PATH,
        "video_path": VIDEO_PATH if has_videos else None,
    }
    (folder / "meta" / "info.json").write_text(json.dumps(content, indent=2))
