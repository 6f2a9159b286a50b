"""Records demonstrations, trains a torch policy of one's own on them, and lets it act."""

from pathlib import Path

import gymnasium as gym
import numpy as np
import torch
from torch.nn import functional

from embodied.cli.main import main
from embodied.datasets.reader import Dataset
from embodied.datasets.schema import as_frame
from embodied.datasets.windows import Normaliser, Window, WindowLoader, Windows

CHUNK = 8  # actions of a window
HIDDEN = 128
EPOCHS = 12

path = Path("presses.hdf5")
if not path.exists():
    words = f"collect PanelReset -o {path} --level L1 --episodes 4 --no-cameras"
    main([*words.split(), "--workers", "1"])

# Two frames of proprioception, the newest privileged state, and the next actions.
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
    seen = [scaled["obs/agent_pos"], scaled["obs/environment_state"]]
    flat = torch.cat([values.flatten(1) for values in seen], dim=1)
    return network(flat).reshape(len(flat), CHUNK, -1)


optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3)
for epoch in range(EPOCHS):
    losses = []
    for batch in loader:
        scaled = normaliser(batch)
        error = functional.smooth_l1_loss(
            predict(scaled), scaled["actions"], reduction="none"
        )
        # what is beyond the end of an episode is not to be learned
        loss = error[~batch["actions_is_pad"]].mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    if epoch % 4 == 0:
        print(f"epoch {epoch}: loss {np.mean(losses):.3f} of {len(windows)} windows")

# The environment that the dataset names takes the actions as they are.
with Dataset(path) as dataset:
    env_args = dataset.header.env_args
# A few demonstrations teach it to move; hundreds, recorded with --noise, to succeed.
env = gym.make(env_args["env_name"], **env_args["env_kwargs"])
observation, info = env.reset(seed=100)
before = as_frame(observation)  # the first frame stands for the one before it, too
is_over = False
while not is_over:
    frame = as_frame(observation)
    seen = {
        "obs/agent_pos": np.stack([before["agent_pos"], frame["agent_pos"]]),
        "obs/environment_state": frame["environment_state"][None],
    }
    live = {name: torch.from_numpy(values)[None] for name, values in seen.items()}
    live["robot"] = torch.tensor([0])
    # (1, CHUNK, J), of which the first action is taken
    with torch.no_grad():
        chunk = normaliser.undo("actions", predict(normaliser(live)), live["robot"])
    before = frame
    action = np.clip(chunk[0, 0].numpy(), -1, 1)
    observation, _, terminated, truncated, info = env.step(action)
    is_over = terminated or truncated
print("in the environment:", "success" if info["is_success"] else "failure")
