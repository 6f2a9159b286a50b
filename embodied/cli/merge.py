"""`embodied merge`: the results of shards, or of other policies, in one file."""

from __future__ import annotations

import argparse
from pathlib import Path

from embodied.benchmark.board import make_board, read_contestants
from embodied.benchmark.board_page import write_board_page
from embodied.benchmark.merging import merge_results, require_all_shards
from embodied.benchmark.results_file import write_results
from embodied.cli import arguments
from embodied.cli.eval_table import results_table
from embodied.cli.output import claim_folder

HELP = """Put results of `embodied eval` together: the shards of one evaluation (--shard), or results of several
policies in the same setup, as if one command had measured them all. Writes results.json and report.html."""
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

    claim_folder(args.output, (RESULTS, REPORT), False, args.overwrite)
    write_results(args.output / RESULTS, results)
    board = make_board(read_contestants([str(args.output)]))
    write_board_page(args.output / REPORT, board)
    print(results_table(results))
    print(f"{args.output / RESULTS}, {args.output / REPORT}")
    return 0
