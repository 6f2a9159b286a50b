"""Holding a model's answers to a grammar."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from embodied.errors import EmbodiedError
from embodied.policies.vlm.folder import Model
from embodied.policies.vlm.grammar import Grammar


class Answering:
    """Lets a model answer, and returns which words it chose.

    At each step the most likely of the allowed tokens is taken, so the same question has
    the same answer.

    Args:
        model: the model.
        grammar: the answers that are allowed.

    Raises:
        EmbodiedError: the network does not know all tokens of the answers.
    """

    def __init__(self, model: Model, grammar: Grammar) -> None:
        self._model = model
        self._grammar = grammar
        known = model.network.get_output_embeddings().weight.shape[0]
        if grammar.largest_token >= known:
            raise EmbodiedError(
                f"the tokeniser in {model.folder} has token {grammar.largest_token}, but "
                f"the network knows only {known}: they do not belong together"
            )

    def choose(self, inputs: Any) -> tuple[list[int], bool]:
        """Returns the index of the chosen word at each place, and whether to trust it.

        It is not to be trusted if the network's output was not finite.

        Args:
            inputs: a question, see `Questions.inputs`.
        """
        asked = inputs["input_ids"].shape[1]
        follow = _Follow(self._grammar, asked)
        with torch.inference_mode():
            tokens = self._model.network.generate(
                **inputs,
                do_sample=False,
                max_new_tokens=self._grammar.max_tokens,
                logits_processor=[follow],
                stopping_criteria=[follow.is_complete],
                pad_token_id=0,
            )
        return self._grammar.read(tokens[0, asked:].tolist()), follow.is_finite


class _Follow:
    """Allows a model only the tokens of a grammar; called by `generate` at each step.

    The function for that in transformers adds minus infinity to the scores of other
    tokens, which a score of NaN survives.

    Args:
        grammar: the answers that are allowed.
        asked: number of tokens of the question.
    """

    def __init__(self, grammar: Grammar, asked: int) -> None:
        self._grammar = grammar
        self._asked = asked
        self.is_finite = True

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Returns the scores (1, T) of all tokens: minus infinity where not allowed."""
        allowed = self._grammar.allowed(input_ids[0, self._asked :].tolist())
        chosen = scores[:, allowed]
        if not bool(torch.isfinite(chosen).all()):
            self.is_finite = False

        masked = torch.full_like(scores, -torch.inf)
        masked[:, allowed] = torch.nan_to_num(chosen)
        return masked

    def is_complete(self, input_ids: Tensor, scores: Any, **_: Any) -> Tensor:
        """Returns whether the answer is complete, (1,) bool."""
        answer = input_ids[0, self._asked :].tolist()
        complete = not self._grammar.allowed(answer)
        return torch.tensor([complete], device=input_ids.device)
