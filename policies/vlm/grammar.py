"""The answers that a model may give, as sequences of its tokens.

An answer is one word from each of several lists, in order. A trie for each list has the
tokens that may come next, so a model can write nothing but allowed answers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Union

from embodied.errors import EmbodiedError

# A tree of tokens: token -> the trie of the tokens after it, or the index of the word that
# the token completes.
Trie = dict[int, Union["Trie", int]]
# A function that returns the tokens of a text, without special tokens.
Encode = Callable[[str], list[int]]


@dataclass(frozen=True)
class Beginning:
    """The text before a word, on which the word's tokens depend.

    Attributes:
        before: the end of the text before the word.
        separator: a space between that text and the word, or nothing.
    """

    before: str = "\n"
    separator: str = ""


# The text before all words but the first: another word, and a space.
_BETWEEN = Beginning("stop", " ")


class Grammar:
    """The allowed answers: one word from each list of words, in order.

    Args:
        words: for each position in an answer, the list of words allowed there.
        encode: returns the tokens of a text, without special tokens.
        beginning: the text before the first word.

    Raises:
        EmbodiedError: two words of a list have the same tokens, or the tokens of one word
            begin with all tokens of another word.
    """

    def __init__(
        self,
        words: Sequence[tuple[str, ...]],
        encode: Encode,
        beginning: Beginning = _BETWEEN,
    ) -> None:
        # most positions have the same list of words, so each list is encoded once
        trie_of_list: dict[tuple[str, ...], Trie] = {}
        for choices in words[1:]:
            if choices not in trie_of_list:
                trie_of_list[choices] = _trie(choices, encode, _BETWEEN)
        first = _trie(words[0], encode, beginning)
        self._tries = [first, *(trie_of_list[choices] for choices in words[1:])]
        self.max_tokens = sum(_depth(trie) for trie in self._tries)
        self.largest_token = max(_largest(trie) for trie in self._tries)

    def allowed(self, tokens: Sequence[int]) -> list[int]:
        """Returns the tokens that may follow the first `tokens` of an answer.

        After a complete answer the result is empty.
        """
        _, node = self._walk(tokens)
        return list(node)

    def read(self, tokens: Sequence[int]) -> list[int]:
        """Returns the index of each complete word of an answer in its list."""
        chosen, _ = self._walk(tokens)
        return chosen

    def _walk(self, tokens: Sequence[int]) -> tuple[list[int], Trie]:
        """Returns the indices of the words in `tokens`, and the trie of what may follow.

        Raises:
            KeyError: a token is not allowed at its position.
        """
        chosen: list[int] = []
        node = self._tries[0]
        for token in tokens:
            child = node[token]
            if isinstance(child, dict):
                node = child
                continue

            # the word is complete; the next token is from the next list
            chosen.append(child)
            is_last = len(chosen) == len(self._tries)
            node = {} if is_last else self._tries[len(chosen)]
        return chosen, node


def _trie(words: tuple[str, ...], encode: Encode, beginning: Beginning) -> Trie:
    """Returns the trie of a list of words, which are written after a beginning.

    The beginning matters, because tokenisers encode a word in another way after a space
    than at the start of a text.
    """
    before = encode(beginning.before)
    root: Trie = {}
    for index, word in enumerate(words):
        tokens = encode(f"{beginning.before}{beginning.separator}{word}")
        # the word must have tokens of its own, after those of the text before it
        if tokens[: len(before)] != before or len(tokens) == len(before):
            raise EmbodiedError(f"its tokeniser does not keep the word {word!r} apart")
        _add_word(root, tokens[len(before) :], index, words=words)
    return root


def _add_word(
    root: Trie, tokens: list[int], index: int, words: tuple[str, ...]
) -> None:
    """Adds a word to a trie.

    Args:
        root: the trie, which is changed.
        tokens: the tokens of the word.
        index: the index of the word in `words`.
        words: all words of the trie, for the error message.

    Raises:
        EmbodiedError: the word cannot be distinguished by its tokens from another word.
    """
    node: Trie = root
    for token in tokens[:-1]:
        child = node.setdefault(token, {})
        if not isinstance(child, dict):
            raise _alike_error(words[child], words[index])
        node = child

    # the last token already completes another word, or leads to longer words: name one
    if tokens[-1] in node:
        other = node[tokens[-1]]
        while isinstance(other, dict):
            other = next(iter(other.values()))
        raise _alike_error(words[other], words[index])
    node[tokens[-1]] = index


def _alike_error(first: str, second: str) -> EmbodiedError:
    return EmbodiedError(f"its tokeniser does not tell {first!r} from {second!r}")


def _depth(trie: Trie) -> int:
    """Returns the number of tokens of the longest word in a trie."""
    depths = [
        _depth(child) if isinstance(child, dict) else 0 for child in trie.values()
    ]
    return 1 + max(depths)


def _largest(trie: Trie) -> int:
    """Returns the largest token in a trie."""
    largest_below = [
        _largest(child) for child in trie.values() if isinstance(child, dict)
    ]
    return max([*trie, *largest_below])
