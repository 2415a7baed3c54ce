"""Flat storage: all parameters of a member in one row, of which the network holds views."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

import torch
from jaxtyping import Shaped
from torch import Tensor, nn

ALIGNMENT = 64  # numbers


@dataclass(frozen=True)
class Layout:
    """Where each parameter lies in a member's row of weights: names, shapes and sizes, in order.

    One row per member makes a norm one reduction along the last axis, and an optimiser step a handful of
    elementwise passes however many parameters the network has.
    """

    names: tuple[str, ...]
    shapes: tuple[torch.Size, ...]
    sizes: tuple[int, ...]

    @classmethod
    def of(cls, module: nn.Module) -> "Layout":
        """The layout of a module's parameters that are trained; one that it holds under several names counts once.

        A frozen one (requires_grad is False) has no place in a row: no rule sees it.
        """
        return cls.of_tensors({name: p for name, p in module.named_parameters() if p.requires_grad})

    @classmethod
    def of_tensors(cls, named: Mapping[str, Tensor]) -> "Layout":
        shapes = tuple(p.shape for p in named.values())
        return cls(tuple(named), shapes, tuple(prod(s) for s in shapes))

    @property
    def used(self) -> int:
        """Weights per member."""
        return sum(self.sizes)

    @property
    def count(self) -> int:
        """Length of a member's row: the weights, filled up with zeros to a multiple of ALIGNMENT.

        The last few numbers of a tensor take another path through vectorised kernels, with other rounding;
        rows of whole vectors keep a member's numbers independent of its slot.
        """
        return -(-self.used // ALIGNMENT) * ALIGNMENT

    def views(self, weights: Shaped[Tensor, "*member weights"]) -> dict[str, Tensor]:
        """Each parameter, by name, as a view of `weights` with the same leading axes."""
        lead = weights.shape[:-1]
        parts = weights[..., : self.used].split(self.sizes, dim=-1)
        return {n: p.view((*lead, *s)) for n, p, s in zip(self.names, parts, self.shapes, strict=True)}

    def flatten(self, tensors: Mapping[str, Tensor]) -> Shaped[Tensor, " weights"]:
        """One member's parameters as one row."""
        parts = [tensors[name].detach().reshape(-1) for name in self.names]
        return torch.cat([*parts, parts[0].new_zeros(self.count - self.used)]) if parts else torch.zeros(0)

    def owner(self, index: int) -> str:
        """The name of the parameter that holds the weight at this place of the row."""
        for name, size in zip(self.names, self.sizes, strict=True):
            if index < size:
                return name
            index -= size
        raise IndexError(index)
