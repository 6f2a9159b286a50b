"""A vision-language model as System 2."""

from __future__ import annotations

from collections.abc import Sequence
from string import Template

import numpy as np

from embodied.core import Array, Observation, Payload
from embodied.errors import EmbodiedError
from embodied.policies.vlm.answering import Answering
from embodied.policies.vlm.chat import beginning_of_answers
from embodied.policies.vlm.folder import Model
from embodied.policies.vlm.form import PlanForm
from embodied.policies.vlm.grammar import Grammar

Images = list[np.ndarray]  # (H, W, 3) uint8 each


class VLMPlanner:
    """Asks a model what to do next, from the newest images and the instruction.

    It keeps no memory. Worlds are asked about one after the other: in a batch, a model's
    rounding depends on the other rows, and here no world may depend on another.

    Args:
        model: the model.
        form: the form of its answers.
        prompt: the question, with the fields of `settings.FIELDS`.
        cameras: names of the cameras whose images it sees.
        image_size: height and width of their frames in pixels.

    Raises:
        EmbodiedError: the model's tokeniser cannot write such answers, or its processor
            cannot ask such questions.
    """

    def __init__(
        self,
        model: Model,
        form: PlanForm,
        prompt: Template,
        cameras: tuple[str, ...],
        image_size: int,
    ) -> None:
        self.plan_shape = form.plan_shape
        self._form = form
        self._prompt = prompt
        self._cameras = cameras
        try:
            beginning = beginning_of_answers(model)
            grammar = Grammar(form.words, model.encode, beginning)
        except EmbodiedError as error:
            raise EmbodiedError(
                f"the model in {model.folder} cannot write plans: {error}"
            ) from error
        self._answering = Answering(model, grammar)

        # try a question, to find early what does not fit
        black = np.zeros((image_size, image_size, 3), np.uint8)
        trial = form.question(prompt, "Do what is to be done.", "nowhere")
        self._answering.check(trial, [black] * len(cameras))

    def reset(self, ids: Array, seeds: Sequence[int]) -> None:
        """Does nothing: the planner keeps no memory."""

    def plan(self, observation: Observation, ids: Array) -> Payload:
        """Returns the plans of n worlds.

        Where the network's output is not finite, neither are the goals, so that the
        dual system throws the plan away.
        """
        answers = [
            self._answering.choose(question, images)
            for question, images in self._questions(observation)
        ]
        chosen = [words for words, _ in answers]
        is_finite = np.array([finite for _, finite in answers])

        payload = self._form.payload(chosen, observation.agent_pos)
        payload.goal_pos_w[~is_finite] = np.nan
        return payload

    def _questions(self, observation: Observation) -> list[tuple[str, Images]]:
        """Returns the question about each of n worlds, with its images."""
        texts = self._form.proprioception(observation.agent_pos)
        questions = []
        for k, instruction in enumerate(observation.instruction):
            images = [np.asarray(observation.pixels[name][k]) for name in self._cameras]
            question = self._form.question(self._prompt, instruction, texts[k])
            questions.append((question, images))
        return questions
