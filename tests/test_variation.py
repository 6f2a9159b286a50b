"""What differs between episodes: every sample can be repeated, lies in its range, and
is never one for training where it is held out.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embodied.contract.tables import overlap
from embodied.envs.registry import get_task, task_names
from embodied.envs.variation import (
    FACTORS,
    LEVELS,
    SPLITS,
    Choice,
    Interval,
    Range,
    Variable,
    Variation,
    fixed,
    markdown_table,
    row,
)
from embodied.errors import EmbodiedError
from tests.ground import started_worlds

# variables whose every value must be seen in training: counts, and what the words refer
# to
WITHOUT_HELD_OUT = {
    "ToteTransfer": {"totes", "same_colour", "target", "slot"},
    "TableWipe": {"stains", "blob", "small", "place", "request", "target"},
    "DrawerTidy": {"things", "order", "named", "named_by", "target", "drawer"},
    "ValveTurn": {"valves", "same_colour", "start_angle", "named_by", "target"},
    "PanelReset": {"decoys"},
    "ParcelSort": {"parcels", "label", "parcel_bin", "named"},
    "FixtureLoad": {"parts", "target"},
    "GaugeCheck": {"is_ok", "needle", "asked"},
    "Patrol": {
        "number",
        "trousers",
        "helmet",
        "skin",
        "people",
        "way",
        "is_reversed",
        "way_start",
        "pause_at",
        "asked",
        "called_by",
    },
    "TeamSort": {"parcels", "kind", "label", "named_bin", "white_bin"},
    "PourWater": {"target"},
    "WeighPack": {"weight_class", "own_box"},
    "DishRack": {"plates", "cups", "yaw"},
}
# variables of which an episode records the part that it uses: as many values as there
# are things
CUT = {
    "ValveTurn": {"order"},
    "PanelReset": {"decoys", "systems"},
    "ParcelSort": {"named"},
}
TABLE = (
    row("mass", "objects", "kg", L1=1.0, L2=(0.9, 1.1), L3=(0.5, 1.5), held_out=(1.5, 2.0)),
    row("colour", "objects", L1=["red"], L2=["red", "blue"], held_out="pink"),
    row("shift", "layout", "m", L1=0.0, L2=(-0.1, 0.1), L3=(-0.2, 0.2), held_out=(0.2, 0.3)),
)  # fmt: skip
ROWS = [(name, variable) for name in task_names() for variable in get_task(name).table]
seeds = st.integers(0, 2**63 - 1)


def within(value: object, allowed: Range) -> bool:
    if isinstance(allowed, Interval):
        return allowed.low <= value <= allowed.high
    return value in allowed.values


def test_a_row_is_written_in_few_words() -> None:
    # A number is fixed, a list a choice and a pair an interval.
    written = row("gap", "layout", "m", L1=0.1, L2=[0.1, 0.2], L3=(0.1, 0.3))
    assert written == Variable(
        name="gap",
        factor="layout",
        unit="m",
        start=fixed(0.1),
        narrow=Choice((0.1, 0.2)),
        train=Interval(0.1, 0.3),
        held_out=Interval(0.1, 0.3),
    )

    # Levels that are not given are as the last one before them.
    everywhere = row("slot", "instruction", L1=[0, 1])
    assert everywhere.start == everywhere.train == everywhere.held_out == Choice((0, 1))


@pytest.mark.parametrize(
    ("task", "variable"), ROWS, ids=lambda x: x if isinstance(x, str) else x.name
)
def test_held_out_parts_are_disjoint_from_all_that_is_trained_on(
    task: str, variable: Variable
) -> None:
    trained = (variable.start, variable.narrow, variable.train)
    disjoint = not any(overlap(variable.held_out, part) for part in trained)
    assert disjoint != (variable.name in WITHOUT_HELD_OUT[task])


@pytest.mark.parametrize("task", task_names())
def test_tables_are_whole(task: str) -> None:
    table = get_task(task).table
    assert {variable.factor for variable in table} == set(FACTORS)
    assert len({variable.name for variable in table}) == len(table)
    assert all(variable.name in markdown_table(table) for variable in table)


@given(seeds, st.sampled_from(LEVELS), st.sampled_from(SPLITS))
def test_samples_repeat_and_lie_in_their_range(
    seed: int, level: str, split: str
) -> None:
    variation = Variation(TABLE, level, split)
    again = Variation(TABLE, level, split)
    for variable in TABLE:
        name = variable.name
        values = variation.sample_many(seed, name, 4)
        assert values == again.sample_many(seed, name, 4)
        assert values[0] == variation.sample(seed, name)
        assert all(within(value, variable.range(level, split)) for value in values)


@pytest.mark.parametrize("split", SPLITS)
def test_a_split_holds_out_its_factor_only(split: str) -> None:
    for variable in TABLE:
        is_held_out = split in (variable.factor, "all")
        expected = variable.held_out if is_held_out else variable.train
        assert variable.range("L3", split) == expected
        assert variable.range("L4", split) == expected


@given(seeds)
def test_a_new_row_changes_no_other_sample(seed: int) -> None:
    """Wherever in the table it is put."""
    new = replace(TABLE[0], name="new")
    before = Variation(TABLE, "L3", "train")
    wider = Variation((new, *TABLE), "L3", "train")
    for variable in TABLE:
        name = variable.name
        assert wider.sample(seed, name) == before.sample(seed, name)


def test_rows_are_independent() -> None:
    variation = Variation((TABLE[0], replace(TABLE[0], name="other")), "L3", "train")
    mass = [variation.sample(seed, "mass") for seed in range(300)]
    other = [variation.sample(seed, "other") for seed in range(300)]
    assert abs(np.corrcoef(mass, other)[0, 1]) < 0.2


def test_seeds_differ_and_fill_the_range() -> None:
    variation = Variation(TABLE, "L3", "train")
    values = [variation.sample(seed, "mass") for seed in range(300)]
    assert len(set(values)) == 300
    assert min(values) < 0.55
    assert max(values) > 1.45
    assert np.mean(values) == pytest.approx(1.0, abs=0.06)


def test_overrides_fix_a_variable_whatever_the_split() -> None:
    variation = Variation(TABLE, "L4", "all", {"mass": 0.5})
    assert [variation.sample(seed, "mass") for seed in range(3)] == [0.5] * 3


@pytest.mark.parametrize(
    ("level", "split", "overrides", "message"),
    [
        ("L5", "train", {}, "unknown level 'L5'.*L1, L2, L3, L4"),
        ("L1", "test", {}, "unknown split 'test'.*camera"),
        ("L1", "train", {"wheels": 4}, "unknown factor variable 'wheels'.*mass"),
    ],
)
def test_unknown_names_say_what_there_is(
    level: str, split: str, overrides: dict[str, int], message: str
) -> None:
    with pytest.raises(EmbodiedError, match=message):
        Variation(TABLE, level, split, overrides)


@pytest.mark.parametrize("task", task_names())
@pytest.mark.parametrize("level", LEVELS)
def test_what_worlds_sample_is_json_and_in_range(task: str, level: str) -> None:
    worlds = started_worlds(4, task=task, level=level)

    ranges = {
        variable.name: variable.range(level, "train") for variable in worlds.spec.table
    }
    for world in range(4):
        variation = json.loads(json.dumps(worlds.variation_of(world)))
        assert set(ranges) <= set(variation)
        assert variation["instruction"] == worlds.instructions[world]

        # Some variables are cut to the number of things that take part.
        for name in ranges.keys() - CUT.get(task, set()):
            sampled = variation[name]
            values = sampled if isinstance(sampled, list) else [sampled]
            assert all(within(value, ranges[name]) for value in values)


def test_l1_differs_in_the_start_alone() -> None:
    worlds = started_worlds(8, level="L1")
    varied = {
        name
        for name, values in worlds.engine.model_views().items()
        if (values != values[0]).any()
    }
    assert varied == {"geom_rgba"}  # the totes' colours
    assert (np.ptp(worlds.engine.view("qpos"), axis=0) > 0).any()


@pytest.mark.parametrize("factor", FACTORS)
def test_each_factor_reaches_the_world(factor: str) -> None:
    """Held out or not, the same seed must give another world, in state, model or words."""

    def start_of(split: str) -> list[bytes]:
        worlds = started_worlds(1, 5, level="L3", split=split)
        start = worlds.episode_start(0)
        arrays = [start.state, *start.fields.values()]
        words = worlds.instructions[0].encode()
        record = repr(start.variation).encode()
        return [*(array.tobytes() for array in arrays), words, record]

    # The same seed gives the same start in the same split.
    trained = start_of("train")
    held_out = start_of(factor)
    assert trained == start_of("train")
    assert trained != held_out
    # The sensor's noise is in the observation, not in the world.
    if factor != "sensor":
        assert trained[:-1] != held_out[:-1]


def test_encoder_bias_is_observed_and_changes_nothing_else() -> None:
    true = started_worlds(1, level="L1", factors={"encoder_bias": 0.0})
    biased = started_worlds(1, level="L1", factors={"encoder_bias": 0.004})
    difference = biased.observe().agent_pos - true.observe().agent_pos
    joints = biased.agent_layout.slices()["joint_pos"]
    np.testing.assert_allclose(difference[:, joints], 0.004)
    assert (np.delete(difference, range(7)[joints], axis=1) == 0).all()
    assert (true.checksum() == biased.checksum()).all()


@pytest.mark.parametrize(
    ("factors", "message"),
    [
        ({"mass": -1}, "mass cannot be -1: it is 0.25 to 0.6"),
        ({"mass": float("nan")}, "mass cannot be nan"),
        (
            {"colour": "chartreuse"},
            "colour cannot be 'chartreuse': it is red, blue, green, yellow",
        ),
        ({"slot": 9}, "slot cannot be 9: it is 0, 1, 2, 3"),
        (
            {"light": 1},
            "'light' is a factor: give values to its variables, of which there are brightness",
        ),
        ("light", "factors must map variables to values"),
    ],
)
def test_values_that_the_table_does_not_hold_are_refused(
    factors: Any, message: str
) -> None:
    with pytest.raises(EmbodiedError, match=re.escape(message)):
        started_worlds(1, factors=factors)


def test_held_out_values_and_those_between_may_be_given() -> None:
    factors = {"mass": 0.3, "colour": "orange"}
    variation = started_worlds(1, level="L1", factors=factors).variation_of(0)
    assert variation["mass"] == 0.3
    assert set(variation["colour"]) == {"orange"}
