"""Messages with numbers in them."""

from __future__ import annotations

import ast
import re

import pytest

from embodied.wording import counted
from tests.acceptance import ROOT

SOURCES = ("datasets", "policies", "embodied", "envs")
# `len(things)` with a plural behind it, as in f"{len(things)} episodes"
BARE = re.compile(r"\{len\([\w.]+\)\} (episodes|takes|tries|frames|rows|plans|seeds)\b")


@pytest.mark.parametrize(
    ("count", "noun", "text"),
    [
        (1, "episode", "1 episode"),
        (0, "episode", "0 episodes"),
        (2, "try", "2 tries"),
        (1, "try", "1 try"),
        (3, "process", "3 processes"),
        (2, "day", "2 days"),
    ],
)
def test_a_number_with_its_noun(count: int, noun: str, text: str) -> None:
    assert counted(count, noun) == text


def test_messages_count_with_it() -> None:
    bare = []
    for folder in SOURCES:
        for path in (ROOT / folder).rglob("*.py"):
            text = path.read_text()
            if BARE.search(text):
                strings = [
                    ast.unparse(node)
                    for node in ast.walk(ast.parse(text))
                    if isinstance(node, ast.JoinedStr)
                ]
                bare += [
                    f"{path}: {string}" for string in strings if BARE.search(string)
                ]

    assert not bare
