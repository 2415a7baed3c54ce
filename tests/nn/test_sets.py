"""Pools do not see the order of a set, blocks move with it, and padding is not there."""

from collections.abc import Callable
from itertools import permutations

import numpy as np
import pytest
import torch
from torch import Tensor

from tutti import core, nn

POOLS: dict[str, Callable[[], torch.nn.Module]] = {
    **{kind: (lambda kind=kind: nn.SetPool(kind)) for kind in ("sum", "mean", "max")},
    "attention": lambda: nn.AttentionPool(4, 3),
    "gated": lambda: nn.AttentionPool(4, 3, gated=True),
    "seeds": lambda: nn.SeedPool(4, 2, 3),
}
BLOCKS: dict[str, Callable[[], torch.nn.Module]] = {
    "set attention": lambda: nn.SetAttention(4, 2),
    "induced": lambda: nn.InducedSetAttention(4, 2, 3),
}


def _built(build: Callable[[], torch.nn.Module]) -> torch.nn.Module:
    torch.manual_seed(0)
    layer = build().double()
    for p in layer.parameters():
        torch.nn.init.normal_(p, std=0.5)
    return layer


def _draw(items: int) -> Tensor:
    return torch.randn(2, items, 4, dtype=torch.float64)


# catalogue: A27
@pytest.mark.parametrize("name", POOLS | BLOCKS)
def test_permuting_the_items_leaves_pools_and_moves_blocks(name: str) -> None:
    layer, x = _built((POOLS | BLOCKS)[name]), _draw(4)
    y = layer(x)
    for order in permutations(range(4)):
        expected = y if name in POOLS else y[:, list(order)]
        torch.testing.assert_close(layer(x[:, list(order)]), expected, rtol=1e-12, atol=1e-13)


# catalogue: A27
@pytest.mark.parametrize("kind", ["sum", "mean", "max"])
def test_plain_pools_are_invariant_bit_for_bit_where_addition_is_exact(kind: str) -> None:
    layer = nn.SetPool(kind)
    x = torch.randint(-9, 9, (3, 50, 4)).float() / 8
    present = torch.rand(3, 50) < 0.7
    for _ in range(5):
        order = torch.randperm(50)
        assert torch.equal(layer(x[:, order], present[:, order]), layer(x, present))


# catalogue: A27
@pytest.mark.parametrize("name", POOLS | BLOCKS)
def test_items_that_are_not_there_change_nothing(name: str) -> None:
    layer, x = _built((POOLS | BLOCKS)[name]), _draw(5)
    junk = torch.cat((x[:, :2], torch.full((2, 3, 4), torch.nan, dtype=torch.float64), x[:, 2:]), 1).requires_grad_()
    present = torch.tensor([1, 1, 0, 0, 0, 1, 1, 1]).bool().expand(2, -1)
    y = layer(junk, present)
    kept = y if name in POOLS else y[:, present[0]]
    torch.testing.assert_close(kept, layer(x), rtol=1e-12, atol=1e-13)
    given = [junk, *layer.parameters()]
    for grad in torch.autograd.grad(kept.square().sum(), given):
        assert grad.isfinite().all()
    assert not torch.autograd.grad(layer(junk, present)[..., :1].sum(), junk)[0][:, 2:5].any()


@pytest.mark.parametrize("name", POOLS)
def test_an_empty_set_gives_a_finite_answer(name: str) -> None:
    layer, x = _built(POOLS[name]), _draw(3)
    nothing = layer(x, torch.zeros(2, 3, dtype=torch.bool))
    assert nothing.isfinite().all()
    if isinstance(layer, nn.AttentionPool):
        assert not layer.weights(x, torch.zeros(2, 3, dtype=torch.bool)).any()
    if name != "seeds":
        assert not nothing.any()


@pytest.mark.parametrize("kind", ["sum", "mean", "max"])
def test_plain_pools_are_numpys(kind: str) -> None:
    x = _draw(6)
    present = torch.rand(2, 6) < 0.6
    present[:, 0] = True
    y = nn.SetPool(kind)(x, present)
    for b in range(2):
        torch.testing.assert_close(y[b], torch.from_numpy(getattr(np, kind)(x[b, present[b]].numpy(), 0)))
    assert not nn.SetPool(kind)(x[:, :0]).any()


