"""`embodied serve`: serves a policy over a network."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from embodied.cli import arguments
from embodied.envs.own_tasks import typed_task
from embodied.errors import EmbodiedError
from embodied.policies.remote.codec import MAX_BYTES
from embodied.policies.remote.server import (
    DEFAULT_PORT,
    PolicyServer,
    check_access,
    read_token,
)
from embodied.policies.remote.session import Served
from embodied.policies.run_folder import INFO, read_info, tasks_of
from embodied.rollout.one_thread import one_thread

HELP = """Serve a policy over openpi's WebSocket protocol, until Ctrl-C. `--policy remote:HOST:PORT` on other verbs
plays it here or elsewhere, and openpi's own client drives it. At any address but a loopback one a token is needed
(docs/remote.md)."""
EXAMPLE = """embodied serve runs/totes
  embodied serve expert_chunks --task ToteTransfer --port 8001
  embodied eval ToteTransfer --policy remote:127.0.0.1:8001 --channel edge-4g -o runs/remote"""
MB = 2**20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this verb's arguments."""
    # what is served
    parser.add_argument(
        "policy", metavar="POLICY", help="a name, a run folder, or MODULE:NAME"
    )
    parser.add_argument(
        "--task",
        metavar="TASK",
        type=typed_task,
        help=f"{arguments.TASK_HELP} (default: that of the run)",
    )
    parser.add_argument("--robot", help=arguments.ROBOT_HELP)

    # where, and to whom
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to listen at (default: 127.0.0.1, which only this machine reaches)",
    )
    parser.add_argument(
        "--port",
        type=int,
        default=DEFAULT_PORT,
        help=f"port to listen at; 0 for any that is free (default: {DEFAULT_PORT})",
    )
    parser.add_argument(
        "--token-file",
        type=Path,
        metavar="FILE",
        help="a file with the secret that clients must have",
    )
    parser.add_argument(
        "--max-mb",
        type=int,
        default=MAX_BYTES // MB,
        metavar="MB",
        help=f"largest message that is read (default: {MAX_BYTES // MB})",
    )


def run(args: argparse.Namespace) -> int:
    """Serves until it is interrupted."""
    if not 0 <= args.port < 65_536:
        raise EmbodiedError(f"--port must be from 0 to 65535, not {args.port}")
    if not 1 <= args.max_mb <= 1024:
        raise EmbodiedError(f"--max-mb must be from 1 to 1024, not {args.max_mb}")
    token = "" if args.token_file is None else read_token(args.token_file)
    # checked before the policy is loaded, which may take long
    check_access(args.host, token)

    task = args.task or trained_task(args.policy)
    with one_thread(), Served(args.policy, task, args.robot) as served:
        max_bytes = args.max_mb * MB
        with PolicyServer(served, args.host, args.port, token, max_bytes) as server:
            print(
                f"{args.policy} for {served.info.task} with {served.info.robot}: "
                f"--policy remote:{args.host}:{server.port} (Ctrl-C ends it)",
                flush=True,
            )
            try:
                server.serve_forever()
            except KeyboardInterrupt:
                print("ended", file=sys.stderr)
    return 0


def trained_task(policy: str) -> str:
    """Returns the task that a run was trained on.

    Raises:
        EmbodiedError: the policy is no run, so its task must be given.
    """
    folder = Path(policy)
    tasks = tasks_of(read_info(folder)) if (folder / INFO).is_file() else ()
    if len(tasks) != 1:
        raise EmbodiedError(
            f"{policy} may be for several tasks: say which, by --task TASK "
            "(see `embodied list tasks`)"
        )
    return tasks[0]
