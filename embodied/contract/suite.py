"""All contracts, and a task tried against them."""

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

# (case, variant) -> raises an error where the case is broken. The variant is one of the
# contract's; a check without variants gets None, and ignores it.
Check = Callable[[Case, Any], None]


class Per(Enum):
    """How often a contract is tried."""

    TASK = "task"  # with the first robot
    ROBOT = "robot"  # with each robot
    MODE = "mode"  # with every case: each robot in its control mode


@dataclass(frozen=True)
class Contract:
    """Something that every task keeps to.

    Attributes:
        check: raises an error where a case does not keep to it; its name says what
            holds.
        per: how often it is tried.
        variants: what `check` is called with in turn, beside the case.
        is_long: whether it takes more than a few seconds.
    """

    check: Check
    per: Per = Per.MODE
    variants: tuple[Any, ...] = (None,)
    is_long: bool = False

    @property
    def title(self) -> str:
        """What holds, in words."""
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
    Contract(faults.a_bad_action_ends_only_its_world, variants=faults.BAD_VALUES),
    Contract(faults.a_diverging_world_is_flagged, Per.TASK, faults.DIVERGING),
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
    """One contract, tried with one case."""

    contract: Contract
    case: Case
    variant: Any = None

    def run(self) -> None:
        """Raises an error where the case does not keep to the contract."""
        self.contract.check(self.case, self.variant)

    def broken(self) -> str:
        """Returns why the case does not keep to the contract; "" if it does."""
        try:
            self.run()
        # The checkers of Gymnasium and Stable-Baselines3 raise the latter two.
        except (EmbodiedError, AssertionError, Warning) as error:
            lines = str(error).splitlines() or [type(error).__name__]
            return lines[0]
        except Exception as error:
            return in_one_line(error)
        return ""

    @property
    def where(self) -> str:
        """With what it is tried, in words."""
        words = []
        if self.contract.per != Per.TASK:
            words.append(self.case.robot)
        if self.contract.per == Per.MODE:
            words.append(self.case.mode)
        if self.variant is not None:
            parts = self.variant if isinstance(self.variant, tuple) else (self.variant,)
            words += [str(part) for part in parts]
        return ", ".join(words)


def trials_of(contract: Contract, cases: list[Case]) -> Iterator[Trial]:
    """Yields a contract with each of the cases of one task that it is tried with.

    Args:
        contract: what is tried.
        cases: of the task; several may have the same robot, in other control modes.
    """
    chosen = cases
    if contract.per != Per.MODE:
        # the control mode is the environments' own: it does not matter here
        robots = dict.fromkeys(case.robot for case in cases)
        chosen = [Case(cases[0].task, robot) for robot in robots]
    if contract.per == Per.TASK:
        chosen = chosen[:1]
    for case in chosen:
        for variant in contract.variants:
            yield Trial(contract, case, variant)


@dataclass(frozen=True)
class Finding:
    """How a task keeps to one contract."""

    contract: str  # what holds, in words
    reasons: tuple[str, ...]  # why it does not, with the case of each; empty if it does
    num_trials: int


def check_task(task: str, robots: tuple[str, ...] = ()) -> Iterator[Finding]:
    """Yields how a task keeps to each contract, one after the other.

    Args:
        task: the name of a registered task (see `embodied.envs.register_task`).
        robots: names or descriptions; all registered ones that fit if there are none.

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
