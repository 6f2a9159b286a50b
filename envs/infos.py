"""The contents of `info`: the same keys on both engines.

key                when   one world  N worlds     meaning
is_success         reset  bool       (N,) bool    success has been held for 0.5 s
progress           reset  float      (N,) float   of the task, by stages, in [0, 1]
fault              reset  str        (N,) object  name of the world's fault, or empty
contact_force_n    step   float      (N,) float   N, the robot's strongest contact
collision          step   bool       (N,) bool    it touched a body fixed to the world
joint_margin_rad   step   float      (N,) float   rad, smallest distance to a joint limit
dropped            step   int        (N,) int64   number of dropped objects
_<key>             both              (N,) bool    the worlds for which the key is valid
final_obs          end               (N,) object  the last observation of an episode
final_info         end               dict         all of the above, of its last step

When: "reset" keys exist after every reset and step, "step" keys after steps only, and
"end" keys if a world of a vector environment ended and was reset in the same step.
Force and collision cover all physics steps since the last control step. If a mask
`_<key>` is False, the value is None, False or 0.

On the engine `warp` the arrays are torch tensors, and the host does not know which worlds
ended, as it never waits for the device. So `fault` is an index into
`embodied.sim.engine.FAULTS`, `final_obs` has a row for every world, and both final keys
always exist. The other keys describe this step, also for worlds that were reset.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from embodied.core import Array
from embodied.envs.safety import Safety
from embodied.envs.scoring import StepResult
from embodied.sim.engine import FAULTS

RESET_KEYS = ("is_success", "progress", "fault")
STEP_KEYS = ("contact_force_n", "collision", "joint_margin_rad", "dropped")
FAULT_NAMES: np.ndarray = np.array(FAULTS, dtype=object)

Info = dict[str, Any]
Columns = dict[str, Array]  # key -> (N,)


def single_reset_info(progress: Array) -> Info:
    """Returns the info of one world after a reset, with its initial progress (1,)."""
    return {"is_success": False, "progress": float(progress[0]), "fault": ""}


def single_step_info(result: StepResult, safety: Safety) -> Info:
    """Returns the info of one world after a control step."""
    return {
        "is_success": bool(result.success[0]),
        "progress": float(result.progress[0]),
        "fault": FAULTS[int(result.fault[0])],
        "contact_force_n": float(safety.contact_force_n[0]),
        "collision": bool(safety.collision[0]),
        "joint_margin_rad": float(safety.joint_margin_rad[0]),
        "dropped": int(result.dropped[0]),
    }


def step_columns(result: StepResult, safety: Safety, fault: Array) -> Columns:
    """Returns the keys of a step, (N,) each, without their masks.

    Args:
        result: the result of the step.
        safety: the safety signals since the previous step.
        fault: (N,) the faults in the form that infos have: names on the engine `cpu`,
            indices on `warp`.
    """
    return {
        "is_success": result.success,
        "progress": result.progress,
        "fault": fault,
        "contact_force_n": safety.contact_force_n,
        "collision": safety.collision,
        "joint_margin_rad": safety.joint_margin_rad,
        "dropped": result.dropped,
    }


def reset_info(progress: np.ndarray, ids: np.ndarray) -> Info:
    """Returns the info of a reset of some worlds.

    Args:
        progress: (N,) the progress of all worlds.
        ids: (n,) the worlds that were reset. Only their values are valid.
    """
    begun = np.zeros(len(progress), bool)
    begun[ids] = True
    columns = {
        "is_success": np.zeros(len(progress), bool),
        "progress": progress,
        "fault": FAULT_NAMES[np.zeros(len(progress), np.int64)],
    }
    return masked(columns, begun)


def step_info(columns: Columns) -> Info:
    """Returns the info of a step in which no episode ended."""
    n = len(columns["is_success"])
    # As in `masked` with all worlds valid, but faster, because this runs at every step:
    # one array holds all masks, a row of True per key
    masks = np.ones((len(columns), n), bool)
    info: Info = dict(columns)
    for name, mask in zip(columns, masks, strict=True):
        info[f"_{name}"] = mask
    return info


def restart_info(columns: Columns, over: np.ndarray, progress: np.ndarray) -> Info:
    """Returns the info of a step in which some episodes ended and worlds were reset.

    Args:
        columns: the values of the step, as `step_columns` returns them.
        over: (N,) bool, the worlds whose episodes ended.
        progress: (N,) the initial progress of new episodes; not used for other worlds.
    """
    current = {
        "is_success": columns["is_success"] & ~over,
        "progress": np.where(over, progress, columns["progress"]),
        "fault": np.where(over, FAULT_NAMES[0], columns["fault"]),
    }

    # the signals of a step are invalid for a new episode, which has made no step yet
    signals = {name: columns[name] for name in STEP_KEYS}
    return {
        **masked(current, np.ones_like(over)),
        **masked(signals, ~over),
        "final_info": masked(columns, over),
        "_final_info": over.copy(),
    }


def masked(columns: Columns, valid: np.ndarray) -> Info:
    """Returns copies of columns with their masks, in Gymnasium's form.

    Args:
        columns: key -> values (N,).
        valid: (N,) bool, the worlds whose values are kept. The values of other worlds
            become None, False or 0.
    """
    info: Info = {}
    for name, values in columns.items():
        kept = values.copy()
        kept[~valid] = None if kept.dtype == object else 0  # to a bool, 0 is False
        info[name] = kept
        info[f"_{name}"] = valid.copy()
    return info
