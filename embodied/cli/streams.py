"""Replaces characters that the output's encoding lacks, such as a dash in ASCII.

Some environments set ASCII or Latin-1 as the encoding (`PYTHONIOENCODING`, some locales).
Python would then raise an error at the first character that cannot be encoded, perhaps in
the last line after hours of work.
"""

from __future__ import annotations

import codecs
import io
import sys
import unicodedata

HANDLER = "embodied.plain"  # the name under which Python knows `_replace_unencodable`
# character -> replacement in ASCII
REPLACEMENTS = {
    "\N{EN DASH}": "-",
    "\N{EM DASH}": "-",
    "\N{MINUS SIGN}": "-",
    "\N{MULTIPLICATION SIGN}": "x",
    "\N{PLUS-MINUS SIGN}": "+-",
    "\N{DEGREE SIGN}": " deg",
    "\N{MICRO SIGN}": "u",
    "\N{RIGHTWARDS ARROW}": "->",
    "\N{LEFT SINGLE QUOTATION MARK}": "'",
    "\N{RIGHT SINGLE QUOTATION MARK}": "'",
    "\N{LEFT DOUBLE QUOTATION MARK}": '"',
    "\N{RIGHT DOUBLE QUOTATION MARK}": '"',
    "\N{FULL BLOCK}": "#",
}


def never_refuse_letters() -> None:
    """Makes stdout and stderr replace characters that they cannot encode."""
    codecs.register_error(HANDLER, _replace_unencodable)
    for stream in (sys.stdout, sys.stderr):
        # a program may have replaced the stream by another kind of object
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=HANDLER)


def plain(text: str) -> str:
    """Returns the text in ASCII: similar characters, else escaped code points."""
    characters = []
    for character in text:
        characters.append(REPLACEMENTS.get(character) or _without_accents(character))
    return "".join(characters)


def _without_accents(character: str) -> str:
    """Returns a letter without accents; for a character that is none, an escape code."""
    # NFKD splits a letter with an accent into the letter and the accent
    parts = unicodedata.normalize("NFKD", character)
    letter = "".join(part for part in parts if not unicodedata.combining(part))
    if letter and letter.isascii():
        return letter
    return character.encode("ascii", "backslashreplace").decode("ascii")


def _replace_unencodable(error: UnicodeError) -> tuple[str, int]:
    """An error handler for `codecs`: returns (replacement, index to continue at)."""
    # only the encoding of output can be mended, not the decoding of input
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return plain(error.object[error.start : error.end]), error.end
