"""Windows over the arrays of datasets, to train a torch policy on.

    from embodied.datasets.windows import Window, WindowLoader, Windows

Importing this package does not import torch yet; using one of these names does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from embodied.lazy import lazy_exports

if TYPE_CHECKING:
    from embodied.datasets.windows.dataset import Windows
    from embodied.datasets.windows.loader import WindowLoader
    from embodied.datasets.windows.normaliser import Normaliser
    from embodied.datasets.windows.window import Window

_EXPORTS = {
    "embodied.datasets.windows.dataset": ("Windows",),
    "embodied.datasets.windows.loader": ("WindowLoader",),
    "embodied.datasets.windows.normaliser": ("Normaliser",),
    "embodied.datasets.windows.window": ("Window",),
}

__all__ = ["Normaliser", "Window", "WindowLoader", "Windows"]

__getattr__, __dir__ = lazy_exports(globals(), _EXPORTS)
