"""The image encoder: a small convolutional network that the instruction steers."""

from __future__ import annotations

from contextlib import nullcontext

import torch
from torch import Tensor, nn
from torch.nn import functional

from embodied.policies.device import half_precision


class FilmConv(nn.Module):
    """Convolutions whose channels the instruction scales and shifts, read out twice.

    The instruction acts by FiLM (Perez et al. 2018). The first readout is a spatial
    softmax (Levine et al. 2016): for each channel the mean place of its activity, which
    gives sub-pixel positions from a coarse map. The second readout is attention with
    queries made from the instruction: where the thing is that is named, and how it
    looks.

    To take a bigger backbone, write a module with the same `forward` and `size`.

    Attributes:
        size: how many features an image has.
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
        patch_pixels = 4

        # From patches to feature maps. Two more channels say in which row and column a
        # pixel is.
        self.patches = nn.Conv2d(channels + 2, first, patch_pixels, stride=patch_pixels)
        self.convolutions = nn.ModuleList(
            (
                nn.Conv2d(first, middle, 3, padding=1),
                nn.Conv2d(middle, middle, 3, padding=1),
            )
        )
        self.film = nn.ModuleList(
            nn.Linear(text_width, 2 * middle) for _ in self.convolutions
        )

        # The first readout.
        self.last = nn.Conv2d(middle, last, 1)
        self.sharpness = nn.Parameter(torch.zeros(last))  # log of each softmax's scale

        # The second readout.
        self.keys = nn.Conv2d(first + middle, last, 1)
        self.queries = nn.Linear(text_width, heads * last)
        self.values = nn.Conv2d(first + middle, last // 2, 1)

        # Mean place (2) and strength (1) of each channel; place (2) and look of each
        # head.
        self.size = 3 * last + heads * (2 + last // 2)

    def forward(self, images: Tensor, text: Tensor) -> tuple[Tensor, Tensor]:
        """Returns features, and where the first head looks.

        Args:
            images: (n, C, H, W) in [-1, 1].
            text: (n, text width), the encoded instruction.

        Returns:
            Features (n, size), and log-probabilities (n, cells) over a grid of
            H / 4 x W / 4 cells.
        """
        patches, steered = self._features(images, text)
        # Row and column of each cell of the feature maps, (cells, 2) in [-1, 1].
        rows, columns = steered.shape[2:]
        places = _coordinates(rows, columns, steered)[0].flatten(1).T

        # The second readout also sees the patches, as they were before the instruction.
        points = self._points(steered, places)
        both = torch.cat([patches, steered], dim=1)
        attended, gaze = self._attended(both, text, places)
        return torch.cat([points, attended], dim=1), gaze

    def _features(self, images: Tensor, text: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the features of patches before and after the instruction acted.

        Only this part is computed in bfloat16 in training on a GPU: in the readouts its
        8 bits would be too few to tell places apart.

        Returns:
            (n, first, H / 4, W / 4) and (n, middle, H / 4, W / 4).
        """
        n, _, height, width = images.shape
        places = _coordinates(height, width, images).expand(n, -1, -1, -1)
        with half_precision(images.device) if self.training else nullcontext():
            patches = functional.relu(self.patches(torch.cat([images, places], dim=1)))
            x = patches
            for convolution, film in zip(self.convolutions, self.film, strict=True):
                x = functional.relu(_modulate(convolution(x), film(text)))
        return patches.float(), x.float()

    def _points(self, x: Tensor, places: Tensor) -> Tensor:
        """Returns the mean place and the strength of each channel, (n, 3 last).

        Each channel learns how sharply its softmax picks the most active cell.
        """
        flat = self.last(x).flatten(2)  # (n, last, cells)
        activity = (flat * self.sharpness.exp()[:, None]).softmax(dim=2)
        points = activity @ places  # (n, last, 2)
        strength = functional.silu(flat.amax(dim=2))  # (n, last)
        return torch.cat([points.flatten(1), strength], dim=1)

    def _attended(
        self, x: Tensor, text: Tensor, places: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Returns what the instruction attends to, and where the first head looks.

        The first head is the one that training teaches where to look (see `gaze_loss`).

        Returns:
            Place and look of each head, (n, heads (2 + last / 2)), and log-probabilities
            (n, cells).
        """
        keys = self.keys(x).flatten(2)  # (n, d, cells), d = `last`
        values = self.values(x).flatten(2)  # (n, d / 2, cells)
        width = keys.shape[1]
        queries = self.queries(text).unflatten(1, (-1, width))  # (n, heads, d)

        gaze = (queries @ keys / width**0.5).log_softmax(dim=2)  # (n, heads, cells)
        attention = gaze.exp()
        place = attention @ places
        look = attention @ values.transpose(1, 2)
        return torch.cat([place, look], dim=2).flatten(1), gaze[:, 0]


def _coordinates(height: int, width: int, like: Tensor) -> Tensor:
    """Returns row and column of each pixel in [-1, 1], (1, 2, H, W).

    Args:
        height: H.
        width: W.
        like: a tensor with the dtype and device of the result.
    """
    rows = torch.linspace(-1, 1, height, device=like.device, dtype=like.dtype)
    columns = torch.linspace(-1, 1, width, device=like.device, dtype=like.dtype)
    return torch.stack(torch.meshgrid(rows, columns, indexing="ij"))[None]


def _modulate(x: Tensor, film: Tensor) -> Tensor:
    """Returns features (n, C, H, W), scaled and shifted by `film` (n, 2 C)."""
    # Where `film` is 0 nothing changes.
    scale, shift = film[:, :, None, None].chunk(2, dim=1)
    return x * (1 + scale) + shift
