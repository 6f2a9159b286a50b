"""The shell completes what there is."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from embodied.cli.main import VERBS
from tests.commands import embodied, refused

COMPLETE = """
source {script}
COMP_WORDS=({words})
COMP_CWORD=$(( ${{#COMP_WORDS[@]}} - 1 ))
COMP_LINE="{words}"
COMP_POINT=${{#COMP_LINE}}
$(complete -p embodied | sed 's/.*-F \\([^ ]*\\).*/\\1/') embodied
echo "${{COMPREPLY[@]}}"
"""


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The script for bash."""
    path = tmp_path_factory.mktemp("completion") / "embodied.sh"
    with pytest.MonkeyPatch.context() as patch:
        printed: list[str] = []
        patch.setattr("builtins.print", printed.append)
        assert embodied("completion", "bash") == 0
    path.write_text(printed[0])
    return path


def completed(script: Path, words: str) -> set[str]:
    """What bash offers for the last of some words."""
    code = COMPLETE.format(script=script, words=words)
    child = subprocess.run(
        ["bash", "-c", code], capture_output=True, text=True, check=False
    )
    assert child.returncode == 0, child.stderr
    return set(child.stdout.split())


def test_verbs_and_flags_are_completed(script: Path) -> None:
    assert completed(script, "embodied comp") == {"compare", "completion"}
    assert completed(script, "embodied data me") == {"merge"}
    assert completed(script, "embodied eval --su") == {"--suite"}
    text = script.read_text()
    assert [verb for verb in VERBS if verb not in text] == []


def test_an_unknown_shell_says_what_there_is(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert "unknown shell 'bsh'. Did you mean 'bash'?" in refused(
        capsys, "completion", "bsh"
    )
