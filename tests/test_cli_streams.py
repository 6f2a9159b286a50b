"""Output in ASCII or Latin-1: no letter, wherever it comes from, ends a verb."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embodied.cli import main, streams
from embodied.cli.main import VERBS
from tests.commands import QUICKLY, TASK, run_python

# the verbs that print figures with dashes, signs and bars, in small
PRINTING = [
    ("list",),
    ("list", "--factors", TASK),
    ("list", "--actions", "arm"),
    ("collect", TASK, "--no-cameras", "--episodes", "2", "-o", "a.hdf5", *QUICKLY),
    (
        "eval",
        TASK,
        "--policy",
        "hold",
        "random",
        "--episodes",
        "1",
        "-o",
        "e",
        *QUICKLY,
    ),
]


@given(st.text())
def test_any_text_becomes_ascii(text: str) -> None:
    assert streams.plain(text).isascii()
    assert streams.plain(text) == text or not text.isascii()


def test_signs_of_our_tables_read_well() -> None:
    text = "55\N{EN DASH}83%, \N{MINUS SIGN}3, 4 \N{MULTIPLICATION SIGN}, Jos\u00e9, \u4e2d"
    assert streams.plain(text) == "55-83%, -3, 4 x, Jose, \\u4e2d"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp437", "utf-8"])
@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_each_stream_takes_each_letter(
    monkeypatch: pytest.MonkeyPatch, encoding: str, stream: str
) -> None:
    text = "\N{EN DASH} \u4e2d \udce9 \N{FULL BLOCK}\n"  # one of them is no letter
    written = io.BytesIO()
    wrapper = io.TextIOWrapper(written, encoding=encoding, errors="strict")
    monkeypatch.setattr(sys, stream, wrapper)

    def run(args: object) -> int:
        print(text, end="", file=getattr(sys, stream))
        wrapper.flush()
        return 0

    module = SimpleNamespace(
        HELP="", EXAMPLE="", add_arguments=lambda parser: None, run=run
    )
    monkeypatch.setitem(sys.modules, "embodied.cli.work", module)
    monkeypatch.setitem(main.VERBS, "work", "work")
    assert main.main(["work"]) == 0

    shown = written.getvalue().decode(encoding)
    assert shown.endswith("\n")
    assert "\\udce9" in shown
    for letter, other in zip(text.split(), shown.split(), strict=True):
        assert other == letter or other.isascii()


ASCII = {
    "PYTHONIOENCODING": "ascii",
    "LC_ALL": "C",
    "PYTHONUTF8": "0",
    "PYTHONCOERCECLOCALE": "0",
}
# Shows the help of all verbs that it is given.
SHOW_HELP = """
import sys
from embodied.cli.main import main
for verb in sys.argv[1:]:
    try:
        main([verb, "--help"])
    except SystemExit as end:
        assert end.code == 0, verb
"""


def run_in_ascii(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "embodied", *words],
        cwd=folder,
        env=os.environ | ASCII,
        capture_output=True,
        encoding="ascii",
        check=False,
    )


@pytest.mark.slow
def test_verbs_that_print_finish_in_ascii(tmp_path: Path) -> None:
    for words in PRINTING:
        child = run_in_ascii(tmp_path, *words)
        assert child.returncode == 0, child.stderr
        assert child.stdout


@pytest.mark.slow
def test_each_verb_shows_its_help_in_ascii() -> None:
    shown = run_python("-c", SHOW_HELP, *VERBS, **ASCII)
    for verb in VERBS:
        assert f"usage: embodied {verb}" in shown


def test_a_name_that_is_no_text_is_shown(tmp_path: Path) -> None:
    child = run_in_ascii(tmp_path, "list", "--actions", "caf\udce9")
    assert child.returncode == 2
    assert "'caf\\udce9'" in child.stderr
