"""docs/dual_system.md is true: its bridge works, and it names all there is."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from embodied.cli.main import build_parser
from embodied.cli.timing import FLAGS
from embodied.plan import PAYLOAD_KINDS
from embodied.policies.bridges.registry import BRIDGES
from embodied.policies.channel_profiles import PROFILES
from embodied.policies.dual_system import DualSystemConfig
from embodied.policies.mailbox import MAILBOX_MODES
from tests.dual_chunks import chunk_system, play
from tests.dual_fakes import delays

PAGE = (Path(__file__).parent.parent / "docs" / "dual_system.md").read_text("utf-8")
BRIDGE = "my_bridge:Smooth"


def blocks(language: str) -> list[str]:
    fence = rf"^```{language}\n(.*?)^```$"
    return re.findall(fence, PAGE, flags=re.DOTALL | re.MULTILINE)


@pytest.fixture
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    [module] = blocks("python")
    (tmp_path / "my_bridge.py").write_text(module)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))


@pytest.mark.usefixtures("in_folder")
def test_the_pages_bridge_smooths_what_the_chunks_say() -> None:
    def jumping(times_s: np.ndarray, made_s: np.ndarray) -> np.ndarray:
        sign = np.where(np.round(made_s * 8) % 2, 1, -1)
        return sign * np.full(times_s.shape, 0.4)

    played = {}
    for name in ("hold", BRIDGE):
        config = DualSystemConfig(bridge=name, latency=delays(250), max_action_rate=999)
        played[name] = play(chunk_system(jumping, config), steps=500, num_worlds=2)
    jumps = {
        name: np.abs(np.diff(actions[100:, :, 0], axis=0)).max()
        for name, actions in played.items()
    }
    assert jumps[BRIDGE] < 0.2 * jumps["hold"]
    # it follows them all the same
    assert np.abs(played[BRIDGE][100:, :, 0]).max() > 0.3


@pytest.mark.usefixtures("in_folder")
def test_every_command_of_the_page_can_be_typed() -> None:
    lines = [line.split() for block in blocks("bash") for line in block.splitlines()]
    assert len(lines) == 14
    for program, *words in lines:
        assert program == "embodied"
        build_parser(words).parse_args(words)


@pytest.mark.parametrize(
    "names",
    [FLAGS.values(), BRIDGES, MAILBOX_MODES, PAYLOAD_KINDS, set(PROFILES) - {"none"}],
    ids=["flags", "bridges", "mailboxes", "kinds", "channels"],
)
def test_the_page_names_all_there_is(names: list[str]) -> None:
    missing = [name for name in names if not re.search(rf"`{name}\b", PAGE)]
    assert missing == []
