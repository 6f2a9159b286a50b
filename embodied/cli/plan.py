"""Plans what `embodied eval` measures: the cells of a suite, or of the flags."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from embodied.benchmark.contestants import Contestant, read_contestants
from embodied.benchmark.results import Condition, success_at_end
from embodied.benchmark.scenarios import Scenario
from embodied.benchmark.shift import parse_shift
from embodied.benchmark.statistics import CONFIDENCE
from embodied.benchmark.stopping import Against, StoppingRule, Until
from embodied.benchmark.suite import cells_at, find_suite
from embodied.benchmark.suite_plan import plan_suite
from embodied.benchmark.trials import TaskChoice, Trial, plan_trials
from embodied.cli import arguments
from embodied.cli.terms import evaluation_terms
from embodied.cli.timing import FLAGS, chosen_timings, idle_note
from embodied.cli.view_command import with_view_commands
from embodied.errors import EmbodiedError
from embodied.rollout.shards import split
from embodied.wording import counted

# defaults without a suite
EPISODES = 100
FIRST_SEED = 10_000
SPLIT = "train"
# flags that cannot be given with --suite, because the suite sets them
SET_BY_SUITE = ("seed", "split", "level", "stage", *FLAGS)
SHIFT_REASON = "--shift measures as many episodes as fill it: leave it out"
SLURM = "slurm"  # the value of --shard if the flag is given without a value
SLURM_INDEX = "SLURM_ARRAY_TASK_ID"  # SLURM's variable with the index in a job array


@dataclass(frozen=True)
class EvalPlan:
    """The cells to measure, and how.

    Attributes:
        trials: the cells to measure.
        suite: the entry `suite` of the provenance; empty without a suite.
        rules: one rule per trial, by which the trial may be stopped early; () for none.
        shard: the part of the seeds, e.g. "3/16"; "" for all seeds.
        note: a remark for the user; "" for none.
    """

    trials: list[Trial]
    suite: Mapping[str, Any] = field(default_factory=dict)
    rules: tuple[StoppingRule, ...] = ()
    shard: str = ""
    note: str = ""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of suites, stopping rules, shards and repetitions."""
    parser.add_argument(
        "--suite",
        metavar="NAME",
        help="measure a suite by its protocol (see `embodied list suites`), or FILE.toml",
    )

    # at most one rule that stops a cell early
    rule = parser.add_mutually_exclusive_group()
    rule.add_argument(
        "--until",
        type=float,
        metavar="SHARE",
        help="stop a cell when its interval is this narrow on both sides, e.g. 0.03; "
        "--episodes is then the most",
    )
    rule.add_argument(
        "--against",
        metavar="RESULTS",
        help="stop a cell when it is told apart from the same cell of another policy, by "
        "a test that may be repeated at any time; FOLDER:POLICY for one of several",
    )
    rule.add_argument(
        "--shift",
        metavar="TIME",
        help="measure episodes back to back until they fill a simulated time, e.g. 1h, "
        "and the mean time between failures",
    )

    # a part of the seeds, or a repetition of earlier results
    add_shard(parser)
    parser.add_argument(
        "--reproduce",
        type=Path,
        metavar="FILE",
        help="repeat the episodes of a results file, and say how many differ",
    )


def add_shard(parser: argparse.ArgumentParser) -> None:
    """Adds --shard."""
    parser.add_argument(
        "--shard",
        nargs="?",
        const=SLURM,
        metavar="K/N",
        help="measure the K-th of N parts of the seeds (no value: SLURM's array task)",
    )


def evaluation_plan(args: argparse.Namespace) -> EvalPlan:
    """Returns the plan that the arguments describe.

    Raises:
        EmbodiedError: a name does not exist, a number is invalid, or a flag would have no
            effect.
    """
    _require(args)
    if args.shift is not None:
        arguments.reject_flags(args, ("suite", "episodes"), SHIFT_REASON)
    if args.videos < 0:
        raise EmbodiedError(f"--videos must be at least 0, not {args.videos}")
    chosen = _plan_of_flags(args) if args.suite is None else _plan_of_suite(args)
    if args.shard is not None:
        chosen = _shard_plan(chosen, args)

    chosen = replace(chosen, trials=with_view_commands(chosen.trials))
    return replace(chosen, rules=_stopping_rules(chosen.trials, args))


