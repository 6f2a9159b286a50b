"""Writes a leaderboard as sentences, and as plain values for JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from embodied.benchmark.board import BETTER, UNDECIDED, WORSE, WORTHWHILE, Board, Duel
from embodied.benchmark.codec import encode
from embodied.benchmark.pooled import Difference, Pooled
from embodied.benchmark.profile import profile
from embodied.benchmark.scenarios import Scenario, ScenarioGroup
from embodied.benchmark.suite import CLASSES
from embodied.benchmark.wording import EN_DASH, listing, p_value, percent, signed

NO_CERTIFICATE = (
    "This is a measurement in simulation by the published methods' words, and no certificate: no accredited body has"
    " tested anything."
)
MAX_GROUPS = 6  # most groups of scenarios that a sentence lists
VERDICT_TEXTS = {BETTER: "is better than", WORSE: "is worse than"}


def pooled_text(rate: Pooled) -> str:
    """Returns a rate with its interval, e.g. "85% (79-92%)" (with an en dash)."""
    low = percent(rate.low, rate.episodes).rstrip("%")
    high = percent(rate.high, rate.episodes)
    return f"{percent(rate.value, rate.episodes)} ({low}{EN_DASH}{high})"


def difference_text(difference: Difference) -> str:
    """Returns a difference in percentage points with its interval."""
    low = signed(difference.low)
    high = signed(difference.high)
    return f"{signed(difference.value)} points (95% interval {low} to {high})"


def duel_text(board: Board, duel: Duel) -> str:
    """Returns a sentence on who is better and by how much.

    If it is undecided, a second sentence says how many pairs would decide it.
    """
    first = board.contestants[duel.first].name
    second = board.contestants[duel.second].name
    difference = duel.difference
    facts = (
        f"{difference_text(difference)}, p = {p_value(duel.adjusted_p)}, "
        f"{difference.episodes:,} pairs"
    )
    # `p_value` writes tiny values with their own sign: "< 0.001"
    facts = facts.replace("p = <", "p <")
    if duel.verdict != UNDECIDED:
        return f"{first} {VERDICT_TEXTS[duel.verdict]} {second}: {facts}."
    return f"{first} and {second}: undecided, {facts}. {needed_episodes_text(duel)}"


def duel_lines(board: Board) -> list[str]:
    """Returns sentences on every comparison over all cells, and where it holds."""
    lines = []
    for duel in board.duels:
        lines += [duel_text(board, duel), where_text(board, duel)]
    return list(filter(None, lines))


def where_text(board: Board, duel: Duel) -> str:
    """Returns a sentence on the groups of scenarios in which one of two policies is better.

    Returns "" without groups.

    Args:
        board: the comparison.
        duel: names the two policies.
    """
    pair = (duel.first, duel.second)
    duels = [one for one in board.group_duels if (one.first, one.second) == pair]
    if not duels:
        return ""

    # for each of the policies: where it is better
    parts = []
    for winner in pair:
        won = [one for one in duels if one.winner == winner]
        if won:
            name = board.contestants[winner].name
            parts.append(f"{name} is better in {_listed_differences(won)}")

    undecided = [one for one in duels if one.verdict == UNDECIDED]
    if len(undecided) == len(duels):
        parts.append(f"all {len(duels)} comparisons are undecided")
    elif undecided:
        parts.append(f"{len(undecided)} of {len(duels)} are undecided")
    return f"By {listing(group_attributes(duels))}: {'; '.join(parts)}."


def group_attributes(duels: Sequence[Duel]) -> list[str]:
    """Returns by what the scopes of some duels are groups, e.g. ["level", "task"]."""
    groups = [duel.scope for duel in duels if isinstance(duel.scope, ScenarioGroup)]
    return list(dict.fromkeys(group.attribute for group in groups))


def _listed_differences(duels: Sequence[Duel]) -> str:
    """Returns where some duels were won, e.g. "TeamSort (by 70 points) and L4 (by 28)".

    The largest differences come first; those after the first MAX_GROUPS are counted.
    """
    ordered = sorted(duels, key=lambda duel: -abs(duel.difference.value))
    parts: list[str] = []
    for duel in ordered[:MAX_GROUPS]:
        assert duel.scope is not None
        points = round(abs(duel.difference.value) * 100)
        unit = "" if parts else " points"
        parts.append(f"{duel.scope.description} (by {points}{unit})")
    if len(ordered) > MAX_GROUPS:
        parts.append(f"{len(ordered) - MAX_GROUPS} more")
    return listing(parts)


def needed_episodes_text(duel: Duel) -> str:
    """Returns a sentence on the sample size that would decide an undecided duel.

    If the data already rules out a difference that is worth while, it says this instead.
    Returns "" if the duel is decided.
    """
    if duel.verdict != UNDECIDED:
        return ""
    # the sample size is computed for a power of 80%, hence "in 4 of 5 cases" below
    measured = duel.difference.episodes
    needed = f"about {duel.needed:,} pairs"
    if duel.is_small:
        points = round(100 * WORTHWHILE)
        return f"The interval rules out a difference of {points} points or more."
    if not duel.difference.value:
        return (
            f"To find a difference of 5 points would take {needed}; there are "
            f"{measured:,}."
        )
    if duel.needed <= measured:
        # enough pairs, yet undecided: by chance, or because of Holm's correction
        return (
            f"If this difference is real, {needed} decide in 4 of 5 cases; here they did "
            "not."
        )
    return f"If this difference is real, {needed} decide; there are {measured:,}."


def ranking_lines(board: Board) -> list[str]:
    """Returns a line for each contestant, the best first."""
    ranks = [standing.rank for standing in board.standings]
    lines = []
    for standing in board.standings:
        tie = " (tie)" if ranks.count(standing.rank) > 1 else ""
        name = board.contestants[standing.index].name
        lines.append(f"{standing.rank}. {name}{tie}: {pooled_text(standing.rate)}")
    return lines


def headline(board: Board) -> str:
    """Returns a sentence on which of the compared policies is best."""
    best = [standing for standing in board.standings if standing.rank == 1]
    names = [board.contestants[standing.index].name for standing in best]
    rates = listing([pooled_text(standing.rate) for standing in best])
    if len(board.contestants) == 1:
        return f"{names[0]} succeeds in {rates} of episodes"
    if len(best) == 1:
        return f"{names[0]} is best: it succeeds in {rates} of episodes"
    return f"{listing(names)} tie for the first rank, with {rates}"


def shortness_texts(board: Board) -> list[str]:
    """Returns a sentence for each number of episodes that is below the protocol's."""
    sentences: dict[str, None] = {}
    for contestant in board.contestants:
        if contestant.short:
            suite = contestant.provenance.suite
            sentence = (
                f"Measured in {suite['episodes']} episodes per cell; the protocol of "
                f"{contestant.suite} asks for {suite['protocol']['episodes']}."
            )
            sentences[sentence] = None
    return list(sentences)


