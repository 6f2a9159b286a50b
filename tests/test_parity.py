"""Comparing the engines: what counts as measured, what the page says, and the measuring
on Warp's CPU device.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from embodied.benchmark import parity as module
from embodied.benchmark.parity import (
    Motion,
    Parity,
    Performer,
    Query,
    Work,
    measure_motion,
    measure_work,
)
from embodied.benchmark.parity_page import parity_page, read_parity, write_parity
from embodied.benchmark.statistics import wilson
from embodied.benchmark.survey import Subject, choose_pairs
from embodied.cli import parity as cli
from embodied.cli.main import main
from embodied.core import Observation, PolicySpec
from embodied.envs.registry import task_names
from embodied.envs.warp.worlds import WarpStepResult
from embodied.errors import EmbodiedError
from embodied.rollout.on_device import play_on_device
from tests.ground import TOTE_TRANSFER

DOCS = Path(__file__).parents[1] / "docs"
SUBJECT = Subject(TOTE_TRANSFER, "arm", "code", "model", {"mujoco": "3.17.0"})
MOTION = Motion(SUBJECT, "A GPU", 1e-6, 2e-6, 3e-7)
WORK = Work(
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


def test_what_is_measured_is_not_missing() -> None:
    queries = [Query(SUBJECT), Query(SUBJECT, "L2", STARTS)]
    parity = Parity().with_answer(queries[0], MOTION).with_answer(queries[1], WORK)
    assert parity.missing(queries) == []
    others = [
        Query(SUBJECT, "L3", STARTS),
        Query(SUBJECT, "L2", range(16)),
        Query(replace(SUBJECT, code_hash="new")),
    ]
    assert parity.missing([*queries, *others]) == others
    again = parity.with_answer(queries[1], replace(WORK, device="Another"))
    assert [finding.device for finding in again.findings] == ["A GPU", "Another"]
    assert parity.without(queries[:1]).findings == (WORK,)


def test_each_policy_has_findings_of_its_own() -> None:
    first = Performer("runs/x", "reach", "weights")
    retrained = Performer("runs/x", "reach", "others")
    of_expert = Query(SUBJECT, "L2", STARTS)
    of_run = Query(SUBJECT, "L2", STARTS, first)
    parity = Parity().with_answer(of_expert, WORK)
    assert parity.missing([of_run]) == [of_run]
    parity = parity.with_answer(of_run, replace(WORK, performer=first))
    assert len(parity.findings) == 2
    again = replace(of_run, performer=retrained)
    assert parity.missing([of_expert, of_run, again]) == [again]
    assert parity.with_answer(again, replace(WORK, performer=retrained)).missing(
        [of_expert, of_run]
    ) == [of_run]


def test_outcomes_are_compared_by_start() -> None:
    compared = WORK.comparison()
    assert (
        compared.both,
        compared.only_first,
        compared.only_second,
        compared.neither,
    ) == (57, 3, 1, 3)
    assert compared.p_value == pytest.approx(0.625)


def test_what_sees_pictures_cannot_be_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        module, "policy_spec", lambda *args: PolicySpec(cameras=("overview",))
    )
    with pytest.raises(EmbodiedError, match="runs/x sees pictures"):
        Performer("runs/x").worlds(SUBJECT.pair, "L1")


def test_the_page_and_the_file(tmp_path: Path) -> None:
    parity = Parity(
        (("2026-11-25", "embodied parity"),),
        {"cores": 2, "processor": "x", "system": "y"},
        (MOTION, WORK),
    )
    write_parity(tmp_path / "parity.json", parity)
    assert read_parity(tmp_path / "parity.json") == parity
    page = parity_page(parity, [SUBJECT.pair, ("Unmeasured", "arm")], "parity.json")
    assert "| ToteTransfer | arm | 0.0010 | 0.0020 | 3e-07 | A GPU |" in page
    row = "| L2 | 64 | 94% (85–98%) | 91% (81–96%) | 3 | 1 | 0.62 | 0.980, 0.960 | 1 diverged | A GPU |"  # noqa: RUF001
    assert row in page
    assert "| Unmeasured | arm |  |  |  |  |" in page
    assert "runs/x" not in page
    trained = replace(WORK, performer=Performer("runs/x", "reach", "weights"))
    parity = replace(parity, findings=(*parity.findings, trained))
    write_parity(tmp_path / "parity.json", parity)
    assert read_parity(tmp_path / "parity.json") == parity
    more = parity_page(parity, [SUBJECT.pair, ("Unmeasured", "arm")], "parity.json")
    assert more.startswith(page)
    assert "| ToteTransfer | arm | runs/x | reach | L2 | 64 | 94%" in more
    (tmp_path / "parity.json").write_text("[]")
    with pytest.raises(EmbodiedError, match="no comparison that this version reads"):
        read_parity(tmp_path / "parity.json")


def test_the_page_in_docs_is_what_its_figures_say() -> None:
    page = parity_page(
        read_parity(DOCS / "parity.json"),
        choose_pairs(task_names(), None),
        "parity.json",
    )
    assert (DOCS / "parity.md").read_text() == page


class Ending:
    """Worlds on a device that end in turn, and begin anew."""

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
        zeros = torch.zeros(3)
        success = torch.tensor([n > 4, n >= 3, False])
        terminated = torch.tensor([n == 2, False, False])
        truncated = torch.tensor([False, False, n == 9])
        fault = torch.tensor([2 if n == 2 else 0, 0, 0])
        progress = torch.tensor([0.5, 1.0, n / 10])
        shown = (torch.zeros(3, 2), torch.zeros(3, 1))
        return WarpStepResult(
            *shown, *shown, zeros, success, progress, terminated, truncated, fault
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
    lost, solved, cut = play_on_device(worlds, policy, 7, ended.append)  # type: ignore[arg-type]
    assert (lost.success_at_end, lost.duration_s, lost.fault, lost.progress_end) == (
        False,
        0.5,
        "diverged",
        0.5,
    )
    # a second after the first success
    assert (solved.success_at_end, solved.duration_s) == (True, 1.75)
    assert (cut.success_at_end, cut.duration_s, cut.progress_end) == (
        False,
        2.25,
        pytest.approx(0.9),
    )
    assert ended == [0, 1, 1, 1, 1, 1, 2, 2, 3]
    # never back, though worlds began anew
    assert policy.ticks == [100 * k for k in range(9)]


def test_the_command_goes_on_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[str | None] = []

    def work(query: Query, device: str, on_step: object) -> Work:
        asked.append(query.level)
        found = replace(
            WORK,
            subject=query.subject,
            first_seed=0,
            on_cpu=wilson(2, 2),
            on_warp=wilson(2, 2),
        )
        return replace(found, performer=query.performer)

    def motion(query: Query, device: str) -> Motion:
        asked.append(query.level)
        return replace(MOTION, subject=query.subject)

    monkeypatch.setattr(cli, "measure_work", work)
    monkeypatch.setattr(cli, "measure_motion", motion)
    page = tmp_path / "parity.md"
    words = [
        "parity",
        "--task",
        TOTE_TRANSFER,
        "--robot",
        "arm",
        "-o",
        str(page),
        "--seed",
        "0",
    ]
    assert main([*words, "--starts", "0"]) == 0
    assert main([*words, "--starts", "2"]) == 2
    assert "exists: --resume" in capsys.readouterr().err
    assert main([*words, "--starts", "2", "--resume"]) == 0
    assert asked == [None, "L2"]
    assert main([*words, "--starts", "2", "--overwrite"]) == 0
    assert asked == [None, "L2", None, "L2"]
    assert (
        main(
            [
                *words,
                "--starts",
                "2",
                "--resume",
                "--policy",
                "random",
                "--stage",
                "reach",
            ]
        )
        == 0
    )
    assert asked == [None, "L2", None, "L2", "L2"]  # of a policy its work alone
    bad_policies = (["--policy", "runs/none"], ["--stage", "none"])
    for bad in (
        *bad_policies,
        ["--level", "L9"],
        ["--device", "tpu"],
        ["--starts", "-1"],
        ["-o", "x.json"],
    ):
        assert main([*words, *bad]) == 2


@pytest.mark.slow
def test_the_engines_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two starts that only show that all parts fit together; the page in docs has
    figures.
    """
    (found,) = (measure_motion(Query(SUBJECT), "cpu") for _ in range(1))
    assert 0 < found.tcp_m < 2e-4
    assert 0 < found.joint < 2e-3
    worlds = Performer.worlds

    def short(*args: object) -> object:
        return replace(worlds(*args), horizon_s=0.2)  # type: ignore[arg-type]

    monkeypatch.setattr(Performer, "worlds", short)
    work = measure_work(Query(SUBJECT, "L2", range(2)), "cpu")
    assert (work.on_cpu.successes, work.on_warp.successes, work.faults) == (0, 0, {})
    assert work.progress_warp == pytest.approx(work.progress_cpu, abs=1e-3)
