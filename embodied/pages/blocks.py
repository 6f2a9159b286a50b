"""Blocks of a page that `make docs` writes; people write the text between them."""

from __future__ import annotations

import re


def put_block(page: str, name: str, content: str, section: str) -> str:
    """Returns the page with a block replaced, or appended if it is new.

    Args:
        page: the page.
        name: the name of the block; it is in the comments that mark its begin and end.
        content: the content of the block.
        section: the heading, and perhaps a text, that is put before a new block.
    """
    begin = f"<!-- {name}: written by `make docs` -->"
    end = f"<!-- {name}: end -->"
    block = f"{begin}\n\n{content}\n\n{end}"
    if begin not in page:
        return f"{page.rstrip()}\n{section}{block}\n"

    # the replacement is a function, because `re.sub` interprets backslashes in a string
    pattern = re.escape(begin) + ".*?" + re.escape(end)
    return re.sub(pattern, lambda _: block, page, flags=re.DOTALL)
