"""`embodied survey`: every task's expert and cost, measured, as a page."""

from __future__ import annotations

import argparse
import shlex
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from embodied.benchmark.provenance import host_facts
from embodied.benchmark.survey import (
    Cost,
    Question,
    Success,
    Survey,
    choose_pairs,
    measure_cost,
    measure_success,
    plan_questions,
)
from embodied.benchmark.survey_file import read_survey, write_survey
from embodied.benchmark.survey_page import survey_page
from embodied.cli import arguments
from embodied.cli.output import require_writable
from embodied.cli.progress import stages
from embodied.envs.registry import task_names
from embodied.errors import EmbodiedError
from embodied.files import replace_text
from embodied.rollout.shards import Workers

HELP = """Measure the training ground: how often each task's expert succeeds with each robot at each level, with 95%
intervals, and what each task costs. Writes a page of tables, and beside it a JSON file that has the failed seeds too.

Each figure is kept as soon as it is there. --resume measures what is missing, or was measured with other code or
versions; --overwrite measures what is asked anew, and keeps what is not asked."""
EXAMPLE = """embodied survey
  embodied survey --task ToteTransfer --level L4 --episodes 50 --no-costs -o runs/survey.md"""
LEVELS = ("L2", "L3", "L4")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this verb's arguments."""
    parser.add_argument("--task", nargs="+", metavar="TASK", help="default: all")
    parser.add_argument(
        "--robot", nargs="+", metavar="ROBOT", help="default: all that each task knows"
    )
    parser.add_argument("--level", nargs="+", default=LEVELS, help="default: L2 L3 L4")
    parser.add_argument(
        "--episodes", type=int, default=200, help="in each cell (default: 200)"
    )
    parser.add_argument(
        "--seed", type=int, default=10_000, help="of the first episode (default: 10000)"
    )
    parser.add_argument(
        "--no-costs", action="store_true", help="leave out what the tasks cost"
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path("docs/ground.md"),
        metavar="FILE",
        help="default: docs/ground.md",
    )
    arguments.add_speed(parser)
    arguments.add_existing(parser)
    arguments.add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Measure what is missing, and write the page after each figure."""
    book = args.output.with_suffix(".json")
    if args.output == book:
        raise EmbodiedError(
            f"{args.output} must not end in .json: the page is for people, its figures lie beside it"
        )
    require_writable(args.output)
    pairs = choose_pairs(args.task or task_names(), args.robot)
    seeds = arguments.seeds(args)
    questions = plan_questions(
        pairs, list(dict.fromkeys(args.level)), seeds, not args.no_costs
    )
    survey = _known(book, questions, args)
    try:
        with Workers(arguments.workers(args, args.episodes)) as workers:
            survey = _measure(survey, questions, workers, args)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(arguments.resume_hint(args.words)) from None
    print(
        book.read_text(encoding="utf-8")
        if args.json
        else args.output.read_text(encoding="utf-8"),
        end="",
    )
    return 0


def _known(book: Path, questions: list[Question], args: argparse.Namespace) -> Survey:
    """What need not be measured again."""
    if not book.exists():
        return Survey()
    if not (args.resume or args.overwrite):
        raise EmbodiedError(
            f"{book} exists: --resume to go on with it, --overwrite, or another name after -o"
        )
    known = read_survey(book)
    return known.without(questions) if args.overwrite else known


def _measure(
    survey: Survey,
    questions: list[Question],
    workers: Workers,
    args: argparse.Namespace,
) -> Survey:
    missing = survey.missing(questions)
    stage = stages(args.json)
    if missing:
        survey = _signed(survey, ["embodied", *args.words])
    for k, question in enumerate(missing, start=1):
        title = f"{k}/{len(missing)} {question.subject.task} {question.subject.robot}"
        if question.level is None:
            if not args.json:
                print(f"{title} cost", file=sys.stderr)
            finding: Success | Cost = measure_cost(question)
        else:
            finding = measure_success(question, title, workers, stage, args.num_envs)
        survey = survey.with_answer(question, finding)
        _write(survey, args.output)
    _write(survey, args.output)
    return survey


def _signed(survey: Survey, words: list[str]) -> Survey:
    """With this command and its day, once."""
    command = shlex.join(
        [word for word in words if word not in ("--resume", "--overwrite", "--json")]
    )
    made = (datetime.now(UTC).date().isoformat(), command)
    commands = (*(known for known in survey.commands if known[1] != command), made)
    return replace(survey, commands=commands, host=host_facts())


def _write(survey: Survey, page: Path) -> None:
    book = page.with_suffix(".json")
    page.parent.mkdir(parents=True, exist_ok=True)
    write_survey(book, survey)
    replace_text(page, survey_page(survey, choose_pairs(task_names(), None), book.name))
