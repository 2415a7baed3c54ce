"""Numbers for each layer of each member: norms of parameters on the flat storage, and the way back."""

from functools import lru_cache

import torch
from jaxtyping import Float, Int
from torch import Tensor

from tutti.core import Layout


@lru_cache(maxsize=64)
def _owners(layout: Layout, device: torch.device) -> Int[Tensor, " weights"]:
    """Which parameter each weight belongs to; the padding belongs to one more."""
    sizes = [*layout.sizes, layout.count - layout.used]
    places = torch.arange(len(sizes), device=device)
    return places.repeat_interleave(torch.tensor(sizes, device=device))


def layer_norms(layout: Layout, x: Float[Tensor, "member weights"]) -> Float[Tensor, "member layer"]:
    """The Euclidean norm of each parameter of each member, in the layout's order."""
    rows = (v.view(len(v), -1) for v in layout.views(x).values())
    return torch.stack([torch.linalg.vector_norm(v, dim=1) for v in rows], dim=1)


def spread(layout: Layout, values: Float[Tensor, "member layer"]) -> Float[Tensor, "member weights"]:
    """Each parameter's number at each of its weights; 0 on the padding."""
    padded = torch.cat([values, values.new_zeros(len(values), 1)], dim=1)
    return padded.index_select(1, _owners(layout, values.device))


def many(layout: Layout, like: Tensor) -> Float[Tensor, "1 layer"]:
    """1 for each parameter with two axes or more (a matrix, a kernel), 0 for vectors and scalars."""
    return like.new_tensor([[float(len(s) > 1) for s in layout.shapes]])


def as_matrix(x: Float[Tensor, "member row ..."]) -> Float[Tensor, "member row column"]:
    """[member, out, …] with all axes behind `out` as one."""
    return x.flatten(2)
