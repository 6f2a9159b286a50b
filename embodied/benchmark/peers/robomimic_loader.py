"""Measures robomimic's SequenceDataset: windows per second, as one line of JSON.

robomimic reads observations in all rows of a window: those of the history, and those of
the chunk's actions.
"""

import contextlib
import json
import sys

from robomimic.utils import obs_utils
from robomimic.utils.dataset import SequenceDataset
from timed_loading import print_result, windows_per_s
from torch.utils.data import DataLoader

LOW_DIM = "agent_pos"  # the robot's state; robomimic calls states low-dimensional


class FirstEpisodes(SequenceDataset):
    """Reads only the first episodes of a file, because cached pictures need much memory."""

    episodes = 0

    def load_demo_info(self, filter_by_attribute=None, demos=None):
        """Selects the episodes; robomimic calls this before it reads the file."""
        names = [f"demo_{number}" for number in range(self.episodes)]
        super().load_demo_info(demos=names)


def main():
    """Measures each content that the job asks for."""
    job = json.loads(sys.argv[1])
    pictures = [f"{name}_image" for name in job["cameras"]]
    specs = {"obs": {"low_dim": [LOW_DIM], "rgb": pictures}}
    # robomimic prints messages; standard output must hold only the result
    with contextlib.redirect_stdout(sys.stderr):
        obs_utils.initialize_obs_utils_with_obs_specs(specs)

    # each content from memory and from disk
    speeds = {}
    FirstEpisodes.episodes = job["episodes"]
    for content, keys in (("states", [LOW_DIM]), ("pictures", [LOW_DIM, *pictures])):
        for source, cache in (("memory", "all"), ("disk", None)):
            with contextlib.redirect_stdout(sys.stderr):
                data = FirstEpisodes(
                    job["path"],
                    keys,
                    ["actions"],
                    frame_stack=job["history"],
                    seq_length=job["chunk"],
                    get_pad_mask=True,
                    hdf5_cache_mode=cache,
                    load_next_obs=False,
                )
            loader = DataLoader(data, job["batch_size"], shuffle=True)
            speeds[f"{content} {source}"] = windows_per_s(
                loader, "actions", job["repeats"], job["seconds"]
            )
            data.close_and_delete_hdf5_handle()
            del data, loader  # free the cached episodes before the next are read
    print_result("robomimic", speeds)


if __name__ == "__main__":
    main()
