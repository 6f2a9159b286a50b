"""Blocks of a page that are written by `make docs`, between words that people wrote."""

from __future__ import annotations

import re


def put_block(page: str, name: str, content: str, section: str) -> str:
    """Replaces a block, or adds it to the end below the head of a new section."""
    begin = f"<!-- {name}: written by `make docs` -->"
    end = f"<!-- {name}: end -->"
    block = f"{begin}\n\n{content}\n\n{end}"
    if begin not in page:
        return f"{page.rstrip()}\n{section}{block}\n"

    pattern = re.escape(begin) + ".*?" + re.escape(end)
    return re.sub(pattern, lambda _: block, page, flags=re.DOTALL)
