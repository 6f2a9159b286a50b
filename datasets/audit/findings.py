"""What an audit finds, and the verdicts that follow from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Verdict = Literal["PASS", "REVIEW", "EXCLUDE"]
VERDICTS: tuple[Verdict, ...] = ("PASS", "REVIEW", "EXCLUDE")

# The four faults that evaluations of industrial datasets report.
THIN_CONTENT = "thin content"
OFF_DOMAIN = "off-domain"
NO_DIVERSITY = "no diversity"
IRREGULAR_FORM = "irregular form"
FAULTS = (THIN_CONTENT, OFF_DOMAIN, NO_DIVERSITY, IRREGULAR_FORM)


@dataclass(frozen=True)
class Finding:
    """One reason why an episode, or a whole set, needs a look.

    Attributes:
        check: the name of the check that found it.
        verdict: `REVIEW`: a person should look; `EXCLUDE`: the episode contradicts
            itself, or holds what cannot be used.
        message: what was found, with numbers and units.
        start_s: when in the episode; None where it has no place in time.
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
        seed: of its start; None where the file does not tell.
        success: as it is labelled; None where the file does not tell.
        duration_s: of its frames.
        instruction: the sentence; "" where the file does not tell.
        findings: the gravest first.
    """

    demo: str
    seed: int | None
    success: bool | None
    duration_s: float
    instruction: str
    findings: tuple[Finding, ...]

    @property
    def verdict(self) -> Verdict:
        """The gravest verdict of its findings; `PASS` without one."""
        return gravest(self.findings)


def gravest(findings: Sequence[Finding]) -> Verdict:
    """Returns the gravest verdict of findings; `PASS` if there are none."""
    ranks = [VERDICTS.index(finding.verdict) for finding in findings]
    return VERDICTS[max(ranks, default=0)]


def in_order(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Returns findings in the order in which they are told, the gravest first."""
    return tuple(sorted(findings, key=lambda finding: -VERDICTS.index(finding.verdict)))
