"""A tiny random model of transformers, made on the spot: LLaVA's kind, 30 kB."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

IMAGE_PIXELS = 16
PATCH_PIXELS = 8
SPREAD = 0.5  # of the weights, so that all of the input counts
TEMPLATE = (
    "{% for message in messages %}"
    "{% if message.role == 'assistant' %}LEAD{% endif %}"
    "{% for part in message.content %}"
    "{% if part.type == 'image' %}<image>{% else %}{{ part.text }}{% endif %}"
    "{% endfor %}{% endfor %}"
    "{% if add_generation_prompt %}BEFORE{% endif %}"
)


def template(before: str, lead: str) -> str:
    """Returns a chat template, by what ends a question and what leads to an answer."""
    return TEMPLATE.replace("LEAD", before + lead).replace("BEFORE", before)


def save_tiny_vlm(folder: Path, seed: int = 0) -> Path:
    """Saves a model with random weights, and its processor; returns the folder."""
    torch: Any = import_module("torch")
    transformers: Any = import_module("transformers")
    tokenizer = byte_tokenizer(transformers)

    # the smallest tower and language model that are still ones
    torch.manual_seed(seed)
    vision = transformers.CLIPVisionConfig(
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        image_size=IMAGE_PIXELS,
        patch_size=PATCH_PIXELS,
        initializer_range=SPREAD,
    )
    text = transformers.LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=4096,
        initializer_range=SPREAD,
    )
    config = transformers.LlavaConfig(
        vision_config=vision,
        text_config=text,
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        vision_feature_layer=-1,
    )
    network = transformers.LlavaForConditionalGeneration(config)
    network.save_pretrained(folder)

    size = {"height": IMAGE_PIXELS, "width": IMAGE_PIXELS}
    image_processor = transformers.models.clip.CLIPImageProcessorPil(
        size=size, crop_size=size
    )
    processor = transformers.LlavaProcessor(
        image_processor,
        tokenizer,
        patch_size=PATCH_PIXELS,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=template("\nAnswer:", " "),
    )
    processor.save_pretrained(folder)
    return folder


def byte_tokenizer(transformers: Any) -> Any:
    """Returns a tokeniser with a token for each byte, and one for images."""
    tokenizers: Any = import_module("tokenizers")
    alphabet = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {letter: k for k, letter in enumerate(alphabet)}
    model = tokenizers.models.BPE(vocab=vocabulary, merges=[])
    raw = tokenizers.Tokenizer(model)
    raw.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = tokenizers.decoders.ByteLevel()
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=raw,
        pad_token="<pad>",
        eos_token="<end>",
        additional_special_tokens=["<image>"],
    )
