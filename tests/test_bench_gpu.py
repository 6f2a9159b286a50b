"""`embodied bench gpu`: its page, its refusals, and the measuring itself on Warp's CPU
device.
"""

from __future__ import annotations

import gc
import json
import weakref
from dataclasses import replace
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from embodied.benchmark.gpu_cameras import CameraSpeed, measure_camera_speeds
from embodied.benchmark.gpu_throughput import (
    Effort,
    WorldSpeed,
    machine_facts,
    measure_world_speeds,
)
from embodied.benchmark.statistics import Median
from embodied.cli.main import main
from embodied.envs.registry import warp_tasks
from embodied.errors import EmbodiedError
from embodied.pages.gpu_page import (
    GpuRow,
    gpu_book,
    gpu_page,
    world_speed_sentence,
)
from embodied.pages.ledger import Ledger
from tests.ground import TOTE_TRANSFER

DOCS = Path(__file__).parents[1] / "docs"
WORLD_SPEED = WorldSpeed(
    task=TOTE_TRANSFER,
    robot="arm",
    num_worlds=8192,
    device="A GPU",
    env=Median(4.0e6, 3.9e6, 4.1e6, 3.8e6, 4.2e6),
    bare=Median(5.0e6, 4.9e6, 5.1e6, 4.8e6, 5.2e6),
    ratio=Median(0.8, 0.79, 0.81, None, None),
    captured=True,
    bytes_per_world=1000,
    faults={"diverged": 2},
)
CAMERA_SPEED = CameraSpeed(
    TOTE_TRANSFER, 1024, "A GPU", Median(6.0e4, 5.9e4, 6.1e4, None, None)
)


def test_what_a_speed_means() -> None:
    assert WORLD_SPEED.real_time_factor == 10_000
    assert WORLD_SPEED.robot_hours_per_day == 240_000
    sentence = world_speed_sentence(replace(WORLD_SPEED, captured=False))
    speeds = "4 (3.9 to 4.1) of 5 (4.9 to 5.1) million world-steps per second"
    assert f"{speeds}, ratio 80.0%" in sentence
    assert sentence.endswith(
        "10,000 x real time, 240,000 robot hours per day, not captured as a CUDA graph"
    )


def test_a_page_keeps_what_other_gpus_measured(tmp_path: Path) -> None:
    words = ["bench", "gpu"]
    ledger: Ledger[GpuRow] = Ledger()
    ledger = ledger.signed(words, "A GPU", {"cores": 8}).with_row(WORLD_SPEED)
    another = replace(WORLD_SPEED, device="Another")
    ledger = ledger.signed(words, "Another", {"cores": 16}).with_row(another)

    # the same measurement again
    newer = replace(WORLD_SPEED, bytes_per_world=7)
    ledger = ledger.signed(words, "A GPU", {"cores": 9}).with_row(newer)
    assert ledger.rows == (another, newer)

    ledger = ledger.with_row(CAMERA_SPEED)
    book = gpu_book(tmp_path / "gpu.md")
    book.write(ledger)
    assert book.read() == ledger

    page = gpu_page(ledger, [TOTE_TRANSFER, "Unmeasured"])
    cells = "| 4 (3.9 to 4.1) | 5 (4.9 to 5.1) | 80.0% (79.0% to 81.0%) | 10,000 | 240,000 | A GPU | 2 diverged |"
    assert cells in page
    assert {line for line in page.splitlines() if line.startswith("- ")} == {
        "- A GPU: cores 9",
        "- Another: cores 16",
    }
    assert "\nembodied bench gpu  # " in page
    assert f"| {TOTE_TRANSFER} | 1,024 | 60,000 (59,000 to 61,000) | A GPU |" in page
    assert "| Unmeasured |  |  |  |" in page
    assert "| Unmeasured |  | 8,192 |  |  |  |  |  |  |  |" in page


def test_the_page_in_docs_is_what_its_figures_say() -> None:
    page = gpu_page(gpu_book(DOCS / "gpu.md").read(), warp_tasks())
    assert (DOCS / "gpu.md").read_text() == page


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_says_so_in_one_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["bench", "gpu", "--task", TOTE_TRANSFER]) == 2
    assert capsys.readouterr().err.startswith("error: no CUDA device")


