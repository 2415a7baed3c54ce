"""Attention equals torch's and its formula; masks, causality, padding, groups, caches and maps keep their laws."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.func import vmap
from torch.nn import functional

from tutti import core, nn
from tutti.nn import _attention


@pytest.fixture(params=["written out", "torch's kernel"])
def length(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """A length of sequences, computed by one of the two routes."""
    monkeypatch.setattr(_attention, "WRITTEN_WIDTH", 8 if request.param == "written out" else 0)
    return 7


def _qkv(
    length: int, width: int = 8, lead: tuple[int, ...] = (2, 3), dtype: torch.dtype = torch.float64
) -> list[Tensor]:
    torch.manual_seed(length)
    return [torch.randn(*lead, length, width, dtype=dtype, requires_grad=True) for _ in range(3)]


def _by_hand(q: Tensor, k: Tensor, v: Tensor, allowed: np.ndarray, bias: float, scale: float) -> np.ndarray:
    """Row by row in NumPy, over the keys that are allowed only."""
    q, k, v = (z.detach().numpy() for z in (q, k, v))
    out = np.zeros((*q.shape[:-1], v.shape[-1]))
    for place in np.ndindex(q.shape[:-1]):
        lead, i = place[:-1], place[-1]
        keys = np.flatnonzero(allowed[i])
        if len(keys):
            e = np.exp(scale * k[lead][keys] @ q[place] + bias * (keys - i))
            out[place] = e @ v[lead][keys] / e.sum()
    return out


# catalogue: A15
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("scale", [None, 1.0])
def test_attention_is_its_formula(length: int, causal: bool, masked: bool, scale: float | None) -> None:
    q, k, v = _qkv(length)
    allowed = np.ones((length, length), bool)
    mask, bias = None, None
    if masked:
        allowed = np.random.default_rng(0).random((length, length)) < 0.6
        allowed[2] = False  # a query that may attend to nothing
        mask = torch.from_numpy(allowed.copy())
        place = torch.arange(length, dtype=torch.float64)
        bias = 0.1 * (place - place[:, None])
    if causal:
        allowed = np.tril(allowed)
    y = nn.attention(q, k, v, mask=mask, bias=bias, causal=causal, scale=scale)
    expected = _by_hand(q, k, v, allowed, 0.1 if masked else 0.0, 8**-0.5 if scale is None else scale)
    torch.testing.assert_close(y, torch.from_numpy(expected))
    grads = torch.autograd.grad(y.square().sum(), (q, k, v))
    assert all(g.isfinite().all() for g in grads)
    if masked:
        assert not grads[0][..., 2, :].any()


# catalogue: A15
@pytest.mark.parametrize("causal", [False, True])
def test_attention_equals_torch_forward_and_backward(length: int, causal: bool) -> None:
    given = _qkv(length)
    pull = torch.randn(2, 3, length, 8, dtype=torch.float64)
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        theirs = functional.scaled_dot_product_attention(*given, is_causal=causal)
        expected = torch.autograd.grad(theirs, given, pull)
    ours = nn.attention(*given, causal=causal)
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(torch.autograd.grad(ours, given, pull), expected)


def test_leading_axes_of_any_number_are_one_batch(length: int) -> None:
    q, k, v = _qkv(length, lead=(3, 2, 2, 2))
    mask = torch.rand(3, 1, 1, 1, 1, length) < 0.7
    mask[..., 0] = True
    y = nn.attention(q, k, v, mask=mask)
    for m in range(3):
        torch.testing.assert_close(y[m], nn.attention(q[m], k[m], v[m], mask=mask[m]))
    flat = nn.attention(*(z[0, 0, 0] for z in (q, k, v)), mask=mask[0, 0, 0])
    torch.testing.assert_close(y[0, 0, 0], flat)


@pytest.mark.parametrize("taken", ["outside", "inside"])
@pytest.mark.parametrize("masked", ["", "each sample", "each pair"])
def test_vmap_keeps_the_kernel_and_the_gradients(length: int, masked: str, taken: str) -> None:
    q, k, v = _qkv(length, lead=(3, 2, 2))
    shared = v[0].detach().clone().requires_grad_()  # the same for all that are mapped over
    shape = (3, 2, 1, 1, length) if masked == "each sample" else (3, length, length)
    mask = (torch.rand(shape) < 0.7).index_fill(-1, torch.tensor([0]), True) if masked else None
    axes = (0, 0, None, 0 if masked else None)

    def one(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
        return nn.attention(q, k, v, mask=mask, causal=True)

    loop = torch.stack([one(q[m], k[m], shared, None if mask is None else mask[m]) for m in range(3)])
    expected = torch.autograd.grad(loop.square().sum(), (q, k, shared))
    if taken == "outside":  # warnings are errors: the kernel's slow route under vmap would warn
        y = vmap(one, in_dims=axes)(q, k, shared, mask)
        torch.testing.assert_close(y, loop)
        torch.testing.assert_close(torch.autograd.grad(y.square().sum(), (q, k, shared)), expected)
    else:
        gradient = torch.func.grad(lambda *given: one(*given).square().sum(), argnums=(0, 1))
        torch.testing.assert_close(vmap(gradient, in_dims=axes)(q, k, shared, mask), expected[:2])


def test_written_out_attention_has_second_derivatives() -> None:
    given = _qkv(4, 2, (1,))
    assert torch.autograd.gradgradcheck(lambda *z: nn.attention(*z, causal=True), given, fast_mode=True)


def _converted(theirs: torch.nn.MultiheadAttention, cross: bool = False) -> nn.MultiHeadAttention:
    with torch.no_grad():
        for p in theirs.parameters():
            p.copy_(torch.randn_like(p) / 3)
    return nn.from_torch_attention(theirs, cross=cross)


# catalogue: A15
@pytest.mark.parametrize("kind", ["self", "causal", "padded", "cross", "cross of another width", "biased"])
def test_multi_head_attention_equals_torch_forward_and_backward(kind: str, length: int) -> None:
    torch.manual_seed(3)
    cross, inner = kind.startswith("cross"), 6 if "another" in kind else 8
    theirs = torch.nn.MultiheadAttention(8, 2, kdim=inner, vdim=inner, batch_first=True, dtype=torch.float64)
    ours = _converted(theirs, cross)
    x = torch.randn(3, length, 8, dtype=torch.float64, requires_grad=True)
    memory = torch.randn(3, length + 2, inner, dtype=torch.float64) if cross else x
    options: dict[str, Any] = {}
    mine: dict[str, Any] = {}
    if kind == "causal":
        ours.causal = True
        options["attn_mask"] = torch.ones(length, length, dtype=torch.bool).triu(1)
    if kind == "padded":
        present = torch.arange(length) < torch.tensor([[3], [length], [5]])
        options["key_padding_mask"], mine["present"] = ~present, present
    if kind == "biased":
        bias = torch.randn(length, length, dtype=torch.float64)
        options["attn_mask"], mine["bias"] = bias, bias
    expected, _ = theirs(x, memory, memory, need_weights=False, **options)
    y = ours(x, memory, **mine) if cross else ours(x, **mine)
    torch.testing.assert_close(y, expected, rtol=1e-9, atol=1e-10)
    pull = torch.randn_like(y)
    expected_x, expected_join = torch.autograd.grad(expected, (x, theirs.out_proj.weight), pull, retain_graph=True)
    torch.testing.assert_close(
        torch.autograd.grad(y, (x, ours.join.weight), pull, retain_graph=True), (expected_x, expected_join)
    )
    if ours.project is not None:
        torch.testing.assert_close(
            torch.autograd.grad(y, list(ours.project.parameters()), pull),
            torch.autograd.grad(expected, (theirs.in_proj_weight, theirs.in_proj_bias), pull),
        )


def test_it_starts_as_torch_does() -> None:
    torch.manual_seed(0)
    ours, theirs = nn.MultiHeadAttention(64, 4), torch.nn.MultiheadAttention(64, 4)
    assert ours.project is not None
    for mine, other in ((ours.project.weight, theirs.in_proj_weight), (ours.join.weight, theirs.out_proj.weight)):
        assert mine.abs().max().item() == pytest.approx(other.abs().max().item(), rel=0.01)
        assert mine.std().item() == pytest.approx(other.std().item(), rel=0.03)
    assert not ours.project.bias.any()
    assert not ours.join.bias.any()


# catalogue: A15
def test_grouped_heads_equal_full_heads_with_repeated_weights() -> None:
    torch.manual_seed(0)
    few, full = nn.MultiHeadAttention(8, 4, key_value_heads=2), nn.MultiHeadAttention(8, 4)
    full.join = few.join
    assert few.project is not None
    assert full.project is not None
    q, k, v = few.project.weight.split((8, 4, 4))
    twice = [z.view(2, 2, 8).repeat_interleave(2, 0).reshape(8, 8) for z in (k, v)]
    with torch.no_grad():
        full.project.weight.copy_(torch.cat((q, *twice)))
    x = torch.randn(2, 5, 8)
    torch.testing.assert_close(few(x), full(x))
    assert few.project.weight.shape == (16, 8)


# catalogue: A15
def test_causal_attention_sees_nothing_later(length: int) -> None:
    torch.manual_seed(0)
    layer = nn.MultiHeadAttention(8, 2, causal=True).double()
    x = torch.randn(1, length, 8, dtype=torch.float64, requires_grad=True)
    for t in (0, 3, length - 1):
        (seen,) = torch.autograd.grad(layer(x)[0, t].sum(), x)
        assert not seen[0, t + 1 :].any()
        assert seen[0, : t + 1].abs().sum(-1).all()


def test_padding_changes_nothing(length: int) -> None:
    torch.manual_seed(0)
    layer = nn.MultiHeadAttention(8, 2).double()
    x = torch.randn(1, length, 8, dtype=torch.float64)
    junk = torch.cat((x, 1e3 * torch.randn(1, 4, 8, dtype=torch.float64)), 1)
    present = torch.arange(length + 4).unsqueeze(0) < length
    torch.testing.assert_close(layer(junk, present=present)[:, :length], layer(x), rtol=1e-12, atol=1e-13)


def test_self_attention_moves_with_a_permutation_of_the_items() -> None:
    torch.manual_seed(0)
    layer = nn.MultiHeadAttention(8, 2).double()
    x, order = torch.randn(2, 9, 8, dtype=torch.float64), torch.randperm(9)
    torch.testing.assert_close(layer(x[:, order]), layer(x)[:, order], rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("rotary", [None, nn.Rotary(4)])
@pytest.mark.parametrize("chunks", [(1,) * 6, (4, 1, 1), (2, 4)])
def test_generation_with_a_cache_equals_one_pass(chunks: tuple[int, ...], rotary: nn.Rotary | None) -> None:
    torch.manual_seed(0)
    layer = nn.MultiHeadAttention(8, 2, causal=True, key_value_heads=1).eval()
    x, cache = torch.randn(3, 6, 8), nn.KeyValueCache(6)
    with torch.no_grad():
        parts = [layer(part, cache=cache, rotary=rotary) for part in x.split(chunks, 1)]
        torch.testing.assert_close(torch.cat(parts, 1), layer(x, rotary=rotary))
    assert cache.steps == 6
    with pytest.raises(core.InputError, match=r"KeyValueCache\(7\)"):
        layer(x[:, :1], cache=cache)


def test_maps_are_the_weights_and_looking_changes_nothing(length: int) -> None:
    torch.manual_seed(0)
    theirs = torch.nn.MultiheadAttention(8, 2, batch_first=True)
    ours = _converted(theirs)
    x = torch.randn(3, length, 8)
    present = torch.arange(length).expand(3, -1) < 4
    _, expected = theirs(x, x, x, key_padding_mask=~present, average_attn_weights=False)
    with nn.attention_maps() as maps:
        looked = ours(x, present=present)
    torch.testing.assert_close(maps[0], expected)
    torch.testing.assert_close(looked, ours(x, present=present))
    assert len(maps) == 1
    with nn.attention_maps() as maps:
        ours(x, present=torch.zeros_like(present))
    assert not maps[0].any()


# catalogue: A15
def test_dropout_zeroes_the_rate_of_each_member_in_training_only() -> None:
    seen: list[Tensor] = []
    layer = nn.MultiHeadAttention(8, 2, dropout=0.5)
    assert layer.drop is not None
    layer.drop.register_forward_hook(lambda module, given, out: seen.append(out))
    x = torch.randn(2, 50, 20, 8)
    state = {n: torch.stack((p, p)) for n, p in layer.state_dict().items()}
    state["drop.dropout"] = torch.tensor([0.1, 0.6])
    with core.random_keys(torch.tensor([1, 2], dtype=torch.int32)):
        torch.func.functional_call(layer, state, x)
    assert [(part == 0).float().mean().item() for part in seen[0]] == pytest.approx([0.1, 0.6], abs=0.01)
    torch.testing.assert_close(seen[0].sum(-1).mean((1, 2, 3)), torch.ones(2), atol=0.02, rtol=0)
    layer.eval()
    torch.testing.assert_close(layer(x[0]), layer(x[0]))
    assert len(seen) == 1


@pytest.mark.parametrize(
    ("build", "match"),
    [
        (lambda: nn.MultiHeadAttention(10, 4), "Use a width of 8"),
        (lambda: nn.MultiHeadAttention(8, 4, key_value_heads=3), "divisor of 4"),
        (lambda: nn.MultiHeadAttention(8, 0), "heads"),
        (lambda: nn.MultiHeadAttention(8, 2)(torch.ones(1, 2, 8), torch.ones(1, 2, 8)), "memory_width"),
        (lambda: nn.MultiHeadAttention(8, 2, memory_width=3)(torch.ones(1, 2, 8)), "no memory"),
        (lambda: nn.KeyValueCache(0), "at least 1"),
        (lambda: nn.from_torch_attention(torch.nn.MultiheadAttention(8, 2, add_zero_attn=True)), "zero_attn"),
        (lambda: nn.from_torch_attention(torch.nn.MultiheadAttention(8, 2, bias=False)), "biases"),
        (lambda: nn.from_torch_attention(torch.nn.MultiheadAttention(8, 2, kdim=4, vdim=4)), "kdim"),
    ],
)
def test_mistakes_are_named(build: Callable[[], object], match: str) -> None:
    with pytest.raises(core.InputError, match=match):
        build()
