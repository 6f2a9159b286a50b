"""Checks the folder of a model, and loads the model.

Nothing is downloaded and nothing in the folder is run as code: weights are safetensors,
and models or processors that bring Python of their own are refused. Chat templates are
Jinja, which transformers renders in a sandbox.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from embodied.errors import EmbodiedError, one_line
from embodied.policies.device import training_device
from embodied.policies.vlm.packages import load_transformers
from embodied.policies.vlm.settings import Settings

CONFIG = "config.json"
TOKENIZER = "tokenizer_config.json"
# each processor has one of these
PROCESSORS = ("processor_config.json", "preprocessor_config.json")
PICKLED = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")
# kinds of models that can be used, for an error message
EXAMPLES = ("gemma3", "idefics3", "llava", "paligemma", "qwen2_5_vl", "smolvlm")
# the files on which a model's answers depend
HASHED = ("*.safetensors", "*.json", "*.jinja", "*.model", "*.txt")


@dataclass(frozen=True)
class Model:
    """A model that is ready to answer.

    Attributes:
        folder: the folder that the model was loaded from.
        network: the network, a model for generation of transformers.
        processor: makes the network's inputs from texts and images.
        device: the device of the network.
    """

    folder: Path
    network: Any
    processor: Any
    device: torch.device

    def encode(self, text: str) -> list[int]:
        """Returns the tokens of a text, without special tokens."""
        tokenizer = self.processor.tokenizer
        return list(tokenizer(text, add_special_tokens=False)["input_ids"])


def check_folder(folder: Path) -> None:
    """Raises EmbodiedError unless a folder has the files of a model.

    It reads only the config, not the weights, so it is quick.
    """
    if not folder.is_dir():
        raise EmbodiedError(
            f"transformers:{folder} is no folder; models are read from folders of this "
            "machine, and never downloaded"
        )
    if not (folder / CONFIG).is_file():
        raise EmbodiedError(f"{folder} has no {CONFIG}, so it is no model's folder")

    # without safetensors, say whether there are weights in a form that is refused
    if not any(folder.glob("*.safetensors")):
        pickled = [path.name for pattern in PICKLED for path in folder.glob(pattern)]
        if pickled:
            raise EmbodiedError(
                f"{folder} has its weights as {sorted(pickled)[0]}, which can run code "
                "and is never loaded: save them as safetensors, with save_pretrained"
            )
        raise EmbodiedError(f"{folder} has no weights: no *.safetensors in it")

    # a processor consists of a tokeniser and a processor of images
    missing = [] if (folder / TOKENIZER).is_file() else [TOKENIZER]
    if not any((folder / name).is_file() for name in PROCESSORS):
        missing.append(" or ".join(PROCESSORS))
    if missing:
        raise EmbodiedError(
            f"{folder} has no processor: {' and '.join(missing)} not found; save it there "
            "with its save_pretrained"
        )
    _check_config(folder)


def asked_hash(settings: Settings) -> str:
    """Returns the SHA-256 of a model's files and of the settings of its question.

    With equal hashes, equal questions get equal answers.
    """
    digest = hashlib.sha256()
    digest.update(f"{settings.prompt.template}\n{settings.form!r}".encode())
    # a set, since a file may match several patterns
    paths = {path for pattern in HASHED for path in settings.folder.glob(pattern)}
    for path in sorted(paths):
        digest.update(path.name.encode())
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


@cache
def load_model(folder: Path, device_name: str) -> Model:
    """Returns the model of a folder; each process loads it once.

    Raises:
        EmbodiedError: the folder has no image-text-to-text model that can be loaded, or
            there is no such device.
    """
    check_folder(folder)
    device = training_device(device_name)
    transformers = load_transformers()
    _check_kind(folder, transformers)
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()

    processor = _load_processor(folder, transformers)
    # "auto" is the precision of the stored weights, often half; a CPU is slow at half
    dtype = torch.float32 if device.type == "cpu" else "auto"
    try:
        network, report = transformers.AutoModelForImageTextToText.from_pretrained(
            folder,
            dtype=dtype,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            # not an error here, since `_check_weights` reports such weights by name
            ignore_mismatched_sizes=True,
            output_loading_info=True,
        )
    except Exception as error:
        raise EmbodiedError(
            f"the model in {folder} cannot be loaded: {one_line(error)[:300]}"
        ) from error
    _check_weights(folder, report)

    # default settings: the folder's settings may make answers random, or penalise tokens
    network.generation_config = transformers.GenerationConfig()
    return Model(folder, network.eval().to(device), processor, device)


def _check_config(folder: Path) -> None:
    """Raises EmbodiedError if the config cannot be read, or the model brings its code."""
    file = folder / CONFIG
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:  # covers JSON and UTF-8 errors
        raise EmbodiedError(f"{file} is not JSON: {one_line(error)}") from error
    if not isinstance(config, dict) or not isinstance(config.get("model_type"), str):
        raise EmbodiedError(f"{file} does not say its model_type")
    if "auto_map" in config:
        raise EmbodiedError(
            f"{folder} brings Python code of its own (auto_map in {CONFIG}), which is "
            "never run: only models that are part of transformers can be used"
        )


def _check_kind(folder: Path, transformers: Any) -> None:
    """Raises EmbodiedError if transformers has no image-text-to-text model of this kind."""
    config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    kinds = transformers.models.auto.modeling_auto
    names = kinds.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES
    if config["model_type"] not in names:
        raise EmbodiedError(
            f"{folder} has a model of the kind {config['model_type']!r}, which is no "
            f"image-text-to-text model of transformers {transformers.__version__}; such "
            f"are {', '.join(EXAMPLES)}"
        )


def _load_processor(folder: Path, transformers: Any) -> Any:
    """Returns the processor of a folder, which takes texts and images."""
    try:
        processor = transformers.AutoProcessor.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False
        )
    except Exception as error:
        reason = one_line(error)[:300]
        # processors of models that also see videos need torchvision even for images
        if "torchvision" in reason.lower() and find_spec("torchvision") is None:
            reason = "it needs torchvision: pip install torchvision"
        raise EmbodiedError(
            f"the processor in {folder} cannot be loaded: {reason}"
        ) from error

    parts = ("tokenizer", "image_processor")
    if not all(hasattr(processor, part) for part in parts):
        raise EmbodiedError(
            f"the processor in {folder} is a {type(processor).__name__}, which does not "
            "take both texts and images"
        )
    return processor


def _check_weights(folder: Path, report: Any) -> None:
    """Raises EmbodiedError if weights were missing, since random weights replace them.

    Args:
        folder: the folder, for error messages.
        report: the information on loading that transformers returned.
    """
    for kind in ("missing_keys", "mismatched_keys"):
        # an entry is a name, or for mismatched keys a tuple of the name and both sizes
        entries = report[kind]
        names = sorted(
            entry if isinstance(entry, str) else entry[0] for entry in entries
        )
        if names:
            raise EmbodiedError(
                f"the weights in {folder} are not those of its {CONFIG}: "
                f"{len(names)} {kind.replace('_', ' ')}, the first is {names[0]}"
            )
