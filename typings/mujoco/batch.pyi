# MuJoCo's compiled modules come without types: whatever is asked of them is Any.
from typing import Any

def __getattr__(name: str) -> Any: ...
