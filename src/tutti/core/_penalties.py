"""Terms that a layer adds to the loss of the step under way (activity penalties)."""

from contextlib import AbstractContextManager

from jaxtyping import Float
from torch import Tensor

from tutti.core._collect import Collector

_TERMS = Collector("penalties")


def penalties() -> AbstractContextManager[list[Tensor]]:
    """While open, collects what layers add; the sum joins each member's mean loss."""
    return _TERMS.open()


def add_penalty(term: Float[Tensor, "*member"]) -> None:
    """Adds one number per member to the loss; does nothing where no training step is under way."""
    _TERMS.add(term)
