"""Questions in the words of a model's processor, and where its answers begin."""

from __future__ import annotations

from typing import Any

from embodied.errors import EmbodiedError, one_line
from embodied.policies.vlm.folder import Model
from embodied.policies.vlm.grammar import Beginning

# any word, to see what a chat template puts before an answer
_WORD = "stop"


def question_text(model: Model, prompt: str, num_images: int) -> str:
    """Returns a question as text for the processor, with a place for each image.

    Raises:
        EmbodiedError: the processor has neither a chat template nor an image token, or
            its template cannot be rendered.
    """
    processor = model.processor
    if processor.chat_template:
        return _rendered(model, [_message(prompt, num_images)], True)

    token = getattr(processor, "image_token", None)
    if token is None:
        raise EmbodiedError(
            f"the processor in {model.folder} has neither a chat template nor an image "
            "token, so there is no place for images"
        )
    return f"{str(token) * num_images}{prompt}"


def beginning_of_answers(model: Model) -> Beginning:
    """Returns what stands before a model's answers.

    Raises:
        EmbodiedError: its chat template cannot be rendered.
    """
    if not model.processor.chat_template:
        return Beginning()
    question = _message("?", 1)
    asked = _rendered(model, [question], True)
    answer = {"role": "assistant", "content": [{"type": "text", "text": _WORD}]}
    answered = _rendered(model, [question, answer], False)

    # the word follows the question, with or without a space
    rest = answered.removeprefix(asked)
    lead = rest[: rest.find(_WORD)] if answered.startswith(asked) else ""
    return Beginning(asked[-1:], lead if lead == " " else "")


def _message(prompt: str, num_images: int) -> dict[str, Any]:
    content: list[dict[str, Any]] = [{"type": "image"} for _ in range(num_images)]
    return {"role": "user", "content": [*content, {"type": "text", "text": prompt}]}


def _rendered(model: Model, messages: list[dict[str, Any]], is_question: bool) -> str:
    """Returns messages as text, by the processor's chat template."""
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
