"""`embodied eval`: measures the success of policies over seeds, levels and delays."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from embodied.benchmark import footage, views
from embodied.benchmark.board import make_board
from embodied.benchmark.board_page import write_board_page
from embodied.benchmark.board_text import NO_CERTIFICATE, duel_lines, ranking_lines
from embodied.benchmark.contestants import read_contestants
from embodied.benchmark.evaluation import episodes_left, evaluate
from embodied.benchmark.provenance import collect_provenance
from embodied.benchmark.report import Report, write_report
from embodied.benchmark.results import Provenance, Results
from embodied.benchmark.results_code import results_code_hash
from embodied.benchmark.results_file import resume_results
from embodied.benchmark.trials import Trial
from embodied.cli import arguments, plan, reproduce
from embodied.cli.eval_table import comparisons, failed_seeds, results_table, shifts
from embodied.cli.output import claim_folder
from embodied.cli.progress import CountProgress, stages
from embodied.cli.terms import LEVEL
from embodied.cli.timing import EVAL_AXES, add_timing
from embodied.envs.config import EnvConfig
from embodied.envs.registry import get_task
from embodied.envs.worlds import Worlds
from embodied.policies.registry import find_policy
from embodied.rollout.executor import Executor
from embodied.rollout.shards import Stage

HELP = """Measure how often policies succeed over many seeds, with 95% intervals. Every policy is measured with every
delay, from the same starts. Writes results.json (after each cell) and report.html. A run that `embodied train --algo`
wrote is measured at the stage and level that it learned, unless --stage or --level say otherwise. --resume goes on with
the episodes that are missing; with more --episodes it adds to those that there are.

--suite measures the cells of a suite by its protocol (`embodied list suites`), those of one TASK or --robot alone where
it is given; `{task}` and `{robot}` in a policy's name stand for a cell's own. --until and --against stop a cell as soon
as its data allows. --shard measures a part of the seeds, for `embodied merge`. --reproduce repeats a results file.

--delay-ms is simulated as transport: each plan arrives that much later, but plans still follow each other at the
planner's rate. --compute-ms keeps the planner busy: the next plan begins only when the last one is done."""
EXAMPLE = """embodied eval ToteTransfer --policy expert random --level L1 --episodes 50 -o runs/eval
  embodied eval ToteTransfer --policy runs/totes --level L2 --delay-ms 0 100 250 500 -o runs/delays
  embodied eval ToteTransfer --policy runs/totes --delay-ms 100 --jitter 0.5 --freeze-s 1 --freeze-hz 0.1 -o runs/jitter
  embodied eval ToteTransfer --policy runs/totes --channel edge-4g -o runs/cloud
  embodied eval --suite handling --policy expert 'runs/{task}-{robot}' -o runs/handling
  embodied eval ToteTransfer --policy runs/totes --episodes 2000 --against runs/a:expert -o runs/b
  embodied eval ToteTransfer --policy expert --shift 1h -o runs/shift
  embodied eval --reproduce runs/eval/results.json"""
