"""docs/your_robot.md: its code runs, and it names every key of a description."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from embodied.robots.described.description import Description, DrivenBase, Mount, Tcp
from embodied.robots.described.gripper_keys import Gripper
from tests.six_arm import PAGE, write_six

CODE = re.findall(r"^```python\n(.*?)^```$", PAGE, flags=re.DOTALL | re.MULTILINE)


def run_code(folder: Path, blocks: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs blocks of the page one after the other, beside the files of the arm."""
    write_six(folder)
    monkeypatch.chdir(folder)
    names: dict[str, object] = {}
    for block in blocks:
        exec(block, names)


def test_the_page_makes_an_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run_code(tmp_path, CODE[:1], monkeypatch)

    assert "'arm.vx', 'arm.vy'" in capsys.readouterr().out


@pytest.mark.slow
def test_experts_drive_an_arm_they_never_saw(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run_code(tmp_path, CODE, monkeypatch)

    printed = capsys.readouterr().out
    successes = re.findall(r"^\d True \d", printed, flags=re.MULTILINE)
    assert len(successes) >= 2


@pytest.mark.parametrize(
    ("block", "sides"), [(-2, ("left", "right")), (-1, ("r1", "r2"))]
)
def test_the_page_composes_a_robot_and_a_team(
    block: int,
    sides: tuple[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run_code(tmp_path, [CODE[0], CODE[block]], monkeypatch)

    groups = [f"{side}_{kind}" for side in sides for kind in ("arm", "gripper")]
    assert str(groups) in capsys.readouterr().out


def test_the_page_names_every_key() -> None:
    tables = {"mount": Mount, "tcp": Tcp, "gripper": Gripper, "base": DrivenBase}
    keys = {field.name for field in fields(Description)} - tables.keys() - {"arm"}
    for table, cls in tables.items():
        keys |= {f"{table}.{field.name}" for field in fields(cls)}

    named = set(re.findall(r"`([\w.]+)`", PAGE))

    assert keys <= named
