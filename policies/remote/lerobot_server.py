"""Serves a policy that LeRobot trained on an export of ours, with openpi's protocol.

    PYTHON lerobot_server.py FOLDER [--port 8001] [--fps 20]

It is run by the Python of LeRobot's environment, with `msgpack` and `websockets` installed
there. It imports nothing of this package, which may not be installed there. See
docs/remote.md.
"""

import argparse
import hashlib
import importlib.abc
import importlib.machinery
import importlib.util
import json
import os
import sys
import threading
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"  # before LeRobot is imported: download nothing

import msgpack
import numpy as np

# These are the same as in `wire.py` and `codec.py`, which cannot be imported here.
WIRE_VERSION = 1
MAX_BYTES = 64 * 2**20  # the largest message that is read
MAX_ITEMS = 4096  # the largest number of items of a list or map in a message
STATE = "observation.state"
ENVIRONMENT_STATE = "observation.environment_state"
IMAGES = "observation.images."
DEFAULT_FPS = 20  # the default of this package's exports
# the size that is sent if a policy uses no images, since clients need a number
UNUSED_IMAGE_SIZE = 96
FAILED = 1011  # WebSocket's code for closing after an error, as in openpi
DTYPES = ("|u1", "|b1", "<f4", "<f8", "<i4", "<i8")


class _EmptyPackages(importlib.abc.Loader):
    """Imports empty packages in place of torchvision and OpenCV, which LeRobot imports.

    Policies without images do not use them, and for the newest torch there is no CPU build
    of torchvision.
    """

    def find_spec(self, name, path=None, target=None):
        if name.split(".", maxsplit=1)[0] in ("torchvision", "cv2"):
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        return None

    def exec_module(self, module):
        """Makes each attribute of a replaced module an empty class, so imports succeed."""

        def attribute(name):
            # Python looks up special names itself, and must find that they are missing
            if name.startswith("__"):
                raise AttributeError(name)
            return type(name, (), {})

        module.__getattr__ = attribute


def replace_torchvision():
    """Makes torchvision importable where it is missing.

    transformers asks once whether torchvision is there, and remembers the answer. Asked
    before the replacement exists, it looks for nothing in it.
    """
    if importlib.util.find_spec("transformers") is not None:
        from transformers.utils import is_torchvision_available

        is_torchvision_available()
    sys.meta_path.append(_EmptyPackages())


def to_bytes(message):
    """Returns a message, which may contain arrays, as bytes in openpi's format."""

    def array_as_map(value):
        return {
            b"__ndarray__": True,
            b"data": value.tobytes(),
            b"dtype": value.dtype.str,
            b"shape": value.shape,
        }

    return msgpack.packb(message, default=array_as_map)


def from_bytes(data):
    """Decodes a message in openpi's format.

    Raises:
        ValueError: the message is not valid.
    """

    def array_from_map(entry):
        """Returns the array that a map stands for; other maps are returned unchanged."""
        if b"__ndarray__" not in entry:
            return entry
        if entry[b"dtype"] not in DTYPES:
            raise ValueError("an array of a dtype that is not read")
        return np.frombuffer(entry[b"data"], entry[b"dtype"]).reshape(entry[b"shape"])

    message = msgpack.unpackb(
        data,
        object_hook=array_from_map,
        max_array_len=MAX_ITEMS,
        max_map_len=MAX_ITEMS,
        max_ext_len=0,
    )
    if not isinstance(message, dict):
        raise ValueError("a message must be a map")
    return message


