"""One dense layer: the single neuron, logistic and softmax regression, on raw or expanded features."""

from dataclasses import dataclass
from typing import ClassVar

from torch import nn as torch_nn

from tutti import core, nn
from tutti.models._table import TableConfig, TableNetwork, build_inputs, check_choice

EXPANSIONS = ("none", "polynomial", "rbf")


@dataclass(frozen=True, kw_only=True)
class Linear(TableConfig):
    """output = W φ(x) + b. All categories are one-hot. Starts at 0 unless `init` says otherwise (the loss is convex).

    scaling: one of nn.SCALINGS. expansion: what φ is. "none": the scaled numbers. "polynomial": all their monomials
    of degree 1 … `degree` (x₁^p x₂^q, p + q ≤ degree). "rbf": exp(−λ‖x − x_j‖²) around `centres` training rows,
    all of them where there are no more, with λ = `width` (0: 1/number of features).
    """

    name: ClassVar[str] = "linear"

    scaling: str = "standard"
    expansion: str = "none"
    degree: int = 2
    centres: int = 100
    width: float = 0.0
    init: str = "zeros"

    def __post_init__(self) -> None:
        check_choice("scaling", [self.scaling], nn.SCALINGS)
        check_choice("expansion", [self.expansion], EXPANSIONS)
        check_choice("initialiser", [self.init], list(nn.INITIALISERS))

    def build(self, shape: core.TableShape, outputs: int) -> TableNetwork:
        """The network for a table of `shape` and so many outputs."""
        scale: torch_nn.Module = nn.scaling(self.scaling, shape.numbers)
        numeric = shape.numbers
        if self.expansion == "polynomial" and numeric:
            expanded = nn.Polynomial(scale, numeric, self.degree)
            scale, numeric = expanded, expanded.features
        elif self.expansion == "rbf" and numeric:
            scale, numeric = nn.RadialBasis(scale, numeric, self.centres, self.width or None), self.centres
        inputs = build_inputs(shape, scale, numeric)
        return inputs.network(nn.Linear(inputs.width, outputs, init=self.init))
