"""Mutated descriptions and models in large numbers: `python -m tests.fuzz_robots 100 134`.

Each seed makes 60 of them. What is neither a robot nor one named error is printed, and
its files are kept. `tests/test_described_mutants.py` tries 2,040 in CI.
"""

from __future__ import annotations

import argparse
import collections
import os
import random
import signal
import tempfile
import time
import warnings
from pathlib import Path
from types import FrameType

from embodied.errors import EmbodiedError
from embodied.robots.described.robot import load_robot
from tests.six_arm import write_six
from tests.test_described_mutants import mutated, wrong_in

EACH = 60  # mutants of a seed
LONGEST_S = 60  # what takes longer hangs


def main() -> None:
    """Tries the mutants of some seeds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("first", type=int)
    parser.add_argument("end", type=int, help="the first seed that is not tried")
    args = parser.parse_args()
    warnings.simplefilter("ignore")  # MuJoCo's, of models that no one would write
    signal.signal(signal.SIGALRM, _hangs)
    os.chdir(tempfile.mkdtemp())  # where MuJoCo leaves its log

    outcomes: collections.Counter[str] = collections.Counter()
    slowest_s = 0.0
    for seed in range(args.first, args.end):
        rng = random.Random(seed)
        for k in range(EACH):
            folder = Path(f"{seed}_{k}").resolve()
            folder.mkdir()
            begun = time.process_time()
            outcome = _try(write_six(folder, *mutated(rng)))
            slowest_s = max(slowest_s, time.process_time() - begun)
            outcomes[outcome.split(":")[0]] += 1
            if outcome not in ("robot", "named error"):
                print(f"{folder}: {outcome}", flush=True)
    print(dict(outcomes), f"slowest {slowest_s:.1f} s")


def _try(path: Path) -> str:
    """Returns what becomes of a description."""
    signal.alarm(LONGEST_S)
    try:
        load_robot(path)
    except EmbodiedError as error:
        wrong = wrong_in(str(error))
        return f"bad message: {wrong}" if wrong else "named error"
    except Exception as error:  # whatever it is, it is what is looked for
        return f"crash: {error!r}"
    finally:
        signal.alarm(0)
    return "robot"


def _hangs(number: int, frame: FrameType | None) -> None:
    raise TimeoutError(f"longer than {LONGEST_S} s")


if __name__ == "__main__":
    main()
