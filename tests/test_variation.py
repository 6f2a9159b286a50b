"""What differs between episodes: every draw is repeatable, in range, and held-out parts
are never trained on.
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

from embodied.envs.registry import get_task, task_names
from embodied.envs.variation import (
    FACTORS,
    LEVELS,
    SPLITS,
    Choice,
    Interval,
    Variable,
    Variation,
    fixed,
    markdown_table,
)
from embodied.errors import EmbodiedError
from tests.ground import started

# variables whose every value must be seen in training: counts, and what the words refer
# to
WITHOUT_HELD_OUT = {
    "ToteTransfer": {"totes", "same_colour", "target", "slot"},
    "TableWipe": {"stains", "blob", "small", "place", "request", "target"},
    "DrawerTidy": {"things", "order", "named", "named_by", "target", "drawer"},
    "ValveTurn": {"valves", "same_colour", "start_angle", "named_by", "target"},
    "PanelReset": {"decoys"},
    "ParcelSort": {"parcels", "label", "parcel_bin", "named"},
}
# variables of which the episode records what it uses of the drawn value: as many as
# there are things
CUT = {
    "ValveTurn": {"order"},
    "PanelReset": {"decoys", "systems"},
    "ParcelSort": {"named"},
}
TABLE = (
    Variable(
        "mass",
        "objects",
        "kg",
        fixed(1.0),
        Interval(0.9, 1.1),
        Interval(0.5, 1.5),
        Interval(1.5, 2.0),
    ),
    Variable(
        "colour",
        "objects",
        "",
        Choice(("red",)),
        Choice(("red", "blue")),
        Choice(("red", "blue")),
        fixed("pink"),
    ),
    Variable(
        "shift",
        "layout",
        "m",
        fixed(0.0),
        Interval(-0.1, 0.1),
        Interval(-0.2, 0.2),
        Interval(0.2, 0.3),
    ),
)
ROWS = [(name, row) for name in task_names() for row in get_task(name).table]
seeds = st.integers(0, 2**63 - 1)


def overlap(a: Interval | Choice, b: Interval | Choice) -> bool:
    """Whether some value may be drawn from both; intervals that touch do not count."""
    if isinstance(a, Interval) and isinstance(b, Interval):
        return a.low < b.high and b.low < a.high
    if isinstance(a, Choice) and isinstance(b, Choice):
        return bool(set(a.values) & set(b.values))
    numbers, interval = (a, b) if isinstance(b, Interval) else (b, a)
    return any(interval.low < value < interval.high for value in numbers.values)


def within(value: object, allowed: Interval | Choice) -> bool:
    return (
        allowed.low <= value <= allowed.high
        if isinstance(allowed, Interval)
        else value in allowed.values
    )


@pytest.mark.parametrize(
    ("task", "row"), ROWS, ids=lambda x: x if isinstance(x, str) else x.name
)
def test_held_out_parts_are_disjoint_from_all_that_is_trained_on(
    task: str, row: Variable
) -> None:
    trained = (row.start, row.narrow, row.train)
    disjoint = not any(overlap(row.held_out, part) for part in trained)
    assert disjoint != (row.name in WITHOUT_HELD_OUT[task])


@pytest.mark.parametrize("task", task_names())
def test_tables_are_whole(task: str) -> None:
    table = get_task(task).table
    assert {row.factor for row in table} == set(FACTORS)
    assert len({row.name for row in table}) == len(table)
    assert all(row.name in markdown_table(table) for row in table)


@given(seeds, st.sampled_from(LEVELS), st.sampled_from(SPLITS))
def test_draws_repeat_and_lie_in_their_range(seed: int, level: str, split: str) -> None:
    variation = Variation(TABLE, level, split)
    for row in TABLE:
        drawn = variation.draws(seed, row.name, 4)
        assert drawn == Variation(TABLE, level, split).draws(seed, row.name, 4)
        assert drawn[0] == variation.draw(seed, row.name)
        assert all(within(value, row.range(level, split)) for value in drawn)


@pytest.mark.parametrize("split", SPLITS)
def test_a_split_holds_out_its_factor_only(split: str) -> None:
    for row in TABLE:
        expected = row.held_out if split in (row.factor, "all") else row.train
        assert row.range("L3", split) == row.range("L4", split) == expected


@given(seeds)
def test_a_new_row_changes_no_other_draw(seed: int) -> None:
    """Wherever in the table it is put."""
    new = replace(TABLE[0], name="new")
    wider = Variation((new, *TABLE), "L3", "train")
    for row in TABLE:
        assert wider.draw(seed, row.name) == Variation(TABLE, "L3", "train").draw(
            seed, row.name
        )


def test_rows_are_independent() -> None:
    variation = Variation((TABLE[0], replace(TABLE[0], name="other")), "L3", "train")
    drawn = np.array(
        [
            [variation.draw(seed, name) for name in ("mass", "other")]
            for seed in range(300)
        ]
    )
    assert abs(np.corrcoef(drawn.T)[0, 1]) < 0.2


def test_seeds_differ_and_fill_the_range() -> None:
    drawn = [Variation(TABLE, "L3", "train").draw(seed, "mass") for seed in range(300)]
    assert len(set(drawn)) == 300
    assert min(drawn) < 0.55
    assert max(drawn) > 1.45
    assert np.mean(drawn) == pytest.approx(1.0, abs=0.06)


def test_overrides_fix_a_variable_whatever_the_split() -> None:
    variation = Variation(TABLE, "L4", "all", {"mass": 0.5})
    assert [variation.draw(seed, "mass") for seed in range(3)] == [0.5] * 3


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
def test_what_worlds_draw_is_json_and_in_range(task: str, level: str) -> None:
    worlds = started(4, task=task, level=level)
    ranges = {row.name: row.range(level, "train") for row in worlds.spec.table}
    for world in range(4):
        drawn = json.loads(json.dumps(worlds.variation_of(world)))
        assert set(ranges) <= set(drawn)
        assert drawn["instruction"] == worlds.instructions[world]
        for name in ranges.keys() - CUT.get(task, set()):
            allowed = ranges[name]
            values = drawn[name] if isinstance(drawn[name], list) else [drawn[name]]
            assert all(within(value, allowed) for value in values)


def test_l1_differs_in_the_start_alone() -> None:
    worlds = started(8, level="L1")
    varied = {
        name
        for name, values in worlds.engine.varied().items()
        if (values != values[0]).any()
    }
    assert varied == {"geom_rgba"}  # the totes' colours
    assert (np.ptp(worlds.engine.view("qpos"), axis=0) > 0).any()


@pytest.mark.parametrize("factor", FACTORS)
def test_each_factor_reaches_the_world(factor: str) -> None:
    """Held out or not, the same seed must give another world, in state, model or words."""

    def world(split: str) -> list[bytes]:
        worlds = started(1, 5, level="L3", split=split)
        start = worlds.episode_start(0)
        arrays = [start.state, *start.fields.values()]
        return [
            *(array.tobytes() for array in arrays),
            worlds.instructions[0].encode(),
            repr(start.variation).encode(),
        ]

    def without_record(parts: list[bytes]) -> list[bytes]:
        return parts[:-1]

    trained = world("train")
    held_out = world(factor)
    assert trained == world("train")
    assert trained != held_out
    if factor != "sensor":  # whose noise is in the observation, not in the world
        assert without_record(trained) != without_record(held_out)


def test_encoder_bias_is_felt_and_changes_nothing_else() -> None:
    true, biased = (
        started(1, level="L1", factors={"encoder_bias": bias}) for bias in (0.0, 0.004)
    )
    felt = biased.observe().agent_pos - true.observe().agent_pos
    joints = biased.agent_layout.slices()["joint_pos"]
    np.testing.assert_allclose(felt[:, joints], 0.004)
    assert (np.delete(felt, range(7)[joints], axis=1) == 0).all()
    assert (true.checksum() == biased.checksum()).all()


@pytest.mark.parametrize(
    ("factors", "said"),
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
def test_values_that_the_table_holds_nowhere_are_refused(
    factors: Any, said: str
) -> None:
    with pytest.raises(EmbodiedError, match=re.escape(said)):
        started(1, factors=factors)


def test_held_out_values_and_those_between_may_be_given() -> None:
    drawn = started(
        1, level="L1", factors={"mass": 0.3, "colour": "orange"}
    ).variation_of(0)
    assert drawn["mass"] == 0.3
    assert set(drawn["colour"]) == {"orange"}
