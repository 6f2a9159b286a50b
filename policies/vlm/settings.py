"""The settings of a vision-language model, from a file, or the defaults for a folder."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

from embodied.core import SKILLS
from embodied.errors import EmbodiedError, unknown
from embodied.policies.settings_file import Kinds, check_kinds, read_text, read_toml
from embodied.policies.vlm.bins import MAX_BINS
from embodied.policies.vlm.form import FormConfig

# the fields that a prompt can have, which are filled in for each question
FIELDS = ("instruction", "subtasks", "form", "ranges", "proprioception")
# the keys of a settings file, with the types of their values
KEYS: Kinds = {
    "folder": ((str,), "a text"),
    "prompt": ((str,), "a text"),
    "head": ((str,), "a text"),
    "subtasks": ((list,), "a list of names"),
    "bins": ((int,), "a whole number"),
    "box_m": ((list,), "a list of three ranges, such as [[-1, 1], [-1, 1], [0, 1]]"),
    "cameras": ((list,), "a list of names"),
    "image_size": ((int,), "a whole number"),
    "camera_hz": ((int,), "a whole number"),
    "planner_hz": ((int, float), "a number"),
    "device": ((str,), "a text"),
}


@dataclass(frozen=True)
class Settings:
    """A model, and how it is asked.

    Attributes:
        folder: the folder of the model.
        prompt: the template of the question, with `$instruction` and others of FIELDS.
        form: the subtasks and ranges of numbers of which answers are made.
        cameras: the names of the cameras whose images the model sees; None for the
            task's cameras.
        image_size: the height and width of rendered images in pixels; the model's
            processor resizes them.
        camera_hz: images per second.
        planner_hz: the default number of plans per second.
        head: the folder of a head, which maps the model's hidden states to latents; None
            if the model's answers are the plans.
        device: the device of the model, such as "cpu" or "cuda:1"; "auto" for a GPU if
            there is one.
    """

    folder: Path
    prompt: Template
    form: FormConfig = field(default_factory=FormConfig)
    cameras: tuple[str, ...] | None = None
    image_size: int = 224
    camera_hz: int = 8
    planner_hz: float = 2.0
    head: Path | None = None
    device: str = "auto"


def read_settings(location: str) -> Settings:
    """Returns the settings in a TOML file, or the default settings for a model's folder.

    Args:
        location: the path of a file that ends in `.toml`, or else of a folder.

    Raises:
        EmbodiedError: the file cannot be read, or an entry is missing, unknown or wrong.
    """
    path = Path(location)
    if path.suffix != ".toml":
        return default_settings(path)

    entries = read_toml(path)
    try:
        return checked_settings(entries, path.parent)
    except EmbodiedError as error:
        raise EmbodiedError(f"{path}: {error}") from error


def default_settings(folder: Path) -> Settings:
    """Returns the settings for a model's folder if there is no settings file."""
    return Settings(folder, checked_prompt(default_prompt()))


def default_prompt() -> str:
    """Returns the text of the prompt that is used if no other prompt is given."""
    return files("embodied.policies.vlm").joinpath("prompt.txt").read_text("utf-8")


