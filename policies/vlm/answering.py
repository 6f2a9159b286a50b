"""Lets a model answer with the words of a grammar only."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from embodied.errors import EmbodiedError
from embodied.policies.vlm.folder import Model
from embodied.policies.vlm.grammar import Grammar


class Answering:
    """Lets a model answer, and returns which words it chose.

    The most likely of the allowed tokens is taken each time, so the same question has the
    same answer.

    Args:
        model: the model.
        grammar: the allowed answers.

    Raises:
        EmbodiedError: the network does not know all tokens of the answers.
    """

    def __init__(self, model: Model, grammar: Grammar) -> None:
        """Checks that the network can write all answers."""
        self._model = model
        self._grammar = grammar
        num_tokens = model.network.get_output_embeddings().weight.shape[0]
        if grammar.largest_token >= num_tokens:
            raise EmbodiedError(
                f"the tokeniser in {model.folder} has token {grammar.largest_token}, but "
                f"the network knows only {num_tokens}: they do not belong together"
            )

    def choose(self, inputs: Any) -> tuple[list[int], bool]:
        """Returns the chosen words of an answer, and whether it can be trusted.

        Args:
            inputs: a question, see `Questions.inputs`.

        Returns:
            The index of the chosen word in each list of the grammar; and whether the
            network's output was finite: if not, the words mean nothing.
        """
        question_tokens = inputs["input_ids"].shape[1]
        constraint = _GrammarConstraint(self._grammar, question_tokens)
        with torch.inference_mode():
            tokens = self._model.network.generate(
                **inputs,
                do_sample=False,
                max_new_tokens=self._grammar.max_tokens,
                logits_processor=[constraint],
                stopping_criteria=[constraint.is_complete],
                pad_token_id=0,  # never used, since there is one question per call
            )
        answer = tokens[0, question_tokens:].tolist()
        return self._grammar.read(answer), constraint.is_finite


class _GrammarConstraint:
    """Allows a model only the tokens of a grammar.

    `generate` of transformers calls it before it chooses each token. The class for this in
    transformers is not used: it adds minus infinity to the scores of other tokens, and a
    score of NaN would stay NaN.

    Attributes:
        is_finite: whether the scores of all allowed tokens were finite so far.

    Args:
        grammar: the allowed answers.
        question_tokens: the number of tokens of the question.
    """

    def __init__(self, grammar: Grammar, question_tokens: int) -> None:
        self._grammar = grammar
        self._question_tokens = question_tokens
        self.is_finite = True

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Returns the scores with minus infinity for tokens that are not allowed.

        Args:
            input_ids: (1, t) the tokens of the question, and of the answer so far.
            scores: (1, T) the scores of all tokens as the next one.
        """
        answer = input_ids[0, self._question_tokens :].tolist()
        allowed = self._grammar.allowed(answer)
        allowed_scores = scores[:, allowed]
        if not bool(torch.isfinite(allowed_scores).all()):
            self.is_finite = False

        # scores that are not finite become numbers, so that some allowed token is chosen
        masked = torch.full_like(scores, -torch.inf)
        masked[:, allowed] = torch.nan_to_num(allowed_scores)
        return masked

    def is_complete(self, input_ids: Tensor, scores: Any, **_: Any) -> Tensor:
        """Returns whether the answer is complete, (1,) bool."""
        answer = input_ids[0, self._question_tokens :].tolist()
        is_complete = not self._grammar.allowed(answer)
        return torch.tensor([is_complete], device=input_ids.device)
