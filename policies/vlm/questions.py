"""Makes the questions that a model is asked about each world, as inputs of its network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from string import Template
from typing import Any

import numpy as np
from PIL import Image

from embodied.core import Observation
from embodied.errors import EmbodiedError, one_line
from embodied.policies.vlm.chat import question_text
from embodied.policies.vlm.folder import Model
from embodied.policies.vlm.form import PlanForm


class Questions:
    """Makes a model's inputs from the newest images, the instruction and proprioception.

    Args:
        model: the model.
        form: the form of answers, which the question describes.
        prompt: the template of the question, with the fields of `settings.FIELDS`.
        cameras: the names of the cameras whose images the model sees.
    """

    def __init__(
        self, model: Model, form: PlanForm, prompt: Template, cameras: tuple[str, ...]
    ) -> None:
        self._model = model
        self._form = form
        self._prompt = prompt
        self._cameras = cameras

    def inputs(self, observation: Observation) -> Iterator[Any]:
        """Yields the network's inputs by name, for each of n worlds."""
        texts = self._form.proprioception(observation.agent_pos)
        for k, instruction in enumerate(observation.instruction):
            question = self._form.question(self._prompt, instruction, texts[k])
            images = [np.asarray(observation.pixels[name][k]) for name in self._cameras]
            yield self._inputs(question, images)

    def check(self, image_size: int, answer_tokens: int) -> None:
        """Raises EmbodiedError if the model cannot be asked such questions.

        Args:
            image_size: the height and width of the images in pixels.
            answer_tokens: the number of tokens of the longest answer.
        """
        # an example of a question, about black images
        folder = self._model.folder
        black = np.zeros((image_size, image_size, 3), np.uint8)
        question = self._form.question(self._prompt, "Do what is to be done.", "there")

        # processors are free to raise anything
        try:
            inputs = self._inputs(question, [black] * len(self._cameras))
        except EmbodiedError:
            raise
        except Exception as error:
            raise EmbodiedError(
                f"the processor in {folder} cannot ask about {len(self._cameras)} "
                f"images: {type(error).__name__}: {one_line(error)[:200]}"
            ) from error

        # some configs do not say how many tokens the model reads
        text_config = self._model.network.config.get_text_config()
        max_tokens = getattr(text_config, "max_position_embeddings", None)
        num_tokens = inputs["input_ids"].shape[1] + answer_tokens
        if max_tokens is not None and num_tokens > max_tokens:
            raise EmbodiedError(
                f"question and answer have {num_tokens} tokens, but the model in {folder} "
                f"reads at most {max_tokens}: fewer cameras or a shorter prompt are needed"
            )

    def _inputs(self, question: str, images: Sequence[np.ndarray]) -> Any:
        """Returns the network's inputs for a question about images.

        Args:
            question: the text of the question.
            images: (H, W, 3) uint8 each, one per camera.
        """
        pictures = [Image.fromarray(np.ascontiguousarray(image)) for image in images]
        inputs = self._model.processor(
            text=question_text(self._model, question, len(images)),
            images=pictures,
            return_tensors="pt",
        )
        # some processors add labels, which only training needs
        inputs.pop("labels", None)
        return inputs.to(self._model.device, dtype=self._model.network.dtype)
