"""`embodied train DATASET...`: trains a policy on demonstrations."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from embodied.cli import arguments, train_summary
from embodied.cli.output import claim_folder
from embodied.cli.train_cameras import cameras_of_run, chosen_cameras
from embodied.cli.train_log import training_log
from embodied.cli.train_system import head_of_system
from embodied.datasets.reader import Dataset, require_distinct
from embodied.envs.own_tasks import is_place
from embodied.envs.registry import task_names
from embodied.errors import EmbodiedError
from embodied.policies.pretrained import pretrained_folder
from embodied.policies.run_folder import FILES, read_info
from embodied.policies.training.budget import Budget
from embodied.policies.training.config import (
    BATCH_SIZE,
    MAX_AGE_S,
    ImitationConfig,
)
from embodied.policies.training.resume import has_work_left
from embodied.wording import counted

if TYPE_CHECKING:
    from embodied.policies.training.distributed import Ranks


def train(args: argparse.Namespace, budget: Budget) -> None:
    """Trains by imitation learning. Ctrl-C leaves a run that can be resumed.

    If torchrun started several processes, they train together.
    """
    from embodied.policies.training.distributed import (  # loads torch
        device_of_rank,
        joined_ranks,
    )

    with joined_ranks(device_of_rank(args.device)) as ranks:
        # check everything before the run folder is written
        config = checked_config(args, budget)
        ranks.require_equal_parts(config.batch_size)
        if ranks.is_first:
            prepare_folder(args, config)

        try:
            imitate(
                config,
                args.output,
                args.resume,
                args.json,
                tracker=args.log,
                ranks=ranks,
            )
        except KeyboardInterrupt as stop:
            if not ranks.is_first:
                raise
            train_summary.draw(args.output)
            hint = arguments.resume_hint(args.words, stop)
            raise KeyboardInterrupt(hint) from None


def checked_config(args: argparse.Namespace, budget: Budget) -> ImitationConfig:
    """Returns the settings, after comparing them with the datasets.

    Raises:
        EmbodiedError: settings are impossible, or do not fit the datasets.
    """
    from embodied.policies.training.common_metadata import (
        common_metadata,
        require_start_fits,
    )

    head = head_of_system(args)
    datasets = [Path(name) for name in args.source]
    start = starting_run(args)
    cameras = chosen_cameras(datasets, args.camera or cameras_of_run(start))
    youngest_s, oldest_s = plan_ages_s(args.plan_age_ms)
    require_distinct(datasets)
    require_takeovers(args, datasets)
    config = ImitationConfig(
        datasets=tuple(datasets),
        cameras=cameras,
        budget=budget,
        seed=args.seed,
        device=args.device,
        workers=args.workers,
        batch_size=BATCH_SIZE if args.batch_size is None else args.batch_size,
        min_age_s=youngest_s,
        max_age_s=oldest_s,
        start=start,
        takeover_weight=weight_or_default(args.takeover_weight),
        shadow_weight=weight_or_default(args.shadow_weight),
        head=head,
    )
    require_start_fits(config, *common_metadata(datasets))
    return config


def prepare_folder(args: argparse.Namespace, config: ImitationConfig) -> None:
    """Creates the run folder, or checks that its run can be resumed."""
    if args.resume:
        # raises an error if the run cannot be resumed
        has_work_left(args.output, config.identity(), config.budget)

    warn_of_unfinished(config.datasets)
    claim_folder(args.output, FILES, args.resume, args.overwrite)


def starting_run(args: argparse.Namespace) -> Path | None:
    """Returns the run folder of --from; None without --from.

    Raises EmbodiedError if the folder is no run, or was not trained on datasets.
    """
    if args.start is None:
        return None
    folder = Path(args.start)
    if args.start == "pretrained":
        task, robot = task_and_robot_of_dataset(Path(args.source[0]))
        folder = pretrained_folder(task, robot)
    # dual systems are of the kind "vla"; whether the run is of the system that is to be
    # trained is checked later, with the datasets
    kind = read_info(folder).get("kind", "vla")
    if kind not in ("vla", "single"):
        raise EmbodiedError(
            f"{folder} is a run of the kind {kind!r}: --from takes one that was trained "
            "on datasets"
        )
    return folder


def task_and_robot_of_dataset(path: Path) -> tuple[str, str]:
    """Returns the task and the robot of a dataset."""
    with Dataset(path) as dataset:
        metadata = dataset.header.metadata
        return str(metadata["task"]), str(metadata["robot"])


def plan_ages_s(given_ms: Sequence[float] | None) -> tuple[float, float]:
    """Returns the least and the largest age of plans in training, from --plan-age-ms."""
    if given_ms is None:
        return 0.0, MAX_AGE_S
    youngest_ms, oldest_ms = given_ms
    if not 0 <= youngest_ms <= oldest_ms < math.inf:
        raise EmbodiedError(
            "--plan-age-ms needs the smallest age and the greatest, both finite and at "
            f"least 0, e.g. 0 800, not {youngest_ms:g} {oldest_ms:g}"
        )
    return youngest_ms / 1000, oldest_ms / 1000


def weight_or_default(given: float | None) -> float:
    """Returns the given weight, or the default of 1."""
    return 1.0 if given is None else given


def require_takeovers(args: argparse.Namespace, datasets: Sequence[Path]) -> None:
    """Raises EmbodiedError if weights were given, but no dataset has take-overs."""
    corrected = []
    for path in datasets:
        with Dataset(path) as dataset:
            corrected.append(dataset.header.correction is not None)
    if not any(corrected):
        arguments.reject_flags(
            args,
            ("takeover_weight", "shadow_weight"),
            "no effect, since in none of the datasets anybody corrected a policy "
            "(embodied collect --correct)",
        )


def imitate(
    config: ImitationConfig,
    folder: Path,
    resume: bool,
    quiet: bool,
    tracker: str | None = None,
    ranks: Ranks | None = None,
) -> None:
    """Trains into a run folder, and sends the figures to a tracker of `train_log`.

    With `resume` a run is continued, unless it has spent its budget. Of several ranks,
    rank 0 alone shows and sends figures.
    """
    from embodied.policies.training.distributed import ALONE  # loads torch
    from embodied.policies.training.imitation import is_spent, train_imitation

    ranks = ranks or ALONE
    if ranks.agreed(is_spent(config, folder, resume, ranks)):
        if ranks.is_first and not quiet:
            print(train_summary.finished_notice(folder, config.budget), file=sys.stderr)
        return

    if not ranks.is_first:
        train_imitation(config, folder, resume=resume, ranks=ranks)
        return
    with training_log(folder, tracker, resume, quiet) as log:
        train_imitation(config, folder, log, resume, ranks)


def reject_tasks(sources: Sequence[str]) -> None:
    """Raises EmbodiedError if a task was given in place of a dataset."""
    for name in sources:
        if name in task_names() or is_place(name):
            raise EmbodiedError(
                f"{name} is a task: give --algo to learn it by reinforcement learning, "
                "or datasets, such as totes.hdf5, instead of it"
            )


def warn_of_unfinished(datasets: Sequence[Path]) -> None:
    """Prints which datasets are unfinished, and how to continue their collection."""
    for path in datasets:
        with Dataset(path) as dataset:
            if dataset.is_unfinished:
                print(
                    f"{path}: unfinished, learning from {counted(len(dataset), 'episode')}; "
                    "the same `embodied collect` with --resume continues the collection",
                    file=sys.stderr,
                )
