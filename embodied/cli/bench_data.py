"""`embodied bench data`: measures data loaders for training.

It is a separate module from `embodied bench`, because it needs torch.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from embodied.benchmark.data_throughput import (
    DataSpeed,
    data_job,
    measure_data,
    record_for_loading,
)
from embodied.benchmark.provenance import host_facts
from embodied.cli.text_table import text_table
from embodied.errors import EmbodiedError
from embodied.wording import counted

PEERS = ("robomimic", "lerobot")


def run(args: argparse.Namespace) -> int:
    """Measures every loader, then prints the speeds."""
    # peer -> the Python that can import it, for the peers that the user gave
    pythons = {}
    for name in PEERS:
        python: Path | None = getattr(args, name)
        if python is not None:
            if not python.is_file():
                raise EmbodiedError(
                    f"--{name} takes the Python of an environment that has {name}, such "
                    f"as {name}-env/bin/python; there is no file {python}"
                )
            pythons[name] = python

    with tempfile.TemporaryDirectory() as tmp, _dataset(args, Path(tmp)) as path:
        job = data_job(path)
        speeds = list(measure_data(job, pythons, Path(tmp)))
    if args.json:
        content = {
            "host": host_facts(),
            "job": {**asdict(job), "path": job.path.name},
            "speeds": [asdict(speed) for speed in speeds],
        }
        print(json.dumps(content, indent=2))
    else:
        print(as_text(speeds))
    return 0


@contextmanager
def _dataset(args: argparse.Namespace, folder: Path) -> Iterator[Path]:
    """Yields the path of --dataset, or of a dataset that is recorded now."""
    if args.dataset is not None:
        yield args.dataset
        return
    print(f"recording {counted(args.episodes, 'episode')} to load", file=sys.stderr)
    path = folder / "bench.hdf5"
    record_for_loading(path, args.episodes)
    yield path


def as_text(speeds: list[DataSpeed]) -> str:
    """Returns a table of the speeds."""
    head = ("", "windows", "from", "per second", "quartiles", "ours over it")
    return text_table([head, *map(_row, speeds)])


def _row(speed: DataSpeed) -> tuple[str, ...]:
    """Returns the cells of a measured loader's row in the printed table."""
    measured = speed.speed
    ratio = "" if speed.ours_over_it is None else f"{speed.ours_over_it:.3g}"
    if speed.ours_in_all_rows is not None:
        ratio += f" ({speed.ours_in_all_rows:.3g} in all rows)"
    return (
        speed.loader,
        speed.content,
        speed.source,
        f"{measured.median:,.0f}",
        f"{measured.lower_quartile:,.0f} to {measured.upper_quartile:,.0f}",
        ratio,
    )
