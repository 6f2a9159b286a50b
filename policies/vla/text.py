"""Instructions as numbers: a word list learned from the training sentences, and an
order-free encoder.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

PADDING = 0
UNKNOWN = 1


@dataclass(frozen=True)
class Vocabulary:
    """Known words; token 0 pads, token 1 is any other word."""

    words: tuple[str, ...]
    length: int = 24  # tokens a sentence is cut or padded to

    @classmethod
    def of(cls, sentences: Sequence[str]) -> Vocabulary:
        return cls(
            tuple(
                sorted(
                    {word for sentence in sentences for word in split_words(sentence)}
                )
            )
        )

    def encode(self, sentences: Sequence[str]) -> Tensor:
        """(n, length) int64."""
        number = {word: k + 2 for k, word in enumerate(self.words)}
        rows = [
            [number.get(word, UNKNOWN) for word in split_words(s)][: self.length]
            for s in sentences
        ]
        return torch.tensor(
            [row + [PADDING] * (self.length - len(row)) for row in rows],
            dtype=torch.long,
        )


def split_words(sentence: str) -> list[str]:
    """Lower-case words, no punctuation."""
    return re.findall(r"[a-z0-9]+", sentence.lower())


class WordBag(nn.Module):
    """Sum of word vectors, then a layer. A sentence encoder with more sense of order
    takes the same place.
    """

    def __init__(self, vocabulary: Vocabulary, width: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(
            len(vocabulary.words) + 2, width, padding_idx=PADDING
        )
        self.mix = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, width), nn.SiLU()
        )

    def forward(self, tokens: Tensor) -> Tensor:  # (n, T) -> (n, width)
        return self.mix(self.embedding(tokens).sum(dim=1))
