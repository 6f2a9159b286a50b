"""`embodied survey`: measures every task's expert and cost, and writes a page."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from embodied.benchmark.provenance import host_facts
from embodied.cli import arguments
from embodied.cli.book import add_output, measure_missing, show
from embodied.cli.output import require_writable
from embodied.cli.progress import stages
from embodied.envs.registry import loadable_tasks
from embodied.pages.book import Book
from embodied.pages.learned import read_learned
from embodied.pages.subject import HOST, choose_pairs
from embodied.pages.survey import (
    SurveyQuestion,
    SurveyRow,
    measure_cost,
    measure_success,
    plan_survey,
)
from embodied.pages.survey_page import survey_book

HELP = """Measure the training ground: how often each task's expert succeeds with each robot at each level, with 95%
intervals, and what each task costs to simulate. Writes a page of tables and, beside it, a JSON file that also has the
failed seeds.

Each figure is kept as soon as it is measured. --resume measures what is missing or was measured with other code or
versions; --overwrite measures all that is asked for anew, and keeps the other figures.

--learned measures nothing: it adds what trained policies reached in evaluations with `embodied eval`."""
EXAMPLE = """embodied survey
  embodied survey --learned runs/reach-eval
  embodied survey --task ToteTransfer --level L4 --episodes 50 --no-costs -o runs/survey.md"""
LEVELS = ("L2", "L3", "L4")
RESULTS = "results.json"  # file in a folder of `embodied eval`
# The flags of a measurement, which --learned rejects.
NOT_WITH_LEARNED = (
    "task",
    "robot",
    "no_costs",
    "only_costs",
    "resume",
    "overwrite",
    "on",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this verb's arguments."""
    arguments.add_pairs(parser, "measure")

    parser.add_argument(
        "--level",
        nargs="+",
        default=LEVELS,
        help="how much varies (default: L2 L3 L4)",
    )
    arguments.add_cell_episodes(parser, default=200)

    part = parser.add_mutually_exclusive_group()
    part.add_argument(
        "--no-costs",
        action="store_true",
        help="do not measure what the tasks cost to simulate",
    )
    part.add_argument(
        "--only-costs",
        action="store_true",
        help="measure only what the tasks cost to simulate",
    )

    parser.add_argument(
        "--learned",
        nargs="+",
        type=Path,
        metavar="FOLDER",
        help="folders of `embodied eval` of trained policies, whose success to add to the "
        "page; nothing else is measured",
    )

    add_output(parser, "docs/ground.md")
    arguments.add_parallelism(parser)
    arguments.add_cluster(parser)
    arguments.add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Measures what is missing, and writes the page after each figure."""
    book = survey_book(args.output)
    if args.learned:
        arguments.reject_flags(
            args, NOT_WITH_LEARNED, "not with --learned, which measures nothing"
        )
        add_learned(book, args.learned, args)
        return 0

    questions = plan_survey(
        choose_pairs(args.task or loadable_tasks(), args.robot),
        levels=[] if args.only_costs else list(dict.fromkeys(args.level)),
        seeds=arguments.seeds(args),
        costs=not args.no_costs,
    )
    progress = stages(args.json)

    with arguments.executor(args, args.episodes) as workers:
        # a question with a level asks for success, a question without a level for cost
        def measure(question: SurveyQuestion, number: str) -> SurveyRow:
            """Measures the row of a question; `number`, e.g. "3/12", is for display."""
            title = f"{number} {question.subject.task} {question.subject.robot}"
            if question.level is not None:
                return measure_success(
                    question, title, workers, stage=progress, num_envs=args.num_envs
                )

            if not args.json:
                print(f"{title} cost", file=sys.stderr)
            return measure_cost(question)

        measure_missing(book, questions, measure, args)
    return 0


def add_learned(
    book: Book[SurveyRow], folders: Sequence[Path], args: argparse.Namespace
) -> None:
    """Adds the success of trained policies to a book, and prints it.

    Args:
        book: the book; its other figures stay.
        folders: the folders that `embodied eval` wrote.
        args: the verb's arguments, of which `json` and `words` are used.

    Raises:
        EmbodiedError: a folder has no results that the page can show (see
            `read_learned`), or the book cannot be written.
    """
    require_writable(book.page)
    ledger = book.read().signed(args.words, HOST, host_facts())
    for folder in folders:
        for row in read_learned(folder / RESULTS):
            ledger = ledger.with_row(row)
    book.write(ledger)
    show(book, args.json)
