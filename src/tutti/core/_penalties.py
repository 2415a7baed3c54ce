"""Terms that a layer adds to the loss of the step under way (activity penalties)."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from jaxtyping import Float
from torch import Tensor

_open: ContextVar[list[Tensor] | None] = ContextVar("tutti_penalties", default=None)


@contextmanager
def penalties() -> Iterator[list[Tensor]]:
    """While open, collects what layers add; the sum joins each member's mean loss."""
    terms: list[Tensor] = []
    token = _open.set(terms)
    try:
        yield terms
    finally:
        _open.reset(token)


def add_penalty(term: Float[Tensor, "*member"]) -> None:
    """Adds one number per member to the loss; does nothing where no training step is under way."""
    terms = _open.get()
    if terms is not None:
        terms.append(term)
