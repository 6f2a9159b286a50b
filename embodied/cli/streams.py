"""What the command's output can't hold, such as a dash in ASCII, is written plainly.

A stream is in ASCII or Latin-1 where the environment says so (`PYTHONIOENCODING`, some
locales). Python would raise an error at the first letter that does not fit, which may
be the last line after hours of work.
"""

from __future__ import annotations

import codecs
import io
import sys
import unicodedata

HANDLER = "embodied.plain"
PLAIN = {
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
    """Makes both output streams write plainly what they can't hold."""
    codecs.register_error(HANDLER, _plainly)
    for stream in (sys.stdout, sys.stderr):
        # what a program put in their place may hold anything
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=HANDLER)


def plain(text: str) -> str:
    """Returns the text in ASCII: the nearest letters, else their numbers."""
    letters = []
    for letter in text:
        letters.append(PLAIN.get(letter) or _nearest(letter))
    return "".join(letters)


def _nearest(letter: str) -> str:
    """Returns a letter without its accents, or as a number where that isn't ASCII."""
    parts = unicodedata.normalize("NFKD", letter)
    without_accents = "".join(p for p in parts if not unicodedata.combining(p))
    if without_accents and without_accents.isascii():
        return without_accents
    return letter.encode("ascii", "backslashreplace").decode("ascii")


def _plainly(error: UnicodeError) -> tuple[str, int]:
    """Returns what to write in place of what can't be encoded, and where to go on."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return plain(error.object[error.start : error.end]), error.end
