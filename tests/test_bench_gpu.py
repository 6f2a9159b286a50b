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

from embodied.benchmark.gpu import Effort, Speed, machine_facts, measure_speeds
from embodied.benchmark.gpu_cameras import Pictures, measure_all_pictures
from embodied.benchmark.gpu_page import (
    GpuBook,
    gpu_page,
    read_book,
    speed_line,
    write_book,
)
from embodied.benchmark.statistics import Median
from embodied.cli.main import main
from embodied.envs.registry import task_names
from embodied.errors import EmbodiedError
from tests.ground import TOTE_TRANSFER

DOCS = Path(__file__).parents[1] / "docs"
SPEED = Speed(
    task=TOTE_TRANSFER,
    robot="arm",
    num_worlds=8192,
    device="A GPU",
    env=Median(4.0e6, 3.9e6, 4.1e6, 3.8e6, 4.2e6),
    bare=Median(5.0e6, 4.9e6, 5.1e6, 4.8e6, 5.2e6),
    ratio=Median(0.8, 0.79, 0.81, None, None),
    captured=True,
    bytes_a_world=1000,
    faults={"diverged": 2},
)
PICTURES = Pictures(
    TOTE_TRANSFER, 1024, "A GPU", Median(6.0e4, 5.9e4, 6.1e4, None, None)
)


def test_what_a_speed_means() -> None:
    assert SPEED.real_time_factor == 10_000
    assert SPEED.robot_hours_a_day == 240_000
    line = speed_line(replace(SPEED, captured=False))
    assert (
        "4 (3.9 to 4.1) of 5 (4.9 to 5.1) million world-steps a second, ratio 80.0%"
        in line
    )
    assert line.endswith(
        "10,000 x real time, 240,000 robot hours a day, not captured as a CUDA graph"
    )


def test_a_page_keeps_what_other_gpus_measured(tmp_path: Path) -> None:
    book = (
        GpuBook()
        .with_speed(SPEED, {"cores": 8})
        .with_speed(replace(SPEED, device="Another"), {"cores": 16})
    )
    # the same cell again
    book = book.with_speed(replace(SPEED, robot="arm", bytes_a_world=7), {"cores": 9})
    assert [(s.device, s.bytes_a_world) for s in book.speeds] == [
        ("Another", 1000),
        ("A GPU", 7),
    ]
    book = book.with_pictures(PICTURES, {"cores": 9})
    write_book(tmp_path / "gpu.json", book)
    assert read_book(tmp_path / "gpu.json") == book
    page = gpu_page(book, [TOTE_TRANSFER, "Unmeasured"])
    cells = "| 4 (3.9 to 4.1) | 5 (4.9 to 5.1) | 80.0% (79.0% to 81.0%) | 10,000 | 240,000 | A GPU | 2 diverged |"
    assert cells in page
    assert {line for line in page.splitlines() if line.startswith("- ")} == {
        "- A GPU: cores 9",
        "- Another: cores 16",
    }
    assert f"| {TOTE_TRANSFER} | 1,024 | 60,000 (59,000 to 61,000) | A GPU |" in page
    assert "| Unmeasured |  |  |  |" in page
    assert "| Unmeasured |  | 8,192 |  |  |  |  |  |  |  |" in page
    (tmp_path / "gpu.json").write_text("{}")
    with pytest.raises(EmbodiedError, match="no speeds that this version reads"):
        read_book(tmp_path / "gpu.json")


def test_the_page_in_docs_is_what_its_figures_say() -> None:
    assert (DOCS / "gpu.md").read_text() == gpu_page(
        read_book(DOCS / "gpu.json"), task_names()
    )


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

    monkeypatch.setattr("embodied.benchmark.gpu.version", missing)
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
    for words, said in (
        (["--num-envs", "0"], "--num-envs must be at least 1, not 0"),
        (["--device", "tpu"], "unknown device 'tpu'"),
        (["--task", "Cooking"], "unknown task 'Cooking'"),
        (["-o", "x.json"], "must not end in .json"),
    ):
        assert main(["bench", "gpu", *words]) == 2
        assert said in capsys.readouterr().err


@pytest.mark.slow
def test_it_measures_what_a_gpu_would_be_measured_by(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "gpu.md"
    words = [
        "--task",
        TOTE_TRANSFER,
        "--num-envs",
        "2",
        "--device",
        "cpu",
        "--repeats",
        "2",
        "--steps",
        "1",
    ]
    assert main(["bench", "gpu", *words, "--json", "-o", str(page)]) == 0
    found = json.loads(capsys.readouterr().out)
    (speed,) = found["speeds"]
    (pictures,) = found["pictures"]
    assert 0 < pictures["frames"]["lower_quartile"] <= pictures["frames"]["median"]
    assert speed["env"]["median"] > 0
    assert 0.2 < speed["ratio"]["median"] < 1.2
    assert (speed["captured"], speed["faults"]) == (False, {})
    assert "Warp's CPU device" in page.read_text()


def test_what_does_not_fit_is_left_out_and_the_rest_measured(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def measured(task: str, robot: str, num: int, device: str, effort: Effort) -> Speed:
        if num > 4096:
            raise EmbodiedError("8192 worlds need 8.2 GB of the GPU's memory")
        return replace(SPEED, num_worlds=num)

    monkeypatch.setattr("embodied.benchmark.gpu.measure_speed", measured)
    refused: list[str] = []
    found = list(
        measure_speeds(
            [TOTE_TRANSFER], [1024, 8192, 4096], "cpu", refused.append, Effort()
        )
    )
    assert [speed.num_worlds for speed in found] == [1024, 4096]
    assert refused == [
        "ToteTransfer, 8192 worlds: 8192 worlds need 8.2 GB of the GPU's memory"
    ]


def test_the_worlds_of_one_task_are_gone_before_pictures_are_taken_of_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class InACircle:
        def __init__(self) -> None:
            self.itself = self

    left: list[weakref.ref[InACircle]] = []

    def measured(task: str, num: int, device: str, effort: Effort) -> Pictures:
        assert not any(reference() for reference in left)
        left.append(weakref.ref(InACircle()))
        return PICTURES

    monkeypatch.setattr("embodied.benchmark.gpu_cameras.measure_pictures", measured)
    gc.disable()
    try:
        list(
            measure_all_pictures(
                [TOTE_TRANSFER] * 2, 8, "cpu", lambda reason: None, Effort()
            )
        )
    finally:
        gc.enable()
    assert len(left) == 2
