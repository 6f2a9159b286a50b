"""Records demonstrations, trains a small torch policy on them, and lets the policy act."""

from pathlib import Path

import gymnasium as gym
import numpy as np
import torch
from torch.nn import functional

from embodied.cli.main import main
from embodied.datasets.reader import Dataset
from embodied.datasets.schema import as_frame
from embodied.datasets.windows import Normaliser, Window, WindowLoader, Windows

CHUNK = 8  # the number of actions in a window
HIDDEN = 128
EPOCHS = 12

path = Path("presses.hdf5")
if not path.exists():
    command = f"collect PanelReset -o {path} --level L1 --episodes 4 --no-cameras"
    main([*command.split(), "--workers", "1"])

# Each window: two frames of proprioception, the newest privileged state, the next actions.
window = Window(
    {
        "obs/agent_pos": range(-1, 1),
        "obs/environment_state": range(1),
        "actions": range(CHUNK),
    }
)
windows = Windows(path, window)
normaliser = Normaliser(windows)
loader = WindowLoader(windows, batch_size=64, seed=0)

torch.manual_seed(0)
inputs = 2 * windows.row("obs/agent_pos")[0] + windows.row("obs/environment_state")[0]
outputs = CHUNK * windows.row("actions")[0]
network = torch.nn.Sequential(
    torch.nn.Linear(inputs, HIDDEN),
    torch.nn.ReLU(),
    torch.nn.Linear(HIDDEN, HIDDEN),
    torch.nn.ReLU(),
    torch.nn.Linear(HIDDEN, outputs),
)


def predict(scaled: dict[str, torch.Tensor]) -> torch.Tensor:
    """Returns scaled actions (n, CHUNK, J) for scaled observations (n, frames, ...)."""
    observed = [scaled["obs/agent_pos"], scaled["obs/environment_state"]]
    flat = torch.cat([values.flatten(1) for values in observed], dim=1)
    return network(flat).reshape(len(flat), CHUNK, -1)


optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3)
for epoch in range(EPOCHS):
    losses = []
    for batch in loader:
        scaled = normaliser(batch)
        error = functional.smooth_l1_loss(
            predict(scaled), scaled["actions"], reduction="none"
        )
        # actions beyond the end of an episode are padding, which must not be learned
        loss = error[~batch["actions_is_pad"]].mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    if epoch % 4 == 0:
        print(f"epoch {epoch}: loss {np.mean(losses):.3f} of {len(windows)} windows")

# The environment that the dataset names takes the dataset's actions without conversion.
with Dataset(path) as dataset:
    env_args = dataset.header.env_args
# A few demonstrations teach the policy to move. To succeed, it needs hundreds of them,
# recorded with --noise.
env = gym.make(env_args["env_name"], **env_args["env_kwargs"])
observation, info = env.reset(seed=100)
# the window has the frame before, too; at first there is none, so the first is repeated
last_frame = as_frame(observation)
is_over = False
while not is_over:
    frame = as_frame(observation)
    arrays = {
        "obs/agent_pos": np.stack([last_frame["agent_pos"], frame["agent_pos"]]),
        "obs/environment_state": frame["environment_state"][None],
    }
    batch = {name: torch.from_numpy(values)[None] for name, values in arrays.items()}
    batch["robot"] = torch.tensor([0])  # the index of the dataset's only robot
    with torch.no_grad():
        scaled_chunk = predict(normaliser(batch))
        chunk = normaliser.undo("actions", scaled_chunk, batch["robot"])
    last_frame = frame
    # execute the first of the chunk's actions (1, CHUNK, J)
    action = np.clip(chunk[0, 0].numpy(), -1, 1)
    observation, _, terminated, truncated, info = env.step(action)
    is_over = terminated or truncated
print("in the environment:", "success" if info["is_success"] else "failure")