RESULTS = "results.json"
REPORT = "report.html"
# the fields of a failed episode that `--json` prints
FAILED = ("seed", "ended", "fault", "duration_s", "subtask", "stage", "progress_max")
TRANSPORT = (
    "Planner delay is simulated as transport: plans arrive later, but follow each other at the planner's rate all the"
    " same."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this verb's arguments."""
    arguments.add_scene(parser, optional=True)
    _add_cells(parser)
    _add_output(parser)
    plan.add_arguments(parser)
    add_timing(parser, EVAL_AXES)
    arguments.add_parallelism(parser)
    arguments.add_cluster(parser)
    arguments.add_resume_or_overwrite(parser)
    arguments.add_json(parser)


def _add_cells(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments that say what to measure: policies, episodes, levels and stage."""
    parser.add_argument(
        "--policy",
        nargs="+",
        help="names, run folders, MODULE:NAME or remote:HOST:PORT (see `embodied list policies`)",
    )
    arguments.add_cell_episodes(parser, default=100)  # 100 only for the help
    # None stands for a flag that was not given: `plan` sets the default, and rejects some
    # of these flags together with --suite
    parser.set_defaults(episodes=None, seed=None, split=None)
    parser.add_argument(
        "--level",
        nargs="+",
        help=f"how much varies: L1 to L4 (default: {LEVEL}, or a run's own)",
    )
    arguments.add_stage(parser)


def _add_output(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments that say where to write the report, and what to film for it."""
    arguments.add_output(
        parser,
        "folder for the results and the report",
        metavar="FOLDER",
        required=False,
    )

    parser.add_argument(
        "--videos",
        type=int,
        default=0,
        metavar="N",
        help="film N successes and N failures of each policy at each level",
    )


def run(args: argparse.Namespace) -> int:
    """Measures what the results lack, writes results and report, and prints the results."""
    if args.reproduce is not None:
        return reproduce.run(args)

    chosen = plan.evaluation_plan(args)
    if chosen.note and not args.json:
        print(chosen.note, file=sys.stderr)

    trials = chosen.trials
    provenance = replace(
        trials_provenance(trials, ["embodied", *args.words], quiet=args.json),
        suite=chosen.suite,
        shard=chosen.shard,
    )
    episodes = trials[0].condition.num_episodes  # few episodes need few processes
    try:
        with arguments.executor(args, episodes) as workers:
            claim_folder(args.output, (RESULTS, REPORT), args.resume, args.overwrite)
            path = args.output / RESULTS
            progress = _progress(args, resume_results(path, provenance), trials)
            results = evaluate(
                path,
                provenance,
                trials,
                workers=workers,
                stage=progress,
                rules=chosen.rules,
            )
            write_page(args, results, trials, workers=workers, stage=progress)
    except KeyboardInterrupt as stop:
        raise KeyboardInterrupt(arguments.resume_hint(args.words, stop)) from None

    print(as_json(args.output) if args.json else as_text(results, args.output))
    return 0


def _progress(
    args: argparse.Namespace, kept_results: Results, trials: Sequence[Trial]
) -> Stage:
    """Returns the progress of the evaluation, with the time of all cells if several."""
    several = len(trials) > 1
    return stages(args.json, episodes_left(kept_results, trials) if several else None)


def write_page(
    args: argparse.Namespace,
    results: Results,
    trials: list[Trial],
    workers: Executor,
    stage: Stage,
) -> None:
    """Writes the report; for a suite it is a leaderboard with profiles."""
    if args.suite is not None:
        board = make_board(read_contestants([str(args.output)]))
        write_board_page(args.output / REPORT, board)
        return
    report = evaluation_report(args, results, trials, workers, stage)
    write_report(args.output / REPORT, report)


def trials_provenance(
    trials: list[Trial], command: list[str], *, quiet: bool = False
) -> Provenance:
    """Returns the provenance of results: MuJoCo models, code, rates, versions, machine.

    Several models take a while, so their progress is shown.

    Args:
        trials: the cells to measure; the rates are those of the first cell.
        command: the words of the command.
        quiet: whether to show no progress.
    """
    # task and robot -> config of their worlds
    configs: dict[str, EnvConfig] = {}
    for trial in trials:
        configs.setdefault(trial.condition.task_with_robot, trial.runner.config)

    # task and robot -> metadata of their worlds, hash of the model, hash of the code
    metadata = {}
    models = {}
    code = {}
    hidden = quiet or len(configs) == 1
    with CountProgress("models", len(configs), "model", quiet=hidden) as progress:
        for name, config in configs.items():
            with closing(Worlds(config)) as worlds:
                metadata[name] = worlds.metadata()
                models[name] = metadata[name]["model_hash"]
                code[name] = results_code_hash(worlds)
            progress()

    first = trials[0]
    rates = {
        "planner_hz": first.condition.planner_hz,
        "control_hz": first.condition.control_hz,
        "camera_hz": first.runner.config.camera_hz,
    }
    facts = metadata[first.condition.task_with_robot]
    if len(metadata) > 1:
        # for several tasks or robots, join their names and hashes, and drop all other
        # metadata, because they differ
        facts = {}
        for name in ("task", "robot", "robot_hash"):
            values = [
                str(entries[name]) for entries in metadata.values() if name in entries
            ]
            if values:  # robots that are composed in Python have no hash
                facts[name] = ", ".join(dict.fromkeys(values))
    provenance = collect_provenance(facts, rates, command)
    return replace(provenance, models=models, code=code)


def evaluation_report(
    args: argparse.Namespace,
    results: Results,
    trials: list[Trial],
    workers: Executor,
    stage: Stage,
) -> Report:
    """Films episodes for --videos; returns the report."""
    summary = f"{get_task(args.task).summary.capitalize()}. {TRANSPORT}"
    # of each policy, only the trial with the least impaired plans is filmed
    films = footage.film_trials(
        results, footage.least_impaired(results, trials), args.videos, workers, stage
    )
    # the report is about the first policy with weights, if there is one
    names = plan.policy_names(args)
    trained = [name for name in names if find_policy(name).weights_hash]
    subject = views.report_subject(results, trained[0] if trained else "")
    return Report(results, subject=subject, summary=summary, videos=films)


def as_json(folder: Path) -> str:
    """Returns the results as JSON, without successful episodes, and the files' paths."""
    content = json.loads((folder / RESULTS).read_text(encoding="utf-8"))
    # the checksum is of the complete file, and so does not fit this part of it
    for name in ("unfinished", "checksum"):
        content.pop(name, None)
    for cell in content["cells"]:
        episodes = cell.pop("episodes")
        cell["failed"] = [
            _failure_fields(episode)
            for episode in episodes
            if not episode["success_at_end"]
        ]
    files = {"results": str(folder / RESULTS), "report": str(folder / REPORT)}
    return json.dumps({**files, **content}, indent=2)


def _failure_fields(episode: dict[str, Any]) -> dict[str, Any]:
    """Returns the fields of an episode that describe its failure."""
    return {name: episode[name] for name in FAILED}


def as_text(results: Results, folder: Path) -> str:
    """Returns a table of the cells, the comparisons, and the paths of the files."""
    lines = [results_table(results)]
    if results.provenance.suite:
        lines += _board_lines(folder)
    else:
        lines += [*comparisons(results), *shifts(results), *failed_seeds(results)]
    lines.append(f"{folder / RESULTS}, {folder / REPORT}")
    return "\n".join(lines)


def _board_lines(folder: Path) -> list[str]:
    """Returns the ranking and the comparisons of the policies of a suite."""
    board = make_board(read_contestants([str(folder)]))
    return [*ranking_lines(board), *duel_lines(board), NO_CERTIFICATE]
