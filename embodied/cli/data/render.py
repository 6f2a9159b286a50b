"""`embodied data render`: renders pictures of recorded episodes into a new dataset."""

from __future__ import annotations

import argparse
import contextlib
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from embodied.cli import arguments
from embodied.cli.data.replay import episode_numbers
from embodied.cli.output import require_writable
from embodied.cli.progress import CountProgress
from embodied.datasets.masks import default_masks
from embodied.datasets.reader import Dataset
from embodied.datasets.render_request import (
    RenderRequest,
    rendered_config,
    rendered_header,
)
from embodied.datasets.rendering import RenderWork
from embodied.datasets.replay import replay_config
from embodied.datasets.subsets import require_not_source
from embodied.datasets.writer import EpisodeWriter, Mode, tidied_when_stopped
from embodied.envs.looks import parsed_looks
from embodied.envs.worlds import Worlds
from embodied.errors import EmbodiedError
from embodied.rollout.shards import Workers
from embodied.wording import counted

HELP = """Render pictures of recorded episodes into a new dataset: of any cameras, in any size, with other light, with
depth and with what each pixel shows. The episodes are played again, and each state is compared with the recorded one:
the file is the one that recording with these cameras would have given, byte for byte."""
EXAMPLE = "embodied data render totes.hdf5 -o totes_seen.hdf5 --camera front wrist --image-size 128 --depth mm"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this verb's arguments."""
    arguments.add_dataset(parser)
    arguments.add_output(parser, "the dataset to make")
    _add_pictures(parser)

    # which frames of which episodes
    parser.add_argument(
        "--episode",
        type=int,
        nargs="+",
        metavar="N",
        help="numbers of the episodes to render (default: all)",
    )
    parser.add_argument(
        "--set-states",
        action="store_true",
        help="render the recorded state of each frame where an episode does not replay, as on another kind of CPU",
    )

    arguments.add_own_robot_and_task(parser)
    arguments.add_parallelism(parser)
    arguments.add_resume_or_overwrite(parser)


def _add_pictures(parser: argparse.ArgumentParser) -> None:
    """Adds cameras, size, depth, segmentation, and changes of light and noise."""
    # colour pictures, depth and segmentation
    parser.add_argument(
        "--camera",
        nargs="+",
        metavar="NAME",
        help="cameras of the scene (default: those of the recording, else the task's)",
    )
    parser.add_argument(
        "--image-size",
        type=int,
        metavar="PX",
        help="height and width of the pictures (default: that of the recording)",
    )
    parser.add_argument(
        "--depth",
        choices=["mm", "m"],
        help="add depth: mm as 16-bit numbers, m as 32-bit floats",
    )
    parser.add_argument(
        "--segmentation",
        action="store_true",
        help="add which body each pixel shows; the metadata names them",
    )

    # a copy of the dataset with another look
    parser.add_argument(
        "--vary",
        nargs="+",
        default=[],
        metavar="NAME=VALUE",
        help="change light, cameras or noise: brightness=0.7, or brightness=L3 for what level L3 draws by each seed; "
        "names: brightness lamp_tilt floor_shade camera_shift camera_fovy pixel_noise",
    )


def run(args: argparse.Namespace) -> int:
    """Renders the episodes, and prints what the new dataset holds."""
    if args.num_envs < 1:
        raise EmbodiedError(f"--num-envs must be at least 1, not {args.num_envs}")
    require_writable(args.output)
    require_not_source(args.output, args.file)
    with Dataset(args.file) as dataset:
        numbers = list(dict.fromkeys(episode_numbers(dataset, args.episode)))
        work = render_work(args, dataset)
        seeds = [dataset.episodes[number].seed for number in numbers]
        masks = own_masks(dataset, numbers)

    begun_s = time.monotonic()
    # render only the seeds that the output does not hold yet
    mode: Mode = "new"
    if args.resume or args.overwrite:
        mode = "resume" if args.resume else "overwrite"
    writer = EpisodeWriter(args.output, work.header, mode, masks)
    missing = [seed for seed in seeds if seed not in writer.seeds]
    try:
        with (
            tidied_when_stopped(writer, seeds),
            Workers(arguments.workers(args, len(missing))) as workers,
            CountProgress("render", len(missing), "episode") as progress,
        ):
            workers.run(work, missing, lambda seed: progress(1))
    except KeyboardInterrupt as stop:
        raise KeyboardInterrupt(arguments.resume_hint(args.words, stop)) from None
    writer.close()
    print(summary(args.output, len(missing), time.monotonic() - begun_s))
    return 0


def render_work(args: argparse.Namespace, dataset: Dataset) -> RenderWork:
    """Returns the rendering that the arguments describe.

    Raises:
        EmbodiedError: the file cannot be replayed, or a camera or value is unknown.
    """
    request = RenderRequest(
        cameras=tuple(args.camera) if args.camera else None,
        image_size=args.image_size,
        depth=args.depth,
        segmentation=args.segmentation,
        looks=parsed_looks(args.vary),
        set_states=args.set_states,
    )
    header = dataset.header
    replayed = replay_config(header.metadata, args.robot)
    config = rendered_config(header, replayed, request)
    with contextlib.closing(Worlds(config)) as worlds:
        # raises an error for a value that the task does not allow; any seed shows that
        request.looks.sample(worlds.spec.table, seed=0)
        new_header = rendered_header(header, worlds, request)
    return RenderWork(
        source=args.file,
        target=args.output,
        header=new_header,
        config=config,
        request=request,
        num_envs=args.num_envs,
    )


def own_masks(
    dataset: Dataset, numbers: Sequence[int]
) -> Mapping[str, frozenset[int]] | None:
    """Returns mask -> seeds of the rendered episodes in the mask.

    The result is None if the file has only default masks, which the writer creates.

    Args:
        dataset: the dataset to render.
        numbers: the numbers of the rendered episodes.
    """
    masks = {name: dataset.mask(name) for name in dataset.masks}
    default = default_masks(dataset.episodes)
    if masks == default:
        return None
    # default masks come first, as in every dataset
    names = dict.fromkeys([name for name in default if name in masks] + list(masks))
    rendered = set(numbers)
    return {
        name: frozenset(
            dataset.episodes[number].seed
            for number in masks[name]
            if number in rendered
        )
        for name in names
    }


def summary(path: Path, rendered: int, wall_s: float) -> str:
    """Returns the content of the new dataset and the wall time, in two lines."""
    with Dataset(path) as dataset:
        frames = sum(meta.num_samples for meta in dataset.episodes)
        config = dataset.header.metadata["config"]
        text = (
            f"{path}: {counted(len(dataset), 'episode')}, {counted(frames, 'frame')} of "
            f"{', '.join(config['cameras'])} at {config['image_size']} px, "
            f"{dataset.size_bytes / 1e6:.1f} MB"
        )
    if not rendered:
        return f"{text}\nit was complete: nothing to do"
    done = f"{counted(rendered, 'episode')} rendered in {wall_s:.0f} s"
    return f"{text}\n{done}; all states were those recorded"
