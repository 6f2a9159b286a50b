"""All contracts, and their check of a task."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any

from embodied.contract import (
    faults,
    interfaces,
    judging,
    lifetimes,
    objects,
    repeating,
    starts,
    tables,
)
from embodied.contract.case import Case, cases_of
from embodied.envs.registry import get_task
from embodied.envs.variation import LEVELS
from embodied.errors import EmbodiedError, in_one_line

# Raises an error if the case breaks the contract. It is called as check(case), or as
# check(case, variant) for a contract with variants.
Check = Callable[..., None]


class Per(Enum):
    """How often a contract is checked for one task."""

    TASK = "task"  # once, with the first robot
    ROBOT = "robot"  # with each robot
    MODE = "mode"  # with each case, that is each robot in its control mode


@dataclass(frozen=True)
class Contract:
    """A property that every task must have.

    Attributes:
        check: raises an error if a case breaks the contract; its name states the
            property.
        per: how often it is checked.
        variants: values of the second argument of `check`, one trial for each; (None,)
            if `check` takes only the case.
        is_long: whether a trial takes more than a few seconds.
    """

    check: Check
    per: Per = Per.MODE
    variants: tuple[Any, ...] = (None,)
    is_long: bool = False

    @property
    def title(self) -> str:
        """The property in words."""
        return self.check.__name__.replace("_", " ")


CONTRACTS = (
    Contract(tables.held_out_parts_are_disjoint, Per.TASK),
    Contract(tables.instructions_are_whole, Per.TASK, ("train", "all")),
    Contract(interfaces.passes_gymnasiums_checker),
    Contract(
        interfaces.passes_gymnasiums_checker_with_pixels, Per.TASK, ("pixels", "both")
    ),
    Contract(interfaces.passes_stable_baselines_checker),
    Contract(interfaces.observations_are_within_bounds),
    Contract(repeating.the_same_seed_gives_the_same_bits),
    Contract(repeating.a_world_alone_is_the_world_among_sixteen),
    Contract(repeating.two_threads_give_the_bits_of_one),
    Contract(repeating.consecutive_resets_differ, Per.TASK),
    Contract(repeating.a_reset_forgets_the_episode_before, Per.TASK),
    Contract(repeating.a_recorded_start_gives_the_same_bits, variants=LEVELS),
    Contract(repeating.a_world_continues_from_a_snapshot),
    Contract(faults.a_bad_action_ends_only_its_world),
    Contract(faults.a_diverging_world_is_flagged, Per.TASK),
    Contract(faults.a_world_that_broke_costs_no_more, Per.TASK),
    Contract(lifetimes.worlds_are_freed_once_nothing_refers_to_them, Per.ROBOT),
    Contract(starts.starts_are_clear_and_unsolved, Per.ROBOT, starts.LEVELS_AND_SPLITS),
    Contract(starts.all_proprioception_is_alive, Per.ROBOT, is_long=True),
    Contract(starts.every_observed_element_is_alive, Per.TASK, is_long=True),
    Contract(objects.objects_of_subtasks_are_poses, Per.ROBOT),
    Contract(judging.state_and_judgement_run_on_torch, Per.TASK),
    Contract(judging.control_runs_on_torch),
    Contract(judging.the_expert_succeeds_and_is_judged_again, Per.ROBOT, is_long=True),
)


@dataclass(frozen=True)
class Trial:
    """One check of a contract with one case: a task, a robot and a control mode."""

    contract: Contract
    case: Case
    variant: Any = None  # None for a contract without variants

    def run(self) -> None:
        """Raises an error if the case breaks the contract."""
        if self.variant is None:
            self.contract.check(self.case)
        else:
            self.contract.check(self.case, self.variant)

    def broken(self) -> str:
        """Returns how the case breaks the contract; "" if it does not."""
        try:
            self.run()
        # the checkers of Gymnasium and Stable-Baselines3 raise assertions and warnings
        except (EmbodiedError, AssertionError, Warning) as error:
            lines = str(error).splitlines() or [type(error).__name__]
            return lines[0]
        except Exception as error:
            return in_one_line(error)
        return ""

    @property
    def where(self) -> str:
        """Robot, control mode and variant of the trial, in words."""
        texts = []
        if self.contract.per != Per.TASK:
            texts.append(self.case.robot)
        if self.contract.per == Per.MODE:
            texts.append(self.case.mode)
        if self.variant is not None:
            parts = self.variant if isinstance(self.variant, tuple) else (self.variant,)
            texts += [str(part) for part in parts]
        return ", ".join(texts)


def trials_of(contract: Contract, cases: list[Case]) -> Iterator[Trial]:
    """Yields the trials of a contract for one task.

    Args:
        contract: the contract to check.
        cases: cases of the task; several may have the same robot in different control modes.
    """
    chosen = cases
    if contract.per != Per.MODE:
        # each robot once, in the default control mode
        robots = dict.fromkeys(case.robot for case in cases)
        chosen = [Case(cases[0].task, robot) for robot in robots]
    if contract.per == Per.TASK:
        chosen = chosen[:1]
    for case in chosen:
        for variant in contract.variants:
            yield Trial(contract, case, variant)


@dataclass(frozen=True)
class Finding:
    """The result of checking one contract for a task."""

    contract: str  # the property in words
    reasons: tuple[str, ...]  # how trials break it, each with its case; () if none does
    num_trials: int


def check_task(task: str, robots: tuple[str, ...] = ()) -> Iterator[Finding]:
    """Checks a task against all contracts; yields the finding of each one.

    Args:
        task: name of a registered task (see `embodied.envs.register_task`).
        robots: names of robots, or paths of their descriptions; () for all registered
            robots that fit the task.

    Raises:
        EmbodiedError: there is no such task or robot, or no robot fits the task.
    """
    cases = cases_of(task, robots)
    if not cases:
        needs = get_task(task).needs
        raise EmbodiedError(f"task {task}: no registered robot meets its {needs}")
    for contract in CONTRACTS:
        reasons = []
        trials = list(trials_of(contract, cases))
        for trial in trials:
            reason = trial.broken()
            if reason:
                reasons.append(f"{trial.where}: {reason}" if trial.where else reason)
        yield Finding(contract.title, tuple(reasons), len(trials))
