"""Each kind of positional information has the property that it is chosen for."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from tutti import core, nn


def _toeplitz(scores: Tensor) -> bool:
    """Whether score (i, j) depends on i − j alone."""
    n = scores.shape[-1]
    return all(
        torch.allclose(d, d[..., :1].expand_as(d), atol=1e-4)
        for d in (scores.diagonal(o, -2, -1) for o in range(1 - n, n))
    )


# catalogue: A16
def test_dot_products_of_sine_cosine_pairs_depend_on_the_distance_alone_and_those_of_sines_do_not() -> None:
    pairs, sines = nn.sinusoidal_positions(60, 16), nn.sine_positions(60, 16)
    dot = pairs @ pairs.T
    assert _toeplitz(dot)
    omega = 10_000.0 ** (-torch.arange(8) / 8)
    torch.testing.assert_close(
        dot[5], torch.cos(omega * (torch.arange(60)[:, None] - 5)).sum(-1), atol=1e-5, rtol=1e-5
    )
    assert not _toeplitz(sines @ sines.T)
    torch.testing.assert_close(sines[7], torch.sin(7 * 10_000.0 ** (-torch.arange(1, 17) / 16)))
    for table in (pairs, sines):  # every position has its own vector
        assert torch.cdist(table, table).add(torch.eye(60)).min() > 1e-3


# catalogue: A16
def test_pairs_are_those_of_the_paper_and_do_not_depend_on_the_length() -> None:
    table = nn.sinusoidal_positions(50, 12)
    t, n = 9.0, 2
    angle = torch.tensor(t / 10_000 ** (2 * n / 12))
    torch.testing.assert_close(table[9, 4:6], torch.stack((angle.sin(), angle.cos())))
    assert torch.equal(nn.sinusoidal_positions(20, 12), table[:20])


# catalogue: A16
def test_joined_positions_make_the_score_a_product() -> None:
    torch.manual_seed(0)
    layer = nn.position("concatenated", width=8, length=6, heads=1)
    assert isinstance(layer, nn.FixedPositions)
    h = torch.randn(1, 6, 8)
    joined = layer(h)
    assert joined.shape[-1] == layer.features == 16
    p = nn.sinusoidal_positions(6, 8)
    product = (h @ h.mT).exp() * (p @ p.T).exp()
    with nn.attention_maps() as maps:
        nn.attention(joined, joined, joined, scale=1.0)
    torch.testing.assert_close(maps[0], product / product.sum(-1, keepdim=True))


# catalogue: A16
def test_one_hot_positions_are_orthonormal_and_joined() -> None:
    layer = nn.position("one_hot", width=3, length=5, heads=1)
    assert layer is not None
    y = layer(torch.zeros(2, 4, 3))
    assert y.shape == (2, 4, 8)
    assert torch.equal(y[0, :, 3:] @ y[1, :, 3:].T, torch.eye(4))


# catalogue: A16
def test_learned_positions_learn_the_places_that_were_seen() -> None:
    layer = nn.LearnedPositions(6, 4)
    x = torch.randn(2, 3, 4)
    torch.testing.assert_close(layer(x, 2) - x, layer.table[2:5].expand(2, -1, -1))
    layer(x, 2).sum().backward()
    grad = layer.table.grad
    assert grad is not None
    assert grad.abs().sum(-1).ne(0).tolist() == [False, False, True, True, True, False]


# catalogue: A16
def test_the_relative_bias_multiplies_scores_by_a_decay_with_the_distance() -> None:
    torch.manual_seed(0)
    bias = nn.ExponentialBias(2)
    with torch.no_grad():
        bias.log_rate.copy_(torch.tensor([0.5, 2.0]).log())
    h = torch.randn(1, 2, 5, 4)
    with nn.attention_maps() as maps:
        nn.attention(h, h, h, bias=bias(5, 5), scale=1.0)
    place = torch.arange(5.0)
    decay = torch.exp(-torch.tensor([0.5, 2.0])[:, None, None] * (place - place[:, None]).abs())
    product = (h @ h.mT).exp() * decay
    torch.testing.assert_close(maps[0], product / product.sum(-1, keepdim=True))
    assert _toeplitz(bias(5, 5))
    torch.testing.assert_close(bias(2, 5), bias(5, 5)[:, 3:])


# catalogue: A16
def test_alibi_has_the_slopes_of_its_paper() -> None:
    torch.testing.assert_close(nn.Alibi(8).slope, 2.0 ** -torch.arange(1, 9))
    twelve = [2**-r for r in range(1, 9)] + [2**-0.5, 2**-1.5, 2**-2.5, 2**-3.5]
    torch.testing.assert_close(nn.Alibi(12).slope, torch.tensor(twelve))
    bias = nn.Alibi(8)(4, 4)
    assert bias[0, 3].tolist() == [-1.5, -1.0, -0.5, 0.0]
    assert _toeplitz(bias)


# catalogue: A16
def test_rotated_scores_depend_on_the_distance_alone() -> None:
    torch.manual_seed(0)
    rotary = nn.Rotary(8).double()
    q, k = (torch.randn(1, 8, dtype=torch.float64).expand(40, 8) for _ in range(2))
    scores = rotary(q) @ rotary(k).T
    assert _toeplitz(scores)
    assert not torch.allclose(scores, scores.T)  # the direction counts too
    torch.testing.assert_close(rotary(q, 17) @ rotary(k, 17).T, scores, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(rotary(q).norm(dim=-1), q.norm(dim=-1))
    torch.testing.assert_close(rotary(q)[0], q[0])


def test_rotation_is_a_complex_product() -> None:
    rotary = nn.Rotary(6).double()
    x = torch.randn(5, 6, dtype=torch.float64)
    turn = torch.polar(torch.ones(5, 3, dtype=torch.float64), torch.arange(5.0)[:, None] * rotary.frequency)
    y = torch.complex(x[:, :3], x[:, 3:]) * turn
    torch.testing.assert_close(rotary(x), torch.cat((y.real, y.imag), -1))


@pytest.mark.parametrize("name", nn.POSITIONS)
def test_with_positions_the_order_of_items_counts_and_without_it_does_not(name: str) -> None:
    torch.manual_seed(0)
    where = nn.position(name, width=8, length=6, heads=2)
    width = getattr(where, "features", 8)
    torch.manual_seed(1)
    model = nn.TransformerEncoder([nn.TransformerBlock(width, 2)], position=where).double()
    x, order = torch.randn(2, 6, 8, dtype=torch.float64), torch.tensor([3, 1, 0, 2, 5, 4])
    alike = torch.allclose(model(x[:, order]), model(x)[:, order], rtol=1e-9, atol=1e-9)
    assert alike == (name == "none")


# catalogue: A16
def test_the_class_token_stands_first_and_learns() -> None:
    token = nn.ClassToken(4)
    x = torch.randn(2, 3, 4)
    y = token(x)
    assert torch.equal(y[:, 1:], x)
    assert torch.equal(y[:, 0], token.token.expand(2, 4))
    y.sum().backward()
    assert token.token.grad is not None
    assert token.token.grad.tolist() == [2.0] * 4


# catalogue: A16
def test_time_conditioning_is_one_smooth_function_of_time_for_all_items() -> None:
    torch.manual_seed(0)
    layer = nn.TimeConditioning(4, scale=3.0).double()
    x = torch.randn(2, 5, 4, dtype=torch.float64)
    t = torch.tensor([0.2, 0.7], dtype=torch.float64, requires_grad=True)
    told = layer(x, t) - x
    torch.testing.assert_close(told, told[:, :1].expand_as(told))
    assert (told[0] - told[1]).abs().max() > 1e-3
    assert torch.autograd.gradcheck(lambda t: layer(x, t), (t,))
    angle = 3.0 * 0.2 * 10_000.0 ** (-torch.arange(16, dtype=torch.float64) / 16)
    w1, w2 = layer.enter, layer.leave
    hidden = w1.weight @ torch.cat((angle.sin(), angle.cos())) + w1.bias
    expected = w2.weight @ (hidden * hidden.sigmoid()) + w2.bias
    torch.testing.assert_close(told[0, 0], expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("build", "match"),
    [
        (lambda: nn.position("rotery", width=8, length=4, heads=2), "rotary"),
        (lambda: nn.Rotary(3), "even"),
        (lambda: nn.FixedPositions(torch.eye(4), 3), "concatenate"),
        (lambda: nn.FixedPositions(torch.eye(4), 4, "addd"), "add"),
        (lambda: nn.LearnedPositions(4, 2)(torch.ones(1, 5, 2)), "4 positions"),
        (lambda: nn.TransformerEncoder([], position=torch.nn.Identity()), "where"),
    ],
)
def test_mistakes_are_named(build: Callable[[], object], match: str) -> None:
    with pytest.raises(core.InputError, match=match):
        build()
