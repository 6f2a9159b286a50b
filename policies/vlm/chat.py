"""Writes questions by a model's chat template, and finds how its answers begin."""

from __future__ import annotations

from typing import Any

from embodied.errors import EmbodiedError, one_line
from embodied.policies.vlm.folder import Model
from embodied.policies.vlm.grammar import Beginning

# The answer in an example, which shows what a chat template puts before answers. Any word
# would do.
_WORD = "stop"


def question_text(model: Model, prompt: str, num_images: int) -> str:
    """Returns a question as text for the processor, with a marker for each image.

    Args:
        model: the model.
        prompt: the text of the question.
        num_images: the number of images that the question is about.

    Raises:
        EmbodiedError: the processor has neither a chat template nor an image token, or
            its template cannot be rendered.
    """
    processor = model.processor
    if processor.chat_template:
        return _rendered(model, [_message(prompt, num_images)], is_question=True)

    token = getattr(processor, "image_token", None)
    if token is None:
        raise EmbodiedError(
            f"the processor in {model.folder} has neither a chat template nor an image "
            "token, so there is no place for images"
        )
    return f"{str(token) * num_images}{prompt}"


def beginning_of_answers(model: Model) -> Beginning:
    """Returns the text before a model's answers, found by an example.

    Raises:
        EmbodiedError: the model's chat template cannot be rendered.
    """
    if not model.processor.chat_template:
        return Beginning()

    # any question would do for the example, too
    question = _message("?", num_images=1)
    question_only = _rendered(model, [question], is_question=True)
    answer = {"role": "assistant", "content": [{"type": "text", "text": _WORD}]}
    with_answer = _rendered(model, [question, answer], is_question=False)

    # the answer follows the question, with or without a space
    separator = ""
    if with_answer.startswith(question_only):
        answer_text = with_answer.removeprefix(question_only)
        separator = answer_text[: answer_text.find(_WORD)]
    # the last character of the question is enough for the tokens of the word after it
    return Beginning(
        before=question_only[-1:], separator=" " if separator == " " else ""
    )


def _message(prompt: str, num_images: int) -> dict[str, Any]:
    """Returns a user's message for a chat template: images, then the question."""
    content: list[dict[str, Any]] = [{"type": "image"} for _ in range(num_images)]
    return {"role": "user", "content": [*content, {"type": "text", "text": prompt}]}


def _rendered(model: Model, messages: list[dict[str, Any]], is_question: bool) -> str:
    """Returns messages as text, by the processor's chat template.

    Args:
        model: the model.
        messages: the messages of a chat.
        is_question: whether the text ends where the model's answer begins.
    """
    # templates are free to raise anything
    try:
        return str(
            model.processor.apply_chat_template(
                messages, add_generation_prompt=is_question
            )
        )
    except Exception as error:
        raise EmbodiedError(
            f"the chat template in {model.folder} cannot be rendered: "
            f"{type(error).__name__}: {one_line(error)[:200]}"
        ) from error
