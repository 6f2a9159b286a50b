"""The findings of an audit, and the verdicts that follow from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Verdict = Literal["PASS", "REVIEW", "EXCLUDE"]
VERDICTS: tuple[Verdict, ...] = ("PASS", "REVIEW", "EXCLUDE")

# The four kinds of faults that evaluations of industrial datasets report.
THIN_CONTENT = "thin content"
OFF_DOMAIN = "off-domain"
NO_DIVERSITY = "no diversity"
IRREGULAR_FORM = "irregular form"
FAULTS = (THIN_CONTENT, OFF_DOMAIN, NO_DIVERSITY, IRREGULAR_FORM)


@dataclass(frozen=True)
class Finding:
    """A possible fault of an episode, or of a whole dataset.

    Attributes:
        check: the name of the check that reports the finding.
        verdict: `REVIEW` if a person should look at the episode; `EXCLUDE` if the episode
            contradicts itself, or holds data that cannot be used.
        message: a sentence on the fault, with numbers and units.
        start_s: the time in the episode at which the fault begins; None for a fault of
            the whole episode.
    """

    check: str
    verdict: Verdict
    message: str
    start_s: float | None = None


@dataclass(frozen=True)
class EpisodeAudit:
    """The audit of one episode.

    Attributes:
        demo: the name of the episode's group in the file.
        seed: the seed of the episode; None if the file does not store seeds.
        success: the label of success; None if the file does not store labels.
        duration_s: the duration of the episode, from its number of frames.
        instruction: the instruction; "" if the file does not store instructions.
        findings: the findings, in order of severity, `EXCLUDE` first.
    """

    demo: str
    seed: int | None
    success: bool | None
    duration_s: float
    instruction: str
    findings: tuple[Finding, ...]

    @property
    def verdict(self) -> Verdict:
        """The most severe verdict of the episode's findings; `PASS` without findings."""
        return most_severe(self.findings)


def most_severe(findings: Sequence[Finding]) -> Verdict:
    """Returns the most severe verdict of findings; `PASS` if there are none."""
    ranks = [VERDICTS.index(finding.verdict) for finding in findings]
    return VERDICTS[max(ranks, default=0)]


def by_severity(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Returns findings in order of severity, `EXCLUDE` first."""
    return tuple(sorted(findings, key=lambda finding: -VERDICTS.index(finding.verdict)))
