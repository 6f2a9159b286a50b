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
    """Makes stdout and stderr replace characters that they cannot encode."""
    codecs.register_error(HANDLER, _plainly)
    for stream in (sys.stdout, sys.stderr):
        # a program may have replaced them by another object
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=HANDLER)


def plain(text: str) -> str:
    """Returns the text in ASCII: similar characters, else escaped code points."""
    letters = []
    for letter in text:
        letters.append(PLAIN.get(letter) or _nearest(letter))
    return "".join(letters)


def _nearest(letter: str) -> str:
    """Returns a letter without accents; an escaped code point if that is not ASCII."""
    parts = unicodedata.normalize("NFKD", letter)
    without_accents = "".join(p for p in parts if not unicodedata.combining(p))
    if without_accents and without_accents.isascii():
        return without_accents
    return letter.encode("ascii", "backslashreplace").decode("ascii")


def _plainly(error: UnicodeError) -> tuple[str, int]:
    """An error handler for `codecs`: returns (replacement, index to continue at)."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return plain(error.object[error.start : error.end]), error.end
