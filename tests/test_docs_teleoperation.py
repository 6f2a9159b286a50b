"""The pages on demonstrations by hand and on corrections: their commands parse, and the
device of the one makes a take.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from embodied.cli.main import build_parser
from embodied.datasets.reader import Dataset
from embodied.policies.teleop.device import EVENTS
from tests.commands import embodied

DOCS = Path(__file__).parent.parent / "docs"
PAGE = (DOCS / "teleoperation.md").read_text()


def commands(page: str) -> list[list[str]]:
    blocks = re.findall(r"```bash\n(.*?)```", page, flags=re.DOTALL)
    words = [shlex.split(line, comments=True) for line in "".join(blocks).splitlines()]
    return [each[1:] for each in words if each[0] == "embodied"]


@pytest.mark.parametrize("name", ["teleoperation", "corrections"])
def test_every_command_parses(name: str) -> None:
    found = commands((DOCS / f"{name}.md").read_text())
    assert len(found) > 3
    for words in found:
        assert callable(build_parser(words).parse_args(words).run)


def test_every_event_is_told() -> None:
    for event in EVENTS:
        assert f"`{event}`" in PAGE


def test_the_device_of_the_page_makes_a_take(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    [code] = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    assert len(code.splitlines()) < 80
    (tmp_path / "my_device.py").write_text(code)
    monkeypatch.chdir(tmp_path)
    [words] = [each for each in commands(PAGE) if "my_device:Circle" in each]
    assert embodied(*words, "--no-cameras") == 0
    with Dataset("circle.hdf5") as dataset:
        assert [meta.device for meta in dataset.episodes] == ["circle"]
