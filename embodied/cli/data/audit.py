"""`embodied data audit`: PASS, REVIEW or EXCLUDE for each episode, with reasons."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from embodied.benchmark.audit_page import write_audit_page
from embodied.cli import arguments
from embodied.cli.arguments import add_json, refuse
from embodied.cli.output import require_writable
from embodied.cli.progress import CountProgress
from embodied.cli.text_table import text_table
from embodied.datasets.audit.findings import Verdict
from embodied.datasets.audit.run import Audit, audit, episode_names, opened
from embodied.datasets.audit.store import as_json, write_json, write_masked_copy
from embodied.errors import EmbodiedError

HELP = """Look at each episode of a dataset for thin content, what does not belong, repetition and irregular form,
and say PASS, REVIEW (look at it) or EXCLUDE (it contradicts itself, or cannot be used), with reasons. Success is
recomputed by replaying, where task, model and versions are those of the recording. Robomimic files from elsewhere are
checked as far as their arrays allow. docs/audit.md explains each finding."""
EXAMPLE = "embodied data audit totes.hdf5 --html audit.html"

# Episodes of a verdict that the text table lists.
SHOWN = 40


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this verb's arguments."""
    parser.add_argument(
        "files", type=Path, nargs="+", metavar="FILE", help="the datasets to audit"
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
        help="write FILE.audit.json beside each dataset, with the names of masks",
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
    """Audits the datasets, then says what was found, and stores it as asked for."""
    _check(args)
    audits = [audited(path, not args.no_replay, args.json) for path in args.files]

    if args.beside:
        for one in audits:
            write_json(one)
    if args.copy is not None:
        write_masked_copy(audits[0], args.copy, args.overwrite)
    if args.html is not None:
        write_audit_page(audits, args.html)

    if args.json:
        print(json.dumps([as_json(one) for one in audits]))
    else:
        texts = [audit_text(one) for one in audits]
        if len(audits) > 1:
            texts.append(total_text(audits))
        print("\n\n".join(texts))
    return 0


def audited(path: Path, replays: bool, quiet: bool) -> Audit:
    """Returns the audit of a file; shows how far the replays are unless `quiet`."""
    with opened(path) as (file, _):
        total = len(episode_names(file))
    with CountProgress("replay", total, "episode", quiet or not replays) as progress:
        return audit(path, replays=replays, on_replayed=progress)


def audit_text(one: Audit) -> str:
    """Returns an audit for a terminal: the counts, and a line for each finding."""
    lines = [f"{one.path}: {len(one.episodes)} episodes: {_counted(one.counts)}"]

    rows = _rows(one)
    if rows:
        lines.append(text_table(rows[: SHOWN + 1]))
    if len(rows) > SHOWN + 1:
        lines.append(f"and {len(rows) - SHOWN - 1} more: see --json or --html")
    lines += [f"the set: {finding.message}" for finding in one.findings]
    for reason, count in one.not_judged.items():
        if reason and count:
            lines.append(f"success not recomputed for {count} episodes: {reason}")
    return "\n".join(lines)


def total_text(audits: Sequence[Audit]) -> str:
    """Returns the counts of several audits together."""
    counts: Counter[Verdict] = Counter()
    for one in audits:
        counts.update(one.counts)
    return f"together: {counts.total()} episodes: {_counted(counts)}"


def _counted(counts: Mapping[Verdict, int]) -> str:
    """Returns how many episodes have each verdict, as text."""
    return ", ".join(f"{count} {verdict}" for verdict, count in counts.items())


def _check(args: argparse.Namespace) -> None:
    """Raises EmbodiedError for arguments that do not go together."""
    if args.copy is None:
        refuse(args, ("overwrite",), "it is for a copy: give --copy")
    elif len(args.files) > 1:
        raise EmbodiedError("--copy copies one dataset: audit the others by themselves")
    for path in (args.html, args.copy):
        if path is not None:
            require_writable(path)


def _rows(one: Audit) -> Sequence[Sequence[str]]:
    """Returns the rows of the table of findings, with its head; () without any."""
    rows = []
    for episode in one.episodes:
        seed = "" if episode.seed is None else str(episode.seed)
        for finding in episode.findings:
            at = "" if finding.start_s is None else f"{finding.start_s:.1f} s"

            # findings about a whole episode have no time
            rows.append(
                (
                    episode.demo,
                    seed,
                    finding.verdict,
                    finding.check,
                    at,
                    finding.message,
                )
            )

    if not rows:
        return ()
    return [("episode", "seed", "verdict", "check", "at", "what was found"), *rows]
