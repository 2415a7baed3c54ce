"""Norms of the members' gradients, and clipping by them."""

import torch
from jaxtyping import Float
from torch import Tensor


def norms(gradient: Float[Tensor, "member weights"]) -> Float[Tensor, "member 1"]:
    """The Euclidean norm of each member's whole gradient. Not finite exactly where the member diverged."""
    norm: Tensor = torch.linalg.vector_norm(gradient, dim=1, keepdim=True)
    return norm


def norm_factor(
    norm: Float[Tensor, "member 1"], limit: float | Float[Tensor, "member 1"]
) -> Float[Tensor, "member 1"]:
    """What brings a gradient of norm ‖g‖ to a norm of at most `limit`: min(1, limit/(‖g‖ + 1e-6)).

    As torch.nn.utils.clip_grad_norm_ (Pascanu, Mikolov, Bengio 2013). A gradient of zeros stays zeros, where
    min(‖g‖, μ) g/‖g‖ would be 0/0. A norm of inf gives 0, of NaN NaN.
    """
    return (limit / (norm + 1e-6)).clamp(max=1.0)
