"""Which images to render of a dataset, and the config and header that follow from it."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from embodied.datasets.schema import Header
from embodied.envs.config import EnvConfig
from embodied.envs.ground_truth import GroundTruth
from embodied.envs.looks import Looks
from embodied.envs.worlds import Worlds

Depth = Literal["mm", "m"]


@dataclass(frozen=True)
class RenderRequest:
    """The images to render of each episode.

    Attributes:
        cameras: the names of the cameras; None for the cameras of the recording or, if it
            had none, of the task.
        image_size: the height and width in pixels; None for the size of the recording.
        depth: the unit of depth images; None for no depth images.
        segmentation: whether to render segmentation images.
        looks: the changes of light, cameras and pixel noise.
        set_states: whether to set the recorded state if the played one differs from it;
            otherwise a difference is an error.
    """

    cameras: tuple[str, ...] | None = None
    image_size: int | None = None
    depth: Depth | None = None
    segmentation: bool = False
    looks: Looks = field(default_factory=Looks)
    set_states: bool = False


def rendered_config(
    header: Header, config: EnvConfig, request: RenderRequest
) -> EnvConfig:
    """Returns the config of worlds with the cameras to render.

    Args:
        header: the header of the recording.
        config: the config of the worlds that replay it, see `replay_config`.
        request: the images to render.

    Raises:
        EmbodiedError: there is no such camera, or no camera at all; or the image size is
            out of range.
    """
    recorded = header.metadata["config"]
    recorded_cameras = tuple(recorded.get("cameras") or ())
    size = request.image_size or recorded.get("image_size", EnvConfig.image_size)
    # a recording with cameras keeps their rate; without, one image per frame is taken
    camera_hz = recorded.get("camera_hz") if recorded_cameras else header.record_hz
    cameras = request.cameras or recorded_cameras or None
    return replace(
        config,
        obs="both",
        cameras=cameras,
        camera_hz=camera_hz,
        image_size=size,
        num_threads=1,
    )


def rendered_header(header: Header, worlds: Worlds, request: RenderRequest) -> Header:
    """Returns the header of the rendered dataset.

    This is the header that a recording with these cameras would have, with additional
    entries on the rendering.

    Args:
        header: the header of the recording.
        worlds: the worlds, which have the cameras to render.
        request: the images to render.
    """
    config = {
        **header.metadata["config"],
        "obs": worlds.config.obs,
        "cameras": list(worlds.cameras),
        "camera_hz": worlds.config.camera_hz,
        "image_size": worlds.config.image_size,
    }

    # only rendered datasets have these entries
    added: dict[str, Any] = {}
    if request.depth:
        added["depth_unit"] = request.depth
    if request.segmentation:
        with closing(GroundTruth(worlds)) as truth:
            added["segmentation_names"] = list(truth.names)

    if request.looks:
        added["looks"] = request.looks.as_text()
    if request.set_states:
        added["pictures_of"] = "recorded states"

    versions = worlds.metadata()["versions"]
    if versions != header.metadata.get("versions"):
        added["rendered_with"] = versions
    return replace(header, metadata={**header.metadata, "config": config, **added})
