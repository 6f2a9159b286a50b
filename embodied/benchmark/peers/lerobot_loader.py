"""Measures LeRobot's LeRobotDataset: windows per second, as one line of JSON."""

import importlib.abc
import importlib.machinery
import importlib.util
import json
import os
import sys

from timed_loading import print_result, windows_per_s

os.environ["HF_HUB_OFFLINE"] = "1"


class _Absent(importlib.abc.Loader):
    """Stands in for packages that LeRobot imports but does not use to load data.

    torchvision has no CPU build for the newest torch, so it may be missing.
    """

    def find_spec(self, name, path=None, target=None):
        if name.split(".", maxsplit=1)[0] in ("torchvision", "cv2"):
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        return None

    def exec_module(self, module):
        """Fills a stand-in module; Python's import system calls this."""

        # every name that is imported from the module gives an empty class
        def attribute(name):
            if name.startswith("__"):
                raise AttributeError(name)
            return type(name, (), {})

        module.__getattr__ = attribute


def _stand_in_for_torchvision():
    """Makes torchvision importable where it is missing, with a `ToTensor` that works."""
    if importlib.util.find_spec("torchvision") is not None:
        return
    # transformers asks once whether torchvision is there, and remembers the answer. Asked
    # before the stand-in exists, it looks for nothing in it.
    if importlib.util.find_spec("transformers") is not None:
        from transformers.utils import is_torchvision_available

        is_torchvision_available()
    sys.meta_path.append(_Absent())
    import numpy as np
    import torch
    import torchvision.transforms  # the stand-in

    class ToTensor:
        def __call__(self, picture):
            picture = torch.from_numpy(np.array(picture))
            # (H, W, 3) uint8 -> (3, H, W) float in [0, 1]
            return picture.permute(2, 0, 1).contiguous().float().div(255)

    torchvision.transforms.ToTensor = ToTensor


def main():
    """Measures each content that the job asks for."""
    job = json.loads(sys.argv[1])
    _stand_in_for_torchvision()
    from lerobot.datasets.lerobot_dataset import LeRobotDataset, LeRobotDatasetMetadata
    from torch.utils.data import DataLoader

    speeds = {}
    for name, root in job["roots"].items():
        # LeRobot's window: column -> times in s of its rows, relative to the window's row 0
        meta = LeRobotDatasetMetadata("local/set", root=root)
        history = [-row / meta.fps for row in range(job["history"] - 1, -1, -1)]
        times = dict.fromkeys(["observation.state", *meta.camera_keys], history)
        times["action"] = [row / meta.fps for row in range(job["chunk"])]

        data = LeRobotDataset("local/set", root=root, delta_timestamps=times)
        loader = DataLoader(data, job["batch_size"], shuffle=True)
        speeds[name] = windows_per_s(loader, "action", job["repeats"], job["seconds"])
    print_result("lerobot", speeds)


if __name__ == "__main__":
    main()
