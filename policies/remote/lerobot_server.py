"""Serves a policy that LeRobot trained on an export of ours, over openpi's wire.

    PYTHON lerobot_server.py FOLDER [--port 8001] [--fps 20]

It is run by the Python of LeRobot's environment, which needs `msgpack` and `websockets` as
well, and imports nothing of this package, which that Python may not have.
docs/remote.md has the rest.
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

os.environ["HF_HUB_OFFLINE"] = "1"

import msgpack
import numpy as np

WIRE_VERSION = 1
MAX_BYTES = 64 * 2**20
MAX_ITEMS = 4096
STATE = "observation.state"
ENVIRONMENT_STATE = "observation.environment_state"
IMAGES = "observation.images."
DEFAULT_FPS = 20  # of our exports
DTYPES = ("|u1", "|b1", "<f4", "<f8", "<i4", "<i8")


class _Absent(importlib.abc.Loader):
    """Stands for packages that LeRobot imports, and needs for no policy without
    pictures: torchvision has no CPU build beside the newest torch.
    """

    def find_spec(self, name, path=None, target=None):
        if name.split(".", maxsplit=1)[0] in ("torchvision", "cv2"):
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        return None

    def exec_module(self, module):
        def attribute(name):
            if name.startswith("__"):
                raise AttributeError(name)
            return type(name, (), {})

        module.__getattr__ = attribute


def to_bytes(message):
    """Returns a message with arrays in it as openpi packs it."""

    def plain(value):
        return {
            b"__ndarray__": True,
            b"data": value.tobytes(),
            b"dtype": value.dtype.str,
            b"shape": value.shape,
        }

    return msgpack.packb(message, default=plain)


def from_bytes(data):
    """Returns the message in some bytes, with its arrays checked.

    Raises:
        ValueError: there is none.
    """

    def restored(found):
        if b"__ndarray__" not in found:
            return found
        if found[b"dtype"] not in DTYPES:
            raise ValueError("an array of a dtype that is not read")
        return np.frombuffer(found[b"data"], found[b"dtype"]).reshape(found[b"shape"])

    message = msgpack.unpackb(
        data,
        object_hook=restored,
        max_array_len=MAX_ITEMS,
        max_map_len=MAX_ITEMS,
        max_ext_len=0,
    )
    if not isinstance(message, dict):
        raise ValueError("a message must be a map")
    return message


class Served:
    """A policy of LeRobot with what it was trained for."""

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
        self.before, self.after = make_pre_post_processors(
            self.config,
            pretrained_path=str(folder),
            preprocessor_overrides={"device_processor": {"device": device}},
        )
        self.fps = fps or fps_of(folder)
        self.lock = threading.Lock()

        # what it sees, by LeRobot's names: the shape of each
        self.shapes = {k: tuple(f.shape) for k, f in self.config.input_features.items()}
        self.cameras = [
            key.removeprefix(IMAGES) for key in self.shapes if key.startswith(IMAGES)
        ]
        self.side = self._side()
        weights = (Path(folder) / "model.safetensors").read_bytes()
        self.weights_hash = hashlib.sha256(weights).hexdigest()

    def info(self):
        """Returns what is said first: the words of `remote/wire.py: ServerInfo`."""
        steps = getattr(self.config, "chunk_size", None) or self.config.horizon
        done = getattr(self.config, "n_action_steps", steps)
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
            # as often as its own loop asks it, but before a plan is too old
            "planner_hz": float(max(self.fps / done, 2.0)),
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
        """Returns the actions (H, A), in [-1, 1], given an observation.

        Raises:
            ValueError: the observation is not what the policy was trained on.
        """
        import torch

        batch = {"task": [str(message.get("prompt", ""))]}
        for key, shape in self.shapes.items():
            name = key.replace(".", "/")  # as in observation/images/front
            value = message.get(name)
            is_picture = key.startswith(IMAGES)
            wanted = (*shape[1:], shape[0]) if is_picture else shape
            if not isinstance(value, np.ndarray) or value.shape != wanted:
                raise ValueError(f"{name} must be an array of shape {wanted}")
            value = torch.from_numpy(np.array(value, np.float32))
            if is_picture:
                value = value.permute(2, 0, 1).contiguous() / 255
            batch[key] = value[None]

        with self.lock, torch.inference_mode():
            if "embodied/seed" in message:  # an episode begins
                self.policy.reset()
            actions = self.policy.predict_action_chunk(self.before(batch))
            return self.after(actions)[0].cpu().numpy().astype(np.float32)

    def _side(self):
        """Returns the side of its pictures; 96 where it sees none."""
        sides = {self.shapes[IMAGES + camera][1:] for camera in self.cameras}
        if not sides:
            return 96
        if len(sides) > 1 or len(set(next(iter(sides)))) > 1:
            raise SystemExit(f"all pictures must be squares of one size, not {sides}")
        return next(iter(sides))[0]


def fps_of(folder):
    """Returns the rate of the dataset that a policy was trained on, if it can be known."""
    try:
        train = json.loads((Path(folder) / "train_config.json").read_text())
        root = Path(train["dataset"]["root"])
        return int(json.loads((root / "meta" / "info.json").read_text())["fps"])
    except (OSError, KeyError, TypeError, ValueError):
        return DEFAULT_FPS


def talk(served, connection):
    """Answers one client until it goes, or something is wrong."""
    from websockets.exceptions import ConnectionClosed

    try:
        connection.send(to_bytes(served.info()))
        for data in connection:
            try:
                actions = served.chunk(from_bytes(data))
            # whatever it is, the client is told, as openpi's servers do
            except Exception as error:
                text = " ".join(str(error).split())
                connection.send(f"{type(error).__name__}: {text[:200]}")
                connection.close(1011)
                return
            connection.send(to_bytes({"actions": actions}))
    except (ConnectionClosed, OSError):
        return


def end_with_parent():
    """Ends this process when nobody holds the other end of its input any more."""
    # not through `sys.stdin`, whose lock would break the exit of the main thread
    while os.read(0, 1):
        continue
    os._exit(0)


def main():
    """Serves until it is told to end."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", help="`pretrained_model` of a training by LeRobot")
    parser.add_argument("--port", type=int, default=8001)
    parser.add_argument("--fps", type=int, help="rate of the dataset (default: 20)")
    parser.add_argument("--child", action="store_true", help="end with the parent")
    args = parser.parse_args()

    if args.child:
        threading.Thread(target=end_with_parent, daemon=True).start()
    if importlib.util.find_spec("torchvision") is None:
        sys.meta_path.append(_Absent())
    from websockets.sync.server import serve

    served = Served(args.folder, args.fps)
    with serve(
        lambda connection: talk(served, connection),
        "127.0.0.1",
        args.port,
        origins=[None],  # no pages of a browser
        compression=None,
        max_size=MAX_BYTES,
    ) as server:
        print(f"PORT {server.socket.getsockname()[1]}", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