class Served:
    """A policy of LeRobot, loaded for serving.

    Args:
        folder: the folder of the policy.
        fps: frames per second of the policy's training dataset; None to read the rate from
            the folder.
    """

    def __init__(self, folder, fps):
        import torch
        from lerobot.configs.policies import PreTrainedConfig
        from lerobot.policies.factory import get_policy_class, make_pre_post_processors

        device = "cuda" if torch.cuda.is_available() else "cpu"
        self.config = PreTrainedConfig.from_pretrained(folder)
        self.config.device = device
        policy_class = get_policy_class(self.config.type)
        self.policy = policy_class.from_pretrained(folder, config=self.config).eval()
        if not hasattr(self.policy, "predict_action_chunk"):
            raise SystemExit(f"a policy of the kind {self.config.type} gives no chunks")
        # LeRobot's normalisation of observations, and its inverse for actions
        self.before, self.after = make_pre_post_processors(
            self.config,
            pretrained_path=str(folder),
            preprocessor_overrides={"device_processor": {"device": device}},
        )
        self.fps = fps or fps_of(folder)
        self.lock = threading.Lock()  # the policy computes for one client at a time

        # LeRobot's name of each observation -> its shape
        self.shapes = {
            name: tuple(feature.shape)
            for name, feature in self.config.input_features.items()
        }
        self.cameras = [
            key.removeprefix(IMAGES) for key in self.shapes if key.startswith(IMAGES)
        ]
        self.side = self._side()
        weights = (Path(folder) / "model.safetensors").read_bytes()
        self.weights_hash = hashlib.sha256(weights).hexdigest()

    def info(self):
        """Returns the server's first message, with the entries of `wire.ServerInfo`."""
        # kinds of policies name the length of chunks differently
        steps = getattr(self.config, "chunk_size", None) or self.config.horizon
        executed_steps = getattr(self.config, "n_action_steps", steps)
        return {
            "embodied": WIRE_VERSION,
            "gives": "actions",
            "spec": {
                "control_mode": "joint",
                "control_hz": self.fps,
                "cameras": self.cameras,
                "camera_hz": None,
                "image_size": self.side,
                "privileged": ENVIRONMENT_STATE in self.shapes,
            },
            # a new chunk when the executed steps of the last one are over, as in LeRobot's
            # own loop; but at least 2 per second, so that no plan gets too old
            "planner_hz": float(max(self.fps / executed_steps, 2.0)),
            "shape": {
                "effectors": 0,
                "bases": 0,
                "latent": 0,
                "chunk_steps": int(steps),
                "chunk_actions": int(self.config.output_features["action"].shape[0]),
            },
            "chunk_hz": float(self.fps),
            "controller": "chunk_player",
            "task": "",
            "robot": "",
            "trained_in": {},
            "weights_hash": self.weights_hash,
        }

    def chunk(self, message):
        """Returns the actions (H, A) in [-1, 1] for an observation.

        Raises:
            ValueError: an observation is missing, or has another shape than in training.
        """
        import torch

        batch = {"task": [str(message.get("prompt", ""))]}
        for key, shape in self.shapes.items():
            name = key.replace(".", "/")  # as in openpi: observation/images/front
            value = message.get(name)
            # images are sent as (H, W, 3) from 0 to 255; LeRobot takes (3, H, W) in [0, 1]
            is_picture = key.startswith(IMAGES)
            sent_shape = (*shape[1:], shape[0]) if is_picture else shape
            if not isinstance(value, np.ndarray) or value.shape != sent_shape:
                raise ValueError(f"{name} must be an array of shape {sent_shape}")
            value = torch.from_numpy(np.array(value, np.float32))
            if is_picture:
                value = value.permute(2, 0, 1).contiguous() / 255
            batch[key] = value[None]  # a batch of one row

        with self.lock, torch.inference_mode():
            # only the first observation of an episode has a seed
            if "embodied/seed" in message:
                self.policy.reset()
            actions = self.policy.predict_action_chunk(self.before(batch))
            return self.after(actions)[0].cpu().numpy().astype(np.float32)

    def _side(self):
        """Returns the height of the images, which is also their width."""
        # LeRobot's shapes of images are (3, H, W)
        sizes = {self.shapes[IMAGES + camera][1:] for camera in self.cameras}
        if not sizes:
            return UNUSED_IMAGE_SIZE
        height, width = next(iter(sizes))
        if len(sizes) > 1 or height != width:
            raise SystemExit(f"all pictures must be squares of one size, not {sizes}")
        return height


def fps_of(folder):
    """Returns the frame rate of a policy's training dataset, or DEFAULT_FPS if unknown."""
    try:
        train = json.loads((Path(folder) / "train_config.json").read_text())
        root = Path(train["dataset"]["root"])
        return int(json.loads((root / "meta" / "info.json").read_text())["fps"])
    except (OSError, KeyError, TypeError, ValueError):
        return DEFAULT_FPS


def answer_client(served, connection):
    """Answers one client until it disconnects, or an error occurs."""
    from websockets.exceptions import ConnectionClosed

    try:
        connection.send(to_bytes(served.info()))
        for data in connection:
            try:
                actions = served.chunk(from_bytes(data))
            except Exception as error:
                # any error is reported to the client as text, as by openpi's servers
                text = " ".join(str(error).split())
                connection.send(f"{type(error).__name__}: {text[:200]}")
                connection.close(FAILED)
                return
            connection.send(to_bytes({"actions": actions}))
    except (ConnectionClosed, OSError):
        return


def end_with_parent():
    """Ends this process when its parent has ended, which closes the standard input."""
    # File 0 is the standard input; reading returns nothing once it is closed. `os.read` is
    # used because the lock of `sys.stdin` would block the main thread's exit.
    while os.read(0, 1):
        continue
    os._exit(0)  # from a thread, `sys.exit` would end only the thread


def main():
    """Serves until the process is ended."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", help="`pretrained_model` of a training by LeRobot")
    parser.add_argument("--port", type=int, default=8001)
    parser.add_argument("--fps", type=int, help="rate of the dataset (default: 20)")
    parser.add_argument("--child", action="store_true", help="end with the parent")
    args = parser.parse_args()

    if args.child:
        threading.Thread(target=end_with_parent, daemon=True).start()
    if importlib.util.find_spec("torchvision") is None:
        replace_torchvision()
    from websockets.sync.server import serve

    served = Served(args.folder, args.fps)
    with serve(
        lambda connection: answer_client(served, connection),
        "127.0.0.1",
        args.port,
        origins=[None],  # refuses web pages, whose requests have an Origin
        compression=None,
        max_size=MAX_BYTES,
    ) as server:
        print(f"PORT {server.socket.getsockname()[1]}", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
