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
        check: the name of the check that found it.
        verdict: `REVIEW` if a person should look at it; `EXCLUDE` if the episode
            contradicts itself, or holds data that cannot be used.
        message: a sentence with numbers and units.
        start_s: the time in the episode at which the fault begins; None if it has none.
    """

    check: str
    verdict: Verdict
    message: str
    start_s: float | None = None


@dataclass(frozen=True)
class EpisodeAudit:
    """The audit of one episode.

    Attributes:
        demo: the name of its group in the file.
        seed: None if the file does not store it.
        success: its label; None if the file does not store it.
        duration_s: its duration, from its frames.
        instruction: its sentence; "" if the file does not store it.
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
        """The most severe verdict of its findings; `PASS` if there are none."""
        return most_severe(self.findings)


def most_severe(findings: Sequence[Finding]) -> Verdict:
    """Returns the most severe verdict of findings; `PASS` if there are none."""
    ranks = [VERDICTS.index(finding.verdict) for finding in findings]
    return VERDICTS[max(ranks, default=0)]


def by_severity(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Returns findings in order of severity, `EXCLUDE` first."""
    return tuple(sorted(findings, key=lambda finding: -VERDICTS.index(finding.verdict)))
