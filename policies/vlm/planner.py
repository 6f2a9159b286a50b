"""Vision-language models as System 2, by their answers or by their hidden state."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from embodied.core import Array, Observation
from embodied.errors import EmbodiedError
from embodied.plan import Payload
from embodied.policies.vla.latents import payload_of_latents
from embodied.policies.vla.network import PlannerNet
from embodied.policies.vlm.answering import Answering
from embodied.policies.vlm.chat import beginning_of_answers
from embodied.policies.vlm.folder import Model
from embodied.policies.vlm.form import PlanForm
from embodied.policies.vlm.grammar import Grammar
from embodied.policies.vlm.head import Head
from embodied.policies.vlm.questions import Questions


class AnsweringPlanner:
    """Asks a model what to do next; its answers are the plans.

    It keeps no memory. The model is asked about one world after the other: in a batch, its
    rounding would depend on the other rows, but no world may depend on another.

    Args:
        model: the model.
        form: the form of the model's answers.
        questions: makes the model's inputs.
        image_size: the height and width of the images in pixels.

    Raises:
        EmbodiedError: the model's tokeniser cannot write such answers, or its processor
            cannot ask such questions.
    """

    def __init__(
        self, model: Model, form: PlanForm, questions: Questions, image_size: int
    ) -> None:
        self.plan_shape = form.plan_shape
        self._form = form
        self._questions = questions

        # a tokeniser may be unable to distinguish the words of answers
        try:
            beginning = beginning_of_answers(model)
            grammar = Grammar(form.words, model.encode, beginning)
        except EmbodiedError as error:
            raise EmbodiedError(
                f"the model in {model.folder} cannot write plans: {error}"
            ) from error
        self._answering = Answering(model, grammar)
        questions.check(image_size, grammar.max_tokens)

    def reset(self, ids: Array, seeds: Sequence[int]) -> None:
        """Does nothing: the planner keeps no memory."""

    def plan(self, observation: Observation, ids: Array) -> Payload:
        """Returns the plans of n worlds.

        If the network's output is not finite, the goals are NaN, so that the dual system
        discards the plan.
        """
        questions = self._questions.inputs(observation)
        answers = [self._answering.choose(question) for question in questions]
        word_indices = [indices for indices, _ in answers]
        is_finite = np.array([finite for _, finite in answers])

        payload = self._form.payload(word_indices, observation.agent_pos)
        payload.goal_pos_w[~is_finite] = np.nan
        return payload


class LatentPlanner:
    """Maps a model's hidden state after the question to a latent, by a fitted head.

    It keeps no memory, and handles one world after the other, like `AnsweringPlanner`.

    Args:
        model: the model.
        questions: makes the model's inputs.
        head: maps hidden states to latents.
        net: the planner network whose latents the head predicts; its scales are needed to
            decode the goals in them.
        image_size: the height and width of the images in pixels.

    Raises:
        EmbodiedError: the model's processor cannot ask such questions.
    """

    def __init__(
        self,
        model: Model,
        questions: Questions,
        head: Head,
        net: PlannerNet,
        image_size: int,
    ) -> None:
        self.plan_shape = net.plan_shape
        self._model = model
        self._questions = questions
        self._head = head
        self._net = net
        questions.check(image_size, answer_tokens=0)

    def reset(self, ids: Array, seeds: Sequence[int]) -> None:
        """Does nothing: the planner keeps no memory."""

    def plan(self, observation: Observation, ids: Array) -> Payload:
        """Returns the plans of n worlds."""
        latents = [
            self._head.latent(hidden_state(self._model, question))
            for question in self._questions.inputs(observation)
        ]
        return payload_of_latents(self._net, np.stack(latents))


def hidden_state(model: Model, inputs: Any) -> np.ndarray:  # (H,) float32
    """Returns a model's hidden state at the last token of a question, after its last layer.

    Args:
        model: the model.
        inputs: a question, see `Questions.inputs`.
    """
    with torch.inference_mode():
        output = model.network(**inputs, output_hidden_states=True)
    last_layer = output.hidden_states[-1]  # (1, tokens, H)
    return last_layer[0, -1].float().cpu().numpy()