def test_what_is_not_installed_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing(name: str) -> None:
        raise PackageNotFoundError(name)

    monkeypatch.setattr("embodied.benchmark.gpu_throughput.version", missing)
    monkeypatch.setattr(
        "embodied.sim.warp.engine.importlib", SimpleNamespace(import_module=missing)
    )
    assert main(["bench", "gpu", "--device", "cpu"]) == 2
    assert "needs warp: pip install 'embodied-ground[gpu]'" in capsys.readouterr().err


def test_a_page_tells_of_the_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("warp.get_cuda_driver_version", lambda: (13, 0))
    assert machine_facts("cuda")["driver"] == "for CUDA 13.0"
    assert "driver" not in machine_facts("cpu")


def test_bad_words_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    refusals = (
        (["--num-envs", "0"], "--num-envs must be at least 1, not 0"),
        (["--device", "tpu"], "unknown device 'tpu'"),
        (["--task", "Cooking"], "unknown task 'Cooking'"),
        (["-o", "x.json"], "must not end in .json"),
    )
    for words, message in refusals:
        assert main(["bench", "gpu", *words]) == 2
        assert message in capsys.readouterr().err


@pytest.mark.slow
def test_it_measures_what_a_gpu_would_be_measured_by(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "gpu.md"
    words = ["bench", "gpu", "--task", TOTE_TRANSFER, "--num-envs", "2"]
    words += ["--device", "cpu", "--repeats", "2", "--steps", "1", "--json"]
    assert main([*words, "-o", str(page)]) == 0

    output = json.loads(capsys.readouterr().out)
    (speed,) = output["worlds"]
    assert speed["env"]["median"] > 0
    # The env's speed over that of its physics alone: below 1, but for noise.
    assert 0.2 < speed["ratio"]["median"] < 1.2
    assert speed["captured"] is False
    assert speed["faults"] == {}

    (camera_speed,) = output["cameras"]
    frames = camera_speed["frames"]
    assert 0 < frames["lower_quartile"] <= frames["median"]
    assert "Warp's CPU device" in page.read_text()


def test_what_does_not_fit_is_left_out_and_the_rest_measured(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # A GPU whose memory ends between 4096 and 8192 worlds.
    def measure(
        task: str, robot: str, num: int, device: str, effort: Effort
    ) -> WorldSpeed:
        if num > 4096:
            raise EmbodiedError("8192 worlds need 8.2 GB of the GPU's memory")
        return replace(WORLD_SPEED, num_worlds=num)

    monkeypatch.setattr(
        "embodied.benchmark.gpu_throughput.measure_world_speed", measure
    )
    refusals: list[str] = []
    num_envs = [1024, 8192, 4096]
    speeds = list(
        measure_world_speeds(
            [TOTE_TRANSFER], num_envs, "cpu", refusals.append, Effort()
        )
    )

    # A refusal is told, and the sizes after it are still measured.
    assert [speed.num_worlds for speed in speeds] == [1024, 4096]
    assert refusals == [
        "ToteTransfer, 8192 worlds: 8192 worlds need 8.2 GB of the GPU's memory"
    ]


def test_the_worlds_of_one_task_are_gone_before_frames_of_the_next_are_rendered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Only the garbage collector frees a cycle, as it does with worlds and their
    # buffers.
    class Cycle:
        def __init__(self) -> None:
            self.itself = self

    left: list[weakref.ref[Cycle]] = []

    def measure(task: str, num: int, device: str, effort: Effort) -> CameraSpeed:
        assert not any(reference() for reference in left)
        left.append(weakref.ref(Cycle()))
        return CAMERA_SPEED

    monkeypatch.setattr("embodied.benchmark.gpu_cameras.measure_camera_speed", measure)

    # It must be called on purpose: here it never runs of its own accord.
    gc.disable()
    try:
        tasks = [TOTE_TRANSFER] * 2
        list(measure_camera_speeds(tasks, 8, "cpu", lambda reason: None, Effort()))
    finally:
        gc.enable()
    assert len(left) == 2
