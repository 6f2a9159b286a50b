"""`embodied check-task`: each contract finds the mistake that it is there for."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from embodied.cli import check_task as verb
from embodied.contract import suite
from embodied.contract.case import Case
from embodied.contract.suite import CONTRACTS, Contract, Trial
from embodied.envs.own_tasks import register_task
from embodied.envs.task import Outcome, TaskSpec
from embodied.envs.variation import row
from embodied.errors import EmbodiedError
from tests.commands import embodied, refused
from tests.own_tasks import FILE, cube_to_plate, own_tasks_forgotten, with_method


@pytest.fixture(scope="module")
def cube() -> TaskSpec:
    with own_tasks_forgotten():
        return cube_to_plate()


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    with own_tasks_forgotten():
        yield


def contract(name: str) -> Contract:
    (found,) = (one for one in CONTRACTS if one.check.__name__ == name)
    return found


def broken(spec: TaskSpec, name: str, variant: Any = None) -> str:
    """Why a task does not keep to a contract."""
    register_task(spec)
    return Trial(contract(name), Case(spec.name, "arm"), variant).broken()


def start_with(change: Callable[[Any, int], None]) -> Callable[..., dict[str, Any]]:
    """A method `start` that does something more."""

    def start(self: Any, world: int, seed: int, variation: Any) -> dict[str, Any]:
        sampled = type(self).__mro__[1].start(self, world, seed, variation)
        change(self, world)
        return sampled

    return start


def unseeded(self: Any, world: int) -> None:
    self.cube.place(world, (0.5, np.random.default_rng().uniform(-0.2, 0), 0.75))


def sunken(self: Any, world: int) -> None:
    self.cube.place(world, (0.5, -0.15, 0.71))


def judge_at_once(self: Any) -> Outcome:
    every = np.ones(self.engine.num_worlds, bool)
    return Outcome(success=every, progress=every * 1.0, lost=~every)


def judge_in_numpy(self: Any) -> Outcome:
    height = np.asarray(self.cube.pos_w())[:, 2]
    success = height > 5
    return Outcome(success=success, progress=success * 0.5, lost=success)


def judge_across_worlds(self: Any) -> Outcome:
    """Its progress depends on how many worlds there are."""
    outcome = type(self).__mro__[1].judge(self)
    return replace(outcome, progress=outcome.progress * 0 + outcome.progress.mean())


def judge_by_what_is_remembered(self: Any) -> Outcome:
    """It counts in an attribute that `memory` does not name."""
    outcome = type(self).__mro__[1].judge(self)
    self.calls = getattr(self, "calls", 0) + 1
    return replace(outcome, progress=outcome.progress * 0.9 ** min(self.calls, 40))


@pytest.mark.parametrize(
    ("method", "value", "name", "variant", "said"),
    [
        ("start", start_with(unseeded), "the_same_seed_gives_the_same_bits", None,
         "two runs of the same seeds differ in "),
        ("start", start_with(sunken), "starts_are_clear_and_unsolved", ("L3", "train"),
         "seed 1000: 'table' and 'cube' overlap by"),
        ("judge", judge_at_once, "starts_are_clear_and_unsolved", ("L3", "train"),
         "seed 1000 starts as success"),
        ("judge", judge_in_numpy, "state_and_judgement_run_on_torch", None,
         "judge: success is a ndarray on torch: use engine.xp, not numpy"),
        ("judge", judge_across_worlds, "a_world_alone_is_the_world_among_sixteen", None,
         "a world among 16 and the same alone differ in reward after 1 step"),
        ("judge", judge_by_what_is_remembered, "a_recorded_start_gives_the_same_bits",
         "L1", "an episode and its recorded start, which `memory` must make whole,"),
        ("judge", judge_by_what_is_remembered, "a_world_continues_from_a_snapshot",
         None, "an episode and its snapshot, which `memory` must make whole,"),
        ("start", lambda self, world, seed, variation: {}["x"],
         "passes_gymnasiums_checker", None, "start raised KeyError: 'x' (test_check"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_a_contract_finds_a_mistake(
    cube: TaskSpec, method: str, value: Any, name: str, variant: Any, said: str
) -> None:
    assert said in broken(with_method(cube, method, value), name, variant)
    assert broken(cube, name, variant) == ""


def test_the_contract_on_tables_finds_what_is_trained_on(cube: TaskSpec) -> None:
    mixed = row("cube_x", "layout", L1=0.5, L3=(0.4, 0.6), held_out=(0.5, 0.7))
    spec = replace(cube, name="Mixed", table=(mixed, *cube.table[1:]))
    said = "cube_x is held out at 0.5 to 0.7, but sampled from 0.4 to 0.6 at L3"
    assert said in broken(spec, "held_out_parts_are_disjoint")


def test_the_contract_on_instructions_finds_a_gap(cube: TaskSpec) -> None:
    words = row("words", "instruction", L1=["Put {it} onto the plate."])
    table = tuple(words if one.name == "words" else one for one in cube.table)
    spec = replace(cube, name="Gap", table=table)
    said = "a placeholder that was not filled: 'Put {it} onto the plate.'"
    assert said in broken(spec, "instructions_are_whole", "train")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("constant", "said"),
    [
        ((), "plate_pos_w.0, plate_pos_w.2 never changed"),
        (
            ("plate_pos_w.0", "plate_pos_w.1", "plate_pos_w.2"),
            "plate_pos_w.1, which ch",
        ),
    ],
)
def test_the_contract_on_elements_finds_dead_ones(
    cube: TaskSpec, constant: tuple[str, ...], said: str
) -> None:
    spec = replace(cube, name="Dead", constant=constant)
    assert said in broken(spec, "every_observed_element_is_alive")


@pytest.mark.slow
def test_the_contract_on_experts_finds_one_that_fails(cube: TaskSpec) -> None:
    spec = replace(cube, name="Short", horizon_s=1.0)
    text = broken(spec, "the_expert_succeeds_and_is_judged_again")
    assert "the expert fails at L2 with seed 3" in text
    assert "embodied view Short --robot arm --level L2 --seed 3" in text


@pytest.fixture
def two_contracts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only two of them, of which one is broken in wheeled_arm."""

    def holds(case: Case) -> None:
        """Does nothing."""

    def fits_on_a_shelf(case: Case) -> None:
        if case.robot == "wheeled_arm":
            raise EmbodiedError("it has wheels")

    both = (Contract(holds), Contract(fits_on_a_shelf))
    monkeypatch.setattr(suite, "CONTRACTS", both)
    monkeypatch.setattr(verb, "CONTRACTS", both)


@pytest.mark.usefixtures("two_contracts")
def test_the_verb_prints_each_contract(capsys: pytest.CaptureFixture[str]) -> None:
    place = f"{FILE}:CUBE_TO_PLATE"
    assert embodied("check-task", place) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["pass", "FAIL", "wheeled_arm,", "Cube"
        "ToPlate"]  # fmt: skip
    assert lines[1].endswith("fits on a shelf")
    assert lines[2].strip() == "wheeled_arm, joint_delta: it has wheels"
    assert lines[3] == "CubeToPlate breaks 1 of 2 contracts"

    assert embodied("check-task", place, "--robot", "arm") == 0
    assert "CubeToPlate keeps all 2 contracts" in capsys.readouterr().out

    assert embodied("check-task", place, "--json") == 1
    found = json.loads(capsys.readouterr().out)
    assert [bool(one["reasons"]) for one in found] == [False, True]


def test_the_verb_refuses_what_is_no_task(capsys: pytest.CaptureFixture[str]) -> None:
    assert "unknown task 'Nothing'" in refused(capsys, "check-task", "Nothing")
    error = refused(capsys, "check-task", "ToteTransfer", "--robot", "nobody")
    assert "unknown robot 'nobody'" in error
