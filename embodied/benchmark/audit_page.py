"""The page of an audit: verdicts, reasons, pictures and coverage, as one HTML file."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Sequence
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
from embodied.files import replace_text

# Flagged episodes that are shown with pictures; others are in the table only.
MOST_PICTURED = 60
PICTURE_PX = 192
# The plot of starts.
PLOT_PX = 320
MARGIN_PX = 16
COVERAGE_SHARE = THRESHOLDS.coverage_share


@dataclass(frozen=True)
class Pictured:
    """A flagged episode with its pictures.

    Attributes:
        episode: its audit.
        pictures: (what it is, PNG) of first and last frame, by camera.
    """

    episode: EpisodeAudit
    pictures: tuple[tuple[str, bytes], ...]


@dataclass(frozen=True)
class Section:
    """What the page shows of one file."""

    audit: Audit
    flagged: tuple[Pictured, ...]
    # (fault, its checks: (name, how many episodes it flagged))
    faults: tuple[tuple[str, tuple[tuple[str, int], ...]], ...]
    thin: tuple[str, ...]  # the variables that are covered too thinly
    starts: Markup
    durations: Coverage


def write_audit_page(audits: Sequence[Audit], path: Path) -> None:
    """Writes the page of one or more audits."""
    sections = [section_of(audit) for audit in audits]
    template = environment().get_template("audit.html.j2")
    counts: Counter[str] = Counter()
    for audit in audits:
        counts.update(audit.counts)
    page = template.render(sections=sections, counts=counts, total=counts.total())
    replace_text(path, page)


def section_of(audit: Audit) -> Section:
    """Returns what the page shows of an audit."""
    flagged = [one for one in audit.episodes if one.findings]
    found: Counter[str] = Counter()
    for one in flagged:
        found.update({finding.check for finding in one.findings})

    faults = []
    for fault in FAULTS:
        names = [check.name for check in CHECKS if check.fault == fault]
        faults.append((fault, tuple((name, found[name]) for name in names)))
    return Section(
        audit=audit,
        flagged=_pictured(audit, flagged),
        faults=tuple(faults),
        thin=tuple(c.name for c in audit.coverage if c.is_thin(COVERAGE_SHARE)),
        starts=starts_plot(audit),
        durations=_durations(audit),
    )


def starts_plot(audit: Audit) -> Markup:
    """Returns the starts as points, along the two directions in which they differ most.

    A start is what the robot sensed first. Points of flagged episodes stand out. There
    is no plot where fewer than three starts are known that have the same width.
    """
    # a plot needs two directions
    shapes = Counter(b.start.shape for b in audit.briefs if b.start.size > 1)
    if not shapes or shapes.most_common(1)[0][1] < 3:
        return Markup("")
    # starts of different widths, as of different robots, have no common directions
    commonest = shapes.most_common(1)[0][0]
    shown = [brief for brief in audit.briefs if brief.start.shape == commonest]
    verdicts = {one.demo: one.verdict.lower() for one in audit.episodes}

    # the first two principal components of the starts (E, P), each element in units of
    # its standard deviation; an element that never varies stays at 0
    starts = np.stack([brief.start for brief in shown])
    spread = starts.std(axis=0)
    scaled = (starts - starts.mean(axis=0)) / np.where(spread > 1e-9, spread, 1.0)
    _, _, directions = np.linalg.svd(scaled, full_matrices=False)
    places = scaled @ directions[:2].T
    extent = np.abs(places).max() or 1.0
    room = PLOT_PX / 2 - MARGIN_PX
    pixels = PLOT_PX / 2 + places / extent * room

    points = [
        Markup('<circle class="start {}" cx="{:.1f}" cy="{:.1f}" r="5"/>').format(
            verdicts[brief.demo], x, y
        )
        for brief, (x, y) in zip(shown, pixels.tolist(), strict=True)
    ]
    return Markup(
        '<svg class="starts" viewBox="0 0 {0} {0}" role="img" '
        'aria-label="Starts of {1} episodes">{2}</svg>'
    ).format(PLOT_PX, len(shown), Markup("").join(points))


def _durations(audit: Audit) -> Coverage:
    """Returns a histogram of the episodes' durations, in the form of a coverage.

    Its `expected` is 0, since durations need not cover anything.
    """
    durations = [one.duration_s for one in audit.episodes]
    counts, edges = np.histogram(durations, 12)
    labels = [f"{edge:.1f}" for edge in edges[:-1]]
    listed = tuple(zip(labels, counts.tolist(), strict=True))
    return Coverage("duration", "s", listed, int((counts > 0).sum()), 0.0)


def _pictured(audit: Audit, flagged: Sequence[EpisodeAudit]) -> tuple[Pictured, ...]:
    """Returns flagged episodes, the gravest first, with their pictures."""
    # False sorts first: episodes to exclude, then those to review
    ordered = sorted(flagged, key=lambda one: one.verdict != "EXCLUDE")
    pictured = []
    with opened(audit.path) as (file, _):
        for one in ordered[:MOST_PICTURED]:
            demo = file["data"][one.demo]
            pictures: list[tuple[str, bytes]] = []
            for camera, path in picture_paths(demo).items():
                frames = demo[path]
                if len(frames):
                    pictures.append((f"{camera}, first", png(frames[0])))
                    pictures.append((f"{camera}, last", png(frames[-1])))
            pictured.append(Pictured(one, tuple(pictures)))
    return tuple(pictured)


def png(frame: np.ndarray) -> bytes:
    """Returns a picture (H, W, C) as PNG, at most PICTURE_PX wide and high."""
    # a picture with one channel has to be (H, W) for PIL
    image = Image.fromarray(frame.squeeze())
    image.thumbnail((PICTURE_PX, PICTURE_PX))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()
