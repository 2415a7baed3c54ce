"""Products that go to oneDNN are those that MKL would make, to float32's rounding (L8, A3)."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from tutti.nn import _linear, _onednn, dense

SHAPES = [
    ((70, 130), (90, 130)),
    ((4, 30, 130), (90, 130)),
    ((3, 70, 130), (3, 90, 130)),
    ((3, 2, 40, 64), (3, 50, 64)),
]


@pytest.fixture(autouse=True)
def always(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every product through oneDNN; a processor for which that is not exact leaves the tests out."""
    if not hasattr(_onednn._products(), "fp32_precision") or not _onednn._is_exact():
        pytest.skip("oneDNN does not multiply in float32 here")
    monkeypatch.setattr(_linear, "worthwhile", lambda *_, **__: True)
    yield
    assert torch.backends.mkldnn.matmul.fp32_precision in ("none", "ieee")  # as it was


def given(x: tuple[int, ...], weight: tuple[int, ...]) -> list[Tensor]:
    torch.manual_seed(0)
    sizes = (x, weight, weight[:-1])
    return [torch.randn(size).requires_grad_() for size in sizes]


@pytest.mark.parametrize("shapes", SHAPES)
@pytest.mark.parametrize("biased", [True, False])
def test_values_and_gradients_are_those_of_float64(
    shapes: tuple[tuple[int, ...], tuple[int, ...]], biased: bool
) -> None:
    x, weight, bias = given(*shapes)
    terms = [x, weight, bias] if biased else [x, weight]
    y = dense(*terms)
    slope = torch.randn(y.shape)
    found = torch.autograd.grad(y, terms, slope)
    exact = [t.detach().double().requires_grad_() for t in terms]
    true = exact[0] @ exact[1].mT if weight.ndim == 2 else torch.einsum("m...i,moi->m...o", *exact[:2])
    if biased:
        true = true + (exact[2] if weight.ndim == 2 else exact[2].view(len(weight), *[1] * (true.ndim - 2), -1))
    torch.testing.assert_close(y, true.float())
    for one, other in zip(found, torch.autograd.grad(true, exact, slope.double()), strict=True):
        torch.testing.assert_close(one, other.float(), rtol=1e-5, atol=1e-4)


def test_second_derivatives_pass_through() -> None:
    x, weight, bias = given((3, 20, 30), (3, 10, 30))

    def curvature() -> Tensor:
        (slope,) = torch.autograd.grad(dense(x, weight, bias).tanh().sum(), weight, create_graph=True)
        return torch.autograd.grad(slope.square().sum(), x)[0]

    through_onednn = curvature()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_linear, "worthwhile", lambda *_, **__: False)
        torch.testing.assert_close(through_onednn, curvature())


def test_vmap_carries_it() -> None:
    x, weight, bias = given((3, 20, 30), (3, 10, 30))
    torch.testing.assert_close(torch.func.vmap(dense)(x, weight, bias), dense(x, weight, bias))


def test_a_member_does_not_depend_on_its_neighbours() -> None:
    x, weight, bias = (t.detach() for t in given((12, 64, 130), (12, 64, 130)))

    def last(first: int) -> list[Tensor]:
        terms = [t[first:].clone().requires_grad_() for t in (x, weight, bias)]
        y = dense(*terms)
        return [t[-1] for t in (y, *torch.autograd.grad(y.square().sum(), terms))]

    for first in (7, 10):
        for one, other in zip(last(0), last(first), strict=True):
            torch.testing.assert_close(one, other, rtol=0, atol=0)


def test_rounding_to_bfloat16_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = torch.Tensor.__matmul__

    def coarse(left: Tensor, right: Tensor) -> Tensor:
        return (
            plain(left.bfloat16(), right.bfloat16()).to(left.dtype)
            if left.dtype == torch.float32
            else plain(left, right)
        )

    monkeypatch.setattr(torch.Tensor, "__matmul__", coarse)
    assert not _onednn._is_exact()


def test_the_trial_does_not_depend_on_where_it_is_first_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """Within vmap nothing may be drawn, and another default dtype or autocast must not decide for float32."""
    assert torch.func.vmap(lambda x: x + float(_onednn._is_exact()), randomness="error")(torch.zeros(2)).all()
    plain, seen = torch.Tensor.__matmul__, []

    def noted(left: Tensor, right: Tensor) -> Tensor:
        seen.append(left.dtype)
        return plain(left, right)

    monkeypatch.setattr(torch.Tensor, "__matmul__", noted)
    torch.set_default_dtype(torch.float64)
    try:
        assert _onednn._is_exact()
    finally:
        torch.set_default_dtype(torch.float32)
    assert seen[0] == torch.float32


def test_autocast_is_asked_before_the_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_linear, "worthwhile", lambda *_, **__: pytest.fail("asked within autocast"))
    x, weight, bias = given((70, 130), (90, 130))
    with torch.autocast("cpu", torch.bfloat16):
        assert dense(x, weight, bias).dtype == torch.bfloat16
