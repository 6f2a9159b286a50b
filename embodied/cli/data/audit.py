"""`embodied data audit`: PASS, REVIEW or EXCLUDE for each episode, with reasons."""

from __future__ import annotations

import argparse
import json
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from embodied.benchmark.audit_page import write_audit_page
from embodied.cli import arguments
from embodied.cli.arguments import add_json, reject_flags
from embodied.cli.output import require_writable
from embodied.cli.progress import CountProgress
from embodied.cli.text_table import text_table
from embodied.datasets.audit.findings import Verdict
from embodied.datasets.audit.lerobot import AuditedFolder
from embodied.datasets.audit.run import Audit, audit, episode_names, opened
from embodied.datasets.audit.store import as_json, write_json, write_masked_copy
from embodied.errors import EmbodiedError
from embodied.wording import counted

HELP = """Look at each episode of a dataset for thin content, what does not belong, repetition and irregular form,
and say PASS, REVIEW (look at it) or EXCLUDE (it contradicts itself, or cannot be used), with reasons. Success is
recomputed by replaying, where task, model and versions are those of the recording. Files of robomimic and folders of
LeRobot are checked as far as their arrays allow. docs/audit.md explains each finding."""
EXAMPLE = "embodied data audit totes.hdf5 --html audit.html"

# The text table lists at most this many findings; all others are only counted.
MAX_FINDINGS = 40
TABLE_HEAD = ("episode", "seed", "verdict", "check", "at", "what was found")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this verb's arguments."""
    parser.add_argument(
        "files",
        type=Path,
        nargs="+",
        metavar="PATH",
        help="the datasets to audit: HDF5 files, or folders of LeRobot",
    )

    # what is written besides the summary
    parser.add_argument(
        "--html",
        type=Path,
        metavar="PAGE",
        help="write a report with pictures and plots, one file that needs no network",
    )
    parser.add_argument(
        "--beside",
        action="store_true",
        help="write PATH.audit.json beside each dataset, with the names of masks",
    )
    parser.add_argument(
        "--copy",
        type=Path,
        metavar="COPY",
        help="copy the one dataset, with the masks audit_pass, audit_review and "
        "audit_exclude",
    )

    arguments.add_overwrite(parser, "a copy that exists")

    parser.add_argument(
        "--no-replay",
        action="store_true",
        help="do not recompute success by replaying, which takes most of the time",
    )
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Audits the datasets, writes the requested files, and prints the findings."""
    _check(args)
    # the report reads pictures from the copies of folders, so these exist until the end
    with tempfile.TemporaryDirectory(prefix="embodied-audit-") as scratch:
        audits = []
        for number, path in enumerate(args.files):
            file = path
            if path.is_dir():
                file = Path(scratch) / f"{number}.hdf5"
                copy_folder(path, file, quiet=args.json)
            result = audited(file, replays=not args.no_replay, quiet=args.json)
            audits.append(replace(result, path=path))

        if args.beside:
            for result in audits:
                write_json(result)
        if args.copy is not None:
            write_masked_copy(audits[0], args.copy, args.overwrite)
        if args.html is not None:
            write_audit_page(audits, args.html)

    if args.json:
        print(json.dumps([as_json(result) for result in audits]))
    else:
        texts = [audit_text(result) for result in audits]
        if len(audits) > 1:
            texts.append(total_text(audits))
        print("\n\n".join(texts))
    return 0


def copy_folder(folder: Path, target: Path, quiet: bool) -> None:
    """Copies a folder of LeRobot into a file that the audit can read.

    Args:
        folder: the folder of the dataset.
        target: the file to write.
        quiet: whether to hide the progress, and the names of what is left out.
    """
    source = AuditedFolder(folder)
    for name in source.omitted if not quiet else ():
        print(f"not looked at: {name}")
    with CountProgress("read", len(source), "episode", quiet) as progress:
        source.write(target, progress)


def audited(path: Path, replays: bool, quiet: bool) -> Audit:
    """Audits a file.

    Args:
        path: the path of the dataset.
        replays: whether success is recomputed by replaying the episodes.
        quiet: whether to hide the progress of the replays.
    """
    with opened(path) as (file, _):
        total = len(episode_names(file))
    with CountProgress("replay", total, "episode", quiet or not replays) as progress:
        return audit(path, replays=replays, on_replayed=progress)


def audit_text(result: Audit) -> str:
    """Returns an audit for a terminal: counts, findings, and episodes not replayed."""
    counts = _counted(result.counts)
    lines = [f"{result.path}: {counted(len(result.episodes), 'episode')}: {counts}"]

    # findings about episodes, in a table
    rows = _finding_rows(result)
    if rows:
        lines.append(text_table([TABLE_HEAD, *rows[:MAX_FINDINGS]]))
    hidden = len(rows) - MAX_FINDINGS
    if hidden > 0:
        lines.append(f"and {hidden} more: see --json or --html")

    # findings about the dataset as a whole
    lines += [f"the set: {finding.message}" for finding in result.findings]

    # episodes whose success no replay could check
    for reason, count in result.not_judged.items():
        lines.append(
            f"success not recomputed for {counted(count, 'episode')}: {reason}"
        )
    return "\n".join(lines)


def total_text(audits: Sequence[Audit]) -> str:
    """Returns a line with the total counts of several audits."""
    counts: Counter[Verdict] = Counter()
    for result in audits:
        counts.update(result.counts)
    return f"together: {counted(counts.total(), 'episode')}: {_counted(counts)}"


def _counted(counts: Mapping[Verdict, int]) -> str:
    """Returns the number of episodes of each verdict, e.g. "8 PASS, 2 REVIEW"."""
    return ", ".join(f"{count} {verdict}" for verdict, count in counts.items())


def _check(args: argparse.Namespace) -> None:
    """Raises EmbodiedError for arguments without effect, and outputs that can't be made."""
    if args.copy is None:
        reject_flags(args, ("overwrite",), "it is for a copy: give --copy")
    elif len(args.files) > 1:
        raise EmbodiedError("--copy copies one dataset: audit the others by themselves")
    elif args.files[0].is_dir():
        raise EmbodiedError(
            f"--copy copies a file, and {args.files[0]} is a folder: first embodied data "
            f"import {args.files[0]} -o FILE, then audit FILE"
        )
    for path in (args.html, args.copy):
        if path is not None:
            require_writable(path)


def _finding_rows(result: Audit) -> list[tuple[str, ...]]:
    """Returns one row per finding about an episode, with the columns of TABLE_HEAD."""
    rows: list[tuple[str, ...]] = []
    for episode in result.episodes:
        seed = "" if episode.seed is None else str(episode.seed)
        for finding in episode.findings:
            # findings about a whole episode have no time
            time_text = ""
            if finding.start_s is not None:
                time_text = f"{finding.start_s:.1f} s"
            rows.append(
                (
                    episode.demo,
                    seed,
                    finding.verdict,
                    finding.check,
                    time_text,
                    finding.message,
                )
            )
    return rows