def policy_names(args: argparse.Namespace) -> list[str]:
    """Returns the policies' names; `Path` makes `runs/totes/` equal to `runs/totes`."""
    return [str(Path(name)) for name in args.policy]


def _require(args: argparse.Namespace) -> None:
    """Raises EmbodiedError if a required argument is missing.

    argparse cannot check this, because --reproduce needs none of these arguments, and
    --suite needs no TASK.
    """
    needed = {"--policy": args.policy, "-o/--output": args.output}
    if args.suite is None:
        needed = {"TASK": args.task, **needed}
    missing = [name for name, value in needed.items() if value is None]
    if missing:
        raise EmbodiedError(
            f"the following arguments are required: {', '.join(missing)} "
            "(see `embodied eval --help`)"
        )


def _plan_of_flags(args: argparse.Namespace) -> EvalPlan:
    """Returns the plan without a suite: every policy at every level with every timing."""
    policies = policy_names(args)
    terms = evaluation_terms(policies, args.stage, args.level)
    notes = [idle_note(args, policies)]
    if terms.note:
        notes.append(f"measured {terms.note}; --stage and --level choose otherwise")

    task_choice = TaskChoice(
        args.task, args.split or SPLIT, args.robot, stage=terms.stage
    )
    trials = plan_trials(
        {name: name for name in policies},  # label in the results -> policy
        task_choice,
        terms.levels,
        timings=chosen_timings(args, policies),
        seeds=_cell_seeds(args),
        num_envs=args.num_envs,
    )
    return EvalPlan(trials, note="\n".join(filter(None, notes)))


def _plan_of_suite(args: argparse.Namespace) -> EvalPlan:
    """Returns the plan of --suite; with --episodes, only the first seeds of each cell."""
    suite = find_suite(args.suite)
    reason = f"the suite {suite.name} says it; leave it out, or leave out --suite"
    arguments.reject_flags(args, SET_BY_SUITE, reason)
    # `reject_flags` would also reject the default of --videos, 0, because that is not None
    arguments.reject_flags(args, ["videos"] if args.videos else [], "not with --suite")

    seeds = suite.seeds
    note = ""
    if args.episodes is not None:
        limited = argparse.Namespace(episodes=args.episodes, seed=seeds.start)
        seeds = arguments.seeds(limited)
        note = (
            f"{counted(len(seeds), 'episode')} per cell; the protocol of {suite.name} "
            f"{suite.version} asks for {len(suite.seeds)}"
        )

    cells = cells_at(suite, args.task, args.robot)
    trials = plan_suite(
        suite, cells, policy_names(args), seeds=seeds, num_envs=args.num_envs
    )
    return EvalPlan(trials, suite.stored(seeds), note=note)


def _cell_seeds(args: argparse.Namespace) -> range:
    """Returns the seeds of each cell, from --episodes and --seed, or --shift."""
    episodes = EPISODES if args.episodes is None else args.episodes
    if args.shift is not None:
        episodes = parse_shift(args.shift).most_episodes
    seed = FIRST_SEED if args.seed is None else args.seed
    return arguments.seeds(argparse.Namespace(episodes=episodes, seed=seed))


def _stopping_rules(
    trials: list[Trial], args: argparse.Namespace
) -> tuple[StoppingRule, ...]:
    """Returns the stopping rule of each trial; () without --until, --shift, --against."""
    if args.until is not None:
        return tuple(Until(args.until) for _ in trials)
    if args.shift is not None:
        return tuple(parse_shift(args.shift) for _ in trials)
    if args.against is None:
        return ()

    contestants = read_contestants([args.against])
    if len(contestants) > 1:
        names = ", ".join(contestant.name for contestant in contestants)
        raise EmbodiedError(
            f"--against {args.against} holds several policies ({names}): "
            f"name one, e.g. {args.against}:{contestants[0].name}"
        )
    # Bonferroni's correction: the probability that any of the decisions is false stays
    # at most 1 - CONFIDENCE
    alpha = (1 - CONFIDENCE) / len(trials)
    return tuple(_against(trial.condition, contestants[0], alpha) for trial in trials)


