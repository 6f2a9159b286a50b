"""`embodied data split`: divides a dataset's episodes into parts."""

from __future__ import annotations

import argparse

from embodied.cli import arguments
from embodied.cli.output import require_writable
from embodied.cli.progress import CountProgress
from embodied.datasets.reader import Dataset
from embodied.datasets.splitting import Part, Split, split
from embodied.datasets.subsets import require_new, write_subset
from embodied.errors import EmbodiedError
from embodied.wording import counted

HELP = """Divide a dataset's episodes into parts, by shares (0.8 or 80%), by counts, and one that takes the rest. A hash
of its seed decides where an episode goes: by shares it stays there when others are added. Each part becomes a file
NAME.hdf5 in a folder; with --masks, all episodes go to one new file, with a mask for each part that holds successes
only, as for training."""
EXAMPLE = """embodied data split totes.hdf5 train=80% valid=10% test=rest -o parts
  embodied data split totes.hdf5 valid=20 train=rest --masks -o totes_split.hdf5"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this verb's arguments."""
    arguments.add_dataset(parser)
    parser.add_argument(
        "parts", nargs="+", metavar="NAME=SIZE", help="e.g. train=0.8, valid=20, x=rest"
    )

    arguments.add_output(
        parser, "the folder of the parts; with --masks the new file", metavar="PATH"
    )

    parser.add_argument(
        "--masks", action="store_true", help="write one file with a mask for each part"
    )
    parser.add_argument(
        "--split-seed", type=int, default=0, help="seed of the split (default: 0)"
    )

    arguments.add_overwrite(parser, "outputs that exist")


def run(args: argparse.Namespace) -> int:
    """Writes the parts, and prints how many episodes each holds."""
    parts = [Part.parse(text) for text in args.parts]
    require_writable(args.output)
    with Dataset(args.file) as dataset:
        if args.masks:
            return _write_masks(args, dataset, parts)
        return _write_files(args, dataset, parts)


def _write_masks(args: argparse.Namespace, dataset: Dataset, parts: list[Part]) -> int:
    """Writes all episodes to one file, with one mask of successes per part."""
    require_new([args.output], args.overwrite, args.file)
    successes = [number for number, meta in enumerate(dataset.episodes) if meta.success]
    new_masks = _split(dataset, successes, parts, args.split_seed)

    masks = {name: dataset.mask(name) for name in dataset.masks}
    # The new masks replace the default split, even if the parts have other names than
    # `train` and `valid`. All other masks stay, unless a part has the same name.
    for name in ("train", "valid"):
        masks.pop(name, None)
    with CountProgress("split", len(dataset), "episode") as progress:
        write_subset(
            dataset,
            range(len(dataset)),
            args.output,
            masks=masks | new_masks,
            on_copied=progress,
        )
    print(f"{args.output}: {counted(len(dataset), 'episode')}; {_sizes(new_masks)}")
    return 0


def _write_files(args: argparse.Namespace, dataset: Dataset, parts: list[Part]) -> int:
    """Writes one file per part, with successes and failures."""
    folder = args.output
    if folder.exists() and not folder.is_dir():
        raise EmbodiedError(f"{folder} is a file, but the parts go to a folder: see -o")
    targets = {part.name: folder / f"{part.name}.hdf5" for part in parts}
    require_new(list(targets.values()), args.overwrite, args.file)

    # part -> the numbers of its episodes
    numbers_of_parts = _split(dataset, range(len(dataset)), parts, args.split_seed)
    empty = [name for name, numbers in numbers_of_parts.items() if not numbers]
    if empty:
        raise EmbodiedError(
            f"{', '.join(empty)} would be empty: these shares need more than "
            f"{counted(len(dataset), 'episode')}; give counts"
        )

    folder.mkdir(parents=True, exist_ok=True)
    total = sum(map(len, numbers_of_parts.values()))
    with CountProgress("split", total, "episode") as progress:
        for name, numbers in numbers_of_parts.items():
            write_subset(dataset, numbers, targets[name], on_copied=progress)
    print(f"{folder}: {_sizes(numbers_of_parts)}")
    return 0


def _split(
    dataset: Dataset, numbers: list[int] | range, parts: list[Part], split_seed: int
) -> Split:
    """Divides the episodes `numbers`; returns part -> numbers of its episodes."""
    # `split` returns indices into the list of seeds
    seeds = [dataset.episodes[number].seed for number in numbers]
    indices_of_parts = split(seeds, parts, split_seed)
    return {
        name: [numbers[index] for index in indices]
        for name, indices in indices_of_parts.items()
    }


def _sizes(numbers_of_parts: Split) -> str:
    return ", ".join(
        f"{name} {len(numbers)}" for name, numbers in numbers_of_parts.items()
    )
