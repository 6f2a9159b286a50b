"""`embodied fit-head`: lets a vision-language model steer a trained controller."""

from __future__ import annotations

import argparse
from pathlib import Path

from embodied.cli import arguments
from embodied.cli.output import require_writable
from embodied.cli.progress import CountProgress
from embodied.errors import EmbodiedError
from embodied.rollout.one_thread import one_thread
from embodied.wording import counted

HELP = """Fit a linear head that makes the latents of a run's planner out of the hidden states of a vision-language
model. The run drives through the episodes; the model is shown what its planner sees. `head = ...` in the settings of
`--policy transformers:FILE.toml` then plays the model with the run's controller (docs/vlm_planner.md)."""
EXAMPLE = """embodied fit-head vlm.toml --run runs/totes --episodes 40 -o runs/head"""
EPISODES = 40


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this verb's arguments."""
    parser.add_argument(
        "vlm",
        metavar="FILE.toml",
        help="settings of the model, or its folder, as in --policy transformers:...",
    )
    parser.add_argument(
        "--run",
        dest="teacher",
        type=Path,
        required=True,
        metavar="RUN",
        help="the run that `embodied train` wrote, whose controller shall be steered",
    )

    # what is written, and from how many episodes
    arguments.add_output(parser, "the folder of the head", metavar="FOLDER")
    arguments.add_episodes(parser, default=EPISODES, purpose="to drive through")
    parser.add_argument(
        "--num-envs", type=int, default=16, help="worlds at once (default: 16)"
    )
    arguments.add_overwrite(parser, "a head that exists")


def run(args: argparse.Namespace) -> int:
    """Fits the head, and prints how well it does in the episodes held out."""
    # torch takes seconds to import
    from embodied.policies.vlm.folder import check_folder
    from embodied.policies.vlm.head import write_head
    from embodied.policies.vlm.settings import read_settings
    from embodied.policies.vlm.teaching import open_teacher, teach_head

    require_writable(args.output)
    if args.output.exists() and not args.overwrite:
        raise EmbodiedError(
            f"{args.output} exists; give another -o, or --overwrite to replace it"
        )
    if args.num_envs < 1:
        raise EmbodiedError(f"--num-envs must be at least 1, not {args.num_envs}")
    seeds = arguments.seeds(args)
    settings = read_settings(args.vlm)
    check_folder(settings.folder)
    teacher = open_teacher(args.teacher)

    with one_thread(), CountProgress("episodes", len(seeds), "episode") as progress:
        head, info = teach_head(
            teacher,
            settings,
            args.level,
            seeds=seeds,
            num_envs=args.num_envs,
            on_used=progress,
        )
    write_head(args.output, head, info)
    print(
        f"{args.output}: explains {info.explained:.0%} of the variance of the latents in "
        f"the episodes held out ({counted(info.held_out, 'plan')}; fitted to {info.fitted})"
    )
    return 0
