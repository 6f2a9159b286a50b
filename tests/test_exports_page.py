"""docs/exports.md: its commands parse, and it has one for each format."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from embodied.cli.data.export import FORMATS
from embodied.cli.main import build_parser

PAGE = Path(__file__).parent.parent / "docs" / "exports.md"


def test_every_format_has_a_command_that_parses() -> None:
    blocks = re.findall(r"```bash\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    commands = [shlex.split(line)[1:] for line in "".join(blocks).splitlines()]

    parsed = [build_parser(words).parse_args(words) for words in commands]

    shown = [each.format for each in parsed if hasattr(each, "format")]
    assert list(dict.fromkeys(shown)) == list(FORMATS)