def checked_settings(entries: dict[str, Any], parent: Path) -> Settings:
    """Returns the settings with the entries of a file, and defaults for missing entries.

    Args:
        entries: the entries of the file; paths in them are relative to the file.
        parent: the folder of the file.

    Raises:
        EmbodiedError: an entry is missing, unknown or wrong.
    """
    check_kinds(entries, KEYS)
    _check_values(entries)
    _check_head(entries)
    if "folder" not in entries:
        raise EmbodiedError("folder must be given, the folder of the model")

    # the question, and the form of its answers
    prompt = default_prompt()
    if "prompt" in entries:
        prompt = read_text(parent / entries["prompt"])
    form = {
        key: entries[key] for key in ("subtasks", "bins", "box_m") if key in entries
    }
    if "subtasks" in form:
        form["subtasks"] = _checked_subtasks(form["subtasks"])
    if "box_m" in form:
        form["box_m"] = _checked_box(form["box_m"])

    # entries that are left out keep their defaults
    optional = ("cameras", "image_size", "camera_hz", "planner_hz", "device")
    given: dict[str, Any] = {key: entries[key] for key in optional if key in entries}
    if "cameras" in given:
        given["cameras"] = tuple(given["cameras"])
        if not given["cameras"]:
            raise EmbodiedError("cameras must name at least one")
    if "head" in entries:
        given["head"] = parent / entries["head"]
    return Settings(
        folder=parent / entries["folder"],
        prompt=checked_prompt(prompt),
        form=FormConfig(**form),
        **given,
    )


def checked_prompt(text: str) -> Template:
    """Returns the template of a prompt.

    Raises:
        EmbodiedError: the prompt has a field that does not exist, a $ without a field's
            name, or no field for the instruction.
    """
    template = Template(text.strip())
    if not template.is_valid():
        raise EmbodiedError(
            "the prompt has a $ without a name after it: write $$ for $"
        )
    for name in template.get_identifiers():
        if name not in FIELDS:
            raise unknown("field of the prompt", name, FIELDS)
    if "instruction" not in template.get_identifiers():
        raise EmbodiedError("the prompt must have the field $instruction")
    return template


def _check_head(entries: dict[str, Any]) -> None:
    """Raises EmbodiedError if there is a head, and an entry that has no effect with it."""
    picture_keys = ("cameras", "image_size", "camera_hz")
    without_effect = [name for name in picture_keys if name in entries]
    if "head" in entries and without_effect:
        raise EmbodiedError(
            f"{' and '.join(without_effect)}: with a head, pictures are those of its run"
        )


def _check_values(entries: dict[str, Any]) -> None:
    """Raises EmbodiedError if a number is out of its range, or an item of a list is no text."""
    # 4096 is far beyond useful values; the bound only catches slips
    for name in ("image_size", "camera_hz", "planner_hz"):
        if not 0 < entries.get(name, 1) <= 4096:
            raise EmbodiedError(
                f"{name} must be above 0 and at most 4096, not {entries[name]}"
            )

    if not 2 <= entries.get("bins", 2) <= MAX_BINS:
        raise EmbodiedError(
            f"bins must be from 2 to {MAX_BINS}, not {entries['bins']}, since numbers have "
            "three digits"
        )

    for name in ("subtasks", "cameras"):
        if not all(isinstance(item, str) for item in entries.get(name, ())):
            raise EmbodiedError(
                f"{name} must be a list of names, not {entries[name]!r}"
            )


def _checked_subtasks(names: list[str]) -> tuple[str, ...]:
    """Returns the subtasks; raises EmbodiedError for unknown, repeated or no subtasks."""
    for name in names:
        if name not in SKILLS:
            raise unknown("subtask", name, SKILLS)
    if not names or len(set(names)) < len(names):
        raise EmbodiedError("subtasks must name at least one, and each once")
    return tuple(names)


def _checked_box(box: list[Any]) -> tuple[Any, ...]:
    """Returns the ranges (low, high) in m of x, y and z; raises EmbodiedError if wrong."""
    _, expected = KEYS["box_m"]
    error = EmbodiedError(f"box_m must be {expected}, not {box!r}")
    if len(box) != 3:
        raise error
    for limits in box:
        if not isinstance(limits, list) or len(limits) != 2:
            raise error
        # `type`, since `isinstance` would accept a bool as an int
        if not all(type(limit) in (int, float) for limit in limits):
            raise error
        if not -100 <= limits[0] < limits[1] <= 100:
            raise EmbodiedError(
                f"a range of box_m must rise, within -100 and 100 m, not {limits!r}"
            )
    return tuple((float(low), float(high)) for low, high in box)
