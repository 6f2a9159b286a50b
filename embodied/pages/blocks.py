"""Blocks of a page that are written by `make docs`, between words that people wrote."""

from __future__ import annotations

import re


def put_block(page: str, name: str, content: str, section: str) -> str:
    """Returns the page with a block replaced, or added to its end.

    Args:
        page: the page.
        name: of the block, in the comments that mark where it begins and ends.
        content: what stands in the block.
        section: the head of a new section, which goes before a block that is new.
    """
    begin = f"<!-- {name}: written by `make docs` -->"
    end = f"<!-- {name}: end -->"
    block = f"{begin}\n\n{content}\n\n{end}"
    if begin not in page:
        return f"{page.rstrip()}\n{section}{block}\n"

    # given by a function, since `re.sub` would take backslashes in a text for its own
    pattern = re.escape(begin) + ".*?" + re.escape(end)
    return re.sub(pattern, lambda _: block, page, flags=re.DOTALL)