def _against(condition: Condition, other: Contestant, alpha: float) -> Against:
    """Returns the rule of --against, which stops a cell once two policies differ.

    Args:
        condition: the condition of the cell to be measured.
        other: the policy to compare with, which was measured before.
        alpha: the significance level of the test.

    Raises:
        EmbodiedError: the other policy was not measured in this cell, or not over all
            of its seeds.
    """
    scenario = Scenario.of(condition)
    cell = other.cells.get(scenario)
    if cell is None:
        known = "; ".join(scenario.description for scenario in other.cells)
        raise EmbodiedError(
            f"--against: {other.name} was not measured in {scenario.description}, but in {known}"
        )

    # seed -> success of the other policy, for all seeds of the new cell
    outcomes = {
        episode.seed: success_at_end(episode)
        for episode in cell.episodes
        if episode.seed in condition.seeds
    }
    if len(outcomes) < condition.num_episodes:
        measured = cell.condition.seeds
        raise EmbodiedError(
            f"--against: {other.name} was measured over the seeds {measured.start} to "
            f"{measured.stop - 1} in {scenario.description}: give --seed {measured.start} "
            f"and --episodes {len(measured)} or fewer"
        )
    return Against(other.name, outcomes, alpha)


def _shard_plan(chosen: EvalPlan, args: argparse.Namespace) -> EvalPlan:
    """Returns the plan of this process's shard: a part of the seeds of each cell."""
    rules = (args.until, args.against, args.shift)
    if any(rule is not None for rule in rules):
        raise EmbodiedError(
            "--shard measures a fixed part of the seeds: leave out --until, --against and "
            "--shift"
        )
    trials, shard = sharded(chosen.trials, args.shard)
    return replace(chosen, trials=trials, shard=shard)


def sharded(trials: Sequence[Trial], text: str) -> tuple[list[Trial], str]:
    """Returns the trials of a shard, and its name, e.g. "3/16".

    Args:
        trials: the trials with all seeds.
        text: the value of --shard.
    """
    number, count = parse_shard(text, os.environ)
    parts = []
    for trial in trials:
        # `split` gives the same parts on every machine, so shards do not overlap
        seeds = trial.condition.seeds
        if len(seeds) < count:
            raise EmbodiedError(
                f"--shard {number}/{count}: a cell has {counted(len(seeds), 'episode')}, "
                f"which make no {count} parts: use fewer shards, or more --episodes"
            )

        part = split(seeds, count)[number - 1]
        condition = replace(trial.condition, first_seed=part[0], num_episodes=len(part))
        parts.append(replace(trial, condition=condition))
    return parts, f"{number}/{count}"


def parse_shard(text: str, environment: Mapping[str, str]) -> tuple[int, int]:
    """Returns (number, count) of a shard, e.g. (3, 16) for "3/16".

    Args:
        text: the value of --shard; SLURM for the index of this process in a job array.
        environment: the environment variables of the process.

    Raises:
        EmbodiedError: the value is invalid, or SLURM's variables are not set.
    """
    if text == SLURM:
        if SLURM_INDEX not in environment:
            raise EmbodiedError(
                f"--shard without a value takes SLURM's array task, but {SLURM_INDEX} "
                "is not set: type the part, e.g. --shard 3/16"
            )
        # the indices of a job array may start anywhere, and increase in steps
        first = int(environment.get("SLURM_ARRAY_TASK_MIN", "0"))
        step = int(environment.get("SLURM_ARRAY_TASK_STEP", "1"))
        number = (int(environment[SLURM_INDEX]) - first) // step + 1
        return number, int(environment.get("SLURM_ARRAY_TASK_COUNT", "1"))

    number_text, _, count_text = text.partition("/")
    if not (number_text.isdecimal() and count_text.isdecimal()):
        raise EmbodiedError(f"--shard must be K/N, e.g. 3/16, not {text!r}")
    number = int(number_text)
    count = int(count_text)
    if not 1 <= number <= count:
        raise EmbodiedError(f"--shard {text}: the part must be from 1 to {count}")
    return number, count
