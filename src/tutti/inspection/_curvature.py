"""Second order: Hessian–vector products, the Hessian's leading eigenvalues, and the step sizes that follow."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from tutti.core import InputError

Loss = Callable[[Tensor, Tensor], Tensor]
Product = Callable[[Float[Tensor, " weights"]], Float[Tensor, " weights"]]


@dataclass(frozen=True, kw_only=True)
class Curvature:
    """The ends of the spectrum of a loss's Hessian H at the network's weights.

    largest: the leading eigenvalues, most positive first; smallest: the other end, most negative first. residual:
    ‖Hv − λv‖ of the first of `largest`, relative to |λ|: how far Lanczos had converged. steps: products used.
    """

    largest: tuple[float, ...]
    smallest: tuple[float, ...]
    residual: float
    steps: int

    @property
    def largest_stable_step(self) -> float:
        """2/λ_max: plain gradient descent on the quadratic w ↦ ½ wᵀHw shrinks every direction only below this rate
        (|1 − ελ| < 1). Infinite where no direction curves upwards."""
        return 2 / self.largest[0] if self.largest[0] > 0 else float("inf")

    @property
    def best_step(self) -> float | None:
        """2/(λ_min + λ_max): the fastest constant rate on a bowl; None where the Hessian is not positive definite."""
        lowest = self.smallest[0]
        return 2 / (lowest + self.largest[0]) if lowest > 0 else None


def hessian_product(network: nn.Module, loss: Loss, inputs: Sequence[Tensor], target: Tensor) -> Product:
    """v ↦ Hv, with H the Hessian of the mean loss on these rows by the network's weights, laid out one after another.

    Two backward passes: Hv = ∂/∂w (∂L/∂w · v) (Pearlmutter 1994), exact, at about the cost of two gradients. loss
    (output, target) gives one number per row, or one in all. The network's mode and buffers are left as they are.
    """
    parameters = [p for p in network.parameters() if p.requires_grad]
    if not parameters:
        raise InputError("The network has no weights that are trained.")
    sizes = [p.numel() for p in parameters]
    kept = {name: buffer.clone() for name, buffer in network.named_buffers()}
    gradients = torch.autograd.grad(loss(network(*inputs), target).mean(), parameters, create_graph=True)
    for name, buffer in network.named_buffers():
        buffer.data.copy_(kept[name])
    flat = torch.cat([g.reshape(-1) for g in gradients])

    def product(vector: Float[Tensor, " weights"]) -> Float[Tensor, " weights"]:
        if len(vector) != sum(sizes):
            raise InputError(f"The vector has {len(vector)} numbers; the network has {sum(sizes)} weights.")
        if not flat.requires_grad:  # a loss linear in the weights
            return torch.zeros_like(vector)
        found = torch.autograd.grad(flat, parameters, vector, retain_graph=True, materialize_grads=True)
        return torch.cat([g.reshape(-1) for g in found])

    return product


def lanczos(
    product: Product, start: Float[Tensor, " size"], steps: int
) -> tuple[Float[Tensor, " steps"], Float[Tensor, "size steps"]]:
    """Ritz values (ascending) and vectors of a symmetric product, after so many steps from `start`.

    Lanczos' recursion β_{j+1} q_{j+1} = A q_j − α_j q_j − β_j q_{j−1}, each vector orthogonalised twice against all
    before it: without that, rounding brings copies of eigenvalues found already. Ends early where the space is
    exhausted (β near 0); with as many steps as numbers the values are the whole spectrum.
    """
    basis = [start / torch.linalg.vector_norm(start)]
    alphas, betas = [], []
    for step in range(min(steps, len(start))):
        vector = product(basis[-1]).detach()
        alphas.append(torch.dot(vector, basis[-1]))
        space = torch.stack(basis, dim=1)
        for _ in range(2):
            vector = vector - space @ (space.T @ vector)
        beta = torch.linalg.vector_norm(vector)
        largest = max(abs(float(a)) for a in alphas)
        if step + 1 == min(steps, len(start)) or float(beta) <= 1e-10 * max(largest, 1e-30):
            break
        betas.append(beta)
        basis.append(vector / beta)
    tridiagonal = torch.diag(torch.stack(alphas))
    if betas:
        off = torch.diag(torch.stack(betas), 1)
        tridiagonal = tridiagonal + off + off.T
    values, vectors = torch.linalg.eigh(tridiagonal)
    return values, torch.stack(basis[: len(alphas)], dim=1) @ vectors


def curvature(
    network: nn.Module,
    loss: Loss,
    inputs: Sequence[Tensor],
    target: Tensor,
    *,
    count: int = 5,
    steps: int = 60,
    seed: int = 0,
) -> Curvature:
    """The leading eigenvalues at both ends of the Hessian's spectrum, by Lanczos from a random vector.

    count: eigenvalues at each end (fewer where the network has fewer weights). steps: Hessian–vector products at
    most; twenty usually settle the largest one to a thousandth. The numbers are exact for the rows given, not for
    all that might have been.
    """
    product = hessian_product(network, loss, inputs, target)
    first = next(p for p in network.parameters() if p.requires_grad)
    size = sum(p.numel() for p in network.parameters() if p.requires_grad)
    if count < 1 or steps < 1:
        raise InputError(f"count is {count} and steps {steps}; expected at least 1 of each.")
    generator = torch.Generator().manual_seed(seed)
    start = torch.randn(size, generator=generator, dtype=first.dtype).to(first.device)
    values, vectors = lanczos(product, start, max(steps, min(2 * count, size)))
    count = min(count, len(values))
    lead = vectors[:, -1]
    residual = torch.linalg.vector_norm(product(lead) - values[-1] * lead) / max(abs(float(values[-1])), 1e-30)
    return Curvature(
        largest=tuple(values.flip(0)[:count].tolist()),
        smallest=tuple(values[:count].tolist()),
        residual=float(residual),
        steps=len(values),
    )


def gradient_variance(
    network: nn.Module, loss: Loss, inputs: Sequence[Tensor], target: Tensor, batch_sizes: Sequence[int]
) -> tuple[float, dict[int, float]]:
    """‖∇L‖², and for each batch size K the variance E‖g_B − ∇L‖² of the mini-batch gradient, over all batches of K
    distinct rows.

    Per-sample gradients gᵢ give it exactly: with S² = 1/(N−1) Σ‖gᵢ − ∇L‖² it is (S²/K)(1 − K/N): it falls as 1/K,
    and with the whole data set nothing is left. The network must treat rows independently (evaluation mode).
    """
    rows = len(target)
    for size in batch_sizes:
        if not 1 <= size <= rows:
            raise InputError(f"The batch size {size} is not possible with {rows} rows.")
    parameters = {k: v.detach() for k, v in network.named_parameters() if v.requires_grad}

    def of_row(values: dict[str, Tensor], target: Tensor, *inputs: Tensor) -> Tensor:
        output = torch.func.functional_call(network, values, tuple(x[None] for x in inputs))
        return loss(output, target[None]).mean()

    per_row = torch.func.vmap(torch.func.grad(of_row), in_dims=(None, 0, *[0] * len(inputs)))
    found = per_row(parameters, target, *inputs)
    flat = torch.cat([g.reshape(rows, -1) for g in found.values()], dim=1)
    mean = flat.mean(0)
    spread = float((flat - mean).square().sum()) / max(rows - 1, 1)
    return float(mean.square().sum()), {k: spread / k * (1 - k / rows) for k in batch_sizes}
