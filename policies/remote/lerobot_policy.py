"""The policy `lerobot:FOLDER`: trained by LeRobot, and run in LeRobot's environment."""

from __future__ import annotations

import os
import subprocess
import tempfile
import threading
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from embodied.closing import ClosedOnExit
from embodied.errors import EmbodiedError
from embodied.policies.remote.client import Endpoint
from embodied.policies.remote.source import RemoteSource

PYTHON_VARIABLE = "EMBODIED_LEROBOT_PYTHON"
FILES = ("config.json", "model.safetensors")  # LeRobot's files of a policy
START_TIMEOUT_S = 180.0  # importing LeRobot takes long
READY = "PORT "  # the server prints this and its port when it is ready


def open_lerobot(location: str) -> RemoteSource:
    """Returns the source of `lerobot:FOLDER`, and starts its server.

    The server ends with this process.

    Raises:
        EmbodiedError: the folder contains no policy, or LeRobot cannot serve it.
    """
    folder = Path(location)
    missing = [name for name in FILES if not (folder / name).is_file()]
    if missing:
        raise EmbodiedError(
            f"lerobot:{location} is no policy of LeRobot: {' and '.join(missing)} not found "
            "in it; its trainings write checkpoints/last/pretrained_model"
        )

    python = os.environ.get(PYTHON_VARIABLE, "")
    if not python:
        raise EmbodiedError(
            "lerobot: needs LeRobot's own environment, with `pip install msgpack "
            f"websockets` in it: export {PYTHON_VARIABLE}=PATH/TO/bin/python"
        )
    # a slow policy may compute a chunk for longer than the usual timeout
    child = start_server(folder.resolve(), python)
    return RemoteSource(Endpoint(f"ws://127.0.0.1:{child.port}", timeout_s=60.0))


@dataclass(frozen=True)
class Child(ClosedOnExit):
    """A server process, which ends with this process."""

    process: subprocess.Popen[str]
    port: int  # the port of this machine at which the server listens

    def close(self) -> None:
        """Ends the server."""
        self.process.kill()
        self.process.communicate()


@cache
def start_server(folder: Path, python: str) -> Child:
    """Starts a server for a policy, and returns it; later calls return the same server.

    Args:
        folder: the folder of the policy, as LeRobot wrote it.
        python: the path of the Python interpreter in LeRobot's environment.

    Raises:
        EmbodiedError: the server does not start; the message has its last line of output.
    """
    # without these variables, the server does not import this process's packages
    left_out = ("PYTHONPATH", "PYTHONHOME")
    environment = {
        name: value for name, value in os.environ.items() if name not in left_out
    }
    script = script_path()
    with tempfile.TemporaryFile() as log:
        try:
            process = subprocess.Popen(
                # -P: do not import modules from the script's folder; port 0: any free port
                [python, "-P", script, folder, "--port", "0", "--child"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=environment,
                text=True,
            )
        except OSError as error:
            raise EmbodiedError(
                f"{PYTHON_VARIABLE} is {python}, which cannot be run: {error.strerror}"
            ) from error

        # A server that hangs is killed by a timer. Its death closes its output, which ends
        # the loop over the lines of the output.
        timer = threading.Timer(START_TIMEOUT_S, process.kill)
        timer.start()
        for line in process.stdout or ():
            if line.startswith(READY):
                timer.cancel()
                return Child(process, int(line.removeprefix(READY)))

        # the server ended before it was ready
        timer.cancel()
        process.communicate()
        log.seek(0)
        lines = log.read().decode(errors="replace").strip().splitlines()
    reason = lines[-1][:300] if lines else f"exit status {process.returncode}"
    raise EmbodiedError(f"LeRobot does not serve {folder}: {reason}")


def script_path() -> Path:
    """Returns the path of the script that LeRobot's interpreter runs."""
    return Path(__file__).with_name("lerobot_server.py")
