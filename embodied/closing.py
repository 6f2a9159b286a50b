"""A base class for objects that are closed by a `with` statement."""

from __future__ import annotations

from types import TracebackType
from typing import Self


class ClosedOnExit:
    """Adds the `with` statement to classes with a method `close`."""

    def close(self) -> None:
        """Frees the object's resources; each class implements it."""
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
