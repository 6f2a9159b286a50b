"""Comparing the engines: what counts as measured, what the page says, and the measuring
on Warp's CPU device.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from embodied.benchmark.statistics import wilson
from embodied.cli import parity as cli
from embodied.cli.main import main
from embodied.core import Observation, PolicySpec
from embodied.envs.registry import warp_tasks
from embodied.envs.warp.worlds import WarpStepResult
from embodied.errors import EmbodiedError
from embodied.pages import parity as module
from embodied.pages.ledger import Command, Ledger
from embodied.pages.parity import (
    MotionDrift,
    ParityQuestion,
    ParityRow,
    PolicyOutcomes,
    PolicyVersion,
    measure_motion,
    measure_outcomes,
)
from embodied.pages.parity_page import parity_book, parity_page
from embodied.pages.subject import Subject, choose_pairs
from embodied.rollout.warp_rollout import play_on_warp
from tests.ground import TOTE_TRANSFER

DOCS = Path(__file__).parents[1] / "docs"
SUBJECT = Subject(TOTE_TRANSFER, "arm", "code", "model", {"mujoco": "3.17.0"})
MOTION = MotionDrift(SUBJECT, "A GPU", tcp_m=1e-6, joint=2e-6, reward=3e-7)
OUTCOMES = PolicyOutcomes(
    subject=SUBJECT,
    device="A GPU",
    level="L2",
    first_seed=20_000,
    on_cpu=wilson(60, 64),
    on_warp=wilson(58, 64),
    progress_cpu=0.98,
    progress_warp=0.96,
    only_cpu=(20_003, 20_005, 20_009),
    only_warp=(20_050,),
    faults={"diverged": 1},
)
STARTS = range(20_000, 20_064)
EMPTY: Ledger[ParityRow] = Ledger()


def test_what_is_measured_is_not_missing() -> None:
    questions = [ParityQuestion(SUBJECT), ParityQuestion(SUBJECT, "L2", STARTS)]
    ledger = EMPTY.with_row(MOTION).with_row(OUTCOMES)
    assert ledger.missing(questions) == []

    # Another level, fewer starts, and the same pair with other code.
    others = [
        ParityQuestion(SUBJECT, "L3", STARTS),
        ParityQuestion(SUBJECT, "L2", range(16)),
        ParityQuestion(replace(SUBJECT, code_hash="new")),
    ]
    assert ledger.missing([*questions, *others]) == others

    again = ledger.with_row(replace(OUTCOMES, device="Another"))
    assert [row.device for row in again.rows] == ["A GPU", "Another"]
    assert ledger.without(questions[:1]).rows == (OUTCOMES,)


def test_each_policy_has_rows_of_its_own() -> None:
    first = PolicyVersion("runs/x", "reach", "weights")
    retrained = PolicyVersion("runs/x", "reach", "others")
    of_expert = ParityQuestion(SUBJECT, "L2", STARTS)
    of_run = ParityQuestion(SUBJECT, "L2", STARTS, first)
    ledger = EMPTY.with_row(OUTCOMES)
    assert ledger.missing([of_run]) == [of_run]

    ledger = ledger.with_row(replace(OUTCOMES, policy=first))
    assert len(ledger.rows) == 2
    again = replace(of_run, policy=retrained)
    assert ledger.missing([of_expert, of_run, again]) == [again]

    # what was trained anew takes the place of the old
    ledger = ledger.with_row(replace(OUTCOMES, policy=retrained))
    assert ledger.missing([of_expert, of_run]) == [of_run]


def test_outcomes_are_compared_by_start() -> None:
    compared = OUTCOMES.comparison()
    assert compared.both == 57
    assert compared.only_first == 3
    assert compared.only_second == 1
    assert compared.neither == 3
    assert compared.p_value == pytest.approx(0.625)


def test_what_sees_pixels_cannot_be_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    def sees(task: str, robot: str) -> PolicySpec:
        return PolicySpec(cameras=("overview",))

    monkeypatch.setattr(module, "find_policy", lambda name: SimpleNamespace(spec=sees))
    with pytest.raises(EmbodiedError, match="runs/x sees pixels"):
        PolicyVersion("runs/x").env_config(SUBJECT.pair, "L1")


def test_the_page_and_the_file(tmp_path: Path) -> None:
    ledger = Ledger(
        (Command("2026-11-25", "embodied parity"),),
        {"cpu": {"cores": 2, "processor": "x", "system": "y"}},
        (MOTION, OUTCOMES),
    )
    book = parity_book(tmp_path / "parity.md")
    book.write(ledger)
    assert book.read() == ledger

    # A pair without a row has empty cells.
    pairs = [SUBJECT.pair, ("Unmeasured", "arm")]
    page = parity_page(ledger, pairs, "parity.json")
    assert "| ToteTransfer | arm | 0.0010 | 0.0020 | 3e-07 | A GPU |" in page
    row = "| L2 | 64 | 94% (85–98%) | 91% (81–96%) | 3 | 1 | 0.62 | 0.980, 0.960 | 1 diverged | A GPU |"  # noqa: RUF001
    assert row in page
    assert "| Unmeasured | arm |  |  |  |  |" in page
    assert "runs/x" not in page

    # Rows of a trained policy follow after those of the expert.
    policy = PolicyVersion("runs/x", "reach", "weights")
    ledger = ledger.with_row(replace(OUTCOMES, policy=policy))
    book.write(ledger)
    assert book.read() == ledger
    longer_page = parity_page(ledger, pairs, "parity.json")
    assert longer_page.startswith(page)
    assert "| ToteTransfer | arm | runs/x | reach | L2 | 64 | 94%" in longer_page


def test_the_page_in_docs_is_what_its_figures_say() -> None:
    ledger = parity_book(DOCS / "parity.md").read()
    pairs = choose_pairs(warp_tasks(), None)
    page = parity_page(ledger, pairs, "parity.json")
    assert (DOCS / "parity.md").read_text() == page


class Ending:
    """Worlds of the engine `warp` that end in turn, and begin anew."""

    num_worlds = 3
    ticks_per_step = 100
    instructions = ("a", "b", "c")

    def __init__(self) -> None:
        self.steps = 0

    def reset(self) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.zeros(3, 2), torch.zeros(3, 1)

    def step(self, actions: torch.Tensor) -> WarpStepResult:
        """World 0 is lost in step 2, and succeeds later; world 1 succeeds from step 3
        on; world 2 is cut in step 9.
        """
        self.steps += 1
        n = self.steps

        # how the step ends in each world
        zeros = torch.zeros(3)
        success = torch.tensor([n > 4, n >= 3, False])
        terminated = torch.tensor([n == 2, False, False])
        truncated = torch.tensor([False, False, n == 9])
        fault = torch.tensor([2 if n == 2 else 0, 0, 0])
        progress = torch.tensor([0.5, 1.0, n / 10])
        agent_pos = torch.zeros(3, 2)
        environment_state = torch.zeros(3, 1)
        return WarpStepResult(
            reward=zeros,
            success=success,
            success_now=success,
            progress=progress,
            terminated=terminated,
            truncated=truncated,
            fault=fault,
            joint_target=torch.zeros(3, 4),
            dropped=torch.zeros(3, dtype=torch.int64),
            agent_pos=agent_pos,
            environment_state=environment_state,
            final_agent_pos=agent_pos,
            final_environment_state=environment_state,
            contact_force_n=zeros,
            collision=success,
            joint_margin_rad=zeros,
        )


class Watching:
    """A policy that notes the clocks it is shown."""

    spec = PolicySpec()

    def __init__(self) -> None:
        self.ticks: list[int] = []

    def reset(
        self, ids: np.ndarray, observation: Observation, seeds: list[int]
    ) -> None:
        assert seeds == [7, 8, 9]

    def act(self, observation: Observation) -> np.ndarray:
        self.ticks += set(observation.tick.tolist())
        return np.zeros((3, 4))


def test_only_first_episodes_count() -> None:
    policy = Watching()
    ended = list[int]()
    worlds: object = Ending()
    lost, solved, cut = play_on_warp(worlds, policy, 7, ended.append)  # type: ignore[arg-type]
    assert lost.success_at_end is False
    assert lost.duration_s == 0.5
    assert lost.fault == "diverged"
    assert lost.progress_end == 0.5

    # a second after the first success
    assert solved.success_at_end is True
    assert solved.duration_s == 1.75

    # at the horizon
    assert cut.success_at_end is False
    assert cut.duration_s == 2.25
    assert cut.progress_end == pytest.approx(0.9)
    assert ended == [0, 1, 1, 1, 1, 1, 2, 2, 3]

    # never back, though worlds began anew
    assert policy.ticks == [100 * k for k in range(9)]


def test_the_command_goes_on_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    levels: list[str | None] = []

    def outcomes(
        question: ParityQuestion, device: str, on_step: object
    ) -> PolicyOutcomes:
        levels.append(question.level)

        # Two successes in two episodes, whatever is asked.
        return replace(
            OUTCOMES,
            subject=question.subject,
            first_seed=0,
            on_cpu=wilson(2, 2),
            on_warp=wilson(2, 2),
            only_cpu=(),
            only_warp=(),
            policy=question.policy,
        )

    def motion(question: ParityQuestion, device: str) -> MotionDrift:
        levels.append(question.level)
        return replace(MOTION, subject=question.subject)

    monkeypatch.setattr(cli, "measure_outcomes", outcomes)
    monkeypatch.setattr(cli, "measure_motion", motion)
    page = str(tmp_path / "parity.md")
    words = ["parity", "--task", TOTE_TRANSFER, "--robot", "arm"]
    words += ["-o", page]

    assert main([*words, "--starts", "0"]) == 0
    words += ["--seed", "0"]
    assert main([*words, "--starts", "0", "--resume"]) == 2
    assert "--seed: no effect without starts" in capsys.readouterr().err
    assert main([*words, "--starts", "2"]) == 2
    assert "exists: --resume" in capsys.readouterr().err
    assert main([*words, "--starts", "2", "--resume"]) == 0
    assert levels == [None, "L2"]
    assert main([*words, "--starts", "2", "--overwrite"]) == 0
    assert levels == [None, "L2", None, "L2"]

    # of another policy its outcomes alone
    words_of_policy = ["--policy", "random", "--stage", "reach"]
    assert main([*words, "--starts", "2", "--resume", *words_of_policy]) == 0
    assert levels == [None, "L2", None, "L2", "L2"]


@pytest.mark.parametrize(
    "bad_words",
    [
        ["--policy", "runs/none"],
        ["--stage", "none"],
        ["--level", "L9"],
        ["--device", "tpu"],
        ["--starts", "-1"],
        ["-o", "x.json"],
    ],
)
def test_bad_words_are_refused(tmp_path: Path, bad_words: list[str]) -> None:
    page = str(tmp_path / "parity.md")
    words = ["parity", "--task", TOTE_TRANSFER, "--robot", "arm", "-o", page]
    assert main([*words, *bad_words]) == 2


@pytest.mark.slow
def test_the_engines_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two starts that only show that all parts fit together; the page in docs has
    figures.
    """
    drift = measure_motion(ParityQuestion(SUBJECT), "cpu")
    assert 0 < drift.tcp_m < 2e-4
    assert 0 < drift.joint < 2e-3

    # Episodes of 0.2 s, in which nothing can succeed.
    env_config = PolicyVersion.env_config

    def short(*args: object) -> object:
        return replace(env_config(*args), horizon_s=0.2)  # type: ignore[arg-type]

    monkeypatch.setattr(PolicyVersion, "env_config", short)
    outcomes = measure_outcomes(ParityQuestion(SUBJECT, "L2", range(2)), "cpu")
    assert outcomes.on_cpu.successes == 0
    assert outcomes.on_warp.successes == 0
    assert outcomes.faults == {}
    assert outcomes.progress_warp == pytest.approx(outcomes.progress_cpu, abs=1e-3)
