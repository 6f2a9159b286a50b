"""Instructions as tokens: the vocabulary of the training sentences, and an encoder."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

# Tokens 0 and 1 are special; the words of the vocabulary have the tokens from 2 on.
PADDING = 0
UNKNOWN = 1
FIRST_WORD = 2


@dataclass(frozen=True)
class Vocabulary:
    """The known words and their tokens.

    Attributes:
        words: the known words; the first one has the token `FIRST_WORD`.
        length: the number of tokens to which sentences are truncated or padded.
    """

    words: tuple[str, ...]
    length: int = 24

    @classmethod
    def of(cls, sentences: Sequence[str]) -> Vocabulary:
        """Returns the vocabulary of some sentences, in alphabetical order."""
        words = set[str]()
        for sentence in sentences:
            words.update(split_words(sentence))
        return cls(tuple(sorted(words)))

    def encode(self, sentences: Sequence[str]) -> Tensor:
        """Returns the tokens of n sentences, (n, length) int64."""
        word_tokens = {word: k for k, word in enumerate(self.words, start=FIRST_WORD)}
        rows = []
        for sentence in sentences:
            words = split_words(sentence)[: self.length]
            tokens = [word_tokens.get(word, UNKNOWN) for word in words]
            rows.append(tokens + [PADDING] * (self.length - len(tokens)))
        return torch.tensor(rows, dtype=torch.long)


def split_words(sentence: str) -> list[str]:
    """Returns the words of a sentence in lower case, without punctuation."""
    return re.findall(r"[a-z0-9]+", sentence.lower())


class WordBag(nn.Module):
    """A sentence encoder that ignores word order: the sum of embeddings, then a layer.

    It can be replaced by any module with the same `forward`.

    Args:
        vocabulary: the known words.
        width: the number of elements of an encoded sentence.
    """

    def __init__(self, vocabulary: Vocabulary, width: int) -> None:
        """Makes the layers, with an embedding for each token."""
        super().__init__()
        num_tokens = FIRST_WORD + len(vocabulary.words)
        self.embedding = nn.Embedding(num_tokens, width, padding_idx=PADDING)
        self.mix = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, width), nn.SiLU()
        )

    def forward(self, tokens: Tensor) -> Tensor:  # (n, T) -> (n, width)
        return self.mix(self.embedding(tokens).sum(dim=1))
