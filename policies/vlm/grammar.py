"""The answers that a model may give, as sequences of its tokens.

An answer is one word from each of several lists, in order. Decoding walks through tries of
tokens, so that every answer can be read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Union

from embodied.errors import EmbodiedError

# token -> what follows it, or the index of the word that it completes
Trie = dict[int, Union["Trie", int]]
Encode = Callable[[str], list[int]]


@dataclass(frozen=True)
class Beginning:
    """What stands where an answer begins, on which the tokens of its first word depend.

    Attributes:
        before: the end of the question.
        lead: what separates it from the answer: a space, or nothing.
    """

    before: str = "\n"
    lead: str = ""


# what stands before all other words
_BETWEEN = Beginning("stop", " ")


class Grammar:
    """The allowed answers: one word from each list of words, in order.

    Args:
        words: the list of words at each place of an answer.
        encode: returns the tokens of a text, without special tokens.
        beginning: what stands before the first word.

    Raises:
        EmbodiedError: two words of a list have the same tokens, or the tokens of one are
            the beginning of another's.
    """

    def __init__(
        self,
        words: Sequence[tuple[str, ...]],
        encode: Encode,
        beginning: Beginning = _BETWEEN,
    ) -> None:
        # most places share their list, so each list is encoded once
        trie_of_list: dict[tuple[str, ...], Trie] = {}
        for choices in words[1:]:
            if choices not in trie_of_list:
                trie_of_list[choices] = _trie(choices, encode, _BETWEEN)
        first = _trie(words[0], encode, beginning)
        self._tries = [first, *(trie_of_list[choices] for choices in words[1:])]
        self.max_tokens = sum(_depth(trie) for trie in self._tries)
        self.largest_token = max(_largest(trie) for trie in self._tries)

    def allowed(self, tokens: Sequence[int]) -> list[int]:
        """Returns the tokens that may follow `tokens`; none after a complete answer."""
        _, node = self._walk(tokens)
        return list(node)

    def read(self, tokens: Sequence[int]) -> list[int]:
        """Returns the index of the chosen word at each place that is complete."""
        chosen, _ = self._walk(tokens)
        return chosen

    def _walk(self, tokens: Sequence[int]) -> tuple[list[int], Trie]:
        """Returns the words chosen by `tokens`, and the trie of what may follow.

        Raises:
            KeyError: a token is not allowed where it stands.
        """
        chosen: list[int] = []
        node = self._tries[0]
        for token in tokens:
            child = node[token]
            if isinstance(child, dict):
                node = child
                continue

            # the word is complete; go on with the next list
            chosen.append(child)
            is_last = len(chosen) == len(self._tries)
            node = {} if is_last else self._tries[len(chosen)]
        return chosen, node


def _trie(words: tuple[str, ...], encode: Encode, beginning: Beginning) -> Trie:
    """Returns the trie of a list of words, as they are written after a beginning.

    Tokenisers write a word in another way where a text begins, or after a space.
    """
    before = encode(beginning.before)
    root: Trie = {}
    for index, word in enumerate(words):
        tokens = encode(f"{beginning.before}{beginning.lead}{word}")
        if tokens[: len(before)] != before or len(tokens) == len(before):
            raise EmbodiedError(f"its tokeniser does not keep the word {word!r} apart")
        _add(root, tokens[len(before) :], index, words)
    return root


def _add(root: Trie, tokens: list[int], index: int, words: tuple[str, ...]) -> None:
    """Adds a word to a trie.

    Raises:
        EmbodiedError: its tokens do not tell it from a word that is there.
    """
    node: Trie = root
    for token in tokens[:-1]:
        child = node.setdefault(token, {})
        if not isinstance(child, dict):
            raise _alike(words[child], words[index])
        node = child

    if tokens[-1] in node:
        other = node[tokens[-1]]
        while isinstance(other, dict):
            other = next(iter(other.values()))
        raise _alike(words[other], words[index])
    node[tokens[-1]] = index


def _alike(first: str, second: str) -> EmbodiedError:
    return EmbodiedError(f"its tokeniser does not tell {first!r} from {second!r}")


def _depth(trie: Trie) -> int:
    """Returns the number of tokens of the longest word."""
    below = [_depth(child) if isinstance(child, dict) else 0 for child in trie.values()]
    return 1 + max(below)


def _largest(trie: Trie) -> int:
    """Returns the largest token in a trie."""
    below = [_largest(child) for child in trie.values() if isinstance(child, dict)]
    return max([*trie, *below])
