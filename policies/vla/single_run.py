"""The run folder of a single system."""

from __future__ import annotations

from pathlib import Path

from embodied.envs.worlds import Worlds
from embodied.errors import EmbodiedError
from embodied.plan import Controller, Planner
from embodied.policies.checkpoint import load_weights
from embodied.policies.chunks import ChunkPlayer
from embodied.policies.run_folder import INFO
from embodied.policies.vla.run_folder import ImitationRun, read_run
from embodied.policies.vla.single import SinglePlanner, SingleSystemNet


class SingleRun(ImitationRun):
    """The source of a policy in a run folder of a single system.

    The network is the planner of a dual system whose controller plays action chunks. So
    delays, bridges, recording and servers work as with any planner of chunks.
    """

    def _agents(self, worlds: Worlds) -> tuple[Planner, Controller]:
        planner = SinglePlanner(load_single_net(self.folder))
        return planner, ChunkPlayer(worlds.interface, self.info.spec)


def load_single_net(path: Path) -> SingleSystemNet:
    """Returns the network of a run folder, ready to infer.

    Raises:
        EmbodiedError: the run is no single system, or its weights do not fit.
    """
    info = read_run(path)
    if info.head is None:
        raise EmbodiedError(
            f"{path / INFO} names no action head, as a single system has"
        )
    net = SingleSystemNet(info.net, info.head)
    load_weights(net, path)
    return net.eval()
