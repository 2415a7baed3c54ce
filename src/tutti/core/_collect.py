"""What layers hand to the training step under way."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from torch import Tensor


class Collector:
    """A place where layers leave tensors for whoever has opened it; what is left while nobody has is dropped."""

    def __init__(self, name: str) -> None:
        self._open: ContextVar[list[Tensor] | None] = ContextVar(f"tutti_{name}", default=None)

    @contextmanager
    def open(self) -> Iterator[list[Tensor]]:
        """The list that fills while the context lasts."""
        found: list[Tensor] = []
        token = self._open.set(found)
        try:
            yield found
        finally:
            self._open.reset(token)

    def add(self, tensor: Tensor) -> None:
        found = self._open.get()
        if found is not None:
            found.append(tensor)
