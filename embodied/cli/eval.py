"""`embodied eval`: how often policies succeed, and what delay does to them."""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

from embodied.benchmark import footage, views
from embodied.benchmark.evaluation import Place, Trial, evaluate, plan_trials
from embodied.benchmark.provenance import collect_provenance
from embodied.benchmark.report import Report, write_report
from embodied.benchmark.results import Provenance, Results
from embodied.cli import arguments
from embodied.cli.eval_table import comparisons, failed_seeds, results_table
from embodied.cli.output import claim_folder
from embodied.cli.progress import stages
from embodied.cli.terms import LEVEL, Terms, terms_of
from embodied.cli.timing import add_timing, idle_note, timings_of
from embodied.cli.view_command import with_view_commands
from embodied.envs.registry import get_task
from embodied.envs.worlds import Worlds
from embodied.errors import EmbodiedError
from embodied.policies.registry import find_policy
from embodied.rollout.shards import Stage, Workers

HELP = """Measure how often policies succeed over many seeds, with 95% intervals. Every policy is measured with every
delay, from the same starts. Writes results.json (after each cell) and report.html. A run that `embodied train --algo`
wrote is measured at the stage and level that it learned, unless --stage or --level say otherwise. --resume goes on with
the episodes that are missing; with more --episodes it adds to those that there are.

--delay-ms is simulated as transport: each plan arrives that much later, but plans still follow each other at the
planner's rate. --compute-ms keeps the planner busy: the next plan begins only when the last one is done."""
EXAMPLE = """embodied eval ToteTransfer --policy expert random --level L1 --episodes 50 -o runs/eval
  embodied eval ToteTransfer --policy runs/totes --level L2 --delay-ms 0 100 250 500 -o runs/delays
  embodied eval ToteTransfer --policy runs/totes --delay-ms 100 --jitter 0.5 --freeze-s 1 --freeze-hz 0.1 -o runs/jitter
  embodied eval ToteTransfer --policy runs/totes --latency b100_4g -o runs/cloud"""
RESULTS = "results.json"
REPORT = "report.html"
# what `--json` prints of a failed episode; `view` of its cell shows it, with `--seed`
FAILED = ("seed", "ended", "fault", "duration_s", "subtask", "stage", "progress_max")
TRANSPORT = (
    "Planner delay is simulated as transport: plans arrive later, but follow each other at the planner's rate all the"
    " same."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this verb's arguments."""
    arguments.add_scene(parser)
    _add_cells(parser)
    _add_output(parser)
    add_timing(parser, sweep=True)
    arguments.add_speed(parser)
    arguments.add_existing(parser)
    arguments.add_json(parser)


def _add_cells(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--policy",
        nargs="+",
        required=True,
        help="names, run folders, or MODULE:NAME (see `embodied list policies`)",
    )
    arguments.add_cell_episodes(parser, default=100)
    parser.add_argument(
        "--level",
        nargs="+",
        help=f"how much varies: L1 to L4 (default: {LEVEL}, or a run's own)",
    )
    arguments.add_stage(parser)


def _add_output(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        required=True,
        metavar="FOLDER",
        help="folder for the results and the report",
    )
    parser.add_argument(
        "--videos",
        type=int,
        default=0,
        metavar="N",
        help="film N successes and N failures of each policy at each level",
    )


def run(args: argparse.Namespace) -> int:
    """Measures the missing cells, writes results and report, and prints the results."""
    terms = terms_of(policies_of(args), args.stage, args.level)
    trials = trials_of(args, terms)
    if terms.note and not args.json:
        print(
            f"measured {terms.note}; --stage and --level choose otherwise",
            file=sys.stderr,
        )

    note = idle_note(args, policies_of(args))
    if note and not args.json:
        print(note, file=sys.stderr)

    provenance = provenance_of(trials, ["embodied", *args.words])
    stage = stages(args.json)
    try:
        with Workers(arguments.workers(args, args.episodes)) as workers:
            claim_folder(args.output, (RESULTS, REPORT), args.resume, args.overwrite)
            results = evaluate(
                args.output / RESULTS, provenance, trials, workers, stage
            )
            report = report_of(args, results, trials, workers, stage)
    except KeyboardInterrupt as stop:
        raise KeyboardInterrupt(arguments.resume_hint(args.words, stop)) from None

    write_report(args.output / REPORT, report)
    print(as_json(args.output) if args.json else as_text(results, args.output))
    return 0


def policies_of(args: argparse.Namespace) -> list[str]:
    """Returns the policies' names; `runs/totes/` is the same run as `runs/totes`."""
    return [str(Path(name)) for name in args.policy]


def trials_of(args: argparse.Namespace, terms: Terms) -> list[Trial]:
    """Returns the trials asked for: each policy at each level with each timing.

    Raises:
        EmbodiedError: a name does not exist, or a number makes no sense.
    """
    if args.videos < 0:
        raise EmbodiedError(f"--videos must be at least 0, not {args.videos}")
    policies = policies_of(args)
    labels = {name: name for name in policies}  # here a name is its own label
    trials = plan_trials(
        labels,
        Place(args.task, args.split, args.robot, terms.stage),
        terms.levels,
        timings_of(args, policies),
        arguments.seeds(args),
        num_envs=args.num_envs,
    )
    return with_view_commands(trials)


def provenance_of(trials: list[Trial], command: list[str]) -> Provenance:
    """Returns where the results come from, with the first policy's rates."""
    first = trials[0]
    with closing(Worlds(first.runner.config)) as worlds:
        metadata = worlds.metadata()
    rates = {
        "planner_hz": first.condition.planner_hz,
        "control_hz": first.condition.control_hz,
        "camera_hz": first.runner.config.camera_hz,
    }
    return collect_provenance(metadata, rates, command)


def report_of(
    args: argparse.Namespace,
    results: Results,
    trials: list[Trial],
    workers: Workers,
    stage: Stage,
) -> Report:
    """Films what was asked for; returns what the report shows."""
    summary = f"{get_task(args.task).summary.capitalize()}. {TRANSPORT}"
    # Of each policy only the trial with the least delay and loss is filmed.
    films = footage.film_trials(
        results, footage.least_hindered(results, trials), args.videos, workers, stage
    )
    # The report is about the first policy that has weights, if any has.
    trained = [name for name in policies_of(args) if find_policy(name).weights_hash]
    subject = views.subject_of(results, trained[0] if trained else "")
    return Report(results, subject=subject, summary=summary, videos=films)


def as_json(folder: Path) -> str:
    """Returns the results file with failed episodes alone, and where the files are."""
    content = json.loads((folder / RESULTS).read_text(encoding="utf-8"))
    content.pop("unfinished", None)
    for cell in content["cells"]:
        episodes = cell.pop("episodes")
        cell["failed"] = [_brief(e) for e in episodes if not e["success_at_end"]]
    places = {"results": str(folder / RESULTS), "report": str(folder / REPORT)}
    return json.dumps({**places, **content}, indent=2)


def _brief(episode: dict[str, Any]) -> dict[str, Any]:
    """Returns what tells which episode failed, how and where."""
    return {name: episode[name] for name in FAILED}


def as_text(results: Results, folder: Path) -> str:
    """Returns a table of the cells, the comparisons, and where the files are."""
    lines = [results_table(results), *comparisons(results), *failed_seeds(results)]
    lines.append(f"{folder / RESULTS}, {folder / REPORT}")
    return "\n".join(lines)
