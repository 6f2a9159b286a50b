"""Asking a model, and holding its answer to a grammar."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from embodied.errors import EmbodiedError, one_line
from embodied.policies.vlm.chat import question_text
from embodied.policies.vlm.folder import Model
from embodied.policies.vlm.grammar import Grammar


class Answering:
    """Asks a model, and returns which words it chose.

    At each step the most likely of the allowed tokens is taken, so the same question has
    the same answer.

    Args:
        model: the model.
        grammar: the answers that are allowed.
    """

    def __init__(self, model: Model, grammar: Grammar) -> None:
        self._model = model
        self._grammar = grammar

    def check(self, prompt: str, images: Sequence[np.ndarray]) -> None:
        """Raises EmbodiedError if the model cannot be asked such a question.

        Args:
            prompt: the question.
            images: (H, W, 3) uint8 each.
        """
        folder = self._model.folder
        network = self._model.network
        known = network.get_output_embeddings().weight.shape[0]
        if self._grammar.largest_token >= known:
            raise EmbodiedError(
                f"the tokeniser in {folder} has token {self._grammar.largest_token}, but "
                f"the network knows only {known}: they do not belong together"
            )

        # chat templates and processors are free to raise anything
        try:
            asked = self._inputs(prompt, images)["input_ids"].shape[1]
        except EmbodiedError:
            raise
        except Exception as error:
            raise EmbodiedError(
                f"the processor in {folder} cannot ask about {len(images)} images: "
                f"{type(error).__name__}: {one_line(error)[:200]}"
            ) from error

        text = network.config.get_text_config()
        longest = getattr(text, "max_position_embeddings", None)
        tokens = asked + self._grammar.max_tokens
        if longest is not None and tokens > longest:
            raise EmbodiedError(
                f"question and answer have {tokens} tokens, but the model in {folder} "
                f"reads at most {longest}: fewer cameras or a shorter prompt are needed"
            )

    def choose(
        self, prompt: str, images: Sequence[np.ndarray]
    ) -> tuple[list[int], bool]:
        """Returns the index of the chosen word at each place, and whether to trust it.

        It is not to be trusted if the network's output was not finite.

        Args:
            prompt: the question.
            images: (H, W, 3) uint8 each.
        """
        inputs = self._inputs(prompt, images)
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

    def _inputs(self, prompt: str, images: Sequence[np.ndarray]) -> Any:
        """Returns the network's inputs by name, for one question."""
        pictures = [Image.fromarray(np.ascontiguousarray(image)) for image in images]
        inputs = self._model.processor(
            text=question_text(self._model, prompt, len(images)),
            images=pictures,
            return_tensors="pt",
        )
        # some processors add what only training needs
        inputs.pop("labels", None)
        return inputs.to(self._model.device, dtype=self._model.network.dtype)


class _Follow:
    """Allows a model only the tokens of a grammar; called by `generate` at each step.

    transformers' own `prefix_allowed_tokens_fn` adds minus infinity to the scores of
    other tokens, which a score of NaN survives.

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
