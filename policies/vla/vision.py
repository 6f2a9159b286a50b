"""The image encoder: a small convolutional network conditioned on the instruction."""

from __future__ import annotations

from contextlib import nullcontext

import torch
from torch import Tensor, nn
from torch.nn import functional

from embodied.policies.device import half_precision

# Without gradients, larger batches are encoded in pieces of this many images: their feature
# maps then take a fraction of the memory, and less time, since less memory is mapped.
PIECE = 128


class FilmConv(nn.Module):
    """Convolutions conditioned on the instruction, with two readouts.

    The instruction scales and shifts the channels by FiLM (Perez et al. 2018). The first
    readout is a spatial softmax (Levine et al. 2016): the mean position of each channel's
    activity, which gives sub-pixel positions from a coarse map. The second readout is
    attention with queries from the instruction, which gives position and appearance of
    the named object.

    It can be replaced by any module with the same `forward` and `size`, such as a larger
    backbone.

    Attributes:
        size: the number of features of an image.

    Args:
        channels: the number of channels of an image.
        text_width: the size of the encoded instruction.
        widths: the numbers of channels of the patches, of the convolutions and of the readouts.
        heads: the number of attention heads.
    """

    def __init__(
        self,
        channels: int,
        text_width: int,
        widths: tuple[int, int, int] = (32, 32, 32),
        heads: int = 8,
    ) -> None:
        """Makes the layers: patches, two conditioned convolutions, and the two readouts."""
        super().__init__()
        first, middle, last = widths
        patch_pixels = 4

        # from patches to feature maps; two more channels hold each pixel's row and column
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

        # the spatial softmax
        self.last = nn.Conv2d(middle, last, 1)
        self.sharpness = nn.Parameter(torch.zeros(last))  # log of each softmax's scale

        # the attention
        self.keys = nn.Conv2d(first + middle, last, 1)
        self.queries = nn.Linear(text_width, heads * last)
        self.values = nn.Conv2d(first + middle, last // 2, 1)

        # for each channel its position (2) and strength (1), and for each head its position
        # (2) and appearance (last // 2)
        self.size = 3 * last + heads * (2 + last // 2)

    def forward(self, images: Tensor, text: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the features of images, and the gaze.

        Args:
            images: (n, C, H, W) in [-1, 1].
            text: (n, text width), the encoded instruction.

        Returns:
            Features (n, size), and the gaze: the log-attention (n, cells) of the first
            head over a grid of H / 4 x W / 4 cells.
        """
        if torch.is_grad_enabled() or len(images) <= PIECE:
            return self._encoded(images, text)

        pieces = zip(torch.split(images, PIECE), torch.split(text, PIECE), strict=True)
        encoded = [self._encoded(*piece) for piece in pieces]
        features, gazes = zip(*encoded, strict=True)
        return torch.cat(features), torch.cat(gazes)

    def _encoded(self, images: Tensor, text: Tensor) -> tuple[Tensor, Tensor]:
        """Returns what `forward` does, of all images at once."""
        patches, conditioned = self._features(images, text)
        # (cells, 2) row and column of each cell of the feature maps, in [-1, 1]
        rows, columns = conditioned.shape[2:]
        positions = _coordinates(rows, columns, conditioned)[0].flatten(1).T

        # the attention also gets the patches, which do not depend on the instruction
        points = self._points(conditioned, positions)
        all_maps = torch.cat([patches, conditioned], dim=1)
        attended, gaze = self._attended(all_maps, text, positions)
        return torch.cat([points, attended], dim=1), gaze

    def _features(self, images: Tensor, text: Tensor) -> tuple[Tensor, Tensor]:
        """Returns feature maps before and after the conditioning on the instruction.

        Only this part is computed in bfloat16 in training on a GPU: the 8 bits of its
        mantissa are too few for the positions in the readouts.

        Returns:
            (n, first, H / 4, W / 4) and (n, middle, H / 4, W / 4).
        """
        n, _, height, width = images.shape
        positions = _coordinates(height, width, images).expand(n, -1, -1, -1)
        inputs = torch.cat([images, positions], dim=1)
        with half_precision(images.device) if self.training else nullcontext():
            patches = functional.relu(self.patches(inputs))
            conditioned = patches
            for convolution, film in zip(self.convolutions, self.film, strict=True):
                modulated = _modulate(convolution(conditioned), film(text))
                conditioned = functional.relu(modulated)
        return patches.float(), conditioned.float()

    def _points(self, x: Tensor, positions: Tensor) -> Tensor:
        """Returns the mean position and the strength of each channel, (n, 3 * last).

        The sharpness of each channel's softmax is learned.

        Args:
            x: (n, middle, H / 4, W / 4) feature maps.
            positions: (cells, 2) row and column of each cell, in [-1, 1].
        """
        flat = self.last(x).flatten(2)  # (n, last, cells)
        activity = (flat * self.sharpness.exp()[:, None]).softmax(dim=2)
        points = activity @ positions  # (n, last, 2)
        strength = functional.silu(flat.amax(dim=2))  # (n, last)
        return torch.cat([points.flatten(1), strength], dim=1)

    def _attended(
        self, x: Tensor, text: Tensor, positions: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Returns the readout of the attention, and the gaze.

        The gaze is the attention of the first head, which has labels (see `gaze_loss`).

        Args:
            x: (n, first + middle, H / 4, W / 4) feature maps.
            text: (n, text width), the encoded instruction.
            positions: (cells, 2) row and column of each cell, in [-1, 1].

        Returns:
            Position and appearance of each head, (n, heads * (2 + last / 2)), and the
            log-attention (n, cells) of the first head.
        """
        keys = self.keys(x).flatten(2)  # (n, d, cells), d = `last`
        values = self.values(x).flatten(2)  # (n, d / 2, cells)
        width = keys.shape[1]
        queries = self.queries(text).unflatten(1, (-1, width))  # (n, heads, d)

        scores = queries @ keys / width**0.5  # (n, heads, cells)
        log_attention = scores.log_softmax(dim=2)
        attention = log_attention.exp()
        position = attention @ positions
        appearance = attention @ values.transpose(1, 2)
        readout = torch.cat([position, appearance], dim=2).flatten(1)
        return readout, log_attention[:, 0]


def _coordinates(height: int, width: int, like: Tensor) -> Tensor:
    """Returns row and column of each pixel in [-1, 1], (1, 2, H, W).

    Args:
        height: the number of rows H.
        width: the number of columns W.
        like: a tensor with the dtype and device of the result.
    """
    rows = torch.linspace(-1, 1, height, device=like.device, dtype=like.dtype)
    columns = torch.linspace(-1, 1, width, device=like.device, dtype=like.dtype)
    return torch.stack(torch.meshgrid(rows, columns, indexing="ij"))[None]


def _modulate(x: Tensor, film: Tensor) -> Tensor:
    """Scales and shifts features (n, C, H, W) by FiLM.

    Args:
        x: the features.
        film: (n, 2 C) scale and shift of each channel; 0 changes nothing.
    """
    scale, shift = film[:, :, None, None].chunk(2, dim=1)
    return x * (1 + scale) + shift
