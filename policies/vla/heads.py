"""Action heads: from the features of an observation to a chunk of actions.

- `mlp` predicts all rows at once by a few layers.
- `transformer` has a learned query for each row, which attends to the observation, as in
  ACT (arXiv 2304.13705).
- `flow` leads noise to actions along a learned velocity field, as in pi0
  (arXiv 2410.24164). Where demonstrations do one thing or another, it samples one of
  them, while the others predict something between them.

Shapes: n observations, H rows of a chunk, A action elements.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from embodied.policies.vla.head_config import HeadConfig
from embodied.policies.vla.layers import Scale

# A smooth L1 loss is quadratic for errors below its beta, and linear above.
ACTION_BETA = 0.05
# The smallest standard deviation by which an action element is divided.
MIN_ACTION_STD = 0.05
# The loss of `flow` is about this many times as large as that of the other heads, because
# its actions are normalised, and noise remains in its label.
FLOW_LOSS_UNIT = 4.0
# `flow` is trained at times of which more are near the noise than near the actions, drawn
# from the distribution of pi0: 1 minus a Beta(1.5, 1).
FLOW_TIME_POWER = 1 / 1.5
# The periods of the waves that encode such a time, shortest and longest.
FLOW_PERIODS = (0.02, 4.0)
FLOW_WAVES = 8


@dataclass(frozen=True)
class ContextSizes:
    """The sizes of the parts of a `Context`."""

    hidden: int
    cameras: int  # the number of cameras
    camera: int  # the number of features of each
    text: int
    robot: int


@dataclass(frozen=True)
class Context:
    """What a head gets of n observations."""

    hidden: Tensor  # (n, hidden), of the trunk, which joins all inputs
    cameras: Tensor  # (n, cameras, F) features of the images
    text: Tensor  # (n, text width), the encoded instruction
    robot: Tensor  # (n, R) proprioception, and the way to the predicted goals


@dataclass(frozen=True)
class Draws:
    """The random numbers that the loss of `flow` needs; the other heads use none."""

    noise: Tensor  # (n, H, A) standard normal
    uniform: Tensor  # (n,) in [0, 1)


class ActionHead(nn.Module):
    """The base of all heads: the rows of a chunk, normalised per action element.

    Attributes:
        draws_noise: whether loss and samples depend on noise.
        chunk_shape: (H, A).
    """

    draws_noise = False

    def __init__(self, config: HeadConfig, action_size: int) -> None:
        super().__init__()
        self.config = config
        self.chunk_shape = (config.rows, action_size)
        self.scale = Scale(action_size)

    def fit_scale(self, actions: Tensor) -> None:
        """Fits the normalisation to actions (m, A) of demonstrations."""
        self.scale.fit(actions, MIN_ACTION_STD)

    def loss(self, context: Context, wanted: Tensor, draws: Draws) -> Tensor:
        """Returns the mean loss, a scalar.

        Args:
            context: what the head gets of n observations.
            wanted: (n, H, A) the demonstrated chunks.
            draws: the random numbers of this batch.
        """
        raise NotImplementedError

    def sample(self, context: Context, noise: Tensor) -> Tensor:
        """Returns a chunk (n, H, A) for each observation.

        Args:
            context: what the head gets of n observations.
            noise: (n, H, A) standard normal; used only by a head that `draws_noise`.
        """
        raise NotImplementedError


class MlpHead(ActionHead):
    """Predicts a chunk by a few layers, from the trunk's features and the robot's."""

    def __init__(
        self, config: HeadConfig, action_size: int, sizes: ContextSizes
    ) -> None:
        super().__init__(config, action_size)
        width = config.width

        self.layers = nn.Sequential(
            nn.Linear(sizes.hidden + sizes.robot, width),
            nn.LayerNorm(width),
            nn.SiLU(),
            nn.Linear(width, width),
            nn.SiLU(),
            nn.Linear(width, width),
            nn.SiLU(),
            nn.Linear(width, config.rows * action_size),
        )

    def loss(self, context: Context, wanted: Tensor, draws: Draws) -> Tensor:
        return functional.smooth_l1_loss(
            self._predict(context), wanted, beta=ACTION_BETA
        )

    def sample(self, context: Context, noise: Tensor) -> Tensor:
        return self._predict(context)

    def _predict(self, context: Context) -> Tensor:
        inputs = torch.cat([context.hidden, context.robot], dim=1)
        rows = self.layers(inputs).reshape(-1, *self.chunk_shape)
        return self.scale.inverse(rows)


class RowDecoder(nn.Module):
    """A transformer whose rows attend to each other, and to tokens of the observation.

    The tokens are the features of each camera, of the text, of the robot and of the trunk.
    """

    def __init__(self, config: HeadConfig, sizes: ContextSizes) -> None:
        super().__init__()
        width = config.width
        self.camera = nn.Linear(sizes.camera, width)
        self.text = nn.Linear(sizes.text, width)
        self.robot = nn.Linear(sizes.robot, width)
        self.hidden = nn.Linear(sizes.hidden, width)

        # learned queries of the rows; and what tells the cameras apart
        self.rows = nn.Parameter(torch.randn(config.rows, width))
        self.places = nn.Parameter(0.02 * torch.randn(sizes.cameras, width))
        layer = nn.TransformerDecoderLayer(
            width,
            config.attention_heads,
            dim_feedforward=2 * width,
            dropout=0.0,
            activation="gelu",
            batch_first=True,
            norm_first=True,
        )
        self.decoder = nn.TransformerDecoder(
            layer, config.layers, norm=nn.LayerNorm(width)
        )

    def tokens(self, context: Context) -> Tensor:
        """Returns the tokens of n observations, (n, cameras + 3, width)."""
        others = [
            self.text(context.text),
            self.robot(context.robot),
            self.hidden(context.hidden),
        ]
        cameras = self.camera(context.cameras) + self.places
        return torch.cat([cameras, torch.stack(others, dim=1)], dim=1)

    def forward(self, tokens: Tensor, extra: Tensor | None = None) -> Tensor:
        """Returns the features of the rows of n chunks, (n, H, width).

        Args:
            tokens: the tokens of n observations.
            extra: (n, H, width) is added to the queries of the rows; None for nothing.
        """
        queries = self.rows.expand(len(tokens), -1, -1)
        if extra is not None:
            queries = queries + extra
        return self.decoder(queries, tokens)


class TransformerHead(ActionHead):
    """Predicts each row from a learned query that attends to the observation."""

    def __init__(
        self, config: HeadConfig, action_size: int, sizes: ContextSizes
    ) -> None:
        super().__init__(config, action_size)
        self.decoder = RowDecoder(config, sizes)
        self.out = nn.Linear(config.width, action_size)

    def loss(self, context: Context, wanted: Tensor, draws: Draws) -> Tensor:
        return functional.l1_loss(self._predict(context), wanted)

    def sample(self, context: Context, noise: Tensor) -> Tensor:
        return self._predict(context)

    def _predict(self, context: Context) -> Tensor:
        rows = self.decoder(self.decoder.tokens(context))
        return self.scale.inverse(self.out(rows))


class FlowHead(ActionHead):
    """Leads noise to a chunk along a learned velocity field: conditional flow matching.

    A straight path leads from noise e, at the time 0, to a demonstrated chunk a, at the
    time 1:

        x(t) = t a + (1 - t) e,   whose velocity is dx/dt = a - e

    The network v(x, t, observation) learns this velocity by least squares, from random
    a, e and t. So it is the mean of a - e over all paths through x at t, and following it
    from noise leads to the distribution of demonstrated chunks, not to their mean.
    """

    draws_noise = True

    def __init__(
        self, config: HeadConfig, action_size: int, sizes: ContextSizes
    ) -> None:
        super().__init__(config, action_size)
        width = config.width
        self.decoder = RowDecoder(config, sizes)
        self.noisy = nn.Linear(action_size, width)
        self.time = nn.Sequential(
            nn.Linear(2 * FLOW_WAVES, width), nn.SiLU(), nn.Linear(width, width)
        )
        self.out = nn.Linear(width, action_size)

    def loss(self, context: Context, wanted: Tensor, draws: Draws) -> Tensor:
        actions = self.scale(wanted)
        time = 1 - draws.uniform**FLOW_TIME_POWER  # (n,)
        part = time[:, None, None]
        x = part * actions + (1 - part) * draws.noise

        velocity = self._velocity(self.decoder.tokens(context), x, time)
        error = functional.mse_loss(velocity, actions - draws.noise)
        return error / FLOW_LOSS_UNIT

    def sample(self, context: Context, noise: Tensor) -> Tensor:
        tokens = self.decoder.tokens(context)
        steps = self.config.flow_steps
        x = noise
        # Euler's method: x(t + 1 / steps) = x(t) + v(x(t), t) / steps
        for step in range(steps):
            time = torch.full_like(noise[:, 0, 0], step / steps)
            x = x + self._velocity(tokens, x, time) / steps
        return self.scale.inverse(x)

    def _velocity(self, tokens: Tensor, x: Tensor, time: Tensor) -> Tensor:
        """Returns the velocity (n, H, A) at points x (n, H, A) and times (n,)."""
        rows = self.noisy(x) + self.time(_waves(time))[:, None]
        return self.out(self.decoder(tokens, rows))


def _waves(time: Tensor) -> Tensor:
    """Returns sines and cosines of times (n,), with periods from short to long, (n, F)."""
    shortest, longest = (math.log(period) for period in FLOW_PERIODS)
    period = torch.linspace(shortest, longest, FLOW_WAVES, device=time.device).exp()
    angle = 2 * math.pi * time[:, None] / period
    return torch.cat([angle.sin(), angle.cos()], dim=1)


CLASSES: dict[str, type[MlpHead] | type[TransformerHead] | type[FlowHead]] = {
    "mlp": MlpHead,
    "transformer": TransformerHead,
    "flow": FlowHead,
}


def make_head(config: HeadConfig, action_size: int, sizes: ContextSizes) -> ActionHead:
    """Returns a new head.

    Args:
        config: its kind and sizes.
        action_size: A.
        sizes: the sizes of what it gets of an observation.
    """
    return CLASSES[config.name](config, action_size, sizes)