def _scope_values(scope: Scenario | ScenarioGroup | None) -> dict[str, str | None]:
    """Returns the scope of a comparison as JSON values."""
    if isinstance(scope, ScenarioGroup):
        return {"by": scope.attribute, "group": scope.description}
    return {"cell": scope.description if scope else None}


def board_values(board: Board) -> dict[str, Any]:
    """Returns standings, comparisons and notes as values for `json`."""
    names = [contestant.name for contestant in board.contestants]

    def duel_values(duel: Duel) -> dict[str, Any]:
        """Returns a comparison of two contestants as JSON values."""
        return {
            "first": names[duel.first],
            "second": names[duel.second],
            **_scope_values(duel.scope),
            "verdict": duel.verdict,
            "adjusted_p": duel.adjusted_p,
            "needed_pairs": duel.needed if duel.verdict == UNDECIDED else None,
            **encode(duel.difference),
        }

    # the ranks, each with the contestant's rates by ability
    standings = []
    for standing in board.standings:
        contestant = board.contestants[standing.index]
        abilities = {
            measured.ability: {
                "kind": "class" if measured.ability in CLASSES else "dimension",
                **encode(measured.rate),
            }
            for measured in profile(contestant)
        }
        standings.append(
            {
                "rank": standing.rank,
                "policy": contestant.name,
                "suite": contestant.suite or None,
                **encode(standing.rate),
                "abilities": abilities,
            }
        )
    return {
        "standings": standings,
        "comparisons": [duel_values(duel) for duel in board.duels],
        "groups": [duel_values(duel) for duel in board.group_duels],
        "cells": [duel_values(duel) for duel in board.local_duels],
        "notes": list(board.notes),
        "certificate": NO_CERTIFICATE,
    }
