"""The hash of code: what changes it, and what does not."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from embodied.benchmark import code_hash as module
from embodied.benchmark.code_hash import code_hash
from embodied.pages.subject import Subject
from tests.ground import TOTE_TRANSFER

FILES = {
    "__init__": "",
    "task": '"""A task."""\nimport math\nfrom typing import TYPE_CHECKING\nfrom plant import shape\n'
    "from plant.colour import RED\nif TYPE_CHECKING:\n    from plant.types import T\n"
    "\ndef judge():\n    import plant.late\n",
    "shape": "SIZE = 1\n",
    "colour": "from plant.paint import TIN\nRED = TIN\n",
    "paint": "TIN = 2\n",
    "late": "LATE = 3\n",
    "types": "T = int\n",
    "other": "X = 4\n",
}


@pytest.fixture
def plant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "plant"
    folder.mkdir()
    for name, text in FILES.items():
        (folder / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "plant", raising=False)  # the one of another test
    return folder


def hashed(**settings: object) -> str:
    for function in (module._source, module._code_text, module._imports):
        function.cache_clear()
    return code_hash(["plant.task"], **settings)


@pytest.mark.parametrize(
    ("name", "text", "changes"),
    [
        ("task", FILES["task"] + "\ndef state():\n    return 1\n", True),
        ("shape", "SIZE = 2\n", True),
        ("paint", "TIN = 3\n", True),  # through another
        ("paint", "TIN = (\n    2\n)  # kg\n", False),
        ("shape", '"""About shapes."""\n\nSIZE = 1\n', False),
        ("late", "LATE = 4\n", False),  # it decides nothing when the task is loaded
        ("types", "T = str\n", False),
        ("other", "X = 5\n", False),
    ],
)
def test_what_changes_the_hash(
    plant: Path, name: str, text: str, changes: bool
) -> None:
    before = hashed()
    (plant / f"{name}.py").write_text(text)
    assert (hashed() != before) == changes


def test_some_modules_may_be_left_out(plant: Path) -> None:
    before = hashed(without=["plant.shape"])
    (plant / "shape.py").write_text("SIZE = 9\n")
    assert hashed(without=["plant.shape"]) == before


def test_tasks_and_robots_differ() -> None:
    arm = Subject.now(TOTE_TRANSFER, "arm")
    wheeled = Subject.now(TOTE_TRANSFER, "wheeled_arm")
    assert arm.code_hash != wheeled.code_hash
    assert arm == Subject.now(TOTE_TRANSFER, "arm")