# catalogue: A27
@pytest.mark.parametrize("gated", [False, True])
def test_attention_pooling_is_the_papers(gated: bool) -> None:
    layer = nn.AttentionPool(4, 3, gated=gated).double()
    x = _draw(5)
    h = x.numpy()
    parts = np.split(layer.enter.weight.detach().numpy(), 2 if gated else 1)
    biases = np.split(layer.enter.bias.detach().numpy(), 2 if gated else 1)
    inner = np.tanh(h @ parts[0].T + biases[0])
    if gated:
        inner = inner / (1 + np.exp(-(h @ parts[1].T + biases[1])))
    e = np.exp(inner @ layer.score.detach().numpy())
    a = e / e.sum(-1, keepdims=True)
    torch.testing.assert_close(layer.weights(x), torch.from_numpy(a))
    torch.testing.assert_close(layer(x), torch.from_numpy(np.einsum("bk,bkd->bd", a, h)))


# catalogue: A27
def test_the_rescaled_map_runs_from_0_to_1_over_the_items_that_are_there() -> None:
    a = torch.tensor([[0.1, 0.2, 0.7, 0.0], [0.25, 0.25, 0.25, 0.25]])
    torch.testing.assert_close(nn.rescaled(a), torch.tensor([[1 / 7, 2 / 7, 1, 0], [0, 0, 0, 0]]))
    present = torch.tensor([[True, True, True, False], [False] * 4])
    torch.testing.assert_close(nn.rescaled(a, present), torch.tensor([[0, 1 / 6, 1, 0], [0, 0, 0, 0]]))


def _attend(layer: nn.MultiHeadAttention, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Multihead(X, Y, Y) of Lee et al. 2019, eq. 3, head by head."""
    assert layer.query is not None
    assert layer.memory is not None
    w = {n: p.detach().numpy() for n, p in layer.named_parameters()}
    q = x @ w["query.weight"].T + w["query.bias"]
    k, v = np.split(y @ w["memory.weight"].T + w["memory.bias"], 2, -1)
    heads = []
    for r in range(layer.heads):
        part = slice(r * q.shape[-1] // layer.heads, (r + 1) * q.shape[-1] // layer.heads)
        e = np.exp(q[:, part] @ k[:, part].T / np.sqrt(q.shape[-1] / layer.heads))
        heads.append(e / e.sum(-1, keepdims=True) @ v[:, part])
    return np.concatenate(heads, -1) @ w["join.weight"].T + w["join.bias"]


def _normal(layer: torch.nn.Module, x: np.ndarray) -> np.ndarray:
    w, b = (p.detach().numpy() for p in layer.parameters())
    return w * (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5) + b


def _network(layer: nn.FeedForward, x: np.ndarray) -> np.ndarray:
    w1, b1, w2, b2 = (p.detach().numpy() for p in layer.parameters())
    return np.maximum(x @ w1.T + b1, 0) @ w2.T + b2


def _block(layer: nn.SetBlock, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    h = _normal(layer.attend_norm, x + _attend(layer.attend, x, y))
    return _normal(layer.mlp_norm, h + _network(layer.mlp, h))


# catalogue: A27
def test_the_set_transformers_blocks_are_the_papers() -> None:
    x = _draw(5)
    induced = _built(BLOCKS["induced"])
    pool = _built(POOLS["seeds"])
    assert isinstance(induced, nn.InducedSetAttention)
    assert isinstance(pool, nn.SeedPool)
    for b in range(2):
        item = x[b].numpy()
        points = _block(induced.gather, induced.seeds.detach().numpy(), item)
        torch.testing.assert_close(induced(x)[b], torch.from_numpy(_block(induced.give, item, points)))
        pooled = _block(pool.gather, pool.seeds.detach().numpy(), _network(pool.enter, item))
        torch.testing.assert_close(pool(x)[b], torch.from_numpy(pooled))


@pytest.mark.parametrize(
    ("build", "match"),
    [
        (lambda: nn.SetPool("median"), "mean"),
        (lambda: nn.SeedPool(4, 2, 0), "at least 1"),
        (lambda: nn.InducedSetAttention(4, 2, 0), "at least 1"),
    ],
)
def test_mistakes_are_named(build: Callable[[], object], match: str) -> None:
    with pytest.raises(core.InputError, match=match):
        build()
