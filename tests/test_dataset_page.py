"""docs/datasets.md: its tables are the schema's own, and its commands run."""

from __future__ import annotations

import re
import shlex
from dataclasses import fields
from pathlib import Path

import pytest

from embodied.cli.data import VERBS
from embodied.cli.main import build_parser, main
from embodied.datasets.descriptions import (
    EPISODE_ATTRIBUTES,
    HEADER_ATTRIBUTES,
    described_arrays,
)
from embodied.datasets.reader import Dataset
from embodied.datasets.schema import EpisodeMeta
from embodied.pages.dataset_page import update_page
from tests.datasets_fakes import SEEDS, open_hdf5, write_dataset

PAGE = Path(__file__).parent.parent / "docs" / "datasets.md"
TEXT = PAGE.read_text(encoding="utf-8")
# these need packages that are extras
WITH_EXTRAS = ("export", "import")


def commands() -> list[list[str]]:
    """The words after `embodied` of each command on the page."""
    block = "".join(re.findall(r"```bash\n(.*?)```", TEXT, flags=re.DOTALL))
    lines = [shlex.split(line, comments=True) for line in block.splitlines()]
    return [words[1:] for words in lines if words and words[0] == "embodied"]


def test_the_page_is_up_to_date() -> None:
    assert update_page(TEXT) == TEXT, "run `make docs`"
    for one in described_arrays():
        assert f"| `{one.key}` |" in TEXT


def test_every_attribute_of_a_file_is_explained(tmp_path: Path) -> None:
    assert list(EPISODE_ATTRIBUTES) == [f.name for f in fields(EpisodeMeta)]

    path = write_dataset(tmp_path / "set.hdf5", SEEDS[:1])
    with open_hdf5(path) as file:
        # nobody corrected a policy there
        attributes = set(file["meta"].attrs) - {"description"}
        assert attributes == set(HEADER_ATTRIBUTES) - {"correction"}
        written = set(file["data/demo_0"].attrs) - {"description"}
    assert written <= set(EPISODE_ATTRIBUTES)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_an_example_that_parses(verb: str) -> None:
    examples = [words for words in commands() if words[:2] == ["data", verb]]
    assert examples, f"docs/datasets.md has no line `embodied data {verb} ...`: add one"
    for words in examples:
        assert callable(build_parser(words).parse_args(words).run)


@pytest.mark.slow
def test_the_commands_run_as_they_stand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for words in commands():
        if words[1] not in WITH_EXTRAS:
            assert main(words) == 0, words

    assert Path("saved.hdf5").read_bytes() == Path("totes.hdf5").read_bytes()
    assert Path("both.hdf5").read_bytes() == Path("totes.hdf5").read_bytes()
    with Dataset("parts/train.hdf5") as dataset:
        assert len(dataset) == 4
