"""The settings of action heads. This module does not import torch."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from embodied.errors import unknown

# Name of a head -> its width, with which a single system has about as many weights as the
# dual system.
WIDTHS = {"mlp": 192, "transformer": 72, "flow": 72}
HEADS = tuple(WIDTHS)
# A chunk spans a second at up to 50 Hz, as in pi0 (arXiv 2410.24164).
CHUNK_S = 1.0
MAX_CHUNK_HZ = 50.0


@dataclass(frozen=True)
class HeadConfig:
    """The kind and the sizes of an action head, as JSON values.

    Attributes:
        name: one of HEADS.
        rows: H, the number of rows of a chunk.
        chunk_hz: rows per second.
        width: the width of the hidden layers; for `transformer` and `flow`, of a row.
        layers: the number of layers of the transformer.
        attention_heads: the number of heads of its attention.
        flow_steps: the number of steps in which `flow` goes from noise to actions.

    Raises:
        EmbodiedError: there is no such head.
    """

    name: str
    rows: int
    chunk_hz: float
    width: int
    layers: int = 2
    attention_heads: int = 4
    flow_steps: int = 10

    def __post_init__(self) -> None:
        if self.name not in HEADS:
            raise unknown("action head", self.name, HEADS)

    @classmethod
    def of(cls, name: str, control_hz: float) -> HeadConfig:
        """Returns the settings of a head with this name, for worlds with a control rate."""
        chunk_hz = min(MAX_CHUNK_HZ, float(control_hz))
        return cls(
            name=name,
            rows=round(CHUNK_S * chunk_hz),
            chunk_hz=chunk_hz,
            width=WIDTHS.get(name, 0),
        )

    def to_json(self) -> dict[str, Any]:
        return asdict(self)
