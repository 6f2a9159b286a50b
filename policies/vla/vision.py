"""Pictures as numbers: a small convolutional encoder that the instruction steers, read
out as points in the image.
"""

from __future__ import annotations

from contextlib import nullcontext

import torch
from torch import Tensor, nn
from torch.nn import functional

from embodied.policies.device import half_precision


class FilmConv(nn.Module):
    """Convolutions whose channels the instruction scales and shifts (FiLM, Perez et al.
    2018), read out twice.

    Spatial softmax (Levine et al. 2016) gives for each channel the mean place of its
    activity: sub-pixel positions from a coarse map. Attention whose queries are made
    from the instruction gives the place, and the look, of what is named. A bigger
    backbone takes the same place: (n, C, H, W) and (n, text width) to (n, `size`).
    """

    def __init__(
        self,
        channels: int,
        text_width: int,
        widths: tuple[int, int, int] = (32, 32, 32),
        heads: int = 8,
    ) -> None:
        super().__init__()
        first, middle, last = widths
        self.patches = nn.Conv2d(channels + 2, first, 4, stride=4)
        self.convolutions = nn.ModuleList(
            (
                nn.Conv2d(first, middle, 3, padding=1),
                nn.Conv2d(middle, middle, 3, padding=1),
            )
        )
        self.film = nn.ModuleList(
            nn.Linear(text_width, 2 * middle) for _ in self.convolutions
        )
        self.last = nn.Conv2d(middle, last, 1)
        self.sharpness = nn.Parameter(torch.zeros(last))
        self.keys = nn.Conv2d(first + middle, last, 1)
        self.queries = nn.Linear(text_width, heads * last)
        self.values = nn.Conv2d(first + middle, last // 2, 1)
        self.size = 3 * last + heads * (2 + last // 2)

    def forward(self, images: Tensor, text: Tensor) -> tuple[Tensor, Tensor]:
        """(n, C, H, W) in [-1, 1] and (n, text width) to features (n, size) and where
        the first head looks (n, cells).

        The latter are log-probabilities over a grid of H / 4 x W / 4 cells.
        """
        near, x = self._features(images, text)
        places = _coordinates(x.shape[2], x.shape[3], x)[0].flatten(1).T  # (cells, 2)
        named, look = self._named(torch.cat([near, x], dim=1), text, places)
        return torch.cat([self._points(x, places), named], dim=1), look

    def _features(self, images: Tensor, text: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the patches (n, first, H / 4, W / 4) and what the instruction made of
        them (n, middle, H / 4, W / 4).

        While it is trained on a GPU, only this is done in bfloat16: its 8 bits are too
        few to tell places apart.
        """
        n, _, height, width = images.shape
        places = _coordinates(height, width, images).expand(n, -1, -1, -1)
        with half_precision(images.device) if self.training else nullcontext():
            near = functional.relu(self.patches(torch.cat([images, places], dim=1)))
            x = near
            for convolution, film in zip(self.convolutions, self.film, strict=True):
                x = functional.relu(_modulate(convolution(x), film(text)))
        return near.float(), x.float()

    def _points(self, x: Tensor, places: Tensor) -> Tensor:
        """Mean place and strength of each channel, (n, 3 last)."""
        flat = self.last(x).flatten(2)  # (n, last, cells)
        points = (flat * self.sharpness.exp()[:, None]).softmax(dim=2) @ places
        return torch.cat([points.flatten(1), functional.silu(flat.amax(dim=2))], dim=1)

    def _named(self, x: Tensor, text: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
        """Place and look of what the instruction attends to, (n, heads (2 + last / 2));
        and the first head's gaze.
        """
        # (n, d, cells), (n, d / 2, cells)
        keys = self.keys(x).flatten(2)
        values = self.values(x).flatten(2)
        queries = self.queries(text).unflatten(1, (-1, keys.shape[1]))  # (n, heads, d)
        gaze = (queries @ keys / keys.shape[1] ** 0.5).log_softmax(dim=2)
        attention = gaze.exp()
        return torch.cat(
            [attention @ places, attention @ values.transpose(1, 2)], dim=2
        ).flatten(1), gaze[:, 0]


def _coordinates(height: int, width: int, like: Tensor) -> Tensor:
    """(1, 2, H, W) of row and column in [-1, 1]."""
    rows = torch.linspace(-1, 1, height, device=like.device, dtype=like.dtype)
    columns = torch.linspace(-1, 1, width, device=like.device, dtype=like.dtype)
    return torch.stack(torch.meshgrid(rows, columns, indexing="ij"))[None]


def _modulate(x: Tensor, film: Tensor) -> Tensor:
    scale, shift = film[:, :, None, None].chunk(2, dim=1)
    return x * (1 + scale) + shift
