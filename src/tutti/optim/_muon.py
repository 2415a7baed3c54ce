"""Muon: steps whose matrices are orthogonal."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from tutti.core import InputError, Layout
from tutti.optim._elementwise import unbias
from tutti.optim._layers import as_matrix
from tutti.optim._rule import ShapedRule, State, check_fraction, check_positive

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
AT_ONCE = 16


def orthogonalise(
    g: Float[Tensor, "batch row column"], steps: int = 5, epsilon: float = 1e-7
) -> Float[Tensor, "batch row column"]:
    """About UVᵀ of each matrix g = USVᵀ: `steps` rounds of the quintic Newton–Schulz iteration

        X ← aX + (bA + cA²)X,  A = XXᵀ,  X₀ = g/max(‖g‖, ε),  (a, b, c) = (3.4445, −4.7750, 2.0315)

    (Jordan et al. 2024, kellerjordan.github.io/posts/muon), which leaves singular values between about 0.7 and 1.2.
    The smaller side is the one squared. In the dtype of g (the authors' bfloat16 pays on GPUs alone). A few matrices
    at a time: they and their products then stay in the processor's cache.
    """
    parts = 1 if g.is_cuda else -(-len(g) // AT_ONCE)
    return torch.cat([_newton_schulz(part, steps, epsilon) for part in g.tensor_split(parts)])


def _newton_schulz(
    g: Float[Tensor, "batch row column"], steps: int, epsilon: float
) -> Float[Tensor, "batch row column"]:
    a, b, c = COEFFICIENTS
    tall = g.shape[1] > g.shape[2]
    x: Tensor = g.mT if tall else g
    x = x / torch.linalg.matrix_norm(x, keepdim=True).clamp(min=epsilon)
    for _ in range(steps):
        gram = torch.bmm(x, x.mT)
        polynomial = torch.baddbmm(gram, gram, gram, beta=b, alpha=c)
        x = torch.baddbmm(x, polynomial, x, beta=a)
    return x.mT if tall else x


@dataclass(frozen=True, kw_only=True)
class Muon(ShapedRule):
    """Muon (Jordan et al. 2024, kellerjordan.github.io/posts/muon): momentum, made orthogonal matrix by matrix.

        M ← γM + g      O = orthogonalise(g + γM)      w ← w − η·scale·O

    with the member's momentum γ (published 0.95) for hidden weights with two axes or more (kernels [out, …] as
    out × rest). As published, all other parameters take Adam's step: vectors, the last matrix in the layout's order
    (the output layer), and parameters whose name contains one of `others`, each with β₁ = γ, beta2 and epsilon.

    scale: "rms" is 0.2·√max(rows, columns), which gives steps of AdamW's size, so that one rate serves both kinds
    of parameters (Liu et al. 2025, arXiv 2502.16982); "shape" is Jordan's √max(1, rows/columns), whose rate is
    about ten times Adam's and not Adam's. iterations: Newton–Schulz rounds. Equal to torch.optim.Muon on the
    matrices up to its bfloat16. Two numbers per weight: "mean" ((1−γ)M, Adam's m), "square" (Adam's v).
    """

    name: ClassVar[str] = "muon"
    decay: str = "decoupled"
    nesterov: bool = True
    iterations: int = 5
    scale: Literal["rms", "shape"] = "rms"
    beta2: float = 0.999
    epsilon: float = 1e-8
    others: tuple[str, ...] = ("embed", "token", "position", "head")

    def __post_init__(self) -> None:
        super().__post_init__()
        check_fraction("beta2", self.beta2)
        check_positive("epsilon", self.epsilon)
        if self.scale not in ("rms", "shape"):
            raise InputError(f"scale is {self.scale!r}; expected 'rms' or 'shape'.")
        if self.iterations < 1:
            raise InputError(f"iterations is {self.iterations}; expected at least 1.")

    @property
    def averages(self) -> tuple[str, ...]:
        return ("mean", "square")

    def hidden(self, layout: Layout) -> tuple[str, ...]:
        """The parameters that are made orthogonal."""
        matrices = [n for n, s in zip(layout.names, layout.shapes, strict=True) if len(s) > 1]
        return tuple(n for n in matrices[:-1] if not any(word in n.lower() for word in self.others))

    def update(
        self,
        gradient: Float[Tensor, "member weights"],
        state: State,
        *,
        step: int,
        rate: float | Float[Tensor, "member 1"],
        momentum: float | Float[Tensor, "member 1"],
    ) -> Float[Tensor, "member weights"]:
        mean = state["mean"].lerp_(gradient, 1 - momentum)
        square = state["square"].mul_(self.beta2).addcmul_(gradient, gradient, value=1 - self.beta2)
        views, means = self.layout.views(gradient), self.layout.views(mean)
        orthogonal = {n: self._orthogonal(means[n], views[n], momentum) for n in self.hidden(self.layout)}
        size = (square / (1 - self.beta2**step)).sqrt_().add_(self.epsilon).mul_(-unbias(momentum, step))
        direction = torch.div(mean, size, out=gradient)
        for name, own in orthogonal.items():
            views[name].copy_(own)
        return direction

    def _orthogonal(self, mean: Tensor, g: Tensor, momentum: float | Tensor) -> Tensor:
        """The direction of one parameter, [member, out, …]. The mean is (1−γ)M: the scale makes no difference."""
        matrix = as_matrix(torch.lerp(g, mean, _beside(momentum, g)) if self.nesterov else mean)
        rows, columns = matrix.shape[1:]
        scale = 0.2 * max(rows, columns) ** 0.5 if self.scale == "rms" else max(1.0, rows / columns) ** 0.5
        return orthogonalise(matrix, self.iterations).mul(-scale).view_as(g)


def _beside(value: float | Float[Tensor, "member 1"], x: Tensor) -> float | Tensor:
    """A member's number, shaped to multiply [member, …]."""
    return value.view(-1, *[1] * (x.ndim - 1)) if isinstance(value, Tensor) else value
