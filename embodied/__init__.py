"""Embodied: a simulated training ground for robots.

Importing this package loads neither torch nor a graphics library: both wait until they
are first needed.
"""

from importlib.metadata import version
from pathlib import Path

__version__ = version("embodied-ground")

for _folder in ("envs", "policies", "datasets"):
    if not (Path(__file__).parent / _folder).is_dir():
        raise ImportError(
            f"embodied/{_folder} should be a link to the folder {_folder}/ beside embodied/, but is none: this copy was"
            " made without symbolic links (a zip archive, or git on Windows). Clone it where links work"
            " (`git clone -c core.symlinks=true`), or install the wheel: pip install embodied-ground"
        )

from embodied.envs.register import register_tasks  # noqa: E402 (only now is it sure to be there)

register_tasks()
