"""The published schema is that of the files, and a change by hand is noticed."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from embodied.benchmark.results import Condition, Results, ResultsError
from embodied.benchmark.results_file import read_results
from embodied.benchmark.results_schema import check_schema, results_schema
from embodied.benchmark.results_writing import checksum, write_results
from embodied.pages.results_schema_page import schema_text
from embodied.rollout.rollout import EpisodeResult
from tests.commands import ROOT
from tests.results_fakes import PROVENANCE, fake_cell, write_fake_results

SCHEMA = ROOT / "docs" / "results.schema.json"


def content_of(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "results.json").read_text())


def test_the_schema_is_published_and_holds() -> None:
    published = schema_text(results_schema())
    assert SCHEMA.read_text(encoding="utf-8") == published, "run `make docs`"
    Draft202012Validator.check_schema(results_schema())


def test_every_field_is_in_the_schema(tmp_path: Path) -> None:
    cell = results_schema()["properties"]["cells"]["items"]["properties"]
    for name, kind in (("condition", Condition), ("episodes", EpisodeResult)):
        schema = cell[name].get("items", cell[name])
        assert set(schema["properties"]) == {f.name for f in fields(kind)}

    # what is written fits it, and nothing else does
    content = content_of(write_fake_results(tmp_path, fake_cell("+-")))
    check_schema(content)
    content["cells"][0]["episodes"][1]["luck"] = 1
    with pytest.raises(ResultsError, match=r"cells/0/episodes/1 does not fit"):
        check_schema(content)


def edit_success(content: dict[str, Any]) -> None:
    content["cells"][0]["episodes"][1]["success_at_end"] = True


def edit_rate(content: dict[str, Any]) -> None:
    content["cells"][0]["summary"]["success_at_end"]["rate"] = 0.99


def edit_command(content: dict[str, Any]) -> None:
    content["provenance"]["command"] = "embodied eval --better"


def drop_a_cell(content: dict[str, Any]) -> None:
    content["cells"].pop()


def swap_cells(content: dict[str, Any]) -> None:
    content["cells"].reverse()


@pytest.mark.parametrize(
    "edit", [edit_success, edit_rate, edit_command, drop_a_cell, swap_cells]
)
def test_a_file_edited_by_hand_is_noticed(tmp_path: Path, edit: Any) -> None:
    folder = write_fake_results(tmp_path, fake_cell("+-"), fake_cell("--", "b"))
    path = folder / "results.json"
    content = content_of(folder)

    # another layout is no edit
    path.write_text(json.dumps(content, indent=4))
    assert len(read_results(path).cells) == 2

    edit(content)
    path.write_text(json.dumps(content, indent=1))
    with pytest.raises(ResultsError, match="was changed after it was written"):
        read_results(path)


def test_a_value_outside_its_range_is_damage(tmp_path: Path) -> None:
    folder = write_fake_results(tmp_path, fake_cell("+-"))
    content = content_of(folder)
    content["cells"][0]["wall_s"] = -1.0
    content["checksum"] = checksum(content)
    (folder / "results.json").write_text(json.dumps(content))
    with pytest.raises(ResultsError, match="cells/0/wall_s does not fit the schema"):
        read_results(folder / "results.json")


def test_results_of_version_6_still_read(tmp_path: Path) -> None:
    """They did not count stops and jumps, nor measure how the robot moved."""
    path = tmp_path / "results.json"
    whole = fake_cell("+--")
    write_results(path, Results(PROVENANCE).with_cell(whole))
    content = content_of(tmp_path)
    content["schema_version"] = 6
    for cell in content["cells"]:
        del cell["summary"]["energy_j"], cell["summary"]["smoothness"]
        for episode in cell["episodes"]:
            del episode["stale_share"], episode["plan_jump"]
            del episode["energy_j"], episode["smoothness"], episode["near_misses"]
    content["checksum"] = checksum(content)
    path.write_text(json.dumps(content))
    assert read_results(path).cells == (whole,)


def test_results_of_version_5_still_read(tmp_path: Path) -> None:
    """They had no outages, no bridges, and no plans that were thrown away."""
    path = tmp_path / "results.json"
    whole = fake_cell("+--")
    write_results(path, Results(PROVENANCE).with_cell(whole))
    content = content_of(tmp_path)
    content["schema_version"] = 5
    for cell in content["cells"]:
        del cell["condition"]["outage"], cell["condition"]["bridge"]
        for episode in cell["episodes"]:
            del episode["plan_faults"], episode["stale_share"], episode["plan_jump"]
    content["checksum"] = checksum(content)
    path.write_text(json.dumps(content))
    assert read_results(path).cells == (whole,)

    content["cells"][0]["label"] = "other"
    path.write_text(json.dumps(content))
    with pytest.raises(ResultsError, match="changed after it was written"):
        read_results(path)


def test_results_of_version_4_still_read(tmp_path: Path) -> None:
    """Task and robot of their conditions are those of the whole file."""
    path = tmp_path / "results.json"
    whole = fake_cell("+--")
    write_results(path, Results(PROVENANCE).with_cell(whole))
    content = content_of(tmp_path)
    content["schema_version"] = 4
    del content["checksum"]
    content["provenance"]["metadata"]["model_hash"] = "abc"
    for name in ("suite", "models", "code", "shard"):
        del content["provenance"][name]
    for cell in content["cells"]:
        del cell["abilities"], cell["rule"]
        del cell["condition"]["task"], cell["condition"]["robot"]
        for episode in cell["episodes"]:
            del episode["error"]
    path.write_text(json.dumps(content))

    read = read_results(path)
    assert read.cells == (whole,)
    assert read.provenance.models == {"ToteTransfer arm": "abc"}
