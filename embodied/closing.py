"""The `with` statement for objects that are closed."""

from __future__ import annotations

from types import TracebackType
from typing import Self


class ClosedOnExit:
    """Lets a class with a method `close` be used in a `with` statement."""

    def close(self) -> None:
        """Frees what the object holds; each class has its own."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
