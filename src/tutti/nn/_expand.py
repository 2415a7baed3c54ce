"""Feature expansions of linear classifiers: monomials, and bumps around training rows. No parameters."""

from math import comb

import torch
from jaxtyping import Float
from torch import Tensor, nn

from tutti import core

_MOST = 20_000


class Polynomial(nn.Module):
    """Every monomial of total degree 1 … `degree` in the scaled features: x₁^p x₂^q with p + q ≤ degree.

    Degree by degree, x₁ first: for two features and degree 2: x₁, x₂, x₁², x₁x₂, x₂². n features give
    C(n + degree, degree) − 1 of them; more than 20,000 raise InputError.
    """

    stacked = True

    def __init__(self, scale: nn.Module, numbers: int, degree: int) -> None:
        super().__init__()
        if degree < 1:
            raise core.InputError(f"The degree of the polynomial is {degree}; expected at least 1.")
        self.features = comb(numbers + degree, degree) - 1
        if self.features > _MOST:
            raise core.InputError(
                f"{numbers} features have {self.features:,} monomials up to degree {degree}.",
                fix=f"Use a lower degree (at most {_MOST:,} monomials).",
            )
        self.scale = scale
        self.degree = degree

    def forward(self, x: Float[Tensor, "*member batch number"]) -> Float[Tensor, "*member batch feature"]:
        x = self.scale(x)
        if x.shape[-1] == 0:
            return x
        # by_first[i] holds the monomials of the current degree whose lowest feature is i
        by_first = [x[..., i : i + 1] for i in range(x.shape[-1])]
        powers = [x]
        for _ in range(self.degree - 1):
            by_first = [x[..., i : i + 1] * torch.cat(by_first[i:], -1) for i in range(x.shape[-1])]
            powers.extend(by_first)
        return torch.cat(powers, -1)


class RadialBasis(nn.Module):
    """Gaussian bumps around training rows: h_j(x) = exp(−λ ‖x − x_j‖²), distances between scaled features.

    Buffer rows [*member, centre, number] holds the x_j, raw. λ (`width`) > 0; with None it is 1/number.
    """

    stacked = True
    rows: Tensor

    def __init__(self, scale: nn.Module, numbers: int, centres: int, width: float | None = None) -> None:
        super().__init__()
        if centres < 1:
            raise core.InputError(f"{centres} centres; expected at least 1.")
        if width is not None and not width > 0:
            raise core.InputError(f"The factor λ of the radial basis is {width}; expected a number above 0.")
        self.features = centres
        self.scale = scale
        self.width = 1 / max(numbers, 1) if width is None else width
        self.register_buffer("rows", torch.zeros(centres, numbers))

    def forward(self, x: Float[Tensor, "*member batch number"]) -> Float[Tensor, "*member batch centre"]:
        points, rows = self.scale(x), self.scale(self.rows)
        product = torch.matmul(points, rows.mT)
        distance = points.square().sum(-1, keepdim=True) - 2 * product + rows.square().sum(-1).unsqueeze(-2)
        return torch.exp(-self.width * distance.clamp(min=0))
