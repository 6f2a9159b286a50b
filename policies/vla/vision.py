"""Pictures as numbers: a small convolutional encoder that the instruction steers, read out as points in the image."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class FilmConv(nn.Module):
    """Convolutions whose channels the instruction scales and shifts (FiLM, Perez et al. 2018), then spatial softmax.

    The softmax (Levine et al. 2016) gives for each channel the mean place of its activity: sub-pixel positions from a
    coarse map, which is what a goal is regressed from. A bigger backbone takes the same place: (n, C, H, W) and
    (n, text width) to (n, `size`).
    """

    def __init__(self, channels: int, text_width: int, widths: tuple[int, int, int] = (32, 48, 32)) -> None:
        super().__init__()
        first, middle, last = widths
        self.patches = nn.Conv2d(channels + 2, first, 4, stride=4)
        self.convolutions = nn.ModuleList(
            (nn.Conv2d(first, middle, 3, padding=1), nn.Conv2d(middle, middle, 3, padding=1))
        )
        self.film = nn.ModuleList(nn.Linear(text_width, 2 * middle) for _ in self.convolutions)
        self.last = nn.Conv2d(middle, last, 1)
        self.sharpness = nn.Parameter(torch.zeros(last))
        self.size = 3 * last

    def forward(self, images: Tensor, text: Tensor) -> Tensor:  # (n, C, H, W) in [0, 1], (n, text width)
        n, _, height, width = images.shape
        x = torch.cat([images, _coordinates(height, width, images).expand(n, -1, -1, -1)], dim=1)
        x = functional.relu(self.patches(x))  # (n, first, H / 4, W / 4)
        for convolution, film in zip(self.convolutions, self.film, strict=True):
            x = functional.relu(_modulate(convolution(x), film(text)))
        x = self.last(x)
        flat = x.flatten(2)  # (n, last, H W / 16)
        attention = (flat * self.sharpness.exp()[:, None]).softmax(dim=2)
        places = _coordinates(x.shape[2], x.shape[3], x).flatten(2)  # (1, 2, H W / 16)
        points = attention @ places[0].T  # (n, last, 2)
        strength = torch.amax(flat, dim=2)
        return torch.cat([points.flatten(1), functional.silu(strength)], dim=1)


def _coordinates(height: int, width: int, like: Tensor) -> Tensor:
    """(1, 2, H, W) of row and column in [-1, 1]."""
    rows = torch.linspace(-1, 1, height, device=like.device, dtype=like.dtype)
    columns = torch.linspace(-1, 1, width, device=like.device, dtype=like.dtype)
    return torch.stack(torch.meshgrid(rows, columns, indexing="ij"))[None]


def _modulate(x: Tensor, film: Tensor) -> Tensor:
    scale, shift = film[:, :, None, None].chunk(2, dim=1)
    return x * (1 + scale) + shift
