"""`embodied merge`: merges the results of shards, or of several policies."""

from __future__ import annotations

import argparse
from pathlib import Path

from embodied.benchmark.board import make_board
from embodied.benchmark.board_page import write_board_page
from embodied.benchmark.contestants import read_contestants
from embodied.benchmark.merging import merge_results, require_all_shards
from embodied.benchmark.results_writing import write_results
from embodied.benchmark.sweep_file import NAME as SWEEP
from embodied.cli import arguments
from embodied.cli.eval_table import results_table
from embodied.cli.output import claim_folder
from embodied.cli.sweep import as_text as sweep_text
from embodied.cli.sweep import write_findings

HELP = """Put results of `embodied eval` or `embodied sweep` together: the shards of one (--shard), or several policies
in the same setup, as if one command had measured them all. Writes results.json and report.html."""
EXAMPLE = """embodied merge runs/shards/* -o runs/eval"""
RESULTS = "results.json"
REPORT = "report.html"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this verb's arguments."""
    parser.add_argument(
        "results",
        nargs="+",
        type=Path,
        metavar="RESULTS",
        help="folders of `embodied eval`, or their results.json",
    )
    arguments.add_output(
        parser, "folder for the results and the report", metavar="FOLDER"
    )
    arguments.add_overwrite(parser)


def run(args: argparse.Namespace) -> int:
    """Merges the results, and prints a table of them."""
    paths = [path / RESULTS if path.is_dir() else path for path in args.results]
    require_all_shards(paths)
    results = merge_results(paths)

    files = (RESULTS, REPORT, SWEEP)
    claim_folder(args.output, files, resume=False, overwrite=args.overwrite)
    write_results(args.output / RESULTS, results)

    # results of sweeps get the files of a sweep, others a leaderboard
    if all((path.parent / SWEEP).exists() for path in paths):
        record = write_findings(args.output, results)
        print(sweep_text(record, results, args.output))
        return 0

    board = make_board(read_contestants([str(args.output)]))
    write_board_page(args.output / REPORT, board)
    print(results_table(results))
    print(f"{args.output / RESULTS}, {args.output / REPORT}")
    return 0
