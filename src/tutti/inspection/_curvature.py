"""Second order: Hessian–vector products, the Hessian's leading eigenvalues, and the step sizes that follow."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from tutti.core import InputError
from tutti.inspection._untouched import untouched

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

    InputError: nothing is trained, or an operation of the network has no second derivative in torch.
    """
    parameters = [p for p in network.parameters() if p.requires_grad]
    if not parameters:
        raise InputError("The network has no weights that are trained.")
    sizes = [p.numel() for p in parameters]
    with untouched(network), torch.enable_grad(), _twice_differentiable():
        total = loss(network(*inputs), target).mean()
        gradients = derivative(total, parameters, again=True)
    flat = torch.cat([g.reshape(-1) for g in gradients])
    _check_twice(flat)

    def product(vector: Float[Tensor, " weights"]) -> Float[Tensor, " weights"]:
        if len(vector) != sum(sizes):
            raise InputError(f"The vector has {len(vector)} numbers; the network has {sum(sizes)} weights.")
        if not flat.requires_grad:  # a loss linear in the weights
            return torch.zeros_like(vector)
        found = derivative(flat, parameters, vector, again=True)
        return torch.cat([g.reshape(-1) for g in found])

    return product


@contextmanager
def _twice_differentiable() -> Iterator[None]:
    """While open, torch computes attention and recurrent layers by operations whose derivatives it can take again:
    its fused kernels have only the first."""
    with sdpa_kernel(SDPBackend.MATH), torch.backends.cudnn.flags(enabled=False):
        yield


def _check_twice(gradient: Tensor) -> None:
    """Raises InputError where a gradient holds a part that torch marks as not to be differentiated again.

    Asked for the derivative by given tensors, autograd would leave that part out without a word.
    """
    waiting, met = [gradient.grad_fn], set()
    while waiting:
        function = waiting.pop()
        if function is None or function in met:
            continue
        met.add(function)
        if function.name() in ("torch::autograd::Error", "torch::autograd::NotImplemented"):
            raise InputError(
                "An operation of this network can be differentiated only once (once_differentiable).",
                fix="Write its backward of operations that can be differentiated themselves.",
            )
        waiting += [behind for behind, _ in function.next_functions]


def derivative(
    of: Tensor, by: Sequence[Tensor], vector: Tensor | None = None, *, again: bool = False
) -> tuple[Tensor, ...]:
    """torch.autograd.grad, 0 by what is not used; what it cannot differentiate is an InputError.

    again: the derivative is to be differentiated itself, or taken once more.
    """
    try:
        return torch.autograd.grad(
            of, by, vector, retain_graph=again, create_graph=again and vector is None, materialize_grads=True
        )
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        raise InputError(
            f"The derivatives of this network's loss cannot be computed: {first_line(error)}",
            fix="Take another layer or loss in place of the one named, of plain torch operations.",
        ) from error


def first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


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
