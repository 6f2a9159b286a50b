"""`embodied survey`: measures every task's expert and cost, and writes a page."""

from __future__ import annotations

import argparse
import sys

from embodied.cli import arguments
from embodied.cli.book import add_output, measure_missing
from embodied.cli.progress import stages
from embodied.envs.registry import loadable_tasks
from embodied.pages.subject import choose_pairs
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
versions; --overwrite measures all that is asked for anew, and keeps the other figures."""
EXAMPLE = """embodied survey
  embodied survey --task ToteTransfer --level L4 --episodes 50 --no-costs -o runs/survey.md"""
LEVELS = ("L2", "L3", "L4")


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

    parser.add_argument(
        "--no-costs",
        action="store_true",
        help="do not measure what the tasks cost to simulate",
    )

    add_output(parser, "docs/ground.md")
    arguments.add_parallelism(parser)
    arguments.add_cluster(parser)
    arguments.add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Measures what is missing, and writes the page after each figure."""
    book = survey_book(args.output)
    questions = plan_survey(
        choose_pairs(args.task or loadable_tasks(), args.robot),
        levels=list(dict.fromkeys(args.level)),
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
