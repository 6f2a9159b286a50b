"""Renders dataset audits as one HTML file: verdicts, findings, pictures, coverage."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from markupsafe import Markup
from PIL import Image

from embodied.benchmark.report import environment
from embodied.datasets.audit.diversity import Coverage
from embodied.datasets.audit.findings import FAULTS, EpisodeAudit
from embodied.datasets.audit.run import Audit, opened
from embodied.datasets.audit.table import CHECKS
from embodied.datasets.audit.thresholds import THRESHOLDS
from embodied.datasets.audit.view import picture_paths
from embodied.datasets.guarded import read_array
from embodied.datasets.schema import DatasetError
from embodied.files import replace_text

# At most this many flagged episodes have pictures; the others are in the table only.
MOST_PICTURED = 60
PICTURE_PX = 192
# size and margin of the scatter plot of starts
PLOT_PX = 320
MARGIN_PX = 16
COVERAGE_SHARE = THRESHOLDS.coverage_share


@dataclass(frozen=True)
class Pictured:
    """A flagged episode with its pictures.

    Attributes:
        episode: the audit of the episode.
        pictures: (caption, PNG) of the first and the last frame of each camera.
    """

    episode: EpisodeAudit
    pictures: tuple[tuple[str, bytes], ...]


@dataclass(frozen=True)
class Section:
    """The part of the page on one file.

    Attributes:
        audit: the audit of the file.
        flagged: episodes with findings, worst first, at most MOST_PICTURED.
        faults: for each kind of fault: the kind, and its checks as (name of the check,
            number of episodes that it flagged).
        thin: names of the variables whose range the episodes cover too thinly.
        starts: the scatter plot of starts.
        durations: the histogram of durations.
    """

    audit: Audit
    flagged: tuple[Pictured, ...]
    faults: tuple[tuple[str, tuple[tuple[str, int], ...]], ...]
    thin: tuple[str, ...]
    starts: Markup
    durations: Coverage


def write_audit_page(audits: Sequence[Audit], path: Path) -> None:
    """Writes the page of one or more audits."""
    sections = [audit_section(audit) for audit in audits]
    template = environment().get_template("audit.html.j2")
    counts: Counter[str] = Counter()
    for audit in audits:
        counts.update(audit.counts)
    page = template.render(sections=sections, counts=counts, total=counts.total())
    replace_text(path, page)


def audit_section(audit: Audit) -> Section:
    """Returns the values from which the page's template renders one audit."""
    # how many episodes each check flagged
    flagged = [episode for episode in audit.episodes if episode.findings]
    num_flagged: Counter[str] = Counter()
    for episode in flagged:
        # a set, because a check may have several findings in an episode
        num_flagged.update({finding.check for finding in episode.findings})

    faults = []
    for fault in FAULTS:
        names = [check.name for check in CHECKS if check.fault == fault]
        faults.append((fault, tuple((name, num_flagged[name]) for name in names)))
    return Section(
        audit=audit,
        flagged=_pictured(audit, flagged),
        faults=tuple(faults),
        thin=tuple(
            variable.name
            for variable in audit.coverage
            if variable.is_thin(COVERAGE_SHARE)
        ),
        starts=starts_plot(audit),
        durations=_durations(audit),
    )


def starts_plot(audit: Audit) -> Markup:
    """Returns a scatter plot of the starts over their first two principal components.

    A start is the first observation of an episode. Points of flagged episodes stand out.
    The plot is "" if fewer than three starts have the same number of elements.
    """
    # two components need at least two elements
    shapes = Counter(
        summary.start.shape for summary in audit.summaries if summary.start.size > 1
    )
    if not shapes:
        return Markup("")
    # Only starts of the commonest shape are shown: starts of different lengths, such as
    # starts of different robots, have no common axes.
    [(commonest, count)] = shapes.most_common(1)
    if count < 3:
        return Markup("")
    shown = [summary for summary in audit.summaries if summary.start.shape == commonest]
    verdicts = {episode.demo: episode.verdict.lower() for episode in audit.episodes}

    # principal components of the starts (E, P), in units of each element's standard
    # deviation; an element that never varies stays at 0
    starts = np.stack([summary.start for summary in shown])
    deviation = starts.std(axis=0)
    divisor = np.where(deviation > 1e-9, deviation, 1.0)  # no division by 0
    scaled = (starts - starts.mean(axis=0)) / divisor
    _, _, components = np.linalg.svd(scaled, full_matrices=False)
    projected = scaled @ components[:2].T  # (E, 2)

    # the farthest point touches the margin
    extent = np.abs(projected).max() or 1.0
    room = PLOT_PX / 2 - MARGIN_PX
    pixels = PLOT_PX / 2 + projected / extent * room

    points = [
        Markup('<circle class="start {}" cx="{:.1f}" cy="{:.1f}" r="5"/>').format(
            verdicts[summary.demo], x, y
        )
        for summary, (x, y) in zip(shown, pixels.tolist(), strict=True)
    ]
    return Markup(
        '<svg class="starts" viewBox="0 0 {0} {0}" role="img" '
        'aria-label="Starts of {1} episodes">{2}</svg>'
    ).format(PLOT_PX, len(shown), Markup("").join(points))


def _durations(audit: Audit) -> Coverage:
    """Returns a histogram of the episodes' durations.

    It borrows `Coverage`, the histogram that the template draws. Durations need not cover
    any range, so the expected number of filled bins is 0.
    """
    durations = [episode.duration_s for episode in audit.episodes]
    counts, edges = np.histogram(durations, 12)
    labels = [f"{edge:.1f}" for edge in edges[:-1]]
    listed = tuple(zip(labels, counts.tolist(), strict=True))
    return Coverage(
        name="duration",
        unit="s",
        counts=listed,
        covered=int((counts > 0).sum()),
        expected=0.0,
    )


def _pictured(audit: Audit, flagged: Sequence[EpisodeAudit]) -> tuple[Pictured, ...]:
    """Returns flagged episodes with their pictures, those to exclude first.

    Pictures that are damaged are left out; the findings name them.
    """
    # False sorts first: episodes to exclude, then those to review
    ordered = sorted(flagged, key=lambda episode: episode.verdict != "EXCLUDE")
    pictured = []
    with opened(audit.file) as (file, _):
        for episode in ordered[:MOST_PICTURED]:
            demo = file["data"][episode.demo]
            # the first and the last picture of each camera
            pictures: list[tuple[str, bytes]] = []
            for camera, path in picture_paths(demo).items():
                frames = demo[path]
                if not len(frames):
                    continue
                for row, which in ((0, "first"), (len(frames) - 1, "last")):
                    with suppress(DatasetError):
                        picture = png(read_array(frames, row))
                        pictures.append((f"{camera}, {which}", picture))
            pictured.append(Pictured(episode, tuple(pictures)))
    return tuple(pictured)


def png(frame: np.ndarray) -> bytes:
    """Returns an image (H, W, C) as PNG, at most PICTURE_PX wide and high."""
    # PIL takes an image with one channel only as (H, W)
    image = Image.fromarray(frame.squeeze())
    image.thumbnail((PICTURE_PX, PICTURE_PX))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()
