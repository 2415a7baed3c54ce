"""Graph layers equal torch-geometric's, forward and backward, and their papers' dense formulas."""

from typing import Any

import pytest
import torch
from torch import Tensor

from tutti import nn

NODES, INPUTS, OUTPUTS, HEADS = 9, 4, 3, 2

# Node 7 has no edge at all, node 8 sends only, 2 has a loop, 0 → 1 stands twice; not in any order.
EDGES = torch.tensor([[8, 0, 1, 2, 0, 3, 5, 4, 6, 2, 0, 8], [5, 1, 0, 2, 1, 4, 3, 4, 5, 6, 6, 0]])


def _x() -> Tensor:
    torch.manual_seed(5)
    return torch.randn(NODES, INPUTS, dtype=torch.float64, requires_grad=True)


def _randomise(module: torch.nn.Module) -> None:
    torch.manual_seed(6)
    for p in module.parameters():
        torch.nn.init.normal_(p)


def _same(ours: torch.nn.Module, theirs: torch.nn.Module, pairs: dict[str, str], **given: Any) -> None:
    """Equal outputs and gradients, with their parameters put into ours (a matrix is transposed)."""
    ours, theirs = ours.double(), theirs.double()
    _randomise(theirs)
    there = dict(theirs.named_parameters())
    assert set(pairs) == set(dict(ours.named_parameters()))
    assert set(pairs.values()) == set(there)
    with torch.no_grad():
        for name, p in ours.named_parameters():
            value = there[pairs[name]]
            p.copy_(
                value.T
                if value.ndim == 2 and value.T.shape == p.shape and "network" not in name
                else value.view(p.shape)
            )
    a, b = _x(), _x()
    y, z = ours(a, EDGES, **given), theirs(b, EDGES, *given.values())
    torch.testing.assert_close(y, z, rtol=1e-10, atol=1e-12)
    weights = torch.linspace(-1, 2, y.numel(), dtype=torch.float64).view(y.shape)
    (y.square() * weights).sum().backward()
    (z.square() * weights).sum().backward()
    torch.testing.assert_close(a.grad, b.grad, rtol=1e-10, atol=1e-12)
    for name, p in ours.named_parameters():
        grad = there[pairs[name]].grad
        grad = grad.T if grad.ndim == 2 and grad.T.shape == p.shape and "network" not in name else grad.view(p.shape)
        torch.testing.assert_close(p.grad, grad, rtol=1e-10, atol=1e-12)


# catalogue: A24
@pytest.mark.parametrize("weighted", [False, True])
def test_gcn_is_gcnconv(weighted: bool) -> None:
    pyg = pytest.importorskip("torch_geometric.nn")
    given = {"weight": torch.rand(EDGES.shape[1], dtype=torch.float64)} if weighted else {}
    _same(nn.GCN(INPUTS, OUTPUTS), pyg.GCNConv(INPUTS, OUTPUTS), {"weight": "lin.weight", "bias": "bias"}, **given)
