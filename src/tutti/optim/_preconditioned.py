"""Rules that see the correlations within each matrix: Shampoo and SOAP."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from tutti.core import InputError
from tutti.optim._elementwise import unbias
from tutti.optim._layers import as_matrix
from tutti.optim._rule import ShapedRule, State, check_fraction, check_positive

Square = Float[Tensor, "member n n"]


@dataclass(frozen=True, kw_only=True)
class Preconditioned(ShapedRule):
    """What Shampoo and SOAP share: for each matrix parameter, statistics GGᵀ and GᵀG of its gradients.

    A parameter with two axes or more counts as a matrix, [out, rest] (the papers treat each axis of a kernel by
    itself). A side longer than `widest` has none. every: steps between two computations of roots or bases.
    """

    every: int = 10
    widest: int = 2048

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("every", "widest"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}; expected at least 1.")

    def matrices(self, x: Float[Tensor, "member weights"]) -> dict[str, Float[Tensor, "member row column"]]:
        """Views of the matrix parameters, by name."""
        return {n: as_matrix(v) for n, v in self.layout.views(x).items() if v.ndim > 2}

    def sides(self, x: Float[Tensor, "member row column"]) -> dict[str, int]:
        """The sides that have statistics, and how long they are."""
        lengths = {"left": x.shape[1], "right": x.shape[2]}
        return {side: n for side, n in lengths.items() if n <= self.widest}


def eigen(square: Square) -> tuple[Float[Tensor, "member n"], Square]:
    """Eigenvalues, rising, and eigenvectors, as columns, of symmetric matrices.

    On the CPU each matrix is taken by itself, which puts it into memory of its own: LAPACK rounds by how its input is
    aligned, and a member's numbers must not depend on its slot.
    """
    if square.is_cuda:
        return tuple(torch.linalg.eigh(square))
    values, vectors = zip(*(torch.linalg.eigh(one) for one in square), strict=True)
    return torch.stack(values), torch.stack(vectors)


def orthonormal(square: Square) -> Square:
    """Q of the QR decompositions; as for `eigen`, one by one on the CPU."""
    if square.is_cuda:
        q: Tensor = torch.linalg.qr(square).Q
        return q
    return torch.stack([torch.linalg.qr(one).Q for one in square])


def outer(side: str, g: Float[Tensor, "member row column"]) -> Square:
    """GGᵀ (left) or GᵀG (right)."""
    return g @ g.mT if side == "left" else g.mT @ g


@dataclass(frozen=True, kw_only=True)
class Shampoo(Preconditioned):
    """Shampoo (Gupta, Koren, Singer 2018, arXiv 1802.09568, algorithm 1) with momentum.

        L ← L + GGᵀ     R ← R + GᵀG     U = L^(−1/4) G R^(−1/4)     M ← γM + U     w ← w − ηM

    L and R start at ε·I; a side without statistics counts as I, and the other's power is −1/2. Vectors take the
    diagonal form, Adagrad's: U = g/√(ε + Σg²) (the paper's full matrix would cost n² numbers). γ is the member's
    momentum; the paper's algorithm has none. Memory for an m × n matrix: 2(m² + n²) ("left", "right" and their
    roots), and two per weight: "velocity" (M), "square" (Σg², for vectors).
    """

    name: ClassVar[str] = "shampoo"
    rate_scale: ClassVar[float] = 10.0
    epsilon: float = 1e-6

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive("epsilon", self.epsilon)

    @property
    def averages(self) -> tuple[str, ...]:
        return ("velocity", "square")

    def init(self, weights: Float[Tensor, "member weights"]) -> State:
        state = super().init(weights)
        for name, x in self.matrices(weights).items():
            for side, n in self.sides(x).items():
                eye = torch.eye(n, dtype=x.dtype, device=x.device).expand(len(x), n, n)
                state[f"{side}.{name}"] = eye * self.epsilon
                state[f"{side}_root.{name}"] = eye.clone()
        return state

    def update(
        self,
        gradient: Float[Tensor, "member weights"],
        state: State,
        *,
        step: int,
        rate: float | Float[Tensor, "member 1"],
        momentum: float | Float[Tensor, "member 1"],
    ) -> Float[Tensor, "member weights"]:
        moved = {name: self._one(name, g, state, step) for name, g in self.matrices(gradient).items()}
        square = state["square"].addcmul_(gradient, gradient)
        gradient.div_((square + self.epsilon).sqrt_())
        views = self.matrices(gradient)
        for name, own in moved.items():
            views[name].copy_(own)
        velocity = state["velocity"].mul_(momentum).add_(gradient)
        return torch.neg(velocity, out=gradient)

    def _one(self, name: str, g: Float[Tensor, "member row column"], state: State, step: int) -> Tensor:
        """U of one matrix."""
        sides = self.sides(g)
        for side in sides:
            statistics = state[f"{side}.{name}"].add_(outer(side, g))
            if step % self.every == 0 or step == 1:
                state[f"{side}_root.{name}"].copy_(inverse_root(statistics, len(sides), self.epsilon))
        u = state[f"left_root.{name}"] @ g if "left" in sides else g
        u = u @ state[f"right_root.{name}"] if "right" in sides else u
        return u if sides else g / g.square().add_(self.epsilon).sqrt_()


def inverse_root(square: Square, roots: int, epsilon: float) -> Square:
    """square^(−1/2) of symmetric matrices (roots 1), or square^(−1/4) (roots 2); eigenvalues are at least epsilon."""
    values, vectors = eigen(square)
    values = values.clamp(min=epsilon)
    for _ in range(roots):
        values = values.sqrt()
    result: Tensor = (vectors / values[:, None]) @ vectors.mT
    return result


@dataclass(frozen=True, kw_only=True)
class SOAP(Preconditioned):
    """SOAP (Vyas et al. 2024, arXiv 2409.11321, algorithm 3): Adam in the eigenbasis of Shampoo's statistics.

        L ← βL + (1−β)GGᵀ     R ← βR + (1−β)GᵀG     Q_L, Q_R: their eigenvectors
        m ← β₁m + (1−β₁)G     v ← β₂v + (1−β₂)(Q_LᵀGQ_R)²     w ← w − η Q_L((Q_Lᵀ m̂ Q_R)/(√v̂ + ε))Q_Rᵀ

    β₁ is the member's momentum (published 0.95). As in the authors' code the first step only fills L and R and finds
    the bases; every `every` steps after it a base is renewed by one power iteration and QR, its columns (and v)
    sorted by falling eigenvalue first. beta β of the statistics; beta2 β₂; vectors and sides without statistics take
    Adam's step as it is. Two numbers per weight, "mean", "square", and 2(m² + n²) for an m × n matrix: "left",
    "right", "left_base", "right_base".
    """

    name: ClassVar[str] = "soap"
    decay: str = "decoupled"
    beta: float = 0.95
    beta2: float = 0.95
    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        super().__post_init__()
        check_fraction("beta", self.beta)
        check_fraction("beta2", self.beta2)
        check_positive("epsilon", self.epsilon)

    @property
    def averages(self) -> tuple[str, ...]:
        return ("mean", "square")

    def init(self, weights: Float[Tensor, "member weights"]) -> State:
        state = super().init(weights)
        for name, x in self.matrices(weights).items():
            for side, n in self.sides(x).items():
                state[f"{side}.{name}"] = x.new_zeros(len(x), n, n)
                state[f"{side}_base.{name}"] = x.new_zeros(len(x), n, n)
        return state

    def update(
        self,
        gradient: Float[Tensor, "member weights"],
        state: State,
        *,
        step: int,
        rate: float | Float[Tensor, "member 1"],
        momentum: float | Float[Tensor, "member 1"],
    ) -> Float[Tensor, "member weights"]:
        if step == 1:
            for name, g in self.matrices(gradient).items():
                self._begin(name, g, state)
            return gradient.zero_()
        seen = gradient.clone()
        mean = state["mean"].lerp_(gradient, 1 - momentum)
        turned = mean.clone()
        for name, g in self.matrices(gradient).items():
            g.copy_(self._turn(name, g, state))
        square = state["square"].mul_(self.beta2).addcmul_(gradient, gradient, value=1 - self.beta2)
        for name, m in self.matrices(turned).items():
            m.copy_(self._turn(name, m, state))
        scale = -((1 - self.beta2 ** (step - 1)) ** 0.5) / unbias(momentum, step - 1)
        direction = torch.div(turned, square.sqrt().add_(self.epsilon), out=gradient).mul_(scale)
        for name, d in self.matrices(direction).items():
            d.copy_(self._turn(name, d, state, back=True))
        for name, g in self.matrices(seen).items():
            self._learn(name, g, state, renew=(step - 1) % self.every == 0)
        return direction

    def _begin(self, name: str, g: Float[Tensor, "member row column"], state: State) -> None:
        for side in self.sides(g):
            statistics = state[f"{side}.{name}"].lerp_(outer(side, g), 1 - self.beta)
            state[f"{side}_base.{name}"].copy_(eigen(statistics)[1].flip(2))

    def _turn(
        self, name: str, x: Float[Tensor, "member row column"], state: State, *, back: bool = False
    ) -> Float[Tensor, "member row column"]:
        """Q_LᵀXQ_R, or Q_LXQ_Rᵀ."""
        for side in self.sides(x):
            base = state[f"{side}_base.{name}"]
            base = base.mT if back else base
            x = base.mT @ x if side == "left" else x @ base
        return x

    def _learn(self, name: str, g: Float[Tensor, "member row column"], state: State, *, renew: bool) -> None:
        """Takes a gradient into the statistics, and renews the bases where it is time."""
        for side in self.sides(g):
            statistics = state[f"{side}.{name}"].lerp_(outer(side, g), 1 - self.beta)
            if renew:
                base = state[f"{side}_base.{name}"]
                product = statistics @ base
                order = (base * product).sum(1).argsort(dim=1, descending=True, stable=True)
                self._reorder(name, side, order, state)
                chosen = product.gather(2, order[:, None].expand_as(product))
                base.copy_(orthonormal(chosen))

    def _reorder(self, name: str, side: str, order: Tensor, state: State) -> None:
        """Sorts the second moments of one matrix along a side."""
        square = self.matrices(state["square"])[name]
        index = order[:, :, None] if side == "left" else order[:, None]
        square.copy_(square.gather(1 if side == "left" else 2, index.expand_as(square)))
