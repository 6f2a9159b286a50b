"""docs/remote.md works as it is written: its commands and its file."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path

from embodied.cli.main import build_parser
from embodied.policies.registry import PREFIXES
from embodied.policies.remote import settings

DOCS = Path(__file__).parent.parent / "docs"
PAGE = (DOCS / "remote.md").read_text(encoding="utf-8")
VLM_PAGE = (DOCS / "vlm_planner.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    fence = rf"^```{language}\n(.*?)^```$"
    return re.findall(fence, PAGE, flags=re.DOTALL | re.MULTILINE)


def test_every_command_of_the_page_can_be_typed() -> None:
    lines = [line for block in blocks("bash") for line in block.splitlines()]
    commands = [shlex.split(line, comments=True) for line in lines]
    typed = [words for program, *words in commands if program == "embodied"]
    assert len(typed) >= 3
    for words in typed:
        build_parser(words).parse_args(words)


def test_the_file_of_the_page_is_read() -> None:
    (text,) = blocks("toml")
    found = tomllib.loads(text)
    assert found.keys() == settings.KEYS.keys()
    read = settings.checked_settings(found)
    assert read.info.shape.chunk_steps == 50
    assert read.keys.images["wrist"] == "observation/wrist_image"


def test_the_pages_name_all_prefixes() -> None:
    pages = PAGE + VLM_PAGE
    assert [name for name in PREFIXES if f"--policy {name}:" not in pages] == []
