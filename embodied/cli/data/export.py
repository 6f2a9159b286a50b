"""`embodied data export`: writes episodes in the format of another tool."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from pathlib import Path

from embodied.cli import arguments
from embodied.cli.output import no_empty_folders, require_writable
from embodied.cli.progress import CountProgress
from embodied.datasets.export.frames import SelectedEpisode
from embodied.datasets.export.lerobot import export_lerobot
from embodied.datasets.export.lerobot_features import Pictures
from embodied.datasets.export.lerobot_v2 import export_lerobot_v2
from embodied.datasets.export.minari import export_minari
from embodied.datasets.export.rerun import export_rerun
from embodied.datasets.export.robomimic import export_robomimic
from embodied.datasets.export.selection import ALL, Choice, Selection
from embodied.errors import EmbodiedError
from embodied.policies.vlm.pairs import export_pairs
from embodied.policies.vlm.settings import default_settings, read_settings
from embodied.wording import counted

HELP = """Write the episodes of one or several datasets of one robot in the format of another tool. Only successes are
taken, unless another mask is asked for."""
EXAMPLE = "embodied data export totes.hdf5 -o totes_lerobot --format lerobot"

Export = Callable[[argparse.Namespace, Selection, Iterable[SelectedEpisode]], None]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this verb's arguments."""
    parser.add_argument(
        "sources", type=Path, nargs="+", metavar="FILE", help="the datasets to export"
    )
    arguments.add_output(parser, "what to make", metavar="PATH")

    parser.add_argument(
        "--format", required=True, choices=list(FORMATS), help="whose format"
    )

    # which episodes, frames and cameras
    parser.add_argument(
        "--mask",
        default=Choice.mask,
        help=f"which episodes: success, failure, train, valid, {ALL} or a mask of your own (default: %(default)s)",
    )
    parser.add_argument(
        "--hz", type=int, help="frames per second (default: as recorded)"
    )
    parser.add_argument(
        "--camera",
        action="append",
        help="a camera to take; may be repeated (default: all that the files share)",
    )

    # flags of a single format; `reject_flags_without_effect` rejects them with others
    parser.add_argument(
        "--images",
        choices=["video", "image", "none"],
        help="lerobot: pictures as H.264 videos, as PNG files in the tables, or not at all (default: video)",
    )
    parser.add_argument(
        "--subtasks",
        action="store_true",
        help="lerobot: add the subtasks of the plans as LeRobot 0.6's columns of language, with --v2 as GR00T's",
    )
    parser.add_argument(
        "--v2",
        action="store_true",
        help="lerobot: the older format v2.1, with the modality.json that GR00T reads",
    )
    parser.add_argument(
        "--key",
        action="append",
        help="robomimic: an observation to write, such as agent_pos, wrist_image or tcp_pos_w; may be repeated",
    )
    parser.add_argument(
        "--settings",
        type=Path,
        metavar="FILE.toml",
        help="vlm: how the model will be asked (docs/vlm_planner.md; default: as without a file)",
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="go on with an export that was stopped, given the same words",
    )


def run(args: argparse.Namespace) -> int:
    """Writes the export, and prints what it holds."""
    reject_flags_without_effect(args)
    require_writable(args.output)
    if args.resume and args.output.exists():
        print(f"{args.output} is there already: nothing to do")
        return 0

    # say which parts of the datasets the export leaves out
    cameras = tuple(args.camera) if args.camera else None
    selection = Selection(args.sources, Choice(args.mask, cameras, args.hz))
    omitted = list(selection.omitted)
    if args.format == "lerobot" and selection.spec.truth:
        omitted.append("depth and segmentation, for which LeRobot has no place")
    for part in omitted:
        print(f"left out: {part}")

    with_images = bool(selection.spec.cameras) and args.images != "none"
    with (
        no_empty_folders(args.output),
        CountProgress("export", len(selection), "episode") as progress,
    ):
        episodes = selection.load(with_images, progress)
        try:
            FORMATS[args.format](args, selection, episodes)
        except KeyboardInterrupt as stop:
            raise KeyboardInterrupt(arguments.resume_hint(args.words, stop)) from None
    selection.close()

    # the summary also counts the episodes that the mask excludes
    num_others = selection.total_episodes - len(selection)
    others = f"; {num_others} not in the mask {args.mask}" if num_others else ""
    print(f"{args.output}: {counted(len(selection), 'episode')}{others}")
    return 0


def reject_flags_without_effect(args: argparse.Namespace) -> None:
    """Raises EmbodiedError for a flag that has no effect with the chosen format."""
    # flag -> (whether the user gave it, formats on which it has an effect)
    format_flags = {
        "--images": (args.images is not None, ("lerobot",)),
        "--subtasks": (args.subtasks, ("lerobot",)),
        "--v2": (args.v2, ("lerobot",)),
        "--key": (args.key is not None, ("robomimic",)),
        "--settings": (args.settings is not None, ("vlm",)),
    }

    for flag, (given, formats) in format_flags.items():
        if given and args.format not in formats:
            raise EmbodiedError(
                f"{flag} has an effect only with --format {' or '.join(formats)}"
            )

    if args.images == "none" and args.camera:
        raise EmbodiedError("--camera has no effect with --images none")


def _lerobot(
    args: argparse.Namespace,
    selection: Selection,
    episodes: Iterable[SelectedEpisode],
) -> None:
    """Exports to LeRobot's format, version 2.1 or 3.0."""
    export = export_lerobot_v2 if args.v2 else export_lerobot
    pictures: Pictures = args.images or "video"

    export(
        selection,
        episodes,
        args.output,
        pictures=pictures,
        subtasks=args.subtasks,
        resume=args.resume,
    )


def _robomimic(
    args: argparse.Namespace,
    selection: Selection,
    episodes: Iterable[SelectedEpisode],
) -> None:
    """Exports to a file in robomimic's format."""
    export_robomimic(
        selection, episodes, args.output, keys=args.key, resume=args.resume
    )


def _minari(
    args: argparse.Namespace,
    selection: Selection,
    episodes: Iterable[SelectedEpisode],
) -> None:
    """Exports to a Minari dataset."""
    export_minari(selection, episodes, args.output, args.resume)


def _rerun(
    args: argparse.Namespace,
    selection: Selection,
    episodes: Iterable[SelectedEpisode],
) -> None:
    """Exports to recordings for the viewer Rerun."""
    export_rerun(selection, episodes, args.output, args.resume)


def _vlm(
    args: argparse.Namespace,
    selection: Selection,
    episodes: Iterable[SelectedEpisode],
) -> None:
    """Exports pairs of question and answer for fine-tuning a vision-language model."""
    settings = default_settings(Path())
    if args.settings is not None:
        settings = read_settings(str(args.settings))
    print(
        export_pairs(
            selection, episodes, args.output, settings=settings, resume=args.resume
        )
    )


FORMATS: dict[str, Export] = {
    "lerobot": _lerobot,
    "robomimic": _robomimic,
    "minari": _minari,
    "rerun": _rerun,
    "vlm": _vlm,
}
