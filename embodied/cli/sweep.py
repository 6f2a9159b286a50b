"""`embodied sweep`: at which rate, delay, jitter and loss of plans a task breaks."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from embodied.benchmark.evaluation import episodes_left, evaluate
from embodied.benchmark.results import Results
from embodied.benchmark.results_file import resume_results
from embodied.benchmark.sweep_file import NAME, SweepRecord, sweep_record, write_sweep
from embodied.benchmark.sweep_page import write_sweep_page
from embodied.benchmark.trials import TaskChoice, Trial, plan_trials
from embodied.cli import arguments
from embodied.cli.eval import REPORT, RESULTS, trials_provenance
from embodied.cli.eval_table import results_table
from embodied.cli.output import claim_folder
from embodied.cli.plan import add_shard, sharded
from embodied.cli.progress import stages
from embodied.cli.terms import LEVEL, evaluation_terms
from embodied.cli.timing import AXES, add_timing, chosen_timings, idle_note
from embodied.cli.view_command import with_view_commands
from embodied.envs.own_tasks import typed_task
from embodied.policies.run_folder import INFO, read_info
from embodied.policies.training.config import MAX_AGE_S

HELP = """Find at which rate, delay, jitter and loss of plans a task breaks, and how: every value is measured with every
other, from the same starts. Writes results.json (after each cell), sweep.json with what was found, and report.html
with surfaces, curves, and the delay at which success halves. Runs that were trained on plans of different ages
(`embodied train --plan-age-ms`) become rows beside each other. --resume goes on with what is missing; more values, or
more --episodes, add to what there is. --shard measures a part, for `embodied merge`."""
EXAMPLE = """embodied sweep --task ToteTransfer --policy expert --planner-hz 1 2 4 8 --delay-ms 0 100 250 -o runs/sweep
  embodied sweep --task ToteTransfer --policy runs/young runs/old --delay-ms 0 100 250 500 -o runs/ages
  embodied sweep --task ToteTransfer --policy expert --freeze-s 0 0.5 1 --freeze-at-s 3 --episodes 20 -o runs/freezes
  embodied sweep --task ToteTransfer --policy expert_chunks --delay-ms 250 --bridge hold rtc residual -o runs/bridges
  embodied sweep --task ToteTransfer ParcelSort --policy expert --channel none edge-4g cloud-4g -o runs/channels"""
EPISODES = 100
FILES = (RESULTS, NAME, REPORT)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this verb's arguments."""
    # what is measured
    parser.add_argument(
        "--task",
        nargs="+",
        action="extend",
        required=True,
        metavar="TASK",
        type=typed_task,
        help=arguments.TASK_HELP,
    )
    parser.add_argument(
        "--policy",
        nargs="+",
        action="extend",
        required=True,
        help="names, run folders, or MODULE:NAME (see `embodied list policies`)",
    )
    parser.add_argument(
        "--robot",
        help="a robot's name, or the path of its description, such as six.toml "
        "(default: each task's first)",
    )
    parser.add_argument(
        "--level", help=f"how much varies: L1 to L4 (default: {LEVEL}, or a run's own)"
    )
    parser.add_argument(
        "--split",
        default="train",
        help="train; or a factor's name, for its held-out values (default: train)",
    )
    arguments.add_stage(parser)

    # episodes, output, timings of plans, and execution
    arguments.add_cell_episodes(parser, EPISODES)
    arguments.add_output(
        parser, "folder for the results and the report", metavar="FOLDER"
    )
    add_shard(parser)
    add_timing(parser, AXES)
    arguments.add_parallelism(parser)
    arguments.add_cluster(parser)
    arguments.add_resume_or_overwrite(parser)
    arguments.add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Measures the trials that the results lack, writes all files, prints the findings.

    A trial is one cell of the grid: a policy on a task with one timing of its plans.
    """
    trials, shard = grid_trials(args)
    provenance = replace(
        trials_provenance(trials, ["embodied", *args.words]), shard=shard
    )
    path = args.output / RESULTS
    try:
        with arguments.executor(args, args.episodes) as workers:
            claim_folder(args.output, FILES, args.resume, args.overwrite)
            kept_results = resume_results(path, provenance)
            progress = stages(args.json, episodes_left(kept_results, trials))
            results = evaluate(
                path, provenance, trials, workers=workers, stage=progress
            )
    except KeyboardInterrupt as stop:
        raise KeyboardInterrupt(arguments.resume_hint(args.words, stop)) from None

    record = write_findings(args.output, results)
    print(as_json(args.output) if args.json else as_text(record, results, args.output))
    return 0


def grid_trials(args: argparse.Namespace) -> tuple[list[Trial], str]:
    """Returns a trial for each cell of the grid, and the name of the shard.

    The name is e.g. "3/16"; it is "" if all seeds are measured.

    Raises:
        EmbodiedError: a name does not exist, a value is invalid, or a flag would have no
            effect.
    """
    policies = [str(Path(name)) for name in dict.fromkeys(args.policy)]
    levels = None if args.level is None else [args.level]
    terms = evaluation_terms(policies, args.stage, levels)
    timings = chosen_timings(args, policies)
    note = idle_note(args, policies)
    if note and not args.json:
        print(note, file=sys.stderr)

    seeds = arguments.seeds(args)
    trials = []
    for task in dict.fromkeys(args.task):
        task_choice = TaskChoice(task, args.split, args.robot, stage=terms.stage)
        labels = {name: name for name in policies}  # a policy's label is its name
        trials += plan_trials(
            labels,
            task_choice,
            terms.levels,
            timings=timings,
            seeds=seeds,
            num_envs=args.num_envs,
        )

    # A delay of 0 cannot be spread, so with this delay all values of --jitter give the
    # same condition: keep one trial of each condition.
    trials = list({trial.condition: trial for trial in trials}.values())
    shard = ""
    if args.shard is not None:
        trials, shard = sharded(trials, args.shard)
    return with_training_ages(with_view_commands(trials)), shard


def with_training_ages(trials: Sequence[Trial]) -> list[Trial]:
    """Adds to the labels the ages of plans in training, if the policies differ in them."""
    # policy -> the ages of plans in its training, as text; "" if none are known
    ages = {
        trial.condition.policy: training_ages(trial.condition.policy)
        for trial in trials
    }
    distinct_ages = {text for text in ages.values() if text}
    if len(distinct_ages) < 2:
        return list(trials)

    labelled = []
    for trial in trials:
        age_text = ages[trial.condition.policy]
        label = f"{trial.label}, {age_text}" if age_text else trial.label
        labelled.append(replace(trial, label=label))
    return labelled


def training_ages(policy: str) -> str:
    """Returns the ages of plans in the training of a run, in words.

    The text is "" for a policy that is not a run of imitation learning, and for a single
    system, whose training knows no such ages.
    """
    folder = Path(policy)
    if not (folder / INFO).exists():
        return ""
    training = read_info(folder).get("training") or {}
    if training.get("method") != "imitation":
        return ""
    if training.get("system", "dual") != "dual":
        return ""
    # without an entry, the run was trained with the default range
    youngest_s, oldest_s = training.get("plan_age_s") or (0.0, MAX_AGE_S)
    return f"trained on plans {1000 * youngest_s:g} to {1000 * oldest_s:g} ms old"


def write_findings(folder: Path, results: Results) -> SweepRecord:
    """Writes the findings of a sweep as JSON and as a page; returns them."""
    record = sweep_record(results)
    write_sweep(folder / NAME, record)
    write_sweep_page(folder / REPORT, results)
    return record


def as_json(folder: Path) -> str:
    """Returns the findings and the paths of the files as JSON."""
    content = json.loads((folder / NAME).read_text(encoding="utf-8"))
    names = {"results": RESULTS, "sweep": NAME, "report": REPORT}
    paths = {name: str(folder / file) for name, file in names.items()}
    return json.dumps({**paths, **content}, indent=2)


def as_text(record: SweepRecord, results: Results, folder: Path) -> str:
    """Returns a table of the cells, the findings, and the paths of the files."""
    lines = [results_table(results), f"{record.headline}."]
    for panel in record.panels:
        lines += [f"- {sentence}" for sentence in panel.findings]
    lines += [f"- {recovery.finding}" for recovery in record.recoveries]
    lines += [f"- {sentence}" for sentence in record.references]
    lines.append(", ".join(str(folder / name) for name in FILES))
    return "\n".join(lines)
